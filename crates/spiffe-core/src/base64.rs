//! Base64 (RFC 4648) in its two alphabets: padded for PEM and `x5c`, unpadded for JOSE.

use alloc::string::String;
use alloc::vec::Vec;

/// Bits of one character.
const SEXTET: u32 = 0x3f;

/// Which characters stand for 62 and 63, and whether `=` fills the last group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Alphabet {
    /// RFC 4648 §4: `+`, `/`, padded.
    Standard,
    /// RFC 4648 §5: `-`, `_`, and no padding (RFC 7515 §2).
    #[cfg(feature = "jwt")]
    Url,
}

impl Alphabet {
    fn last_two(self) -> (u8, u8) {
        match self {
            Self::Standard => (b'+', b'/'),
            #[cfg(feature = "jwt")]
            Self::Url => (b'-', b'_'),
        }
    }

    fn pads(self) -> bool {
        self == Self::Standard
    }

    fn character(self, bits: u32) -> char {
        let (plus, slash) = self.last_two();
        let six = u8::try_from(bits & SEXTET).unwrap_or(0);
        char::from(match six {
            0..=25 => b'A'.saturating_add(six),
            26..=51 => b'a'.saturating_add(six.saturating_sub(26)),
            52..=61 => b'0'.saturating_add(six.saturating_sub(52)),
            62 => plus,
            _ => slash,
        })
    }

    /// The six bits of a character; padding counts as zero.
    fn bits(self, byte: u8) -> Option<u32> {
        let (plus, slash) = self.last_two();
        let six = match byte {
            b'A'..=b'Z' => byte.checked_sub(b'A')?,
            b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26)?,
            b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52)?,
            b'=' => 0,
            _ if byte == plus => 62,
            _ if byte == slash => 63,
            _ => return None,
        };
        Some(u32::from(six))
    }
}

/// Writes bytes in one line.
pub(crate) fn encode(alphabet: Alphabet, bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| chunk.get(n).copied().map_or(0, u32::from);
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(alphabet.character(group >> 18));
        text.push(alphabet.character(group >> 12));
        for (len, shift) in [(2, 6), (3, 0)] {
            if chunk.len() >= len {
                text.push(alphabet.character(group >> shift));
            } else if alphabet.pads() {
                text.push('=');
            }
        }
    }
    text
}

/// Reads one line. Each value has one spelling: what [`encode`] writes, and nothing else, is read.
#[cfg(feature = "jwt")]
pub(crate) fn decode(alphabet: Alphabet, text: &str) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(alphabet);
    decoder.push(text)?;
    decoder.finish()
}

/// Base64 as it comes in, piece by piece.
pub(crate) struct Decoder {
    alphabet: Alphabet,
    bytes: Vec<u8>,
    bits: u32,
    /// Characters in the group begun, padding included.
    chars: u8,
    padding: u8,
}

impl Decoder {
    pub(crate) fn new(alphabet: Alphabet) -> Self {
        Self {
            alphabet,
            bytes: Vec::new(),
            bits: 0,
            chars: 0,
            padding: 0,
        }
    }

    /// Takes a piece; `None` if it holds what no base64 does at this place.
    pub(crate) fn push(&mut self, piece: &str) -> Option<()> {
        for byte in piece.bytes() {
            if byte == b'=' && !self.alphabet.pads() {
                return None;
            }
            self.push_byte(byte)?;
        }
        Some(())
    }

    /// The bytes; `None` if the last group is not whole.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if !self.alphabet.pads() && self.chars > 1 {
            for _ in self.chars..4 {
                self.push_byte(b'=')?;
            }
        }
        (self.chars == 0).then_some(self.bytes)
    }

    fn push_byte(&mut self, byte: u8) -> Option<()> {
        if byte == b'=' {
            self.padding = self.padding.checked_add(1)?;
        } else if self.padding > 0 {
            return None;
        }
        self.bits = self.bits << 6 | self.alphabet.bits(byte)?;
        self.chars = self.chars.checked_add(1)?;
        if self.chars == 4 {
            let keep = usize::from(3_u8.checked_sub(self.padding)?).max(1);
            let [_, group @ ..] = self.bits.to_be_bytes();
            let (kept, dropped) = group.split_at_checked(keep)?;
            // Bits that no byte holds must be zero, or one value had several spellings.
            if self.padding > 2 || dropped.iter().any(|&b| b != 0) {
                return None;
            }
            self.bytes.extend_from_slice(kept);
            self.bits = 0;
            self.chars = 0;
        }
        Some(())
    }
}

#[cfg(all(test, feature = "jwt"))]
mod tests {
    use alloc::vec::Vec;

    use super::{Alphabet, decode, encode};

    #[test]
    fn rfc_4648_10_test_vectors() {
        for (bytes, padded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let bare = padded.trim_end_matches('=');
            assert_eq!(encode(Alphabet::Standard, bytes.as_bytes()), padded);
            assert_eq!(encode(Alphabet::Url, bytes.as_bytes()), bare);
            let read = decode(Alphabet::Standard, padded);
            assert_eq!(read.as_deref(), Some(bytes.as_bytes()));
            let read = decode(Alphabet::Url, bare);
            assert_eq!(read.as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn rfc_4648_5_the_alphabets_differ_in_two_characters() {
        assert_eq!(encode(Alphabet::Standard, &[0xfb, 0xff]), "+/8=");
        assert_eq!(encode(Alphabet::Url, &[0xfb, 0xff]), "-_8");
        for (alphabet, text) in [
            (Alphabet::Standard, "-_8="),
            (Alphabet::Standard, "+/8"),
            (Alphabet::Url, "+/8"),
            (Alphabet::Url, "-_8="),
        ] {
            assert_eq!(decode(alphabet, text), None, "{text}");
        }
    }

    #[test]
    fn rfc_4648_3_5_a_value_has_one_spelling() {
        for text in [
            "A", "AB", "AAB", "AAAAA", "A A", "AA\n", "====", "A===", "é",
        ] {
            assert_eq!(decode(Alphabet::Url, text), None, "{text:?}");
        }
        for text in ["AB==", "AAB=", "=AAA", "AA==AA==", "A===", "===="] {
            assert_eq!(decode(Alphabet::Standard, text), None, "{text:?}");
        }
    }

    #[test]
    fn every_byte_is_read_as_it_was_written() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            for alphabet in [Alphabet::Standard, Alphabet::Url] {
                let text = encode(alphabet, &bytes[..len]);
                assert_eq!(decode(alphabet, &text).as_deref(), Some(&bytes[..len]));
            }
        }
    }
}
