//! What an authority's own key signed, but says something else than an SVID is to say.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf};

use super::*;
use crate::{Authority, Entry, Serial, Ttl};

const NOW: i64 = 1_770_000_000;

/// Has a leaf signed that differs from what was to be signed by `change`, and re-reads it.
fn reread(change: impl FnOnce(&mut CertificateParams)) -> Result<(), RereadError> {
    let trust_domain = TrustDomainBuf::parse("example.org").unwrap();
    let serial = Serial::from_random([1; 16]);
    let root = KeyPair::generate().unwrap();
    let root = Authority::self_signed(root, &trust_domain, NOW, NOW + 86_400, serial).unwrap();
    let certificate = CertificateDer::from(root.certificate());

    let id = SpiffeIdBuf::parse("spiffe://example.org/web").unwrap();
    let entry = Entry::workload(id, Ttl::from_secs(600).unwrap()).unwrap();
    let template = Template::leaf(&entry, serial, NOW, NOW + 600);
    let mut params = template.leaf_params().unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_ca_cert_der(&certificate, root.key()).unwrap();
    let signed = params.signed_by(&key, &issuer).unwrap();
    let request = crate::request(&key).unwrap();
    let csr = crate::Csr::parse(&request).unwrap();
    let authority = (root.certificate(), KeyAlgorithm::P256);
    leaf(signed.der(), &template, csr.spki(), authority, NOW)
}

#[test]
fn what_says_what_it_was_to_say_is_released() {
    reread(|_| {}).unwrap();
}

#[test]
fn x509_svid_4_4_neither_usage_of_an_svid_may_be_missing() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    for (usages, server_auth, client_auth) in [
        (vec![ServerAuth], true, false),
        (vec![ClientAuth], false, true),
        (vec![CodeSigning], false, false),
    ] {
        let refused = reread(|params| params.extended_key_usages = usages);
        let expected = LeafError::ExtendedKeyUsage {
            server_auth,
            client_auth,
        };
        match refused {
            Err(RereadError::Leaf(found)) => assert_eq!(found, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn x509_svid_4_3_a_leaf_has_the_usages_of_its_key_and_no_others() {
    let certifies = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    for usages in [vec![], vec![KeyUsagePurpose::KeyAgreement], certifies] {
        let refused = reread(|params| params.key_usages = usages);
        assert!(matches!(refused, Err(RereadError::Leaf(_))), "{refused:?}");
    }
}
