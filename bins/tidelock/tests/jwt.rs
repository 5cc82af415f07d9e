//! `tidelock jwt`, `bundle` and `authority --kind jwt`, as people run them: what is printed is for other programs.

mod support;

use serde_json::Value;
use support::{Bench, domain};
use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256};
use tidelock_spiffe_core::{Bundle, BundleSet, pem};

fn start() -> Bench {
    Bench::start(|options| options.jwt_timing.propagation_secs = 0)
}

/// As who is shown it does, with what `tidelock bundle` prints and nothing else.
fn taken(bench: &Bench, token: &str, audience: &str) -> Result<String, JwtError> {
    let bundle = Bundle::from_jwks(domain(), &bench.ok("bundle")).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (bundles, names) = (BundleSet::from(bundle), [audience]);
    let audience = Audience::of(&names);
    let now = i64::try_from(now).unwrap();
    let read = JwtSvid::validate(token.trim(), &bundles, audience, now, &P256)?;
    Ok(read.id().as_str().to_owned())
}

const MINT: &str = "jwt mint --id spiffe://example.org/ci/build --audience reports";

#[test]
fn a_token_is_printed_bare_and_what_tidelock_bundle_prints_verifies_it() {
    let bench = start();
    let token = bench.ok(MINT);
    assert_eq!((token.lines().count(), token.split('.').count()), (1, 3));
    let id = "spiffe://example.org/ci/build".to_owned();
    assert_eq!(taken(&bench, &token, "reports"), Ok(id.clone()));
    assert_eq!(taken(&bench, &token, "bank"), Err(JwtError::Audience));
    let json = bench.json(&format!("{MINT} --audience more --ttl 90s"));
    assert_eq!(
        taken(&bench, json["token"].as_str().unwrap(), "more"),
        Ok(id)
    );
    assert!(json["expires"].as_str().unwrap().ends_with('Z'));
    let keys = bench.json("authority list");
    assert_eq!(json["key_id"], keys["jwt"][0]["id"]);

    let pem = bench.ok("bundle --format pem");
    let file = std::fs::read_to_string(bench.dir.path().join("ca/bundle.pem")).unwrap();
    assert_eq!(pem, file);
    assert_eq!(pem::decode("CERTIFICATE", &pem).unwrap().len(), 1);
}

#[test]
fn what_no_token_can_be_is_refused_with_a_code() {
    let bench = start();
    for (line, code) in [
        (format!("{MINT} --ttl 2h"), "JWT_LIFE_INVALID"),
        (format!("{MINT} --audience reports"), "AUDIENCE_INVALID"),
        (MINT.replace("/ci", ".net/ci"), "ARGUMENT_INVALID"),
        (MINT.replace("/ci", "/tidelock"), "ARGUMENT_INVALID"),
    ] {
        let output = bench.run(&format!("-o json {line}"));
        assert_eq!(output.status.code(), Some(1), "{line}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["errors"][0]["code"], code, "{line}");
    }
    let without = bench.run("jwt mint --id spiffe://example.org/ci/build");
    assert_eq!(without.status.code(), Some(2), "{without:?}");
}

#[test]
fn a_key_that_signs_tokens_goes_through_its_life() {
    let bench = start();
    let token = bench.ok(MINT);
    let first = bench.json("authority list")["jwt"][0]["id"].clone();
    let first = first.as_str().unwrap();
    let prepared = bench.json("authority prepare --kind jwt");
    let prepared = &prepared["authority"];
    assert_eq!(
        (&prepared["kind"], &prepared["state"]),
        (&"jwt".into(), &"prepared".into())
    );
    let second = prepared["id"].as_str().unwrap();
    let table = bench.ok("authority list");
    let kinds: Vec<_> = table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(kinds, ["KIND", "x509", "jwt", "jwt"]);
    let active = bench.ok(&format!("authority activate {second}"));
    assert!(
        active.starts_with(&format!("jwt authority {second} active\n")),
        "{active}"
    );
    bench.ok(&format!("authority taint {first}"));
    assert!(taken(&bench, &token, "reports").is_ok());
    bench.ok(&format!("authority revoke {first}"));
    assert_eq!(taken(&bench, &token, "reports"), Err(JwtError::KeyId));
    assert!(taken(&bench, &bench.ok(MINT), "reports").is_ok());
    let told = format!("jwt authority {first} revoked");
    assert!(bench.ok("events").contains(&told));
    let audited = bench.ok("audit list --all");
    assert!(
        audited.contains("jwt-svid-issued") && audited.contains("kind=jwt"),
        "{audited}"
    );
    let crl = bench.run(&format!("authority crl {second}"));
    assert_eq!(crl.status.code(), Some(1), "such a key signs no list");
}
