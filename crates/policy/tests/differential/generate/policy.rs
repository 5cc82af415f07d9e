//! Random policies, templates and links.

use super::Draw;
use super::expression::{Expressions, quoted};
use super::schema::{Schema, Ty};
use super::world::{IDS, LONGS};

/// A policy or template.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) principal_slot: bool,
    pub(crate) resource_slot: bool,
}

/// A link of a template.
#[derive(Clone, Debug)]
pub(crate) struct Linked {
    pub(crate) template: String,
    pub(crate) name: String,
    pub(crate) principal: Option<(&'static str, &'static str)>,
    pub(crate) resource: Option<(&'static str, &'static str)>,
}

/// The kinds a variable may be of, and be in.
const PRINCIPALS: [&str; 3] = ["User", "Team", "User"];
const RESOURCES: [&str; 3] = ["Doc", "Folder", "Folder"];

fn scope(
    draw: &mut Draw<'_>,
    variable: &str,
    kinds: &[&'static str; 3],
    slot: &mut bool,
) -> String {
    let name = |draw: &mut Draw<'_>, kind: &str| {
        if *slot {
            format!("?{variable}")
        } else {
            format!("{kind}::{}", quoted(draw.pick(&IDS)))
        }
    };
    let choice = draw.below(16);
    let text = match choice {
        0..=8 => variable.to_string(),
        9 => format!("{variable} is {}", kinds[0]),
        10 | 11 => format!("{variable} == {}", name(draw, kinds[0])),
        12..=14 => {
            let kind = draw.pick(kinds);
            format!("{variable} in {}", name(draw, kind))
        }
        _ => format!("{variable} is {} in {}", kinds[0], name(draw, kinds[1])),
    };
    *slot &= choice >= 10;
    text
}

impl Written {
    pub(crate) fn draw(draw: &mut Draw<'_>, schema: &Schema, at: usize, plain: bool) -> Self {
        let effect = if draw.percent(16) { "forbid" } else { "permit" };
        let template = draw.percent(12);
        let (mut principal_slot, mut resource_slot) = (template, template && draw.percent(50));
        let principal = scope(draw, "principal", &PRINCIPALS, &mut principal_slot);
        let resource = scope(draw, "resource", &RESOURCES, &mut resource_slot);
        let action = draw.pick(&[
            "action",
            "action",
            "action",
            "action == Action::\"read\"",
            "action == Action::\"list\"",
            "action in Action::\"any\"",
            "action in [Action::\"write\", Action::\"list\"]",
        ]);
        let clauses = match draw.below(10) {
            0 => 0,
            1 => 2,
            _ => usize::from(!plain),
        };
        let mut text = format!("{effect}({principal}, {action}, {resource})");
        for _ in 0..clauses {
            let word = draw.pick(&["when", "when", "unless"]);
            let depth = 1 + draw.below(3);
            let port = port(draw, schema).unwrap_or_default();
            let condition = Expressions { draw, schema }.of(&Ty::Bool, depth);
            text.push_str(&format!(" {word} {{ {port}{condition} }}"));
        }
        text.push(';');
        Self {
            name: format!("p{at}"),
            text,
            principal_slot,
            resource_slot,
        }
    }
}

/// Now and then a condition begins with the port, by which images file policies.
fn port(draw: &mut Draw<'_>, schema: &Schema) -> Option<String> {
    let mut declared = schema.context.iter();
    declared.find(|one| one.name == "port" && one.required && one.ty == Ty::Long)?;
    let wanted = LONGS[draw.below(LONGS.len())];
    draw.percent(60).then(|| match draw.below(3) {
        0 => format!("{wanted} == context.port && "),
        _ => format!("context.port == {wanted} && "),
    })
}

/// Up to two links of each template.
pub(crate) fn links(draw: &mut Draw<'_>, policies: &[Written]) -> Vec<Linked> {
    let mut links = Vec::new();
    for policy in policies {
        if !(policy.principal_slot || policy.resource_slot) {
            continue;
        }
        for _ in 0..draw.below(3) {
            let mut fill = |slot: bool, kind| slot.then(|| (kind, draw.pick(&IDS)));
            links.push(Linked {
                template: policy.name.clone(),
                name: format!("link{}", links.len()),
                principal: fill(policy.principal_slot, "User"),
                resource: fill(policy.resource_slot, "Doc"),
            });
        }
    }
    links
}
