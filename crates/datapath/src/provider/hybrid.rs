//! X25519MLKEM768: a key exchange that holds as long as either of ML-KEM-768 (FIPS 203) and X25519 does
//! (draft-ietf-tls-ecdhe-mlkem).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{B32, Seed};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::{Zeroize, Zeroizing};

use super::kx::{X25519_BYTES, X25519Active};
use crate::entropy::Entropy;

/// A public key of ML-KEM-768, the first part of a client's share (FIPS 203 table 3).
const ENCAPSULATION_KEY_BYTES: usize = 1184;

/// A ciphertext of ML-KEM-768, the first part of a server's share (FIPS 203 table 3).
const CIPHERTEXT_BYTES: usize = 1088;

/// What ML-KEM gives, the first part of the shared secret (FIPS 203 table 3).
const KEM_SECRET_BYTES: usize = 32;

/// The group, keys drawn from `E`.
pub(super) struct X25519MlKem768<E>(PhantomData<E>);

/// A client's two key pairs, until the server has answered.
struct Active {
    kem: DecapsulationKey,
    ecdh: X25519Active,
    /// Both public keys, as they are sent.
    share: Vec<u8>,
}

impl<E: Entropy> X25519MlKem768<E> {
    /// The one value.
    pub(super) const GROUP: &'static dyn SupportedKxGroup = &Self(PhantomData);
}

impl<E> core::fmt::Debug for X25519MlKem768<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("X25519MLKEM768")
    }
}

impl<E: Entropy> SupportedKxGroup for X25519MlKem768<E> {
    /// A client's side: both public keys.
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut seed = Zeroizing::new(Seed::default());
        E::fill(seed.as_mut_slice()).map_err(|_| Error::FailedToGetRandomBytes)?;
        let kem = DecapsulationKey::from_seed(*seed);
        let ecdh = X25519Active::new::<E>()?;
        let share = share(&kem.encapsulation_key().to_bytes(), ecdh.public());
        Ok(Box::new(Active { kem, ecdh, share }))
    }

    /// A server's side: whoever answers with a KEM has the client's share before its own.
    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (kem, ecdh) = split(client_share, ENCAPSULATION_KEY_BYTES)?;
        // Refuses what is no key: a coefficient beyond the modulus (FIPS 203 §7.2).
        let kem = kem
            .try_into()
            .ok()
            .and_then(|kem| EncapsulationKey::new(kem).ok())
            .ok_or(PeerMisbehaved::InvalidKeyShare)?;
        let own = X25519Active::new::<E>()?;
        let ecdh = own.shared(ecdh)?;

        let mut message = Zeroizing::new(B32::default());
        E::fill(message.as_mut_slice()).map_err(|_| Error::FailedToGetRandomBytes)?;
        let (ciphertext, mut secret) = kem.encapsulate_deterministic(&message);
        let both = both(&secret, &ecdh);
        secret.zeroize();
        Ok(CompletedKeyExchange {
            group: NamedGroup::X25519MLKEM768,
            pub_key: share(&ciphertext, own.public()),
            secret: SharedSecret::from(both.as_slice()),
        })
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, ecdh) = split(server_share, CIPHERTEXT_BYTES)?;
        let ciphertext: &Ciphertext = ciphertext
            .try_into()
            .map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let ecdh = self.ecdh.shared(ecdh)?;
        // A wrong ciphertext gives a secret that nobody else has (FIPS 203 §6.3): Finished finds it.
        let mut secret = self.kem.decapsulate(ciphertext);
        let both = both(&secret, &ecdh);
        secret.zeroize();
        Ok(SharedSecret::from(both.as_slice()))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.ecdh.public()))
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        server_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        Box::new(self.ecdh).complete(server_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// A share: the KEM's part, then X25519's.
fn share(kem: &[u8], ecdh: &[u8; X25519_BYTES]) -> Vec<u8> {
    [kem, ecdh.as_slice()].concat()
}

/// The two parts of a share whose KEM's part has so many bytes.
///
/// # Errors
/// When it is not as long as both.
fn split(share: &[u8], kem_bytes: usize) -> Result<(&[u8], &[u8]), Error> {
    share
        .split_at_checked(kem_bytes)
        .filter(|(_, ecdh)| ecdh.len() == X25519_BYTES)
        .ok_or(PeerMisbehaved::InvalidKeyShare.into())
}

/// The shared secret: the KEM's, then X25519's.
fn both(kem: &[u8], ecdh: &[u8; X25519_BYTES]) -> Zeroizing<[u8; KEM_SECRET_BYTES + X25519_BYTES]> {
    let mut both = Zeroizing::new([0; KEM_SECRET_BYTES + X25519_BYTES]);
    let (first, second) = both.split_at_mut(KEM_SECRET_BYTES);
    first.copy_from_slice(kem);
    second.copy_from_slice(ecdh);
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::EntropyUnavailable;
    use core::sync::atomic::{AtomicU8, Ordering};

    /// Never the same bytes twice in a row.
    struct Counting;

    impl Entropy for Counting {
        fn fill(out: &mut [u8]) -> Result<(), EntropyUnavailable> {
            static NEXT: AtomicU8 = AtomicU8::new(1);
            out.fill_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
            Ok(())
        }
    }

    struct Nothing;

    impl Entropy for Nothing {
        fn fill(_out: &mut [u8]) -> Result<(), EntropyUnavailable> {
            Err(EntropyUnavailable)
        }
    }

    fn client() -> Box<dyn ActiveKeyExchange> {
        X25519MlKem768::<Counting>::GROUP.start().expect("a client")
    }

    fn server(share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        X25519MlKem768::<Counting>::GROUP.start_and_complete(share)
    }

    fn refused<T>(result: Result<T, Error>) -> bool {
        let invalid = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        result.is_err_and(|error| error == invalid)
    }

    #[test]
    fn both_ends_come_to_the_same_secret_by_shares_of_the_drafts_sizes() {
        let client = client();
        assert_eq!(client.pub_key().len(), 1216);
        let server = server(client.pub_key()).expect("a server");
        assert_eq!(server.pub_key.len(), 1120);
        assert_eq!(server.group, NamedGroup::X25519MLKEM768);
        let secret = client.complete(&server.pub_key).expect("a secret");
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 64);
    }

    #[test]
    fn the_kem_comes_first_and_x25519_is_the_one_also_offered_by_itself() {
        let client = client();
        let (group, alone) = client.hybrid_component().expect("a component");
        assert_eq!(group, NamedGroup::X25519);
        assert_eq!(&client.pub_key()[1184..], alone);
        let other = X25519Active::new::<Counting>().expect("a key pair");
        let theirs = other.shared(alone).expect("a secret");
        let public = *other.public();
        let ours = client.complete_hybrid_component(&public).expect("a secret");
        assert_eq!(ours.secret_bytes(), theirs.as_slice());
    }

    #[test]
    fn a_share_of_another_length_is_refused() {
        let share = client().pub_key().to_vec();
        assert!(refused(server(&share[1..])));
        assert!(refused(server(&[&share[..], &[0]].concat())));
        assert!(refused(server(&[])));
        let answer = server(&share).expect("a server").pub_key;
        assert!(refused(client().complete(&answer[1..])));
        assert!(refused(client().complete(&share)));
    }

    #[test]
    fn a_coefficient_beyond_the_modulus_is_no_key_fips_203_7_2() {
        let mut share = client().pub_key().to_vec();
        share[..3].fill(0xff);
        assert!(refused(server(&share)));
    }

    #[test]
    fn an_x25519_point_of_small_order_is_refused_at_both_ends() {
        let mut share = client().pub_key().to_vec();
        let answer = server(&share).expect("a server").pub_key;
        share[ENCAPSULATION_KEY_BYTES..].fill(0);
        assert!(refused(server(&share)));
        let mut answer = answer;
        answer[CIPHERTEXT_BYTES..].fill(0);
        assert!(refused(client().complete(&answer)));
    }

    #[test]
    fn a_changed_ciphertext_gives_another_secret_fips_203_6_3() {
        let client = client();
        let mut server = server(client.pub_key()).expect("a server");
        server.pub_key[0] ^= 1;
        let secret = client.complete(&server.pub_key).expect("a secret");
        let (ours, theirs) = (secret.secret_bytes(), server.secret.secret_bytes());
        assert_ne!(ours[..KEM_SECRET_BYTES], theirs[..KEM_SECRET_BYTES]);
        assert_eq!(ours[KEM_SECRET_BYTES..], theirs[KEM_SECRET_BYTES..]);
    }

    #[test]
    fn without_randomness_there_is_no_exchange() {
        let group = X25519MlKem768::<Nothing>::GROUP;
        assert!(matches!(group.start(), Err(Error::FailedToGetRandomBytes)));
        let share = client().pub_key().to_vec();
        let answer = group.start_and_complete(&share);
        assert!(matches!(answer, Err(Error::FailedToGetRandomBytes)));
    }
}
