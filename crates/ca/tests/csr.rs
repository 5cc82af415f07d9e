//! What a request must prove.

mod bodies;
mod common;

use common::{csr, key};
use proptest::prelude::*;
use proptest::sample::Index;
use rcgen::{CertificateParams, KeyPair};
use tidelock_ca::{Csr, CsrError, MAX_CSR_BYTES};

/// The position of `needle` in `der`, which is there once.
fn position(der: &[u8], needle: &[u8]) -> usize {
    der.windows(needle.len())
        .position(|window| window == needle)
        .unwrap()
}

#[test]
fn rfc_2986_gives_the_key() {
    let key = key();
    let der = csr(&key);
    let csr = Csr::parse(&der).unwrap();
    assert_eq!(csr.public_key(), key.public_key_raw());
    assert!(csr.spki().ends_with(csr.public_key()));
}

#[test]
fn possession_of_another_key_is_not_enough() {
    let (mine, victims) = (key(), key());
    let mut der = csr(&mine);
    let at = position(&der, mine.public_key_raw());
    let public_key = victims.public_key_raw();
    der[at..at + public_key.len()].copy_from_slice(public_key);
    assert_eq!(Csr::parse(&der), Err(CsrError::Possession));
}

#[test]
fn a_signature_of_another_request_is_not_enough() {
    let key = key();
    let request = |name: &str| {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().der().to_vec()
    };
    let (der, other) = (request("aaaa"), request("bbbb"));
    assert!(Csr::parse(&der).is_ok() && Csr::parse(&other).is_ok());
    let mut renamed = der.clone();
    let at = position(&der, b"aaaa");
    renamed[at..at + 4].copy_from_slice(b"bbbb");
    assert_eq!(Csr::parse(&renamed), Err(CsrError::Possession));
}

#[test]
fn no_byte_can_be_altered() {
    let der = csr(&key());
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut altered = der.clone();
            altered[at] ^= 1 << bit;
            assert!(Csr::parse(&altered).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn truncated_and_continued_requests_are_refused() {
    let mut der = csr(&key());
    for len in 0..der.len() {
        assert!(Csr::parse(&der[..len]).is_err(), "{len}");
    }
    der.push(0);
    assert!(matches!(Csr::parse(&der), Err(CsrError::Der(_))));
}

#[test]
fn oversized_requests_are_refused_unread() {
    let len = MAX_CSR_BYTES + 1;
    assert_eq!(Csr::parse(&vec![0; len]), Err(CsrError::TooLong { len }));
    assert!(matches!(
        Csr::parse(&vec![0; MAX_CSR_BYTES]),
        Err(CsrError::Der(_))
    ));
}

#[test]
fn other_kinds_of_key_are_refused() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        assert_eq!(Csr::parse(request.der()), Err(CsrError::KeyAlgorithm));
    }
}

#[test]
fn a_certificate_is_no_request() {
    let authority = common::authority();
    assert!(Csr::parse(authority.certificate()).is_err());
}

proptest! {
    #[test]
    fn several_edits(edits in prop::collection::vec(
        (any::<Index>(), 0..3_u8, any::<u8>()), 1..8)
    ) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| csr(&key()));
        let mut der = SAMPLE.clone();
        for (at, kind, byte) in edits {
            let at = at.index(der.len());
            match kind {
                0 => der[at] = byte,
                1 => der.insert(at, byte),
                _ => drop(der.remove(at)),
            }
        }
        bodies::csr(&der);
        prop_assert!(der == *SAMPLE || Csr::parse(&der).is_err());
    }

    #[test]
    fn anything_at_all(der in prop::collection::vec(any::<u8>(), 0..400)) {
        bodies::csr(&der);
        prop_assert!(Csr::parse(&der).is_err());
    }
}
