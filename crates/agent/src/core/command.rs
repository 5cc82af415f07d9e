//! Records to the kernel, owned, so that they can wait and be shown when refused.

use std::fmt;
use std::sync::Arc;

use tidelock_kabi::{DenyReason, List, Svid, ToKernel};

use super::desired::Desired;
use crate::measure::Digest;

/// A record for the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Replaces the configuration.
    Config(Arc<Desired>),
    /// Announces an identity, or asks for a fresh key for it.
    Identity {
        /// Its number.
        identity: u32,
        /// Its SPIFFE ID.
        spiffe_id: String,
    },
    /// Gives a key its certificate chain, leaf first.
    Svid {
        /// The identity.
        identity: u32,
        /// The key.
        key: u64,
        /// Certificates in DER.
        chain: Vec<Vec<u8>>,
    },
    /// Grants a process an identity.
    Grant {
        /// The process.
        subject: u64,
        /// The generation that it was appraised at.
        generation: u64,
        /// The identity.
        identity: u32,
        /// The hash of the file that it executes, if it was measured.
        exe_sha256: Option<Digest>,
    },
    /// Refuses a process an identity, or takes it away.
    Refuse {
        /// The process.
        subject: u64,
        /// The generation that it was appraised at.
        generation: u64,
        /// Why.
        reason: DenyReason,
    },
    /// Wipes an identity with its keys and grants.
    Forget {
        /// Its number.
        identity: u32,
    },
}

impl Command {
    /// Calls `use_record` with the record as the contract has it.
    pub fn with_record<T>(&self, use_record: impl FnOnce(&ToKernel<'_>) -> T) -> T {
        match self {
            Self::Config(desired) => {
                desired.with_config(|config| use_record(&ToKernel::Config(config)))
            }
            Self::Identity {
                identity,
                spiffe_id,
            } => use_record(&ToKernel::Identity {
                identity: *identity,
                spiffe_id,
            }),
            Self::Svid {
                identity,
                key,
                chain,
            } => {
                let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
                use_record(&ToKernel::Svid(Svid {
                    identity: *identity,
                    key: *key,
                    chain: List::of(&chain),
                }))
            }
            Self::Grant {
                subject,
                generation,
                identity,
                exe_sha256,
            } => use_record(&ToKernel::Grant {
                subject: *subject,
                generation: *generation,
                identity: *identity,
                exe_sha256: exe_sha256.as_ref(),
            }),
            Self::Refuse {
                subject,
                generation,
                reason,
            } => use_record(&ToKernel::Refuse {
                subject: *subject,
                generation: *generation,
                reason: *reason,
            }),
            Self::Forget { identity } => use_record(&ToKernel::Forget {
                identity: *identity,
            }),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(desired) => {
                write!(f, "configuration of generation {}", desired.generation)
            }
            Self::Identity {
                identity,
                spiffe_id,
            } => write!(f, "identity {identity} ({spiffe_id})"),
            Self::Svid { identity, key, .. } => {
                write!(f, "SVID for key {key} of identity {identity}")
            }
            Self::Grant {
                subject,
                generation,
                identity,
                ..
            } => write!(
                f,
                "grant of identity {identity} to subject {subject} at generation {generation}"
            ),
            Self::Refuse {
                subject,
                generation,
                ..
            } => {
                write!(f, "refusal of subject {subject} at generation {generation}")
            }
            Self::Forget { identity } => write!(f, "forgetting identity {identity}"),
        }
    }
}
