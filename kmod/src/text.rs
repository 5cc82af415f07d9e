//! Text in a fixed buffer: what does not fit is cut, at a character's boundary. Never panics.

use core::fmt;

/// Up to `N` bytes of UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    cut: bool,
}

/// Longest UTF-8 encoding of a character, in bytes (RFC 3629 §3).
const MAX_CHAR_BYTES: usize = 4;

impl<const N: usize> Text<N> {
    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            cut: false,
        }
    }

    /// As much of `text` as fits.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut out = Self::new();
        out.push(text);
        out
    }

    /// Appends as much of `text` as fits. After a cut nothing more is taken.
    pub fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let fits = begin(text, N.saturating_sub(self.len));
        self.cut = fits.len() < text.len();
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(fits.bytes()) {
            *to = from;
        }
        self.len = self.len.saturating_add(fits.len());
    }

    /// The text so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The whole buffer, zero behind the text, and the length of the text.
    #[must_use]
    pub fn into_parts(self) -> ([u8; N], u32) {
        (self.bytes, u32::try_from(self.len).unwrap_or(0))
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// The longest beginning of `text` with at most `max` bytes.
fn begin(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    (0..MAX_CHAR_BYTES)
        .find_map(|back| text.get(..max.checked_sub(back)?))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_at_a_boundary() {
        let mut text = Text::<5>::of("añb");
        assert_eq!(text.bytes(), "añb".as_bytes());
        text.push("é");
        assert_eq!(text.bytes(), "añb".as_bytes());
        text.push("c");
        assert_eq!(text.bytes(), "añb".as_bytes(), "nothing follows a cut");
        assert_eq!(Text::<3>::of("🦀").bytes(), b"");
        assert_eq!(Text::<6>::of("a🦀🦀").bytes(), "a🦀".as_bytes());
    }

    #[test]
    fn formatting_never_fails() {
        let mut text = Text::<8>::new();
        for _ in 0..100 {
            write!(text, "{}", 12345).unwrap();
        }
        assert_eq!(text.into_parts(), (*b"12345123", 8));
    }
}
