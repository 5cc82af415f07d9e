//! `mode` and `onUnavailable` of Services: what is read, and what is refused where it stands.

use tidelock_control::document::{
    Document, Format, OnUnavailable, Service, ServiceMode, SourceFile, parse_files,
};
use tidelock_spiffe_core::TrustDomain;

const HEAD: &str = "apiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
                    addresses: ['10.0.0.1:80']\n";
const SERVERS: &str = "  servers: ['spiffe://example.org/web']\n";

fn parse(rest: &str) -> Result<Service, Vec<String>> {
    let file = SourceFile {
        name: "f.yaml".into(),
        text: format!("{HEAD}{rest}"),
        format: Format::Yaml,
    };
    let ours = TrustDomain::parse("example.org").expect("a trust domain");
    match parse_files(&[file], ours) {
        Ok(documents) => match documents.into_iter().next() {
            Some(Document::Service(service)) => Ok(service),
            other => panic!("{other:?}"),
        },
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn refused(rest: &str, expected: &str) {
    assert_eq!(parse(rest).expect_err(rest), [expected], "{rest}");
}

#[test]
fn strict_unless_it_is_written_otherwise() {
    let service = parse(SERVERS).expect("good");
    assert_eq!(service.mode, ServiceMode::Strict);
    assert_eq!(service.on_unavailable, OnUnavailable::Deny);
}

#[test]
fn every_mode_is_read() {
    for mode in ServiceMode::ALL {
        let service = parse(&format!("{SERVERS}  mode: {}\n", mode.as_str()));
        assert_eq!(service.expect("good").mode, mode);
    }
}

#[test]
fn servers_are_named_where_they_prove_who_they_are() {
    for mode in ["plain", "deny"] {
        let service = parse(&format!("  mode: {mode}\n")).expect(mode);
        assert!(service.servers.is_empty());
    }
    for mode in ["strict", "permissive"] {
        refused(
            &format!("  mode: {mode}\n"),
            "f.yaml:5:3: spec.servers: is missing",
        );
    }
    refused(
        "  mode: plain\n  servers: []\n",
        "f.yaml:7:12: spec.servers: is an empty list; at least one item is needed",
    );
}

#[test]
fn words_that_are_none_are_refused_with_those_that_are() {
    refused(
        &format!("{SERVERS}  mode: Permissive\n"),
        "f.yaml:7:9: spec.mode: is `Permissive`; known are `strict`, `permissive`, `plain` and `deny`",
    );
    refused(
        &format!("{SERVERS}  mode: permissive\n  onUnavailable: permit\n"),
        "f.yaml:8:18: spec.onUnavailable: is `permit`; known are `deny` and `allow`",
    );
}

#[test]
fn nobody_goes_in_plain_to_who_would_refuse_it() {
    for mode in ["permissive", "plain"] {
        let service = parse(&format!(
            "{SERVERS}  mode: {mode}\n  onUnavailable: allow\n"
        ));
        assert_eq!(
            service.expect(mode).on_unavailable,
            OnUnavailable::Allow,
            "{mode}"
        );
    }
    refused(
        &format!("{SERVERS}  onUnavailable: allow\n"),
        "f.yaml:7:18: spec.onUnavailable: is `allow`, but in `mode: strict` nobody takes a connection in plain: write \
         `mode: permissive` or `mode: plain`, or leave it out",
    );
}

/// Else a client in plain could write `X-Forwarded-Client-Cert` itself.
#[test]
fn no_transform_beside_clients_that_pass_it_by() {
    refused(
        &format!("{SERVERS}  mode: permissive\n  transform: forwardClientCert\n"),
        "f.yaml:8:14: spec.transform: does not see what clients in plain say, and in `mode: permissive` servers take them: a \
         program could not tell the two apart",
    );
    assert!(parse(&format!("{SERVERS}  mode: deny\n  transform: identity\n")).is_ok());
}
