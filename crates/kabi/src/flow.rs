//! Events about flows.

use crate::bounds::{
    MAX_DETAIL_BYTES, MAX_SERIAL_BYTES, MAX_SERVICE_NAME_BYTES, MAX_SPIFFE_ID_BYTES,
};
use crate::net::{Endpoint, Role};
use crate::read::{Reader, some_text};
use crate::reason::DenyReason;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// An established flow, seen from one end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowInfo<'a> {
    /// The flow, by a number that is never used again while the module is loaded.
    pub flow: u64,
    /// The process that owns it; `None`: one that is not governed, of a flow in plain.
    pub subject: Option<u64>,
    /// Thread group id of that process.
    pub pid: u32,
    /// Which end this is.
    pub role: Role,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// The Service that the server's address belongs to.
    pub service: Option<&'a str>,
    /// Our SPIFFE ID.
    pub local_id: Option<&'a str>,
    /// The peer's SPIFFE ID, or the DNS name that a server outside has proved.
    pub peer_id: Option<&'a str>,
    /// Serial number of our certificate.
    pub local_serial: &'a [u8],
    /// Serial number of the peer's certificate.
    pub peer_serial: &'a [u8],
    /// TLS cipher suite (IANA number); 0: the flow is in plain, as its Service's mode permits.
    pub suite: u32,
    /// When: nanoseconds since 1970.
    pub time_ns: u64,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowClosed {
    /// The flow.
    pub flow: u64,
    /// The process that owned it; `None`: one that is not governed.
    pub subject: Option<u64>,
    /// Why it ended.
    pub reason: DenyReason,
    /// When: nanoseconds since 1970.
    pub time_ns: u64,
}

/// A flow that was refused; or, by its reason, one of which policies that are only observed would have said something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Denial<'a> {
    /// When: nanoseconds since 1970.
    pub time_ns: u64,
    /// The process; `None` if it is not governed.
    pub subject: Option<u64>,
    /// Its thread group id in the initial pid namespace.
    pub pid: u32,
    /// Its uid in the initial user namespace.
    pub uid: u32,
    /// Which end it would have been.
    pub role: Role,
    /// Its end, as far as known.
    pub local: Endpoint,
    /// The other end, as far as known.
    pub remote: Endpoint,
    /// The Service that the server's address belongs to.
    pub service: Option<&'a str>,
    /// Our SPIFFE ID, if there is one.
    pub local_id: Option<&'a str>,
    /// The peer's SPIFFE ID, if it proved one.
    pub peer_id: Option<&'a str>,
    /// Why.
    pub reason: DenyReason,
    /// More for people: determining policies, or what is wrong with a certificate.
    pub detail: &'a str,
    /// How many refusals before this one were not told: there were more than the queue takes.
    pub untold: u64,
}

/// The Service and the SPIFFE IDs of both ends.
type Names<'a> = [Option<&'a str>; 3];

fn read_names<'a>(r: &mut Reader<'a>) -> Result<Names<'a>, Fault> {
    Ok([
        some_text(r.text(MAX_SERVICE_NAME_BYTES)?),
        some_text(r.text(MAX_SPIFFE_ID_BYTES)?),
        some_text(r.text(MAX_SPIFFE_ID_BYTES)?),
    ])
}

fn write_names(w: &mut Writer<'_>, [service, local, peer]: Names<'_>) -> Result<(), EncodeError> {
    let bounds = [
        MAX_SERVICE_NAME_BYTES,
        MAX_SPIFFE_ID_BYTES,
        MAX_SPIFFE_ID_BYTES,
    ];
    for (name, max) in [service, local, peer].into_iter().zip(bounds) {
        match name {
            Some("") => return Err(w.fault(RefusedReason::Empty)),
            name => w.text(name.unwrap_or(""), max)?,
        }
    }
    Ok(())
}

/// A process, by its number; 0: none that is governed.
fn read_subject(r: &mut Reader<'_>) -> Result<Option<u64>, Fault> {
    Ok(Some(r.u64()?).filter(|&subject| subject != 0))
}

fn write_subject(w: &mut Writer<'_>, subject: Option<u64>) -> Result<(), EncodeError> {
    match subject {
        Some(subject) => w.id64(subject),
        None => w.u64(0),
    }
}

impl<'a> FlowInfo<'a> {
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Fault> {
        let (flow, subject, pid) = (r.id64()?, read_subject(r)?, r.u32()?);
        let role = r.number(Role::from_number)?;
        let (local, remote) = (Endpoint::read(r)?, Endpoint::read(r)?);
        let [service, local_id, peer_id] = read_names(r)?;
        let (local_serial, peer_serial) = (r.bytes(MAX_SERIAL_BYTES)?, r.bytes(MAX_SERIAL_BYTES)?);
        let (suite, time_ns) = (r.u32()?, r.u64()?);
        Ok(Self {
            flow,
            subject,
            pid,
            role,
            local,
            remote,
            service,
            local_id,
            peer_id,
            local_serial,
            peer_serial,
            suite,
            time_ns,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.id64(self.flow)?;
        write_subject(w, self.subject)?;
        w.u32(self.pid)?;
        w.u32(self.role.number())?;
        self.local.write(w)?;
        self.remote.write(w)?;
        write_names(w, [self.service, self.local_id, self.peer_id])?;
        w.bytes(self.local_serial, MAX_SERIAL_BYTES)?;
        w.bytes(self.peer_serial, MAX_SERIAL_BYTES)?;
        w.u32(self.suite)?;
        w.u64(self.time_ns)
    }
}

impl FlowClosed {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            flow: r.id64()?,
            subject: read_subject(r)?,
            reason: r.number(DenyReason::from_number)?,
            time_ns: r.u64()?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.id64(self.flow)?;
        write_subject(w, self.subject)?;
        w.u32(self.reason.number())?;
        w.u64(self.time_ns)
    }
}

impl<'a> Denial<'a> {
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Fault> {
        let (time_ns, subject) = (r.u64()?, read_subject(r)?);
        let (pid, uid, role) = (r.u32()?, r.u32()?, r.number(Role::from_number)?);
        let (local, remote) = (Endpoint::read(r)?, Endpoint::read(r)?);
        let [service, local_id, peer_id] = read_names(r)?;
        let reason = r.number(DenyReason::from_number)?;
        let (detail, untold) = (r.text(MAX_DETAIL_BYTES)?, r.u64()?);
        Ok(Self {
            time_ns,
            subject,
            pid,
            uid,
            role,
            local,
            remote,
            service,
            local_id,
            peer_id,
            reason,
            detail,
            untold,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.u64(self.time_ns)?;
        write_subject(w, self.subject)?;
        w.u32(self.pid)?;
        w.u32(self.uid)?;
        w.u32(self.role.number())?;
        self.local.write(w)?;
        self.remote.write(w)?;
        write_names(w, [self.service, self.local_id, self.peer_id])?;
        w.u32(self.reason.number())?;
        w.text(self.detail, MAX_DETAIL_BYTES)?;
        w.u64(self.untold)
    }
}
