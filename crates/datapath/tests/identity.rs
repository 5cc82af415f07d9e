//! Keys, requests, chains and authorities.

use std::process::Command;

use rcgen::{CertificateSigningRequestParams, KeyUsagePurpose, SanType};
use tidelock_datapath::{
    AuthorityError, Identity, InstallError, MAX_AUTHORITIES, MAX_CHAIN_BYTES, MAX_CHAIN_CERTS,
    TrustStore,
};
use tidelock_spiffe_core::x509::LeafError;
use tidelock_spiffe_core::{SpiffeId, TrustDomain};
use tidelock_testkit::{Leaf, SeededEntropy, TestCa, identity_without_svid, install, uri};

const ID: &str = "spiffe://example.org/ns/web";

fn chain_for(identity: &Identity, leaf: Leaf) -> Vec<Vec<u8>> {
    TestCa::new("example.org").sign(&identity.csr().expect("a request"), leaf)
}

fn refused(identity: &mut Identity, chain: &[Vec<u8>]) -> InstallError {
    identity
        .install(chain.iter().map(Vec::as_slice))
        .expect_err("must be refused")
}

#[test]
fn rfc2986_the_request_asks_for_the_id_and_proves_the_key() {
    let identity = identity_without_svid(ID);
    let csr = identity.csr().expect("a request");
    // Checks the signature.
    let parsed =
        CertificateSigningRequestParams::from_der(&csr.as_slice().into()).expect("a valid request");
    assert_eq!(
        parsed.params.subject_alt_names,
        [SanType::URI(ID.try_into().expect("ASCII"))]
    );
    assert_eq!(parsed.params.distinguished_name.iter().count(), 0);
}

#[test]
fn openssl_accepts_the_request() {
    let csr = identity_without_svid(ID).csr().expect("a request");
    let path =
        std::env::temp_dir().join(format!("tidelock-datapath-csr-{}.der", std::process::id()));
    std::fs::write(&path, csr).expect("written");
    let shown = Command::new("openssl")
        .args(["req", "-inform", "DER", "-verify", "-noout", "-text", "-in"])
        .arg(&path)
        .output()
        .expect("openssl is installed");
    std::fs::remove_file(&path).expect("removed");
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    assert!(
        text.contains(&format!("URI:{ID}")) && text.contains("prime256v1"),
        "{text}"
    );
}

#[test]
fn the_longest_id_fits_the_documented_sizes() {
    let id = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
    let mut identity = identity_without_svid(&id);
    assert_eq!(identity.spiffe_id().as_str().len(), 2048);
    assert!(identity.csr().expect("a request").len() < 2400);
    let chain = chain_for(&identity, Leaf::for_id(&id));
    assert!(chain[0].len() < 2600);
    install(&mut identity, &chain);
}

#[test]
fn two_keys_differ() {
    let (one, two) = (identity_without_svid(ID), identity_without_svid(ID));
    assert_ne!(one.csr(), two.csr());
}

#[test]
fn without_entropy_there_is_no_key() {
    SeededEntropy::break_source();
    let id = SpiffeId::parse(ID).expect("an ID");
    assert!(Identity::generate::<SeededEntropy>(id).is_err());
    SeededEntropy::seed(0);
}

#[test]
fn printing_shows_the_name_and_never_the_key() {
    let identity = TestCa::new("example.org").identity(ID);
    let shown = format!("{identity:?} {:?}", identity.svid());
    assert!(shown.contains(ID));
    assert!(shown.len() < 8192 && !shown.to_lowercase().contains("secret"));
}

#[test]
fn an_installed_chain_says_what_it_says() {
    let mut identity = identity_without_svid(ID);
    assert!(identity.svid().is_none());
    let chain = chain_for(&identity, Leaf::for_id(ID).valid(-7, 9));
    install(&mut identity, &chain);
    let svid = identity.svid().expect("installed");
    assert_eq!(svid.not_after() - svid.not_before(), 16);
    assert!(svid.chain().eq(chain.iter().map(Vec::as_slice)));
    assert!(!svid.serial().is_empty());
}

#[test]
fn a_chain_must_belong_to_key_and_name() {
    let mut identity = identity_without_svid(ID);
    assert_eq!(refused(&mut identity, &[]), InstallError::Empty);
    let other_key = chain_for(&identity_without_svid(ID), Leaf::for_id(ID));
    assert_eq!(refused(&mut identity, &other_key), InstallError::OtherKey);
    let other_id = "spiffe://example.org/ns/web2";
    let other = chain_for(&identity, Leaf::for_id(other_id));
    assert!(
        matches!(refused(&mut identity, &other), InstallError::OtherId { found } if found.as_str() == other_id)
    );
    let ca = chain_for(
        &identity,
        Leaf::for_id(ID).with(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
    );
    assert_eq!(
        refused(&mut identity, &ca),
        InstallError::Leaf(LeafError::KeyCertSign)
    );
    assert!(matches!(
        refused(&mut identity, &[vec![0x30, 0]]),
        InstallError::Leaf(_)
    ));
    assert!(identity.svid().is_none());
}

#[test]
fn a_refused_chain_leaves_the_old_one() {
    let mut identity = TestCa::new("example.org").identity(ID);
    let serial = identity.svid().expect("installed").serial().to_vec();
    let other = chain_for(&identity, Leaf::for_id("spiffe://example.org/other"));
    refused(&mut identity, &other);
    assert_eq!(identity.svid().expect("still installed").serial(), serial);
}

#[test]
fn an_installed_chain_is_bounded() {
    let mut identity = identity_without_svid(ID);
    let mut chain = chain_for(&identity, Leaf::for_id(ID));
    let cert = chain[0].clone();
    chain.resize(MAX_CHAIN_CERTS, cert.clone());
    install(&mut identity, &chain);
    chain.push(cert);
    assert_eq!(
        refused(&mut identity, &chain),
        InstallError::TooManyCertificates
    );
    let long = vec![chain[0].clone(), vec![0; MAX_CHAIN_BYTES]];
    assert!(
        matches!(refused(&mut identity, &long), InstallError::ChainTooLong { len } if len > MAX_CHAIN_BYTES)
    );
}

#[test]
fn only_signing_certificates_of_the_domain_become_authorities() {
    let domain = TrustDomain::parse("example.org").expect("a domain");
    let mut trust = TrustStore::new();
    let elsewhere = TestCa::new("elsewhere.org");
    assert_eq!(
        trust.add(domain, elsewhere.authority()),
        Err(AuthorityError::OtherDomain)
    );
    let leaf = chain_for(&identity_without_svid(ID), Leaf::for_id(ID));
    assert!(matches!(
        trust.add(domain, &leaf[0]),
        Err(AuthorityError::NotSigning(_))
    ));
    assert!(matches!(
        trust.add(domain, b""),
        Err(AuthorityError::NotSigning(_))
    ));
    let long = vec![0x30; MAX_CHAIN_BYTES + 1];
    assert_eq!(
        trust.add(domain, &long),
        Err(AuthorityError::TooLong { len: long.len() })
    );
    // A root need not name its domain (X509-SVID §3.2), only never another.
    let nameless = TestCa::with_root("example.org", |params| params.subject_alt_names.clear());
    assert_eq!(trust.add(domain, nameless.authority()), Ok(()));
    let pathful = TestCa::with_root("example.org", |params| {
        params.subject_alt_names = vec![uri(ID)]
    });
    assert!(matches!(
        trust.add(domain, pathful.authority()),
        Err(AuthorityError::NotSigning(_))
    ));
}

#[test]
fn a_domains_authorities_are_bounded() {
    let domain = TrustDomain::parse("example.org").expect("a domain");
    let ca = TestCa::new("example.org");
    let mut trust = TrustStore::new();
    for _ in 0..MAX_AUTHORITIES {
        trust.add(domain, ca.authority()).expect("room");
    }
    assert_eq!(
        trust.add(domain, ca.authority()),
        Err(AuthorityError::TooMany)
    );
}
