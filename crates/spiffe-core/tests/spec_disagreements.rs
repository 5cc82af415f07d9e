//! Where libraries that people use read the standards differently: what they do, and what is done here.
//!
//! Go is go-spiffe, Python the PyPI package `spiffe`, Rust the crate `spiffe`. `benches/tests` holds the crate's own
//! answers beside these.

mod common;
mod tokens;

use common::*;
use tidelock_spiffe_core::bundle::BundleError;
use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256};
use tidelock_spiffe_core::x509::{Leaf, LeafError};
use tidelock_spiffe_core::{Bundle, SpiffeId, SpiffeIdBuf, SpiffeIdError, TrustDomainBuf};
use tokens::{CLAIMS, HEADER, NOW, bundles, claims_with, refused, token};

#[test]
fn spiffe_id_2_upper_case_go_refuses_it_rust_and_python_fold_it() {
    let folded = SpiffeIdBuf::parse("SPIFFE://Example.org/Web").unwrap();
    assert_eq!(
        folded.as_str(),
        "spiffe://example.org/Web",
        "folded, path untouched"
    );
    let borrowed = SpiffeId::parse("SPIFFE://example.org/Web");
    assert_eq!(
        borrowed,
        Err(SpiffeIdError::UpperCaseScheme),
        "without a copy it cannot be"
    );
}

#[test]
fn spiffe_id_2_2_trailing_newline_python_accepts_it() {
    let bad = SpiffeIdError::BadByte {
        byte: b'\n',
        at: 22,
    };
    assert_eq!(SpiffeIdBuf::parse("spiffe://example.org/a\n"), Err(bad));
    assert!(TrustDomainBuf::parse("example.org\n").is_err());
}

#[test]
fn spiffe_id_2_a_trust_domain_is_a_name_libraries_also_take_an_id_for_one() {
    assert!(TrustDomainBuf::parse("spiffe://example.org").is_err());
    assert!(TrustDomainBuf::parse("spiffe://example.org/a").is_err());
}

#[test]
fn spiffe_id_2_3_lengths_are_bounds_rust_and_go_read_longer_ids() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048 - 20));
    assert_eq!(
        SpiffeIdBuf::parse(&long),
        Err(SpiffeIdError::TooLong { len: 2049 })
    );
    assert!(TrustDomainBuf::parse(&"a".repeat(256)).is_err());
}

#[test]
fn x509_svid_4_leaf_rules_are_applied_gos_tls_path_skips_key_usage() {
    let signs = with(leaf_exts(), key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN));
    assert_eq!(
        Leaf::parse(&cert(&signs)).unwrap_err(),
        LeafError::KeyCertSign
    );
    let pathless = with(leaf_exts(), san(&[uri("spiffe://example.org")]));
    assert_eq!(
        Leaf::parse(&cert(&pathless)).unwrap_err(),
        LeafError::Pathless
    );
}

#[test]
fn x509_svid_4_4_extended_key_usage_libraries_do_not_look_at_it() {
    let server_only = with(leaf_exts(), eku(&[SERVER_AUTH]));
    let error = Leaf::parse(&cert(&server_only)).unwrap_err();
    assert!(matches!(error, LeafError::ExtendedKeyUsage { .. }));
}

#[test]
fn jwt_svid_2_2_kid_go_and_rust_require_it() {
    assert!(tokens::validate(&token(r#"{"alg":"ES256"}"#, CLAIMS)).is_ok());
}

#[test]
fn jwt_svid_2_other_headers_go_and_python_accept_them() {
    let header = r#"{"alg":"ES256","kid":"k1","x":1}"#;
    assert_eq!(refused(header, CLAIMS), JwtError::Header { name: "other" });
}

#[test]
fn jwt_svid_2_3_typ_go_does_not_look_at_it() {
    let header = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;
    assert_eq!(refused(header, CLAIMS), JwtError::Type);
    assert_eq!(
        refused(r#"{"alg":"ES256","typ":"jwt"}"#, CLAIMS),
        JwtError::Type
    );
}

#[test]
fn jwt_svid_2_1_es512_rust_does_not_know_it() {
    let jwt = include_str!("corpus/jwt/accepted-es512");
    assert!(tidelock_spiffe_core::jwt::UnverifiedJwt::parse(jwt).is_ok());
}

#[test]
fn jwt_svid_3_1_pathless_subject_others_accept_it() {
    let claims = claims_with("sub", r#""sub":"spiffe://example.org""#);
    assert_eq!(refused(HEADER, &claims), JwtError::Pathless);
}

#[test]
fn jwt_svid_3_3_leeway_go_gives_a_minute_unasked() {
    let jwt = token(HEADER, CLAIMS);
    let at = |now| JwtSvid::validate(&jwt, &bundles(), Audience::of(&["reports"]), now, &P256);
    assert!(at(NOW + 299).is_ok());
    assert!(at(NOW + 300).is_err());
}

#[test]
fn rfc_7519_4_1_6_iat_in_the_future_go_refuses_it() {
    let claims = claims_with("iat", r#""iat":1770009999"#);
    tokens::accepted(HEADER, &claims);
}

#[test]
fn rfc_7519_4_repeated_names_most_take_the_last() {
    let claims = claims_with("", r#""sub":"spiffe://example.org/admin""#);
    let error = refused(HEADER, &claims);
    assert!(matches!(error, JwtError::Json { .. }), "{error:?}");
}

#[test]
fn x509_svid_6_2_entries_without_one_certificate_go_refuses_the_bundle() {
    let key = tokens::public(&tokens::key(1));
    let (_, point) = key.as_point().unwrap();
    let (x, y) = point[1..].split_at(32);
    let entry = |x5c: &str| {
        format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}","use":"x509-svid"{x5c}}}"#,
            tokens::url(x),
            tokens::url(y)
        )
    };
    let text = format!(r#"{{"keys":[{},{}]}}"#, entry(""), entry(r#","x5c":[]"#));
    let bundle = Bundle::from_jwks(tokens::domain("example.org"), &text).unwrap();
    assert!(bundle.is_empty());
}

#[test]
fn jwt_svid_6_1_a_key_id_twice_go_takes_the_last() {
    let mut one = tokens::bundle("example.org", &[("k", 1)]);
    let two = tokens::bundle("example.org", &[("k", 2)]);
    let second = two.jwt_authority("k").unwrap().clone();
    assert_eq!(
        one.push_jwt(second),
        Err(BundleError::KeyIdTaken { index: 1 })
    );
}

#[test]
fn bundle_4_1_2_null_is_no_number_go_takes_it_for_absent() {
    let text = r#"{"keys":[],"spiffe_refresh_hint":null}"#;
    assert!(Bundle::from_jwks(tokens::domain("example.org"), text).is_err());
}
