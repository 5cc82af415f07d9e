//! Kernel, agent and control plane together on one virtual clock.

use std::time::Duration;

use tidelock_proto::v1::report_request::Report;

use super::catalogue::{Plan, Program, digest};
use super::control::Control;
use super::kernel::Kernel;
use crate::core::{
    Agent, Command, Input, Jitter, KnownIdentity, Mono, Notice, Now, Output, SignRequest,
};
use crate::device::{Heard, Session};
use crate::measure::{FileId, HashError, Look, LookError};

const NS: u64 = 1_000_000_000;
/// More than any stretch of time needs: beyond it the agent is in a busy loop.
const MAX_STEPS: u32 = 20_000;

/// Something that the agent asked for and has not been given yet.
#[derive(Debug)]
enum Asked {
    Sign(SignRequest),
    Measure {
        subject: u64,
        pid: u32,
        file: FileId,
    },
    Look {
        subject: u64,
        look: Look,
    },
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Now,
    pub(super) kernel: Kernel,
    pub(super) control: Control,
    pub(super) agent: Agent,
    session: Session,
    asked: Vec<(Mono, Asked)>,
    /// What survives an agent.
    known: Vec<KnownIdentity>,
    /// Answers to what the agent asks take up to this long, and so overtake each other.
    pub(super) slowness: Duration,
    chance: Jitter,
    pub(super) reports: Vec<Report>,
    pub(super) notices: Vec<Notice>,
    pub(super) reopened: u32,
    /// Plans that the control plane had to say while it was down reach the agent when it is up.
    told: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            now: Now {
                mono: Mono(NS),
                wall_unix_ns: 1_700_000_000 * NS,
            },
            kernel: Kernel::new(),
            control: Control::new(),
            agent: Agent::new(Vec::new(), seed),
            session: Session::default(),
            asked: Vec::new(),
            known: Vec::new(),
            slowness: Duration::from_millis(50),
            chance: Jitter::new(seed ^ 0x55),
            reports: Vec::new(),
            notices: Vec::new(),
            reopened: 0,
            told: 0,
        };
        world.open();
        world
    }

    /// How many things about processes the agent asked for and was not told yet.
    pub(super) fn asked(&self) -> usize {
        let asked = self.asked.iter().map(|(_, asked)| asked);
        asked
            .filter(|asked| !matches!(asked, Asked::Sign(_)))
            .count()
    }

    pub(super) fn apply(&mut self, plan: Plan) {
        self.control.apply(plan);
        self.run();
    }

    pub(super) fn exec(&mut self, pid: u32, program: Program) {
        self.kernel.exec(pid, program);
        self.run();
    }

    pub(super) fn exit(&mut self, pid: u32) {
        self.kernel.exit(pid);
        self.run();
    }

    pub(super) fn control_up(&mut self, up: bool) {
        let back = up && !self.control.up;
        self.control.up = up;
        if back {
            self.agent.handle(self.now, Input::ControlUp);
        }
        self.run();
    }

    /// The agent is killed, and another one started.
    pub(super) fn restart_agent(&mut self) {
        self.agent = Agent::new(self.known.clone(), self.now.mono.0);
        self.asked.clear();
        self.told = 0;
        self.open();
        self.run();
    }

    pub(super) fn jump_wall_clock(&mut self, secs: u64) {
        self.now.wall_unix_ns += secs * NS;
        self.run();
    }

    /// Lets time pass, doing what is due on the way.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.mono.after(span);
        self.run();
        for steps in 0.. {
            assert!(
                steps < MAX_STEPS,
                "a deadline does not move: {:?}",
                self.agent
            );
            let due = self.asked.iter().map(|(at, _)| *at);
            let next = due.chain(self.agent.next_deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.step_to(next.max(self.now.mono));
        }
        self.step_to(end);
    }

    fn step_to(&mut self, at: Mono) {
        // A deadline that does not move would loop for ever: time always goes on a little.
        let at = at.max(Mono(self.now.mono.0 + 1000));
        self.now.wall_unix_ns += at.0 - self.now.mono.0;
        self.now.mono = at;
        self.agent.handle_timeout(self.now);
        self.run();
    }

    /// Does everything that can be done without time passing.
    pub(super) fn run(&mut self) {
        for rounds in 0.. {
            assert!(
                rounds < MAX_STEPS,
                "it never comes to rest: {:?}",
                self.agent
            );
            self.do_outputs();
            let idle = !self.hear() & !self.deliver() & !self.tell_plan();
            if idle {
                return;
            }
        }
    }

    fn open(&mut self) {
        self.kernel.reopen();
        self.session = Session::default();
        let (pending, bytes) = self.session.hello("sim").unwrap();
        self.kernel.write(&bytes).unwrap();
        self.session.accepted(pending);
        self.agent.handle(self.now, Input::Opened);
    }

    fn do_outputs(&mut self) {
        while let Some(output) = self.agent.poll() {
            let due = self.now.mono.after(self.chance.up_to(self.slowness));
            match output {
                Output::Write(command) => {
                    // Like the driver, the agent listens before it writes what makes the kernel talk.
                    if self.kernel.is_nearly_full() {
                        while self.hear() {}
                    }
                    self.write(command);
                }
                Output::Measure { subject, pid, file } => {
                    self.asked
                        .push((due, Asked::Measure { subject, pid, file }));
                }
                Output::Look { subject, look } => {
                    self.asked.push((due, Asked::Look { subject, look }));
                }
                Output::Sign(request) => self.asked.push((due, Asked::Sign(request))),
                Output::Report { report, .. } => self.reports.push(*report),
                Output::Remember(known) => self.known = known,
                Output::Reopen(_) => {
                    self.reopened += 1;
                    self.open();
                }
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    fn write(&mut self, command: Command) {
        match self.session.encode(&command) {
            Ok((pending, bytes)) => match self.kernel.write(&bytes) {
                Ok(()) => {
                    self.session.accepted(pending);
                    self.check(&command);
                }
                Err(()) => self.session.refused(command),
            },
            Err(unsent) => {
                let why = unsent.why;
                self.kernel.complaints.push(format!("{command}: {why}"));
                self.agent.handle(
                    self.now,
                    Input::Refused {
                        command: Some(command),
                        why,
                    },
                );
            }
        }
    }

    /// Safety, at every answer: it is what the plan of the generation in force says.
    fn check(&self, command: &Command) {
        let (Command::Grant { subject, .. } | Command::Refuse { subject, .. }) = command else {
            return;
        };
        let subject = &self.kernel.subjects[subject];
        let Some((generation, identity)) = subject.answer else {
            panic!("answered");
        };
        let granted = identity.map(|identity| self.kernel.identities[&identity].spiffe_id.clone());
        let expected = self.control.plans[&generation].expects(&subject.program);
        // Refusing is always safe; whether it is right shows when all is quiet.
        if granted.is_some() {
            assert_eq!(granted, expected, "{command}");
        }
    }

    fn hear(&mut self) -> bool {
        let Some(record) = self.kernel.read() else {
            return false;
        };
        match self.session.handle(&record).unwrap() {
            Heard::Record(record) => self.agent.handle(self.now, Input::Kernel(record)),
            Heard::Refused(command, refused) => {
                let why = refused.why;
                self.agent.handle(self.now, Input::Refused { command, why });
            }
        }
        true
    }

    fn deliver(&mut self) -> bool {
        let now = self.now;
        let Some(at) = self.asked.iter().position(|(due, _)| *due <= now.mono) else {
            return false;
        };
        match self.asked.swap_remove(at).1 {
            Asked::Sign(request) => {
                let answer = self.control.sign(&request, now.unix_secs());
                let (identity, key) = (request.identity, request.key);
                self.agent.handle(
                    now,
                    Input::Signed {
                        identity,
                        key,
                        answer,
                    },
                );
            }
            Asked::Look { subject, look } => {
                let answer = match self.kernel.processes.get(&look.pid) {
                    None => Err(LookError::Gone),
                    Some(program) if program.file().ino != look.ino || program.uid != look.uid => {
                        Err(LookError::Changed)
                    }
                    Some(program) => Ok(program.surroundings()),
                };
                self.agent.handle(now, Input::Looked { subject, answer });
            }
            Asked::Measure { subject, pid, file } => {
                // The pid may be another's by now.
                let answer = match self.kernel.processes.get(&pid) {
                    None => Err(HashError::Gone),
                    Some(program) if program.file() == file => Ok(digest(program.content)),
                    Some(program) => Err(HashError::Changed {
                        executed: file,
                        found: program.file(),
                    }),
                };
                self.agent.handle(
                    now,
                    Input::Measured {
                        subject,
                        file,
                        answer,
                    },
                );
            }
        }
        true
    }

    fn tell_plan(&mut self) -> bool {
        if !self.control.up || self.told == self.control.generation {
            return false;
        }
        self.told = self.control.generation;
        if let Some(plan) = self.control.plan() {
            let desired = plan.desired(self.told, &self.control.revoked);
            self.agent.handle(self.now, Input::Desired(desired));
        }
        true
    }

    /// Liveness: once all is quiet and the control plane there, everything is as the plan says.
    pub(super) fn settled(&mut self) {
        self.control_up(true);
        self.pass(Duration::from_secs(90));
        self.run();
        assert_eq!(
            self.kernel.complaints, [""; 0],
            "records refused without a race"
        );
        let Some(plan) = self.control.plan() else {
            return;
        };
        assert_eq!(self.kernel.generation(), self.control.generation);
        let now = self.now.unix_secs();
        let mut held: Vec<_> = self.kernel.identities.values().collect();
        held.sort_by(|a, b| a.spiffe_id.cmp(&b.spiffe_id));
        let names: Vec<_> = held
            .iter()
            .map(|identity| identity.spiffe_id.clone())
            .collect();
        let programs = self.kernel.subjects.values();
        let expected = plan.spiffe_ids(programs.map(|subject| &subject.program));
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            names, expected,
            "every identity of the plan, and no other, is in the kernel"
        );
        for identity in held {
            let (_, not_after) = identity.svid.as_ref().expect("every identity has an SVID");
            assert!(*not_after > now, "{} has expired", identity.spiffe_id);
        }
        for (id, subject) in &self.kernel.subjects {
            let (generation, identity) = subject.answer.expect("every process is answered");
            assert_eq!(generation, self.control.generation, "subject {id}");
            let granted =
                identity.map(|identity| self.kernel.identities[&identity].spiffe_id.clone());
            assert_eq!(granted, plan.expects(&subject.program), "subject {id}");
        }
    }
}
