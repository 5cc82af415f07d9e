//! A key that does not do what it says.

use std::cell::Cell;

use rcgen::KeyPair;
use tidelock_ca::Signer;

use super::key;

#[derive(Clone, Copy, Debug)]
pub enum Lie {
    None,
    OtherMessage,
    OtherKey,
    Garbage,
    Empty,
    Silence,
}

/// Every lie that ends in a signature, or what passes for one.
pub const LIES: [Lie; 4] = [Lie::OtherMessage, Lie::OtherKey, Lie::Garbage, Lie::Empty];

/// An honest key, a second one, and what to do with them.
pub struct Liar {
    key: KeyPair,
    other: KeyPair,
    pub lie: Cell<Lie>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub struct NoAnswer;

impl Liar {
    pub fn new(lie: Lie) -> Self {
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
