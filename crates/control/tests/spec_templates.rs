//! Templates of SPIFFE IDs in documents: what they give each node, and what is refused, at which line, and why.

use tidelock_control::Name;
use tidelock_control::document::{Document, Format, SourceFile, WorkloadId, parse_files};
use tidelock_spiffe_core::TrustDomain;

fn parse(id: &str) -> Result<WorkloadId, Vec<String>> {
    let text = format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: a}}\nspec:\n  \
         selectors: ['unix:path:/a']\n  spiffeID: {id}\n"
    );
    let file = SourceFile {
        name: "f.yaml".into(),
        text,
        format: Format::Yaml,
    };
    let ours = TrustDomain::parse("example.org").expect("a trust domain");
    match parse_files(&[file], ours) {
        Ok(documents) => match documents.into_iter().next() {
            Some(Document::WorkloadIdentity(identity)) => Ok(identity.spiffe_id),
            other => panic!("{other:?}"),
        },
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn on(id: &WorkloadId, node: &str) -> Option<String> {
    let node = Name::parse(node).expect("a name");
    id.on(&node).map(|id| id.as_str().to_owned())
}

#[test]
fn every_node_has_its_own_id_of_a_template() {
    let id = parse("spiffe://{{trustDomain}}/{{node.name}}/web").expect("good");
    assert_eq!(id.to_string(), "spiffe://{{trustDomain}}/{{node.name}}/web");
    for node in ["n1", "n.2_3", "tidelock-1"] {
        let expected = format!("spiffe://example.org/{node}/web");
        assert_eq!(on(&id, node), Some(expected));
    }
    let id = parse("spiffe://{{ trustDomain }}/web").expect("good");
    assert_eq!(on(&id, "n1").as_deref(), Some("spiffe://example.org/web"));
    let id = parse("spiffe://example.org/web").expect("good");
    assert_eq!(on(&id, "n1").as_deref(), Some("spiffe://example.org/web"));
}

#[test]
fn no_name_of_a_node_makes_an_id_that_is_tidelocks_own() {
    let id = parse("spiffe://example.org/{{node.name}}/control").expect("good");
    assert_eq!(on(&id, "tidelock"), None);
    let id = parse("spiffe://example.org/tide{{node.name}}/control").expect("good");
    assert_eq!(on(&id, "lock"), None);
    assert!(on(&id, "locks").is_some());
}

#[test]
fn templates_that_are_wrong_are_refused_where_they_stand() {
    let long = format!(
        "spiffe://example.org/{}/{{{{node.name}}}}",
        "a".repeat(1990)
    );
    for (id, reason) in [
        (
            "spiffe://example.org/{{node.nam}}",
            "`spiffe://example.org/{{node.nam}}` is not a template of SPIFFE IDs: there is no such variable; known are \
             `trustDomain` `node.name` `node.group` `unix.user` `unix.uid` `unix.gid` `systemd.unit` `exe.name`, `trustDomain` only \
             in the place of a trust domain (at byte 21)",
        ),
        (
            "spiffe://example.org/{{node.name}}/",
            "`spiffe://example.org/{{node.name}}/` is not a template of SPIFFE IDs: a segment is empty, `.` or `..` \
             (at byte 35)",
        ),
        (
            "spiffe://{{trustDomain}}",
            "`spiffe://{{trustDomain}}` is not a template of SPIFFE IDs: it has no path",
        ),
        (
            "spiffe://other.org/{{node.name}}",
            "`spiffe://other.org/{{node.name}}` is not in the trust domain `example.org`",
        ),
        (
            "spiffe://{{trustDomain}}/tidelock/{{node.name}}",
            "`spiffe://{{trustDomain}}/tidelock/{{node.name}}`: IDs below `/tidelock/` are Tidelock's own",
        ),
        (
            &long,
            &format!(
                "`{long}` does not give every node a SPIFFE ID: what comes of the template is no SPIFFE ID"
            ),
        ),
    ] {
        let expected = format!("f.yaml:6:13: spec.spiffeID: {reason}");
        assert_eq!(parse(id), Err(vec![expected]), "{id:.60}");
    }
}

#[test]
fn a_process_is_admitted_to_what_comes_of_its_template_on_its_node_only() {
    let id = parse("spiffe://{{trustDomain}}/{{node.name}}/user/{{unix.uid}}").expect("good");
    let node = Name::parse("n1").expect("a name");
    assert!(id.is_of_process());
    assert_eq!(on(&id, "n1"), None, "no one ID");
    let told = id.for_node(&node);
    assert_eq!(
        told.as_deref(),
        Some("spiffe://example.org/n1/user/{{unix.uid}}")
    );
    let admitted = |asked: &str| id.admitted(&node, asked).map(|id| id.as_str().to_owned());
    for uid in ["0", "7", "1000", "4294967294"] {
        let asked = format!("spiffe://example.org/n1/user/{uid}");
        assert_eq!(admitted(&asked), Some(asked.clone()));
    }
    for asked in [
        "spiffe://example.org/n2/user/7",
        "spiffe://example.org/n1/users/7",
        "spiffe://example.org/n1/user/07",
        "spiffe://example.org/n1/user/4294967295",
        "spiffe://example.org/n1/user/ada",
        "spiffe://example.org/n1/user/",
        "spiffe://example.org/n1/user/7/",
        "spiffe://example.org/n1/user/7/x",
        "spiffe://example.org/n1/user",
        "spiffe://other.org/n1/user/7",
        "SPIFFE://example.org/n1/user/7",
        "spiffe://example.org/n1/user/{{unix.uid}}",
    ] {
        assert_eq!(admitted(asked), None, "{asked}");
    }
    let id = parse("spiffe://example.org/{{exe.name}}/control").expect("good");
    let tidelock = "spiffe://example.org/Tidelock/control";
    assert_eq!(id.admitted(&node, tidelock), None, "it looks like ours");
}

#[test]
fn the_name_of_a_file_is_a_variable_only_where_selectors_name_its_path() {
    let file = |selectors: &str| {
        let text = format!(
            "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: a}}\nspec:\n  \
             selectors: [{selectors}]\n  spiffeID: 'spiffe://example.org/{{{{exe.name}}}}'\n"
        );
        let name = "f.yaml".into();
        let format = Format::Yaml;
        let ours = TrustDomain::parse("example.org").expect("a trust domain");
        parse_files(&[SourceFile { name, text, format }], ours)
    };
    assert!(file("'unix:path:/a'").is_ok());
    let by_content = format!("'unix:sha256:{}', 'unix:uid:1'", "0".repeat(64));
    let errors = file(&by_content).expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = "f.yaml:6:13: spec.spiffeID: `spiffe://example.org/{{exe.name}}`: for `{{exe.name}}` every way to fit has \
         to name a path: a file that is told by its content can be given any name";
    assert_eq!(errors, [expected]);
}
