//! What the agent decides, without I/O: records, updates, answers and time in; records, requests, reports and
//! deadlines out.

mod agent;
mod appraise;
mod clock;
mod command;
mod config;
mod desired;
mod entry;
mod expression;
mod filled;
mod flows;
mod holders;
mod identities;
mod io;
mod out;
mod prefilter;
mod process;
mod subjects;
#[cfg(test)]
mod tests;

pub use agent::Agent;
pub use clock::{Backoff, Jitter, Mono, Now};
pub use command::Command;
pub use desired::{Desired, DesiredError, ServiceProblem};
pub use entry::{Entry, EntryProblem};
pub use expression::Unreadable;
pub use io::{
    Input, KnownIdentity, Notice, Output, ReopenReason, SignFailure, SignRequest, SignedSvid,
};
pub use process::Process;
