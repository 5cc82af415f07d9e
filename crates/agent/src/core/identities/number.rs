//! Numbers of identities.

use sha2::{Digest as _, Sha256};

/// A number for an identity that is not `taken`, from 1.
///
/// It is made from the names, so that an agent that starts over, even without its data folder, gives the
/// same identity the same number: the kernel's key and grants stay in use.
pub(super) fn assign(entry: &str, spiffe_id: &str, taken: impl Fn(u32) -> bool) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(entry);
    hasher.update([0]);
    hasher.update(spiffe_id);
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = digest;
    let mut number = u32::from_le_bytes([a, b, c, d]).max(1);
    // Ends: nobody has four thousand million identities.
    while taken(number) {
        number = number.checked_add(1).unwrap_or(1);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_always_get_the_same_number() {
        let number = assign("web", "spiffe://td/web", |_| false);
        assert_eq!(assign("web", "spiffe://td/web", |_| false), number);
        assert_ne!(assign("web", "spiffe://td/web2", |_| false), number);
        assert_ne!(assign("we", "bspiffe://td/web", |_| false), number);
    }

    #[test]
    fn a_taken_number_is_not_given_again() {
        let first = assign("web", "spiffe://td/web", |_| false);
        let second = assign("web", "spiffe://td/web", |number| number == first);
        assert_ne!(first, second);
        assert_ne!(second, 0);
    }
}
