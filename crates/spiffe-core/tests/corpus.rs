//! Seeds for fuzzers, which keep their word: what is called accepted is, and what is called refused is.
//!
//! Keys, certificates and signatures in them were made with OpenSSL, so they also show that both agree.

mod bodies;
mod tokens;

use std::fs;
use std::path::Path;

use tidelock_spiffe_core::SpiffeIdBuf;
use tidelock_spiffe_core::bundle::{Bundle, BundleSet};
use tidelock_spiffe_core::jwt::{Audience, JwtSvid};
use tidelock_spiffe_core::x509::{Leaf, SigningCert};
use tokens::{ALL, NOW, domain};

/// Runs the seeds of one target: `accepts` says whether one is accepted.
fn run(target: &str, least: usize, body: fn(&[u8]), accepts: impl Fn(&str, &[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        body(&bytes);
        assert!(
            name.starts_with("accepted-") || name.starts_with("refused-"),
            "{name}"
        );
        assert_eq!(
            accepts(&name, &bytes),
            name.starts_with("accepted-"),
            "{target}/{name}"
        );
        count += 1;
    }
    assert!(count >= least, "{target} has {count} seeds");
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn spiffe_ids() {
    run("spiffe_id", 15, bodies::spiffe_id, |_, bytes| {
        SpiffeIdBuf::parse(text(bytes)).is_ok()
    });
}

#[test]
fn certificates() {
    run("x509", 15, bodies::certificate, |name, bytes| {
        if name.contains("signing") {
            SigningCert::parse(bytes).is_ok()
        } else {
            Leaf::parse(bytes).is_ok()
        }
    });
}

fn read(bytes: &[u8]) -> Option<Bundle> {
    Bundle::from_jwks(domain("example.org"), text(bytes)).ok()
}

#[test]
fn bundles() {
    run("bundle", 9, bodies::bundle, |_, bytes| {
        read(bytes).is_some()
    });
}

#[test]
fn every_kind_of_key_is_read() {
    let bundle = read(include_bytes!(
        "corpus/bundle/accepted-every-kind-of-key.json"
    ))
    .unwrap();
    assert_eq!(
        (
            bundle.x509_authorities().len(),
            bundle.jwt_authorities().len()
        ),
        (5, 4)
    );
    assert_eq!(
        (bundle.sequence, bundle.refresh_hint_secs),
        (Some(12), Some(300))
    );
    let passed_over = read(include_bytes!("corpus/bundle/accepted-passed-over.json")).unwrap();
    assert!(passed_over.is_empty());
}

#[test]
fn jwt_svid_2_1_tokens_of_every_algorithm() {
    let bundle = read(include_bytes!(
        "corpus/bundle/accepted-every-kind-of-key.json"
    ))
    .unwrap();
    let bundles = BundleSet::from(bundle);
    run("jwt", 20, bodies::jwt, |_, bytes| {
        let audience = Audience::of(&["reports"]);
        JwtSvid::validate(text(bytes), &bundles, audience, NOW, &ALL).is_ok()
    });
}

#[test]
fn jwt_svid_4_no_bit_of_a_signature_can_be_altered() {
    let bundle = read(include_bytes!(
        "corpus/bundle/accepted-every-kind-of-key.json"
    ))
    .unwrap();
    let bundles = BundleSet::from(bundle);
    for token in [
        include_str!("corpus/jwt/accepted-rs256"),
        include_str!("corpus/jwt/accepted-ps384"),
        include_str!("corpus/jwt/accepted-es384"),
        include_str!("corpus/jwt/accepted-es512"),
    ] {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = tokens::unurl(signature);
        for at in (0..signature.len()).step_by(7) {
            let mut bent = signature.clone();
            bent[at] ^= 1 << (at % 8);
            let bent = format!("{input}.{}", tokens::url(bent));
            let audience = Audience::of(&["reports"]);
            let refused = JwtSvid::validate(&bent, &bundles, audience, NOW, &ALL);
            assert!(refused.is_err(), "byte {at}");
        }
    }
}
