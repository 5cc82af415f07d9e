//! The handshake of one flow: the engine of `tidelock-datapath` in an arena, one step at a time.

mod step;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI64, Ordering};

use tidelock_datapath::{
    Answer, Authorize, Engine, External, ExternalParams, Identity, Mono, Now, Output, Params, Peer,
    RECORD_HEADER_BYTES, record_body_len,
};
use tidelock_kabi::{DenyReason, Mode, Role};

use crate::arena::{Arena, Kind};
use crate::config::{self, Configuration};
use crate::context::Circumstances;
use crate::decide::{Asked, Memo, decide_again};
use crate::entropy::Pool;
use crate::errno::EPROTO;
use crate::ffi::{self, FlowNew, Step};
use crate::identity;

/// A handshake under way. Everything it borrows outlives its arena, by C's contract.
struct Flow {
    /// `None` once it has ended.
    engine: Option<Engine>,
    /// Whom the engine asks; it is told the time.
    gate: Option<Arc<Gate>>,
    /// The server that it connects to, if that is outside.
    external: Option<Arc<External>>,
    /// What the last step sends; C reads it until the next.
    tx: Vec<u8>,
}

/// Answers for the engine from the configuration that the flow began with.
struct Gate {
    cfg: &'static Configuration,
    service: i32,
    role: Role,
    own: &'static Identity,
    memo: Memo,
    around: Circumstances<'static>,
    /// Milliseconds since 1970, when the engine last began to work.
    now_ms: AtomicI64,
}

impl Gate {
    fn around_now(&self) -> Circumstances<'static> {
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        Circumstances {
            time_ms: self.around.time_ms.map(|_| now_ms),
            ..self.around
        }
    }
}

impl Authorize for Gate {
    fn authorize(&self, _role: tidelock_datapath::Role, proved: &Peer) -> Answer {
        let (own, peer) = (self.own.spiffe_id(), proved.id());
        let (own, peer) = (own.as_str(), peer.as_str());
        let (client, server) = match self.role {
            Role::Client => (own, peer),
            Role::Server => (peer, own),
        };
        let answer = decide_again(
            self.cfg,
            &Asked {
                role: self.role,
                service: self.cfg.service(self.service),
                number: self.service,
                client: Some(client),
                server: Some(server),
                // C looks at our own when it takes it up, and at both again when hands are shaken.
                own_serial: &[],
                peer_serial: proved.serial(),
                // It has just been verified by the authorities of this configuration.
                own_authority: None,
                peer_authority: None,
                around: self.around_now(),
                plain: false,
                refused: None,
                carried: None,
                age_ms: 0,
            },
            &mut { self.memo },
        );
        let detail = core::str::from_utf8(answer.detail.bytes())
            .unwrap_or("")
            .into();
        match answer.denied {
            None => Answer::Allow { detail },
            Some(reason) => Answer::Deny {
                code: reason.number(),
                detail,
            },
        }
    }
}

/// Milliseconds of a second.
const MS: i64 = 1_000;

const fn at(now_ms: i64) -> Now {
    let unix = now_ms.div_euclid(MS);
    // C keeps the deadline of a handshake, so the engine's monotonic clock stands still.
    Now {
        mono: Mono(0),
        unix,
    }
}

/// Makes the engine; `None` if configuration, identity or role are none.
///
/// # Safety
/// Configuration, identity and process of `p` stay until the current arena is freed.
unsafe fn begin(p: &FlowNew) -> Option<Flow> {
    // SAFETY: the caller's contract; nothing that is built from it outlives the current arena.
    let cfg: &'static Configuration = unsafe { config::at(p.cfg) }?;
    // SAFETY: as above.
    let own: &'static Identity = unsafe { identity::at(p.identity) }?;
    let role = Role::from_number(p.role)?;
    let service = cfg.service(p.service)?;
    if role == Role::Client && service.mode == Mode::Originate {
        // C asks about it: there is no name of a peer to ask with.
        let external = Arc::clone(cfg.external(&service)?);
        let params = ExternalParams {
            external: Arc::clone(&external),
            deadline: None,
        };
        return Some(Flow {
            engine: Some(Engine::external::<Pool>(at(p.now_ms), params)),
            gate: None,
            external: Some(external),
            tx: Vec::new(),
        });
    }
    let gate = Arc::new(Gate {
        cfg,
        service: p.service,
        role,
        own,
        memo: p.memo,
        // SAFETY: as above.
        around: unsafe {
            cfg.circumstances((&p.addr, &p.client), p.now_ms, p.process, p.exe_sha256)
        },
        now_ms: AtomicI64::new(p.now_ms),
    });
    let asked: Arc<Gate> = Arc::clone(&gate);
    let params = Params {
        identity: own,
        trust: Arc::clone(cfg.trust()),
        authorize: asked,
        deadline: None,
    };
    let engine = match role {
        Role::Client => Engine::client::<Pool>(at(p.now_ms), params),
        Role::Server => Engine::server::<Pool>(at(p.now_ms), params),
    };
    Some(Flow {
        engine: Some(engine),
        gate: Some(gate),
        external: None,
        tx: Vec::new(),
    })
}

impl Flow {
    /// Takes what the engine has to say.
    fn step(&mut self) -> Step {
        self.tx = Vec::new();
        let Some(engine) = &mut self.engine else {
            return step::over();
        };
        let mut last = None;
        while let Some(output) = engine.poll() {
            match output {
                Output::Send(bytes) if self.tx.is_empty() => self.tx = bytes,
                Output::Send(bytes) => self.tx.extend_from_slice(&bytes),
                end => last = Some(end),
            }
        }
        step::of(
            last.as_ref(),
            engine.peer(),
            self.external.as_deref(),
            &self.tx,
        )
    }
}

/// Starts the engine in the current arena and does its first step. Context: lane.
///
/// # Safety
/// `p` is readable; its configuration, identity and process stay until the current arena is freed, which
/// nothing else uses. `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_flow_start(p: *const FlowNew, out: *mut Step) {
    // SAFETY: the caller's contract.
    let new = unsafe { p.as_ref() };
    // SAFETY: the caller's contract.
    let flow = new.and_then(|new| unsafe { begin(new) });
    let step = match (Arena::current(), flow) {
        (Some(arena), Some(flow)) => {
            let flow = Box::leak(Box::new(flow));
            let step = flow.step();
            // SAFETY: the root was just allocated in the current arena, and is of this kind's type.
            unsafe { arena.set_root(Kind::Flow, flow) };
            step
        }
        _ => step::failed(
            DenyReason::Internal,
            "the flow has no configuration, Service or identity",
        ),
    };
    // SAFETY: the caller's contract.
    unsafe { out.write(step) };
}

/// The flow in an arena.
///
/// # Safety
/// `arena` is null or points to an arena that is current, and no reference to its flow is alive.
unsafe fn flow<'a>(arena: *mut u8) -> Option<&'a mut Flow> {
    // SAFETY: the caller's contract.
    let arena = unsafe { Arena::at(arena) }?;
    // SAFETY: `Kind::Flow` belongs to `Flow`.
    let mut root = unsafe { arena.root::<Flow>(Kind::Flow) }?;
    // SAFETY: a root stays as long as its arena; the rest is the caller's contract.
    Some(unsafe { root.as_mut() })
}

/// Feeds one whole record, header and body, which is decrypted in place. Context: lane.
///
/// # Safety
/// `arena` is the current arena. `rec` points to `len` initialised bytes that nobody else touches;
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_flow_record(
    arena: *mut u8,
    now_ms: i64,
    rec: *mut u8,
    len: u64,
    out: *mut Step,
) {
    // SAFETY: the caller's contract.
    let flow = unsafe { flow(arena) };
    // SAFETY: the caller's contract.
    let record = unsafe { ffi::bytes_mut(rec, len) };
    let step = match (flow, record) {
        (Some(flow), Some(record)) => {
            if let Some(gate) = &flow.gate {
                gate.now_ms.store(now_ms, Ordering::Relaxed);
            }
            let engine = flow.engine.as_mut();
            let taken = engine.map(|engine| engine.handle(at(now_ms), record));
            match taken {
                Some(Ok(())) => flow.step(),
                Some(Err(_)) => step::failed(DenyReason::Protocol, "not one whole record"),
                None => step::over(),
            }
        }
        _ => step::failed(DenyReason::Internal, "the flow has no engine"),
    };
    // SAFETY: the caller's contract.
    unsafe { out.write(step) };
}

/// Drops what the engine shares with other arenas. Call before freeing, unless it panicked.
/// Context: lane.
///
/// # Safety
/// `arena` is null or the current arena; what its last step pointed at is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_flow_end(arena: *mut u8) {
    // SAFETY: the caller's contract.
    if let Some(flow) = unsafe { flow(arena) } {
        flow.engine = None;
        flow.gate = None;
        flow.external = None;
        flow.tx = Vec::new();
    }
}

/// Body length that a 5-byte record header announces, or `-EPROTO`. Context: any.
///
/// # Safety
/// `header` points to 5 readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_record_len(header: *const [u8; RECORD_HEADER_BYTES]) -> i32 {
    // SAFETY: the caller's contract.
    let len = record_body_len(unsafe { header.read() });
    len.ok()
        .and_then(|len| i32::try_from(len).ok())
        .unwrap_or(-EPROTO)
}

#[cfg(test)]
mod tests;
