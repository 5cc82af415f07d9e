//! Certificate signing requests (PKCS#10, RFC 2986), of which only the key is believed.

use rcgen::{CertificateParams, DistinguishedName};
use tidelock_spiffe_core::der::{BIT_STRING, DerError, INTEGER, Reader, SEQUENCE};

use crate::signer::{Adaptor, SignError};
use crate::{KeyAlgorithm, Signer};

/// Largest request read, in bytes. Ours: room for a 2048-byte SPIFFE ID that we will not look at.
pub const MAX_CSR_BYTES: usize = 8192;

/// The tag of the attributes, which are passed over.
const ATTRIBUTES: u8 = 0xa0;

/// A request whose sender holds the private key of the public key in it.
///
/// That is all it says: subject, names and attributes in it are passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Csr<'a> {
    algorithm: KeyAlgorithm,
    spki: &'a [u8],
    public_key: &'a [u8],
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Longer than [`MAX_CSR_BYTES`].
    #[error("request has {len} bytes, more than {MAX_CSR_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not the DER of a request.
    #[error("request: {0}")]
    Der(#[from] DerError),
    /// Not version 1 (RFC 2986 §4.1).
    #[error("request is not version 1")]
    Version,
    /// Not a kind of key that is issued for.
    #[error("request is for a kind of key that nothing is issued for")]
    KeyAlgorithm,
    /// Not signed as keys of its kind sign.
    #[error("request is signed otherwise than keys of its kind sign")]
    SignatureAlgorithm,
    /// The signature is not of this key over these bytes.
    #[error("request does not prove possession of its key")]
    Possession,
}

impl<'a> Csr<'a> {
    /// Reads a request for a P-256 key, which is all that the kernel can use, and checks its proof of possession.
    ///
    /// # Errors
    /// The first rule broken; the signature is checked last.
    pub fn parse(der: &'a [u8]) -> Result<Self, CsrError> {
        Self::parse_for(der, &[KeyAlgorithm::P256])
    }

    /// As [`Csr::parse`], for whichever kinds of keys the caller issues for.
    ///
    /// # Errors
    /// The first rule broken; the signature is checked last.
    pub fn parse_for(der: &'a [u8], kinds: &[KeyAlgorithm]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLong { len: der.len() });
        }
        let signed = Signed::parse(der)?;
        let mut info = Reader::new(signed.message).expect(SEQUENCE)?.reader();
        if info.expect(INTEGER)?.integer()? != [0] {
            return Err(CsrError::Version);
        }
        info.expect(SEQUENCE)?;
        let spki = info.expect(SEQUENCE)?;
        // RFC 2986 has the attributes, if only empty ones; some writers leave them out.
        info.optional(ATTRIBUTES)?;
        info.finish()?;

        let mut fields = spki.reader();
        let algorithm = KeyAlgorithm::of_key(fields.expect(SEQUENCE)?.value)
            .filter(|kind| kinds.contains(kind))
            .ok_or(CsrError::KeyAlgorithm)?;
        let public_key = fields.expect(BIT_STRING)?.bit_string_bytes()?;
        fields.finish()?;
        if signed.algorithm != algorithm.scheme().signature_alg_id().as_ref() {
            return Err(CsrError::SignatureAlgorithm);
        }
        if !signed.is_by(algorithm, public_key) {
            return Err(CsrError::Possession);
        }
        Ok(Self {
            algorithm,
            spki: spki.raw,
            public_key,
        })
    }

    /// The whole SubjectPublicKeyInfo, in DER.
    pub fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// What kind of key it is for.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public key: an uncompressed point, or Ed25519's 32 bytes.
    pub fn public_key(&self) -> &'a [u8] {
        self.public_key
    }
}

/// Writes a request for a key: no subject, no names, no attributes, since nobody believes them.
///
/// # Errors
/// The key did not sign.
pub fn request<S: Signer>(key: &S) -> Result<Vec<u8>, SignError<S::Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = Adaptor::run(key, |key| params.serialize_request(key));
    request.map(|request| request.der().to_vec())
}

/// What requests and certificates have in common: bytes, algorithm, signature.
pub(crate) struct Signed<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) algorithm: &'a [u8],
    signature: &'a [u8],
}

/// Writes an element in DER (X.690 §8.1) whose contents are these, one after the other.
fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let len: usize = contents.iter().map(|part| part.len()).sum();
    let bytes = len.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let mut der = Vec::with_capacity(2 + digits.len() + len);
    der.push(tag);
    if len >= 0x80 {
        der.push(0x80 | digits.len() as u8);
        der.extend_from_slice(digits);
    } else {
        der.push(len as u8);
    }
    contents.iter().for_each(|part| der.extend_from_slice(part));
    der
}

impl<'a> Signed<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, DerError> {
        let mut input = Reader::new(der);
        let mut parts = input.expect(SEQUENCE)?.reader();
        input.finish()?;
        let message = parts.expect(SEQUENCE)?.raw;
        let algorithm = parts.expect(SEQUENCE)?.value;
        let signature = parts.expect(BIT_STRING)?.bit_string_bytes()?;
        parts.finish()?;
        Ok(Self {
            message,
            algorithm,
            signature,
        })
    }

    /// The same with another signature, in DER.
    pub(crate) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        let algorithm = element(SEQUENCE, &[self.algorithm]);
        // No bit of the last byte is unused (X.690 §8.6.2.2).
        let signature = element(BIT_STRING, &[&[0], signature]);
        element(SEQUENCE, &[self.message, &algorithm, &signature])
    }

    /// True if the signature is one of this key over the message, made as keys of its kind sign.
    pub(crate) fn is_by(&self, algorithm: KeyAlgorithm, public_key: &[u8]) -> bool {
        let scheme = algorithm.scheme();
        self.algorithm == scheme.signature_alg_id().as_ref()
            && scheme
                .verify_signature(public_key, self.message, self.signature)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x690_8_1_3_a_length_is_written_in_its_shortest_form() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let contents = vec![7; len];
            let (front, back) = contents.split_at(len / 2);
            let der = element(SEQUENCE, &[front, back]);
            // The reader takes no other form.
            let mut reader = Reader::new(&der);
            assert_eq!(
                reader.expect(SEQUENCE).map(|read| read.value),
                Ok(&*contents)
            );
            assert_eq!(reader.finish(), Ok(()), "{len}");
        }
    }
}
