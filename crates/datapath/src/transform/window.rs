//! One direction's buffer, as a transform sees it.

/// Two queues in one buffer: `buf[..ready]` may be taken by the other side, `buf[ready..end]` is still to
/// be looked at, `buf[end..]` is free.
#[derive(Debug)]
pub struct Window<'b> {
    buf: &'b mut [u8],
    ready: usize,
    end: usize,
}

impl<'b> Window<'b> {
    /// `None` unless `ready <= end <= buf.len()`.
    #[must_use]
    pub fn new(buf: &'b mut [u8], ready: usize, end: usize) -> Option<Self> {
        (ready <= end && end <= buf.len()).then_some(Self { buf, ready, end })
    }

    /// Where the mark is: so many bytes may be taken.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Where what was filled in ends.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// What is still to be looked at.
    #[must_use]
    pub fn waiting(&self) -> &[u8] {
        self.buf.get(self.ready..self.end).unwrap_or_default()
    }

    /// Free bytes behind the end.
    pub(super) fn room(&self) -> usize {
        self.buf.len().saturating_sub(self.end)
    }

    /// Moves the mark over the next `n` bytes, or over all there are.
    pub(super) fn pass(&mut self, n: usize) -> usize {
        let passed = n.min(self.waiting().len());
        self.ready = self.ready.saturating_add(passed);
        passed
    }

    /// Copies `len` waiting bytes from `from` to `to`, both counted from the mark.
    pub(super) fn move_down(&mut self, from: usize, len: usize, to: usize) {
        let ready = self.ready;
        shift(
            self.buf,
            ready.saturating_add(from),
            len,
            ready.saturating_add(to),
        );
    }

    /// Replaces the waiting bytes `from..to` by a hole of `len` bytes, and gives it to be filled; `None` if there is no
    /// room, and then nothing was changed.
    pub(super) fn replace(&mut self, from: usize, to: usize, len: usize) -> Option<&mut [u8]> {
        let hole = self.ready.checked_add(from)?;
        let rest = self.ready.checked_add(to)?;
        if hole > rest {
            return None;
        }
        let (rest_len, after) = (self.end.checked_sub(rest)?, hole.checked_add(len)?);
        let end = after.checked_add(rest_len)?;
        if end > self.buf.len() {
            return None;
        }
        shift(self.buf, rest, rest_len, after);
        self.end = end;
        self.buf.get_mut(hole..after)
    }
}

/// Moves `len` bytes; does nothing if they or their place are not all in the buffer.
fn shift(buf: &mut [u8], from: usize, len: usize, to: usize) {
    let bound = buf.len();
    if len > bound || from > bound.saturating_sub(len) || to > bound.saturating_sub(len) {
        return;
    }
    buf.copy_within(from..from.saturating_add(len), to);
}
