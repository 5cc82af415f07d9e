//! Which certificates name a node, and what proves that one is its node's.

mod common;
mod node;

use common::{DAY, NOW};
use node::{Ca, Leaf, RSA_KEY, device, key_of, pem};
use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SigningKey as _};
use tidelock_ca::{
    MAX_NODE_CHAIN, MAX_NODE_ROOTS, NodeCertificateError, NodeRoots, NodeRootsError,
};
use tidelock_spiffe_core::x509::MAX_CERTIFICATE_BYTES;

fn roots(cas: &[&Ca]) -> NodeRoots {
    let text: String = cas.iter().map(|ca| pem(&ca.der)).collect();
    NodeRoots::from_pem(&text).expect("roots")
}

fn refused(roots: &NodeRoots, chain: &[Vec<u8>]) -> NodeCertificateError {
    roots.verify(chain, NOW).expect_err("refused")
}

fn is_path(error: &NodeCertificateError) -> bool {
    matches!(error, NodeCertificateError::Path(_))
}

#[test]
fn a_certificate_of_a_root_names_its_node_in_lower_case() {
    let ca = Ca::root();
    let leaf = ca.leaf(&device("Web-1.Example.org"));
    let certificate = roots(&[&ca])
        .verify(std::slice::from_ref(&leaf.der), NOW)
        .expect("good");
    assert_eq!(certificate.dns_name(), "web-1.example.org");
    assert_eq!(certificate.der(), leaf.der);
}

#[test]
fn every_kind_of_key_proves_itself_and_nothing_else() {
    let ca = Ca::root();
    for kind in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = key_of(kind);
        let leaf = ca.leaf_for(&device("n1"), key);
        let certificate = roots(&[&ca])
            .verify(std::slice::from_ref(&leaf.der), NOW)
            .expect("good");
        let proof = leaf.key.sign(b"message").expect("signs");
        assert!(certificate.proves(b"message", &proof), "{kind:?}");
        assert!(!certificate.proves(b"other", &proof), "{kind:?}");
        assert!(!certificate.proves(b"message", b""), "{kind:?}");
        let other = KeyPair::generate().expect("key");
        let proof = other.sign(b"message").expect("signs");
        assert!(!certificate.proves(b"message", &proof), "{kind:?}");
    }
}

/// Made with OpenSSL 3: `req -x509 -newkey rsa:2048`, `x509 -req` of a P-384 key, `dgst -sha384 -sign`.
#[test]
fn what_openssl_made_is_taken() {
    let roots = NodeRoots::from_pem(include_str!("node/openssl-root.pem")).expect("roots");
    let leaf = include_str!("node/openssl-leaf.pem");
    let chain = tidelock_spiffe_core::pem::decode("CERTIFICATE", leaf).expect("PEM");
    // A year after it was made.
    let certificate = roots.verify(&chain, 1_827_000_000).expect("good");
    assert_eq!(certificate.dns_name(), "web-1.example.org");
    let signature = include_bytes!("node/openssl-leaf.sig");
    assert!(certificate.proves(b"tidelock x509pop 1", signature));
    assert!(!certificate.proves(b"tidelock x509pop 2", signature));
}

#[test]
fn roots_of_rsa_keys_count() {
    let ca = Ca::with(Leaf::root(), KeyPair::from_pem(RSA_KEY).expect("key"), None);
    let leaf = ca.leaf(&device("n1"));
    roots(&[&ca]).verify(&[leaf.der], NOW).expect("good");
}

#[test]
fn a_chain_leads_to_a_root_by_intermediates_whose_order_does_not_matter() {
    let root = Ca::root();
    let middle = root.intermediate();
    let lower = middle.intermediate();
    let leaf = lower.leaf(&device("n1")).der;
    let roots = roots(&[&root]);
    for rest in [[&lower.der, &middle.der], [&middle.der, &lower.der]] {
        let chain: Vec<_> = std::iter::once(&leaf).chain(rest).cloned().collect();
        roots.verify(&chain, NOW).expect("good");
    }
    // Without the one that the root signed there is no way.
    let short = [leaf, lower.der.clone()];
    assert!(is_path(&refused(&roots, &short)));
}

#[test]
fn what_another_root_signed_is_refused() {
    let (ours, theirs) = (Ca::root(), Ca::root());
    let leaf = theirs.leaf(&device("n1")).der;
    assert!(is_path(&refused(
        &roots(&[&ours]),
        std::slice::from_ref(&leaf)
    )));
    // A root that comes with it is not believed for that.
    let chain = [leaf, theirs.der.clone()];
    assert!(is_path(&refused(&roots(&[&ours]), &chain)));
    assert!(roots(&[&ours, &theirs]).verify(&chain[..1], NOW).is_ok());
}

#[test]
fn rfc_5280_6_1_nothing_of_a_chain_may_have_expired_or_lie_ahead() {
    let early = |leaf: Leaf| leaf.valid(NOW - 3 * DAY, NOW - DAY);
    let late = |leaf: Leaf| leaf.valid(NOW + DAY, NOW + 3 * DAY);
    let root = Ca::root();
    for leaf in [early(device("n1")), late(device("n1"))] {
        assert!(is_path(&refused(&roots(&[&root]), &[root.leaf(&leaf).der])));
    }
    let middle = root.below(early(Leaf::root()));
    let chain = [middle.leaf(&device("n1")).der, middle.der.clone()];
    assert!(is_path(&refused(&roots(&[&root]), &chain)));
    for validity in [early(Leaf::root()), late(Leaf::root())] {
        let root = Ca::with(validity, KeyPair::generate().expect("key"), None);
        let leaf = root.leaf(&device("n1")).der;
        assert!(is_path(&refused(&roots(&[&root]), &[leaf])), "of the root");
    }
}

#[test]
fn a_root_is_current_to_its_last_second() {
    let root = Ca::with(
        Leaf::root().valid(NOW - DAY, NOW),
        KeyPair::generate().expect("key"),
        None,
    );
    let chain = [root.leaf(&device("n1")).der];
    let roots = roots(&[&root]);
    assert!(roots.verify(&chain, NOW).is_ok());
    assert!(roots.verify(&chain, NOW + 1).is_err());
    assert!(roots.verify(&chain, -1).is_err());
}

#[test]
fn a_ca_is_no_node() {
    let root = Ca::root();
    let mut leaf = device("n1");
    leaf.params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let der = root.leaf(&leaf).der;
    assert_eq!(refused(&roots(&[&root]), &[der]), NodeCertificateError::Ca);
    assert_eq!(
        refused(&roots(&[&root]), std::slice::from_ref(&root.der)),
        NodeCertificateError::Ca
    );
}

#[test]
fn a_nodes_key_is_for_signatures_and_for_clients() {
    let root = Ca::root();
    let with = |usages: &[KeyUsagePurpose], extended: &[ExtendedKeyUsagePurpose]| {
        let mut leaf = device("n1");
        leaf.params.key_usages = usages.to_vec();
        leaf.params.extended_key_usages = extended.to_vec();
        roots(&[&root]).verify(&[root.leaf(&leaf).der], NOW)
    };
    for usages in [&[][..], &[KeyUsagePurpose::KeyAgreement]] {
        let refused = with(usages, &[]).expect_err("refused");
        assert_eq!(refused, NodeCertificateError::NoDigitalSignature);
    }
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let signs = [KeyUsagePurpose::DigitalSignature];
    assert!(with(&signs, &[]).is_ok());
    assert!(with(&signs, &[ServerAuth, ClientAuth]).is_ok());
    assert!(is_path(&with(&signs, &[ServerAuth]).expect_err("refused")));
}

#[test]
fn exactly_one_dns_name_names_the_node() {
    let root = Ca::root();
    for names in [&[][..], &["n1", "n2"], &["n1", "n1"]] {
        let der = root.leaf(&Leaf::named(names)).der;
        let count = names.len();
        let expected = NodeCertificateError::Names { count };
        assert_eq!(refused(&roots(&[&root]), &[der]), expected);
    }
}

#[test]
fn a_ca_bound_to_names_names_no_other_node() {
    let root = Ca::root();
    let mut bound = Leaf::root();
    bound.params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("a.example.org".into())],
        excluded_subtrees: vec![],
    });
    let middle = root.below(bound);
    let try_name = |name: &str| {
        let chain = [middle.leaf(&device(name)).der, middle.der.clone()];
        roots(&[&root]).verify(&chain, NOW)
    };
    assert!(try_name("n1.a.example.org").is_ok());
    assert!(is_path(&try_name("n1.b.example.org").expect_err("refused")));
}

#[test]
fn chains_have_bounds() {
    let root = Ca::root();
    let leaf = root.leaf(&device("n1")).der;
    let roots = roots(&[&root]);
    assert_eq!(refused(&roots, &[]), NodeCertificateError::Empty);
    let chain = vec![leaf.clone(); MAX_NODE_CHAIN];
    assert!(roots.verify(&chain, NOW).is_ok());
    let chain = vec![leaf.clone(); MAX_NODE_CHAIN + 1];
    let count = MAX_NODE_CHAIN + 1;
    let expected = NodeCertificateError::TooMany { count };
    assert_eq!(refused(&roots, &chain), expected);
    let len = MAX_CERTIFICATE_BYTES + 1;
    for chain in [vec![vec![0x30; len]], vec![leaf, vec![0x30; len]]] {
        let expected = NodeCertificateError::TooLong { len };
        assert_eq!(refused(&roots, &chain), expected);
    }
}

#[test]
fn roots_are_cas_and_bounded() {
    let root = Ca::root();
    let one = pem(&root.der);
    let read = |text: &str| NodeRoots::from_pem(text).expect_err("refused");
    assert_eq!(read(""), NodeRootsError::Empty);
    assert!(NodeRoots::from_pem(&one.repeat(MAX_NODE_ROOTS)).is_ok());
    let count = MAX_NODE_ROOTS + 1;
    let expected = NodeRootsError::TooMany { count };
    assert_eq!(read(&one.repeat(count)), expected);
    let leaf = pem(&root.leaf(&device("n1")).der);
    let expected = NodeRootsError::NotCa { number: 2 };
    assert_eq!(read(&format!("{one}{leaf}")), expected);
    assert!(matches!(
        read(&pem(b"noise")),
        NodeRootsError::Certificate { number: 1, .. }
    ));
    assert!(matches!(
        read("-----BEGIN CERTIFICATE-----\n"),
        NodeRootsError::Pem(_)
    ));
}

#[test]
fn no_byte_of_a_certificate_can_be_altered() {
    let root = Ca::root();
    let der = root.leaf(&device("n1")).der;
    let roots = roots(&[&root]);
    for at in 0..der.len() {
        let mut altered = der.clone();
        altered[at] ^= 1;
        assert!(roots.verify(&[altered], NOW).is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn noise_is_refused(chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..7)) {
        let root = Ca::root();
        prop_assert!(roots(&[&root]).verify(&chain, NOW).is_err());
    }

    #[test]
    fn noise_proves_nothing(message in prop::collection::vec(any::<u8>(), 0..100), signature in prop::collection::vec(any::<u8>(), 0..100)) {
        let root = Ca::root();
        let der = root.leaf(&device("n1")).der;
        let certificate = roots(&[&root]).verify(&[der], NOW).expect("good");
        prop_assert!(!certificate.proves(&message, &signature));
    }
}
