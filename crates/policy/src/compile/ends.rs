//! Policies that decide nothing at an end of a connection, since what they ask for is never known there.
//!
//! It is asked of the image, with what each end tells: [`prospect`] runs the condition on what may be. So `has`, `&&`, `!`
//! and `if` count for what they mean, and a policy that can be true in any other way is not warned of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::actions::ActionNames;
use super::lower;
use super::parts::{ConditionKind, clauses, text};
use super::{Body, Compilation, CompileError, Parsed, Reason, error};
use crate::build::{Effect, ImageBuilder, Rule, Types};
use crate::eval::partial::{Told, prospect};
use crate::image::Image;
use crate::image::layout::PORT;

/// What both ends of a connection ask about, by the published schema.
const ACTION: &str = "connect";

/// Warnings of one compilation that say by the policy's own words what to write instead, which takes parsing parts of it again.
const MAX_REWRITTEN: usize = 100;

/// What an end knows besides the port and its own process whenever it asks, as far as it is told.
const CIRCUMSTANCES: [&str; 3] = ["serverAddress", "time", "posture"];
/// What the client's end first knows when TCP has connected: it asks before that too.
const CLIENT_ADDRESS: &str = "clientAddress";

/// An end of a connection.
#[derive(Clone, Copy)]
struct End {
    name: &'static str,
    /// The attribute of the context.
    process: &'static str,
}

const ENDS: [End; 2] = [
    End {
        name: "client",
        process: "client",
    },
    End {
        name: "server",
        process: "server",
    },
];

impl End {
    /// Whether requests of this end have an attribute, were `also` told too. An end asks more than once: a `permit` has to hold
    /// each time, the first included, and a `forbid` once.
    fn tells(self, name: &str, effect: Effect, also: Option<&str>) -> Told {
        let first = effect == Effect::Permit && self.process == "client";
        match name {
            PORT => Told::Always,
            name if name == self.process || Some(name) == also => Told::Sometimes,
            CLIENT_ADDRESS if !first => Told::Sometimes,
            name if CIRCUMSTANCES.contains(&name) => Told::Sometimes,
            _ => Told::Never,
        }
    }
}

/// Of a policy alone, what it can decide.
struct Alone<'i> {
    image: Image<'i>,
    effect: Effect,
}

impl Alone<'_> {
    /// Whether it may decide anything where the context is as told: a `permit` if it may hold, a `forbid` also if it may be that
    /// it cannot be evaluated. What cannot be said may.
    fn may_decide(&self, told: &dyn Fn(&str) -> Told) -> bool {
        prospect(&self.image, 0, ACTION, told).is_none_or(|prospect| match self.effect {
            Effect::Permit => prospect.holds,
            Effect::Forbid => prospect.holds || prospect.fails,
        })
    }

    /// What it lacks to decide anything at an end; nothing if it may. If any one of several would do, or if it takes several, all.
    fn lacks(&self, end: End) -> Vec<&str> {
        if self.may_decide(&|name| end.tells(name, self.effect, None)) {
            return Vec::new();
        }
        let absent = |name: &&str| end.tells(name, self.effect, None) == Told::Never;
        let absent: Vec<&str> = self.image.attribute_names().filter(absent).collect();
        let enough =
            |also: &&str| self.may_decide(&|name| end.tells(name, self.effect, Some(also)));
        match absent.iter().copied().filter(enough).collect::<Vec<_>>() {
            none if none.is_empty() => absent,
            some => some,
        }
    }
}

impl Compilation<'_> {
    /// What to warn of, in the order of the sources, when the policies are compiled to these images.
    pub(super) fn idle_at_ends(
        &self,
        names: &ActionNames,
        types: &Types,
        images: [&[u8]; 2],
    ) -> Vec<CompileError> {
        let untold = |bytes: &&[u8]| {
            let image = Image::reopen(bytes).ok();
            image.is_some_and(|image| image.attribute_names().any(|name| name != PORT))
        };
        if !images.iter().any(untold) {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        for parsed in &self.parsed {
            let rewrite = warnings.len() < MAX_REWRITTEN;
            warnings.extend(self.idle(parsed, names, types, rewrite));
        }
        warnings
    }

    fn idle(
        &self,
        parsed: &Parsed<'_>,
        names: &ActionNames,
        types: &Types,
        rewrite: bool,
    ) -> Option<CompileError> {
        let body = self.evaluated(parsed)?;
        let lowered = lower::lower(&body, parsed.body.slots()?, names, &parsed.chunk).ok()?;
        // Its own scope does not matter, and would be looked up.
        let bytes = lowered.with_rule("", |rule| {
            let rule = Rule {
                actions: rule.actions,
                condition: rule.condition,
                effect: rule.effect,
                ..Rule::permit("")
            };
            let mut alone = ImageBuilder::of(types.clone());
            alone.push(&rule).ok()?;
            alone.build().ok()
        })?;
        let alone = Alone {
            image: Image::reopen(&bytes).ok()?,
            effect: lowered.effect(),
        };
        let anything = |name: &str| match name {
            PORT => Told::Always,
            _ => Told::Sometimes,
        };
        // What nothing makes true is said by Cedar, or is about something that no end asks.
        if !alone.may_decide(&anything) {
            return None;
        }
        let lacks = ENDS.map(|end| (end, alone.lacks(end)));
        let (word, lacking) = match (alone.effect, &lacks) {
            (_, [(_, client), (_, server)]) if client.is_empty() && server.is_empty() => {
                return None;
            }
            (Effect::Permit, [(end, lacks), (_, none)] | [(_, none), (end, lacks)])
                if none.is_empty() =>
            {
                let instead = match lacks.as_slice() {
                    [process] if rewrite => self.instead(parsed, process, names, types),
                    _ => None,
                };
                let reason = permits_at_one_end(*end, lacks, instead);
                return Some(self.warning(parsed, lacks, reason));
            }
            // Where one end knows what is forbidden, it is.
            (Effect::Forbid, [(_, client), (_, server)])
                if client.is_empty() || server.is_empty() =>
            {
                return None;
            }
            (Effect::Permit, _) => ("permits", &lacks),
            (Effect::Forbid, _) => ("forbids", &lacks),
        };
        let [(_, client), (_, server)] = lacking;
        let lacking = if client == server {
            format!("{} is known at neither end", listed(client))
        } else {
            let (client, server) = (listed(client), listed(server));
            format!("{client} is never known at the client's end, nor {server} at the server's")
        };
        let reason = format!(
            "{word} nothing: {lacking}; an end knows port, addresses, time, its own process and its node's posture"
        );
        Some(self.warning(parsed, client, reason))
    }

    /// What could stand in place of the terms that ask for a process: they count where it is known. `None` if that cannot be said
    /// of the terms as they stand: they are not in one `when`, or ask for something else too, which would no longer count.
    fn instead(
        &self,
        parsed: &Parsed<'_>,
        process: &str,
        names: &ActionNames,
        types: &Types,
    ) -> Option<String> {
        let (_, clauses) = clauses(&parsed.chunk.tokens);
        let mut asking = Vec::new();
        for (kind, terms) in &clauses {
            let mut here = Vec::new();
            for term in terms {
                let term = text(parsed, term)?;
                let image = self.asked(&format!("{kind} {{ {term} }}"), names, types)?;
                let image = Image::reopen(&image).ok()?;
                let mut asked = image.attribute_names();
                if !asked.any(|name| name == process) {
                    continue;
                }
                let alone = image.attribute_names().all(|name| name == process);
                if *kind != ConditionKind::When || !alone {
                    return None;
                }
                here.push(term.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            if !here.is_empty() && !asking.is_empty() {
                return None;
            }
            asking.extend(here);
        }
        let written = asking.join(" && ");
        let guard = format!("context has {process}");
        asking.retain(|term| *term != guard);
        let then = asking.join(" && ");
        let then = Some(then.as_str()).filter(|then| !then.is_empty())?;
        Some(format!(
            "`(if {guard} then {then} else true)` in place of `{written}`"
        ))
    }

    /// Where what is lacking is first asked for.
    fn warning(&self, parsed: &Parsed<'_>, lacks: &[&str], reason: String) -> CompileError {
        let asked = parsed.chunk.conditions();
        let asked = asked.iter().find(|token| lacks.contains(&token.text));
        let place = match (&parsed.body, asked) {
            (Body::Policy(_), Some(token)) => {
                let name = self.name(parsed);
                parsed.lines.span(token.at, token.text.len(), name)
            }
            _ => self.place(parsed, parsed.chunk.at),
        };
        error(place, Reason::Warning(reason))
    }
}

/// What is told of a permit that an end cannot decide by, with what to write if that is known.
fn permits_at_one_end(end: End, lacks: &[&str], instead: Option<String>) -> String {
    let process = lacks.first().copied().unwrap_or_default();
    let instead = instead.unwrap_or_else(|| {
        format!(
            "`if context has {process} then … else true` around what asks for it, or \
             `unless {{ context has {process} && … }}` with what is wrong"
        )
    });
    let known = match lacks {
        [CLIENT_ADDRESS] => "not known before it connects",
        _ => "never known",
    };
    format!(
        "permits nothing at the {}'s end, where {} is {known}. Both ends have to permit: unless another policy \
         permits it there, nothing is permitted. To let that end decide by the rest, write {instead}",
        end.name,
        listed(lacks),
    )
}

/// Attributes of the context, as people read them.
fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`context.{name}`"))
        .collect();
    names.join(" or ")
}
