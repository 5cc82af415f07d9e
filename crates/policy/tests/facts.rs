//! Facts of processes: the published schema has them for each end, and only behind `has`.
#![cfg(feature = "compile")]

use tidelock_policy::{
    Attribute, Context, Entity, Image, Outcome, Request, Source, Value, compile,
};

fn image(text: &str) -> Result<Vec<u8>, String> {
    let compiled = compile(&[Source { name: "a", text }]);
    compiled
        .map(|compiled| compiled.image)
        .map_err(|errors| errors[0].to_string())
}

fn decide(image: &[u8], end: &str, uid: i64, exe: Option<&str>) -> Outcome {
    let mut facts = vec![
        Attribute::new("uid", Value::Long(uid)),
        Attribute::new("gid", Value::Long(7)),
    ];
    facts.extend(exe.map(|exe| Attribute::new("exe", Value::Str(exe))));
    let context = [
        Attribute::port(443),
        Attribute::new(end, Value::Record(&facts)),
    ];
    let request = Request {
        principal: Entity::new("Workload", "spiffe://td/a", &[]),
        action: "connect",
        resource: Entity::new("Service", "s", &[]),
        context: Context::new(&context),
    };
    Image::check(image).unwrap().decide(&request).outcome()
}

#[test]
fn a_fact_without_has_is_refused_when_compiled() {
    for condition in [
        "context.client.uid == 0",
        "context.server.gid == 0",
        "context has server && context.client.uid == 0",
        // Cedar's validator learns nothing from what is not so.
        "!(context has client) || context.client.uid == 0",
        "context has client && context.client.exe == \"/a\"",
        "context has client && context.client.sha256 == \"00\"",
        "context has client && context.client.cgroup like \"/system.slice/*\"",
        "context has client && context.client.container == \"00\"",
        "context has server && context.server.namespace == \"host\"",
        "context has server && context.server.adopted",
    ] {
        let text = format!(
            "permit(principal, action == Action::\"connect\", resource) when {{ {condition} }};"
        );
        assert!(image(&text).is_err(), "{condition}");
    }
}

#[test]
fn what_is_known_to_be_wrong_denies_at_its_end_alone() {
    let unless = "permit(principal, action == Action::\"connect\", resource)
        unless { context has client && context.client.uid != 1000 };";
    let forbid = "permit(principal, action == Action::\"connect\", resource);
        forbid(principal, action == Action::\"connect\", resource)
        when { context has client && context.client.uid != 1000 };";
    for (text, denied) in [(unless, Outcome::NoPermit), (forbid, Outcome::Forbidden)] {
        let image = image(text).unwrap();
        assert_eq!(decide(&image, "client", 1000, None), Outcome::Permitted);
        assert_eq!(decide(&image, "client", 0, None), denied);
        assert_eq!(decide(&image, "server", 0, None), Outcome::Permitted);
    }
}

#[test]
fn a_permit_that_needs_a_fact_permits_nothing_at_the_other_end() {
    let image = image(
        "permit(principal, action == Action::\"connect\", resource)
        when { context has client.exe && context.client.exe == \"/usr/bin/curl\" };",
    )
    .unwrap();
    let curl = Some("/usr/bin/curl");
    assert_eq!(decide(&image, "client", 1, curl), Outcome::Permitted);
    assert_eq!(decide(&image, "client", 1, None), Outcome::NoPermit);
    assert_eq!(decide(&image, "server", 1, curl), Outcome::NoPermit);
}

#[test]
fn an_image_says_what_it_reads() {
    let reads = |condition: &str| {
        let text = format!(
            "permit(principal, action == Action::\"connect\", resource) when {{ {condition} }};"
        );
        let image = image(&text).unwrap();
        let image = Image::check(&image).unwrap();
        ["port", "client", "server"].map(|name| image.reads(name))
    };
    assert_eq!(reads("context.port == 443"), [true, false, false]);
    assert_eq!(reads("context has client"), [false, true, false]);
    assert_eq!(
        reads("context has server && context.server.uid == 0"),
        [false, false, true]
    );
    assert_eq!(reads("context == context"), [true, true, true]);
}

#[test]
fn an_image_says_which_fact_it_reads() {
    let reads = |condition: &str| {
        let text = format!(
            "permit(principal, action == Action::\"connect\", resource) when {{ {condition} }};"
        );
        let image = image(&text).unwrap();
        let image = Image::check(&image).unwrap();
        ["client", "server"].map(|end| image.reads_field(end, "sha256"))
    };
    assert_eq!(reads("context.port == 443"), [false, false]);
    assert_eq!(
        reads("context has client && context.client.uid == 0"),
        [false, false]
    );
    assert_eq!(reads("context has client.sha256"), [true, false]);
    assert_eq!(
        reads("context has server.sha256 && context.server.sha256 == \"00\""),
        [false, true]
    );
    // Whole records have it too.
    assert_eq!(
        reads("context has client && context.client == context.client"),
        [true, false]
    );
    assert_eq!(reads("context == context"), [true, true]);
}

#[test]
fn an_image_says_what_it_may_forbid() {
    let may = |policy: &str| {
        let image = image(policy).unwrap();
        let image = Image::check(&image).unwrap();
        ["connect", "listen"].map(|action| image.may_forbid(action))
    };
    assert_eq!(may("permit(principal, action, resource);"), [false; 2]);
    assert_eq!(may("forbid(principal, action, resource);"), [true; 2]);
    let only = "forbid(principal, action == Action::\"listen\", resource);";
    assert_eq!(may(only), [false, true]);
    let either =
        "forbid(principal, action in [Action::\"listen\", Action::\"connect\"], resource);";
    assert_eq!(may(either), [true; 2]);
}
