//! TLS after the handshake: what a record that is not data means to the reader (RFC 8446).

use crate::ffi;

/// What the reader is to do after a record: `enum tl_after`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    /// The record is data: hand it out.
    Data,
    /// Nothing for the program: read on.
    Skip,
    /// The peer has closed its side properly.
    Eof,
    /// The flow is over: reset it.
    Cut,
    /// The alert goes on in the next piece.
    More,
    /// The peer changes its key: reset the flow, and say so.
    KeyUpdate,
}

impl After {
    /// The number that C knows it by.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Data => 0,
            Self::Skip => 1,
            Self::Eof => 2,
            Self::Cut => 3,
            Self::More => 4,
            Self::KeyUpdate => 5,
        }
    }
}

/// Record content types (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Alerts (RFC 8446 §6).
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
/// Handshake message types (RFC 8446 §4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// Bytes of a handshake message before its body (RFC 8446 §4).
const HANDSHAKE_HEADER: u8 = 4;

/// How far into a message the stream of control records is. A word that C keeps; all zero between
/// messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stream {
    /// Bytes of the header, or of an alert, that have come.
    seen: u8,
    /// An alert is under way, not a handshake message.
    alert: bool,
    /// Bytes of the message's body still to come, once its header has.
    left: u32,
}

impl Stream {
    /// The stream that a word stands for.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let [l0, l1, l2, l3, seen, alert, _, _] = word.to_le_bytes();
        Self {
            seen,
            alert: alert != 0,
            left: u32::from_le_bytes([l0, l1, l2, l3]),
        }
    }

    /// The word for C to keep.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let [l0, l1, l2, l3] = self.left.to_le_bytes();
        let alert = if self.alert { 1 } else { 0 };
        u64::from_le_bytes([l0, l1, l2, l3, self.seen, alert, 0, 0])
    }

    /// What the next piece of a record of content type `kind`, decrypted, means.
    ///
    /// Tickets are skipped: nothing is resumed. A key update cuts the flow, as kTLS cannot follow
    /// it on every kernel; so does any alert but the two that announce an orderly end (RFC 8446
    /// §6.1), whatever level it claims (§6), and whatever else comes after a handshake (§4.6).
    pub fn take(&mut self, kind: u8, piece: &[u8]) -> After {
        match kind {
            APPLICATION_DATA => After::Data,
            _ if piece.is_empty() => After::Cut,
            ALERT => self.each(piece, Self::alert_byte),
            HANDSHAKE => self.each(piece, Self::handshake_byte),
            _ => After::Cut,
        }
    }

    /// Takes byte by byte; the first that decides does.
    fn each(&mut self, piece: &[u8], take: fn(&mut Self, u8) -> After) -> After {
        let mut after = After::Skip;
        for &byte in piece {
            after = take(self, byte);
            if matches!(after, After::Cut | After::Eof | After::KeyUpdate) {
                return after;
            }
        }
        after
    }

    fn alert_byte(&mut self, byte: u8) -> After {
        match (*self, byte) {
            (
                Self {
                    seen: 0, left: 0, ..
                },
                _,
            ) => {
                *self = Self {
                    seen: 1,
                    alert: true,
                    left: 0,
                };
                After::More
            }
            (Self { alert: true, .. }, CLOSE_NOTIFY) => After::Eof,
            (Self { alert: true, .. }, USER_CANCELED) => {
                *self = Self::default();
                After::Skip
            }
            // Another alert, or one in the middle of a handshake message (RFC 8446 §5.1).
            _ => After::Cut,
        }
    }

    fn handshake_byte(&mut self, byte: u8) -> After {
        if self.alert {
            return After::Cut;
        }
        match self.seen {
            0 if byte == KEY_UPDATE => return After::KeyUpdate,
            0 if byte != NEW_SESSION_TICKET => return After::Cut,
            0 => self.seen = 1,
            1..HANDSHAKE_HEADER => {
                // Three bytes of length, the highest first.
                self.left = self.left.wrapping_shl(8) | u32::from(byte);
                self.seen = self.seen.saturating_add(1);
            }
            _ => self.left = self.left.saturating_sub(1),
        }
        if self.seen == HANDSHAKE_HEADER && self.left == 0 {
            *self = Self::default();
        }
        After::Skip
    }
}

/// What a piece of a non-data record means to the reader; `state` follows. Context: any.
///
/// # Safety
/// `state` is null or points to the flow's word, which was 0 at first; `piece` is null or points to
/// `len` readable bytes that nobody writes during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_control_record(
    state: *mut u64,
    kind: u8,
    piece: *const u8,
    len: u64,
) -> u32 {
    // SAFETY: the caller's contract.
    let piece = unsafe { ffi::bytes(piece, len) };
    // SAFETY: the caller's contract.
    let state = unsafe { state.as_mut() };
    let (Some(state), Some(piece)) = (state, piece) else {
        return After::Cut.number();
    };
    let mut stream = Stream::from_word(*state);
    let after = stream.take(kind, piece);
    *state = stream.to_word();
    after.number()
}

/// Writes the two bytes of a `close_notify` alert. Context: any.
///
/// # Safety
/// `out` points to two writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_close_notify(out: *mut [u8; 2]) {
    // SAFETY: the caller's contract.
    unsafe { out.write([WARNING, CLOSE_NOTIFY]) };
}

#[cfg(test)]
mod tests;
