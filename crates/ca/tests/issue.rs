//! What is issued, to whom, and for how long.

mod common;

use std::time::Duration;

use common::*;
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, ServerName as DialedName, UnixTime};
use tidelock_ca::{
    Authority, AuthorityError, BACKDATE_SECS, Csr, Entry, IssueError, MAX_NOT_AFTER, RereadError,
    ServerName, Svid, Ttl,
};
use tidelock_spiffe_core::x509::{GeneralName, Leaf, SigningCert};
use webpki::ring::ECDSA_P256_SHA256;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn issue(authority: &Authority<KeyPair>, entry: &Entry, now: i64) -> Svid {
    authority
        .issue(entry, &Csr::parse(&csr(&key())).unwrap(), now, serial(2))
        .unwrap()
}

fn refused(authority: &Authority<KeyPair>, entry: &Entry, now: i64) -> IssueError<rcgen::Error> {
    let request = csr(&key());
    authority
        .issue(entry, &Csr::parse(&request).unwrap(), now, serial(2))
        .unwrap_err()
}

#[test]
fn x509_svid_3_2_the_root_is_a_signing_certificate() {
    let authority = authority();
    let root = SigningCert::parse(authority.certificate()).unwrap();
    assert_eq!(root.id.unwrap().as_str(), "spiffe://example.org");
    assert_eq!(
        (root.not_before, root.not_after),
        (NOW - BACKDATE_SECS, NOW + DAY)
    );
    assert_eq!(root.serial, serial(1).as_bytes());
    assert!(root.subject.len() > 2 && root.issuer == root.subject);
    assert_eq!(authority.bundle().unwrap().x509_authorities().len(), 1);
}

#[test]
fn the_root_ends_after_now_and_within_the_calendar() {
    for not_after in [NOW, NOW - 1, MAX_NOT_AFTER + 1, i64::MIN, i64::MAX] {
        let made = Authority::self_signed(key(), &example_org(), NOW, not_after, serial(1));
        assert!(
            matches!(made, Err(AuthorityError::NotAfter { .. })),
            "{not_after}"
        );
    }
    let eternal = Authority::self_signed(key(), &example_org(), NOW, MAX_NOT_AFTER, serial(1));
    assert_eq!(eternal.unwrap().not_after(), MAX_NOT_AFTER);
    assert!(Authority::self_signed(key(), &example_org(), -1, NOW, serial(1)).is_err());
}

#[test]
fn x509_svid_3_1_the_leaf_says_what_the_entry_says() {
    let (authority, key) = (authority(), key());
    let request = csr(&key);
    let csr = Csr::parse(&request).unwrap();
    let svid = authority.issue(&web(), &csr, NOW, serial(2)).unwrap();
    assert_eq!(svid.chain.len(), 1);
    let leaf = Leaf::parse(&svid.chain[0]).unwrap();
    assert_eq!(
        (leaf.id, svid.id.as_str()),
        (svid.id.as_id(), "spiffe://example.org/web")
    );
    assert_eq!((leaf.not_before, leaf.not_after), (NOW - 30, NOW + 3600));
    assert_eq!(
        (leaf.not_before, leaf.not_after),
        (svid.not_before, svid.not_after)
    );
    assert_eq!(leaf.serial, serial(2).as_bytes());
    assert_eq!(
        (leaf.public_key, leaf.spki),
        (key.public_key_raw(), csr.spki())
    );
    assert_eq!(leaf.subject, [0x30, 0]);
    assert!(
        leaf.names()
            .eq([GeneralName::Uri("spiffe://example.org/web")])
    );
}

#[test]
fn nothing_but_the_key_is_taken_from_the_request() {
    let mut wish = CertificateParams::new(["evil.example".to_owned()]).unwrap();
    wish.distinguished_name.push(DnType::CommonName, "admin");
    let uri = "spiffe://example.org/admin".try_into().unwrap();
    wish.subject_alt_names.push(SanType::URI(uri));
    wish.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wish.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let request = wish.serialize_request(&key()).unwrap();
    let csr = Csr::parse(request.der()).unwrap();
    let svid = authority().issue(&web(), &csr, NOW, serial(2)).unwrap();
    let leaf = Leaf::parse(&svid.chain[0]).unwrap();
    assert!(
        leaf.names()
            .eq([GeneralName::Uri("spiffe://example.org/web")])
    );
    assert_eq!(leaf.subject, [0x30, 0]);
}

#[test]
fn ids_outside_the_trust_domain_are_refused() {
    for id in [
        "spiffe://other.org/web",
        "spiffe://a.example.org/web",
        "spiffe://example.or/g",
    ] {
        let error = refused(&authority(), &entry(id, 60), NOW);
        assert!(
            matches!(error, IssueError::OtherTrustDomain { .. }),
            "{error}"
        );
    }
}

#[test]
fn the_authority_has_no_svid() {
    let key = key();
    let request = csr(&key);
    let authority = Authority::self_signed(key, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let error = authority.issue(&web(), &Csr::parse(&request).unwrap(), NOW, serial(2));
    assert!(matches!(error, Err(IssueError::AuthorityKey)));
}

#[test]
fn an_expired_authority_issues_nothing() {
    let authority = authority();
    for now in [
        NOW + DAY - 9,
        NOW + DAY,
        NOW + DAY + 1,
        NOW - BACKDATE_SECS - 1,
        0,
        i64::MAX,
    ] {
        let error = refused(&authority, &web(), now);
        assert!(
            matches!(error, IssueError::AuthorityNotCurrent { .. }),
            "{now}: {error}"
        );
    }
}

#[test]
fn a_leaf_neither_outlives_nor_predates_its_authority() {
    let authority = authority();
    let svid = issue(&authority, &web(), NOW + DAY - 10);
    assert_eq!(
        (svid.not_before, svid.not_after),
        (NOW + DAY - 40, NOW + DAY)
    );
    let svid = issue(&authority, &web(), NOW - 20);
    assert_eq!(svid.not_before, NOW - BACKDATE_SECS);
}

#[test]
fn the_shortest_ttl_is_ten_seconds() {
    let svid = issue(&authority(), &entry("spiffe://example.org/web", 10), NOW);
    assert_eq!((svid.not_before, svid.not_after), (NOW - 30, NOW + 10));
    assert!(Ttl::from_secs(9).is_err());
}

#[test]
fn a_node_gets_its_svid_the_same_way() {
    let authority = authority();
    let node = Entry::node(
        authority.trust_domain(),
        "node-1",
        Ttl::from_secs(600).unwrap(),
    );
    let svid = issue(&authority, &node.unwrap(), NOW);
    let leaf = Leaf::parse(&svid.chain[0]).unwrap();
    assert_eq!(
        leaf.id.as_str(),
        "spiffe://example.org/tidelock/agent/node-1"
    );
}

#[test]
fn the_control_plane_gets_a_server_certificate_the_same_way() {
    let authority = authority();
    let names = ["127.0.0.1", "::1", "ca.example.org"].map(|name| ServerName::parse(name).unwrap());
    let ttl = Ttl::from_secs(600).unwrap();
    let control = Entry::control(authority.trust_domain(), names.to_vec(), ttl).unwrap();
    let svid = issue(&authority, &control, NOW);
    let leaf = Leaf::parse(&svid.chain[0]).unwrap();
    assert_eq!(leaf.id.as_str(), "spiffe://example.org/tidelock/control");

    let (root, der) = (
        authority.certificate().into(),
        CertificateDer::from(&*svid.chain[0]),
    );
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let cert = EndEntityCert::try_from(&der).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW as u64));
    cert.verify_for_usage(
        &[ECDSA_P256_SHA256],
        &anchors,
        &[],
        time,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .unwrap();
    for (name, is_ours) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("ca.example.org", true),
        ("127.0.0.2", false),
    ] {
        let dialed = DialedName::try_from(name).unwrap();
        assert_eq!(
            cert.verify_is_valid_for_subject_name(&dialed).is_ok(),
            is_ours,
            "{name}"
        );
    }
}

#[test]
fn an_authority_can_be_opened_again() {
    let key = key();
    let made = Authority::self_signed(&key, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let opened = Authority::open(&key, made.certificate().to_vec()).unwrap();
    assert_eq!(opened.trust_domain(), made.trust_domain());
    let request = csr(&common::key());
    let csr = Csr::parse(&request).unwrap();
    assert!(opened.issue(&web(), &csr, NOW, serial(2)).is_ok());
}

#[test]
fn an_authority_opens_with_its_own_key_and_certificate_only() {
    let made = authority();
    let other = Authority::open(key(), made.certificate().to_vec());
    assert!(matches!(
        other,
        Err(AuthorityError::Reread(RereadError::Differs {
            field: "public key"
        }))
    ));
    let svid = issue(&made, &web(), NOW);
    let leaf = Authority::open(key(), svid.chain[0].clone());
    assert!(matches!(
        leaf,
        Err(AuthorityError::Reread(RereadError::SigningCert(_)))
    ));
}

#[test]
fn an_altered_root_is_refused() {
    let key = key();
    let made = Authority::self_signed(&key, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    for at in 0..made.certificate().len() {
        let mut altered = made.certificate().to_vec();
        altered[at] ^= 1;
        assert!(Authority::open(&key, altered).is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_issued_keeps_the_bounds(
        after in -100..DAY + 100,
        ttl_secs in 10..2_592_001_u64,
        path in "[a-z]{1,8}(/[A-Za-z0-9_-]{1,12}){0,5}",
    ) {
        prop_assume!(!path.starts_with("tidelock"));
        let authority = authority();
        let now = NOW + after;
        let entry = entry(&format!("spiffe://example.org/{path}"), ttl_secs);
        let request = csr(&key());
        match authority.issue(&entry, &Csr::parse(&request).unwrap(), now, serial(2)) {
            Ok(svid) => {
                prop_assert!(svid.not_after - now >= 10 && svid.not_before <= now);
                prop_assert!(svid.not_after <= authority.not_after());
                prop_assert!(svid.not_after <= now + ttl_secs as i64);
                let leaf = Leaf::parse(&svid.chain[0]).unwrap();
                prop_assert_eq!(leaf.id.as_str(), entry.id().as_str());
            }
            Err(IssueError::AuthorityNotCurrent { .. }) => {
                prop_assert!(!(-BACKDATE_SECS..=DAY - 10).contains(&after));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
