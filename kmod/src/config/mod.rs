//! A configuration as the kernel holds it: the agent's record, checked once, with what looking
//! things up needs. It lives in an arena of its own and never changes.

mod authorities;
mod prefilter;
mod services;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidelock_datapath::{External, TrustStore};
use tidelock_kabi::bounds::SHA256_BYTES;
use tidelock_kabi::{Config, Fault, HEADER_BYTES, Mode, RefusedReason};
use tidelock_policy::Image;

use crate::arena::{Arena, Kind};
use crate::context::{Asks, Circumstances, Node, REDECIDE_MS, ip};
use crate::decide::LISTEN;
use crate::errno::{self, EINVAL};
use crate::facts::Facts;
use crate::ffi::{self, Addr, Evidence, Limits, Str};
use crate::records::endpoint;
use authorities::{externals, trust};
use prefilter::Prefilter;
use services::Services;

/// Everything that the kernel decides by. Its references are to its own arena.
#[derive(Debug)]
pub struct Configuration {
    view: Config<'static>,
    image: Option<Image<'static>>,
    observed: Option<Image<'static>>,
    /// Whether either of them may forbid somebody to listen.
    listening: bool,
    asks: Asks,
    /// Of the running kernel.
    release: &'static str,
    trust: Arc<TrustStore>,
    externals: Vec<(&'static str, Arc<External>)>,
    prefilter: Prefilter,
    services: Services,
    /// Inode number of the initial network namespace.
    init_net: u32,
}

impl Configuration {
    /// Builds a configuration from the body of its record, all or nothing.
    ///
    /// What it borrows is allocated for good: for the life of the arena it is built in.
    ///
    /// # Errors
    /// The first rule broken; `at` counts from the start of the record.
    pub fn build(body: &[u8], init_net: u32, release: &'static str) -> Result<Self, Fault> {
        let body: &'static [u8] = leak(body)?;
        let view = Config::parse(body)?;
        let (image, observed) = (image(view.policy, body)?, image(view.observed, body)?);
        let mut both = image.iter().chain(&observed);
        let listening = both.any(|image| image.may_forbid(LISTEN));
        let images = image.iter().chain(&observed).map(Asks::of);
        let asks = images.fold(Asks::default(), Asks::or);
        let trust = trust(&view, body)?;
        let externals = externals(&view, body)?;
        let (prefilter, services) = (Prefilter::new(&view)?, Services::new(&view)?);
        Ok(Self {
            view,
            image,
            observed,
            listening,
            asks,
            release,
            trust: Arc::new(trust),
            externals,
            prefilter,
            services,
            init_net,
        })
    }

    /// The policy; `None` if the record held none, and then nothing is permitted.
    #[must_use]
    pub fn image(&self) -> Option<&Image<'static>> {
        self.image.as_ref()
    }

    /// The policies that are only observed; `None` if there are none.
    #[must_use]
    pub fn observed(&self) -> Option<&Image<'static>> {
        self.observed.as_ref()
    }

    /// Its number: of two configurations the later has a higher one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.view.generation
    }

    /// Whether a policy may forbid somebody to listen: if none does, none is asked.
    #[must_use]
    pub fn may_forbid_listening(&self) -> bool {
        self.listening
    }

    /// What policies ask for: if none does, it is not told.
    #[must_use]
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// As much of the circumstances of a question as policies ask for.
    ///
    /// # Safety
    /// `process` and `exe_sha256` are each null or point to what stays unwritten, strings too, for `'a`.
    pub(crate) unsafe fn circumstances<'a>(
        &self,
        (server, client): (&Addr, &Addr),
        now_ms: i64,
        process: *const Evidence,
        exe_sha256: *const [u8; SHA256_BYTES],
    ) -> Circumstances<'a> {
        let address = |addr| self.asks.addresses.then(|| ip(addr)).flatten();
        let process = if self.asks.facts {
            // SAFETY: the caller's contract.
            unsafe { Facts::of(process, exe_sha256) }
        } else {
            None
        };
        let posture = self.view.posture.filter(|_| self.asks.posture);
        Circumstances {
            port: server.port,
            client: address(client),
            server: address(server),
            time_ms: Some(now_ms).filter(|&ms| self.asks.time && ms != 0),
            node: posture.map(|posture| Node {
                posture,
                kernel: self.release,
            }),
            process,
        }
    }

    /// Is the SVID of this serial number revoked? In steps of the order of the logarithm of how many are.
    #[must_use]
    pub fn is_revoked(&self, serial: &[u8]) -> bool {
        self.view.is_revoked(serial)
    }

    /// Whom to believe.
    #[must_use]
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.trust
    }

    /// The server outside that the connections to a Service are to; `None`: to none.
    #[must_use]
    pub fn external(&self, service: &tidelock_kabi::Service<'_>) -> Option<&Arc<External>> {
        if service.mode != Mode::Originate {
            return None;
        }
        let mut all = self.externals.iter();
        all.find(|(name, _)| *name == service.name)
            .map(|(_, external)| external)
    }

    /// The Service of that number.
    #[must_use]
    pub fn service(&self, number: i32) -> Option<tidelock_kabi::Service<'static>> {
        self.view.services.get(usize::try_from(number).ok()?)
    }

    /// Is a process of this executable and uid governed? A path counts only in the host's mount
    /// namespace: elsewhere it names another file.
    #[must_use]
    pub fn governs(&self, exe: &[u8], uid: u32, host_mnt: bool) -> bool {
        self.prefilter.governs(&self.view, exe, uid, host_mnt)
    }

    /// The number of the Service that an address belongs to.
    #[must_use]
    pub fn service_at(&self, addr: &Addr) -> Option<i32> {
        let at = self
            .services
            .find(&self.view, &endpoint(addr), self.init_net)?;
        i32::try_from(at).ok()
    }

    fn limits(&self) -> Limits {
        let limits = self.view.limits;
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        Limits {
            grant_wait_ms: limits.grant_wait_ms,
            handshake_ms: limits.handshake_ms,
            max_handshakes: limits.max_handshakes,
            max_handshakes_per_listener: limits.max_handshakes_per_listener,
            n_prefilter: count(self.view.prefilter.len()),
            n_services: count(self.view.services.len()),
            redecide_ms: if self.asks.time { REDECIDE_MS } else { 0 },
        }
    }
}

/// A policy image of the record, checked; `None` if it is empty.
fn image(bytes: &'static [u8], body: &[u8]) -> Result<Option<Image<'static>>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let checked = Image::check(bytes);
    checked
        .map(Some)
        .map_err(|_| fault(RefusedReason::BadPolicy, body, bytes))
}

/// The fault `why` at `part`, which lies in `body`.
fn fault(why: RefusedReason, body: &[u8], part: &[u8]) -> Fault {
    let in_body = part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    Fault {
        why,
        at: u32::try_from(in_body.saturating_add(HEADER_BYTES)).unwrap_or(0),
    }
}

const NO_MEMORY: Fault = Fault {
    why: RefusedReason::NoMemory,
    at: 0,
};

/// Copies `bytes` for the life of the arena.
fn leak<T: Copy>(items: &[T]) -> Result<&'static [T], Fault> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len()).map_err(|_| NO_MEMORY)?;
    copy.extend_from_slice(items);
    Ok(Vec::leak(copy))
}

/// Numbers of rows, collected for the life of the arena and sorted by `key`; of equals, in order.
fn sorted<K: Ord>(
    rows: impl Iterator<Item = u32> + Clone,
    key: impl Fn(u32) -> K,
) -> Result<&'static [u32], Fault> {
    let mut numbers = Vec::new();
    numbers
        .try_reserve_exact(rows.clone().count())
        .map_err(|_| NO_MEMORY)?;
    numbers.extend(rows);
    numbers.sort_unstable_by_key(|&number| (key(number), number));
    Ok(Vec::leak(numbers))
}

/// The configuration in an arena.
///
/// # Safety
/// `cfg` is null or points to an arena that stays for `'a` and that no lane is changing.
pub(crate) unsafe fn at<'a>(cfg: *const u8) -> Option<&'a Configuration> {
    // SAFETY: the caller's contract.
    let arena = unsafe { Arena::at(cfg) }?;
    // SAFETY: `Kind::Config` belongs to `Configuration`.
    let root = unsafe { arena.root::<Configuration>(Kind::Config) }?;
    // SAFETY: a root stays as long as its arena, and a configuration is never changed.
    Some(unsafe { root.as_ref() })
}

/// Builds a configuration in the current arena from `tl_cmd.body`; 0, or `-errno` with the reason
/// in `why` and the offset in `at`. Context: lane.
///
/// # Safety
/// `body` is null or points to `len` bytes that nobody writes during the call; `why` and `at` are
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_config_build(
    body: *const u8,
    len: u64,
    why: *mut u32,
    at: *mut u32,
) -> i32 {
    // SAFETY: the caller's contract.
    let body = unsafe { ffi::bytes(body, len) };
    let (Some(arena), Some(body)) = (Arena::current(), body) else {
        return -EINVAL;
    };
    // SAFETY: the function has no conditions.
    let init_net = unsafe { ffi::tl_c_init_net() };
    // SAFETY: the function has no conditions.
    let release = unsafe { ffi::tl_c_release() };
    // SAFETY: the kernel's own text, which stays for good.
    let release = unsafe { release.text() }.unwrap_or("");
    match Configuration::build(body, init_net, release) {
        Ok(built) => {
            let root = Box::leak(Box::new(built));
            // SAFETY: the root was just allocated in the current arena, and is of this kind's type.
            unsafe { arena.set_root(Kind::Config, root) };
            0
        }
        Err(fault) => {
            // SAFETY: the caller's contract.
            unsafe { why.write(fault.why.number()) };
            // SAFETY: the caller's contract.
            unsafe { at.write(fault.at) };
            errno::of_refusal(fault.why).saturating_neg()
        }
    }
}

/// What a configuration takes besides what grows with its record: the arena's header, the indexes
/// (at most 1024 rows each, see `tidelock_kabi::bounds`), and the root.
const FIXED_BYTES: u64 = 64 * 1024;
/// What each byte of a record may take: itself, once more as a trust anchor with its bookkeeping
/// (an authority has hundreds of bytes), both rounded up to size classes.
const PER_BYTE: u64 = 4;

/// The arena size that [`tl_rs_config_build`] needs for a body of `len` bytes. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_config_bytes(len: u64) -> u64 {
    len.saturating_mul(PER_BYTE).saturating_add(FIXED_BYTES)
}

/// What C must know of a configuration; all 0 if there is none. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_config_limits(cfg: *const u8, out: *mut Limits) {
    // SAFETY: the caller's contract.
    let limits = unsafe { at(cfg) }.map_or_else(Limits::default, Configuration::limits);
    // SAFETY: the caller's contract.
    unsafe { out.write(limits) };
}

/// Is a process with this evidence governed? Without a configuration none is. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena, `ev` is null or points to evidence; both stay during the
/// call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_prefilter(cfg: *const u8, ev: *const Evidence) -> bool {
    // SAFETY: the caller's contract.
    let (cfg, ev) = (unsafe { at(cfg) }, unsafe { ev.as_ref() });
    let (Some(cfg), Some(ev)) = (cfg, ev) else {
        return false;
    };
    // SAFETY: the caller's contract.
    let exe = unsafe { ev.exe.bytes() };
    cfg.governs(exe, ev.uid, ev.flags & ffi::EV_HOST_MNT != 0)
}

/// The number of the Service that an address belongs to, or -1. A wildcard address belongs to
/// every Service of its port, and to the first of them here. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call; `addr` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_service(cfg: *const u8, addr: *const Addr) -> i32 {
    // SAFETY: the caller's contract.
    let (cfg, addr) = (unsafe { at(cfg) }, unsafe { addr.as_ref() });
    let (Some(cfg), Some(addr)) = (cfg, addr) else {
        return -1;
    };
    cfg.service_at(addr).unwrap_or(-1)
}

/// Is the SVID of this serial number one of those that are revoked? Without a configuration none is: nothing is permitted
/// then. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena, `serial` is a serial number or empty; both stay during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_revoked(cfg: *const u8, serial: Str) -> bool {
    // SAFETY: the caller's contract.
    let (cfg, serial) = (unsafe { at(cfg) }, unsafe { serial.bytes() });
    cfg.is_some_and(|cfg| cfg.is_revoked(serial))
}

/// The name of a Service, which lives as long as the configuration; empty if it has no such
/// number. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays for as long as the name is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_service_name(cfg: *const u8, service: i32) -> Str {
    // SAFETY: the caller's contract.
    let service = unsafe { at(cfg) }.and_then(|cfg| cfg.service(service));
    service.map_or(Str::EMPTY, |service| Str::of(service.name.as_bytes()))
}

#[cfg(test)]
mod tests;
