//! Processes of this node and what they were answered.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_kabi::DenyReason;
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{Grant, GrantEnded, Process as ProcessReport};

use super::appraise::{Appraised, Fact, Facts, appraise};
use super::clock::{Mono, Now};
use super::command::Command;
use super::desired::Desired;
use super::entry::Entry;
use super::filled::Unfilled;
use super::holders::{Holders, Telling};
use super::identities::Identities;
use super::io::Output;
use super::out::Out;
use super::process::Process;
use crate::measure::{Digest, FileId, HashError, LookError, Surroundings};

/// How often an answer that the kernel refused is given again before it is given up until the next generation.
const MAX_ANSWERS: u32 = 5;
/// How long to wait before giving it again.
const ANSWER_AGAIN: Duration = Duration::from_secs(1);
/// How long a process waits for room that there was not, before it is looked whether there is.
const ROOM_AGAIN: Duration = Duration::from_secs(10);

/// Every governed process that the kernel told of in this session.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    by_id: BTreeMap<u64, Subject>,
    /// Processes whose answer the kernel refused, and when to answer again.
    again: BTreeMap<u64, Mono>,
    /// Of which identities these processes are.
    pub(super) holders: Holders,
    telling: Telling,
}

/// What appraisal is done against.
pub(super) struct Reference<'a> {
    /// The state in force.
    pub(super) desired: &'a Desired,
    /// The identities to grant.
    pub(super) identities: &'a mut Identities,
}

#[derive(Debug)]
struct Subject {
    process: Process,
    facts: Facts,
    /// The generation at which it was last answered; 0: never.
    answered: u64,
    grant: Option<Granted>,
    /// Answers that the kernel refused at this generation.
    refusals: u32,
    /// At which generation an entry matched that could give it no identity, and why. The kernel was told.
    unfilled: Option<(u64, Unfilled)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Granted {
    number: u32,
    entry: String,
    spiffe_id: String,
    generation: u64,
    at_unix_ns: u64,
    took_ns: u64,
}

impl Subjects {
    /// A process runs a program.
    pub(super) fn exec(
        &mut self,
        process: Process,
        reference: Option<Reference<'_>>,
        now: Now,
        out: &mut Out,
    ) {
        let id = process.subject;
        let digest = if process.is_hashable() {
            Fact::Unknown
        } else {
            Fact::Settled(None)
        };
        let surroundings = Fact::Unknown;
        self.again.remove(&id);
        let before = self.by_id.remove(&id);
        let subject = Subject {
            process,
            facts: Facts {
                digest,
                surroundings,
            },
            answered: 0,
            grant: before.and_then(|before| before.grant),
            refusals: 0,
            unfilled: None,
        };
        self.by_id.insert(id, subject);
        if let Some(mut reference) = reference {
            self.appraise(id, &mut reference, now, out);
        }
    }

    /// A process ended.
    pub(super) fn exit(&mut self, id: u64, now: Now, out: &mut Out) {
        self.again.remove(&id);
        if let Some(Subject {
            grant: Some(grant), ..
        }) = self.by_id.remove(&id)
        {
            self.holders.moved(Some(grant.number), None);
            ended(id, grant.entry, "the process ended", now, out);
        }
    }

    /// A file was hashed, or could not be.
    pub(super) fn measured(
        &mut self,
        id: u64,
        file: FileId,
        answer: Result<Digest, HashError>,
        reference: Option<Reference<'_>>,
        now: Now,
        out: &mut Out,
    ) {
        let Some(subject) = self.by_id.get_mut(&id) else {
            return;
        };
        if subject.facts.digest != Fact::Asked || subject.process.file != file {
            return;
        }
        if let Err(error) = answer {
            let pid = subject.process.pid;
            tracing::warn!(subject = id, pid, "the executed file has no hash: {error}");
        }
        subject.facts.digest = Fact::Settled(answer.ok());
        if let Some(mut reference) = reference {
            self.appraise(id, &mut reference, now, out);
        }
    }

    /// It was seen what a process belongs to, or could not be.
    pub(super) fn looked(
        &mut self,
        id: u64,
        answer: Result<Surroundings, LookError>,
        reference: Option<Reference<'_>>,
        now: Now,
        out: &mut Out,
    ) {
        let Some(subject) = self.by_id.get_mut(&id) else {
            return;
        };
        if subject.facts.surroundings != Fact::Asked {
            return;
        }
        if let Err(error) = &answer {
            let pid = subject.process.pid;
            tracing::warn!(
                subject = id,
                pid,
                "what it belongs to is not known: {error}"
            );
        }
        subject.facts.surroundings = Fact::Settled(answer.ok());
        if let Some(mut reference) = reference {
            self.appraise(id, &mut reference, now, out);
        }
    }

    /// Appraises every process that was not yet answered at the generation in force.
    pub(super) fn appraise_all(&mut self, reference: Reference<'_>, now: Now, out: &mut Out) {
        let generation = reference.desired.generation;
        let open = |subject: &Subject| subject.answered != generation;
        self.appraise_where(open, reference, now, out);
    }

    /// Appraises every process whose answer the kernel refused: what it lacked it may have now.
    pub(super) fn appraise_refused(&mut self, reference: Reference<'_>, now: Now, out: &mut Out) {
        self.appraise_where(|subject| subject.refusals > 0, reference, now, out);
    }

    fn appraise_where(
        &mut self,
        wanted: impl Fn(&Subject) -> bool,
        mut reference: Reference<'_>,
        now: Now,
        out: &mut Out,
    ) {
        let mut ids = Vec::new();
        for (id, subject) in &mut self.by_id {
            if wanted(subject) {
                subject.refusals = 0;
                ids.push(*id);
            }
        }
        for id in ids {
            self.again.remove(&id);
            self.appraise(id, &mut reference, now, out);
        }
    }

    /// The kernel refused an answer: it is given again in a while, unless that was tried often enough.
    pub(super) fn refused(&mut self, id: u64, now: Now) {
        let Some(subject) = self.by_id.get_mut(&id) else {
            return;
        };
        subject.answered = 0;
        subject.unfilled = None;
        subject.refusals += 1;
        if subject.refusals < MAX_ANSWERS {
            self.again.insert(id, now.mono.after(ANSWER_AGAIN));
        }
    }

    /// Answers again where that is due.
    pub(super) fn timeout(&mut self, reference: Option<Reference<'_>>, now: Now, out: &mut Out) {
        let Some(mut reference) = reference else {
            return;
        };
        let due = self.again.iter().filter(|(_, at)| **at <= now.mono);
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.again.remove(&id);
            self.appraise(id, &mut reference, now, out);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.again.values().min().copied()
    }

    /// A process as reports name it; as far as we know it.
    pub(super) fn describe(&self, id: u64) -> Option<ProcessReport> {
        self.by_id.get(&id).map(|subject| subject.process.report())
    }

    /// Every grant.
    pub(super) fn report(&self) -> Vec<Grant> {
        self.by_id
            .values()
            .filter_map(|subject| Some(report(&subject.process, subject.grant.as_ref()?)))
            .collect()
    }

    fn appraise(&mut self, id: u64, reference: &mut Reference<'_>, now: Now, out: &mut Out) {
        let Some(subject) = self.by_id.get_mut(&id) else {
            return;
        };
        let Desired {
            generation,
            entries,
            ..
        } = reference.desired;
        let generation = *generation;
        if subject.answered == generation {
            return;
        }
        let policies = reference.desired.asks_for_digests;
        let matched = match appraise(entries, &subject.process, &subject.facts, policies) {
            Appraised::Needs(needs) => {
                if needs.digest && subject.facts.digest.ask() {
                    out.push(Output::Measure {
                        subject: id,
                        pid: subject.process.pid,
                        file: subject.process.file,
                    });
                }
                if needs.surroundings && subject.facts.surroundings.ask() {
                    let look = subject.process.look();
                    out.push(Output::Look { subject: id, look });
                }
                return;
            }
            Appraised::Matched(entry) => Some(entry),
            Appraised::NoMatch => None,
        };
        let held = subject.grant.as_ref().map(|grant| grant.number);
        match matched.map(|entry| (entry, subject.identity(entry, reference, now, out))) {
            Some((_, Ok(Some(grant)))) => {
                (subject.answered, subject.unfilled) = (generation, None);
                subject.grant(grant, now, out);
            }
            Some((entry, Err(why))) => {
                if subject.unfilled != Some((generation, why)) {
                    subject.unfilled = Some((generation, why));
                    const ENDED: &str = "its identity gives the process no SPIFFE ID any more";
                    subject.refuse(generation, ENDED, now, out);
                    let process = subject.process.report();
                    self.telling.refused(process, &entry.id, why, now, out);
                }
                subject.answered = if why.may_pass() { 0 } else { generation };
                if why.may_pass() {
                    self.again.insert(id, now.mono.after(ROOM_AGAIN));
                }
            }
            None | Some((_, Ok(None))) => {
                (subject.answered, subject.unfilled) = (generation, None);
                const ENDED: &str = "no identity matches the process any more";
                subject.refuse(generation, ENDED, now, out);
            }
        }
        let holds = subject.grant.as_ref().map(|grant| grant.number);
        self.holders.moved(held, holds);
    }
}

impl Subject {
    /// What an entry that it matches gives it; `None`: the entry has no identity yet.
    fn identity(
        &self,
        entry: &Entry,
        reference: &mut Reference<'_>,
        now: Now,
        out: &mut Out,
    ) -> Result<Option<Granted>, Unfilled> {
        let spiffe_id = entry.id_of(&self.process, self.facts.surroundings.known())?;
        let identities = &mut *reference.identities;
        let number = identities.number_for(entry, &spiffe_id, now, out)?;
        Ok(number.map(|number| Granted {
            number,
            entry: entry.id.clone(),
            spiffe_id: spiffe_id.into_owned(),
            generation: reference.desired.generation,
            at_unix_ns: now.wall_unix_ns,
            took_ns: self.process.waited_ns(now),
        }))
    }

    fn refuse(&mut self, generation: u64, ended_why: &str, now: Now, out: &mut Out) {
        let subject = self.process.subject;
        out.push(Output::Write(Command::Refuse {
            subject,
            generation,
            reason: DenyReason::NotGranted,
        }));
        if let Some(before) = self.grant.take() {
            ended(subject, before.entry, ended_why, now, out);
        }
    }

    /// Grants; tells of it if it is another grant than before.
    fn grant(&mut self, mut grant: Granted, now: Now, out: &mut Out) {
        let id = self.process.subject;
        out.push(Output::Write(Command::Grant {
            subject: id,
            generation: grant.generation,
            identity: grant.number,
            exe_sha256: self.facts.digest.known().copied(),
        }));
        match self.grant.take() {
            Some(before) if before.number == grant.number => {
                (grant.at_unix_ns, grant.took_ns) = (before.at_unix_ns, before.took_ns);
            }
            before => {
                if let Some(before) = before {
                    ended(
                        id,
                        before.entry,
                        "another identity matches better",
                        now,
                        out,
                    );
                }
                out.report(now, Report::Granted(report(&self.process, &grant)));
            }
        }
        self.grant = Some(grant);
    }
}

fn report(process: &Process, grant: &Granted) -> Grant {
    Grant {
        process: Some(process.report()),
        entry_id: grant.entry.clone(),
        spiffe_id: grant.spiffe_id.clone(),
        generation: grant.generation,
        granted_unix_ns: grant.at_unix_ns,
        took_ns: grant.took_ns,
    }
}

fn ended(subject: u64, entry_id: String, reason: &str, now: Now, out: &mut Out) {
    let reason = reason.to_owned();
    out.report(
        now,
        Report::GrantEnded(GrantEnded {
            subject,
            entry_id,
            reason,
        }),
    );
}
