//! The error numbers of this boundary: which one a program sees for a reason, and the agent for a
//! refused record.

use tidelock_kabi::{DenyReason, RefusedReason};

/// Operation not permitted.
pub const EPERM: i32 = 1;
/// No such thing.
pub const ENOENT: i32 = 2;
/// Input/output error.
pub const EIO: i32 = 5;
/// Nothing there yet: try again.
pub const EAGAIN: i32 = 11;
/// Out of memory.
pub const ENOMEM: i32 = 12;
/// Permission denied.
pub const EACCES: i32 = 13;
/// There is one already.
pub const EEXIST: i32 = 17;
/// Invalid argument.
pub const EINVAL: i32 = 22;
/// No space left.
pub const ENOSPC: i32 = 28;
/// Protocol error.
pub const EPROTO: i32 = 71;
/// Not a message.
pub const EBADMSG: i32 = 74;
/// Message too long.
pub const EMSGSIZE: i32 = 90;
/// Protocol not supported.
pub const EPROTONOSUPPORT: i32 = 93;
/// Operation not supported.
pub const EOPNOTSUPP: i32 = 95;
/// Connection reset by peer.
pub const ECONNRESET: i32 = 104;
/// No buffer space available.
pub const ENOBUFS: i32 = 105;
/// Connection timed out.
pub const ETIMEDOUT: i32 = 110;
/// Connection refused.
pub const ECONNREFUSED: i32 = 111;
/// Stale: of an earlier generation.
pub const ESTALE: i32 = 116;

/// What the program sees, as a positive errno (`ARCHITECTURE.md`, *Errors a program sees*).
///
/// Refused, by us or for want of a proof: `EACCES`. Refused by the peer: `ECONNREFUSED`. Too late:
/// `ETIMEDOUT`. Cut while it lived: `ECONNRESET`. Out of room: `ENOBUFS`, which POSIX lists for
/// `connect`. A feature that governed sockets lack: `EOPNOTSUPP`.
#[must_use]
pub const fn of_reason(reason: DenyReason) -> i32 {
    use DenyReason as R;
    match reason {
        R::PeerRefused => ECONNREFUSED,
        R::HandshakeDeadline => ETIMEDOUT,
        R::ResourceLimit => ENOBUFS,
        R::UnsupportedSocket | R::SocketOption => EOPNOTSUPP,
        R::Drained
        | R::GrantWithdrawn
        | R::PolicyChanged
        | R::Exited
        | R::PeerClosed
        | R::LocalClosed
        | R::Truncated
        | R::KeyUsedUp
        | R::KeyUpdated
        | R::FlowTooOld => ECONNRESET,
        // All else, and what a later contract may add, is a refusal.
        _ => EACCES,
    }
}

/// What `write` on the device answers for a refused record, as a positive errno.
///
/// Another version or wrong order: `EPROTO`. Of an earlier generation: `ESTALE`. Names something
/// that is not there: `ENOENT`. Malformed: `EBADMSG`.
#[must_use]
pub const fn of_refusal(why: RefusedReason) -> i32 {
    use RefusedReason as R;
    match why {
        R::AbiVersion | R::HelloFirst | R::HelloAgain | R::Sequence => EPROTO,
        R::OldGeneration | R::WrongGeneration => ESTALE,
        R::Unknown => ENOENT,
        R::TooLong => EMSGSIZE,
        R::NoMemory => ENOMEM,
        R::Internal => EIO,
        _ => EBADMSG,
    }
}

/// The errno (positive) that a program sees for a reason; `EACCES` for a number without meaning.
/// Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_errno(reason: u32) -> i32 {
    DenyReason::from_number(reason).map_or(EACCES, of_reason)
}

/// Why a record was refused that could not be carried out, from the negative errno that said so.
#[must_use]
pub const fn refusal_of(err: i32) -> RefusedReason {
    use RefusedReason as R;
    match err.saturating_neg() {
        EPROTO => R::Sequence,
        ESTALE => R::WrongGeneration,
        ENOENT => R::Unknown,
        ENOMEM => R::NoMemory,
        EMSGSIZE => R::TooLong,
        EEXIST | EINVAL => R::OutOfRange,
        EBADMSG => R::Truncated,
        _ => R::Internal,
    }
}

/// The `RefusedReason` for a negative errno that carrying a record out gave. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_refused_of(err: i32) -> u32 {
    refusal_of(err).number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_a_program_sees() {
        use DenyReason as R;
        for (reason, errno) in [
            (R::NoPermit, EACCES),
            (R::Forbidden, EACCES),
            (R::NoGrant, EACCES),
            (R::NotGranted, EACCES),
            (R::PeerUnauthenticated, EACCES),
            (R::NotAServer, EACCES),
            (R::Protocol, EACCES),
            (R::Internal, EACCES),
            (R::PeerRefused, ECONNREFUSED),
            (R::HandshakeDeadline, ETIMEDOUT),
            (R::PolicyChanged, ECONNRESET),
            (R::UnsupportedSocket, EOPNOTSUPP),
        ] {
            assert_eq!(tl_rs_errno(reason.number()), errno, "{reason:?}");
        }
    }

    #[test]
    fn no_reason_is_success() {
        assert!(DenyReason::ALL.iter().all(|&reason| of_reason(reason) > 0));
        assert!(RefusedReason::ALL.iter().all(|&why| of_refusal(why) > 0));
        assert_eq!(tl_rs_errno(0), EACCES);
        assert_eq!(tl_rs_errno(u32::MAX), EACCES);
    }

    #[test]
    fn an_errno_tells_the_agent_why() {
        assert_eq!(tl_rs_refused_of(-ENOMEM), RefusedReason::NoMemory.number());
        assert_eq!(tl_rs_refused_of(-ENOENT), RefusedReason::Unknown.number());
        assert_eq!(
            tl_rs_refused_of(-ESTALE),
            RefusedReason::WrongGeneration.number()
        );
        for err in [0, 5, -5, -1000, i32::MIN, i32::MAX] {
            assert_eq!(
                tl_rs_refused_of(err),
                RefusedReason::Internal.number(),
                "{err}"
            );
        }
    }

    #[test]
    fn another_abi_is_a_protocol_error() {
        assert_eq!(of_refusal(RefusedReason::AbiVersion), EPROTO);
    }
}
