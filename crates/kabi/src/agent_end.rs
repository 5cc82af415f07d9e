//! The agent's end of the conversation.

use crate::header::Header;
use crate::kernel_end::{generation, order, refused};
use crate::refused::{EncodeError, Fault, Refused, RefusedReason};
use crate::to_agent::{ToAgent, ToAgentKind};
use crate::to_kernel::{ToKernel, ToKernelKind};

/// Where a session stands, seen from the agent.
///
/// It refuses to send what the kernel would refuse, and to hear what the kernel would not say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AgentEnd {
    /// Records that the kernel accepted.
    accepted: u64,
    /// Records heard from the kernel.
    heard: u64,
    /// The newest generation that the kernel has or accepted.
    generation: u64,
    /// The newest generation that the kernel said is in force.
    applied: u64,
}

/// An encoded record that the kernel has not yet accepted. Drop it if the kernel refuses it.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "give it to `AgentEnd::accepted` when the kernel took the record"]
pub struct Pending {
    len: usize,
    seq: u64,
    generation: Option<u64>,
}

impl Pending {
    /// Its length.
    #[expect(clippy::len_without_is_empty, reason = "a record is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Its sequence number, which a [`Refused`] names.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The record in the buffer that it was encoded into.
    #[must_use]
    pub fn bytes<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        buf.get(..self.len).unwrap_or(buf)
    }
}

impl AgentEnd {
    /// A session that was just opened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            accepted: 0,
            heard: 0,
            generation: 0,
            applied: 0,
        }
    }

    /// The generation of the newest configuration that the kernel accepted, now or in an earlier session.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The newest generation that the kernel said is in force.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Has the kernel answered our hello?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.heard > 0
    }

    /// Encodes the next record. Nothing changes until [`AgentEnd::accepted`].
    ///
    /// # Errors
    /// The buffer is too small, or the kernel would refuse the record; anything but a hello has to wait
    /// for the kernel's hello.
    pub fn encode(&self, record: &ToKernel<'_>, buf: &mut [u8]) -> Result<Pending, EncodeError> {
        let seq = self.next(record)?;
        let len = record.encode(seq, buf)?;
        Ok(self.pending(record, seq, len))
    }

    /// As [`AgentEnd::encode`], into memory of its own.
    ///
    /// # Errors
    /// As [`AgentEnd::encode`].
    #[cfg(feature = "alloc")]
    pub fn to_vec(
        &self,
        record: &ToKernel<'_>,
    ) -> Result<(Pending, alloc::vec::Vec<u8>), EncodeError> {
        let seq = self.next(record)?;
        let bytes = record.to_vec(seq)?;
        Ok((self.pending(record, seq, bytes.len()), bytes))
    }

    fn next(&self, record: &ToKernel<'_>) -> Result<u64, Fault> {
        let hello = record.kind() == ToKernelKind::Hello;
        if !hello && !self.is_open() {
            return Err(Fault {
                why: RefusedReason::HelloFirst,
                at: 0,
            });
        }
        let full = Fault {
            why: RefusedReason::Sequence,
            at: 0,
        };
        let seq = self.accepted.checked_add(1).ok_or(full)?;
        order(self.accepted, seq, hello)?;
        generation(record, self.generation)?;
        Ok(seq)
    }

    fn pending(&self, record: &ToKernel<'_>, seq: u64, len: usize) -> Pending {
        let generation = match record {
            ToKernel::Config(config) => Some(config.generation),
            _ => None,
        };
        Pending {
            len,
            seq,
            generation,
        }
    }

    /// Notes that the kernel accepted a record: `write()` returned its length. `false`, and no change, if
    /// it is not the next one.
    pub const fn accepted(&mut self, pending: Pending) -> bool {
        let Some(next) = self.accepted.checked_add(1) else {
            return false;
        };
        if pending.seq != next {
            return false;
        }
        self.accepted = next;
        if let Some(generation) = pending.generation {
            self.generation = generation;
        }
        true
    }

    /// Takes one record from the kernel.
    ///
    /// # Errors
    /// The first rule broken; nothing changes. The session is of no more use: close it and open another.
    pub fn handle<'a>(&mut self, record: &'a [u8]) -> Result<ToAgent<'a>, Refused> {
        self.check(record).map_err(|fault| refused(record, fault))
    }

    fn check<'a>(&mut self, record: &'a [u8]) -> Result<ToAgent<'a>, Fault> {
        /// Where the generation is in a hello and in [`ToAgent::Applied`].
        const GENERATION_AT: u32 = 24;
        let (header, body) = Header::parse(record)?;
        let kind = ToAgent::kind_of(header)?;
        order(self.heard, header.seq, kind == ToAgentKind::Hello)?;
        let record = ToAgent::read(kind, body)?;
        match record {
            ToAgent::Hello { generation, .. } => {
                (self.generation, self.applied) = (generation, generation);
            }
            ToAgent::Applied { generation, .. } => {
                if generation <= self.applied {
                    let why = RefusedReason::OldGeneration;
                    return Err(Fault {
                        why,
                        at: GENERATION_AT,
                    });
                }
                self.applied = generation;
            }
            _ => {}
        }
        self.heard = header.seq;
        Ok(record)
    }
}
