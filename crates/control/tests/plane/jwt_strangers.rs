//! JWT-SVIDs as strangers see them: OpenSSL, and this project's validator, with nothing but the published bundle.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tidelock_spiffe_core::jwt::{JwtError, VerifyError};
use tidelock_spiffe_core::pem;

use crate::common::{Plane, identity};
use crate::jwt::{AUDIENCE, mint, now, request, validated};

/// `id-ecPublicKey` and `prime256v1`, and what comes before the point in a SubjectPublicKeyInfo (RFC 5480).
const P256_SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

fn base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn json(part: &str) -> Value {
    serde_json::from_slice(&base64url(part)).expect("JSON")
}

/// The JWK of this key ID, turned into PEM by hand.
fn pem_of(jwks: &Value, key_id: &str) -> Option<String> {
    let keys = jwks["keys"].as_array().expect("keys");
    let jwk = keys
        .iter()
        .find(|key| key["use"] == "jwt-svid" && key["kid"] == key_id)?;
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&"EC".into(), &"P-256".into()));
    let coordinate = |name: &str| base64url(jwk[name].as_str().expect(name));
    let der = [&P256_SPKI[..], &coordinate("x"), &coordinate("y")].concat();
    Some(pem::encode("PUBLIC KEY", &der))
}

/// r and s of a JWS (RFC 7518 §3.4) as `Ecdsa-Sig-Value`, which OpenSSL reads.
fn der_signature(fixed: &[u8]) -> Vec<u8> {
    assert_eq!(fixed.len(), 64);
    let integer = |half: &[u8]| {
        let first = half.iter().position(|&byte| byte != 0).unwrap_or(31);
        let mut value = half[first..].to_vec();
        if value[0] & 0x80 != 0 {
            value.insert(0, 0);
        }
        [
            &[0x02, u8::try_from(value.len()).expect("short")][..],
            &value,
        ]
        .concat()
    };
    let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")][..], &both].concat()
}

/// Whether OpenSSL finds the signature to be that of the key which the bundle has under the token's `kid`.
fn openssl_takes(token: &str, jwks: &Value) -> bool {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("no compact form: {token}");
    };
    let read = json(header);
    assert_eq!(read["alg"], "ES256");
    let Some(key) = pem_of(jwks, read["kid"].as_str().expect("kid")) else {
        return false;
    };
    let dir = tempfile::tempdir().expect("temp dir");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        path
    };
    let run = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(file("key.pem", key.as_bytes()))
        .arg("-signature")
        .arg(file("signature", &der_signature(&base64url(signature))))
        .arg(file("input", format!("{header}.{claims}").as_bytes()))
        .output()
        .expect("the program `openssl` (apt install openssl)");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(
        run.status.success(),
        said.trim() == "Verified OK",
        "{run:?}"
    );
    run.status.success()
}

impl Plane {
    async fn jwks_read_by_others(&self) -> Value {
        let file = self.dir.path().join("ca").join(tidelock_control::JWKS_FILE);
        let text = std::fs::read_to_string(file).expect("bundle.json");
        let jwks: Value = serde_json::from_str(&text).expect("JSON");
        assert!(jwks["spiffe_sequence"].is_u64() && jwks["spiffe_refresh_hint"] == 300);
        jwks
    }
}

#[tokio::test]
async fn openssl_and_our_validator_take_what_was_signed_and_nothing_that_was_altered() {
    let plane = Plane::start().await;
    plane.applied(&identity("curl", "")).await;
    let keys = plane.attested("n1").await;
    let signed = plane
        .sign_jwt(&keys, request("curl", &[AUDIENCE], 60))
        .await;
    let signed = signed.expect("signed").token;
    let minted = mint(&mut plane.admin().await, "/ci/build", &[AUDIENCE], 60).await;
    let minted = minted.expect("minted").token;
    let (bundle, jwks) = (plane.jwks().await, plane.jwks_read_by_others().await);
    for token in [&signed, &minted] {
        assert!(openssl_takes(token, &jwks));
        let read = validated(token, &bundle, AUDIENCE, now()).expect("it is taken");
        let claims = json(token.split('.').nth(1).expect("claims"));
        assert_eq!(claims["aud"], serde_json::json!([AUDIENCE]));
        assert_eq!(claims["sub"], read.id().as_str());
        assert_eq!(claims["exp"], read.expires_at());

        let other = validated(token, &bundle, "https://example.net", now());
        assert_eq!(other.err(), Some(JwtError::Audience));
        let late = validated(token, &bundle, AUDIENCE, read.expires_at());
        assert!(matches!(late, Err(JwtError::Expired { .. })), "{late:?}");
    }
    // The claims of one under the signature of the other, and an audience that was written in.
    let part = |token: &str, at: usize| token.split('.').nth(at).expect("a part").to_owned();
    let mut claims = json(&part(&signed, 1));
    claims["aud"] = serde_json::json!([AUDIENCE, "https://bank.example.com"]);
    let wider = URL_SAFE_NO_PAD.encode(claims.to_string());
    let (header, own) = (part(&signed, 0), part(&signed, 2));
    for altered in [
        format!("{header}.{}.{own}", part(&minted, 1)),
        format!("{header}.{wider}.{own}"),
        format!("{header}.{}.{}", part(&signed, 1), part(&minted, 2)),
    ] {
        assert!(!openssl_takes(&altered, &jwks), "{altered}");
        let refused = validated(&altered, &bundle, AUDIENCE, now());
        assert_eq!(
            refused.err(),
            Some(JwtError::Verify(VerifyError::Signature))
        );
    }
}

#[tokio::test]
async fn what_a_key_signed_is_taken_until_it_is_revoked_and_not_any_more() {
    let plane = Plane::quick().await;
    let mut admin = plane.admin().await;
    let old = mint(&mut admin, "/ci/build", &[AUDIENCE], 600).await;
    let old = old.expect("minted");
    let second = plane.prepare_jwt().await;
    let before = mint(&mut admin, "/ci/build", &[AUDIENCE], 600).await;
    assert_eq!(before.expect("minted").key_id, old.key_id, "prepared only");
    plane.activate_jwt(&second.id).await.expect("activated");
    let new = mint(&mut admin, "/ci/build", &[AUDIENCE], 600).await;
    let new = new.expect("minted");
    assert_eq!(new.key_id, second.id);
    let taken = async |token: &str| {
        let (bundle, jwks) = (plane.jwks().await, plane.jwks_read_by_others().await);
        let ours = validated(token, &bundle, AUDIENCE, now());
        assert_eq!(ours.is_ok(), openssl_takes(token, &jwks), "{ours:?}");
        ours.map(drop)
    };
    assert_eq!(taken(&old.token).await, Ok(()), "no flow is lost");
    plane.taint_jwt(&old.key_id).await.expect("tainted");
    assert_eq!(
        taken(&old.token).await,
        Ok(()),
        "while it is asked for anew"
    );
    plane.revoke_jwt(&old.key_id).await.expect("revoked");
    assert_eq!(taken(&old.token).await, Err(JwtError::KeyId));
    assert_eq!(taken(&new.token).await, Ok(()));
}
