//! Signature verification: of certificates and of handshake transcripts.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{PublicKey, pkcs1v15, pss};
use rustls::SignatureScheme as Scheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm as Algorithm, alg_id,
};
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::{Digest, FixedOutputReset};
use sha2::{Sha256, Sha384, Sha512};

/// What is accepted of peers that have an SVID, in chains and handshakes.
pub(crate) const SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[ECDSA_P256_SHA256],
    mapping: &[(Scheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256])],
};

/// What is accepted of servers outside: what public authorities sign with (CA/Browser Forum, Baseline Requirements §7.1.3.2), and
/// their servers.
pub(crate) const EXTERNAL_SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ECDSA_P256_SHA256,
        ECDSA_P256_SHA384,
        ECDSA_P384_SHA256,
        ECDSA_P384_SHA384,
        PKCS1_SHA256,
        PKCS1_SHA384,
        PKCS1_SHA512,
        PSS_SHA256,
        PSS_SHA384,
        PSS_SHA512,
    ],
    // PKCS #1 v1.5 signs no handshake in TLS 1.3 (RFC 8446 §4.2.3).
    mapping: &[
        (Scheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256]),
        (Scheme::ECDSA_NISTP384_SHA384, &[ECDSA_P384_SHA384]),
        (Scheme::RSA_PSS_SHA256, &[PSS_SHA256]),
        (Scheme::RSA_PSS_SHA384, &[PSS_SHA384]),
        (Scheme::RSA_PSS_SHA512, &[PSS_SHA512]),
    ],
};

/// Shortest modulus of an RSA key, in bytes (CA/Browser Forum, Baseline Requirements §6.1.5).
const MIN_RSA_BYTES: usize = 256;
/// The longest: what takes longer to check than it is worth is refused.
const MAX_RSA_BYTES: usize = 512;

/// `Some` if, by this key, this message has this signature.
type Verify = fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>;

/// How keys are marked in certificates, how signatures are, and what verifies one.
struct Signature {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Signature").finish_non_exhaustive()
    }
}

impl Algorithm for Signature {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        (self.verify)(public_key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// The table of what there is: a static for each, which certificates and handshakes refer to.
macro_rules! signatures {
    ($($name:ident: $key:ident, $signature:ident, $verify:expr;)*) => {
        $(const $name: &dyn Algorithm = &Signature {
            key: alg_id::$key,
            signature: alg_id::$signature,
            verify: $verify,
        };)*
    };
}

signatures! {
    ECDSA_P256_SHA256: ECDSA_P256, ECDSA_SHA256, on_p256::<Sha256>;
    ECDSA_P256_SHA384: ECDSA_P256, ECDSA_SHA384, on_p256::<Sha384>;
    ECDSA_P384_SHA256: ECDSA_P384, ECDSA_SHA256, on_p384::<Sha256>;
    ECDSA_P384_SHA384: ECDSA_P384, ECDSA_SHA384, on_p384::<Sha384>;
    PKCS1_SHA256: RSA_ENCRYPTION, RSA_PKCS1_SHA256, by_pkcs1::<Sha256>;
    PKCS1_SHA384: RSA_ENCRYPTION, RSA_PKCS1_SHA384, by_pkcs1::<Sha384>;
    PKCS1_SHA512: RSA_ENCRYPTION, RSA_PKCS1_SHA512, by_pkcs1::<Sha512>;
    PSS_SHA256: RSA_ENCRYPTION, RSA_PSS_SHA256, by_pss::<Sha256>;
    PSS_SHA384: RSA_ENCRYPTION, RSA_PSS_SHA384, by_pss::<Sha384>;
    PSS_SHA512: RSA_ENCRYPTION, RSA_PSS_SHA512, by_pss::<Sha512>;
}

fn on_p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn on_p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn rsa_key(key: &[u8]) -> Option<PublicKey> {
    let key = PublicKey::from_pkcs1_der(key).ok()?;
    (MIN_RSA_BYTES..=MAX_RSA_BYTES)
        .contains(&key.size())
        .then_some(key)
}

fn by_pkcs1<D: Digest + AssociatedOid>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let signature = pkcs1v15::Signature::try_from(signature).ok()?;
    let key = pkcs1v15::VerifyingKey::<D>::new(rsa_key(key)?);
    key.verify(message, &signature).ok()
}

/// With a salt as long as the digest (RFC 8446 §4.2.3).
fn by_pss<D: Digest + FixedOutputReset>(
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    let signature = pss::Signature::try_from(signature).ok()?;
    let salt = <D as Digest>::output_size();
    let key = pss::VerifyingKey::<D>::new_with_salt_len(rsa_key(key)?, salt);
    key.verify(message, &signature).ok()
}
