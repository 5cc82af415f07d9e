//! The agent's state machine.

use std::sync::Arc;

use tidelock_kabi::{RefusedReason, ToAgent};
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{ConfigApplied, NodeState, RecordRefused, RecordsLost};

use super::clock::{Jitter, Mono, Now};
use super::command::Command;
use super::config::{Configs, Step};
use super::desired::Desired;
use super::flows::{self, Flows};
use super::identities::Identities;
use super::io::{Input, KnownIdentity, Notice, Output, ReopenReason, refusal_text};
use super::out::Out;
use super::process::Process;
use super::subjects::{Reference, Subjects};

/// What the agent knows and decides. It does no I/O: give it what happens, and do what it says, in order.
///
/// Nothing is granted but against the configuration that the kernel enforces; while another one is on its
/// way, answers wait for it.
#[derive(Debug)]
pub struct Agent {
    now: Now,
    module_version: String,
    configs: Configs,
    identities: Identities,
    subjects: Subjects,
    flows: Flows,
    out: Out,
}

impl Agent {
    /// An agent that has heard nothing yet. `known` are the identities that an earlier one left in the
    /// kernel, as it last said with [`Output::Remember`]; `seed` spreads renewals.
    #[must_use]
    pub fn new(known: Vec<KnownIdentity>, seed: u64) -> Self {
        Self {
            now: Now::default(),
            module_version: String::new(),
            configs: Configs::default(),
            identities: Identities::new(known, Jitter::new(seed)),
            subjects: Subjects::default(),
            flows: Flows::default(),
            out: Out::default(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Opened => self.opened(),
            Input::Kernel(record) => self.kernel(&record),
            Input::Refused { command, why } => self.refused(command, why),
            Input::Desired(desired) => self.desired(desired),
            Input::ControlUp => self.identities.control_up(&mut self.out),
            Input::Signed {
                identity,
                key,
                answer,
            } => {
                self.identities
                    .signed(identity, key, answer, now, &mut self.out);
            }
            Input::Measured {
                subject,
                file,
                answer,
            } => {
                let (subjects, reference, out) = self.appraisal();
                subjects.measured(subject, file, answer, reference, now, out);
            }
            Input::Looked { subject, answer } => {
                let (subjects, reference, out) = self.appraisal();
                subjects.looked(subject, answer, reference, now, out);
            }
        }
        self.tell_holders();
    }

    /// Does what is due at or before `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        if let Some(generation) = self.configs.overdue(now) {
            self.out
                .push(Output::Reopen(ReopenReason::NotApplied { generation }));
            // Said once: nothing more is decided until the device is open again.
            self.configs.opened();
        }
        self.advance();
        self.identities.timeout(now, &mut self.out);
        let (subjects, reference, out) = self.appraisal();
        subjects.timeout(reference, now, out);
        self.tell_holders();
        // While answers wait for a configuration, nobody knows who will hold what.
        if self.configs.settled().is_some() {
            self.identities.forget_idle(now, &mut self.out);
        }
    }

    /// Takes the next thing to do, oldest first.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When to call [`Agent::handle_timeout`] next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        [
            self.identities.next_deadline(self.now),
            self.subjects.next_deadline(),
            self.configs.next_deadline(),
            self.configs
                .settled()
                .and_then(|_| self.identities.idle_deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The generation that the kernel enforces; 0: none, or not known yet.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.configs.generation()
    }

    /// All that the control plane should know of this node. The versions are the caller's to fill in,
    /// except the module's.
    #[must_use]
    pub fn node_state(&self) -> NodeState {
        NodeState {
            module_version: self.module_version.clone(),
            applied_generation: self.configs.generation(),
            grants: self.subjects.report(),
            svids: self.identities.report(),
            flows: self.flows.report(),
            ..NodeState::default()
        }
    }

    fn opened(&mut self) {
        self.out.drop_session();
        self.configs.opened();
        self.subjects = Subjects::default();
        self.flows = Flows::default();
    }

    fn kernel(&mut self, record: &ToAgent<'_>) {
        let now = self.now;
        match record {
            ToAgent::Hello {
                module_version,
                generation,
                ..
            } => self.hello(module_version, *generation),
            ToAgent::Exec(evidence) => {
                let process = Process::new(evidence);
                let (subjects, reference, out) = self.appraisal();
                subjects.exec(process, reference, now, out);
            }
            ToAgent::Exit { subject, .. } => self.subjects.exit(*subject, now, &mut self.out),
            ToAgent::Csr { identity, key, der } => {
                self.identities.csr(*identity, *key, der, &mut self.out);
                // The kernel has this identity for sure now.
                let (subjects, reference, out) = self.appraisal();
                if let Some(reference) = reference {
                    subjects.appraise_refused(reference, now, out);
                }
            }
            ToAgent::Installed {
                identity,
                key,
                serial,
            } => {
                self.identities
                    .installed(*identity, *key, serial, now, &mut self.out);
            }
            ToAgent::Applied {
                generation,
                flows_cut,
            } => self.applied(*generation, *flows_cut),
            ToAgent::FlowOpened(flow) => self.flows.opened(flow, &self.subjects, &mut self.out),
            ToAgent::FlowClosed(closed) => self.flows.closed(closed, &mut self.out),
            ToAgent::Denied(denial) => {
                if denial.untold > 0 {
                    let count = denial.untold;
                    self.out
                        .report(now, Report::RecordsLost(RecordsLost { count }));
                }
                flows::denied(denial, &self.subjects, &mut self.out);
            }
            ToAgent::Refused(refused) => self.refused(None, refused.why),
            ToAgent::Lost { count } => {
                self.out
                    .report(now, Report::RecordsLost(RecordsLost { count: *count }));
                self.out
                    .push(Output::Reopen(ReopenReason::Lost { count: *count }));
            }
        }
    }

    fn hello(&mut self, module_version: &str, generation: u64) {
        self.module_version = module_version.to_owned();
        let fresh_kernel = self.configs.hello(generation);
        self.identities.restart_idle(self.now);
        self.identities
            .opened(fresh_kernel, self.now, &mut self.out);
        // What we said of this node before may be over; what lives is told anew.
        self.out.report(self.now, Report::State(self.node_state()));
        self.advance();
    }

    fn desired(&mut self, desired: Arc<Desired>) {
        if !self.configs.offer(Arc::clone(&desired)) {
            return;
        }
        for (entry, why) in &desired.skipped {
            let (entry, why) = (entry.clone(), why.to_string());
            let reason = format!("identity {entry}: {why}");
            self.out
                .report(self.now, Report::RecordRefused(RecordRefused { reason }));
            self.out
                .push(Output::Notice(Notice::EntrySkipped { entry, why }));
        }
        self.advance();
    }

    /// Sends the newest configuration, if it is not on its way or in force. Identities go first: grants
    /// need them.
    fn advance(&mut self) {
        match self.configs.step(self.now) {
            Step::None => {}
            Step::Send(desired) => {
                self.want(&desired);
                self.out.push(Output::Write(Command::Config(desired)));
            }
            Step::InForce(desired) => {
                self.want(&desired);
                self.in_force(&desired, None);
            }
            Step::WouldRollBack { offered, in_force } => {
                let reason =
                    format!("generation {offered} is older than {in_force}, which is in force");
                self.out
                    .report(self.now, Report::RecordRefused(RecordRefused { reason }));
                self.out
                    .push(Output::Notice(Notice::WouldRollBack { offered, in_force }));
            }
        }
    }

    fn want(&mut self, desired: &Desired) {
        let (identities, out) = (&mut self.identities, &mut self.out);
        identities.want(self.now, &desired.entries, out);
        identities.used(self.now, |number| self.subjects.holders.hold(number));
        identities.believe(self.now, &desired.issuers);
        identities.disbelieve(self.now, &desired.revoked);
    }

    fn applied(&mut self, generation: u64, flows_cut: u64) {
        let report = ConfigApplied {
            generation,
            flows_cut,
        };
        self.out.report(self.now, Report::ConfigApplied(report));
        if let Some(desired) = self.configs.applied(generation) {
            self.in_force(&desired, Some(flows_cut));
        }
        self.advance();
    }

    fn in_force(&mut self, desired: &Desired, flows_cut: Option<u64>) {
        let now = self.now;
        let (subjects, reference, out) = self.appraisal();
        if let Some(reference) = reference {
            subjects.appraise_all(reference, now, out);
        }
        self.identities.forget_leaving(now, &mut self.out);
        self.out.push(Output::Notice(Notice::InForce {
            generation: desired.generation,
            identities: desired.entries.len(),
            services: desired.service_ranges(),
            flows_cut,
        }));
        // Grants carry the generation that they were last confirmed at.
        self.out.report(now, Report::State(self.node_state()));
    }

    fn refused(&mut self, command: Option<Command>, why: RefusedReason) {
        let now = self.now;
        // Answers cross with ends of processes, and what is to be forgotten may be gone: not worth a word.
        let expected = why == RefusedReason::Unknown
            && matches!(
                command,
                Some(Command::Grant { .. } | Command::Refuse { .. } | Command::Forget { .. })
            );
        if !expected {
            let reason = refusal_text(command.as_ref(), why);
            tracing::warn!("the kernel refused a record: {reason}");
            self.out
                .report(now, Report::RecordRefused(RecordRefused { reason }));
        }
        match command {
            Some(Command::Config(desired)) => self.config_refused(&desired, why),
            Some(Command::Grant { subject, .. } | Command::Refuse { subject, .. }) => {
                if why == RefusedReason::WrongGeneration {
                    self.out.push(Output::Reopen(ReopenReason::WrongGeneration));
                }
                self.subjects.refused(subject, now);
            }
            Some(command) => self.identities.refused(&command, why, now),
            None => {}
        }
    }

    fn config_refused(&mut self, desired: &Desired, why: RefusedReason) {
        let generation = desired.generation;
        let again = matches!(why, RefusedReason::NoMemory | RefusedReason::Internal);
        self.configs.refused(generation, again, self.now);
        self.out
            .push(Output::Notice(Notice::ConfigRefused { generation, why }));
        if let Some(in_force) = self.configs.in_force().cloned() {
            self.want(&in_force);
            self.identities.forget_leaving(self.now, &mut self.out);
        }
        // What waited for this configuration is answered by the one before.
        let now = self.now;
        let (subjects, reference, out) = self.appraisal();
        if let Some(reference) = reference {
            subjects.appraise_all(reference, now, out);
        }
        self.advance();
    }

    fn tell_holders(&mut self) {
        let holders = &mut self.subjects.holders;
        if holders.take_changed() {
            self.identities
                .used(self.now, |number| holders.hold(number));
        }
    }

    /// The processes, what to appraise them against, and where the answers go.
    fn appraisal(&mut self) -> (&mut Subjects, Option<Reference<'_>>, &mut Out) {
        let identities = &mut self.identities;
        let reference = self.configs.settled().map(|desired| Reference {
            desired,
            identities,
        });
        (&mut self.subjects, reference, &mut self.out)
    }
}
