//! Records from the kernel to the agent.

use crate::bounds::{MAX_CSR_BYTES, MAX_SERIAL_BYTES, MAX_VERSION_BYTES};
use crate::evidence::Evidence;
use crate::flow::{Denial, FlowClosed, FlowInfo};
use crate::header::{self, BODY_AT, Header};
use crate::read::{Reader, required};
use crate::refused::{EncodeError, Fault, Refused, RefusedReason};
use crate::write::Writer;

/// A record from the kernel to the agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToAgent<'a> {
    /// Answers the agent's hello. Evidence of live processes and live flows follow.
    Hello {
        /// The module's version, for people.
        module_version: &'a str,
        /// The generation in force; 0 before the first configuration.
        generation: u64,
        /// Inode number of the initial network namespace.
        net_ns: u32,
    },
    /// A governed process runs a program.
    Exec(Evidence<'a>),
    /// A governed process ended.
    Exit {
        /// The process.
        subject: u64,
        /// Its thread group id in the initial pid namespace.
        pid: u32,
    },
    /// A fresh key asks for a certificate.
    Csr {
        /// The identity that it is for.
        identity: u32,
        /// The key, by a number that is never used again while the module is loaded.
        key: u64,
        /// PKCS#10 in DER, signed by the key.
        der: &'a [u8],
    },
    /// A key and its chain are in use.
    Installed {
        /// The identity.
        identity: u32,
        /// The key.
        key: u64,
        /// Serial number of the leaf.
        serial: &'a [u8],
    },
    /// A configuration is in force.
    Applied {
        /// Its generation.
        generation: u64,
        /// How many flows it cut.
        flows_cut: u64,
    },
    /// A flow is established.
    FlowOpened(FlowInfo<'a>),
    /// A flow ended.
    FlowClosed(FlowClosed),
    /// A flow was refused.
    Denied(Denial<'a>),
    /// A record of the agent was refused and changed nothing.
    Refused(Refused),
    /// The queue was full; records are missing here.
    Lost {
        /// How many.
        count: u64,
    },
}

numbered! {
    /// The kinds of [`ToAgent`]: 0x100 and the number in `enum tl_rec_kind`, so that no record can be
    /// taken for one of the other direction.
    pub enum ToAgentKind: u16 {
        /// [`ToAgent::Hello`].
        Hello = 0x101 => "hello",
        /// [`ToAgent::Exec`].
        Exec = 0x102 => "exec",
        /// [`ToAgent::Exit`].
        Exit = 0x103 => "exit",
        /// [`ToAgent::Csr`].
        Csr = 0x104 => "csr",
        /// [`ToAgent::Installed`].
        Installed = 0x105 => "installed",
        /// [`ToAgent::Applied`].
        Applied = 0x106 => "applied",
        /// [`ToAgent::FlowOpened`].
        FlowOpened = 0x107 => "flow opened",
        /// [`ToAgent::FlowClosed`].
        FlowClosed = 0x108 => "flow closed",
        /// [`ToAgent::Denied`].
        Denied = 0x109 => "denied",
        /// [`ToAgent::Refused`].
        Refused = 0x10a => "refused",
        /// [`ToAgent::Lost`].
        Lost = 0x10b => "lost",
    }
}

impl<'a> ToAgent<'a> {
    /// What kind of record it is.
    #[must_use]
    pub const fn kind(&self) -> ToAgentKind {
        match self {
            Self::Hello { .. } => ToAgentKind::Hello,
            Self::Exec(_) => ToAgentKind::Exec,
            Self::Exit { .. } => ToAgentKind::Exit,
            Self::Csr { .. } => ToAgentKind::Csr,
            Self::Installed { .. } => ToAgentKind::Installed,
            Self::Applied { .. } => ToAgentKind::Applied,
            Self::FlowOpened(_) => ToAgentKind::FlowOpened,
            Self::FlowClosed(_) => ToAgentKind::FlowClosed,
            Self::Denied(_) => ToAgentKind::Denied,
            Self::Refused(_) => ToAgentKind::Refused,
            Self::Lost { .. } => ToAgentKind::Lost,
        }
    }

    /// Decodes one record and its sequence number. Knows nothing of order: that is
    /// [`AgentEnd`](crate::AgentEnd)'s.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn decode(record: &'a [u8]) -> Result<(u64, Self), Fault> {
        let (header, body) = Header::parse(record)?;
        let kind = Self::kind_of(header)?;
        Ok((header.seq, Self::read(kind, body)?))
    }

    /// Encodes a record; its length. The kernel numbers it when it is read: see [`stamp`](crate::stamp).
    ///
    /// # Errors
    /// The buffer is too small, or the agent would refuse the record.
    pub fn encode(&self, seq: u64, buf: &mut [u8]) -> Result<usize, EncodeError> {
        let header = Header {
            kind: self.kind().number(),
            seq,
        };
        header::encode(header, buf, |w| self.write(w))
    }

    /// As [`ToAgent::encode`], into memory of its own.
    ///
    /// # Errors
    /// The agent would refuse the record.
    #[cfg(feature = "alloc")]
    pub fn to_vec(&self, seq: u64) -> Result<alloc::vec::Vec<u8>, EncodeError> {
        let mut buf = alloc::vec![0; header::measure(|w| self.write(w))?];
        let len = self.encode(seq, &mut buf)?;
        buf.truncate(len);
        Ok(buf)
    }

    pub(crate) fn kind_of(header: Header) -> Result<ToAgentKind, Fault> {
        /// Where the kind is in a header.
        const KIND_AT: u32 = 6;
        let fault = Fault {
            why: RefusedReason::Kind,
            at: KIND_AT,
        };
        ToAgentKind::from_number(header.kind).ok_or(fault)
    }

    pub(crate) fn read(kind: ToAgentKind, body: &'a [u8]) -> Result<Self, Fault> {
        let mut r = Reader::new(body, BODY_AT);
        let record = match kind {
            ToAgentKind::Hello => {
                let (generation, net_ns, at) = (r.u64()?, r.u32()?, r.at());
                let module_version = r.text(MAX_VERSION_BYTES)?;
                required(module_version.is_empty(), at)?;
                Self::Hello {
                    module_version,
                    generation,
                    net_ns,
                }
            }
            ToAgentKind::Exec => Self::Exec(Evidence::read(&mut r)?),
            ToAgentKind::Exit => Self::Exit {
                subject: r.id64()?,
                pid: r.u32()?,
            },
            ToAgentKind::Csr => {
                let (identity, key, at) = (r.id32()?, r.id64()?, r.at());
                let der = r.bytes(MAX_CSR_BYTES)?;
                required(der.is_empty(), at)?;
                Self::Csr { identity, key, der }
            }
            ToAgentKind::Installed => {
                let (identity, key, at) = (r.id32()?, r.id64()?, r.at());
                let serial = r.bytes(MAX_SERIAL_BYTES)?;
                required(serial.is_empty(), at)?;
                Self::Installed {
                    identity,
                    key,
                    serial,
                }
            }
            ToAgentKind::Applied => Self::Applied {
                generation: r.id64()?,
                flows_cut: r.u64()?,
            },
            ToAgentKind::FlowOpened => Self::FlowOpened(FlowInfo::read(&mut r)?),
            ToAgentKind::FlowClosed => Self::FlowClosed(FlowClosed::read(&mut r)?),
            ToAgentKind::Denied => Self::Denied(Denial::read(&mut r)?),
            ToAgentKind::Refused => Self::Refused(Refused {
                seq: r.u64()?,
                why: r.number(RefusedReason::from_number)?,
                at: r.u32()?,
            }),
            ToAgentKind::Lost => Self::Lost { count: r.id64()? },
        };
        r.end()?;
        Ok(record)
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match *self {
            Self::Hello {
                module_version,
                generation,
                net_ns,
            } => {
                w.u64(generation)?;
                w.u32(net_ns)?;
                w.required(module_version.as_bytes(), MAX_VERSION_BYTES)
            }
            Self::Exec(evidence) => evidence.write(w),
            Self::Exit { subject, pid } => {
                w.id64(subject)?;
                w.u32(pid)
            }
            Self::Csr { identity, key, der } => {
                w.id32(identity)?;
                w.id64(key)?;
                w.required(der, MAX_CSR_BYTES)
            }
            Self::Installed {
                identity,
                key,
                serial,
            } => {
                w.id32(identity)?;
                w.id64(key)?;
                w.required(serial, MAX_SERIAL_BYTES)
            }
            Self::Applied {
                generation,
                flows_cut,
            } => {
                w.id64(generation)?;
                w.u64(flows_cut)
            }
            Self::FlowOpened(flow) => flow.write(w),
            Self::FlowClosed(flow) => flow.write(w),
            Self::Denied(denial) => denial.write(w),
            Self::Refused(refused) => {
                w.u64(refused.seq)?;
                w.u32(refused.why.number())?;
                w.u32(refused.at)
            }
            Self::Lost { count } => w.id64(count),
        }
    }
}
