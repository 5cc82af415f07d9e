//! Does what the core says, and tells it what happens.

use std::time::Duration;

use tidelock_kabi::bounds::MAX_RECORD_BYTES;
use tidelock_proto::v1::ReportRequest;
use tidelock_proto::v1::report_request::Report;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::open::{AGENT_VERSION, open};
use super::{DeviceSource, Notice, Notify, RunError, clocks};
use crate::control::{FromControl, Reporter, Signer};
use crate::core::{Agent, Backoff, Command, Input, Jitter, Output, ReopenReason, SignRequest};
use crate::device::{Device, Heard, Session, WriteError};
use crate::measure::{FileId, Look, Measurer};
use crate::node::Store;

/// Waits before the device is opened again, so that a disagreement cannot become a busy loop.
const REOPEN: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(5),
};
/// A session that held this long ends a row of reopenings.
const STABLE: Duration = Duration::from_secs(60);
/// The longest time without looking at the clock.
const MAX_SLEEP: Duration = Duration::from_secs(3600);
/// Records written before the kernel is listened to: far fewer than its queue holds.
const MAX_WRITES: usize = 64;
/// Records heard before what they call for is done.
const MAX_HEARD: usize = 1024;
const OS_RELEASE: &str = "/proc/sys/kernel/osrelease";

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) device: DeviceSource,
    pub(super) store: Store,
    pub(super) signer: Signer,
    pub(super) from_control: mpsc::Receiver<FromControl>,
    pub(super) wanted_state: mpsc::Receiver<()>,
    pub(super) generation: watch::Sender<Option<u64>>,
    pub(super) reporter: Reporter,
    pub(super) notify: Notify,
    pub(super) seed: u64,
}

/// The core and the session with the kernel, driven by one task.
pub(super) struct Driver {
    parts: Parts,
    agent: Agent,
    device: Device,
    session: Session,
    measurer: Measurer,
    /// Answers to what the core asked for, each an input.
    answers: JoinSet<Answer>,
    kernel_release: String,
    reopened: u32,
    opened: std::time::Instant,
    jitter: Jitter,
}

/// Something the core asked for.
type Answer = Input<'static>;

impl Driver {
    /// Opens the device.
    pub(super) async fn open(parts: Parts) -> Result<Self, RunError> {
        let known = parts.store.identities()?;
        let (device, session) = open(&parts.device).await?;
        let release = std::fs::read_to_string(OS_RELEASE).unwrap_or_default();
        let mut agent = Agent::new(known, parts.seed);
        agent.handle(clocks::now(), Input::Opened);
        Ok(Self {
            agent,
            device,
            session,
            measurer: Measurer::default(),
            answers: JoinSet::new(),
            kernel_release: release.trim().to_owned(),
            reopened: 0,
            opened: std::time::Instant::now(),
            jitter: Jitter::new(!parts.seed),
            parts,
        })
    }

    /// Drives until that makes no sense any more.
    pub(super) async fn run(mut self) -> RunError {
        let mut buf = vec![0; MAX_RECORD_BYTES];
        loop {
            if let Err(error) = self.step(&mut buf).await {
                return error;
            }
        }
    }

    async fn step(&mut self, buf: &mut [u8]) -> Result<(), RunError> {
        // Most writes make the kernel say something: its queue must not fill while nobody listens.
        self.listen(buf)?;
        for _ in 0..MAX_WRITES {
            match self.agent.poll() {
                Some(output) => self.carry_out(output).await?,
                None => return self.wait(buf).await,
            }
        }
        Ok(())
    }

    /// Waits for something to happen, and tells the core.
    async fn wait(&mut self, buf: &mut [u8]) -> Result<(), RunError> {
        let deadline = self.agent.next_deadline();
        let sleep = deadline.map_or(MAX_SLEEP, |at| clocks::now().mono.until(at).min(MAX_SLEEP));
        tokio::select! {
            read = self.device.read(buf) => {
                let len = read?;
                self.heard(buf.get(..len).unwrap_or_default())?;
            }
            Some(answer) = self.answers.join_next() => match answer {
                Ok(input) => self.agent.handle(clocks::now(), input),
                Err(error) => tracing::error!("a helper task ended: {error}"),
            },
            Some(told) = self.parts.from_control.recv() => self.told(told),
            Some(()) = self.parts.wanted_state.recv() => {
                let state = Report::State(self.agent.node_state());
                self.report(clocks::now().wall_unix_ns, state);
            }
            () = tokio::time::sleep(sleep) => self.agent.handle_timeout(clocks::now()),
        }
        Ok(())
    }

    /// Hears what the kernel has to say at the moment, within bounds: a flood of events must not keep
    /// the agent from answering.
    fn listen(&mut self, buf: &mut [u8]) -> Result<(), RunError> {
        for _ in 0..MAX_HEARD {
            match self.device.try_read(buf)? {
                Some(len) => self.heard(buf.get(..len).unwrap_or_default())?,
                None => break,
            }
        }
        Ok(())
    }

    fn heard(&mut self, record: &[u8]) -> Result<(), RunError> {
        let now = clocks::now();
        match self.session.handle(record).map_err(RunError::Contract)? {
            Heard::Record(record) => {
                tracing::trace!(?record, "heard");
                self.agent.handle(now, Input::Kernel(record));
                let generation = Some(self.agent.generation());
                self.parts.generation.send_if_modified(|known| {
                    let news = *known != generation;
                    *known = generation;
                    news
                });
            }
            Heard::Refused(command, refused) => {
                let why = refused.why;
                self.agent.handle(now, Input::Refused { command, why });
            }
        }
        Ok(())
    }

    fn told(&mut self, told: FromControl) {
        let now = clocks::now();
        match told {
            FromControl::Up => self.agent.handle(now, Input::ControlUp),
            FromControl::Desired(desired) => self.agent.handle(now, Input::Desired(desired)),
            FromControl::Unusable(error) => {
                tracing::error!("the control plane's update is not used: {error}");
                let reason = format!("update not used: {error}");
                let refused = tidelock_proto::v1::RecordRefused { reason };
                self.report(now.wall_unix_ns, Report::RecordRefused(refused));
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Result<(), RunError> {
        match output {
            Output::Write(command) => self.write(command).await?,
            Output::Measure { subject, pid, file } => self.measure(subject, pid, file),
            Output::Look { subject, look } => self.look(subject, look),
            Output::Sign(request) => self.sign(request),
            Output::Report {
                time_unix_ns,
                report,
            } => self.report(time_unix_ns, *report),
            Output::Remember(known) => {
                let store = self.parts.store.clone();
                let kept = tokio::task::spawn_blocking(move || store.keep_identities(&known)).await;
                kept.map_err(|_| RunError::Ended)??;
            }
            Output::Reopen(why) => self.reopen(why).await?,
            Output::Notice(notice) => (self.parts.notify)(Notice::Core(notice)),
        }
        Ok(())
    }

    async fn write(&mut self, command: Command) -> Result<(), RunError> {
        tracing::debug!("{command}");
        let (pending, bytes) = match self.session.encode(&command) {
            Ok(encoded) => encoded,
            Err(unsent) => {
                let refused = Input::Refused {
                    command: Some(command),
                    why: unsent.why,
                };
                self.agent.handle(clocks::now(), refused);
                return Ok(());
            }
        };
        match self.device.write(&bytes).await {
            Ok(()) => self.session.accepted(pending),
            Err(WriteError::Gone(error)) => return Err(error.into()),
            Err(WriteError::Refused(error)) => {
                tracing::debug!("{command} was refused: {error}; the kernel says why in a moment");
                self.session.refused(command);
            }
        }
        Ok(())
    }

    fn measure(&mut self, subject: u64, pid: u32, file: FileId) {
        if let Some(digest) = self.measurer.cached(&file) {
            let answer = Ok(digest);
            self.agent.handle(
                clocks::now(),
                Input::Measured {
                    subject,
                    file,
                    answer,
                },
            );
            return;
        }
        let measurer = self.measurer.clone();
        self.answers.spawn(async move {
            let answer = measurer.measure(pid, file).await;
            Input::Measured {
                subject,
                file,
                answer,
            }
        });
    }

    fn look(&mut self, subject: u64, look: Look) {
        let measurer = self.measurer.clone();
        self.answers.spawn(async move {
            let answer = measurer.look(look).await;
            Input::Looked { subject, answer }
        });
    }

    fn sign(&mut self, request: SignRequest) {
        let signer = self.parts.signer.clone();
        self.answers.spawn(async move {
            let answer = signer.sign(&request).await;
            let SignRequest { identity, key, .. } = request;
            Input::Signed {
                identity,
                key,
                answer,
            }
        });
    }

    fn report(&mut self, time_unix_ns: u64, mut report: Report) {
        if let Report::State(state) = &mut report {
            state.agent_version = AGENT_VERSION.into();
            state.kernel_release.clone_from(&self.kernel_release);
        }
        self.parts.reporter.report(ReportRequest {
            time_unix_ns,
            report: Some(report),
        });
    }

    async fn reopen(&mut self, why: ReopenReason) -> Result<(), RunError> {
        self.reopened = if self.opened.elapsed() > STABLE {
            1
        } else {
            self.reopened + 1
        };
        let wait = REOPEN.wait(self.reopened, &mut self.jitter);
        tracing::warn!("{why}: opening the device again in {} ms", wait.as_millis());
        tokio::time::sleep(wait).await;
        // Only one can hold the device: the old session ends first.
        self.device.close();
        (self.device, self.session) = open(&self.parts.device).await?;
        self.opened = std::time::Instant::now();
        self.agent.handle(clocks::now(), Input::Opened);
        Ok(())
    }
}
