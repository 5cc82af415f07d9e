//! What fuzzers and property tests do with one untrusted input. Panics on a broken promise.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

use tidelock_spiffe_core::bundle::{JwtAuthority, MAX_AUTHORITIES, MAX_JWKS_BYTES};
use tidelock_spiffe_core::jwk::{Curve, PublicKey};
use tidelock_spiffe_core::jwt::{
    Algorithm, Audience, Claims, JwsVerifier, JwtSvid, MAX_JWT_BYTES, SigningInput, UnverifiedJwt,
    VerifyError,
};
use tidelock_spiffe_core::x509::{AnyCert, Leaf, SigningCert};
use tidelock_spiffe_core::{
    Bundle, BundleSet, MAX_PATH_SEGMENTS, MAX_SPIFFE_ID_BYTES, SpiffeId, SpiffeIdBuf,
    TrustDomainBuf,
};

/// One text that may be a SPIFFE ID.
pub fn spiffe_id(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(id) = SpiffeId::parse(text) {
        id_keeps_its_promises(id, text);
    }
    let Ok(folded) = SpiffeIdBuf::parse(text) else {
        assert!(
            SpiffeId::parse(text).is_err(),
            "owned and borrowed IDs disagree"
        );
        return;
    };
    assert!(
        folded.as_str().eq_ignore_ascii_case(text),
        "folding changes case only"
    );
    assert!(text.ends_with(folded.path()), "the path keeps its case");
    let again = SpiffeId::parse(folded.as_str()).expect("a folded ID parses without folding");
    assert_eq!(again.to_buf(), folded);
}

/// One certificate, read as both kinds, and as any.
pub fn certificate(input: &[u8]) {
    let leaf = Leaf::parse(input);
    let signing = SigningCert::parse(input);
    let any = AnyCert::parse(input);
    assert!(
        any.is_ok() || (leaf.is_err() && signing.is_err()),
        "an SVID is no certificate"
    );
    if let (Ok(leaf), Ok(any)) = (&leaf, &any) {
        assert!(any.digital_signature && !any.is_ca);
        assert_eq!(any.names().count(), leaf.names().count());
        assert_eq!(any.public_key, leaf.public_key);
    }
    if let Ok(any) = any {
        assert!(any.is_current(any.not_before) && any.is_current(any.not_after));
        assert!((1..=20).contains(&any.serial.len()));
    }
    assert!(
        leaf.is_err() || signing.is_err(),
        "a certificate is both kinds"
    );
    if let Ok(leaf) = leaf {
        id_keeps_its_promises(leaf.id, leaf.id.as_str());
        assert!(!leaf.id.is_pathless());
        assert!(leaf.not_before <= leaf.not_after);
        assert!(leaf.is_current(leaf.not_before) && leaf.is_current(leaf.not_after));
        assert!(leaf.names().count() >= 1);
        assert!((1..=20).contains(&leaf.serial.len()));
        assert!(leaf.spki.ends_with(leaf.public_key));
    }
    if let Ok(signing) = signing {
        assert!(signing.id.is_none_or(|id| id.is_pathless()));
    }
}

fn id_keeps_its_promises(id: SpiffeId<'_>, text: &str) {
    assert_eq!(id.as_str(), text);
    assert!(text.len() <= MAX_SPIFFE_ID_BYTES);
    let name = id.trust_domain();
    assert_eq!(format!("spiffe://{name}{}", id.path()), text);
    let ancestors: Vec<&str> = id.ancestors().collect();
    assert_eq!(ancestors.len(), id.path().matches('/').count());
    assert!(ancestors.len() <= MAX_PATH_SEGMENTS);
    for ancestor in ancestors {
        let parsed = SpiffeId::parse(ancestor).expect("an ancestor is an ID");
        assert_eq!(parsed.trust_domain(), name);
        assert!(text[ancestor.len()..].starts_with('/'));
    }
}

/// One JWK set.
pub fn bundle(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(bundle) = Bundle::from_jwks(example_org(), text) else {
        return;
    };
    assert!(text.len() <= MAX_JWKS_BYTES);
    assert!(bundle.x509_authorities().len() <= MAX_AUTHORITIES);
    assert!(bundle.jwt_authorities().len() <= MAX_AUTHORITIES);
    for der in bundle.x509_authorities() {
        let signing = SigningCert::parse(der).expect("a bundle holds signing certificates");
        let id = signing.id.map(|id| id.trust_domain().as_str());
        assert!(id.is_none_or(|name| name == "example.org"));
    }
    for authority in bundle.jwt_authorities() {
        assert!(authority.key().rsa_bits().is_none_or(|bits| bits >= 2048));
        assert_eq!(bundle.jwt_authority(authority.key_id()), Some(authority));
    }
    let printed = bundle.to_jwks().expect("what was read can be written");
    let again = Bundle::from_jwks(example_org(), &printed).expect("what was written can be read");
    assert_eq!(again, bundle);
    assert_eq!(again.to_jwks().as_ref(), Ok(&printed));
}

/// One token, to a verifier that believes every signature: what it accepts must keep the other rules.
pub fn jwt(input: &[u8]) {
    let Ok(token) = std::str::from_utf8(input) else {
        return;
    };
    let parsed = UnverifiedJwt::parse(token);
    let audience = Audience::of(&["reports"]);
    let valid = JwtSvid::validate(token, bundles(), audience, NOW, &Credulous);
    let Ok(parsed) = parsed else {
        assert!(valid.is_err(), "what does not parse is not valid");
        return;
    };
    assert!(token.len() <= MAX_JWT_BYTES);
    assert_eq!(token.split('.').count(), 3);
    assert!(!parsed.id().is_pathless());
    id_keeps_its_promises(parsed.id(), parsed.id().as_str());
    assert!(Algorithm::ALL.contains(&parsed.algorithm()));
    if let Ok(svid) = valid {
        assert_eq!(svid.id(), parsed.id());
        assert!(svid.expires_at() > NOW && svid.audience().any(|name| name == "reports"));
        assert!(
            svid.claims()
                .starts_with(|c: char| c == '{' || c.is_ascii_whitespace())
        );
    }
}

/// A token of this header and these claims, with a signature that fits, so that a fuzzer need not guess base64.
pub fn jwt_parts(header: &[u8], claims: &[u8]) {
    let url = |bytes: &[u8]| {
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = chunk
                .iter()
                .fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte))
                << (8 * (3 - chunk.len()));
            for n in 0..=chunk.len() {
                let six = bits >> (18 - 6 * n) & 0x3f;
                text.push(char::from(URL[six as usize]));
            }
        }
        text
    };
    jwt(format!("{}.{}.{}", url(header), url(claims), url(&[0; 64])).as_bytes());
}

/// A workload's claims read back as they were written, whatever its name, audience and times.
pub fn jwt_written(id: &SpiffeIdBuf, audience: &[&str], issued_at: i64, expires_at: i64) {
    let claims = Claims {
        id: id.as_id(),
        audience,
        issued_at,
        expires_at,
        token_id: audience.first().copied(),
    };
    let Ok(input) = SigningInput::new(Algorithm::Es256, "k", &claims) else {
        return;
    };
    let Ok(token) = input.clone().into_token(&[0; 64]) else {
        return;
    };
    assert!(token.as_bytes().starts_with(input.as_bytes()));
    let read = UnverifiedJwt::parse(&token).expect("what was written can be read");
    assert_eq!((read.id(), read.expires_at()), (id.as_id(), expires_at));
    assert_eq!(
        (read.key_id(), read.algorithm()),
        (Some("k"), Algorithm::Es256)
    );
}

const NOW: i64 = 1_770_000_000;
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Believes every signature.
struct Credulous;

impl JwsVerifier for Credulous {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        assert!(algorithm.fits(key), "a key of another kind");
        assert_eq!(algorithm.signature_bytes(key), Some(signature.len()));
        assert_eq!(message.iter().filter(|&&byte| byte == b'.').count(), 1);
        Ok(())
    }
}

fn example_org() -> TrustDomainBuf {
    TrustDomainBuf::parse("example.org").expect("it is a name")
}

/// `example.org` with an elliptic and an RSA key.
fn bundles() -> &'static BundleSet {
    static BUNDLES: std::sync::LazyLock<BundleSet> = std::sync::LazyLock::new(|| {
        let mut bundle = Bundle::new(example_org());
        let point = PublicKey::from_coordinates(Curve::P256, &[1; 32], &[2; 32]);
        let rsa = PublicKey::from_rsa(&[0x81; 256], &[1, 0, 1]);
        for (key_id, key) in [("k", point), ("rsa", rsa)] {
            let authority = JwtAuthority::new(key_id, key.expect("a key")).expect("an authority");
            bundle.push_jwt(authority).expect("there is room");
        }
        bundle.into()
    });
    &BUNDLES
}
