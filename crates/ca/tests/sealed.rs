//! Keys on disk: only the passphrase opens them, and what is plain can still be read.

mod common;

use common::{DAY, NOW, example_org, key, serial};
use rcgen::KeyPair;
use tidelock_ca::Authority;
use tidelock_ca::sealed::{
    MAX_SEALED_BYTES, MIN_SECRET_BYTES, SealedError, is_sealed, open, seal, seal_with_secret,
};
use tidelock_spiffe_core::pem;

const PASSPHRASE: &[u8] = b"correct horse battery";
const RANDOM: [u8; 32] = [7; 32];

#[test]
fn rfc_5958_3_a_sealed_key_opens_with_its_passphrase() {
    let kinds = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ];
    for kind in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        let text = seal(&key.serialize_der(), PASSPHRASE, RANDOM).unwrap();
        assert!(is_sealed(&text));
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let opened = open(&text, Some(PASSPHRASE)).unwrap();
        assert_eq!(*opened, key.serialize_der());
    }
}

#[test]
fn an_authority_comes_back_from_disk() {
    let made = Authority::self_signed(key(), &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let other = key();
    let mine = Authority::self_signed(&other, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let text = seal(&other.serialize_der(), PASSPHRASE, RANDOM).unwrap();
    let again = || KeyPair::try_from(&**open(&text, Some(PASSPHRASE)).unwrap()).unwrap();
    assert!(Authority::open(again(), mine.certificate().to_vec()).is_ok());
    assert!(Authority::open(again(), made.certificate().to_vec()).is_err());
}

#[test]
fn another_passphrase_does_not_open() {
    let text = seal(&key().serialize_der(), PASSPHRASE, RANDOM).unwrap();
    for passphrase in [&b"correct horse batterY"[..], b"correct horse battery\n"] {
        let refused = open(&text, Some(passphrase));
        assert_eq!(refused.unwrap_err(), SealedError::Open);
    }
    assert_eq!(open(&text, None).unwrap_err(), SealedError::NoPassphrase);
}

#[test]
fn the_same_key_looks_different_each_time() {
    let der = key().serialize_der();
    let one = seal(&der, PASSPHRASE, [1; 32]).unwrap();
    let two = seal(&der, PASSPHRASE, [2; 32]).unwrap();
    assert_ne!(one, two);
    let bytes = &pem::decode("ENCRYPTED PRIVATE KEY", &one).unwrap()[0];
    assert!(
        !bytes
            .windows(16)
            .any(|window| der.windows(16).any(|plain| plain == window))
    );
}

#[test]
fn passphrases_are_bounded() {
    let der = key().serialize_der();
    for len in [0, 11, 1025] {
        let passphrase = vec![b'p'; len];
        let refused = seal(&der, &passphrase, RANDOM);
        assert_eq!(refused, Err(SealedError::Passphrase { len }));
    }
}

#[test]
fn a_plain_key_is_read_with_and_without_a_passphrase() {
    let key = key();
    let text = key.serialize_pem();
    assert!(!is_sealed(&text));
    for passphrase in [None, Some(PASSPHRASE)] {
        assert_eq!(*open(&text, passphrase).unwrap(), key.serialize_der());
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let plain = key().serialize_pem();
    let none = open("no key", Some(PASSPHRASE)).unwrap_err();
    assert_eq!(none, SealedError::Count { count: 0 });
    let two = open(&format!("{plain}{plain}"), None).unwrap_err();
    assert_eq!(two, SealedError::Count { count: 2 });
    let len = MAX_SEALED_BYTES + 1;
    let long = open(&" ".repeat(len), None).unwrap_err();
    assert_eq!(long, SealedError::TooLong { len });
    let sealed = seal(b"no key", PASSPHRASE, RANDOM);
    assert_eq!(sealed, Err(SealedError::Malformed));
    let junk = pem::encode("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
    let junk = open(&junk, Some(PASSPHRASE)).unwrap_err();
    assert_eq!(junk, SealedError::Malformed);
}

#[test]
fn rfc_7914_2_a_file_cannot_ask_for_any_amount_of_work() {
    let text = seal(&key().serialize_der(), PASSPHRASE, RANDOM).unwrap();
    let der = pem::decode("ENCRYPTED PRIVATE KEY", &text)
        .unwrap()
        .remove(0);
    // N = 16384, r = 8, p = 5, as DER has them.
    let cost = [2, 2, 0x40, 0, 2, 1, 8, 2, 1, 5];
    let at = der
        .windows(cost.len())
        .position(|window| window == cost)
        .unwrap();
    for (offset, byte) in [(2, 0x7f), (6, 0x7f), (9, 0x7f)] {
        let mut dear = der.clone();
        dear[at + offset] = byte;
        let refused = open(
            &pem::encode("ENCRYPTED PRIVATE KEY", &dear),
            Some(PASSPHRASE),
        );
        let error = refused.unwrap_err();
        assert!(matches!(
            error,
            SealedError::Cost | SealedError::Malformed | SealedError::Open
        ));
    }
    let mut dear = der;
    dear[at + 9] = 0x7f;
    let refused = open(
        &pem::encode("ENCRYPTED PRIVATE KEY", &dear),
        Some(PASSPHRASE),
    );
    assert_eq!(refused.unwrap_err(), SealedError::Cost);
}

#[test]
fn a_key_that_openssl_sealed_opens() {
    let opened = open(include_str!("sealed/openssl-3.key"), Some(PASSPHRASE)).unwrap();
    let key = KeyPair::try_from(&**opened).unwrap();
    assert_eq!(key.public_key_raw().len(), 65);
}

#[test]
fn a_key_sealed_with_a_secret_opens_with_it_alone() {
    let der = key().serialize_der();
    let secret = [b's'; MIN_SECRET_BYTES];
    let text = seal_with_secret(&der, &secret, RANDOM).unwrap();
    assert!(is_sealed(&text));
    assert_eq!(*open(&text, Some(&secret)).unwrap(), der);
    let refused = open(&text, Some(&[b't'; MIN_SECRET_BYTES]));
    assert_eq!(refused.unwrap_err(), SealedError::Open);
    let len = MIN_SECRET_BYTES - 1;
    let guessable = seal_with_secret(&der, &secret[..len], RANDOM);
    assert_eq!(guessable, Err(SealedError::Secret { len }));
}
