//! Templates, linked when they are compiled.
#![cfg(feature = "compile")]

use tidelock_policy::compile::{Link, Reason, SCHEMA, compile_linked};
use tidelock_policy::{CompileError, Compiled, Context, Entity, EntityRef, Image, Request, Source};

const TEMPLATES: &str = r#"
    @id("access")
    permit(principal in ?principal, action == Action::"connect", resource == ?resource);
    @id("all of it")
    permit(principal is Workload in ?principal, action, resource);
    permit(principal == Workload::"root", action, resource);
"#;

fn compile<'l>(links: &[Link<'l>]) -> Result<Compiled, Vec<CompileError>> {
    let source = Source {
        name: "t.cedar",
        text: TEMPLATES,
    };
    compile_linked(SCHEMA, &[source], links)
}

fn link<'l>(template: &'l str, name: &'l str, principal: &'l str) -> Link<'l> {
    Link {
        template,
        name,
        principal: Some(EntityRef::new("Workload", principal)),
        resource: None,
    }
}

fn decide(compiled: &Compiled, principal: &str, service: &str) -> Vec<String> {
    let image = Image::check(&compiled.image).unwrap();
    let decision = image.decide(&Request {
        principal: Entity::new("Workload", principal, &[EntityRef::new("Workload", "shop")]),
        action: "connect",
        resource: Entity::new("Service", service, &[]),
        context: Context::EMPTY,
    });
    let mut names: Vec<_> = decision.policies().map(String::from).collect();
    names.sort();
    names
}

#[test]
fn a_link_decides_as_its_template_with_the_slots_filled() {
    let access = Link {
        resource: Some(EntityRef::new("Service", "db")),
        ..link("access", "shop to db", "shop")
    };
    let compiled = compile(&[access, link("all of it", "web", "web")]).unwrap();
    assert_eq!(decide(&compiled, "web", "db"), ["shop to db", "web"]);
    assert_eq!(decide(&compiled, "app", "db"), ["shop to db"]);
    assert_eq!(decide(&compiled, "app", "web"), [""; 0]);
    let names: Vec<_> = compiled.policies.iter().map(|p| &*p.policy).collect();
    assert_eq!(
        names,
        ["access", "all of it", "policy2", "shop to db", "web"]
    );
}

#[test]
fn a_template_that_nothing_links_decides_nothing() {
    let compiled = compile(&[]).unwrap();
    assert_eq!(Image::check(&compiled.image).unwrap().policy_count(), 1);
    assert_eq!(decide(&compiled, "web", "db"), [""; 0]);
}

#[test]
fn a_template_that_nothing_links_is_warned_of_at_its_slot() {
    let warned = |links: &[Link<'_>]| -> Vec<(u32, String)> {
        let warnings = compile(links).unwrap().warnings.into_iter();
        let unlinked = warnings.filter(|odd| {
            odd.message()
                .starts_with("decides nothing: it is a template")
        });
        unlinked
            .map(|odd| odd.place.unwrap())
            .map(|place| (place.line, place.policy))
            .collect()
    };
    assert_eq!(warned(&[]), [(3, "access".into()), (5, "all of it".into())]);
    let access = Link {
        resource: Some(EntityRef::new("Service", "db")),
        ..link("access", "a", "web")
    };
    assert_eq!(warned(&[access]), [(5, "all of it".into())]);
    assert_eq!(warned(&[access, link("all of it", "b", "web")]), []);
}

#[test]
fn wrong_links_are_refused_with_their_templates_place() {
    let errors = compile(&[
        link("none", "a", "web"),
        link("access", "b", "web"),
        Link {
            principal: Some(EntityRef::new("No such kind", "x")),
            ..link("all of it", "c", "web")
        },
    ])
    .unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(
        errors
            .iter()
            .all(|error| matches!(error.reason, Reason::Link(_)))
    );
    let lines: Vec<_> = errors
        .iter()
        .map(|error| {
            error
                .place
                .as_ref()
                .map(|place| (place.line, place.policy.as_str()))
        })
        .collect();
    assert_eq!(lines, [Some((2, "b")), Some((4, "c")), None]);
}
