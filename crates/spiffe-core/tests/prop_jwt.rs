//! Tokens and JWK sets bent out of shape: refused or still lawful, and never a panic.

mod bodies;
mod common;
mod tokens;

use arbitrary::{Arbitrary as _, Unstructured};
use proptest::prelude::*;
use proptest::sample::Index;
use tidelock_spiffe_core::jwt::{Algorithm, Claims, JwtSvid, SigningInput, UnverifiedJwt};
use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf};
use tokens::*;

fn jwks() -> String {
    let mut bundle = bundle("example.org", &[("k1", 1)]);
    bundle.push(common::cert(&common::signing_exts())).unwrap();
    bundle.sequence = Some(7);
    bundle.refresh_hint_secs = Some(300);
    bundle.to_jwks().unwrap()
}

/// Every byte of `text` replaced by every value, and every value put before it.
fn every_byte_at_every_position(text: &str, body: fn(&[u8])) {
    let mut bytes = text.as_bytes().to_vec();
    for at in 0..bytes.len() {
        let kept = bytes[at];
        for byte in 0..=255 {
            bytes[at] = byte;
            body(&bytes);
        }
        bytes[at] = kept;
        bytes.insert(at, 0);
        for byte in 0..=255 {
            bytes[at] = byte;
            body(&bytes);
        }
        bytes.remove(at);
        body(&bytes[..at]);
    }
}

#[test]
fn every_byte_at_every_position_of_a_token() {
    every_byte_at_every_position(&token(HEADER, CLAIMS), bodies::jwt);
}

#[test]
fn every_byte_at_every_position_of_header_and_claims() {
    every_byte_at_every_position(HEADER, |header| {
        bodies::jwt_parts(header, CLAIMS.as_bytes())
    });
    every_byte_at_every_position(CLAIMS, |claims| {
        bodies::jwt_parts(HEADER.as_bytes(), claims)
    });
}

#[test]
fn every_byte_at_every_position_of_a_bundle() {
    // Without a certificate, whose own bytes have their own test.
    let mut bundle = bundle("example.org", &[("k1", 1)]);
    (bundle.sequence, bundle.refresh_hint_secs) = (Some(7), Some(300));
    every_byte_at_every_position(&bundle.to_jwks().unwrap(), bodies::bundle);
}

/// Edits: where, what kind, which byte.
type Edits = Vec<(Index, u8, u8)>;

fn edited(bytes: &[u8], edits: &Edits) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, kind, byte) in edits {
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Edits> {
    prop::collection::vec((any::<Index>(), 0..3_u8, any::<u8>()), 1..8)
}

fn json_word() -> impl Strategy<Value = String> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1",
        "-1",
        "1e9",
        "\"\"",
        "\"keys\"",
        "\"alg\"",
        "\"ES256\"",
        "\"kid\"",
        "\"sub\"",
        "\"spiffe://example.org/a\"",
        "\"aud\"",
        "\"reports\"",
        "\"exp\"",
        "\"use\"",
        "\"jwt-svid\"",
        "\"x5c\"",
        "\"kty\"",
        "\"EC\"",
        "\"\\u0000\"",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|w| w.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn several_edits_of_a_token(edits in edits()) {
        let good = token(HEADER, CLAIMS);
        let bent = edited(good.as_bytes(), &edits);
        bodies::jwt(&bent);
        if let Ok(text) = std::str::from_utf8(&bent) {
            prop_assert!(text == good || validate(text).is_err());
        }
        bodies::jwt_parts(&edited(HEADER.as_bytes(), &edits), CLAIMS.as_bytes());
        bodies::jwt_parts(HEADER.as_bytes(), &edited(CLAIMS.as_bytes(), &edits));
    }

    #[test]
    fn several_edits_of_a_bundle(edits in edits()) {
        static SAMPLE: std::sync::LazyLock<String> = std::sync::LazyLock::new(jwks);
        bodies::bundle(&edited(SAMPLE.as_bytes(), &edits));
    }

    #[test]
    fn words_of_json(header in json_word(), claims in json_word()) {
        bodies::jwt_parts(header.as_bytes(), claims.as_bytes());
        bodies::bundle(header.as_bytes());
    }

    #[test]
    fn anything_at_all(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        bodies::jwt(text.as_bytes());
        bodies::jwt(&bytes);
        bodies::jwt_parts(&bytes, text.as_bytes());
        bodies::bundle(text.as_bytes());
    }

    #[test]
    fn what_is_signed_validates(
        path in "(/[A-Za-z0-9_-]{1,20}){1,8}",
        others in prop::collection::vec("\\PC{1,20}", 0..4),
        ttl in 1..100_000_i64,
        token_id in prop::option::of("\\PC{0,40}"),
    ) {
        let id = SpiffeIdBuf::parse(&format!("spiffe://example.org{path}")).unwrap();
        let mut audience: Vec<&str> = others.iter().map(String::as_str).collect();
        audience.push("reports");
        let claims = Claims {
            id: id.as_id(),
            audience: &audience,
            issued_at: NOW,
            expires_at: NOW + ttl,
            token_id: token_id.as_deref(),
        };
        let input = SigningInput::new(Algorithm::Es256, "k1", &claims).unwrap();
        let signature: p256::ecdsa::Signature =
            p256::ecdsa::signature::Signer::sign(&key(1), input.as_bytes());
        let token = input.into_token(&signature.to_bytes()).unwrap();
        let svid = validate(&token).unwrap();
        prop_assert_eq!(svid.id(), id.as_id());
        prop_assert!(svid.audience().eq(audience.iter().copied()));
        prop_assert_eq!((svid.issued_at(), svid.expires_at()), (Some(NOW), NOW + ttl));
        prop_assert_eq!(svid.claims().contains("\"jti\""), token_id.is_some());
        let unverified = UnverifiedJwt::parse(&token).unwrap();
        prop_assert_eq!(unverified.key_id(), Some("k1"));
    }

    #[test]
    fn arbitrary_names_keep_the_rules(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        if let Ok(id) = SpiffeIdBuf::arbitrary(&mut Unstructured::new(&bytes)) {
            prop_assert_eq!(SpiffeId::parse(id.as_str()), Ok(id.as_id()));
            bodies::jwt_written(&id, &["a", "\"\\\u{0}"], NOW, NOW + 1);
        }
    }
}

#[test]
fn debug_output_of_a_valid_token_holds_no_signature() {
    let jwt = token(HEADER, CLAIMS);
    let svid: JwtSvid = validate(&jwt).unwrap();
    let (_, signature) = jwt.rsplit_once('.').unwrap();
    assert!(!format!("{svid:?}").contains(signature));
}
