//! What goes into the core and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidelock_kabi::{RefusedReason, ToAgent};
use tidelock_proto::v1::report_request::Report;

use super::command::Command;
use super::desired::Desired;
use crate::measure::{Digest, FileId, HashError, Look, LookError, Surroundings};

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The device was opened (again) and greeted. What the kernel holds is told anew.
    Opened,
    /// The kernel said something.
    Kernel(ToAgent<'a>),
    /// A command could not be sent, or the kernel refused it. It changed nothing.
    Refused {
        /// The command; `None` if it is not known which.
        command: Option<Command>,
        /// Why.
        why: RefusedReason,
    },
    /// The control plane said what it wants of this node.
    Desired(Arc<Desired>),
    /// The control plane can be reached again.
    ControlUp,
    /// An answer to [`Output::Sign`].
    Signed {
        /// The identity.
        identity: u32,
        /// The key that the certificate was asked for.
        key: u64,
        /// The certificate, or why there is none.
        answer: Result<SignedSvid, SignFailure>,
    },
    /// An answer to [`Output::Measure`].
    Measured {
        /// The process.
        subject: u64,
        /// The file that was to be hashed.
        file: FileId,
        /// Its digest, or why there is none.
        answer: Result<Digest, HashError>,
    },
    /// An answer to [`Output::Look`].
    Looked {
        /// The process.
        subject: u64,
        /// What it belongs to, or why that is not known.
        answer: Result<Surroundings, LookError>,
    },
}

/// Something to do. Every [`Output::Sign`], [`Output::Measure`] and [`Output::Look`] has to be answered.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Write a record.
    Write(Command),
    /// Hash the file that a process executes.
    Measure {
        /// The process.
        subject: u64,
        /// Its pid: where to look.
        pid: u32,
        /// The file that it has to be.
        file: FileId,
    },
    /// See what a process belongs to.
    Look {
        /// The process.
        subject: u64,
        /// Where to look, and what it has to be.
        look: Look,
    },
    /// Have a certificate request signed.
    Sign(SignRequest),
    /// Tell the control plane.
    Report {
        /// When it happened: nanoseconds since 1970.
        time_unix_ns: u64,
        /// What.
        report: Box<Report>,
    },
    /// Keep this list, whole, before doing what comes after: the identities that the kernel may hold.
    Remember(Vec<KnownIdentity>),
    /// Close the device and open it again: kernel and agent have to agree anew.
    Reopen(ReopenReason),
    /// Tell the operator.
    Notice(Notice),
}

/// A certificate to be had from the control plane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignRequest {
    /// The identity.
    pub identity: u32,
    /// The key that signed the request.
    pub key: u64,
    /// The entry.
    pub entry: String,
    /// The SPIFFE ID that the entry is believed to have.
    pub spiffe_id: String,
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
}

/// A certificate chain whose leaf was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedSvid {
    /// Certificates in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's SPIFFE ID.
    pub spiffe_id: String,
    /// The Name of the authority that signed the leaf, in DER.
    pub issuer: Vec<u8>,
    /// First second of validity, since 1970.
    pub not_before: i64,
    /// Last second of validity, since 1970.
    pub not_after: i64,
}

/// Why there is no certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignFailure {
    /// The control plane is away. It is worth waiting for [`Input::ControlUp`].
    #[error("the control plane is not reachable")]
    Unreachable,
    /// It refused, or its answer was of no use.
    #[error("{why}")]
    Refused {
        /// In its words, or ours.
        why: String,
    },
}

/// An identity that the kernel may hold, kept over restarts so that it can be wiped once it is no longer wanted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KnownIdentity {
    /// Its number.
    pub number: u32,
    /// The entry that it is for.
    pub entry: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
}

/// Why kernel and agent have to agree anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReopenReason {
    /// The kernel had to drop records.
    #[error("the kernel had to drop {count} records")]
    Lost {
        /// How many.
        count: u64,
    },
    /// The kernel is at another generation than we think.
    #[error("the kernel enforces another generation than expected")]
    WrongGeneration,
    /// The kernel took a configuration and did not say that it is in force.
    #[error("the kernel did not say that generation {generation} is in force")]
    NotApplied {
        /// Its generation.
        generation: u64,
    },
}

/// What an operator wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A configuration is in force.
    InForce {
        /// Its generation.
        generation: u64,
        /// Identities for this node.
        identities: usize,
        /// Address ranges of Services.
        services: usize,
        /// Flows cut by it; `None` if it was in force already.
        flows_cut: Option<u64>,
    },
    /// A configuration was refused; the one before stays in force.
    ConfigRefused {
        /// Its generation.
        generation: u64,
        /// Why.
        why: RefusedReason,
    },
    /// The control plane offers what is older than what the kernel holds; nothing is rolled back.
    WouldRollBack {
        /// The generation offered.
        offered: u64,
        /// The generation in force.
        in_force: u64,
    },
    /// An entry cannot be served by this agent.
    EntrySkipped {
        /// Its name.
        entry: String,
        /// Why.
        why: String,
    },
}

/// Words for a refusal, for reports.
pub(super) fn refusal_text(command: Option<&Command>, why: RefusedReason) -> String {
    match command {
        Some(command) => format!("{command}: {why}"),
        None => why.to_string(),
    }
}
