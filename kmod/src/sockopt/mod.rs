//! Which socket options a governed socket has. What is not on a list is refused.
//!
//! Two errors tell the program apart what it met:
//! - `EPERM`: the option would let it read or write past TLS, or take the socket away from us. No
//!   kernel configuration would change that answer.
//! - `EOPNOTSUPP`: everything else that is not listed. Programs treat it as a feature that this
//!   kernel lacks and carry on without, as `setsockopt(2)` and `tcp(7)` let them expect.

mod table;

use table::{Rule, TABLE};

use crate::errno::{EOPNOTSUPP, EPERM};

/// Where a socket is in its life: `enum tl_phase`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Connecting or shaking hands: the program may not touch the byte stream.
    Pending,
    /// Carrying a flow.
    Established,
    /// Listening.
    Listener,
}

impl Phase {
    /// The phase that C names; `None` for a number it does not have.
    #[must_use]
    pub const fn from_number(phase: u32) -> Option<Self> {
        match phase {
            0 => Some(Self::Pending),
            1 => Some(Self::Established),
            2 => Some(Self::Listener),
            _ => None,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Pending => table::P,
            Self::Established => table::E,
            Self::Listener => table::L,
        }
    }
}

/// What the program does with an option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// `getsockopt`.
    Get,
    /// `setsockopt`.
    Set,
}

/// Levels and options that lead round TLS, whoever asks: see `KERNEL.md`, *What must hold*.
const BYPASSES: [(i32, Option<i32>); 10] = [
    (table::SOL_TLS, None),
    (table::SOL_TCP, Some(table::TCP_ULP)),
    (table::SOL_TCP, Some(table::TCP_REPAIR)),
    (table::SOL_TCP, Some(table::TCP_REPAIR_QUEUE)),
    (table::SOL_TCP, Some(table::TCP_QUEUE_SEQ)),
    (table::SOL_TCP, Some(table::TCP_REPAIR_OPTIONS)),
    (table::SOL_TCP, Some(table::TCP_REPAIR_WINDOW)),
    (table::SOL_TCP, Some(table::TCP_AO_REPAIR)),
    (table::SOL_TCP, Some(table::TCP_ZEROCOPY_RECEIVE)),
    (table::SOL_IPV6, Some(table::IPV6_ADDRFORM)),
];

/// 0, or the positive errno with which an option is refused.
#[must_use]
pub fn verdict(phase: Phase, access: Access, level: i32, name: i32) -> i32 {
    let bypass = |&(l, n): &(i32, Option<i32>)| l == level && n.is_none_or(|n| n == name);
    if BYPASSES.iter().any(bypass) {
        return EPERM;
    }
    let rule = TABLE
        .iter()
        .find(|rule| rule.level == level && rule.name == name);
    let open = rule.map_or(0, |rule: &Rule| match access {
        Access::Get => rule.get,
        Access::Set => rule.set,
    });
    if open & phase.bit() == 0 {
        EOPNOTSUPP
    } else {
        0
    }
}

/// 0, or the positive errno that `setsockopt` (`set` is not 0) or `getsockopt` answers.
/// Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_sockopt(phase: u32, set: u32, level: i32, name: i32) -> i32 {
    let access = if set == 0 { Access::Get } else { Access::Set };
    match Phase::from_number(phase) {
        Some(phase) => verdict(phase, access, level, name),
        None => EOPNOTSUPP,
    }
}

#[cfg(test)]
mod tests;
