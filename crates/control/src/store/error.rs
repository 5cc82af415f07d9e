//! What can go wrong with the store.

use std::path::PathBuf;

use crate::clock::ClockError;

/// Why the store cannot be used, or a call to it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened or created.
    #[error("cannot open the database `{}`: {source}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is SQLite's, but not ours.
    #[error("`{}` is a database of another program (application id {found:#010x})", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its application id.
        found: u32,
    },
    /// A newer Tidelock has written it.
    #[error("`{}` has schema version {found}, this control plane knows up to {known}: was it written by a newer one?", path.display())]
    TooNew {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// SQLite finds it damaged.
    #[error("the database `{}` is damaged: {detail}; put a back-up in its place", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// Something is gone from it that every database of its schema version has.
    #[error("the database `{}` lacks its {missing}: something else has changed it; put a back-up in its place", path.display())]
    Incomplete {
        /// Which file.
        path: PathBuf,
        /// What is gone: kinds and names.
        missing: String,
    },
    /// A migration failed; the store is as it was.
    #[error("cannot bring the database to schema version {to}: {source}")]
    Migration {
        /// The version it was to become.
        to: u32,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The store is at another generation than the caller thinks.
    #[error("the store is at generation {found}, not {expected}")]
    StaleGeneration {
        /// What the caller thinks.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// A set-up store was to be set up, or one that is not was to be used.
    #[error("the store is {}", if *set_up { "set up already" } else { "not set up" })]
    SetUp {
        /// Whether it is.
        set_up: bool,
    },
    /// A row that has to be there is not.
    #[error("no such row")]
    NoSuchRow,
    /// There is no room for the change; nothing of it was made.
    #[error("there is no room for it where the database is: free some")]
    Full,
    /// The clock that a change was dated by is not believed; nothing of it was made.
    #[error("nothing was written: {0}")]
    Clock(#[from] ClockError),
    /// Anything else that SQLite refused.
    #[error("the database refused: {0}")]
    Sql(#[source] rusqlite::Error),
    /// Anything else that another implementation's database refused.
    #[error("the database refused: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Whether the store is to blame, and not what was asked of it.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Full | Self::Sql(_) | Self::Other(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sql(error),
        }
    }
}
