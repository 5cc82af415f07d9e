//! `mode` and `onUnavailable` of Services: what is read, and what is refused where it stands.

use tidelock_control::document::{
    Document, Format, MAX_FLOW_AGE_SECS, MAX_ROOTS_PER_SERVICE, OnUnavailable, Service,
    ServiceMode, SourceFile, parse_files,
};
use tidelock_spiffe_core::{TrustDomain, pem};

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

/// A CA certificate, in DER.
fn ca() -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("signed").der().to_vec()
}

/// A CA certificate, as PEM within a document.
fn root() -> String {
    let pem = pem::encode("CERTIFICATE", &ca());
    pem.lines().map(|line| format!("      {line}\n")).collect()
}

fn tls(server_name: &str, roots: &str) -> String {
    format!("  tls:\n    serverName: '{server_name}'\n    roots: |\n{roots}")
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
        let rest = match mode {
            ServiceMode::Originate => tls("api.example.com", &root()),
            _ => SERVERS.to_owned(),
        };
        let service = parse(&format!("{rest}  mode: {}\n", mode.as_str()));
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
        "f.yaml:7:9: spec.mode: is `Permissive`; known are `strict`, `permissive`, `plain`, `deny` and `originate`",
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

#[test]
fn a_server_outside_is_told_by_name_and_roots() {
    let both = format!("{}{}", root(), root());
    let written = format!("{}  mode: originate\n", tls("api.example.com", &both));
    let service = parse(&written).expect("good");
    assert!(service.servers.is_empty());
    let tls = service.tls.expect("written");
    assert_eq!((&*tls.server_name, tls.roots.len()), ("api.example.com", 2));
}

#[test]
fn without_roots_those_of_the_nodes_systems_vouch() {
    let tls = "  mode: originate\n  tls: {serverName: api.example.com}\n";
    let service = parse(tls).expect("good");
    assert!(service.tls.as_ref().expect("written").roots.is_empty());
    let printed = Document::Service(service.clone()).to_json().to_string();
    assert!(!printed.contains("roots"), "{printed}");
}

#[test]
fn a_flow_lives_from_a_second_to_a_year() {
    let read = |text: &str| parse(&format!("{SERVERS}  maxFlowAge: {text}\n"));
    assert_eq!(parse(SERVERS).expect("good").max_flow_age_secs, None);
    for (text, secs) in [("1s", 1), ("1h30m", 5_400), ("365d", MAX_FLOW_AGE_SECS)] {
        assert_eq!(read(text).expect(text).max_flow_age_secs, Some(secs));
    }
    for text in ["0s", "366d", "1", "1h 30m", "-1s", "''"] {
        let errors = read(text).expect_err(text);
        assert!(
            errors[0].starts_with("f.yaml:7:15: spec.maxFlowAge: "),
            "{errors:?}"
        );
    }
}

#[test]
fn only_a_server_outside_has_tls_and_it_has_nothing_else() {
    refused(
        "  mode: originate\n",
        "f.yaml:6:9: spec.mode: is `originate`, and `tls` has to say which server: its `serverName`, and its `roots` unless the nodes' own are meant",
    );
    let tls = tls("api.example.com", &root());
    refused(
        &format!("{SERVERS}{tls}"),
        "f.yaml:8:5: spec.tls: is for `mode: originate`: in `mode: strict` nobody speaks TLS to a server outside",
    );
    for (field, at) in [
        ("servers: ['spiffe://example.org/web']", "servers"),
        ("transform: identity", "transform"),
    ] {
        let errors = parse(&format!("  mode: originate\n  {field}\n{tls}")).expect_err(field);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains(&format!("spec.{at}: has no meaning in `mode: originate`")),
            "{errors:?}"
        );
    }
    let errors =
        parse(&format!("  mode: originate\n  onUnavailable: allow\n{tls}")).expect_err("plain");
    assert!(
        errors[0].contains("nobody takes a connection in plain"),
        "{errors:?}"
    );
}

#[test]
fn names_and_roots_that_are_none_are_refused_where_they_stand() {
    let wrong = |server_name: &str, roots: &str| {
        let errors = parse(&format!("  mode: originate\n{}", tls(server_name, roots)));
        let errors = errors.expect_err(server_name);
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].clone()
    };
    for name in [
        "",
        "API.example.com",
        "a..b",
        "*.example.com",
        "10.0.0.1:80",
        "a_b",
        "example.com.",
    ] {
        let error = wrong(name, &root());
        assert!(
            error.contains("f.yaml:8:17: spec.tls.serverName: "),
            "{error}"
        );
    }
    let roots = |roots: &str| wrong("api.example.com", roots);
    assert!(
        roots("      nothing\n")
            .contains("has no certificate: write the server's authorities here, in PEM")
    );
    let begun = root().replace("END", "ENDS");
    assert!(
        roots(&begun).contains("spec.tls.roots: "),
        "{}",
        roots(&begun)
    );
    let other = pem::encode("CERTIFICATE", b"no certificate").replace('\n', "\n      ");
    let error = roots(&format!("{}      {other}\n", root()));
    assert!(
        error.contains("certificate 2 cannot be an authority: "),
        "{error}"
    );
    let many: String = (0..=MAX_ROOTS_PER_SERVICE).map(|_| root()).collect();
    assert!(
        roots(&many).contains("roots of one Service"),
        "{}",
        roots(&many)
    );
}
