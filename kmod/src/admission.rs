//! How many handshakes may go on at once: each holds an arena, and whoever can connect can ask for one.

use tidelock_kabi::Role;

use crate::ffi::FLOW_ARENA;

/// Of the machine's memory, for arenas of handshakes: one part of so many.
const MEMORY_SHARE: u64 = 16;
/// However little memory there is.
const AT_LEAST: u64 = 4;

/// How many handshakes may go on when one of this role begins, on a machine of `memory` bytes whose configuration permits `max`.
///
/// Servers' get three quarters: what programs here begin does not wait for who connects to them.
#[must_use]
pub fn handshakes(memory: u64, max: u32, role: Role) -> u32 {
    let arena = u64::try_from(FLOW_ARENA).unwrap_or(u64::MAX);
    let fit = memory.checked_div(MEMORY_SHARE.saturating_mul(arena));
    let fit = u32::try_from(fit.unwrap_or(0).max(AT_LEAST)).unwrap_or(u32::MAX);
    let all = fit.min(max);
    match role {
        Role::Client => all,
        Role::Server => all.saturating_sub(all / 4),
    }
}

/// How many handshakes may go on when one of this role begins; 0 for a role that there is not. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_handshakes(memory: u64, max: u32, role: u32) -> u32 {
    Role::from_number(role).map_or(0, |role| handshakes(memory, max, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn arenas_take_a_sixteenth_of_memory() {
        let fit = u32::try_from(GIB / 16 / u64::try_from(FLOW_ARENA).unwrap()).unwrap();
        assert_eq!(handshakes(GIB, u32::MAX, Role::Client), fit);
        assert_eq!(handshakes(2 * GIB, u32::MAX, Role::Client), 2 * fit);
    }

    #[test]
    fn a_configuration_may_permit_fewer_and_never_more() {
        assert_eq!(handshakes(64 * GIB, 10, Role::Client), 10);
        assert_eq!(handshakes(64 * GIB, 0, Role::Client), 0);
        assert_eq!(handshakes(u64::MAX, u32::MAX, Role::Client), u32::MAX);
    }

    #[test]
    fn little_memory_is_enough_for_some() {
        assert_eq!(handshakes(0, 100, Role::Client), 4);
    }

    #[test]
    fn who_connects_to_us_leaves_a_quarter_to_what_we_begin() {
        assert_eq!(handshakes(64 * GIB, 100, Role::Server), 75);
        assert_eq!(handshakes(64 * GIB, 1, Role::Server), 1, "one is not none");
        assert_eq!(tl_rs_handshakes(64 * GIB, 100, 7), 0, "no such role");
    }
}
