//! Reading fields from untrusted bytes.

use crate::refused::{Fault, RefusedReason};

/// A cursor over a record. `at` counts from the start of the record, header included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: u32,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: u32) -> Self {
        Self { rest: bytes, at }
    }

    pub(crate) const fn at(&self) -> u32 {
        self.at
    }

    /// The fault `why` at the cursor.
    pub(crate) const fn fault(&self, why: RefusedReason) -> Fault {
        Fault { why, at: self.at }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.fault(RefusedReason::Truncated));
        };
        self.advance(rest, N)?;
        Ok(*head)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.fault(RefusedReason::Truncated));
        };
        self.advance(rest, len)?;
        Ok(head)
    }

    fn advance(&mut self, rest: &'a [u8], by: usize) -> Result<(), Fault> {
        let at = u32::try_from(by)
            .ok()
            .and_then(|by| self.at.checked_add(by));
        self.at = at.ok_or(self.fault(RefusedReason::TooLong))?;
        self.rest = rest;
        Ok(())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number that is never zero: a subject, identity or key.
    pub(crate) fn id32(&mut self) -> Result<u32, Fault> {
        let fault = self.fault(RefusedReason::OutOfRange);
        self.u32()
            .and_then(|n| if n == 0 { Err(fault) } else { Ok(n) })
    }

    /// As [`Reader::id32`], for 64 bits.
    pub(crate) fn id64(&mut self) -> Result<u64, Fault> {
        let fault = self.fault(RefusedReason::OutOfRange);
        self.u64()
            .and_then(|n| if n == 0 { Err(fault) } else { Ok(n) })
    }

    /// A number that `parse` turns into something with a meaning.
    pub(crate) fn number<T>(&mut self, parse: impl FnOnce(u32) -> Option<T>) -> Result<T, Fault> {
        let fault = self.fault(RefusedReason::OutOfRange);
        parse(self.u32()?).ok_or(fault)
    }

    /// A length or count of at most `max`.
    pub(crate) fn len(&mut self, max: usize, above: RefusedReason) -> Result<usize, Fault> {
        let fault = self.fault(above);
        let len = usize::try_from(self.u32()?).map_err(|_| fault)?;
        if len > max { Err(fault) } else { Ok(len) }
    }

    /// Length-prefixed bytes of at most `max`, possibly none.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'a [u8], Fault> {
        let len = self.len(max, RefusedReason::FieldTooLong)?;
        self.take(len)
    }

    /// Length-prefixed UTF-8 of at most `max` bytes, possibly none.
    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, Fault> {
        let fault = self.fault(RefusedReason::NotUtf8);
        core::str::from_utf8(self.bytes(max)?).map_err(|_| fault)
    }

    /// Refuses bytes behind the last field.
    pub(crate) const fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.fault(RefusedReason::Trailing))
        }
    }
}

/// Text, or `None` for none: how an absent text travels.
pub(crate) const fn some_text(text: &str) -> Option<&str> {
    if text.is_empty() { None } else { Some(text) }
}

/// Bytes, or `None` for none.
pub(crate) const fn some_bytes(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.is_empty() { None } else { Some(bytes) }
}

/// Refuses an empty field.
pub(crate) const fn required(empty: bool, at: u32) -> Result<(), Fault> {
    if empty {
        Err(Fault {
            why: RefusedReason::Empty,
            at,
        })
    } else {
        Ok(())
    }
}
