//! What keeps an authority from being moved on.

use super::{MAX_REMEMBERED, State};

/// Why a [`super::Command`] was refused. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// An authority of this name is there already.
    #[error("an authority of this name is known already")]
    Known,
    /// There is no authority of this name.
    #[error("no authority of this name is known")]
    Unknown,
    /// There are [`MAX_REMEMBERED`] authorities.
    #[error("more than {MAX_REMEMBERED} authorities")]
    TooMany,
    /// The authority is elsewhere in its life. An active one is tainted only after another was activated.
    #[error("the authority is {state:?}, from where there is no such step")]
    State {
        /// Where it is.
        state: State,
    },
    /// Not everyone knows the authority yet.
    #[error("the authority is not known to everyone before {at}")]
    TooSoon {
        /// When they do.
        at: i64,
    },
    /// The authority ends before it could be of use.
    #[error("the authority ends at {not_after}, no later than {least}")]
    TooShort {
        /// Its last second.
        not_after: i64,
        /// What it must outlive.
        least: i64,
    },
    /// Two authorities that both sign.
    #[error("two authorities are active")]
    TwoActive,
}

/// Why times do not fit together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimingError {
    /// The next authority would be prepared too late to take over in time.
    #[error("preparing {prepare_before_secs} s ahead is too late: it takes {least} s")]
    TooLate {
        /// How long ahead it would be, in seconds.
        prepare_before_secs: u32,
        /// How long it takes, in seconds.
        least: u64,
    },
}
