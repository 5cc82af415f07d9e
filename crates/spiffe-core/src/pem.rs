//! PEM (RFC 7468), as much as files of certificates need.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::base64::{Alphabet, Decoder, encode as encode_base64};

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
    let base64 = encode_base64(Alphabet::Standard, der);
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
        let mut base64 = Decoder::new(Alphabet::Standard);
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
