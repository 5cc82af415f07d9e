//! Policies that are only observed: an image of their own.
#![cfg(feature = "compile")]

use tidelock_policy::compile::compile_observing;
use tidelock_policy::{Attribute, Context, Entity, Image, Outcome, Request, Source, compile};

#[test]
fn observed_policies_have_an_image_of_their_own_and_keep_their_numbers() {
    let sources = [
        Source {
            name: "now",
            text: "permit(principal, action, resource);",
        },
        Source {
            name: "soon",
            text: "forbid(principal, action, resource) when { context.port == 22 };",
        },
    ];
    let outcome = |image: &[u8], port: u16| {
        let context = [Attribute::port(port)];
        let decision = Image::check(image).unwrap().decide(&Request {
            principal: Entity::new("Workload", "spiffe://td/a", &[]),
            action: "connect",
            resource: Entity::new("Service", "s", &[]),
            context: Context::new(&context),
        });
        let names: Vec<_> = decision.policies().map(str::to_owned).collect();
        (decision.outcome(), names.join(","))
    };
    let compiled = compile_observing(&sources, &|name| name == "soon").unwrap();
    assert_eq!(
        outcome(&compiled.image, 22),
        (Outcome::Permitted, "policy0".into())
    );
    assert_eq!(
        outcome(&compiled.observed, 22),
        (Outcome::Forbidden, "policy1".into())
    );
    assert_eq!(outcome(&compiled.observed, 23).0, Outcome::NoPermit);
    assert_eq!(compiled.policies.len(), 2);
    // Without any it is what it always was.
    let all = compile(&sources).unwrap();
    assert!(all.observed.is_empty());
    assert_eq!(
        compile_observing(&sources, &|_| false).unwrap().image,
        all.image
    );
    assert_eq!(outcome(&all.image, 22).0, Outcome::Forbidden);
}

#[test]
fn an_observed_policy_is_refused_as_any_other() {
    let sources = [Source {
        name: "soon",
        text: "permit(principal, action, resource) when { context.nothing };",
    }];
    let errors = compile_observing(&sources, &|_| true).unwrap_err();
    assert_eq!(errors[0].place.as_ref().unwrap().file, "soon");
}
