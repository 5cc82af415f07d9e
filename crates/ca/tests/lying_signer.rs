//! A key that does not do what it says never gets anything released.

mod common;

use std::cell::Cell;

use common::*;
use rcgen::KeyPair;
use tidelock_ca::{Authority, AuthorityError, Csr, IssueError, RereadError, SignError, Signer};

#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    OtherMessage,
    OtherKey,
    Garbage,
    Empty,
    Silence,
}

const LIES: [Lie; 4] = [Lie::OtherMessage, Lie::OtherKey, Lie::Garbage, Lie::Empty];

/// An honest key, a second one, and what to do with them.
struct Liar {
    key: KeyPair,
    other: KeyPair,
    lie: Cell<Lie>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Liar {
    fn new(lie: Lie) -> Self {
        Self {
            key: key(),
            other: key(),
            lie: Cell::new(lie),
        }
    }
}

impl Signer for Liar {
    type Error = NoAnswer;

    fn public_key(&self) -> &[u8] {
        self.key.public_key_raw()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        let sign = |key: &KeyPair, message: &[u8]| Signer::sign(key, message).unwrap();
        match self.lie.get() {
            Lie::None => Ok(sign(&self.key, message)),
            Lie::OtherMessage => Ok(sign(&self.key, &message[1..])),
            Lie::OtherKey => Ok(sign(&self.other, message)),
            Lie::Garbage => Ok(vec![0x30; 70]),
            Lie::Empty => Ok(vec![]),
            Lie::Silence => Err(NoAnswer),
        }
    }
}

#[test]
fn no_root_is_released() {
    for lie in LIES {
        let made =
            Authority::self_signed(Liar::new(lie), &example_org(), NOW, NOW + DAY, serial(1));
        let refused = matches!(
            made,
            Err(AuthorityError::Reread(RereadError::SelfSignature))
        );
        assert!(refused, "{lie:?}");
    }
}

#[test]
fn no_leaf_is_released() {
    let liar = Liar::new(Lie::None);
    let root = Authority::self_signed(&liar, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let request = csr(&key());
    let csr = Csr::parse(&request).unwrap();
    assert!(
        root.issue(&web(), &csr, NOW, serial(2)).is_ok(),
        "an honest key's is"
    );
    for lie in LIES {
        liar.lie.set(lie);
        let refused = root.issue(&web(), &csr, NOW, serial(3));
        assert!(
            matches!(refused, Err(IssueError::Reread(RereadError::Path(_)))),
            "{lie:?}"
        );
    }
    liar.lie.set(Lie::Silence);
    let refused = root.issue(&web(), &csr, NOW, serial(3));
    assert!(matches!(
        refused,
        Err(IssueError::Sign(SignError::Signer(NoAnswer)))
    ));
}

#[test]
fn a_silent_key_is_named_as_the_cause() {
    let made = Authority::self_signed(
        Liar::new(Lie::Silence),
        &example_org(),
        NOW,
        NOW + DAY,
        serial(1),
    );
    assert!(matches!(
        made,
        Err(AuthorityError::Sign(SignError::Signer(NoAnswer)))
    ));
}
