//! What policies have permitted one end of one flow, so that they are asked once while it opens and not at every step.
//!
//! It is good for one configuration, Service and client, and for what was known of the process. Whatever else there is to
//! decide is looked at each time: revocation, modes, who may serve.

use super::Asked;
use crate::config::Configuration;

/// Longer ids are not remembered.
const ID_BYTES: usize = 108;

/// `struct tl_memo`, which to C is words. All zero: nothing was permitted yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Memo {
    /// Of the configuration that permitted it, which no other one ever has.
    generation: u64,
    service: i32,
    /// 1: what the process executes was measured by then.
    measured: u32,
    id_len: u32,
    id: [u8; ID_BYTES],
}

/// What C keeps it in: `TL_MEMO_WORDS`.
const MEMO_WORDS: usize = 16;
const _: () = assert!(size_of::<Memo>() == MEMO_WORDS * size_of::<u64>());

impl Memo {
    /// Nothing was permitted.
    pub const NONE: Self = Self {
        generation: 0,
        service: 0,
        measured: 0,
        id_len: 0,
        id: [0; ID_BYTES],
    };

    /// Did policies permit just this?
    pub(super) fn permits(&self, cfg: &Configuration, asked: &Asked<'_>, client: &str) -> bool {
        self.generation == cfg.generation()
            && self.generation != 0
            && self.service == asked.number
            && self.measured == u32::from(asked.around.is_measured())
            && self.id() == Some(client.as_bytes())
    }

    /// Notes that they do, unless the answer may be another at the next step.
    pub(super) fn note(&mut self, cfg: &Configuration, asked: &Asked<'_>, client: &str) {
        *self = Self::NONE;
        let asks = cfg.asks();
        // An address is known once there is a connection, and time passes.
        if asks.addresses || asks.time {
            return;
        }
        if let (Ok(id_len), Some(place)) =
            (u32::try_from(client.len()), self.id.get_mut(..client.len()))
        {
            place.copy_from_slice(client.as_bytes());
            self.id_len = id_len;
            self.service = asked.number;
            self.measured = u32::from(asked.around.is_measured());
            self.generation = cfg.generation();
        }
    }

    fn id(&self) -> Option<&[u8]> {
        self.id.get(..usize::try_from(self.id_len).ok()?)
    }
}

#[cfg(test)]
mod tests;
