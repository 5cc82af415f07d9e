//! Certificate requests (PKCS#10, RFC 2986) that ask for a SPIFFE ID and prove possession of the
//! key.

use alloc::vec::Vec;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};

use super::der::{
    BIT_STRING, CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, URI, tlv,
};

/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// secp256r1, 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1).
const SECP256R1: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// extensionRequest, 1.2.840.113549.1.9.14 (RFC 2985 §5.4.2).
const EXTENSION_REQUEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// subjectAltName, 2.5.29.17 (RFC 5280 §4.2.1.6).
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
/// BOOLEAN TRUE.
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
/// The unused-bits byte of a BIT STRING of whole bytes (X.690 §8.6.2.2).
const NO_UNUSED_BITS: [u8; 1] = [0];

/// The SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2).
pub(super) fn public_key_info(key: &SigningKey) -> Vec<u8> {
    let algorithm = tlv(
        SEQUENCE,
        &[
            &tlv(OBJECT_IDENTIFIER, &[&EC_PUBLIC_KEY]),
            &tlv(OBJECT_IDENTIFIER, &[&SECP256R1]),
        ],
    );
    let point = key.verifying_key().to_sec1_point(false);
    tlv(
        SEQUENCE,
        &[
            &algorithm,
            &tlv(BIT_STRING, &[&NO_UNUSED_BITS, point.as_bytes()]),
        ],
    )
}

/// A signed request for a certificate with an empty subject and `spiffe_id` as its one URI SAN.
/// `None` if signing fails.
pub(super) fn certificate_request(key: &SigningKey, spiffe_id: &str) -> Option<Vec<u8>> {
    let info = tlv(
        SEQUENCE,
        &[
            &tlv(INTEGER, &[&[0]]),
            &tlv(SEQUENCE, &[]),
            &public_key_info(key),
            &tlv(CONTEXT_0, &[&san_request(spiffe_id)]),
        ],
    );
    let signature: DerSignature = key.try_sign(&info).ok()?;
    let algorithm = tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[&ECDSA_WITH_SHA256])]);
    Some(tlv(
        SEQUENCE,
        &[
            &info,
            &algorithm,
            &tlv(BIT_STRING, &[&NO_UNUSED_BITS, signature.as_bytes()]),
        ],
    ))
}

/// The attribute that asks for a subjectAltName, critical because the subject is empty (RFC 5280
/// §4.2.1.6).
fn san_request(spiffe_id: &str) -> Vec<u8> {
    let names = tlv(SEQUENCE, &[&tlv(URI, &[spiffe_id.as_bytes()])]);
    let extension = tlv(
        SEQUENCE,
        &[
            &tlv(OBJECT_IDENTIFIER, &[&SUBJECT_ALT_NAME]),
            &TRUE,
            &tlv(OCTET_STRING, &[&names]),
        ],
    );
    let extensions = tlv(SEQUENCE, &[&extension]);
    tlv(
        SEQUENCE,
        &[
            &tlv(OBJECT_IDENTIFIER, &[&EXTENSION_REQUEST]),
            &tlv(SET, &[&extensions]),
        ],
    )
}
