//! A borrowing reader for the part of DER (X.690) that certificates and certificate requests use.
//!
//! It never allocates, recurses or panics. Every element is bounded by the slice it came from, so a
//! loop over a [`Reader`] ends: each element takes at least two bytes.

mod time;

use core::fmt;

/// Tag of a BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Tag of an INTEGER.
pub const INTEGER: u8 = 0x02;
/// Tag of a BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// Tag of an OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Tag of an OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// Tag of a UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// Tag of a GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// Tag of a SEQUENCE or SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;
/// Tag of a SET or SET OF.
pub const SET: u8 = 0x31;

/// Why bytes are not the DER expected. `at` counts bytes from the start of the outermost input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DerError {
    /// The input ends inside an element, or where one was expected.
    Truncated {
        /// Where the element begins.
        at: usize,
    },
    /// A tag number above 30, which no field of a certificate has.
    HighTag {
        /// Where the element begins.
        at: usize,
    },
    /// A length that is indefinite, not minimal, or of 16 MiB and more.
    Length {
        /// Where the element begins.
        at: usize,
    },
    /// Another tag than the one expected.
    Tag {
        /// Where the element begins.
        at: usize,
        /// The tag expected.
        expected: u8,
        /// The tag found.
        found: u8,
    },
    /// Bytes after the last element.
    Trailing {
        /// Where they begin.
        at: usize,
    },
    /// A BOOLEAN that is neither `00` nor `FF`.
    Boolean {
        /// Where its value begins.
        at: usize,
    },
    /// An INTEGER that is empty or not minimal.
    Integer {
        /// Where its value begins.
        at: usize,
    },
    /// A BIT STRING that is empty, has bad padding, or is not whole bytes where it must be.
    BitString {
        /// Where its value begins.
        at: usize,
    },
    /// A time that is malformed, not in UTC, or no date of the calendar.
    Time {
        /// Where its value begins.
        at: usize,
    },
}

/// One element: tag, length and value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The contents.
    pub value: &'a [u8],
    /// The whole element, header included.
    pub raw: &'a [u8],
    /// Where the element begins in the outermost input.
    pub at: usize,
    /// Where the contents begin in the outermost input.
    pub value_at: usize,
}

/// Reads elements one after another.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the first on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next element, whatever its tag.
    ///
    /// # Errors
    /// `Truncated`, `HighTag` or `Length`; the reader then stays where it was.
    pub fn element(&mut self) -> Result<Element<'a>, DerError> {
        let at = self.at;
        let (&tag, after_tag) = self.rest.split_first().ok_or(DerError::Truncated { at })?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::HighTag { at });
        }
        let (len, after_len) = length(after_tag, at)?;
        let (value, tail) = after_len
            .split_at_checked(len)
            .ok_or(DerError::Truncated { at })?;
        let raw_len = self.rest.len().saturating_sub(tail.len());
        let (raw, _) = self
            .rest
            .split_at_checked(raw_len)
            .ok_or(DerError::Truncated { at })?;
        let value_at = at.saturating_add(raw_len.saturating_sub(len));
        self.rest = tail;
        self.at = at.saturating_add(raw_len);
        Ok(Element {
            tag,
            value,
            raw,
            at,
            value_at,
        })
    }

    /// Reads the next element, which must have `tag`.
    ///
    /// # Errors
    /// As [`Reader::element`], or `Tag`.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        let element = self.clone().element()?;
        if element.tag != tag {
            return Err(DerError::Tag {
                at: element.at,
                expected: tag,
                found: element.tag,
            });
        }
        self.element()
    }

    /// Reads the next element if it has `tag`.
    ///
    /// # Errors
    /// As [`Reader::element`]; an absent element is `None`.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.rest.first() == Some(&tag) {
            self.element().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// `Trailing`.
    pub fn finish(&self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError::Trailing { at: self.at })
        }
    }
}

impl<'a> Element<'a> {
    /// Reads the elements inside this one.
    pub fn reader(&self) -> Reader<'a> {
        Reader {
            rest: self.value,
            at: self.value_at,
        }
    }

    /// Reads the contents as a BOOLEAN.
    ///
    /// # Errors
    /// `Boolean`.
    pub fn boolean(&self) -> Result<bool, DerError> {
        match self.value {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(DerError::Boolean { at: self.value_at }),
        }
    }

    /// Checks the contents as an INTEGER and gives them: two's complement, big endian, minimal.
    ///
    /// # Errors
    /// `Integer`.
    pub fn integer(&self) -> Result<&'a [u8], DerError> {
        match self.value {
            [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => {
                Err(DerError::Integer { at: self.value_at })
            }
            value => Ok(value),
        }
    }

    /// Checks the contents as a BIT STRING and gives its bytes; unused bits are zero.
    ///
    /// # Errors
    /// `BitString`.
    pub fn bit_string(&self) -> Result<&'a [u8], DerError> {
        let bad = Err(DerError::BitString { at: self.value_at });
        match self.value {
            [0] => Ok(&[]),
            [unused @ 0..=7, .., last] => {
                let padding = !(0xff_u8.checked_shl(u32::from(*unused)).unwrap_or(0));
                if last & padding != 0 {
                    return bad;
                }
                Ok(self.value.split_first().map_or(&[], |(_, bytes)| bytes))
            }
            _ => bad,
        }
    }

    /// Checks the contents as a BIT STRING of whole bytes, such as a key or a signature.
    ///
    /// # Errors
    /// `BitString`.
    pub fn bit_string_bytes(&self) -> Result<&'a [u8], DerError> {
        match self.value {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(DerError::BitString { at: self.value_at }),
        }
    }

    /// Reads the contents as the time that the tag says, in seconds since 1970 (RFC 5280 §4.1.2.5).
    ///
    /// # Errors
    /// `Time`; another tag is `Tag`.
    pub fn time(&self) -> Result<i64, DerError> {
        let seconds = match self.tag {
            UTC_TIME => time::utc(self.value),
            GENERALIZED_TIME => time::generalized(self.value),
            found => {
                return Err(DerError::Tag {
                    at: self.at,
                    expected: UTC_TIME,
                    found,
                });
            }
        };
        seconds.ok_or(DerError::Time { at: self.value_at })
    }
}

/// Reads a length of at most three bytes; `at` is where its element begins.
fn length(bytes: &[u8], at: usize) -> Result<(usize, &[u8]), DerError> {
    match bytes {
        [] | [0x81] | [0x82] | [0x82, _] | [0x83] | [0x83, _] | [0x83, _, _] => {
            Err(DerError::Truncated { at })
        }
        [len @ 0..=0x7f, rest @ ..] => Ok((usize::from(*len), rest)),
        [0x81, len @ 0x80..=0xff, rest @ ..] => Ok((usize::from(*len), rest)),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            Ok((usize::from(u16::from_be_bytes([*high, *low])), rest))
        }
        [0x83, high @ 1..=0xff, mid, low, rest @ ..] => {
            let len = u32::from_be_bytes([0, *high, *mid, *low]);
            usize::try_from(len)
                .map(|len| (len, rest))
                .map_err(|_| DerError::Length { at })
        }
        _ => Err(DerError::Length { at }),
    }
}

impl fmt::Display for DerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { at } => write!(f, "DER ends inside the element at byte {at}"),
            Self::HighTag { at } => write!(f, "DER tag number above 30 at byte {at}"),
            Self::Length { at } => write!(f, "DER length not acceptable at byte {at}"),
            Self::Tag {
                at,
                expected,
                found,
            } => {
                write!(
                    f,
                    "DER tag {found:#04x} at byte {at} where {expected:#04x} belongs"
                )
            }
            Self::Trailing { at } => write!(f, "DER goes on after its end at byte {at}"),
            Self::Boolean { at } => write!(f, "DER boolean malformed at byte {at}"),
            Self::Integer { at } => write!(f, "DER integer malformed at byte {at}"),
            Self::BitString { at } => write!(f, "DER bit string malformed at byte {at}"),
            Self::Time { at } => write!(f, "DER time malformed at byte {at}"),
        }
    }
}

impl core::error::Error for DerError {}

#[cfg(test)]
mod tests;
