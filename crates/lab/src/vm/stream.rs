//! The guest's output: passed on as it comes, up to the line that says how the script ended.

use std::io::{self, Read, Write};

/// Looks for a marker in a stream of bytes and passes on what precedes it.
///
/// The marker is `\n@lab-TOKEN STATUS\n`; the token is new for each run, so a script cannot print it by accident.
#[derive(Debug)]
pub(crate) struct Marker {
    needle: Vec<u8>,
    held: Vec<u8>,
}

impl Marker {
    /// Looks for the marker with this token.
    pub(crate) fn new(token: &str) -> Self {
        Self {
            needle: format!("\n@lab-{token} ").into_bytes(),
            held: Vec::new(),
        }
    }

    /// Takes more bytes; passes on those that cannot be part of the marker. The status, once it came.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<Option<i32>> {
        self.held.extend_from_slice(bytes);
        if let Some(at) = find(&self.held, &self.needle) {
            out.write_all(&self.held[..at])?;
            self.held.drain(..at);
            let rest = &self.held[self.needle.len()..];
            let end = rest.iter().position(|&b| b == b'\n');
            return Ok(end.map(|end| status(&rest[..end])));
        }
        let safe = self.held.len() - self.overlap();
        out.write_all(&self.held[..safe])?;
        self.held.drain(..safe);
        Ok(None)
    }

    /// Passes on what was held back: the stream ended without a marker.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub(crate) fn give_up(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&std::mem::take(&mut self.held))
    }

    /// How many of the last bytes could be the beginning of the marker.
    fn overlap(&self) -> usize {
        let most = self.held.len().min(self.needle.len() - 1);
        (1..=most)
            .rev()
            .find(|&n| self.held.ends_with(&self.needle[..n]))
            .unwrap_or(0)
    }
}

/// Copies `from` to `out` until the marker; its status, or `None` if the stream ended without one.
///
/// # Errors
/// When a side fails.
pub(crate) fn until_marker(
    mut from: impl Read,
    out: &mut impl Write,
    token: &str,
) -> io::Result<Option<i32>> {
    let mut marker = Marker::new(token);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                marker.give_up(out)?;
                return Ok(None);
            }
            Ok(n) => {
                let ended = marker.feed(&buffer[..n], out)?;
                out.flush()?;
                if ended.is_some() {
                    return Ok(ended);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// A status that is no number counts as a failure.
fn status(text: &[u8]) -> i32 {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(125)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_passed_on_whole_wherever_it_is_cut() {
        let stream = b"one\n@lab-not it\ntwo\n\n@lab-x7 3\nnever shown";
        for cut in 0..stream.len() {
            let mut out = Vec::new();
            let mut marker = Marker::new("x7");
            let first = marker
                .feed(&stream[..cut], &mut out)
                .expect("a vector can be written");
            let second = match first {
                Some(status) => Some(status),
                None => marker
                    .feed(&stream[cut..], &mut out)
                    .expect("a vector can be written"),
            };
            assert_eq!(second, Some(3), "cut at {cut}");
            assert_eq!(out, b"one\n@lab-not it\ntwo\n", "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_without_a_marker_is_passed_on_to_its_end() {
        let mut out = Vec::new();
        let ended =
            until_marker(&b"half a line\n@lab-x"[..], &mut out, "x7").expect("nothing fails");
        assert_eq!((ended, out.as_slice()), (None, &b"half a line\n@lab-x"[..]));
    }

    #[test]
    fn a_status_that_is_no_number_is_a_failure() {
        assert_eq!(status(b"0"), 0);
        assert_eq!(status(b""), 125);
    }
}
