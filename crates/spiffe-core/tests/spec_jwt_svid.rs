//! JWT-SVID §2 to §5 and what they take from RFC 7515, 7518 and 7519, one test per rule.

mod tokens;

use tidelock_spiffe_core::jwk::PublicKey;
use tidelock_spiffe_core::jwt::{
    Algorithm, Audience, JwsVerifier, JwtError as Error, JwtSvid, Leeway, LeewayError,
    MAX_JWT_BYTES, MAX_LEEWAY_SECS, MemberProblem as Problem, P256, Part, UnverifiedJwt,
    VerifyError,
};
use tidelock_spiffe_core::{BundleSet, JsonError, SpiffeIdError};
use tokens::*;

fn header_error(name: &'static str, problem: Problem) -> Error {
    Error::Member {
        part: Part::Header,
        name,
        problem,
    }
}

fn claim_error(name: &'static str, problem: Problem) -> Error {
    Error::Member {
        part: Part::Claims,
        name,
        problem,
    }
}

const BAD_SIGNATURE: Error = Error::Verify(VerifyError::Signature);

#[test]
fn jwt_svid_gives_its_claims() {
    let svid = accepted(HEADER, CLAIMS);
    assert_eq!(svid.id().as_str(), "spiffe://example.org/web");
    assert!(svid.audience().eq(["reports"]));
    assert_eq!(
        (svid.expires_at(), svid.issued_at()),
        (NOW + 300, Some(NOW))
    );
    assert_eq!(svid.claims(), CLAIMS);
}

#[test]
fn jwt_svid_2_no_header_but_alg_kid_and_typ() {
    for name in [
        "b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u", "zip",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k1","{name}":"x"}}"#);
        assert_eq!(refused(&header, CLAIMS), Error::Header { name });
    }
    for name in ["private", "Alg", "ALG", "", "typ "] {
        let header = format!(r#"{{"alg":"ES256","kid":"k1","{name}":null}}"#);
        let error = Error::Header { name: "other" };
        assert_eq!(refused(&header, CLAIMS), error, "{name:?}");
    }
}

#[test]
fn jwt_svid_2_1_allows_nine_algorithms() {
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        assert_eq!(Algorithm::from_name(name), Some(algorithm));
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let jwt = token(&header, CLAIMS);
        assert_eq!(UnverifiedJwt::parse(&jwt).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn jwt_svid_2_1_refuses_every_other_algorithm() {
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "EdDSA", "Ed25519",
        "ES256K", "es256", "ES256 ", " ES256", "RS1", "RSA-OAEP", "dir",
    ] {
        let header = format!(r#"{{"alg":"{name}","kid":"k1"}}"#);
        assert_eq!(refused(&header, CLAIMS), Error::Algorithm, "{name:?}");
        let input = format!("{}.{}", url(header), url(CLAIMS));
        assert_eq!(validate(&format!("{input}.")), Err(Error::Algorithm));
    }
}

#[test]
fn jwt_svid_2_1_requires_alg() {
    let missing = header_error("alg", Problem::Missing);
    assert_eq!(refused(r#"{"kid":"k1"}"#, CLAIMS), missing);
    for value in ["null", "1", "[\"ES256\"]", "{}", "true"] {
        let header = format!(r#"{{"alg":{value},"kid":"k1"}}"#);
        let wrong = header_error("alg", Problem::Type);
        assert_eq!(refused(&header, CLAIMS), wrong, "{value}");
    }
}

#[test]
fn jwt_svid_2_1_alg_is_of_the_keys_kind() {
    for name in ["ES384", "ES512", "RS256", "PS256"] {
        let algorithm = Algorithm::from_name(name).unwrap();
        let header = format!(r#"{{"alg":"{name}","kid":"k1"}}"#);
        let error = Error::KeyKind { algorithm };
        assert_eq!(refused(&header, CLAIMS), error);
        let header = format!(r#"{{"alg":"{name}"}}"#);
        assert_eq!(refused(&header, CLAIMS), error, "without a key ID too");
    }
}

#[test]
fn jwt_svid_2_2_kid_is_optional() {
    accepted(r#"{"alg":"ES256"}"#, CLAIMS);
    let second = signed_by(&key(2), r#"{"alg":"ES256"}"#, CLAIMS);
    assert!(
        validate(&second).is_ok(),
        "every key of the domain is tried"
    );
    let strange = signed_by(&key(9), r#"{"alg":"ES256"}"#, CLAIMS);
    assert_eq!(validate(&strange), Err(BAD_SIGNATURE));
}

#[test]
fn jwt_svid_2_2_kid_names_the_key() {
    accepted(r#"{"alg":"ES256","kid":"k1"}"#, CLAIMS);
    let wrong_key = r#"{"alg":"ES256","kid":"k2"}"#;
    assert_eq!(refused(wrong_key, CLAIMS), BAD_SIGNATURE);
    for key_id in ["k3", "K1", "k1 ", ""] {
        let header = format!(r#"{{"alg":"ES256","kid":"{key_id}"}}"#);
        assert_eq!(refused(&header, CLAIMS), Error::KeyId, "{key_id:?}");
    }
    for value in ["null", "1", "[]"] {
        let header = format!(r#"{{"alg":"ES256","kid":{value}}}"#);
        let wrong = header_error("kid", Problem::Type);
        assert_eq!(refused(&header, CLAIMS), wrong, "{value}");
    }
    let long = "k".repeat(257);
    let header = format!(r#"{{"alg":"ES256","kid":"{long}"}}"#);
    let error = header_error("kid", Problem::TooLong { len: 257 });
    assert_eq!(refused(&header, CLAIMS), error);
}

#[test]
fn jwt_svid_2_3_typ_is_absent_jwt_or_jose() {
    accepted(r#"{"alg":"ES256","typ":"JWT"}"#, CLAIMS);
    accepted(r#"{"alg":"ES256","typ":"JOSE"}"#, CLAIMS);
    accepted(r#"{"alg":"ES256"}"#, CLAIMS);
    for typ in ["", "jwt", "Jwt", "JOSE+JSON", "at+jwt", "wit+jwt", "JWT "] {
        let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        assert_eq!(refused(&header, CLAIMS), Error::Type, "{typ:?}");
    }
    for value in ["null", "1", "[\"JWT\"]"] {
        let header = format!(r#"{{"alg":"ES256","typ":{value}}}"#);
        let wrong = header_error("typ", Problem::Type);
        assert_eq!(refused(&header, CLAIMS), wrong, "{value}");
    }
}

#[test]
fn jwt_svid_3_unknown_claims_are_allowed() {
    let claims = claims_with(
        "",
        r#""roles":["a"],"nested":{"sub":1,"exp":"x"},"null":null"#,
    );
    assert_eq!(accepted(HEADER, &claims).claims(), claims);
}

#[test]
fn jwt_svid_3_1_requires_sub() {
    let missing = claim_error("sub", Problem::Missing);
    assert_eq!(refused(HEADER, &claims_with("sub", "")), missing);
    for value in ["null", "1", "[\"spiffe://example.org/web\"]", "{}"] {
        let claims = claims_with("sub", &format!(r#""sub":{value}"#));
        let wrong = claim_error("sub", Problem::Type);
        assert_eq!(refused(HEADER, &claims), wrong, "{value}");
    }
}

#[test]
fn jwt_svid_3_1_sub_is_a_workloads_spiffe_id() {
    let sub = |text: &str| claims_with("sub", &format!(r#""sub":"{text}""#));
    for (text, error) in [
        ("", SpiffeIdError::Scheme),
        ("web", SpiffeIdError::Scheme),
        ("https://example.org/web", SpiffeIdError::Scheme),
        (
            "spiffe://example.org/",
            SpiffeIdError::TrailingSlash { at: 20 },
        ),
        (
            "spiffe://example.org/web\\n",
            SpiffeIdError::BadByte {
                byte: b'\n',
                at: 24,
            },
        ),
    ] {
        assert_eq!(refused(HEADER, &sub(text)), Error::Subject(error), "{text}");
    }
    assert_eq!(
        refused(HEADER, &sub("spiffe://example.org")),
        Error::Pathless
    );
}

#[test]
fn jwt_svid_3_1_sub_is_folded_as_spiffe_id_2_says() {
    let claims = claims_with("sub", r#""sub":"SPIFFE://Example.ORG/Web""#);
    let svid = accepted(HEADER, &claims);
    assert_eq!(svid.id().as_str(), "spiffe://example.org/Web");
}

#[test]
fn jwt_svid_3_2_requires_aud() {
    let missing = claim_error("aud", Problem::Missing);
    assert_eq!(refused(HEADER, &claims_with("aud", "")), missing);
    let none = claims_with("aud", r#""aud":[]"#);
    assert_eq!(refused(HEADER, &none), claim_error("aud", Problem::Empty));
    for value in [
        "null",
        "1",
        "{}",
        "[1]",
        "[\"reports\",null]",
        "[[\"reports\"]]",
    ] {
        let claims = claims_with("aud", &format!(r#""aud":{value}"#));
        let wrong = claim_error("aud", Problem::Type);
        assert_eq!(refused(HEADER, &claims), wrong, "{value}");
    }
}

#[test]
fn jwt_svid_3_2_aud_holds_the_verifier() {
    for value in [r#""reports""#, r#"["reports"]"#, r#"["a","reports","b"]"#] {
        accepted(HEADER, &claims_with("aud", &format!(r#""aud":{value}"#)));
    }
    for value in [
        r#""Reports""#,
        r#""report""#,
        r#""reports ""#,
        r#""reports/""#,
        r#""""#,
        r#"["a","b"]"#,
        r#""*""#,
    ] {
        let claims = claims_with("aud", &format!(r#""aud":{value}"#));
        assert_eq!(refused(HEADER, &claims), Error::Audience, "{value}");
    }
}

#[test]
fn jwt_svid_3_2_a_verifier_without_a_name_accepts_nothing() {
    let validate = |names: &[&str]| {
        let token = token(HEADER, CLAIMS);
        JwtSvid::validate(&token, &bundles(), Audience::of(names), NOW, &P256)
    };
    assert_eq!(validate(&[]), Err(Error::Audience));
    assert!(validate(&["x", "reports"]).is_ok());
}

#[test]
fn jwt_svid_3_3_requires_exp() {
    let missing = claim_error("exp", Problem::Missing);
    assert_eq!(refused(HEADER, &claims_with("exp", "")), missing);
    for value in ["null", "\"1770000300\"", "[1770000300]", "true"] {
        let claims = claims_with("exp", &format!(r#""exp":{value}"#));
        let wrong = claim_error("exp", Problem::Type);
        assert_eq!(refused(HEADER, &claims), wrong, "{value}");
    }
}

fn at(claims: &str, now: i64, leeway_secs: u32) -> Result<JwtSvid, Error> {
    let leeway = Leeway::from_secs(leeway_secs).unwrap();
    let audience = Audience::of(&["reports"]).with_leeway(leeway);
    JwtSvid::validate(&token(HEADER, claims), &bundles(), audience, now, &P256)
}

#[test]
fn rfc_7519_4_1_4_now_is_before_exp() {
    let expires_at = NOW + 300;
    assert!(at(CLAIMS, expires_at - 1, 0).is_ok());
    for now in [expires_at, expires_at + 1, i64::MAX] {
        assert_eq!(at(CLAIMS, now, 0), Err(Error::Expired { expires_at, now }));
    }
    for value in ["0", "-1", "-1e300", "1.5"] {
        let claims = claims_with("exp", &format!(r#""exp":{value}"#));
        let error = refused(HEADER, &claims);
        assert!(matches!(error, Error::Expired { .. }), "{value}");
    }
    for value in ["1e300", "9223372036854775807", "18446744073709551615"] {
        let claims = claims_with("exp", &format!(r#""exp":{value}"#));
        assert_eq!(accepted(HEADER, &claims).expires_at(), i64::MAX, "{value}");
    }
}

#[test]
fn rfc_7519_2_a_fraction_of_a_second_is_not_lived_out() {
    let claims = claims_with("exp", r#""exp":1770000010.9"#);
    assert!(at(&claims, NOW + 9, 0).is_ok());
    assert!(at(&claims, NOW + 10, 0).is_err());
    let claims = claims_with("", r#""nbf":1770000000.1"#);
    assert!(at(&claims, NOW, 0).is_err());
    assert!(at(&claims, NOW + 1, 0).is_ok());
}

#[test]
fn jwt_svid_appendix_a_leeway_is_small_and_asked_for() {
    assert!(at(CLAIMS, NOW + 359, 60).is_ok());
    assert!(at(CLAIMS, NOW + 360, 60).is_err());
    assert!(Leeway::from_secs(MAX_LEEWAY_SECS).is_ok());
    let secs = MAX_LEEWAY_SECS + 1;
    assert_eq!(Leeway::from_secs(secs), Err(LeewayError { secs }));
}

#[test]
fn rfc_7519_4_1_5_nbf_has_come() {
    let claims = claims_with("", r#""nbf":1770000010"#);
    let (not_before, now) = (NOW + 10, NOW + 9);
    assert_eq!(at(&claims, now, 0), Err(Error::NotYet { not_before, now }));
    assert!(at(&claims, NOW + 10, 0).is_ok());
    assert!(at(&claims, NOW, 10).is_ok(), "leeway works both ways");
    let claims = claims_with("", r#""nbf":"0""#);
    assert_eq!(refused(HEADER, &claims), claim_error("nbf", Problem::Type));
}

#[test]
fn rfc_7519_4_1_6_iat_is_a_date_but_no_bound() {
    let future = claims_with("iat", r#""iat":1870000000"#);
    assert_eq!(accepted(HEADER, &future).issued_at(), Some(1_870_000_000));
    assert_eq!(accepted(HEADER, &claims_with("iat", "")).issued_at(), None);
    let claims = claims_with("iat", r#""iat":null"#);
    assert_eq!(refused(HEADER, &claims), claim_error("iat", Problem::Type));
}

#[test]
fn jwt_svid_4_the_signature_is_of_the_subjects_own_trust_domain() {
    let header = r#"{"alg":"ES256"}"#;
    let other = claims_with("sub", r#""sub":"spiffe://other.org/web""#);
    let with_kid = r#"{"alg":"ES256","kid":"k1"}"#;
    assert_eq!(validate(&token(with_kid, &other)), Err(Error::KeyId));
    assert_eq!(validate(&token(header, &other)), Err(BAD_SIGNATURE));
    assert!(validate(&signed_by(&key(3), header, &other)).is_ok());
    let ours = signed_by(&key(3), header, CLAIMS);
    assert_eq!(
        validate(&ours),
        Err(BAD_SIGNATURE),
        "domains are never merged"
    );
    let unknown = claims_with("sub", r#""sub":"spiffe://unknown.org/web""#);
    assert_eq!(refused(header, &unknown), Error::NoBundle);
    let below = claims_with("sub", r#""sub":"spiffe://a.example.org/web""#);
    assert_eq!(refused(header, &below), Error::NoBundle);
}

#[test]
fn jwt_svid_6_2_a_domain_without_jwt_keys_has_no_jwt_svids() {
    let empty = claims_with("sub", r#""sub":"spiffe://empty.org/web""#);
    assert_eq!(refused(HEADER, &empty), Error::NoAuthorities);
    let audience = Audience::of(&["reports"]);
    let jwt = token(HEADER, CLAIMS);
    let refused = JwtSvid::validate(&jwt, &BundleSet::new(), audience, NOW, &P256);
    assert_eq!(refused, Err(Error::NoBundle));
}

#[test]
fn jwt_svid_4_no_byte_can_be_altered() {
    let good = token(HEADER, CLAIMS);
    for at in 0..good.len() {
        for replacement in [b'A', b'B', b'_', b'.'] {
            let mut bytes = good.clone().into_bytes();
            if bytes[at] != replacement {
                bytes[at] = replacement;
                let altered = String::from_utf8(bytes).unwrap();
                assert!(validate(&altered).is_err(), "byte {at}: {altered}");
            }
        }
    }
}

#[test]
fn rfc_7518_3_4_ecdsa_signatures_are_two_numbers() {
    let input = format!("{}.{}", url(HEADER), url(CLAIMS));
    let signature: p256::ecdsa::Signature =
        p256::ecdsa::signature::Signer::sign(&key(1), input.as_bytes());
    let der = format!("{input}.{}", url(signature.to_der()));
    assert_eq!(validate(&der), Err(BAD_SIGNATURE), "not DER");
    for len in [0, 1, 63, 65, 128] {
        let cut: Vec<u8> = signature
            .to_bytes()
            .iter()
            .copied()
            .cycle()
            .take(len)
            .collect();
        let cut = format!("{input}.{}", url(cut));
        assert_eq!(validate(&cut), Err(BAD_SIGNATURE), "{len} bytes");
    }
    let zeros = format!("{input}.{}", url([0; 64]));
    assert_eq!(validate(&zeros), Err(BAD_SIGNATURE));
}

#[test]
fn jwt_svid_5_1_only_the_compact_form() {
    let good = token(HEADER, CLAIMS);
    for (text, count) in [
        (String::new(), 1),
        ("a".to_owned(), 1),
        ("a.b".to_owned(), 2),
        (format!("{good}."), 4),
        (format!("{good}.a"), 4),
        ("a.b.c.d.e".to_owned(), 5),
        (format!("{{\"payload\":\"{}\"}}", url(CLAIMS)), 1),
    ] {
        assert_eq!(validate(&text), Err(Error::Parts { count }), "{text}");
    }
}

#[test]
fn rfc_7515_2_base64url_has_one_spelling_and_no_padding() {
    let parts: Vec<String> = token(HEADER, CLAIMS)
        .split('.')
        .map(str::to_owned)
        .collect();
    let names = [Part::Header, Part::Claims, Part::Signature];
    for (n, part) in names.into_iter().enumerate() {
        for end in ["=", "==", " ", "\n", "+", "/", "é", "%"] {
            let mut bent = parts.clone();
            bent[n].push_str(end);
            let refused = validate(&bent.join("."));
            assert_eq!(refused, Err(Error::Base64 { part }), "{part} {end:?}");
        }
        let mut bent = parts.clone();
        bent[n].insert(0, '\t');
        assert_eq!(validate(&bent.join(".")), Err(Error::Base64 { part }));
    }
}

#[test]
fn rfc_7519_4_no_name_is_there_twice() {
    for (part, header, claims) in [
        (
            Part::Header,
            r#"{"alg":"ES256","alg":"ES256"}"#.to_owned(),
            CLAIMS.to_owned(),
        ),
        (
            Part::Header,
            r#"{"alg":"none","kid":"k1","\u0061lg":"ES256"}"#.to_owned(),
            CLAIMS.to_owned(),
        ),
        (
            Part::Claims,
            HEADER.to_owned(),
            claims_with("", r#""sub":"spiffe://example.org/admin""#),
        ),
        (
            Part::Claims,
            HEADER.to_owned(),
            claims_with("", r#""x":{"a":1,"a":2}"#),
        ),
    ] {
        let error = refused(&header, &claims);
        let duplicate = matches!(
            error,
            Error::Json { part: found, error: JsonError::Duplicate { .. } } if found == part
        );
        assert!(duplicate, "{error:?}");
    }
}

#[test]
fn rfc_7519_7_2_both_parts_are_json_objects() {
    for text in ["", "{", "{}x", "x", "\u{feff}{}"] {
        let in_header = matches!(
            refused(text, CLAIMS),
            Error::Json {
                part: Part::Header,
                ..
            }
        );
        let in_claims = matches!(
            refused(HEADER, text),
            Error::Json {
                part: Part::Claims,
                ..
            }
        );
        assert!(in_header && in_claims, "{text:?}");
    }
    for text in ["[]", "null", "1", "\"{}\""] {
        let part = Part::Header;
        assert_eq!(refused(text, CLAIMS), Error::NotAnObject { part });
        let part = Part::Claims;
        assert_eq!(refused(HEADER, text), Error::NotAnObject { part });
    }
}

#[test]
fn tokens_are_bounded() {
    let fill = |len: usize| claims_with("", &format!(r#""fill":"{}""#, "x".repeat(len)));
    let longest = (0..12_400)
        .rev()
        .map(|len| token(HEADER, &fill(len)))
        .find(|token| token.len() <= MAX_JWT_BYTES)
        .unwrap();
    assert!(longest.len() > MAX_JWT_BYTES - 4);
    assert!(validate(&longest).is_ok());
    let len = MAX_JWT_BYTES + 1;
    let refused = validate(&"a".repeat(len));
    assert_eq!(
        refused,
        Err(Error::TooLong { len }),
        "before any byte is read"
    );
    let deep = claims_with(
        "",
        &format!(r#""x":{}{}"#, "[".repeat(4000), "]".repeat(4000)),
    );
    assert!(matches!(
        validate(&token(HEADER, &deep)),
        Err(Error::Json { .. })
    ));
}

#[test]
fn a_verifier_that_does_not_know_the_algorithm_says_so() {
    let algorithm = Algorithm::Es256;
    let audience = Audience::of(&["reports"]);
    let jwt = token(HEADER, CLAIMS);
    let refused = JwtSvid::validate(&jwt, &bundles(), audience, NOW, &tokens::ALL.1);
    let error = Error::Verify(VerifyError::Unsupported { algorithm });
    assert_eq!(refused, Err(error));
}

#[test]
fn any_verifier_can_be_brought_along() {
    /// Accepts what ends with a zero byte.
    struct Gullible;
    impl JwsVerifier for Gullible {
        fn verify(
            &self,
            algorithm: Algorithm,
            key: &PublicKey,
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), VerifyError> {
            assert_eq!(algorithm.signature_bytes(key), Some(signature.len()));
            assert!(message.starts_with(url(HEADER).as_bytes()));
            match signature.last() {
                Some(0) => Ok(()),
                _ => Err(VerifyError::Signature),
            }
        }
    }
    let input = format!("{}.{}", url(HEADER), url(CLAIMS));
    let with = |signature: [u8; 64]| {
        let jwt = format!("{input}.{}", url(signature));
        JwtSvid::validate(&jwt, &bundles(), Audience::of(&["reports"]), NOW, &Gullible)
    };
    assert!(with([0; 64]).is_ok());
    assert_eq!(with([1; 64]), Err(BAD_SIGNATURE));
}
