//! Choices out of bytes.

/// Draws choices from bytes; when they are used up, the first choice every time.
#[derive(Debug)]
pub(crate) struct Draw<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

impl<'b> Draw<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
        }
    }

    /// A number below `count`, which is at most 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0)) * count / 256
    }

    /// Whether something happens that does so often in a hundred times.
    pub(crate) fn percent(&mut self, often: usize) -> bool {
        self.below(100) >= 100 - often
    }

    pub(crate) fn pick<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> &'c T {
        choices[self.below(choices.len())]
    }

    /// Whether there is anything left to draw from.
    pub(crate) fn left(&self) -> bool {
        self.bytes.len() > 0
    }
}
