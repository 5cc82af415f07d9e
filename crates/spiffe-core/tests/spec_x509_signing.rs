//! X509-SVID §3.2 and §4 for signing certificates, and the bundle that holds them.

mod common;

use common::*;
use tidelock_spiffe_core::bundle::{BundleError, MAX_AUTHORITIES};
use tidelock_spiffe_core::x509::{
    CertificateError, KeyUsageError, Leaf, LeafError, SigningCert, SigningCertError as Error,
};
use tidelock_spiffe_core::{Bundle, SpiffeIdError, TrustDomainBuf};

#[track_caller]
fn refused(exts: &[Ext]) -> Error {
    SigningCert::parse(&cert(exts)).expect_err("must be refused")
}

fn example_org() -> TrustDomainBuf {
    TrustDomainBuf::parse("example.org").unwrap()
}

#[test]
fn x509_svid_3_2_gives_its_fields() {
    let der = cert(&signing_exts());
    let signing = SigningCert::parse(&der).unwrap();
    assert_eq!(signing.id.unwrap().as_str(), "spiffe://example.org");
    assert_eq!((signing.public_key.len(), signing.path_len), (65, None));
    assert!(signing.is_current(signing.not_after) && !signing.is_current(signing.not_after + 1));
}

#[test]
fn x509_svid_3_2_is_never_a_leaf() {
    let with_path = with(signing_exts(), san(&[uri(ID)]));
    assert_eq!(Leaf::parse(&cert(&with_path)).unwrap_err(), LeafError::Ca);
    assert_eq!(refused(&leaf_exts()), Error::NotCa);
}

#[test]
fn x509_svid_3_2_may_have_no_id() {
    let der = cert_with_subject(&without(signing_exts(), SAN));
    assert_eq!(SigningCert::parse(&der).unwrap().id, None);
    let der = cert(&with(signing_exts(), san(&[dns("ca")])));
    assert_eq!(SigningCert::parse(&der).unwrap().id, None);
}

#[test]
fn x509_svid_3_2_id_has_no_path() {
    assert_eq!(refused(&with(signing_exts(), san(&[uri(ID)]))), Error::Path);
    let two = san(&[uri("spiffe://a"), uri("spiffe://b")]);
    assert_eq!(
        refused(&with(signing_exts(), two)),
        Error::Uris { count: 2 }
    );
    let other = san(&[uri("https://a")]);
    assert_eq!(
        refused(&with(signing_exts(), other)),
        Error::Id(SpiffeIdError::Scheme)
    );
}

#[test]
fn x509_svid_4_1_requires_ca() {
    assert_eq!(
        refused(&with(signing_exts(), ca(Some(false)))),
        Error::NotCa
    );
    assert_eq!(refused(&with(signing_exts(), ca(None))), Error::NotCa);
    assert_eq!(
        refused(&without(signing_exts(), BASIC_CONSTRAINTS)),
        Error::NotCa
    );
}

#[test]
fn x509_svid_4_1_may_have_a_path_length() {
    let constraints = Ext(BASIC_CONSTRAINTS, true, tlv(0x30, &[1, 1, 0xff, 2, 1, 3]));
    let der = cert(&with(signing_exts(), constraints));
    assert_eq!(SigningCert::parse(&der).unwrap().path_len, Some(&[3][..]));
}

#[test]
fn x509_svid_4_2_may_have_name_constraints() {
    let constraints = Ext(NAME_CONSTRAINTS, true, tlv(0x30, &[]));
    assert!(SigningCert::parse(&cert(&with(signing_exts(), constraints))).is_ok());
}

#[test]
fn x509_svid_4_3_requires_critical_key_cert_sign() {
    let missing = Error::KeyUsage(KeyUsageError::Missing);
    assert_eq!(refused(&without(signing_exts(), KEY_USAGE)), missing);
    let mut plain = key_usage(KEY_CERT_SIGN);
    plain.1 = false;
    let not_critical = Error::KeyUsage(KeyUsageError::NotCritical);
    assert_eq!(refused(&with(signing_exts(), plain)), not_critical);
    for bits in [DIGITAL_SIGNATURE, CRL_SIGN] {
        assert_eq!(
            refused(&with(signing_exts(), key_usage(bits))),
            Error::NoKeyCertSign
        );
    }
    let both = key_usage(KEY_CERT_SIGN | CRL_SIGN);
    assert!(SigningCert::parse(&cert(&with(signing_exts(), both))).is_ok());
}

#[test]
fn rfc_5280_refuses_an_empty_certificate() {
    let error = SigningCert::parse(&[]).unwrap_err();
    assert!(
        matches!(error, Error::Certificate(CertificateError::Der(_))),
        "{error:?}"
    );
}

#[test]
fn bundle_holds_authorities_of_its_own_domain_only() {
    let mut bundle = Bundle::new(example_org());
    let der = cert(&signing_exts());
    bundle.push(der.clone()).unwrap();
    bundle.push(der.clone()).unwrap();
    assert!(
        bundle.x509_authorities().eq([&der[..]]),
        "the same authority is there once"
    );
    let other = cert(&with(signing_exts(), san(&[uri("spiffe://other.org")])));
    assert_eq!(
        bundle.push(other),
        Err(BundleError::OtherTrustDomain { index: 1 })
    );
    let leaf = BundleError::Authority {
        index: 1,
        error: Error::NotCa,
    };
    assert_eq!(bundle.push(cert(&leaf_exts())), Err(leaf));
    assert_eq!(
        bundle.x509_authorities().len(),
        1,
        "refused input changes nothing"
    );
}

#[test]
fn bundle_is_bounded() {
    let mut bundle = Bundle::new(example_org());
    for _ in 0..MAX_AUTHORITIES {
        bundle.push(cert(&signing_exts())).unwrap();
    }
    assert_eq!(
        bundle.push(cert(&signing_exts())),
        Err(BundleError::TooMany)
    );
}

#[test]
fn bundle_pem_round_trips() {
    let mut bundle = Bundle::new(example_org());
    assert_eq!(
        Bundle::from_pem(example_org(), ""),
        Ok(bundle.clone()),
        "an empty bundle is one"
    );
    bundle.push(cert(&signing_exts())).unwrap();
    bundle.push(cert(&signing_exts())).unwrap();
    let pem = bundle.to_pem();
    assert_eq!(Bundle::from_pem(example_org(), &pem), Ok(bundle));
    let cut = pem.trim_end().trim_end_matches('-');
    assert!(matches!(
        Bundle::from_pem(example_org(), cut),
        Err(BundleError::Pem(_))
    ));
}
