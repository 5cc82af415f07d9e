//! Policies that decide nothing, since nobody asks what they are about, are warned of; and what one action alone gives sense
//! is not said to be without.
#![cfg(feature = "compile")]

use tidelock_policy::compile::{Link, SCHEMA, compile_linked};
use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Source, Value, compile, tools,
};

/// What is odd about policies, each with its column.
fn warnings(text: &str) -> Vec<(u32, String)> {
    let compiled = compile(&[Source { name: "a", text }]).unwrap_or_else(|errors| {
        panic!("{text}: {errors:#?}");
    });
    let odd = compiled.warnings.iter();
    odd.map(|odd| {
        (
            odd.place.as_ref().map_or(0, |place| place.column),
            odd.message(),
        )
    })
    .collect()
}

/// The only warning.
fn only(text: &str) -> String {
    match warnings(text).as_slice() {
        [(_, only)] => only.clone(),
        other => panic!("{text}: {other:#?}"),
    }
}

fn scoped(effect: &str, actions: &str, resource: &str) -> String {
    format!("{effect}(principal, action{actions}, {resource});")
}

const LISTEN: &str = " == Action::\"listen\"";
const HTTP: &str = " == Action::\"http\"";

#[test]
fn a_permit_of_listening_is_warned_of() {
    let text = scoped("permit", LISTEN, "resource");
    let checked = tools::check(
        SCHEMA,
        &[Source {
            name: "a.cedar",
            text: &text,
        }],
    );
    let [odd] = checked.warnings.as_slice() else {
        panic!("{:#?}", checked.warnings)
    };
    assert_eq!(
        odd.to_string(),
        "a.cedar:1:37: policy `policy0`: permits nothing: to listen takes no permit. Who may is what the Service's `servers` \
         say; a `forbid` takes it away"
    );
    for same in [
        scoped("permit", " in [Action::\"listen\"]", "resource == Service::\"db\""),
        "permit(principal, action, resource) when { action == Action::\"listen\" && context.port == 1 };".into(),
        "permit(principal, action == Action::\"listen\", resource) when { context has process };".into(),
    ] {
        assert!(only(&same).contains("to listen takes no permit"), "{same}");
    }
}

#[test]
fn what_is_about_more_than_listening_is_not_warned_of() {
    for fine in [
        scoped("permit", "", "resource"),
        scoped("permit", " in [Action::\"listen\", Action::\"connect\"]", "resource"),
        scoped("permit", " in [Action::\"listen\", Action::\"http\"]", "resource"),
        scoped("permit", " in [Action::\"listen\", Action::\"inject\"]", "resource"),
        scoped("forbid", LISTEN, "resource == Service::\"db\""),
        scoped("forbid", LISTEN, "resource is Service"),
        "permit(principal, action, resource) when { action != Action::\"listen\" };".into(),
        "forbid(principal, action == Action::\"listen\", resource) when { context has process.uid && context.process.uid == 0 };"
            .into(),
    ] {
        assert!(warnings(&fine).is_empty(), "{fine}: {:#?}", warnings(&fine));
    }
}

#[test]
fn who_is_asked_about_is_always_a_service() {
    for (actions, resource, instead) in [
        ("", "resource is External", "External::\"…\""),
        (
            " == Action::\"connect\"",
            "resource == External::\"api.example.com\"",
            "External::\"api.example.com\"",
        ),
        (
            HTTP,
            "resource is External in External::\"a\"",
            "External::\"…\"",
        ),
    ] {
        for (effect, word) in [("permit", "permits"), ("forbid", "forbids")] {
            let text = scoped(effect, actions, resource);
            let [(column, told)] = &warnings(&text)[..] else {
                panic!("{text}: {:#?}", warnings(&text))
            };
            let begins =
                format!("{word} nothing: the resource that is asked about is always a Service.");
            assert!(
                told.starts_with(&begins) && told.contains(instead),
                "{told}"
            );
            assert_eq!(
                text.find("External").map(|at| at + 1),
                usize::try_from(*column).ok()
            );
        }
    }
    // What is written instead is not warned of.
    for fine in [
        "resource in External::\"api.example.com\"",
        "resource is Service in External::\"api.example.com\"",
    ] {
        let text = scoped("permit", " == Action::\"connect\"", fine);
        assert!(warnings(&text).is_empty(), "{text}: {:#?}", warnings(&text));
    }
}

#[test]
fn no_service_is_in_an_address() {
    for address in ["192.0.2.0/24", "192.0.2.1", "2001:db8::/32"] {
        let text = scoped(
            "forbid",
            "",
            &format!("resource in External::\"{address}\""),
        );
        let told = only(&text);
        assert!(told.starts_with("forbids nothing: "), "{told}");
        let instead = format!(
            "context has serverAddress && context.serverAddress.isInRange(ip(\"{address}\"))"
        );
        assert!(told.contains(&instead), "{told}");
        let text = format!(
            "forbid(principal, action == Action::\"connect\", resource) when {{ {instead} }};"
        );
        assert!(warnings(&text).is_empty(), "{text}: {:#?}", warnings(&text));
    }
    let listening = scoped("forbid", LISTEN, "resource in External::\"10.0.0.0/8\"");
    assert!(only(&listening).contains("context has address && context.address.isInRange"));
}

#[test]
fn what_only_a_server_here_asks_is_not_asked_of_one_outside() {
    let outside = "resource in External::\"api.example.com\"";
    for (effect, actions) in [("forbid", LISTEN), ("forbid", HTTP), ("permit", HTTP)] {
        let told = only(&scoped(effect, actions, outside));
        assert!(
            told.contains("only a server here asks about `listen` and `http`"),
            "{told}"
        );
    }
    let both = scoped(
        "permit",
        " in [Action::\"http\", Action::\"connect\"]",
        outside,
    );
    assert!(warnings(&both).is_empty());
}

#[test]
fn what_is_never_known_of_a_request_permits_none() {
    let text = "permit(principal, action == Action::\"http\", resource)
        when { context has onBehalfOf && context.onBehalfOf == User::\"ann\" };";
    assert_eq!(
        only(text),
        "permits nothing: `context.onBehalfOf` is never known of a request"
    );
    for known in [
        "process.uid",
        "time",
        "posture",
        "clientAddress",
        "serverAddress",
        "host",
    ] {
        let text = format!(
            "permit(principal, action == Action::\"http\", resource) when {{ context has {known} }};"
        );
        assert!(warnings(&text).is_empty(), "{text}: {:#?}", warnings(&text));
    }
}

/// What an image of a policy decides where the server's end asks about itself or about a request, of a process of root.
fn asked(text: &str, action: &str) -> Outcome {
    let compiled = compile(&[Source { name: "a", text }]).unwrap();
    let root = [
        Attribute::new("uid", Value::Long(0)),
        Attribute::new("gid", Value::Long(0)),
    ];
    let context = [
        Attribute::port(80),
        Attribute::new("method", Value::Str("GET")),
        Attribute::new("path", Value::Str("/")),
        Attribute::new("process", Value::Record(&root)),
    ];
    let image = Image::check(&compiled.image).unwrap();
    image
        .decide(&Request {
            principal: Entity::new("Workload", "spiffe://td/a", &[]),
            action,
            resource: Entity::new("Service", "s", &[]),
            context: Context::new(&context),
        })
        .outcome()
}

#[test]
fn what_decides_about_listening_or_requests_is_not_said_to_decide_nothing() {
    let root = "when { context has process.uid && context.process.uid == 0 };";
    let forbid = format!("forbid(principal, action, resource) {root}");
    assert_eq!(asked(&forbid, "listen"), Outcome::Forbidden);
    assert_eq!(asked(&forbid, "http"), Outcome::Forbidden);
    assert!(warnings(&forbid).is_empty(), "{:#?}", warnings(&forbid));
    // Of a connection alone it forbids nothing.
    let of_connection = forbid.replace("action,", "action == Action::\"connect\",");
    assert!(only(&of_connection).starts_with("forbids nothing: `context.process`"));

    let permit = format!("permit(principal, action, resource) {root}");
    assert_eq!(asked(&permit, "http"), Outcome::Permitted);
    let told = only(&permit);
    assert!(
        told.starts_with("permits no connection: `context.process` is known at neither end"),
        "{told}"
    );
}

#[test]
fn a_link_is_warned_of_by_what_fills_its_slot() {
    let source = Source {
        name: "a",
        text: "@id(\"t\") permit(principal, action == Action::\"connect\", resource == ?resource);",
    };
    for (kind, warned) in [("External", 1), ("Service", 0)] {
        let link = Link {
            template: "t",
            name: "link",
            principal: None,
            resource: Some(EntityRef::new(kind, "x")),
        };
        let compiled = compile_linked(SCHEMA, &[source], &[link]).unwrap();
        assert_eq!(
            compiled.warnings.len(),
            warned,
            "{kind}: {:#?}",
            compiled.warnings
        );
    }
}
