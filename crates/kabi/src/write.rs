//! Writing fields into a lent buffer, or only measuring them.

use crate::refused::{EncodeError, Fault, RefusedReason};

/// A cursor that writes. Without a buffer it only counts. It checks what [`Reader`](crate::read::Reader)
/// checks, so that what was written can be read.
pub(crate) struct Writer<'b> {
    out: Option<&'b mut [u8]>,
    at: usize,
}

type Done = Result<(), EncodeError>;

impl<'b> Writer<'b> {
    pub(crate) const fn into_buffer(out: &'b mut [u8]) -> Self {
        Self {
            out: Some(out),
            at: 0,
        }
    }

    #[cfg(feature = "alloc")]
    pub(crate) const fn measuring() -> Self {
        Self { out: None, at: 0 }
    }

    /// Bytes written so far.
    pub(crate) const fn len(&self) -> usize {
        self.at
    }

    /// The fault `why` at the cursor.
    pub(crate) fn fault(&self, why: RefusedReason) -> EncodeError {
        EncodeError::Fault(Fault {
            why,
            at: u32::try_from(self.at).unwrap_or(u32::MAX),
        })
    }

    /// Writes bytes as they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Done {
        let end = self
            .at
            .checked_add(bytes.len())
            .ok_or(EncodeError::NoSpace)?;
        if let Some(out) = &mut self.out {
            let place = out.get_mut(self.at..end).ok_or(EncodeError::NoSpace)?;
            place
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = *from);
        }
        self.at = end;
        Ok(())
    }

    pub(crate) fn u8(&mut self, n: u8) -> Done {
        self.put(&n.to_le_bytes())
    }

    pub(crate) fn u16(&mut self, n: u16) -> Done {
        self.put(&n.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, n: u32) -> Done {
        self.put(&n.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, n: u64) -> Done {
        self.put(&n.to_le_bytes())
    }

    pub(crate) fn i64(&mut self, n: i64) -> Done {
        self.put(&n.to_le_bytes())
    }

    /// A number that is never zero.
    pub(crate) fn id32(&mut self, n: u32) -> Done {
        if n == 0 {
            Err(self.fault(RefusedReason::OutOfRange))
        } else {
            self.u32(n)
        }
    }

    /// A number that is never zero.
    pub(crate) fn id64(&mut self, n: u64) -> Done {
        if n == 0 {
            Err(self.fault(RefusedReason::OutOfRange))
        } else {
            self.u64(n)
        }
    }

    /// A length or count of at most `max`.
    pub(crate) fn count(&mut self, n: usize, max: usize, above: RefusedReason) -> Done {
        match u32::try_from(n) {
            Ok(small) if n <= max => self.u32(small),
            _ => Err(self.fault(above)),
        }
    }

    /// Length-prefixed bytes of at most `max`.
    pub(crate) fn bytes(&mut self, bytes: &[u8], max: usize) -> Done {
        self.count(bytes.len(), max, RefusedReason::FieldTooLong)?;
        self.put(bytes)
    }

    /// Length-prefixed text of at most `max` bytes.
    pub(crate) fn text(&mut self, text: &str, max: usize) -> Done {
        self.bytes(text.as_bytes(), max)
    }

    /// Length-prefixed bytes that may not be empty.
    pub(crate) fn required(&mut self, bytes: &[u8], max: usize) -> Done {
        if bytes.is_empty() {
            return Err(self.fault(RefusedReason::Empty));
        }
        self.bytes(bytes, max)
    }
}

/// The longest beginning of `text` that has at most `max` bytes.
///
/// For text of our own that must fit a record: better cut than lost.
#[must_use]
pub fn clip(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}
