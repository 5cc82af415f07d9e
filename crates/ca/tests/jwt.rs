//! JWT-SVIDs: what is issued, to whom, for how long, and that a lying key gets nothing released.

mod common;

use common::liar::{Liar, Lie, NoAnswer};
use common::*;
use rcgen::KeyPair;
use tidelock_ca::{JwtAuthority, JwtAuthorityError, JwtIssueError, KeyAlgorithm, Ttl};
use tidelock_spiffe_core::jwt::{Audience, JwtSvid, P256, P384, UnverifiedJwt};
use tidelock_spiffe_core::{Bundle, BundleSet};

fn ttl(secs: u64) -> Ttl {
    Ttl::from_secs(secs).unwrap()
}

fn p384() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
}

fn jwt_authority(key: KeyPair) -> JwtAuthority<KeyPair> {
    JwtAuthority::new(key, "k1", &example_org(), NOW + DAY).unwrap()
}

#[test]
fn jwt_svid_3_the_token_says_what_was_asked_for() {
    for key in [key(), p384()] {
        let authority = jwt_authority(key);
        let svid = authority
            .issue(&web(), &["reports"], ttl(300), NOW, serial(2))
            .unwrap();
        let mut bundle = Bundle::new(example_org());
        bundle.push_jwt(authority.published().clone()).unwrap();
        let jwks = bundle.to_jwks().unwrap();
        let bundles = BundleSet::from(Bundle::from_jwks(example_org(), &jwks).unwrap());
        let audience = Audience::of(&["reports"]);
        let at = |now| JwtSvid::validate(&svid.token, &bundles, audience, now, &(P256, P384));
        let read = at(NOW).unwrap();
        assert_eq!(read.id(), svid.id.as_id());
        assert_eq!(
            (read.issued_at(), read.expires_at()),
            (Some(NOW), NOW + 300)
        );
        assert!(
            read.claims()
                .contains(&format!("\"jti\":\"{}\"", svid.token_id))
        );
        assert!(at(NOW + 299).is_ok() && at(NOW + 300).is_err());
        let unverified = UnverifiedJwt::parse(&svid.token).unwrap();
        assert_eq!(unverified.key_id(), Some("k1"));
        assert!(
            !format!("{svid:?}").contains(&svid.token),
            "a token is a secret"
        );
    }
}

#[test]
fn jwt_svid_2_1_ed25519_signs_no_token() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let refused = JwtAuthority::new(key, "k1", &example_org(), NOW + DAY);
    let kind = JwtAuthorityError::Kind(KeyAlgorithm::Ed25519);
    assert_eq!(refused.err(), Some(kind));
}

#[test]
fn jwt_svid_6_1_an_authority_has_a_key_id() {
    for key_id in [String::new(), "k".repeat(257)] {
        let refused = JwtAuthority::new(key(), &key_id, &example_org(), NOW + DAY);
        assert!(matches!(refused, Err(JwtAuthorityError::Jwk(_))));
    }
}

#[test]
fn jwt_svid_3_2_a_token_has_an_audience() {
    let authority = jwt_authority(key());
    for audience in [&[][..], &[""], &["a", ""]] {
        let refused = authority.issue(&web(), audience, ttl(300), NOW, serial(2));
        assert!(matches!(refused, Err(JwtIssueError::Claims(_))));
    }
    let long = "a".repeat(20_000);
    let refused = authority.issue(&web(), &[&long], ttl(300), NOW, serial(2));
    assert!(matches!(refused, Err(JwtIssueError::Claims(_))));
    let strange = ["\"\\\u{0}\n", "é", "a.b"];
    assert!(
        authority
            .issue(&web(), &strange, ttl(300), NOW, serial(2))
            .is_ok()
    );
}

#[test]
fn ids_outside_the_trust_domain_are_refused() {
    let other = entry("spiffe://other.org/web", 60);
    let refused = jwt_authority(key()).issue(&other, &["a"], ttl(60), NOW, serial(2));
    assert!(matches!(
        refused,
        Err(JwtIssueError::OtherTrustDomain { .. })
    ));
}

#[test]
fn a_token_does_not_outlive_its_authority() {
    let authority = jwt_authority(key());
    let issue = |now| authority.issue(&web(), &["a"], ttl(300), now, serial(2));
    assert_eq!(issue(NOW + DAY - 10).unwrap().expires_at, NOW + DAY);
    for now in [NOW + DAY - 9, NOW + DAY, i64::MAX] {
        let refused = issue(now);
        assert!(
            matches!(refused, Err(JwtIssueError::AuthorityNotCurrent { .. })),
            "{now}"
        );
    }
    assert!(matches!(issue(-1), Err(JwtIssueError::Claims(_))));
}

#[test]
fn a_lying_key_gets_no_token_released() {
    let liar = Liar::new(Lie::None);
    let authority = JwtAuthority::new(&liar, "k1", &example_org(), NOW + DAY).unwrap();
    let issue = || authority.issue(&web(), &["a"], ttl(300), NOW, serial(2));
    assert!(issue().is_ok(), "an honest key's is");
    for lie in [Lie::OtherMessage, Lie::OtherKey] {
        liar.lie.set(lie);
        assert!(matches!(issue(), Err(JwtIssueError::Reread(_))), "{lie:?}");
    }
    for lie in [Lie::Garbage, Lie::Empty] {
        liar.lie.set(lie);
        assert!(matches!(issue(), Err(JwtIssueError::Malformed)), "{lie:?}");
    }
    liar.lie.set(Lie::Silence);
    assert!(matches!(issue(), Err(JwtIssueError::Signer(NoAnswer))));
}
