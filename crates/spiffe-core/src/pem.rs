//! PEM (RFC 7468), as much as files of certificates need.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of base64 in a line (RFC 7468 §2).
const LINE_CHARS: usize = 64;

/// Why text is not PEM. Lines count from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PemError {
    /// A block that begins but does not end.
    Unfinished {
        /// The line it begins on.
        line: usize,
    },
    /// A line of a block that is not base64, or padding before the end.
    Base64 {
        /// The line.
        line: usize,
    },
    /// The end of another kind of block than the one begun.
    End {
        /// The line.
        line: usize,
    },
}

/// Writes DER as one PEM block, such as `CERTIFICATE`.
pub fn encode(label: &str, der: &[u8]) -> String {
    let mut text = alloc::format!("-----BEGIN {label}-----\n");
    let base64 = encode_base64(der);
    for line in base64.as_bytes().chunks(LINE_CHARS) {
        text.extend(line.iter().map(|&b| char::from(b)));
        text.push('\n');
    }
    text.push_str(&alloc::format!("-----END {label}-----\n"));
    text
}

/// Reads every block with this label, in order. Text between blocks and other blocks are passed over.
///
/// # Errors
/// The first malformed line inside a block, of whatever label.
pub fn decode(label: &str, text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines().map(str::trim_end));
    while let Some((begin, line)) = lines.next() {
        let Some(found) = boundary("BEGIN", line) else {
            continue;
        };
        let mut base64 = Base64::default();
        loop {
            let (number, line) = lines.next().ok_or(PemError::Unfinished { line: begin })?;
            match boundary("END", line) {
                Some(end) if end == found => {
                    let der = base64.finish().ok_or(PemError::Base64 { line: number })?;
                    if found == label {
                        blocks.push(der);
                    }
                    break;
                }
                Some(_) => return Err(PemError::End { line: number }),
                None => base64.push(line).ok_or(PemError::Base64 { line: number })?,
            }
        }
    }
    Ok(blocks)
}

fn boundary<'t>(word: &str, line: &'t str) -> Option<&'t str> {
    line.strip_prefix("-----")?
        .strip_prefix(word)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

fn encode_base64(bytes: &[u8]) -> String {
    let sextet = |bits: u32| {
        let index = usize::try_from(bits & 0x3f).unwrap_or(0);
        char::from(ALPHABET.get(index).copied().unwrap_or(b'='))
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| chunk.get(n).copied().map_or(0, u32::from);
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(sextet(group >> 18));
        text.push(sextet(group >> 12));
        text.push(if chunk.len() > 1 {
            sextet(group >> 6)
        } else {
            '='
        });
        text.push(if chunk.len() > 2 { sextet(group) } else { '=' });
    }
    text
}

/// Base64 as it comes in, line by line.
#[derive(Default)]
struct Base64 {
    bytes: Vec<u8>,
    bits: u32,
    /// Characters in the group begun, padding included.
    chars: u8,
    padding: u8,
}

impl Base64 {
    fn push(&mut self, line: &str) -> Option<()> {
        for byte in line.bytes() {
            self.push_byte(byte)?;
        }
        Some(())
    }

    fn push_byte(&mut self, byte: u8) -> Option<()> {
        if byte == b'=' {
            self.padding = self.padding.checked_add(1)?;
        } else if self.padding > 0 {
            return None;
        }
        self.bits = self.bits << 6 | sextet(byte)?;
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

    fn finish(self) -> Option<Vec<u8>> {
        (self.chars == 0).then_some(self.bytes)
    }
}

/// The six bits of a character; padding counts as zero.
fn sextet(byte: u8) -> Option<u32> {
    let base = match byte {
        b'A'..=b'Z' => byte.checked_sub(b'A')?,
        b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26)?,
        b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52)?,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return None,
    };
    Some(u32::from(base))
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unfinished { line } => write!(f, "PEM block begun on line {line} has no end"),
            Self::Base64 { line } => write!(f, "PEM line {line} is not base64"),
            Self::End { line } => write!(f, "PEM line {line} ends another kind of block"),
        }
    }
}

impl core::error::Error for PemError {}

#[cfg(test)]
mod tests;
