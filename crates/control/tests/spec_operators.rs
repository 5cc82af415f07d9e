//! Documents of kind Operator: which are read, and what is said of the others.

use tidelock_control::document::{Document, Format, MAX_PREFIXES, Role, SourceFile, parse_files};
use tidelock_spiffe_core::TrustDomain;

/// Reads an Operator of this spec, which begins in line 4.
fn read(spec: &str) -> Result<Document, Vec<String>> {
    let text = format!(
        "apiVersion: tidelock.dev/v1\nkind: Operator\nmetadata: {{name: bob}}\nspec: {spec}\n"
    );
    let file = SourceFile {
        name: "f".into(),
        text,
        format: Format::Yaml,
    };
    let ours = TrustDomain::parse("example.org").expect("trust domain");
    let read = parse_files(&[file], ours);
    read.map(|mut documents| documents.remove(0))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn roles_and_prefixes_are_read_and_written_in_one_form() {
    let Ok(Document::Operator(bob)) =
        read("{roles: [revoker, editor], prefixes: [/pay/, /shop/a-1.b_c]}")
    else {
        panic!("not read");
    };
    assert_eq!(
        bob.roles.into_iter().collect::<Vec<_>>(),
        [Role::Editor, Role::Revoker]
    );
    let prefixes: Vec<_> = bob.prefixes.iter().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["/pay", "/shop/a-1.b_c"]);
    for good in [
        "{roles: [admin]}",
        "{roles: [admin], prefixes: [/]}",
        "{roles: [viewer, admin]}",
        "{roles: [issuer, editor], prefixes: [/, /a]}",
        "{roles: [issuer], prefixes: [/a]}",
    ] {
        assert!(read(good).is_ok(), "{good}");
    }
}

#[test]
fn what_no_operator_can_be_is_refused_where_it_stands() {
    for (spec, told) in [
        ("{prefixes: [/a]}", "f:4:7: spec.roles: is missing"),
        ("{roles: [editor]}", "f:4:7: spec.prefixes: is missing"),
        (
            "{roles: [], prefixes: [/a]}",
            "f:4:15: spec.roles: is an empty list",
        ),
        (
            "{roles: [editor], prefixes: []}",
            "f:4:35: spec.prefixes: is an empty list",
        ),
        (
            "{roles: [owner], prefixes: [/a]}",
            "f:4:16: spec.roles[0]: is `owner`; known are `viewer`",
        ),
        ("{roles: [Admin]}", "spec.roles[0]: is `Admin`"),
        (
            "{roles: [viewer, viewer], prefixes: [/a]}",
            "f:4:24: spec.roles[1]: `viewer` is named twice",
        ),
        (
            "{roles: [viewer], prefixes: [/a, /a/]}",
            "spec.prefixes[1]: `/a/` is named twice",
        ),
        (
            "{roles: [viewer], prefixes: [a]}",
            "spec.prefixes[0]: `a` has to begin with `/`",
        ),
        (
            "{roles: [viewer], prefixes: [/a//b]}",
            "is the beginning of no SPIFFE ID's path",
        ),
        (
            "{roles: [viewer], prefixes: ['spiffe://example.org/a']}",
            "has to begin with `/`",
        ),
        (
            "{roles: [viewer], prefixes: ['/{{node.name}}']}",
            "is the beginning of no SPIFFE ID's path",
        ),
        (
            "{roles: [viewer], prefixes: [/Tidelock/agent]}",
            "is Tidelock's own",
        ),
        (
            "{roles: [admin], prefixes: [/a]}",
            "the role `admin` cannot be bound to paths",
        ),
        (
            "{roles: [viewer], prefixes: [/a], expires: never}",
            "spec.expires: is not a known field",
        ),
    ] {
        let errors = read(spec).expect_err(spec);
        assert!(
            errors.iter().any(|error| error.contains(told)),
            "{spec}: {errors:?}"
        );
    }
}

#[test]
fn the_prefixes_of_an_operator_are_bounded() {
    let spec = |count| {
        let prefixes: Vec<_> = (0..count).map(|n| format!("/p{n}")).collect();
        format!("{{roles: [viewer], prefixes: [{}]}}", prefixes.join(", "))
    };
    assert!(read(&spec(MAX_PREFIXES)).is_ok());
    let errors = read(&spec(MAX_PREFIXES + 1)).expect_err("too many");
    assert!(errors[0].contains("at most 64 are possible"), "{errors:?}");
}
