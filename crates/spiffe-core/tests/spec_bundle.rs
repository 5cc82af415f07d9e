//! SPIFFE Trust Domain and Bundle §4, X509-SVID §6 and JWT-SVID §6, one test per rule.

mod common;
mod tokens;

use common::{cert, san, signing_exts, uri, with};
use tidelock_spiffe_core::bundle::{
    Bundle, BundleError as Error, BundleSet, JwtAuthority, MAX_AUTHORITIES, MAX_BUNDLES,
    MAX_JWKS_BYTES, MAX_JWKS_ENTRIES, Refreshed, TooManyBundles,
};
use tidelock_spiffe_core::jwk::{
    Curve, JwkError, JwkProblem as Problem, MAX_RSA_BITS, PublicKey, PublicKeyError,
};
use tidelock_spiffe_core::x509::{SigningCert, SigningCertError};
use tokens::{bundle, domain, key, point, public, standard, url};

fn read(text: &str) -> Result<Bundle, Error> {
    Bundle::from_jwks(domain("example.org"), text)
}

fn set(entries: &[String]) -> String {
    format!("{{\"keys\":[{}]}}", entries.join(","))
}

#[track_caller]
fn accepted(entries: &[String]) -> Bundle {
    read(&set(entries)).unwrap_or_else(|error| panic!("{entries:?}: {error}"))
}

#[track_caller]
fn refused(entry: &str) -> JwkError {
    let ignored = r#"{"use":"unheard-of"}"#.to_owned();
    match read(&set(&[ignored, entry.to_owned()])) {
        Err(Error::Entry { index: 1, error }) => error,
        other => panic!("{entry}: {other:?}"),
    }
}

fn wrong(member: &'static str, problem: Problem) -> JwkError {
    JwkError { member, problem }
}

/// The members of a P-256 key.
fn numbers(number: u8) -> String {
    let point = point(&key(number));
    let (x, y) = point[1..].split_at(32);
    format!(
        r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#,
        url(x),
        url(y)
    )
}

/// A JWT authority.
fn jwt(number: u8, more: &str) -> String {
    format!(r#"{{{},"use":"jwt-svid"{more}}}"#, numbers(number))
}

/// An X.509 authority of this certificate, whose key the JWK has.
fn x509(der: &[u8], x5c: &str) -> String {
    let signing = SigningCert::parse(der).unwrap();
    let (x, y) = signing.public_key[1..].split_at(32);
    format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}","use":"x509-svid","x5c":{x5c}}}"#,
        url(x),
        url(y)
    )
}

fn authority() -> Vec<u8> {
    cert(&signing_exts())
}

#[test]
fn bundle_4_1_3_requires_keys_which_may_be_empty() {
    let bundle = read(r#"{"keys":[]}"#).unwrap();
    assert!(bundle.is_empty());
    assert_eq!((bundle.sequence, bundle.refresh_hint_secs), (None, None));
    for text in [
        "{}",
        r#"{"Keys":[]}"#,
        r#"{"spiffe_sequence":1}"#,
        "[]",
        "null",
        "1",
    ] {
        let missing = Error::Set(wrong("keys", Problem::Missing));
        assert_eq!(read(text), Err(missing), "{text}");
    }
    for text in [r#"{"keys":null}"#, r#"{"keys":{}}"#, r#"{"keys":"[]"}"#] {
        let of_type = Error::Set(wrong("keys", Problem::Type));
        assert_eq!(read(text), Err(of_type), "{text}");
    }
    assert_eq!(refused("1"), wrong("keys", Problem::Type));
    assert!(matches!(read(""), Err(Error::Json(_))));
    assert!(matches!(
        read(r#"{"keys":[],"keys":[]}"#),
        Err(Error::Json(_))
    ));
}

#[test]
fn bundle_4_1_1_sequence_has_64_bits() {
    let sequence = |text: &str| read(&format!(r#"{{"keys":[],"spiffe_sequence":{text}}}"#));
    for number in [0, 1, u64::MAX] {
        assert_eq!(
            sequence(&number.to_string()).unwrap().sequence,
            Some(number)
        );
    }
    for text in [
        "-1",
        "1.0",
        "1e3",
        "18446744073709551616",
        "\"1\"",
        "null",
        "[]",
    ] {
        let error = Error::Set(wrong("spiffe_sequence", Problem::Type));
        assert_eq!(sequence(text), Err(error), "{text}");
    }
}

#[test]
fn bundle_4_1_2_refresh_hint_is_whole_seconds() {
    let hint = |text: &str| read(&format!(r#"{{"keys":[],"spiffe_refresh_hint":{text}}}"#));
    assert_eq!(hint("300").unwrap().refresh_hint_secs, Some(300));
    assert_eq!(hint("0").unwrap().refresh_hint_secs, Some(0));
    for text in ["-1", "0.5", "300.0", "\"300\"", "null"] {
        let error = Error::Set(wrong("spiffe_refresh_hint", Problem::Type));
        assert_eq!(hint(text), Err(error), "{text}");
    }
}

#[test]
fn bundle_4_1_unknown_members_are_tolerated() {
    let text = format!(
        r#"{{"x":{{"keys":1}},"keys":[{}],"y":null}}"#,
        jwt(1, r#","kid":"k","alg":"none","d":"x""#)
    );
    assert_eq!(read(&text).unwrap().jwt_authorities().len(), 1);
}

#[test]
fn bundle_4_2_1_unknown_or_missing_key_types_are_passed_over() {
    let kid = r#""use":"jwt-svid","kid":"k""#;
    let entries = [
        format!(r#"{{{kid}}}"#),
        format!(r#"{{{kid},"kty":"oct","k":"AAAA"}}"#),
        format!(r#"{{{kid},"kty":"ec","crv":"P-256"}}"#),
        format!(r#"{{{kid},"kty":"EC","crv":"secp256k1","x":"","y":""}}"#),
        format!(r#"{{{kid},"kty":"OKP","crv":"X25519","x":""}}"#),
        format!(r#"{{{kid},"kty":"AKP","alg":"ML-DSA-44","pub":""}}"#),
    ];
    assert!(accepted(&entries).is_empty());
    assert_eq!(
        refused(&format!(r#"{{{kid},"kty":1}}"#)),
        wrong("kty", Problem::Type)
    );
}

#[test]
fn bundle_4_2_2_unknown_or_missing_uses_are_passed_over() {
    let numbers = numbers(1);
    let uses = [
        "",
        r#","use":"sig""#,
        r#","use":"wit-svid""#,
        r#","use":"JWT-SVID""#,
        r#","use":"""#,
    ];
    let entries = uses.map(|usage| format!(r#"{{{numbers}{usage},"kid":"k"}}"#));
    assert!(accepted(&entries).is_empty());
    let entry = format!(r#"{{{numbers},"use":["jwt-svid"],"kid":"k"}}"#);
    assert_eq!(refused(&entry), wrong("use", Problem::Type));
}

#[test]
fn x509_svid_6_2_entries_without_a_certificate_are_passed_over() {
    let numbers = numbers(1);
    let entries =
        ["", r#","x5c":[]"#].map(|x5c| format!(r#"{{{numbers},"use":"x509-svid"{x5c}}}"#));
    assert!(accepted(&entries).is_empty());
    for x5c in ["null", "\"\"", "{}", "[1]", "[null]"] {
        let entry = format!(r#"{{{numbers},"use":"x509-svid","x5c":{x5c}}}"#);
        assert_eq!(refused(&entry), wrong("x5c", Problem::Type), "{x5c}");
    }
}

#[test]
fn x509_svid_6_2_all_certificates_but_the_first_are_passed_over() {
    let (first, second) = (authority(), authority());
    let x5c = format!(r#"["{}","{}",1]"#, standard(&first), standard(&second));
    let bundle = accepted(&[x509(&first, &x5c)]);
    assert!(bundle.x509_authorities().eq([&first[..]]));
    assert_eq!(bundle.jwt_authorities().len(), 0);
}

#[test]
fn x509_svid_6_2_the_first_certificate_is_a_signing_certificate_of_the_domain() {
    let leaf = cert(&common::leaf_exts());
    let entry = format!(
        r#"{{{},"use":"x509-svid","x5c":["{}"]}}"#,
        numbers(1),
        standard(&leaf)
    );
    let (index, error) = (0, SigningCertError::NotCa);
    assert_eq!(read(&set(&[entry])), Err(Error::Authority { index, error }));
    let other = cert(&with(signing_exts(), san(&[uri("spiffe://other.org")])));
    let entry = x509(&other, &format!(r#"["{}"]"#, standard(&other)));
    assert_eq!(read(&set(&[entry])), Err(Error::OtherTrustDomain { index }));
}

#[test]
fn rfc_7517_4_7_the_certificate_is_of_the_key_beside_it() {
    let (mine, other) = (authority(), authority());
    let entry = x509(&mine, &format!(r#"["{}"]"#, standard(&other)));
    assert_eq!(refused(&entry), wrong("x5c", Problem::Differs));
}

#[test]
fn rfc_7517_4_7_certificates_are_in_padded_standard_base64() {
    let der = authority();
    for text in [url(&der), format!("{} ", standard(&der)), "!".to_owned()] {
        if text == standard(&der) {
            continue;
        }
        let entry = x509(&der, &format!(r#"["{text}"]"#));
        assert_eq!(refused(&entry), wrong("x5c", Problem::Base64), "{text}");
    }
}

#[test]
fn jwt_svid_6_1_requires_kid() {
    assert_eq!(refused(&jwt(1, "")), wrong("kid", Problem::Missing));
    assert_eq!(refused(&jwt(1, r#","kid":1"#)), wrong("kid", Problem::Type));
    assert_eq!(
        refused(&jwt(1, r#","kid":"""#)),
        wrong("kid", Problem::Empty)
    );
    let long = format!(r#","kid":"{}""#, "k".repeat(257));
    assert_eq!(
        refused(&jwt(1, &long)),
        wrong("kid", Problem::TooLong { len: 257 })
    );
}

#[test]
fn jwt_svid_6_1_a_key_id_is_one_keys() {
    let kid = r#","kid":"k""#;
    assert_eq!(
        accepted(&[jwt(1, kid), jwt(1, kid)])
            .jwt_authorities()
            .len(),
        1
    );
    let taken = Error::KeyIdTaken { index: 1 };
    assert_eq!(read(&set(&[jwt(1, kid), jwt(2, kid)])), Err(taken));
}

#[test]
fn jwt_svid_2_1_ed25519_keys_sign_no_jwt_svid() {
    let entry = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"{}","use":"jwt-svid","kid":"k"}}"#,
        url([1; 32])
    );
    assert!(accepted(&[entry]).is_empty());
    let key = PublicKey::from_ed25519(&[1; 32]).unwrap();
    assert_eq!(
        JwtAuthority::new("k", key),
        Err(wrong("kty", Problem::Kind))
    );
}

#[test]
fn rfc_7518_6_2_coordinates_keep_their_leading_zeros() {
    for (crv, bytes) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
        let entry = |x: usize, y: usize| {
            let (x, y) = (url(vec![0; x]), url(vec![1; y]));
            format!(
                r#"{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{y}","use":"jwt-svid","kid":"k"}}"#
            )
        };
        assert_eq!(accepted(&[entry(bytes, bytes)]).jwt_authorities().len(), 1);
        for (x, y) in [
            (bytes - 1, bytes),
            (bytes, bytes - 1),
            (bytes, bytes + 1),
            (0, bytes),
        ] {
            let problem = refused(&entry(x, y)).problem;
            assert!(
                matches!(problem, Problem::Key(PublicKeyError::Length { .. })),
                "{x} {y}"
            );
        }
    }
    for (member, entry) in [
        ("crv", r#"{"kty":"EC","use":"jwt-svid"}"#),
        ("x", r#"{"kty":"EC","crv":"P-256","use":"jwt-svid"}"#),
        ("n", r#"{"kty":"RSA","use":"jwt-svid"}"#),
        ("crv", r#"{"kty":"OKP","use":"jwt-svid"}"#),
    ] {
        assert_eq!(refused(entry), wrong(member, Problem::Missing), "{entry}");
    }
    let padded = jwt(1, r#","kid":"k""#).replacen(r#"","y"#, r#"=","y"#, 1);
    assert_eq!(refused(&padded), wrong("x", Problem::Base64));
}

#[test]
fn rfc_7518_3_3_rsa_keys_have_2048_bits_or_more() {
    let rsa = |n: &[u8], e: &[u8]| {
        let (n, e) = (url(n), url(e));
        format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}","use":"jwt-svid","kid":"k"}}"#)
    };
    let modulus = |bits: usize| [&[0x80][..], &vec![1; bits / 8 - 1]].concat();
    for bits in [2048, 3072, 4096, MAX_RSA_BITS] {
        let bundle = accepted(&[rsa(&modulus(bits), &[1, 0, 1])]);
        let authority = bundle.jwt_authority("k").unwrap();
        assert_eq!(authority.key().rsa_bits(), Some(bits));
    }
    let mut weak = modulus(2048);
    weak[0] = 0x7f;
    let error = wrong("n", Problem::Weak { bits: 2047 });
    assert_eq!(refused(&rsa(&weak, &[1, 0, 1])), error);
    let bad = |error| wrong("n", Problem::Key(error));
    let padded = [&[0][..], &modulus(2048)].concat();
    for n in [vec![], padded, modulus(MAX_RSA_BITS + 8)] {
        assert_eq!(refused(&rsa(&n, &[3])), bad(PublicKeyError::Modulus));
    }
    for e in [&[][..], &[1], &[2], &[0, 3], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        let refused = refused(&rsa(&modulus(2048), e));
        assert_eq!(refused, bad(PublicKeyError::Exponent), "{e:?}");
    }
}

#[test]
fn bundles_are_bounded() {
    let len = MAX_JWKS_BYTES + 1;
    assert_eq!(read(&" ".repeat(len)), Err(Error::TooLong { len }));
    let ignored = |count: usize| set(&vec!["{}".to_owned(); count]);
    assert!(read(&ignored(MAX_JWKS_ENTRIES)).is_ok());
    let count = MAX_JWKS_ENTRIES + 1;
    assert_eq!(read(&ignored(count)), Err(Error::TooManyEntries { count }));
    let keys = |count: usize| -> Vec<String> {
        (0..count)
            .map(|n| jwt(1, &format!(r#","kid":"{n}""#)))
            .collect()
    };
    assert_eq!(
        accepted(&keys(MAX_AUTHORITIES)).jwt_authorities().len(),
        MAX_AUTHORITIES
    );
    assert_eq!(read(&set(&keys(MAX_AUTHORITIES + 1))), Err(Error::TooMany));
}

#[test]
fn bundle_4_parse_then_print_is_identity() {
    let mut bundle = bundle("example.org", &[("k\"1\\\u{1f}é", 1), ("k2", 2)]);
    bundle.push(authority()).unwrap();
    bundle.push(authority()).unwrap();
    bundle.sequence = Some(u64::MAX);
    bundle.refresh_hint_secs = Some(300);
    let text = bundle.to_jwks().unwrap();
    assert_eq!(read(&text).as_ref(), Ok(&bundle));
    assert_eq!(read(&text).unwrap().to_jwks().unwrap(), text);
    let empty = Bundle::new(domain("example.org"));
    assert_eq!(empty.to_jwks().unwrap(), r#"{"keys":[]}"#);
}

#[test]
fn x509_svid_6_1_what_is_published() {
    let mut bundle = bundle("example.org", &[("k1", 1)]);
    bundle.push(authority()).unwrap();
    let text = bundle.to_jwks().unwrap();
    let (x509, jwt) = text.split_once("},{").unwrap();
    assert!(x509.contains(r#""use":"x509-svid""#) && !x509.contains("kid"));
    assert_eq!(x509.matches("x5c").count(), 1);
    assert!(x509.contains(&format!(r#""x5c":["{}"]"#, standard(authority_of(&bundle)))));
    assert!(jwt.contains(r#""use":"jwt-svid","kid":"k1""#) && !jwt.contains("x5c"));
}

fn authority_of(bundle: &Bundle) -> &[u8] {
    bundle.x509_authorities().next().unwrap()
}

#[test]
fn bundle_3_each_trust_domain_has_its_own() {
    let mut set = BundleSet::new();
    assert!(set.is_empty());
    let one = bundle("one.org", &[("k", 1)]);
    let two = bundle("two.org", &[("k", 2)]);
    assert_eq!(set.insert(two.clone()), Ok(None));
    assert_eq!(set.insert(one.clone()), Ok(None));
    assert!(set.iter().eq([&one, &two]));
    assert_eq!(set.get(domain("one.org").as_trust_domain()), Some(&one));
    assert_eq!(set.get(domain("three.org").as_trust_domain()), None);
    let empty = Bundle::new(domain("one.org"));
    assert_eq!(
        set.insert(empty.clone()),
        Ok(Some(one)),
        "replaced, never merged"
    );
    assert_eq!(set.get(domain("one.org").as_trust_domain()), Some(&empty));
    assert_eq!(set.remove(domain("two.org").as_trust_domain()), Some(two));
    assert_eq!(set.len(), 1);
}

#[test]
fn bundle_4_1_1_a_lower_sequence_does_not_come_back() {
    let with = |sequence: Option<u64>, number: u8| {
        let mut bundle = bundle("example.org", &[("k", number)]);
        bundle.sequence = sequence;
        bundle
    };
    let mut set = BundleSet::new();
    for (bundle, became) in [
        (with(Some(5), 1), Refreshed::Added),
        (with(Some(5), 1), Refreshed::Same),
        (with(Some(4), 2), Refreshed::Stale),
        (with(Some(5), 2), Refreshed::Replaced),
        (with(Some(6), 1), Refreshed::Replaced),
        (with(None, 2), Refreshed::Replaced),
        (with(Some(1), 1), Refreshed::Replaced),
    ] {
        assert_eq!(set.refresh(bundle.clone()), Ok(became), "{bundle:?}");
        if became != Refreshed::Stale {
            assert!(set.iter().eq([&bundle]));
        }
    }
}

#[test]
fn bundle_sets_are_bounded() {
    let mut set = BundleSet::new();
    for n in 0..MAX_BUNDLES {
        set.insert(Bundle::new(domain(&n.to_string()))).unwrap();
    }
    let more = Bundle::new(domain("more"));
    assert_eq!(set.insert(more.clone()), Err(TooManyBundles));
    assert_eq!(set.refresh(more), Err(TooManyBundles));
    assert!(
        set.insert(Bundle::new(domain("0"))).is_ok(),
        "one that is there"
    );
}

#[test]
fn rfc_5480_keys_of_certificates_are_those_of_jwks() {
    let der = authority();
    let spki = SigningCert::parse(&der).unwrap().spki;
    let read = PublicKey::from_spki(spki).unwrap();
    let (curve, found) = read.as_point().unwrap();
    assert_eq!(curve, Curve::P256);
    assert!(spki.ends_with(found));
    assert!(read.as_rsa().is_none() && read.as_ed25519().is_none());
    for len in 0..spki.len() {
        assert!(PublicKey::from_spki(&spki[..len]).is_err(), "{len}");
    }
    let compressed = [&[2][..], &point(&key(1))[1..33]].concat();
    let form = PublicKey::from_point(Curve::P256, &compressed);
    assert_eq!(form, Err(PublicKeyError::Form));
    assert!(format!("{:?}", public(&key(1))).contains("P-256"));
}
