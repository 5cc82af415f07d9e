//! What policies are told of the process whose end asks.
//!
//! Each kernel knows its own processes and takes nobody's word for others. So the context has the process at the client's
//! end as `client` where the client's kernel asks, and the process at the server's end as `server` where the server's asks:
//! never both, and never the peer's.

use tidelock_attest::{Cgroup, ContainerId};
use tidelock_kabi::bounds::SHA256_BYTES;
use tidelock_policy::{Image, Value};

use crate::context::Room;
use crate::ffi::{EV_ADOPTED, EV_HOST_MNT, Evidence, NET_UNKNOWN};
use crate::line::decimal;
use crate::text::Text;

/// The attribute of the context that has them, at the client's end and at the server's.
pub(crate) const CLIENT: &str = "client";
pub(crate) const SERVER: &str = "server";
/// Where there is one end only.
pub(crate) const PROCESS: &str = "process";
/// Bytes of a digest, or of a container's id, as policies read it.
const HEX_BYTES: usize = 2 * SHA256_BYTES;
/// The network namespace that the host itself is in.
const HOST: &str = "host";
/// Bytes of another one's name: `net:[`, ten digits, `]`.
const NET_BYTES: usize = 16;

/// Facts of one process: those of its evidence that policies can ask for, and what was measured.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    uid: u32,
    gid: u32,
    /// `None` outside the host's mount namespace, where a path names another file, and where it is no text.
    exe: Option<&'a str>,
    /// `None` where nobody measured it, or it could not be.
    exe_sha256: Option<&'a [u8; SHA256_BYTES]>,
    /// `None` where it could not be told, or is no text.
    cgroup: Option<&'a str>,
    container: Option<ContainerId>,
    /// Inode number; 0: the host's.
    net_ns: Option<u32>,
    adopted: bool,
}

impl<'a> Facts<'a> {
    /// The facts that evidence holds, and the digest of what is executed if that is not null; `None` without evidence.
    ///
    /// # Safety
    /// Each is null or points to what stays unwritten, strings too, for `'a`.
    #[must_use]
    pub unsafe fn of(
        evidence: *const Evidence,
        exe_sha256: *const [u8; SHA256_BYTES],
    ) -> Option<Self> {
        // SAFETY: the caller's contract.
        let evidence = unsafe { evidence.as_ref() }?;
        // SAFETY: the caller's contract.
        let exe = unsafe { evidence.exe.text() };
        let here = evidence.flags & EV_HOST_MNT != 0;
        // SAFETY: the caller's contract.
        let cgroup = unsafe { evidence.cgroup.text() }.filter(|path| !path.is_empty());
        Some(Self {
            uid: evidence.uid,
            gid: evidence.gid,
            exe: exe.filter(|path| here && !path.is_empty()),
            // SAFETY: the caller's contract.
            exe_sha256: unsafe { exe_sha256.as_ref() },
            cgroup,
            container: cgroup.and_then(|path| Cgroup::at(path.as_bytes()).ok()?.container()),
            net_ns: Some(evidence.net_ns).filter(|&net_ns| net_ns != NET_UNKNOWN),
            adopted: evidence.flags & EV_ADOPTED != 0,
        })
    }

    /// Whether the digest of what is executed is known.
    pub(crate) const fn is_measured(&self) -> bool {
        self.exe_sha256.is_some()
    }

    /// Whether a policy of this image asks for facts, of either end or of who listens.
    #[must_use]
    pub fn are_read(image: &Image<'_>) -> bool {
        [CLIENT, SERVER, PROCESS]
            .iter()
            .any(|name| image.reads(name))
    }

    /// Calls `ask` with the record that has them.
    pub(crate) fn told<T>(&self, ask: impl FnOnce(Value<'_>) -> T) -> T {
        let (mut digest, mut container, mut net) =
            ([0; HEX_BYTES], [0; HEX_BYTES], Text::<NET_BYTES>::new());
        let sha256 = self
            .exe_sha256
            .and_then(|sha256| written(sha256, &mut digest));
        let container = self
            .container
            .as_ref()
            .and_then(|id| written(&id.0, &mut container));
        let namespace = self.net_ns.and_then(|number| named(number, &mut net));
        let mut facts = Room::<8>::new();
        facts.put("uid", Value::Long(i64::from(self.uid)));
        facts.put("gid", Value::Long(i64::from(self.gid)));
        facts.put("adopted", Value::Bool(self.adopted));
        facts.put_some("exe", self.exe.map(Value::Str));
        facts.put_some("sha256", sha256.map(Value::Str));
        facts.put_some("cgroup", self.cgroup.map(Value::Str));
        facts.put_some("container", container.map(Value::Str));
        facts.put_some("namespace", namespace.map(Value::Str));
        ask(Value::Record(facts.all()))
    }
}

/// A digest in hexadecimal, lower case, as `sha256sum` and the selector `unix:sha256` write it.
fn written<'h>(digest: &[u8; SHA256_BYTES], hex: &'h mut [u8; HEX_BYTES]) -> Option<&'h str> {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0'.wrapping_add(nibble),
        _ => b'a'.wrapping_sub(10).wrapping_add(nibble),
    };
    let (places, _) = hex.as_chunks_mut::<2>();
    for (place, byte) in places.iter_mut().zip(digest) {
        *place = [digit(byte >> 4), digit(byte & 0xf)];
    }
    core::str::from_utf8(hex).ok()
}

/// A network namespace, as `/proc/PID/ns/net` prints it; the host's by name.
fn named(number: u32, net: &mut Text<NET_BYTES>) -> Option<&str> {
    if number == 0 {
        return Some(HOST);
    }
    net.push("net:[");
    decimal(u64::from(number), &mut |digits| {
        net.push(core::str::from_utf8(digits).unwrap_or(""));
    });
    net.push("]");
    core::str::from_utf8(net.bytes()).ok()
}

#[cfg(test)]
mod tests;
