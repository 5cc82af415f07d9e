//! Tokens, keys and bundles for tests, made with other code than the crate's own.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use tidelock_spiffe_core::TrustDomainBuf;
use tidelock_spiffe_core::bundle::{Bundle, BundleSet, JwtAuthority};
use tidelock_spiffe_core::jwk::{Curve, PublicKey};
use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256, P384, P521, Rsa};

pub const NOW: i64 = 1_770_000_000;
pub const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#;
pub const CLAIMS: &str =
    r#"{"sub":"spiffe://example.org/web","aud":["reports"],"exp":1770000300,"iat":1770000000}"#;

/// Every verifier there is.
pub const ALL: (P256, (P384, (P521, Rsa))) = (P256, (P384, (P521, Rsa)));

pub fn url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn standard(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub fn unurl(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A P-256 key, the same for the same number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

/// The uncompressed point of a key.
pub fn point(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
}

pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_point(Curve::P256, &point(key)).unwrap()
}

/// A token of this header and these claims, signed with this key.
pub fn signed_by(key: &SigningKey, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", url(header), url(claims));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", url(signature.to_bytes()))
}

/// A token of key 1, which is `example.org`'s `k1`.
pub fn token(header: &str, claims: &str) -> String {
    signed_by(&key(1), header, claims)
}

pub fn domain(name: &str) -> TrustDomainBuf {
    TrustDomainBuf::parse(name).unwrap()
}

pub fn bundle(name: &str, keys: &[(&str, u8)]) -> Bundle {
    let mut bundle = Bundle::new(domain(name));
    for &(key_id, number) in keys {
        let authority = JwtAuthority::new(key_id, public(&key(number))).unwrap();
        bundle.push_jwt(authority).unwrap();
    }
    bundle
}

/// `example.org` with keys 1 and 2 as `k1` and `k2`, `other.org` with key 3 as `k3`, `empty.org` with none.
pub fn bundles() -> BundleSet {
    let mut set = BundleSet::new();
    for bundle in [
        bundle("example.org", &[("k1", 1), ("k2", 2)]),
        bundle("other.org", &[("k3", 3)]),
        bundle("empty.org", &[]),
    ] {
        set.insert(bundle).unwrap();
    }
    set
}

/// Validates as the service `reports` would at `NOW`.
pub fn validate(token: &str) -> Result<JwtSvid, JwtError> {
    let audience = Audience::of(&["reports"]);
    JwtSvid::validate(token, &bundles(), audience, NOW, &ALL)
}

#[track_caller]
pub fn accepted(header: &str, claims: &str) -> JwtSvid {
    validate(&token(header, claims)).unwrap_or_else(|error| panic!("{header} {claims}: {error}"))
}

#[track_caller]
pub fn refused(header: &str, claims: &str) -> JwtError {
    match validate(&token(header, claims)) {
        Err(error) => error,
        Ok(_) => panic!("{header} {claims} was accepted"),
    }
}

/// `CLAIMS` with one of its members replaced by others, or left out.
pub fn claims_with(name: &str, member: &str) -> String {
    let members = [
        ("sub", r#""sub":"spiffe://example.org/web""#),
        ("aud", r#""aud":["reports"]"#),
        ("exp", r#""exp":1770000300"#),
        ("iat", r#""iat":1770000000"#),
    ];
    assert!(name.is_empty() || members.iter().any(|(known, _)| *known == name));
    let mut all: Vec<&str> = members
        .iter()
        .filter(|(known, _)| *known != name)
        .map(|(_, text)| *text)
        .collect();
    if !member.is_empty() {
        all.push(member);
    }
    format!("{{{}}}", all.join(","))
}
