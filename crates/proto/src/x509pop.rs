//! What a node signs to prove that it holds the key of its certificate (`AttestX509Pop`); both ends have to agree on each byte.

use sha2::{Digest as _, Sha256};

/// What every such signature begins with, so that it can be no other kind of signature by the same key: a TLS handshake's begins
/// with 64 spaces (RFC 8446 §4.4.3), a certificate's with the byte 0x30.
const CONTEXT: &[u8] = b"tidelock x509pop 1\0";

/// Bytes of each end's nonce.
pub const POP_NONCE_BYTES: usize = 32;

/// What is signed. All of it but the trust domain's name has a fixed length, and that name comes with its own, so that no two
/// of these are the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct PopMessage<'a> {
    /// The control plane's trust domain, so that no other control plane can pass a challenge on; at most 255 bytes count.
    pub trust_domain: &'a str,
    /// The control plane's nonce.
    pub server_nonce: &'a [u8; POP_NONCE_BYTES],
    /// The agent's nonce: what is signed is not for the control plane alone to choose.
    pub node_nonce: &'a [u8; POP_NONCE_BYTES],
    /// The certificate, in DER.
    pub certificate: &'a [u8],
    /// The request, in DER: whoever passes a proof on cannot have another key certified by it.
    pub csr: &'a [u8],
}

impl PopMessage<'_> {
    /// The bytes to be signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // SPIFFE-ID §2.3: no trust domain's name is longer.
        let len = u8::try_from(self.trust_domain.len()).unwrap_or(u8::MAX);
        let mut bytes = CONTEXT.to_vec();
        bytes.push(len);
        bytes.extend(self.trust_domain.bytes().take(usize::from(len)));
        bytes.extend(self.server_nonce);
        bytes.extend(self.node_nonce);
        bytes.extend(Sha256::digest(self.certificate));
        bytes.extend(Sha256::digest(self.csr));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>() -> PopMessage<'a> {
        PopMessage {
            trust_domain: "example.org",
            server_nonce: &[1; POP_NONCE_BYTES],
            node_nonce: &[2; POP_NONCE_BYTES],
            certificate: b"certificate",
            csr: b"csr",
        }
    }

    #[test]
    fn what_is_signed_begins_with_its_context_and_is_as_the_contract_says() {
        let bytes = message().to_bytes();
        assert!(bytes.starts_with(b"tidelock x509pop 1\0\x0bexample.org\x01\x01"));
        assert_eq!(bytes.len(), 19 + 1 + 11 + 4 * 32);
        assert_eq!(bytes[31..95], [[1; 32], [2; 32]].concat());
        assert_eq!(bytes[95..127], Sha256::digest(b"certificate")[..]);
        assert_eq!(bytes[127..], Sha256::digest(b"csr")[..]);
    }

    #[test]
    fn each_field_changes_what_is_signed() {
        let (own, other) = (message(), [3; POP_NONCE_BYTES]);
        let changed = [
            PopMessage {
                trust_domain: "example.com",
                ..own
            },
            PopMessage {
                trust_domain: "example.or",
                ..own
            },
            PopMessage {
                server_nonce: &other,
                ..own
            },
            PopMessage {
                node_nonce: &other,
                ..own
            },
            PopMessage {
                server_nonce: own.node_nonce,
                node_nonce: own.server_nonce,
                ..own
            },
            PopMessage {
                certificate: b"csr",
                ..own
            },
            PopMessage { csr: b"", ..own },
        ];
        for other in changed {
            assert_ne!(own.to_bytes(), other.to_bytes(), "{other:?}");
        }
    }
}
