//! Identities of this node: a key in the kernel each, and a certificate that is always renewed in time.

mod filled;
mod life;
mod number;

use std::collections::BTreeMap;
use std::mem;

use tidelock_kabi::{RefusedReason, Serial};
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{Svid, SvidGone};

use self::life::{Held, Identity, Phase};
use super::clock::{Jitter, Mono, Now};
use super::command::Command;
use super::entry::Entry;
use super::io::{KnownIdentity, Output, SignFailure, SignedSvid};
use super::out::Out;

/// Every identity that the kernel holds or is to hold, by its number.
#[derive(Debug)]
pub(super) struct Identities {
    wanted: BTreeMap<u32, Identity>,
    /// Not wanted any more; wiped once no configuration in force needs them.
    leaving: BTreeMap<u32, KnownIdentity>,
    /// Those of `wanted` that templates gave single processes, and since when none has them.
    filled: BTreeMap<u32, Option<Mono>>,
    /// The authorities whose certificates need no renewal before their time; none: all of them.
    issuers: Vec<Vec<u8>>,
    /// Certificates that are believed no more; sorted.
    revoked: Vec<Serial>,
    jitter: Jitter,
}

impl Identities {
    /// None wanted yet; `known` are those that an earlier agent left in the kernel.
    pub(super) fn new(known: Vec<KnownIdentity>, jitter: Jitter) -> Self {
        let leaving = known.into_iter().map(|known| (known.number, known));
        Self {
            wanted: BTreeMap::new(),
            leaving: leaving.collect(),
            filled: BTreeMap::new(),
            issuers: Vec::new(),
            revoked: Vec::new(),
            jitter,
        }
    }

    /// Makes the entries' identities, and only them, the wanted ones; asks the kernel for keys of new ones. What templates gave
    /// processes stays as long as it still comes of them.
    pub(super) fn want(&mut self, now: Now, entries: &[Entry], out: &mut Out) {
        let mut before = mem::take(&mut self.wanted);
        let filled_before = mem::take(&mut self.filled);
        let mut fresh = Vec::new();
        for entry in entries {
            for id in self.ids(entry, &before) {
                let number = self.assign(&entry.id, &id, &before);
                self.leaving.remove(&number);
                if entry.spiffe_id().is_none() {
                    let idle = filled_before.get(&number).copied();
                    self.filled.insert(number, idle.unwrap_or(Some(now.mono)));
                }
                let identity = match before.remove(&number) {
                    Some(mut identity) => {
                        identity.retime(entry.ttl_secs, now);
                        identity
                    }
                    None => {
                        fresh.push(number);
                        Identity::new(number, entry, &id, now)
                    }
                };
                self.wanted.insert(number, identity);
            }
        }
        let left = before.into_iter().map(|(number, old)| (number, old.known));
        self.leaving.extend(left);
        if !fresh.is_empty() {
            out.push(Output::Remember(self.known()));
        }
        for number in fresh {
            self.ask(number, now, out);
        }
    }

    /// A number for an identity, which nothing else has that the kernel may hold.
    fn assign(&self, entry: &str, id: &str, before: &BTreeMap<u32, Identity>) -> u32 {
        let taken = |known: &KnownIdentity| known.entry != entry || known.spiffe_id != id;
        number::assign(entry, id, |number| {
            self.wanted.contains_key(&number)
                || before.get(&number).is_some_and(|old| taken(&old.known))
                || self.leaving.get(&number).is_some_and(taken)
        })
    }

    /// Renews at once what another authority than these signed, now and when more of it is installed.
    pub(super) fn believe(&mut self, now: Now, issuers: &[Vec<u8>]) {
        self.issuers = issuers.to_vec();
        for identity in self.wanted.values_mut() {
            identity.renew_unless(&self.issuers, now);
        }
    }

    /// Renews at once what is revoked, now and when it is installed.
    pub(super) fn disbelieve(&mut self, now: Now, revoked: &[Serial]) {
        self.revoked = revoked.to_vec();
        for identity in self.wanted.values_mut() {
            identity.renew_if_revoked(&self.revoked, now);
        }
    }

    /// Has the kernel wipe what is no longer wanted. Call when no configuration in force needs it.
    pub(super) fn forget_leaving(&mut self, now: Now, out: &mut Out) {
        if self.leaving.is_empty() {
            return;
        }
        for (number, gone) in mem::take(&mut self.leaving) {
            forgotten(number, gone, now, out);
        }
        out.push(Output::Remember(self.known()));
    }

    /// The kernel began a new session: what was on its way may be lost. `fresh_kernel`: it holds nothing.
    pub(super) fn opened(&mut self, fresh_kernel: bool, now: Now, out: &mut Out) {
        let lost: Vec<u32> = self
            .wanted
            .iter()
            .filter(|(_, identity)| fresh_kernel || !identity.is_settled())
            .map(|(number, _)| *number)
            .collect();
        for number in lost {
            self.ask(number, now, out);
        }
    }

    /// A key was made and asks for a certificate.
    pub(super) fn csr(&mut self, number: u32, key: u64, der: &[u8], out: &mut Out) {
        if let Some(identity) = self.wanted.get_mut(&number) {
            out.push(Output::Sign(identity.sign(key, der.to_vec())));
        }
    }

    /// The control plane signed, or did not.
    pub(super) fn signed(
        &mut self,
        number: u32,
        key: u64,
        answer: Result<SignedSvid, SignFailure>,
        now: Now,
        out: &mut Out,
    ) {
        if let Some(identity) = self.wanted.get_mut(&number)
            && identity.signs(key)
        {
            match identity.signed(answer, now, &mut self.jitter) {
                Ok(chain) => out.push(Output::Write(Command::Svid {
                    identity: number,
                    key,
                    chain,
                })),
                Err(failure) => {
                    let entry = &identity.known.entry;
                    tracing::warn!(entry, "no SVID: {failure}");
                }
            }
        }
    }

    /// The kernel uses a certificate.
    pub(super) fn installed(
        &mut self,
        number: u32,
        key: u64,
        serial: &[u8],
        now: Now,
        out: &mut Out,
    ) {
        if let Some(identity) = self.wanted.get_mut(&number)
            && let Some(held) = identity.installed(key, serial, now, &mut self.jitter)
        {
            identity.renew_unless(&self.issuers, now);
            identity.renew_if_revoked(&self.revoked, now);
            let report = Report::SvidInstalled(svid(&identity.known, &held));
            out.report(now, report);
        }
    }

    /// The kernel refused a record about an identity.
    pub(super) fn refused(&mut self, command: &Command, why: RefusedReason, now: Now) {
        let (Command::Identity { identity, .. } | Command::Svid { identity, .. }) = command else {
            return;
        };
        if let Some(known) = self.wanted.get_mut(identity) {
            known.refused(now, &mut self.jitter);
            let entry = &known.known.entry;
            tracing::warn!(entry, "the kernel refused {command}: {why}");
        }
    }

    /// The control plane can be reached: nobody has to wait longer for it.
    pub(super) fn control_up(&mut self, out: &mut Out) {
        for identity in self.wanted.values_mut() {
            out.extend(identity.retry_signing().map(Output::Sign));
        }
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self, now: Now, out: &mut Out) {
        let due: Vec<u32> = self
            .wanted
            .iter()
            .filter(|(_, identity)| identity.is_due(now))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let retried = self
                .wanted
                .get_mut(&number)
                .and_then(Identity::retry_signing);
            match retried {
                Some(request) => out.push(Output::Sign(request)),
                None => self.ask(number, now, out),
            }
        }
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Mono> {
        self.wanted
            .values()
            .filter_map(|identity| identity.deadline(now))
            .min()
    }

    /// The number of the identity that an entry gives by this SPIFFE ID.
    fn number_of(&self, entry: &str, id: &str) -> Option<u32> {
        self.wanted
            .values()
            .find(|identity| identity.known.entry == entry && identity.known.spiffe_id == id)
            .map(|identity| identity.known.number)
    }

    /// The certificates in use.
    pub(super) fn report(&self) -> Vec<Svid> {
        self.wanted
            .values()
            .filter_map(|identity| Some(svid(&identity.known, identity.held.as_ref()?)))
            .collect()
    }

    fn ask(&mut self, number: u32, now: Now, out: &mut Out) {
        if let Some(identity) = self.wanted.get_mut(&number) {
            identity.phase = Phase::asked(now);
            out.push(Output::Write(Command::Identity {
                identity: number,
                spiffe_id: identity.known.spiffe_id.clone(),
            }));
        }
    }

    fn known(&self) -> Vec<KnownIdentity> {
        let wanted = self.wanted.values().map(|identity| &identity.known);
        wanted.chain(self.leaving.values()).cloned().collect()
    }
}

/// Has the kernel wipe an identity, and tells of it.
fn forgotten(number: u32, gone: KnownIdentity, now: Now, out: &mut Out) {
    out.push(Output::Write(Command::Forget { identity: number }));
    let gone = SvidGone {
        entry_id: gone.entry,
        spiffe_id: gone.spiffe_id,
    };
    out.report(now, Report::SvidGone(gone));
}

fn svid(known: &KnownIdentity, held: &Held) -> Svid {
    Svid {
        entry_id: known.entry.clone(),
        spiffe_id: known.spiffe_id.clone(),
        serial: held.serial.clone(),
        not_before_unix_secs: held.not_before,
        not_after_unix_secs: held.not_after,
    }
}
