//! Every kind of key signs for every kind of key.

mod common;

use common::{DAY, NOW, example_org, serial, web};
use rcgen::KeyPair;
use tidelock_ca::{
    Authority, AuthorityError, Csr, CsrError, KeyAlgorithm, RereadError, ServerName, Signer,
};
use tidelock_spiffe_core::Bundle;
use tidelock_spiffe_core::jwk::PublicKey;
use tidelock_spiffe_core::x509::{GeneralName, Leaf, SigningCert};

fn key(algorithm: KeyAlgorithm) -> KeyPair {
    let written = match algorithm {
        KeyAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        _ => &rcgen::PKCS_ED25519,
    };
    KeyPair::generate_for(written).unwrap()
}

fn authority(algorithm: KeyAlgorithm) -> Authority<KeyPair> {
    Authority::self_signed(key(algorithm), &example_org(), NOW, NOW + DAY, serial(1)).unwrap()
}

#[test]
fn every_kind_of_authority_issues_for_every_kind_of_key() {
    for by in KeyAlgorithm::ALL {
        let authority = authority(by);
        let root = SigningCert::parse(authority.certificate()).unwrap();
        let root_key = PublicKey::from_spki(root.spki).unwrap();
        assert_eq!(by.public_key(root.public_key), Ok(root_key));
        for of in KeyAlgorithm::ALL {
            let key = key(of);
            assert_eq!(Signer::algorithm(&key), of);
            let request = tidelock_ca::request(&key).unwrap();
            let csr = Csr::parse_for(&request, &KeyAlgorithm::ALL).unwrap();
            assert_eq!(
                (csr.algorithm(), csr.public_key()),
                (of, key.public_key_raw())
            );
            let svid = authority.issue(&web(), &csr, NOW, serial(2)).unwrap();
            let leaf = Leaf::parse(&svid.chain[0]).unwrap();
            assert_eq!((leaf.spki, leaf.public_key), (csr.spki(), csr.public_key()));
        }
    }
}

#[test]
fn what_is_published_is_read_back() {
    let mut bundle = Bundle::new(example_org());
    for algorithm in KeyAlgorithm::ALL {
        bundle
            .push(authority(algorithm).certificate().to_vec())
            .unwrap();
    }
    let text = bundle.to_jwks().unwrap();
    assert_eq!(Bundle::from_jwks(example_org(), &text), Ok(bundle));
}

#[test]
fn only_the_kinds_asked_for_are_accepted() {
    for of in KeyAlgorithm::ALL {
        let request = tidelock_ca::request(&key(of)).unwrap();
        for asked in KeyAlgorithm::ALL {
            let read = Csr::parse_for(&request, &[asked]);
            assert_eq!(read.is_ok(), asked == of);
        }
        assert_eq!(
            Csr::parse(&request).is_ok(),
            of == KeyAlgorithm::P256,
            "the kernel's kind"
        );
        assert_eq!(Csr::parse_for(&request, &[]), Err(CsrError::KeyAlgorithm));
    }
}

#[test]
fn an_authority_opens_with_a_key_of_its_own_kind_only() {
    /// A key that claims to be of another kind.
    struct Disguised(KeyPair, KeyAlgorithm);
    impl Signer for Disguised {
        type Error = rcgen::Error;
        fn algorithm(&self) -> KeyAlgorithm {
            self.1
        }
        fn public_key(&self) -> &[u8] {
            self.0.public_key_raw()
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            Signer::sign(&self.0, message)
        }
    }
    for of in KeyAlgorithm::ALL {
        let key = key(of);
        let made = Authority::self_signed(&key, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
        let certificate = made.certificate().to_vec();
        for claimed in KeyAlgorithm::ALL {
            let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
            let opened = Authority::open(Disguised(key, claimed), certificate.clone());
            match opened {
                Ok(_) => assert_eq!(of, claimed),
                Err(AuthorityError::Reread(RereadError::Differs {
                    field: "public key",
                })) => {
                    assert_ne!(of, claimed);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_workload_may_have_dns_names_and_a_hint() {
    let names = ["web.example.org", "10.0.0.1"].map(|name| ServerName::parse(name).unwrap());
    let entry = web().with_server_names(names.to_vec()).unwrap();
    let entry = entry.with_hint("internal").unwrap();
    let request = common::csr(&common::key());
    let csr = Csr::parse(&request).unwrap();
    let svid = common::authority()
        .issue(&entry, &csr, NOW, serial(2))
        .unwrap();
    assert_eq!(svid.hint.as_deref(), Some("internal"));
    let leaf = Leaf::parse(&svid.chain[0]).unwrap();
    assert!(leaf.names().eq([
        GeneralName::Uri("spiffe://example.org/web"),
        GeneralName::Dns("web.example.org"),
        GeneralName::Ip(&[10, 0, 0, 1]),
    ]));
    for hint in [String::new(), "h".repeat(257)] {
        assert!(web().with_hint(&hint).is_err());
    }
    let name = ServerName::parse("a").unwrap();
    assert!(web().with_server_names(vec![name; 65]).is_err());
}
