//! Telling an HTTP/1.1 server who calls: the field `X-Forwarded-Client-Cert` as Envoy writes it under
//! `SANITIZE_SET`, in every request of a connection.

use super::head::{self, Body};
use super::{
    Ends, Look, MAX_ADDED_BYTES, MAX_HEAD_BYTES, Progress, Refusal, TRANSFORM_WORDS, Window,
};

/// Longest line that begins a chunk: sixteen digits, and extensions that nobody uses.
const MAX_CHUNK_LINE: usize = 256;
/// Longest trailer section of a request, in bytes.
const MAX_TRAILER_BYTES: u32 = 4096;

/// Where in its stream of requests a peer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Requests {
    at: At,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// In a head, of which so many bytes were looked at in vain for its end.
    Head { seen: u32 },
    /// In a body of which so many bytes are to come.
    Body { left: u64 },
    /// Before the line that begins a chunk.
    Chunk,
    /// In a chunk, of which so many bytes are to come.
    ChunkData { left: u64 },
    /// Before the end of line that ends a chunk.
    ChunkEnd,
    /// In the lines after the last chunk, of which so many bytes have come.
    Trailer { seen: u32 },
}

/// What one step came to: on with the next, or an answer.
type Step = core::ops::ControlFlow<Progress>;
const ON: Step = Step::Continue(());
const MORE: Step = Step::Break(Progress::NeedsBytes);

const fn refuse(why: Refusal) -> Step {
    Step::Break(Progress::Refused(why))
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self {
            at: At::Head { seen: 0 },
        }
    }

    pub(super) const fn to_words(self, kind: u8) -> [u64; TRANSFORM_WORDS] {
        let (at, seen, left) = match self.at {
            At::Head { seen } => (0, seen, 0),
            At::Body { left } => (1, 0, left),
            At::Chunk => (2, 0, 0),
            At::ChunkData { left } => (3, 0, left),
            At::ChunkEnd => (4, 0, 0),
            At::Trailer { seen } => (5, seen, 0),
        };
        let [s0, s1, s2, s3] = seen.to_le_bytes();
        [u64::from_le_bytes([kind, at, 0, 0, s0, s1, s2, s3]), left]
    }

    pub(super) const fn from_words([first, left]: [u64; TRANSFORM_WORDS]) -> Option<Self> {
        let [_, at, _, _, s0, s1, s2, s3] = first.to_le_bytes();
        let seen = u32::from_le_bytes([s0, s1, s2, s3]);
        let at = match at {
            0 => At::Head { seen },
            1 => At::Body { left },
            2 => At::Chunk,
            3 => At::ChunkData { left },
            4 => At::ChunkEnd,
            5 => At::Trailer { seen },
            _ => return None,
        };
        Some(Self { at })
    }

    pub(super) fn run(
        &mut self,
        window: &mut Window<'_>,
        ends: &Ends<'_>,
        look: &mut impl Look,
    ) -> Progress {
        loop {
            let step = match self.at {
                At::Head { seen } => self.head(window, ends, look, seen),
                At::Body { left } => self.data(window, left, At::Head { seen: 0 }),
                At::Chunk => self.chunk(window),
                At::ChunkData { left } => self.data(window, left, At::ChunkEnd),
                At::ChunkEnd => self.chunk_end(window),
                At::Trailer { seen } => self.trailer(window, seen),
            };
            if let Step::Break(progress) = step {
                return progress;
            }
        }
    }

    fn head(
        &mut self,
        window: &mut Window<'_>,
        ends: &Ends<'_>,
        look: &mut impl Look,
        seen: u32,
    ) -> Step {
        // RFC 9112 §2.2: empty lines before a request are ignored.
        let blank = blank_lines(window.waiting());
        if blank > 0 {
            self.at = At::Head { seen: 0 };
            let _ = window.replace(0, blank, 0);
            return ON;
        }
        let len = match head::length(window.waiting(), usize::try_from(seen).unwrap_or(0)) {
            Err(why) => return refuse(why),
            Ok(Some(len)) => len,
            Ok(None) => {
                // What was seen is below the bound on heads.
                let seen = u32::try_from(window.waiting().len()).unwrap_or(0);
                self.at = At::Head { seen };
                return MORE;
            }
        };
        let head = window.waiting().get(..len).unwrap_or_default();
        let body = match head::read(head) {
            Ok(body) => body,
            Err(why) => return refuse(why),
        };
        if let Err(progress) = look.at(head) {
            return Step::Break(progress);
        }
        let Some(written) = rewrite(window, len, ends) else {
            return Step::Break(Progress::NeedsRoom);
        };
        let _ = window.pass(written);
        self.at = match body {
            Body::Length(0) => At::Head { seen: 0 },
            Body::Length(left) => At::Body { left },
            Body::Chunked => At::Chunk,
        };
        ON
    }

    /// Bytes that are passed as they are, and then `next`.
    fn data(&mut self, window: &mut Window<'_>, left: u64, next: At) -> Step {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let passed = u64::try_from(window.pass(most)).unwrap_or(left);
        let left = left.saturating_sub(passed);
        self.at = match (self.at, left) {
            (_, 0) => next,
            (At::Body { .. }, left) => At::Body { left },
            (_, left) => At::ChunkData { left },
        };
        if left == 0 { ON } else { MORE }
    }

    fn chunk(&mut self, window: &mut Window<'_>) -> Step {
        let waiting = window.waiting();
        let Some((text, rest)) = head::line(waiting) else {
            return if waiting.len() > MAX_CHUNK_LINE {
                refuse(Refusal::Chunk)
            } else {
                MORE
            };
        };
        let whole = waiting.len().saturating_sub(rest.len());
        if whole > MAX_CHUNK_LINE || whole.saturating_sub(text.len()) != 2 {
            return refuse(Refusal::Chunk);
        }
        let Some(size) = chunk_size(text) else {
            return refuse(Refusal::Chunk);
        };
        let _ = window.pass(whole);
        self.at = match size {
            0 => At::Trailer { seen: 0 },
            left => At::ChunkData { left },
        };
        ON
    }

    fn chunk_end(&mut self, window: &mut Window<'_>) -> Step {
        match window.waiting() {
            [] | [b'\r'] => return MORE,
            [b'\r', b'\n', ..] => {}
            _ => return refuse(Refusal::Chunk),
        }
        let _ = window.pass(2);
        self.at = At::Chunk;
        ON
    }

    fn trailer(&mut self, window: &mut Window<'_>, seen: u32) -> Step {
        let waiting = window.waiting();
        let line = head::line(waiting);
        let whole = waiting
            .len()
            .saturating_sub(line.map_or(0, |(_, rest)| rest.len()));
        let seen = seen.saturating_add(u32::try_from(whole).unwrap_or(u32::MAX));
        if seen > MAX_TRAILER_BYTES {
            return refuse(Refusal::HeadTooLong);
        }
        let Some((text, _)) = line else {
            return MORE;
        };
        if whole.saturating_sub(text.len()) != 2 {
            return refuse(Refusal::BareLineFeed);
        }
        self.at = if text.is_empty() {
            At::Head { seen: 0 }
        } else {
            match head::field(text) {
                Err(why) => return refuse(why),
                Ok((name, _)) if head::is_forwarded(name) => return refuse(Refusal::Trailer),
                Ok(_) => At::Trailer { seen },
            }
        };
        let _ = window.pass(whole);
        ON
    }
}

/// How many bytes of whole empty lines are in front.
fn blank_lines(bytes: &[u8]) -> usize {
    let lines = bytes
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count();
    lines.saturating_mul(2)
}

/// RFC 9112 §7.1: hexadecimal digits, then perhaps extensions, of which nothing is asked but that
/// they are visible.
fn chunk_size(text: &[u8]) -> Option<u64> {
    let digits = text
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (digits, extension) = (text.get(..digits)?, text.get(digits..)?);
    let visible = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    let named = extension.first().is_none_or(|byte| *byte == b';');
    if digits.is_empty() || digits.len() > 15 || !named || !extension.iter().all(visible) {
        return None;
    }
    digits.iter().try_fold(0_u64, |n, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        n.checked_mul(16)?.checked_add(u64::from(digit))
    })
}

/// Takes out of the head, which is the first `len` waiting bytes, what is not for the program, and
/// puts in who calls; the new length, or `None` without room for it, and then nothing was changed.
fn rewrite(window: &mut Window<'_>, len: usize, ends: &Ends<'_>) -> Option<usize> {
    let hash = hexadecimal(ends.peer_certificate);
    let pieces: [&[u8]; 8] = [
        b"X-Forwarded-Client-Cert: By=",
        ends.own.as_bytes(),
        b";Hash=",
        &hash,
        b";URI=",
        ends.peer.as_bytes(),
        b"\r\n",
        b"\r\n",
    ];
    let added = pieces
        .iter()
        .fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    // Two of the bytes are those of the blank line that is there already.
    if added > MAX_ADDED_BYTES || window.room() < added {
        return None;
    }
    let kept = drop_fields(window, len)?;
    let place = window.replace(kept, len, added)?;
    for (to, from) in place.iter_mut().zip(pieces.into_iter().flatten()) {
        *to = *from;
    }
    kept.checked_add(added)
}

/// Moves the request line and the fields that are for the program together, at the head's start; their length.
/// What lies between there and the head's end is left over.
fn drop_fields(window: &mut Window<'_>, len: usize) -> Option<usize> {
    let (mut kept, mut at) = (0_usize, 0_usize);
    loop {
        let (text, _) = head::line(window.waiting().get(at..len)?)?;
        if text.is_empty() {
            return Some(kept);
        }
        let whole = text.len().checked_add(2)?;
        // The first line is no field.
        if at == 0 || head::is_kept(text) {
            window.move_down(at, whole, kept);
            kept = kept.checked_add(whole)?;
        }
        at = at.checked_add(whole)?;
    }
}

fn hexadecimal(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = match nibble {
                0..=9 => b'0'.saturating_add(nibble),
                _ => b'a'.saturating_add(nibble.saturating_sub(10)),
            };
        }
    }
    text
}

const _: () = assert!(
    MAX_HEAD_BYTES + MAX_ADDED_BYTES < 32 * 1024,
    "a head and what is added to it fit well into a queue"
);
