//! A kernel in memory: the real end of the conversation, and the plainest possible state behind it.

use std::collections::{BTreeMap, VecDeque};

use tidelock_kabi::{
    Command, Evidence, EvidenceFlags, KernelEnd, Refused, RefusedReason, Svid, ToAgent, ToKernel,
};

use super::catalogue::Program;
use crate::measure::Digest;

/// What the kernel believes.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    end: KernelEnd,
    queue: VecDeque<Vec<u8>>,
    lost: u64,
    pub(super) queue_max: usize,
    pub(super) processes: BTreeMap<u32, Program>,
    pub(super) subjects: BTreeMap<u64, Subject>,
    pub(super) identities: BTreeMap<u32, Identity>,
    prefilter: Vec<(Option<String>, Option<u32>)>,
    last_subject: u64,
    last_key: u64,
    /// Records refused for reasons that are no race, which there should be none of.
    pub(super) complaints: Vec<String>,
    /// The next configuration is refused, as if there were no memory.
    pub(super) out_of_memory: bool,
    /// Configurations are refused for good.
    pub(super) no_configs: bool,
    /// So many requests for keys are refused.
    pub(super) no_keys: u32,
}

#[derive(Debug)]
pub(super) struct Subject {
    pub(super) pid: u32,
    pub(super) program: Program,
    adopted: bool,
    /// At which generation, and which identity.
    pub(super) answer: Option<(u64, Option<u32>)>,
    /// The hash that came with a grant; it never changes.
    pub(super) digest: Option<Digest>,
}

#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) spiffe_id: String,
    fresh: Option<u64>,
    /// Serial number and end of life, unix seconds.
    pub(super) svid: Option<(Vec<u8>, i64)>,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self {
            queue_max: usize::MAX,
            ..Self::default()
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.end.generation()
    }

    pub(super) fn reopen(&mut self) {
        self.end = self.end.reopen();
        self.queue.clear();
        self.lost = 0;
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let before = self.end;
        let outcome = before.parse(bytes).and_then(|command| {
            self.carry_out(&command)
                .map(|()| command.taken())
                .map_err(|why| Refused {
                    seq: command.seq,
                    why,
                    at: 24,
                })
        });
        match outcome {
            Ok(taken) => {
                assert!(self.end.accept(taken));
                Ok(())
            }
            Err(refused) => {
                if refused.why != RefusedReason::Unknown && refused.why != RefusedReason::NoMemory {
                    self.complaints.push(refused.to_string());
                }
                self.send(&ToAgent::Refused(refused));
                Err(())
            }
        }
    }

    pub(super) fn read(&mut self) -> Option<Vec<u8>> {
        if self.queue.is_empty() && self.lost > 0 {
            let count = std::mem::take(&mut self.lost);
            self.send(&ToAgent::Lost { count });
        }
        let mut record = self.queue.pop_front()?;
        assert!(self.end.stamp(&mut record));
        Some(record)
    }

    /// Is there room for one more record at most?
    pub(super) fn is_nearly_full(&self) -> bool {
        self.queue.len() + 1 >= self.queue_max
    }

    pub(super) fn send(&mut self, record: &ToAgent<'_>) {
        if !self.end.is_open() && !matches!(record, ToAgent::Hello { .. } | ToAgent::Refused(_)) {
            return;
        }
        if self.lost > 0 || self.queue.len() >= self.queue_max {
            self.lost += 1;
        } else {
            self.queue.push_back(record.to_vec(0).unwrap());
        }
    }

    fn carry_out(&mut self, command: &Command<'_>) -> Result<(), RefusedReason> {
        match command.record {
            ToKernel::Hello { .. } => self.hello(),
            ToKernel::Config(_) if self.no_configs => return Err(RefusedReason::BadPolicy),
            ToKernel::Config(config) => {
                if std::mem::take(&mut self.out_of_memory) {
                    return Err(RefusedReason::NoMemory);
                }
                let rule = |rule: tidelock_kabi::PrefilterEntry<'_>| {
                    (rule.exe.map(str::to_owned), rule.uid)
                };
                self.prefilter = config.prefilter.iter().map(rule).collect();
                self.sweep();
                let generation = config.generation;
                self.send(&ToAgent::Applied {
                    generation,
                    flows_cut: 0,
                });
            }
            ToKernel::Identity {
                identity,
                spiffe_id,
            } => {
                self.make_key(identity, spiffe_id)?;
            }
            ToKernel::Svid(svid) => self.install(&svid)?,
            ToKernel::Grant {
                subject,
                generation,
                identity,
                exe_sha256,
            } => {
                if !self.identities.contains_key(&identity) {
                    return Err(RefusedReason::Unknown);
                }
                self.answer(subject, generation, Some(identity))?;
                self.measured(subject, exe_sha256);
            }
            ToKernel::Refuse {
                subject,
                generation,
                ..
            } => self.answer(subject, generation, None)?,
            ToKernel::Forget { identity } => {
                self.identities
                    .remove(&identity)
                    .ok_or(RefusedReason::Unknown)?;
            }
            ToKernel::Drain => {}
        }
        Ok(())
    }

    fn make_key(&mut self, identity: u32, spiffe_id: &str) -> Result<(), RefusedReason> {
        if self.no_keys > 0 {
            self.no_keys -= 1;
            return Err(RefusedReason::NoMemory);
        }
        self.last_key += 1;
        let key = self.last_key;
        let held = self.identities.entry(identity).or_default();
        if held.spiffe_id != spiffe_id {
            *held = Identity {
                spiffe_id: spiffe_id.to_owned(),
                ..Identity::default()
            };
        }
        held.fresh = Some(key);
        self.send(&ToAgent::Csr {
            identity,
            key,
            der: &key.to_le_bytes(),
        });
        Ok(())
    }

    fn install(&mut self, svid: &Svid<'_>) -> Result<(), RefusedReason> {
        let held = self
            .identities
            .get_mut(&svid.identity)
            .ok_or(RefusedReason::Unknown)?;
        if held.fresh != Some(svid.key) {
            return Err(RefusedReason::Unknown);
        }
        let leaf = svid.chain.get(0).unwrap();
        let (serial, not_after) = leaf.split_at(8);
        held.fresh = None;
        held.svid = Some((
            serial.to_vec(),
            i64::from_le_bytes(not_after.try_into().unwrap()),
        ));
        self.send(&ToAgent::Installed {
            identity: svid.identity,
            key: svid.key,
            serial,
        });
        Ok(())
    }

    fn answer(
        &mut self,
        subject: u64,
        generation: u64,
        identity: Option<u32>,
    ) -> Result<(), RefusedReason> {
        let subject = self
            .subjects
            .get_mut(&subject)
            .ok_or(RefusedReason::Unknown)?;
        subject.answer = Some((generation, identity));
        Ok(())
    }

    fn measured(&mut self, subject: u64, digest: Option<&Digest>) {
        let subject = self.subjects.get_mut(&subject).unwrap();
        let known = subject.digest.or(digest.copied());
        assert!(digest.is_none() || digest == known.as_ref(), "it changed");
        subject.digest = known;
    }

    fn hello(&mut self) {
        let generation = self.generation();
        // The hello is accepted after it took effect; what follows is for this session all the same.
        self.queue.clear();
        let hello = ToAgent::Hello {
            module_version: "sim",
            generation,
            net_ns: 1,
        };
        self.queue.push_back(hello.to_vec(0).unwrap());
        let ids: Vec<u64> = self.subjects.keys().copied().collect();
        for id in ids {
            let record = self.exec_record(id);
            self.queue.push_back(record);
        }
    }

    pub(super) fn exec(&mut self, pid: u32, program: Program) {
        self.exit(pid);
        self.processes.insert(pid, program);
        self.govern(pid, program, false);
    }

    pub(super) fn exit(&mut self, pid: u32) {
        self.processes.remove(&pid);
        self.ungovern(pid);
    }

    fn ungovern(&mut self, pid: u32) {
        let subject = self.subjects.iter().find(|(_, subject)| subject.pid == pid);
        if let Some(subject) = subject.map(|(subject, _)| *subject) {
            self.subjects.remove(&subject);
            self.send(&ToAgent::Exit { subject, pid });
        }
    }

    fn governs(&self, program: &Program) -> bool {
        self.prefilter.iter().any(|(exe, uid)| {
            exe.as_ref().is_none_or(|exe| exe == program.exe)
                && uid.is_none_or(|uid| uid == program.uid)
        })
    }

    fn govern(&mut self, pid: u32, program: Program, adopted: bool) {
        if !self.governs(&program) {
            return;
        }
        self.last_subject += 1;
        let subject = Subject {
            pid,
            program,
            adopted,
            answer: None,
            digest: None,
        };
        self.subjects.insert(self.last_subject, subject);
        let record = self.exec_record(self.last_subject);
        let (_, exec) = ToAgent::decode(&record).unwrap();
        self.send(&exec);
    }

    fn sweep(&mut self) {
        for (pid, program) in self.processes.clone() {
            let tracked = self.subjects.values().any(|subject| subject.pid == pid);
            match (self.governs(&program), tracked) {
                (true, false) => self.govern(pid, program, true),
                (false, true) => self.ungovern(pid),
                _ => {}
            }
        }
    }

    fn exec_record(&self, id: u64) -> Vec<u8> {
        let subject = &self.subjects[&id];
        let program = subject.program;
        let mut flags = EvidenceFlags::HOST_MNT;
        if subject.adopted {
            flags = flags.with(EvidenceFlags::ADOPTED);
        }
        if !program.hashable {
            flags = flags.with(EvidenceFlags::EXE_UNHASHABLE);
        }
        let file = program.file();
        let evidence = Evidence {
            subject: id,
            start_ns: 0,
            pid: subject.pid,
            uid: program.uid,
            gid: program.uid,
            flags,
            mnt_ns: 1,
            net_ns: 1,
            exe_dev: file.dev,
            exe_ino: file.ino,
            exe_size: file.size,
            exe_ctime_ns: file.ctime_ns,
            script_dev: 0,
            script_ino: 0,
            exe: program.exe.as_bytes(),
            script: None,
            cwd: b"/",
            argv: program.exe.as_bytes(),
        };
        ToAgent::Exec(evidence).to_vec(0).unwrap()
    }
}
