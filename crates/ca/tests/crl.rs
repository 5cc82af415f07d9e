//! Lists of revoked certificates, read by webpki and by OpenSSL.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::liar::{LIES, Liar, Lie};
use common::*;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, UnixTime};
use tidelock_ca::{
    Authority, CrlEntry, CrlError, CrlTimes, Csr, MAX_CRL_ENTRIES, MAX_NOT_AFTER, Svid,
};
use webpki::ring::ECDSA_P256_SHA256;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationOptionsBuilder, anchor_from_trusted_cert,
};

const HOUR: i64 = 3_600;

fn times() -> CrlTimes {
    CrlTimes {
        number: 7,
        this_update: NOW,
        next_update: NOW + HOUR,
    }
}

fn entry_of(serial: &[u8], revoked: i64) -> CrlEntry {
    let serial = serial.to_vec();
    CrlEntry { serial, revoked }
}

/// An SVID that is revoked, and one that is not.
fn two(authority: &Authority<KeyPair>) -> (Svid, Svid) {
    let issue = |byte: u8| {
        let request = csr(&key());
        let csr = Csr::parse(&request).unwrap();
        authority.issue(&web(), &csr, NOW, serial(byte)).unwrap()
    };
    (issue(2), issue(3))
}

fn list_of(authority: &Authority<KeyPair>, svid: &Svid, now: i64) -> Vec<u8> {
    let entries = [entry_of(svid.serial.as_bytes(), now - 5)];
    let times = CrlTimes {
        this_update: now,
        next_update: now + HOUR,
        ..times()
    };
    authority.crl(&entries, times).unwrap()
}

/// What webpki says of an SVID at a time.
fn verified(
    authority: &Authority<KeyPair>,
    list: &[u8],
    svid: &Svid,
    now: i64,
) -> Result<(), webpki::Error> {
    let root = CertificateDer::from(authority.certificate());
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let der = CertificateDer::from(&*svid.chain[0]);
    let list = BorrowedCertRevocationList::from_der(list)?;
    let list = CertRevocationList::from(list);
    let lists = [&list];
    let revocation = RevocationOptionsBuilder::new(&lists).unwrap();
    let revocation = revocation.with_expiration_policy(ExpirationPolicy::Enforce);
    let leaf = EndEntityCert::try_from(&der)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.cast_unsigned()));
    let (usage, revocation) = (KeyUsage::server_auth(), Some(revocation.build()));
    let path = leaf.verify_for_usage(
        &[ECDSA_P256_SHA256],
        &anchors,
        &[],
        now,
        usage,
        revocation,
        None,
    );
    path.map(|_| ())
}

#[test]
fn rfc_5280_6_3_webpki_refuses_what_is_revoked_and_nothing_else() {
    let authority = authority();
    let (revoked, good) = two(&authority);
    let list = list_of(&authority, &revoked, NOW);
    let at = |svid, now| verified(&authority, &list, svid, now);
    assert_eq!(at(&revoked, NOW), Err(webpki::Error::CertRevoked));
    assert_eq!(at(&good, NOW), Ok(()));
    let ended = at(&good, NOW + HOUR);
    assert!(
        matches!(ended, Err(webpki::Error::CrlExpired { .. })),
        "{ended:?}"
    );
    let empty = authority.crl(&[], times()).unwrap();
    assert_eq!(verified(&authority, &empty, &revoked, NOW), Ok(()));
    // By a list of an authority that it is not of, nothing is known of an SVID.
    let other = Authority::self_signed(key(), &example_org(), NOW, NOW + DAY, serial(9)).unwrap();
    let list = list_of(&other, &revoked, NOW);
    let unknown = verified(&authority, &list, &revoked, NOW);
    assert_eq!(unknown, Err(webpki::Error::UnknownRevocationStatus));
}

fn openssl(dir: &Path, words: &str) -> (bool, String) {
    let mut command = Command::new("openssl");
    let done = command.args(words.split(' ')).current_dir(dir).output();
    let done = done.expect("openssl is installed");
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn openssl_verifies_a_list_and_refuses_what_is_on_it() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = now.as_secs().cast_signed();
    let authority =
        Authority::self_signed(key(), &example_org(), now, now + DAY, serial(1)).unwrap();
    let issue = |byte: u8| {
        let request = csr(&key());
        let csr = Csr::parse(&request).unwrap();
        authority.issue(&web(), &csr, now, serial(byte)).unwrap()
    };
    let (revoked, good) = (issue(2), issue(3));
    let dir = tempfile::tempdir().unwrap();
    let pem = tidelock_spiffe_core::pem::encode;
    let write = |name: &str, label, der: &[u8]| {
        std::fs::write(dir.path().join(name), pem(label, der)).unwrap()
    };
    write("root", "CERTIFICATE", authority.certificate());
    write("revoked", "CERTIFICATE", &revoked.chain[0]);
    write("good", "CERTIFICATE", &good.chain[0]);
    let list = list_of(&authority, &revoked, now);
    std::fs::write(dir.path().join("list.crl"), &list).unwrap();
    write("list", "X509 CRL", &list);

    let (ok, said) = openssl(
        dir.path(),
        "crl -inform DER -in list.crl -verify -CAfile root -noout",
    );
    assert!(ok && said.contains("verify OK"), "{said}");
    let (_, said) = openssl(dir.path(), "crl -inform DER -in list.crl -text -noout");
    for part in [
        "Version 2 (0x1)",
        "X509v3 CRL Number",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        said.contains(&revoked.serial.to_string().to_uppercase()),
        "{said}"
    );
    let verify = |name: &str| {
        openssl(
            dir.path(),
            &format!("verify -crl_check -CAfile root -CRLfile list {name}"),
        )
    };
    let (ok, said) = verify("good");
    assert!(ok && said.contains("good: OK"), "{said}");
    let (ok, said) = verify("revoked");
    assert!(!ok && said.contains("certificate revoked"), "{said}");

    let mut forged = list;
    let at = forged.len() - 8;
    forged[at] ^= 1;
    std::fs::write(dir.path().join("forged.crl"), forged).unwrap();
    let (_, said) = openssl(
        dir.path(),
        "crl -inform DER -in forged.crl -verify -CAfile root -noout",
    );
    assert!(!said.contains("verify OK"), "{said}");
}

#[test]
fn as_many_fit_as_are_revoked_at_one_time() {
    let authority = authority();
    let serial = |n: usize| [&[0x40][..], &n.to_be_bytes(), &[7; 7]].concat();
    let entries = |count| {
        (0..count)
            .map(|n| entry_of(&serial(n), NOW))
            .collect::<Vec<_>>()
    };
    let list = authority.crl(&entries(MAX_CRL_ENTRIES), times()).unwrap();
    let read = BorrowedCertRevocationList::from_der(&list).unwrap();
    assert_eq!(read.into_iter().count(), MAX_CRL_ENTRIES);
    assert!(list.len() < 160 * 1024, "{} bytes", list.len());
    let one_more = authority.crl(&entries(MAX_CRL_ENTRIES + 1), times());
    assert!(matches!(one_more, Err(CrlError::TooMany { count: 4_097 })));
}

#[test]
fn what_a_list_cannot_say_is_refused() {
    let authority = authority();
    let good = entry_of(&[1], NOW);
    for bad in [&[][..], &[0], &[0, 1], &[0x80], &[0xff, 1], &[1; 21]] {
        let refused = authority.crl(&[good.clone(), entry_of(bad, NOW)], times());
        assert!(
            matches!(refused, Err(CrlError::Serial { at: 1 })),
            "{bad:?}"
        );
    }
    let twice = [good.clone(), entry_of(&[2], NOW), entry_of(&[1], NOW + 1)];
    assert!(matches!(
        authority.crl(&twice, times()),
        Err(CrlError::Twice { at: 2 })
    ));
    for (this_update, next_update) in [
        (-1, NOW),
        (NOW, NOW),
        (NOW, NOW - 1),
        (NOW, MAX_NOT_AFTER + 1),
    ] {
        let times = CrlTimes {
            this_update,
            next_update,
            ..times()
        };
        assert!(matches!(
            authority.crl(&[], times),
            Err(CrlError::Times { .. })
        ));
    }
    assert!(
        authority
            .crl(&[entry_of(&[1], MAX_NOT_AFTER + 1)], times())
            .is_err()
    );
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let key = key();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "x");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![SanType::URI("spiffe://example.org".try_into().unwrap())];
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let authority = Authority::open(key, certificate).unwrap();
    let refused = authority.crl(&[], times());
    assert!(matches!(refused, Err(CrlError::Sign(_))), "{refused:?}");
}

#[test]
fn no_list_is_released_of_a_key_that_lies() {
    let liar = Liar::new(Lie::None);
    let root = Authority::self_signed(&liar, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    assert!(root.crl(&[], times()).is_ok(), "an honest key's is");
    for lie in LIES {
        liar.lie.set(lie);
        let refused = root.crl(&[], times());
        assert!(matches!(refused, Err(CrlError::Reread(_))), "{lie:?}");
    }
    liar.lie.set(Lie::Silence);
    assert!(matches!(root.crl(&[], times()), Err(CrlError::Sign(_))));
}

/// Contents of an INTEGER that is positive.
fn serials() -> impl Strategy<Value = Vec<u8>> {
    (1..0x80u8, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(first, rest)| [vec![first], rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_read_is_what_went_in(
        entries in prop::collection::btree_map(serials(), 0..=MAX_NOT_AFTER, 0..40),
        number: u128,
        this_update in 0..MAX_NOT_AFTER,
    ) {
        let authority = authority();
        let entries: Vec<_> = entries.iter().map(|(serial, at)| entry_of(serial, *at)).collect();
        let times = CrlTimes { number, this_update, next_update: this_update + 1 };
        let list = authority.crl(&entries, times).unwrap();
        let read = BorrowedCertRevocationList::from_der(&list).unwrap();
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), entries.len());
        for (read, entry) in read.iter().zip(&entries) {
            prop_assert_eq!(read.serial_number, entry.serial.as_slice());
            prop_assert_eq!(read.revocation_date.as_secs(), entry.revoked.cast_unsigned());
        }
    }
}
