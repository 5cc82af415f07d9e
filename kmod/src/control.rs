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
    /// The peer changes its key, in a way that cannot be followed: reset the flow, and say so.
    KeyUpdate,
    /// What comes next is by the peer's next key.
    Rekey,
    /// The same, and before the next data that is sent our key is to be changed too.
    RekeyBoth,
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
            Self::Rekey => 6,
            Self::RekeyBoth => 7,
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
/// What a KeyUpdate asks for, its only byte (RFC 8446 §4.6.3).
const UPDATE_NOT_REQUESTED: u8 = 0;
const UPDATE_REQUESTED: u8 = 1;
const KEY_UPDATE_BYTES: u32 = 1;
/// Bytes of a whole KeyUpdate.
pub const KEY_UPDATE_MESSAGE_BYTES: usize = 5;
/// Bytes of a handshake message before its body (RFC 8446 §4).
const HANDSHAKE_HEADER: u8 = 4;

/// Where a piece of a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The record ends with it.
    pub ends_record: bool,
    /// On a kernel whose TLS takes new keys.
    pub can_rekey: bool,
}

/// How far into a message the stream of control records is. A word that C keeps; all zero between
/// messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stream {
    /// Bytes of the header, or of an alert, that have come.
    seen: u8,
    /// An alert is under way, not a handshake message.
    alert: bool,
    /// The handshake message is a KeyUpdate.
    update: bool,
    /// Bytes of the message's body still to come, once its header has.
    left: u32,
}

impl Stream {
    /// The stream that a word stands for.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let [l0, l1, l2, l3, seen, alert, update, _] = word.to_le_bytes();
        Self {
            seen,
            alert: alert != 0,
            update: update != 0,
            left: u32::from_le_bytes([l0, l1, l2, l3]),
        }
    }

    /// The word for C to keep.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let [l0, l1, l2, l3] = self.left.to_le_bytes();
        let alert = if self.alert { 1 } else { 0 };
        let update = if self.update { 1 } else { 0 };
        u64::from_le_bytes([l0, l1, l2, l3, self.seen, alert, update, 0])
    }

    /// What the next piece of a record of content type `kind`, decrypted, means.
    ///
    /// Tickets are skipped: nothing is resumed. A KeyUpdate is followed where the kernel can, if its record ends with it, as it must
    /// (RFC 8446 §5.1), and begins no later: kTLS stops behind the record in which it begins. What cuts the flow is any alert but the
    /// two that announce an orderly end (RFC 8446 §6.1), whatever level it claims (§6), and whatever else comes after a handshake
    /// (§4.6).
    pub fn take(&mut self, kind: u8, piece: &[u8], place: Place) -> After {
        match kind {
            APPLICATION_DATA => After::Data,
            _ if piece.is_empty() => After::Cut,
            ALERT => self.each(piece, place, Self::alert_byte),
            HANDSHAKE => self.each(piece, place, Self::handshake_byte),
            _ => After::Cut,
        }
    }

    /// Takes byte by byte; the first that decides does.
    fn each(
        &mut self,
        piece: &[u8],
        place: Place,
        take: fn(&mut Self, u8, Place) -> After,
    ) -> After {
        let mut after = After::Skip;
        let mut rest = piece.iter();
        while let Some(&byte) = rest.next() {
            after = take(self, byte, place);
            match after {
                After::Cut | After::Eof | After::KeyUpdate => return after,
                // Keys do not change in the middle of a record.
                After::Rekey | After::RekeyBoth if rest.len() > 0 || !place.ends_record => {
                    return After::Cut;
                }
                _ => {}
            }
        }
        if self.update && place.ends_record {
            return After::KeyUpdate;
        }
        after
    }

    fn alert_byte(&mut self, byte: u8, _place: Place) -> After {
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
                    ..Self::default()
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

    fn handshake_byte(&mut self, byte: u8, place: Place) -> After {
        if self.alert {
            return After::Cut;
        }
        match self.seen {
            0 if byte == KEY_UPDATE && !place.can_rekey => return After::KeyUpdate,
            0 if byte == KEY_UPDATE || byte == NEW_SESSION_TICKET => {
                self.seen = 1;
                self.update = byte == KEY_UPDATE;
            }
            0 => return After::Cut,
            1..HANDSHAKE_HEADER => {
                // Three bytes of length, the highest first.
                self.left = self.left.wrapping_shl(8) | u32::from(byte);
                self.seen = self.seen.saturating_add(1);
                let whole_header = self.seen == HANDSHAKE_HEADER;
                if whole_header && self.update && self.left != KEY_UPDATE_BYTES {
                    return After::Cut;
                }
            }
            _ if self.update => {
                *self = Self::default();
                return match byte {
                    UPDATE_NOT_REQUESTED => After::Rekey,
                    UPDATE_REQUESTED => After::RekeyBoth,
                    _ => After::Cut,
                };
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
    ends_record: bool,
    can_rekey: bool,
) -> u32 {
    // SAFETY: the caller's contract.
    let piece = unsafe { ffi::bytes(piece, len) };
    // SAFETY: the caller's contract.
    let state = unsafe { state.as_mut() };
    let (Some(state), Some(piece)) = (state, piece) else {
        return After::Cut.number();
    };
    let mut stream = Stream::from_word(*state);
    let after = stream.take(
        kind,
        piece,
        Place {
            ends_record,
            can_rekey,
        },
    );
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

/// Writes a KeyUpdate that asks for none: an answer, or of our own accord. Context: any.
///
/// # Safety
/// `out` points to `TL_KEY_UPDATE_BYTES` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_key_update(out: *mut [u8; KEY_UPDATE_MESSAGE_BYTES]) {
    // SAFETY: the caller's contract.
    unsafe { out.write([KEY_UPDATE, 0, 0, 1, UPDATE_NOT_REQUESTED]) };
}

#[cfg(test)]
mod tests;
