//! A kernel in memory behind a datagram socket: real keys, real processes, the real end of the conversation.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tidelock_agent::device::{Device, DeviceError};
use tidelock_kabi::bounds::MAX_RECORD_BYTES;
use tidelock_kabi::{
    Denial, DenyReason, Endpoint, Evidence, EvidenceFlags, FlowInfo, KernelEnd, Role, ToAgent,
    ToKernel,
};
use tidelock_spiffe_core::x509::Leaf;

const PATIENCE: Duration = Duration::from_secs(60);

/// The kernel; it outlives sessions.
#[derive(Clone)]
pub(crate) struct Kernel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    end: KernelEnd,
    socket: Option<UnixDatagram>,
    sessions: u32,
    identities: BTreeMap<u32, Identity>,
    /// By pid: the subject, and the SPIFFE ID granted, or that it was refused.
    processes: BTreeMap<u32, (u64, Option<Option<String>>)>,
    last_key: u64,
    last_subject: u64,
}

struct Identity {
    spiffe_id: String,
    fresh: Option<(u64, KeyPair)>,
    serials: Vec<Vec<u8>>,
}

type Opener = Arc<dyn Fn() -> Result<Device, DeviceError> + Send + Sync>;

impl Kernel {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Opens sessions, each served by a thread of its own.
    pub(crate) fn opener(&self) -> Opener {
        let kernel = self.clone();
        Arc::new(move || {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            let mut state = kernel.0.state.lock().unwrap();
            state.end = state.end.reopen();
            state.socket = Some(ours.try_clone().unwrap());
            state.sessions += 1;
            let (kernel, session) = (kernel.clone(), state.sessions);
            std::thread::spawn(move || kernel.serve(&ours, session));
            Device::from_fd(theirs.into())
        })
    }

    fn serve(&self, socket: &UnixDatagram, session: u32) {
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut buf = vec![0; MAX_RECORD_BYTES];
        loop {
            let read = socket.recv(&mut buf);
            let mut state = self.0.state.lock().unwrap();
            if state.sessions != session {
                return;
            }
            if let Ok(len) = read {
                state.take(&buf[..len]);
                self.0.changed.notify_all();
            }
        }
    }

    /// A process runs a program, as far as the kernel is concerned.
    pub(crate) fn exec(&self, pid: u32, exe: &Path, governed: bool) {
        let mut state = self.0.state.lock().unwrap();
        state.last_subject += 1;
        let subject = state.last_subject;
        if governed {
            state.processes.insert(pid, (subject, None));
            state.announce(pid, exe);
        }
    }

    pub(crate) fn exit(&self, pid: u32) {
        let mut state = self.0.state.lock().unwrap();
        if let Some((subject, _)) = state.processes.remove(&pid) {
            state.send(&ToAgent::Exit { subject, pid });
        }
    }

    /// Waits until something is so.
    fn wait<T>(&self, what: &str, check: impl Fn(&State) -> Option<T>) -> T {
        let state = self.0.state.lock().unwrap();
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, PATIENCE, |state| check(state).is_none())
            .unwrap();
        check(&state).unwrap_or_else(|| panic!("{what} did not come"))
    }

    /// Waits for the answer about a process: the SPIFFE ID granted, or `None` if it was refused.
    pub(crate) async fn answer(&self, pid: u32) -> Option<String> {
        let kernel = self.clone();
        let wait = move || kernel.wait("an answer", |state| state.processes[&pid].1.clone());
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    /// Waits until an identity had this many certificates; their serial numbers.
    pub(crate) async fn serials(&self, spiffe_id: &'static str, count: usize) -> Vec<Vec<u8>> {
        let kernel = self.clone();
        let wait = move || {
            kernel.wait("a certificate", |state| {
                let mut identities = state.identities.values();
                let found = identities.find(|identity| identity.spiffe_id == spiffe_id)?;
                (found.serials.len() >= count).then(|| found.serials.clone())
            })
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    pub(crate) fn open_flow(&self, pid: u32) {
        let mut state = self.0.state.lock().unwrap();
        let flow = FlowInfo {
            flow: 1,
            subject: Some(state.processes[&pid].0),
            pid,
            role: Role::Client,
            local: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 40000, 1),
            remote: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 80, 1),
            service: Some("web"),
            local_id: Some("spiffe://example.org/sleeper"),
            peer_id: Some("spiffe://example.org/web"),
            local_serial: &[1],
            peer_serial: &[2],
            suite: 0x1301,
            time_ns: 1_700_000_000_000_000_000,
        };
        state.send(&ToAgent::FlowOpened(flow));
    }

    pub(crate) fn deny(&self, pid: u32) {
        let mut state = self.0.state.lock().unwrap();
        let denial = Denial {
            time_ns: 1_700_000_000_000_000_000,
            subject: Some(state.processes[&pid].0),
            pid,
            uid: 0,
            role: Role::Client,
            local: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 40000, 1),
            remote: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 80, 1),
            service: Some("web"),
            local_id: None,
            peer_id: None,
            reason: DenyReason::NoPermit,
            detail: "no permit matched",
            untold: 0,
        };
        state.send(&ToAgent::Denied(denial));
    }
}

impl State {
    fn send(&mut self, record: &ToAgent<'_>) {
        let mut buf = vec![0; 16 * 1024];
        let len = self.end.encode(record, &mut buf).unwrap();
        if let Some(socket) = &self.socket {
            // Nobody may listen any more.
            let _ = socket.send(&buf[..len]);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let command = self
            .end
            .parse(bytes)
            .expect("the agent keeps to the contract");
        assert!(self.end.accept(command.taken()));
        match command.record {
            ToKernel::Hello { .. } => self.greet(),
            ToKernel::Config(config) => {
                let generation = config.generation;
                self.send(&ToAgent::Applied {
                    generation,
                    flows_cut: 0,
                });
            }
            ToKernel::Identity {
                identity,
                spiffe_id,
            } => self.make_key(identity, spiffe_id),
            ToKernel::Svid(svid) => {
                let identity = self.identities.get_mut(&svid.identity).unwrap();
                let (key, pair) = identity.fresh.take().unwrap();
                assert_eq!(key, svid.key);
                let leaf = Leaf::parse(svid.chain.get(0).unwrap()).unwrap();
                assert_eq!(
                    leaf.public_key,
                    pair.public_key_raw(),
                    "for the key that asked"
                );
                assert_eq!(leaf.id.as_str(), identity.spiffe_id);
                identity.serials.push(leaf.serial.to_vec());
                self.send(&ToAgent::Installed {
                    identity: svid.identity,
                    key,
                    serial: leaf.serial,
                });
            }
            ToKernel::Grant {
                subject, identity, ..
            } => {
                let spiffe_id = self.identities[&identity].spiffe_id.clone();
                self.answer(subject, Some(spiffe_id));
            }
            ToKernel::Refuse { subject, .. } => self.answer(subject, None),
            ToKernel::Forget { identity } => drop(self.identities.remove(&identity)),
            ToKernel::Drain => {}
        }
    }

    fn greet(&mut self) {
        let generation = self.end.generation();
        self.send(&ToAgent::Hello {
            module_version: "test-module",
            generation,
            net_ns: 1,
        });
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        for pid in pids {
            self.announce(pid, Path::new("/replayed"));
        }
    }

    fn make_key(&mut self, identity: u32, spiffe_id: &str) {
        let pair = KeyPair::generate().unwrap();
        let csr = CertificateParams::default()
            .serialize_request(&pair)
            .unwrap();
        self.last_key += 1;
        let key = self.last_key;
        let held = self.identities.entry(identity).or_insert_with(|| Identity {
            spiffe_id: spiffe_id.to_owned(),
            fresh: None,
            serials: Vec::new(),
        });
        held.fresh = Some((key, pair));
        self.send(&ToAgent::Csr {
            identity,
            key,
            der: csr.der(),
        });
    }

    fn answer(&mut self, subject: u64, answer: Option<String>) {
        let process = self.processes.values_mut().find(|(id, _)| *id == subject);
        if let Some((_, known)) = process {
            *known = Some(answer);
        }
    }

    /// Evidence of a real process, as the module gathers it.
    fn announce(&mut self, pid: u32, exe: &Path) {
        let link = format!("/proc/{pid}/exe");
        let Ok(file) = std::fs::metadata(&link) else {
            return;
        };
        let path = std::fs::read_link(&link).unwrap_or_else(|_| exe.to_owned());
        let (uid, gid) = (file.uid(), file.gid());
        let subject = self.processes[&pid].0;
        let evidence = Evidence {
            subject,
            start_ns: boottime_ns(),
            pid,
            uid,
            gid,
            flags: EvidenceFlags::HOST_MNT,
            mnt_ns: 1,
            net_ns: 1,
            exe_dev: file.dev(),
            exe_ino: file.ino(),
            exe_size: file.len(),
            exe_ctime_ns: file.ctime() * 1_000_000_000 + file.ctime_nsec(),
            script_dev: 0,
            script_ino: 0,
            exe: path.as_os_str().as_encoded_bytes(),
            script: None,
            cwd: b"/",
            argv: b"sleeper\0",
        };
        self.send(&ToAgent::Exec(evidence));
    }
}

/// As the module takes it when it gathers evidence.
fn boottime_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (secs, ns) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    secs * 1_000_000_000 + ns
}
