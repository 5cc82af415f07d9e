//! One line of `/proc/tidelock/flows`: `key=value` fields, separated by spaces.
//!
//! Numbers and addresses are written by hand: the standard formatting can panic, and this runs
//! wherever someone reads the file.

mod number;

use crate::ffi::{self, Addr, Rec, Str, role};
use crate::records::serial;
use number::ip;
pub(crate) use number::{decimal, hex};

/// Room for the longest line: two SPIFFE IDs of 2048 bytes, a Service name of 253, and the rest.
pub const MAX_LINE_BYTES: usize = 5120;

/// A line under way; what does not fit makes it worthless.
struct Line<'b> {
    out: &'b mut [u8],
    len: usize,
    fits: bool,
}

impl Line<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.out.get_mut(self.len..end) {
            Some(place) => {
                place
                    .iter_mut()
                    .zip(bytes)
                    .for_each(|(to, from)| *to = *from);
                self.len = end;
            }
            None => self.fits = false,
        }
    }

    fn number(&mut self, key: &[u8], number: u64) {
        self.push(key);
        decimal(number, &mut |digits| self.push(digits));
    }

    fn address(&mut self, key: &[u8], addr: &Addr) {
        self.push(key);
        ip(addr.ip, &mut |part| self.push(part));
        self.number(b":", u64::from(addr.port));
    }

    /// A name; a byte that would break the line up becomes `?`, no name `-`.
    fn name(&mut self, key: &[u8], name: &[u8]) {
        self.push(key);
        for byte in name {
            self.push(&[if byte.is_ascii_graphic() { *byte } else { b'?' }]);
        }
        if name.is_empty() {
            self.push(b"-");
        }
    }

    fn serial(&mut self, key: &[u8], serial: &[u8]) {
        self.push(key);
        for byte in serial {
            self.push(&hex(*byte));
        }
        if serial.is_empty() {
            self.push(b"-");
        }
    }
}

/// The names of a record.
struct Names<'a> {
    service: &'a [u8],
    local: &'a [u8],
    peer: &'a [u8],
}

/// Writes the line; its length, 0 if it does not fit.
fn write(rec: &Rec, names: &Names<'_>, out: &mut [u8]) -> usize {
    let mut line = Line {
        out,
        len: 0,
        fits: true,
    };
    line.number(b"flow=", rec.flow);
    line.number(b" subject=", rec.subject);
    line.number(b" pid=", u64::from(rec.pid));
    line.push(if rec.role == role::SERVER {
        b" role=server"
    } else {
        b" role=client"
    });
    line.address(b" local=", &rec.local);
    line.address(b" remote=", &rec.remote);
    line.number(b" netns=", u64::from(rec.local.netns));
    line.name(b" service=", names.service);
    line.name(b" local_id=", names.local);
    line.name(b" peer_id=", names.peer);
    line.serial(b" local_serial=", serial(&rec.serial, rec.serial_len));
    line.serial(
        b" peer_serial=",
        serial(&rec.peer_serial, rec.peer_serial_len),
    );
    let [_, _, high, low] = rec.suite.to_be_bytes();
    line.push(b" suite=0x");
    line.push(&hex(high));
    line.push(&hex(low));
    line.number(b" opened_ns=", rec.time_ns);
    line.push(b"\n");
    if line.fits { line.len } else { 0 }
}

/// Writes one line of `/proc/tidelock/flows` for a record of kind `FLOW_OPENED`; its length, 0 if
/// `cap` is too small. Context: any.
///
/// # Safety
/// `rec` is null or points to a record whose strings stay during the call; `buf` is null or points
/// to `cap` initialised bytes that nobody else touches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_flow_line(rec: *const Rec, buf: *mut u8, cap: u64) -> u64 {
    // SAFETY: the caller's contract.
    let rec = unsafe { rec.as_ref() };
    // SAFETY: the caller's contract.
    let out = unsafe { ffi::bytes_mut(buf, cap) };
    let (Some(rec), Some(out)) = (rec, out) else {
        return 0;
    };
    // SAFETY: the caller's contract.
    let bytes = |name: Str| unsafe { name.bytes() };
    let names = Names {
        service: bytes(rec.service),
        local: bytes(rec.local_id),
        peer: bytes(rec.peer_id),
    };
    u64::try_from(write(rec, &names, out)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
