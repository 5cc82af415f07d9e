//! Just enough DER (X.690) to write a certificate request.

use alloc::vec::Vec;

/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// SEQUENCE, constructed.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET, constructed.
pub(super) const SET: u8 = 0x31;
/// `[0]`, constructed: the attributes of a request (RFC 2986 §4.1).
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[6]`, primitive: a URI among general names (RFC 5280 §4.2.1.6).
pub(super) const URI: u8 = 0x86;

/// One value: tag, length in the shortest form, and the contents, which are `parts` end to end.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(len.saturating_add(MAX_HEADER_BYTES));
    out.push(tag);
    push_len(&mut out, len);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Tag, length of length, and eight bytes of length.
const MAX_HEADER_BYTES: usize = 10;

/// X.690 §10.1: the definite form, in the fewest bytes.
fn push_len(out: &mut Vec<u8>, len: usize) {
    let bytes = len.to_be_bytes();
    let significant = bytes
        .iter()
        .position(|&byte| byte != 0)
        .and_then(|at| bytes.get(at..))
        .unwrap_or(&[0]);
    match significant {
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            // At most eight bytes: the sum cannot wrap.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(long);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x690_10_1_lengths_take_the_fewest_bytes() {
        let header = |len: usize| {
            let body = alloc::vec![0; len];
            let mut out = tlv(OCTET_STRING, &[&body]);
            out.truncate(out.len() - len);
            out
        };
        assert_eq!(header(0), [4, 0]);
        assert_eq!(header(0x7f), [4, 0x7f]);
        assert_eq!(header(0x80), [4, 0x81, 0x80]);
        assert_eq!(header(0xff), [4, 0x81, 0xff]);
        assert_eq!(header(0x100), [4, 0x82, 0x01, 0x00]);
        assert_eq!(header(0x1_0000), [4, 0x83, 0x01, 0x00, 0x00]);
    }
}
