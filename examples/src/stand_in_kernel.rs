//! A kernel in memory, behind a datagram socket in place of `/dev/tidelock`: it keeps keys and tells of processes, as the module does,
//! and enforces nothing.
//!
//! [`tidelock_kabi::KernelEnd`] holds the order of the conversation; what is here is what a kernel does with it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::KeyPair;
use tidelock_agent::DeviceSource;
use tidelock_agent::device::Device;
use tidelock_kabi::bounds::MAX_RECORD_BYTES;
use tidelock_kabi::{Evidence, EvidenceFlags, KernelEnd, ToAgent, ToKernel};
use tidelock_spiffe_core::x509::Leaf;
use tokio::net::UnixDatagram;
use tokio::sync::watch;

use crate::issue::Failure;

/// The number of the only process that it tells of.
const SUBJECT: u64 = 1;

/// What became of the process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// The identity that the agent granted, or that it refused one.
    pub(crate) answer: Option<Answer>,
    /// The SPIFFE IDs that there is an SVID for, by their identities' numbers.
    pub(crate) installed: BTreeMap<u32, String>,
}

/// What the agent decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It is granted the identity of this number.
    Granted(u32),
    /// It has none.
    Refused,
}

/// The kernel. Clones are the same one.
#[derive(Clone)]
pub(crate) struct StandIn(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    told: watch::Sender<Told>,
}

#[derive(Default)]
struct State {
    end: KernelEnd,
    socket: Option<Arc<UnixDatagram>>,
    /// Identities by number: SPIFFE ID, and the key that waits for its SVID.
    identities: BTreeMap<u32, (String, KeyPair)>,
    keys_made: u64,
}

impl StandIn {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            told: watch::Sender::default(),
        }))
    }

    /// What the agent opens in place of `/dev/tidelock`, in a tokio runtime.
    pub(crate) fn device(&self) -> DeviceSource {
        let kernel = self.clone();
        DeviceSource::Open(Arc::new(move || {
            let pair = UnixDatagram::pair().and_then(|(ours, theirs)| {
                let theirs = theirs.into_std()?;
                Ok((Arc::new(ours), theirs))
            });
            let (ours, theirs) =
                pair.map_err(|source| tidelock_agent::device::DeviceError::Open {
                    path: "a socket".into(),
                    source,
                })?;
            {
                let mut state = kernel.state();
                state.end = state.end.reopen();
                state.socket = Some(Arc::clone(&ours));
            }
            let session = kernel.clone().serve(ours);
            tokio::spawn(async move {
                if let Err(why) = session.await {
                    eprintln!("the stand-in for a kernel gave up: {why}");
                }
            });
            Device::from_fd(theirs.into())
        }))
    }

    /// What was told, now and from now on.
    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.0.told.subscribe()
    }

    /// Tells the agent that this very process runs its program.
    pub(crate) async fn announce_this_process(&self) -> Result<(), Failure> {
        let exe = std::fs::read_link("/proc/self/exe")?;
        let file = std::fs::metadata("/proc/self/exe")?;
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let evidence = Evidence {
            subject: SUBJECT,
            start_ns: boot.tv_sec.unsigned_abs() * 1_000_000_000 + boot.tv_nsec.unsigned_abs(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            flags: EvidenceFlags::HOST_MNT,
            mnt_ns: 1,
            net_ns: 1,
            exe_dev: file.dev(),
            exe_ino: file.ino(),
            exe_size: file.len(),
            exe_ctime_ns: file.ctime() * 1_000_000_000 + file.ctime_nsec(),
            script_dev: 0,
            script_ino: 0,
            exe: exe.as_os_str().as_encoded_bytes(),
            script: None,
            cwd: b"/",
            argv: b"embedded_node\0",
        };
        let (record, socket) = {
            let mut state = self.state();
            let record = state.encode(&ToAgent::Exec(evidence))?;
            (record, state.socket.clone())
        };
        let socket = socket.ok_or("the agent has not opened the device")?;
        socket.send(&record).await?;
        Ok(())
    }

    /// One session: a record in, at most one out.
    async fn serve(self, socket: Arc<UnixDatagram>) -> Result<(), Failure> {
        let mut buffer = vec![0; MAX_RECORD_BYTES];
        // Until the agent has closed its end.
        while let Ok(len) = socket.recv(&mut buffer).await {
            let record = buffer.get(..len).ok_or("a record beyond the buffer")?;
            if let Some(answer) = self.take(record)? {
                socket.send(&answer).await?;
            }
        }
        Ok(())
    }

    fn take(&self, record: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut state = self.state();
        let record = state.end.handle(record).map_err(|why| why.to_string())?;
        let told = &self.0.told;
        let answer = match record {
            ToKernel::Hello { .. } => {
                let generation = state.end.generation();
                state.encode(&ToAgent::Hello {
                    module_version: "stand-in",
                    generation,
                    net_ns: 1,
                })?
            }
            ToKernel::Config(config) => state.encode(&ToAgent::Applied {
                generation: config.generation,
                flows_cut: 0,
            })?,
            ToKernel::Identity {
                identity,
                spiffe_id,
            } => state.make_key(identity, spiffe_id)?,
            ToKernel::Svid(svid) => {
                let (id, key) = (state.identities.get(&svid.identity)).ok_or("no such identity")?;
                let leaf = Leaf::parse(svid.chain.get(0).ok_or("an empty chain")?)?;
                if leaf.id.as_str() != id || leaf.public_key != key.public_key_raw() {
                    return Err("an SVID for another key".into());
                }
                told.send_modify(|told| drop(told.installed.insert(svid.identity, id.clone())));
                state.encode(&ToAgent::Installed {
                    identity: svid.identity,
                    key: svid.key,
                    serial: leaf.serial,
                })?
            }
            ToKernel::Grant { identity, .. } => {
                told.send_modify(|told| told.answer = Some(Answer::Granted(identity)));
                return Ok(None);
            }
            ToKernel::Refuse { .. } => {
                told.send_modify(|told| told.answer = Some(Answer::Refused));
                return Ok(None);
            }
            ToKernel::Forget { .. } | ToKernel::Drain => return Ok(None),
        };
        Ok(Some(answer))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn encode(&mut self, record: &ToAgent<'_>) -> Result<Vec<u8>, Failure> {
        let mut buffer = vec![0; MAX_RECORD_BYTES];
        let len = self.end.encode(record, &mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// A key is born here and never leaves; what goes out is a request for its SVID.
    fn make_key(&mut self, identity: u32, spiffe_id: &str) -> Result<Vec<u8>, Failure> {
        let pair = KeyPair::generate()?;
        let csr = tidelock_ca::request(&pair)?;
        self.keys_made += 1;
        let key = self.keys_made;
        self.identities
            .insert(identity, (spiffe_id.to_owned(), pair));
        self.encode(&ToAgent::Csr {
            identity,
            key,
            der: &csr,
        })
    }
}
