//! The life of one identity: a key is asked for, signed for, installed, and in time asked for again.

use std::time::Duration;

use tidelock_kabi::Serial;

use super::super::clock::{Backoff, Jitter, Mono, Now};
use super::super::entry::Entry;
use super::super::io::{KnownIdentity, SignFailure, SignRequest, SignedSvid};

/// How long the kernel may take to make a key or to install a certificate. Keys take milliseconds; under
/// emulation, tens of them.
const KERNEL_WAIT: Duration = Duration::from_secs(10);
/// Waits after a refusal by control plane or kernel.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(10),
};
/// How long to wait for word that the control plane is back before trying all the same.
const UNREACHABLE_WAIT: Duration = Duration::from_secs(30);
/// The least time between two certificates of one identity, whatever their life.
const MIN_RENEWAL_SECS: u64 = 1;
/// The wall clock can be set: what is due by it is looked at again this often.
const WALL_CHECK: Duration = Duration::from_secs(10);
const NS_PER_SEC: u64 = 1_000_000_000;

/// One identity.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) known: KnownIdentity,
    pub(super) phase: Phase,
    /// The certificate in use.
    pub(super) held: Option<Held>,
    ttl_secs: u32,
    /// In a row.
    failures: u32,
}

/// A certificate that the kernel uses.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) serial: Vec<u8>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    issuer: Vec<u8>,
}

/// What is being waited for.
#[derive(Debug)]
pub(super) enum Phase {
    /// The kernel, for a key.
    Asked { until: Mono },
    /// The control plane, for a certificate.
    Signing { key: u64, csr: Vec<u8> },
    /// Time, to ask the control plane again.
    Waiting { key: u64, csr: Vec<u8>, until: Mono },
    /// The kernel, to use the certificate.
    Installing {
        key: u64,
        not_before: i64,
        not_after: i64,
        issuer: Vec<u8>,
        until: Mono,
    },
    /// Time, to ask the kernel again for a key.
    Pausing { until: Mono },
    /// The wall clock, to renew.
    Holding { renew_unix_ns: u64 },
}

impl Phase {
    pub(super) fn asked(now: Now) -> Self {
        Self::Asked {
            until: now.mono.after(KERNEL_WAIT),
        }
    }
}

impl Identity {
    pub(super) fn new(number: u32, entry: &Entry, spiffe_id: &str, now: Now) -> Self {
        Self {
            known: KnownIdentity {
                number,
                entry: entry.id.clone(),
                spiffe_id: spiffe_id.to_owned(),
            },
            phase: Phase::asked(now),
            held: None,
            ttl_secs: entry.ttl_secs,
            failures: 0,
        }
    }

    /// Takes another life of certificates; the next one then comes at once.
    pub(super) fn retime(&mut self, ttl_secs: u32, now: Now) {
        if self.ttl_secs != ttl_secs {
            self.ttl_secs = ttl_secs;
            if let Phase::Holding { renew_unix_ns } = &mut self.phase {
                *renew_unix_ns = now.wall_unix_ns;
            }
        }
    }

    /// Renews a certificate that none of these authorities signed as soon as may be.
    pub(super) fn renew_unless(&mut self, issuers: &[Vec<u8>], now: Now) {
        let foreign = |held: &Held| !issuers.is_empty() && !issuers.contains(&held.issuer);
        if let Phase::Holding { renew_unix_ns } = &mut self.phase
            && self.held.as_ref().is_some_and(foreign)
        {
            let soon = now
                .wall_unix_ns
                .saturating_add(MIN_RENEWAL_SECS * NS_PER_SEC);
            *renew_unix_ns = soon.min(*renew_unix_ns);
        }
    }

    /// Has a certificate that is revoked replaced as soon as may be: the kernel does not use it any more.
    pub(super) fn renew_if_revoked(&mut self, revoked: &[Serial], now: Now) {
        let is_revoked = |held: &Held| {
            Serial::new(&held.serial).is_some_and(|serial| revoked.binary_search(&serial).is_ok())
        };
        if let Phase::Holding { renew_unix_ns } = &mut self.phase
            && self.held.as_ref().is_some_and(is_revoked)
        {
            *renew_unix_ns = now.wall_unix_ns.min(*renew_unix_ns);
        }
    }

    /// Is nothing on its way to or from the kernel?
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Holding { .. })
    }

    /// Begins to have a key signed. A newer key takes the place of an older one, as it does in the kernel.
    pub(super) fn sign(&mut self, key: u64, csr: Vec<u8>) -> SignRequest {
        let request = self.request(key, csr.clone());
        self.phase = Phase::Signing { key, csr };
        request
    }

    /// Tries again now, if the control plane is what is being waited for.
    pub(super) fn retry_signing(&mut self) -> Option<SignRequest> {
        if let Phase::Waiting { key, csr, .. } = &mut self.phase {
            let (key, csr) = (*key, std::mem::take(csr));
            return Some(self.sign(key, csr));
        }
        None
    }

    fn request(&self, key: u64, csr: Vec<u8>) -> SignRequest {
        SignRequest {
            identity: self.known.number,
            key,
            entry: self.known.entry.clone(),
            spiffe_id: self.known.spiffe_id.clone(),
            csr,
        }
    }

    /// Is it this key that a certificate is being waited for?
    pub(super) fn signs(&self, key: u64) -> bool {
        matches!(self.phase, Phase::Signing { key: own, .. } if own == key)
    }

    /// Takes the control plane's answer; the chain to install.
    pub(super) fn signed(
        &mut self,
        answer: Result<SignedSvid, SignFailure>,
        now: Now,
        jitter: &mut Jitter,
    ) -> Result<Vec<Vec<u8>>, SignFailure> {
        let Phase::Signing { key, csr } = &mut self.phase else {
            return Err(unasked());
        };
        let (key, csr) = (*key, std::mem::take(csr));
        match answer.and_then(|svid| self.check(svid, now)) {
            Ok(svid) => {
                self.phase = Phase::Installing {
                    key,
                    not_before: svid.not_before,
                    not_after: svid.not_after,
                    issuer: svid.issuer,
                    until: now.mono.after(KERNEL_WAIT),
                };
                Ok(svid.chain)
            }
            Err(failure) => {
                let wait = match failure {
                    SignFailure::Unreachable => UNREACHABLE_WAIT,
                    SignFailure::Refused { .. } => self.failed(jitter),
                };
                let until = now.mono.after(wait);
                self.phase = Phase::Waiting { key, csr, until };
                Err(failure)
            }
        }
    }

    /// A certificate for somebody else, or that is over, is of no use.
    fn check(&self, svid: SignedSvid, now: Now) -> Result<SignedSvid, SignFailure> {
        let refuse = |why| Err(SignFailure::Refused { why });
        if svid.spiffe_id != self.known.spiffe_id {
            return refuse(format!("the certificate names `{}`", svid.spiffe_id));
        }
        if svid.not_after <= now.unix_secs() {
            return refuse("the certificate has expired already: are the clocks right?".into());
        }
        Ok(svid)
    }

    /// The kernel uses the certificate of this key; it, if that is news.
    pub(super) fn installed(
        &mut self,
        key: u64,
        serial: &[u8],
        now: Now,
        jitter: &mut Jitter,
    ) -> Option<Held> {
        let Phase::Installing {
            key: own,
            not_before,
            not_after,
            ref mut issuer,
            ..
        } = self.phase
        else {
            return None;
        };
        if own != key {
            return None;
        }
        let issuer = std::mem::take(issuer);
        self.failures = 0;
        self.phase = Phase::Holding {
            renew_unix_ns: renewal(not_before, not_after, now, jitter),
        };
        self.held = Some(Held {
            serial: serial.to_vec(),
            not_before,
            not_after,
            issuer,
        });
        self.held.clone()
    }

    /// The kernel refused to make a key or to take a certificate: begin again, later.
    pub(super) fn refused(&mut self, now: Now, jitter: &mut Jitter) {
        let until = now.mono.after(self.failed(jitter));
        self.phase = Phase::Pausing { until };
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        match self.phase {
            Phase::Holding { renew_unix_ns } => renew_unix_ns <= now.wall_unix_ns,
            Phase::Signing { .. } => false,
            Phase::Asked { until }
            | Phase::Waiting { until, .. }
            | Phase::Installing { until, .. }
            | Phase::Pausing { until } => until <= now.mono,
        }
    }

    pub(super) fn deadline(&self, now: Now) -> Option<Mono> {
        match self.phase {
            Phase::Holding { renew_unix_ns } => {
                let left = renew_unix_ns.saturating_sub(now.wall_unix_ns);
                let wait = Duration::from_nanos(left).min(WALL_CHECK);
                Some(now.mono.after(wait))
            }
            Phase::Signing { .. } => None,
            Phase::Asked { until }
            | Phase::Waiting { until, .. }
            | Phase::Installing { until, .. }
            | Phase::Pausing { until } => Some(until),
        }
    }

    fn failed(&mut self, jitter: &mut Jitter) -> Duration {
        self.failures = self.failures.saturating_add(1);
        RETRY.wait(self.failures, jitter)
    }
}

/// When to renew: at half of the life that is left, up to a tenth of it earlier.
///
/// Counted from now where `not_before` is dated back: the back-dating is for others' clocks, and half of a
/// life of which most is over already would be in the past.
fn renewal(not_before: i64, not_after: i64, now: Now, jitter: &mut Jitter) -> u64 {
    let from = secs(not_before).saturating_mul(NS_PER_SEC);
    let from = from.max(now.wall_unix_ns);
    let life = secs(not_after)
        .saturating_mul(NS_PER_SEC)
        .saturating_sub(from);
    let early = jitter.up_to(Duration::from_nanos(life / 10));
    let early = u64::try_from(early.as_nanos()).unwrap_or(0);
    let wait = (life / 2).saturating_sub(early);
    from.saturating_add(wait.max(MIN_RENEWAL_SECS * NS_PER_SEC))
}

fn secs(unix_secs: i64) -> u64 {
    u64::try_from(unix_secs).unwrap_or(0)
}

fn unasked() -> SignFailure {
    SignFailure::Refused {
        why: "nobody asked".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now {
            mono: Mono(secs * NS_PER_SEC),
            wall_unix_ns: secs * NS_PER_SEC,
        }
    }

    #[test]
    fn renewal_is_at_half_life_and_jitter_only_makes_it_earlier() {
        let mut jitter = Jitter::new(3);
        for _ in 0..1000 {
            let due = renewal(1000, 1100, at(1000), &mut jitter);
            assert!(
                due > 1040 * NS_PER_SEC - 1 && due <= 1050 * NS_PER_SEC,
                "{due}"
            );
        }
    }

    #[test]
    fn a_back_dated_certificate_is_renewed_at_half_of_what_is_left() {
        let due = renewal(0, 1010, at(1000), &mut Jitter::new(3));
        assert!(
            (1004 * NS_PER_SEC..=1005 * NS_PER_SEC).contains(&due),
            "{due}"
        );
    }

    #[test]
    fn a_certificate_that_is_nearly_over_is_not_renewed_without_pause() {
        let due = renewal(0, 1000, at(1000), &mut Jitter::new(3));
        assert_eq!(due, 1001 * NS_PER_SEC);
    }

    #[test]
    fn what_an_authority_signed_that_is_not_to_be_relied_on_is_renewed_at_once() {
        let held = Held {
            serial: vec![1],
            not_before: 0,
            not_after: 9000,
            issuer: b"old".to_vec(),
        };
        let due = |issuers: &[&[u8]], phase: Phase| {
            let mut identity = Identity {
                known: KnownIdentity {
                    number: 1,
                    entry: "a".into(),
                    spiffe_id: "spiffe://td/a".into(),
                },
                phase,
                held: Some(held.clone()),
                ttl_secs: 60,
                failures: 0,
            };
            let issuers: Vec<_> = issuers.iter().map(|issuer| issuer.to_vec()).collect();
            identity.renew_unless(&issuers, at(10));
            identity.is_due(at(11))
        };
        let holding = || Phase::Holding {
            renew_unix_ns: 5000 * NS_PER_SEC,
        };
        assert!(due(&[b"new"], holding()));
        assert!(!due(&[b"old", b"new"], holding()));
        assert!(!due(&[], holding()), "nothing is known of authorities");
        assert!(!due(&[b"new"], Phase::asked(at(10))), "it is on its way");
    }

    #[test]
    fn a_clock_that_is_set_ahead_is_noticed() {
        let mut identity = Identity {
            known: KnownIdentity {
                number: 1,
                entry: "a".into(),
                spiffe_id: "spiffe://td/a".into(),
            },
            phase: Phase::Holding {
                renew_unix_ns: 5000 * NS_PER_SEC,
            },
            held: None,
            ttl_secs: 60,
            failures: 0,
        };
        let looks = identity.deadline(at(10)).unwrap();
        assert_eq!(looks, at(10).mono.after(WALL_CHECK));
        let jumped = Now {
            wall_unix_ns: 6000 * NS_PER_SEC,
            ..at(20)
        };
        assert!(identity.is_due(jumped));
        identity.phase = Phase::asked(at(20));
        assert!(!identity.is_due(jumped));
    }
}
