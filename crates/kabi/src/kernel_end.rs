//! The kernel's end of the conversation.

use crate::header::Header;
use crate::refused::{EncodeError, Fault, Refused, RefusedReason};
use crate::to_agent::ToAgent;
use crate::to_kernel::{ToKernel, ToKernelKind};

/// Bytes that a [`KernelEnd`] is kept in between calls (`TL_SESSION_BYTES` in `kmod/shim.h`).
pub const KERNEL_END_BYTES: usize = 64;

/// Where a session stands, seen from the kernel.
///
/// A record is first [parsed](KernelEnd::parse), which changes nothing; when it has taken effect it is
/// [accepted](KernelEnd::accept). A refused record changes nothing and its number is used again.
///
/// The generation outlives the session: open the next one with [`KernelEnd::reopen`] or
/// `KernelEnd::new(generation)`, or an agent could roll the configuration back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KernelEnd {
    /// Records accepted from the agent, the hello first.
    accepted: u64,
    /// Records numbered for the agent.
    sent: u64,
    /// The generation in force; 0 before the first configuration.
    generation: u64,
}

const _: () = assert!(size_of::<KernelEnd>() <= KERNEL_END_BYTES);

/// A record that is well-formed and in order, and has not taken effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Command<'a> {
    /// Its sequence number.
    pub seq: u64,
    /// The record.
    pub record: ToKernel<'a>,
}

/// What [`KernelEnd::accept`] needs of a record that took effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Its sequence number.
    pub seq: u64,
    /// The new generation in force, if it was a configuration.
    pub generation: Option<u64>,
}

impl Command<'_> {
    /// What [`KernelEnd::accept`] needs once it took effect.
    #[must_use]
    pub const fn taken(&self) -> Taken {
        let generation = match self.record {
            ToKernel::Config(config) => Some(config.generation),
            _ => None,
        };
        Taken {
            seq: self.seq,
            generation,
        }
    }
}

impl KernelEnd {
    /// A session that was just opened, on a kernel at `generation` (0: no configuration yet).
    #[must_use]
    pub const fn new(generation: u64) -> Self {
        Self {
            accepted: 0,
            sent: 0,
            generation,
        }
    }

    /// The next session on the same kernel.
    #[must_use]
    pub const fn reopen(&self) -> Self {
        Self::new(self.generation)
    }

    /// The generation in force; 0 before the first configuration.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Has the agent said hello?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.accepted > 0
    }

    /// Parses one record and checks that it may come now. Changes nothing.
    ///
    /// # Errors
    /// The first rule broken, in this order: header, kind, hello, sequence, body, generation.
    pub fn parse<'a>(&self, record: &'a [u8]) -> Result<Command<'a>, Refused> {
        self.check(record).map_err(|fault| refused(record, fault))
    }

    fn check<'a>(&self, record: &'a [u8]) -> Result<Command<'a>, Fault> {
        let (header, body) = Header::parse(record)?;
        let kind = ToKernel::kind_of(header)?;
        order(self.accepted, header.seq, kind == ToKernelKind::Hello)?;
        let record = ToKernel::read(kind, body)?;
        generation(&record, self.generation)?;
        Ok(Command {
            seq: header.seq,
            record,
        })
    }

    /// Notes that a parsed record took effect. `false`, and no change, if it is not the next one.
    pub fn accept(&mut self, taken: Taken) -> bool {
        let generation = taken.generation.unwrap_or(self.generation);
        let next = self.accepted.checked_add(1) == Some(taken.seq);
        let newer = taken.generation.is_none_or(|new| new > self.generation);
        if next && newer {
            (self.accepted, self.generation) = (taken.seq, generation);
        }
        next && newer
    }

    /// Parses and accepts in one step, where taking effect cannot fail.
    ///
    /// # Errors
    /// As [`KernelEnd::parse`].
    pub fn handle<'a>(&mut self, record: &'a [u8]) -> Result<ToKernel<'a>, Refused> {
        let command = self.parse(record)?;
        self.accept(command.taken());
        Ok(command.record)
    }

    /// Encodes the next record to the agent; its length. A kernel that queues records numbers them when
    /// they are read instead: [`KernelEnd::stamp`].
    ///
    /// # Errors
    /// As [`ToAgent::encode`]; no number is used up.
    pub fn encode(&mut self, record: &ToAgent<'_>, buf: &mut [u8]) -> Result<usize, EncodeError> {
        let full = EncodeError::Fault(Fault {
            why: RefusedReason::Sequence,
            at: 0,
        });
        let seq = self.sent.checked_add(1).ok_or(full)?;
        let len = record.encode(seq, buf)?;
        self.sent = seq;
        Ok(len)
    }

    /// Numbers an encoded record as the next one to the agent; `false`, and no change, if it is none.
    pub fn stamp(&mut self, record: &mut [u8]) -> bool {
        let Some(seq) = self.sent.checked_add(1) else {
            return false;
        };
        let done = crate::stamp(record, seq);
        if done {
            self.sent = seq;
        }
        done
    }

    /// The state as plain bytes. All zero is a new session on a kernel without a configuration.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KERNEL_END_BYTES] {
        let mut bytes = [0; KERNEL_END_BYTES];
        let state = [self.accepted, self.sent, self.generation];
        for (place, n) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
            *place = n.to_le_bytes();
        }
        bytes
    }

    /// The state from the bytes that [`KernelEnd::to_bytes`] gave.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; KERNEL_END_BYTES]) -> Self {
        let [accepted, sent, generation, ..] = bytes.as_chunks().0 else {
            return Self::new(0);
        };
        Self {
            accepted: u64::from_le_bytes(*accepted),
            sent: u64::from_le_bytes(*sent),
            generation: u64::from_le_bytes(*generation),
        }
    }
}

pub(crate) fn refused(record: &[u8], Fault { why, at }: Fault) -> Refused {
    Refused {
        seq: Header::seq_of(record),
        why,
        at,
    }
}

/// A hello first, once; then one after the other.
pub(crate) fn order(before: u64, seq: u64, hello: bool) -> Result<(), Fault> {
    /// Where kind and sequence number are in a header.
    const KIND_AT: u32 = 6;
    const SEQ_AT: u32 = 16;
    match (before, hello) {
        (0, false) => Err(Fault {
            why: RefusedReason::HelloFirst,
            at: KIND_AT,
        }),
        (1.., true) if seq > before => Err(Fault {
            why: RefusedReason::HelloAgain,
            at: KIND_AT,
        }),
        _ if before.checked_add(1) != Some(seq) => Err(Fault {
            why: RefusedReason::Sequence,
            at: SEQ_AT,
        }),
        _ => Ok(()),
    }
}

/// Configurations only grow newer; answers are for the one in force.
pub(crate) fn generation(record: &ToKernel<'_>, in_force: u64) -> Result<(), Fault> {
    /// Where the generation is: first in a configuration, second in an answer.
    const CONFIG_AT: u32 = 24;
    const ANSWER_AT: u32 = 32;
    match *record {
        ToKernel::Config(config) if config.generation <= in_force => Err(Fault {
            why: RefusedReason::OldGeneration,
            at: CONFIG_AT,
        }),
        ToKernel::Grant { generation, .. } | ToKernel::Refuse { generation, .. }
            if generation != in_force =>
        {
            Err(Fault {
                why: RefusedReason::WrongGeneration,
                at: ANSWER_AT,
            })
        }
        _ => Ok(()),
    }
}
