//! X509-SVID §2 to §5 for leaves, one test per rule.

mod common;

use common::*;
use tidelock_spiffe_core::der::DerError;
use tidelock_spiffe_core::x509::{
    CertificateError as Cert, GeneralName, KeyUsageError, Leaf, LeafError as Error,
};
use tidelock_spiffe_core::{SpiffeIdError, TrustDomainError};

#[track_caller]
fn refused(exts: &[Ext]) -> Error {
    Leaf::parse(&cert(exts)).expect_err("must be refused")
}

#[track_caller]
fn accepted(exts: &[Ext]) {
    let der = cert(exts);
    assert_eq!(Leaf::parse(&der).expect("must be accepted").id.as_str(), ID);
}

#[test]
fn x509_svid_gives_its_fields() {
    let der = cert(&with(
        leaf_exts(),
        san(&[dns("web"), uri(ID), tlv(0x87, &[10, 0, 0, 1])]),
    ));
    let leaf = Leaf::parse(&der).unwrap();
    assert_eq!(leaf.id.as_str(), ID);
    assert_eq!(leaf.not_before, 1_767_225_600);
    assert_eq!(leaf.not_after, 2_524_521_600);
    assert_eq!(leaf.public_key.len(), 65);
    assert_eq!(leaf.subject, [0x30, 0]);
    assert_eq!(leaf.issuer, leaf.subject);
    assert!(leaf.spki.starts_with(&[0x30]) && leaf.spki.ends_with(leaf.public_key));
    let names: Vec<_> = leaf.names().collect();
    assert_eq!(
        names,
        [
            GeneralName::Dns("web"),
            GeneralName::Uri(ID),
            GeneralName::Ip(&[10, 0, 0, 1])
        ]
    );
    assert!(!leaf.is_current(leaf.not_before - 1) && leaf.is_current(leaf.not_before));
    assert!(leaf.is_current(leaf.not_after) && !leaf.is_current(leaf.not_after + 1));
}

#[test]
fn x509_svid_2_requires_exactly_one_uri_san() {
    assert_eq!(
        refused(&with(leaf_exts(), san(&[dns("web")]))),
        Error::Uris { count: 0 }
    );
    let two = san(&[uri(ID), uri(ID)]);
    assert_eq!(refused(&with(leaf_exts(), two)), Error::Uris { count: 2 });
    let other = san(&[uri(ID), uri("https://example.org")]);
    assert_eq!(refused(&with(leaf_exts(), other)), Error::Uris { count: 2 });
    let exts = without(leaf_exts(), SAN);
    assert_eq!(
        Leaf::parse(&cert_with_subject(&exts)).unwrap_err(),
        Error::Uris { count: 0 }
    );
}

#[test]
fn x509_svid_2_allows_other_san_kinds() {
    let other_kinds = [0x81, 0x82, 0x87, 0x88, 0xa0, 0xa3, 0xa4, 0xa5].map(|tag| tlv(tag, b"x"));
    accepted(&with(
        leaf_exts(),
        san(&[&[uri(ID)][..], &other_kinds].concat()),
    ));
}

#[test]
fn x509_svid_2_refuses_malformed_sans() {
    for bad in [
        tlv(0x80, b"x"),
        tlv(0x82, b"\xff"),
        tlv(0x86, "é".as_bytes()),
        tlv(0x0c, b"x"),
    ] {
        let error = refused(&with(leaf_exts(), san(&[uri(ID), bad])));
        assert!(
            matches!(error, Error::Certificate(Cert::Name { .. })),
            "{error:?}"
        );
    }
    let error = refused(&with(leaf_exts(), san(&[])));
    assert!(
        matches!(error, Error::Certificate(Cert::NoNames { .. })),
        "{error:?}"
    );
}

#[test]
fn x509_svid_2_requires_a_spiffe_id() {
    for (text, error) in [
        ("https://example.org/a", SpiffeIdError::Scheme),
        (
            "spiffe://example.org/a/",
            SpiffeIdError::TrailingSlash { at: 22 },
        ),
        ("", SpiffeIdError::Scheme),
    ] {
        assert_eq!(
            refused(&with(leaf_exts(), san(&[uri(text)]))),
            Error::Id(error),
            "{text:?}"
        );
    }
}

#[test]
fn x509_svid_2_refuses_ids_not_written_in_lower_case() {
    let upper = TrustDomainError::UpperCase { byte: b'T', at: 0 };
    assert_eq!(
        refused(&with(leaf_exts(), san(&[uri("spiffe://Td/a")]))),
        Error::Id(SpiffeIdError::TrustDomain(upper))
    );
}

#[test]
fn x509_svid_3_1_requires_a_path() {
    let root = san(&[uri("spiffe://example.org")]);
    assert_eq!(refused(&with(leaf_exts(), root)), Error::Pathless);
}

#[test]
fn x509_svid_3_1_san_is_critical_if_the_subject_is_empty() {
    let mut plain = san(&[uri(ID)]);
    plain.1 = false;
    let exts = with(leaf_exts(), plain);
    assert_eq!(refused(&exts), Error::Certificate(Cert::SanNotCritical));
    assert!(Leaf::parse(&cert_with_subject(&exts)).is_ok());
    assert!(Leaf::parse(&cert_with_subject(&leaf_exts())).is_ok());
}

#[test]
fn x509_svid_4_1_refuses_ca() {
    assert_eq!(refused(&with(leaf_exts(), ca(Some(true)))), Error::Ca);
    accepted(&with(leaf_exts(), ca(Some(false))));
    accepted(&without(leaf_exts(), BASIC_CONSTRAINTS));
}

#[test]
fn x509_svid_4_2_refuses_critical_name_constraints_in_a_leaf() {
    let exts = with(leaf_exts(), Ext(NAME_CONSTRAINTS, true, tlv(0x30, &[])));
    let error = refused(&exts);
    assert!(
        matches!(error, Error::Certificate(Cert::UnknownCritical { .. })),
        "{error:?}"
    );
}

#[test]
fn x509_svid_4_3_requires_key_usage() {
    let missing = Error::KeyUsage(KeyUsageError::Missing);
    assert_eq!(refused(&without(leaf_exts(), KEY_USAGE)), missing);
}

#[test]
fn x509_svid_4_3_requires_key_usage_to_be_critical() {
    let mut plain = key_usage(DIGITAL_SIGNATURE);
    plain.1 = false;
    let error = Error::KeyUsage(KeyUsageError::NotCritical);
    assert_eq!(refused(&with(leaf_exts(), plain)), error);
}

#[test]
fn x509_svid_4_3_requires_digital_signature() {
    for bits in [0x20, 0x08] {
        assert_eq!(
            refused(&with(leaf_exts(), key_usage(bits))),
            Error::NoDigitalSignature
        );
    }
    let none = Ext(KEY_USAGE, true, tlv(3, &[0]));
    assert_eq!(refused(&with(leaf_exts(), none)), Error::NoDigitalSignature);
    accepted(&with(
        leaf_exts(),
        key_usage(DIGITAL_SIGNATURE | 0x20 | 0x08),
    ));
}

#[test]
fn x509_svid_4_3_refuses_key_cert_sign() {
    let exts = with(leaf_exts(), key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN));
    assert_eq!(refused(&exts), Error::KeyCertSign);
}

#[test]
fn x509_svid_4_3_refuses_crl_sign() {
    let exts = with(leaf_exts(), key_usage(DIGITAL_SIGNATURE | CRL_SIGN));
    assert_eq!(refused(&exts), Error::CrlSign);
}

#[test]
fn x509_svid_4_4_extended_key_usage_is_optional() {
    accepted(&without(leaf_exts(), EKU));
}

#[test]
fn x509_svid_4_4_extended_key_usage_has_both_purposes() {
    let any = b"\x06\x04\x55\x1d\x25\x00".as_slice();
    for (purposes, server_auth, client_auth) in [
        (&[SERVER_AUTH][..], true, false),
        (&[CLIENT_AUTH], false, true),
        (&[any], false, false),
        (&[], false, false),
    ] {
        let error = Error::ExtendedKeyUsage {
            server_auth,
            client_auth,
        };
        assert_eq!(refused(&with(leaf_exts(), eku(purposes))), error);
    }
    let mut both = eku(&[any, CLIENT_AUTH, SERVER_AUTH]);
    accepted(&with(leaf_exts(), both.clone()));
    both.1 = true;
    accepted(&with(leaf_exts(), both));
}

#[test]
fn rfc_5280_4_2_refuses_unknown_critical_extensions() {
    let mut unknown = Ext(UNHEARD_OF, true, tlv(4, b"x"));
    let error = refused(&with(leaf_exts(), unknown.clone()));
    assert!(
        matches!(error, Error::Certificate(Cert::UnknownCritical { .. })),
        "{error:?}"
    );
    unknown.1 = false;
    accepted(&with(leaf_exts(), unknown));
}

#[test]
fn rfc_5280_4_2_refuses_repeated_extensions() {
    for repeated in [san(&[uri(ID)]), Ext(UNHEARD_OF, false, vec![])] {
        let exts = [with(leaf_exts(), repeated.clone()), vec![repeated]].concat();
        let error = refused(&exts);
        assert!(
            matches!(error, Error::Certificate(Cert::DuplicateExtension { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn extensions_are_bounded() {
    let list = |count: u8| {
        let known = leaf_exts().into_iter().map(|ext| (ext.0, ext.1, ext.2));
        let oids: Vec<Vec<u64>> = (0..count)
            .map(|n| vec![1, 3, 6, 1, 4, 1, 9, n.into()])
            .collect();
        let fill = oids
            .into_iter()
            .map(|oid| (&*oid.leak(), false, vec![5, 0]));
        known
            .chain(fill)
            .map(|(oid, critical, value)| Ext(oid, critical, value))
            .collect()
    };
    let full: Vec<Ext> = list(28);
    accepted(&full);
    assert_eq!(
        refused(&list(29)),
        Error::Certificate(Cert::TooManyExtensions)
    );
}

#[test]
fn certificates_are_bounded() {
    let fill = |len| with(leaf_exts(), Ext(UNHEARD_OF, false, tlv(4, &vec![0; len])));
    accepted(&fill(15_000));
    let der = cert(&fill(16_384));
    let error = Error::Certificate(Cert::TooLong { len: der.len() });
    assert_eq!(Leaf::parse(&der).unwrap_err(), error);
}

#[test]
fn rfc_5280_4_1_2_1_requires_version_3() {
    for version in [vec![], tlv(0xa0, &[2, 1, 1]), tlv(0xa0, &[2, 1, 3])] {
        let der = leaf_with_field(VERSION, version);
        assert_eq!(
            Leaf::parse(&der).unwrap_err(),
            Error::Certificate(Cert::Version)
        );
    }
}

#[test]
fn rfc_5280_4_1_2_2_serials_have_at_most_20_bytes() {
    let der = leaf_with_field(SERIAL, tlv(2, &[1; 20]));
    assert_eq!(Leaf::parse(&der).unwrap().serial, [1; 20]);
    let der = leaf_with_field(SERIAL, tlv(2, &[1; 21]));
    let error = Error::Certificate(Cert::SerialTooLong { len: 21 });
    assert_eq!(Leaf::parse(&der).unwrap_err(), error);
}

#[test]
fn rfc_5280_4_1_1_2_both_algorithms_are_the_same() {
    let der = leaf_with_field(ALGORITHM, tlv(0x30, &[6, 3, 0x2b, 0x65, 0x70]));
    assert_eq!(
        Leaf::parse(&der).unwrap_err(),
        Error::Certificate(Cert::SignatureAlgorithms)
    );
}

#[test]
fn rfc_5280_4_1_2_5_validity_is_not_reversed() {
    let times = [tlv(0x17, b"260101000001Z"), tlv(0x17, b"260101000000Z")].concat();
    let der = leaf_with_field(VALIDITY, tlv(0x30, &times));
    let (not_before, not_after) = (1_767_225_601, 1_767_225_600);
    let error = Error::Certificate(Cert::Validity {
        not_before,
        not_after,
    });
    assert_eq!(Leaf::parse(&der).unwrap_err(), error);
}

#[test]
fn rfc_5280_4_1_extensions_are_needed() {
    let der = leaf_with_field(EXTENSIONS, vec![]);
    assert_eq!(
        Leaf::parse(&der).unwrap_err(),
        Error::Certificate(Cert::NoExtensions)
    );
}

#[test]
fn rfc_5280_4_1_nothing_follows_a_certificate() {
    let mut der = cert(&leaf_exts());
    let at = der.len();
    der.push(0);
    let error = Error::Certificate(Cert::Der(DerError::Trailing { at }));
    assert_eq!(Leaf::parse(&der).unwrap_err(), error);
}
