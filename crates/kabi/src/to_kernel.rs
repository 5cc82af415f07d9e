//! Records from the agent to the kernel.

use crate::bounds::{MAX_SPIFFE_ID_BYTES, MAX_VERSION_BYTES, SHA256_BYTES};
use crate::config::{Config, check_spiffe_id};
use crate::header::{self, BODY_AT, Header};
use crate::read::{Reader, required, some_bytes};
use crate::reason::DenyReason;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::svid::Svid;
use crate::write::Writer;

/// A record from the agent to the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a record is a view that lives for one call, and nothing here allocates"
)]
pub enum ToKernel<'a> {
    /// Opens a session.
    Hello {
        /// The agent's version, for people.
        agent_version: &'a str,
    },
    /// Replaces the configuration.
    Config(Config<'a>),
    /// Announces an identity, or asks for a fresh key for it. The kernel answers with a CSR.
    Identity {
        /// Its number, from 1; the agent chooses.
        identity: u32,
        /// Its SPIFFE ID.
        spiffe_id: &'a str,
    },
    /// Gives a key its certificate chain.
    Svid(Svid<'a>),
    /// Grants a process an identity.
    Grant {
        /// The process, as its evidence named it.
        subject: u64,
        /// The generation that it was appraised at: the one in force.
        generation: u64,
        /// The identity.
        identity: u32,
        /// SHA-256 of the file that it executes; `None` if it was not measured. Of one process it never changes.
        exe_sha256: Option<&'a [u8; SHA256_BYTES]>,
    },
    /// Refuses a process an identity, or takes it away.
    Refuse {
        /// The process, as its evidence named it.
        subject: u64,
        /// The generation that it was appraised at: the one in force.
        generation: u64,
        /// Why.
        reason: DenyReason,
    },
    /// Wipes an identity with its keys and grants.
    Forget {
        /// Its number.
        identity: u32,
    },
    /// Closes every flow and governs nothing any more, so that the module can be unloaded.
    Drain,
}

numbered! {
    /// The kinds of [`ToKernel`], numbered as `enum tl_cmd_kind`.
    pub enum ToKernelKind: u16 {
        /// [`ToKernel::Hello`].
        Hello = 1 => "hello",
        /// [`ToKernel::Config`].
        Config = 2 => "config",
        /// [`ToKernel::Identity`].
        Identity = 3 => "identity",
        /// [`ToKernel::Svid`].
        Svid = 4 => "svid",
        /// [`ToKernel::Grant`].
        Grant = 5 => "grant",
        /// [`ToKernel::Refuse`].
        Refuse = 6 => "refuse",
        /// [`ToKernel::Forget`].
        Forget = 7 => "forget",
        /// [`ToKernel::Drain`].
        Drain = 8 => "drain",
    }
}

impl<'a> ToKernel<'a> {
    /// What kind of record it is.
    #[must_use]
    pub const fn kind(&self) -> ToKernelKind {
        match self {
            Self::Hello { .. } => ToKernelKind::Hello,
            Self::Config(_) => ToKernelKind::Config,
            Self::Identity { .. } => ToKernelKind::Identity,
            Self::Svid(_) => ToKernelKind::Svid,
            Self::Grant { .. } => ToKernelKind::Grant,
            Self::Refuse { .. } => ToKernelKind::Refuse,
            Self::Forget { .. } => ToKernelKind::Forget,
            Self::Drain => ToKernelKind::Drain,
        }
    }

    /// Decodes one record and its sequence number. Knows nothing of order: that is
    /// [`KernelEnd`](crate::KernelEnd)'s.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn decode(record: &'a [u8]) -> Result<(u64, Self), Fault> {
        let (header, body) = Header::parse(record)?;
        let kind = Self::kind_of(header)?;
        Ok((header.seq, Self::read(kind, body)?))
    }

    /// Encodes a record; its length.
    ///
    /// # Errors
    /// The buffer is too small, or the kernel would refuse the record.
    pub fn encode(&self, seq: u64, buf: &mut [u8]) -> Result<usize, EncodeError> {
        let header = Header {
            kind: self.kind().number(),
            seq,
        };
        header::encode(header, buf, |w| self.write(w))
    }

    /// As [`ToKernel::encode`], into memory of its own.
    ///
    /// # Errors
    /// The kernel would refuse the record.
    #[cfg(feature = "alloc")]
    pub fn to_vec(&self, seq: u64) -> Result<alloc::vec::Vec<u8>, EncodeError> {
        let mut buf = alloc::vec![0; header::measure(|w| self.write(w))?];
        let len = self.encode(seq, &mut buf)?;
        buf.truncate(len);
        Ok(buf)
    }

    pub(crate) fn kind_of(header: Header) -> Result<ToKernelKind, Fault> {
        /// Where the kind is in a header.
        const KIND_AT: u32 = 6;
        let fault = Fault {
            why: RefusedReason::Kind,
            at: KIND_AT,
        };
        ToKernelKind::from_number(header.kind).ok_or(fault)
    }

    pub(crate) fn read(kind: ToKernelKind, body: &'a [u8]) -> Result<Self, Fault> {
        let mut r = Reader::new(body, BODY_AT);
        let record = match kind {
            ToKernelKind::Config => return Config::parse(body).map(Self::Config),
            ToKernelKind::Svid => return Svid::parse(body).map(Self::Svid),
            ToKernelKind::Hello => {
                let at = r.at();
                let agent_version = r.text(MAX_VERSION_BYTES)?;
                required(agent_version.is_empty(), at)?;
                Self::Hello { agent_version }
            }
            ToKernelKind::Identity => {
                let identity = r.id32()?;
                let at = r.at();
                let spiffe_id = r.text(MAX_SPIFFE_ID_BYTES)?;
                check_spiffe_id(spiffe_id).map_err(|why| Fault { why, at })?;
                Self::Identity {
                    identity,
                    spiffe_id,
                }
            }
            ToKernelKind::Grant => Self::Grant {
                subject: r.id64()?,
                generation: r.id64()?,
                identity: r.id32()?,
                exe_sha256: sha256(&mut r)?,
            },
            ToKernelKind::Refuse => Self::Refuse {
                subject: r.id64()?,
                generation: r.id64()?,
                reason: r.number(DenyReason::from_number)?,
            },
            ToKernelKind::Forget => Self::Forget {
                identity: r.id32()?,
            },
            ToKernelKind::Drain => Self::Drain,
        };
        r.end()?;
        Ok(record)
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match *self {
            Self::Hello { agent_version } => {
                w.required(agent_version.as_bytes(), MAX_VERSION_BYTES)
            }
            Self::Config(config) => config.write(w),
            Self::Identity {
                identity,
                spiffe_id,
            } => {
                w.id32(identity)?;
                check_spiffe_id(spiffe_id).map_err(|why| w.fault(why))?;
                w.text(spiffe_id, MAX_SPIFFE_ID_BYTES)
            }
            Self::Svid(svid) => svid.write(w),
            Self::Grant {
                subject,
                generation,
                identity,
                exe_sha256,
            } => {
                w.id64(subject)?;
                w.id64(generation)?;
                w.id32(identity)?;
                w.bytes(exe_sha256.map_or(&[], |digest| digest), SHA256_BYTES)
            }
            Self::Refuse {
                subject,
                generation,
                reason,
            } => {
                w.id64(subject)?;
                w.id64(generation)?;
                w.u32(reason.number())
            }
            Self::Forget { identity } => w.id32(identity),
            Self::Drain => Ok(()),
        }
    }
}

/// A digest, or none: of any other length it is refused.
fn sha256<'a>(r: &mut Reader<'a>) -> Result<Option<&'a [u8; SHA256_BYTES]>, Fault> {
    let fault = r.fault(RefusedReason::OutOfRange);
    let digest = some_bytes(r.bytes(SHA256_BYTES)?);
    digest
        .map(|digest| <&[u8; SHA256_BYTES]>::try_from(digest).map_err(|_| fault))
        .transpose()
}
