//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::numbers::{ms, percentile};

/// What is revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Svid,
    Identity,
    Node,
    Authority,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Svid, Self::Identity, Self::Node, Self::Authority];

    fn as_str(self) -> &'static str {
        match self {
            Self::Svid => "svid",
            Self::Identity => "identity",
            Self::Node => "node",
            Self::Authority => "authority",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long it took from the request, over all rounds.
#[derive(Debug, Default)]
pub(super) struct Delays {
    /// Until it was answered; one for each round.
    pub(super) answered: Vec<Duration>,
    /// Until the word of the reset was here, of an authority that of the last; one for each round.
    pub(super) reset: Vec<Duration>,
    /// Until a simulated agent had heard; one for each round and agent.
    pub(super) heard: Vec<Duration>,
}

/// The latest round.
impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = |all: &[Duration]| ms(all.last().copied().unwrap_or_default());
        let (answered, reset) = (last(&self.answered), last(&self.reset));
        write!(f, "answered in {answered:.1} ms, reset in {reset:.1} ms")
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(super) agents: usize,
    pub(super) rounds: usize,
    pub(super) load: bool,
    /// In the order of [`Kind::ALL`].
    pub(super) delays: [Delays; 4],
    /// To the guest's program and back.
    pub(super) round_trips: Vec<Duration>,
}

/// p50, p99 and the last, in milliseconds.
fn three(values: &[Duration]) -> [f64; 3] {
    [50, 99, 100].map(|of_100| ms(percentile(values, of_100)))
}

impl Numbers {
    fn every_reset(&self) -> Vec<Duration> {
        let all = self.delays.iter().flat_map(|one| &one.reset);
        all.copied().collect()
    }

    /// The JSON form.
    pub(crate) fn json(&self) -> Value {
        let kinds = Kind::ALL.into_iter().zip(&self.delays);
        let of_kind = |(kind, one): (Kind, &Delays)| {
            let value = json!({"answered_ms": three(&one.answered), "reset_ms": three(&one.reset), "heard_ms": three(&one.heard)});
            (kind.as_str().to_owned(), value)
        };
        json!({
            "agents": self.agents,
            "rounds_of_each_kind": self.rounds,
            "load": self.load,
            "p50_p99_max_of": kinds.map(of_kind).collect::<serde_json::Map<_, _>>(),
            "every_reset_ms": three(&self.every_reset()),
            "round_trip_ms": three(&self.round_trips),
        })
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = if self.load { ", under load" } else { "" };
        let (agents, rounds) = (self.agents, self.rounds);
        writeln!(f, "{agents} agents, {rounds} rounds of each kind{load}\n")?;
        writeln!(
            f,
            "{:<14}{:>10}{:>12}{:>10}{:>10}{:>16}{:>10}{:>10}",
            "ms until", "answered", "reset p50", "p99", "max", "all heard p50", "p99", "max"
        )?;
        for (kind, one) in Kind::ALL.into_iter().zip(&self.delays) {
            let ([answered, ..], [r50, r99, rmax]) = (three(&one.answered), three(&one.reset));
            let [h50, h99, hmax] = three(&one.heard);
            writeln!(
                f,
                "{:<14}{answered:>10.1}{r50:>12.1}{r99:>10.1}{rmax:>10.1}{h50:>16.1}{h99:>10.1}{hmax:>10.1}",
                kind.as_str()
            )?;
        }
        for (name, values) in [
            ("every reset", &self.every_reset()),
            ("guest and back", &self.round_trips),
        ] {
            let [p50, p99, max] = three(values);
            writeln!(f, "{name:<14}{:>10}{p50:>12.1}{p99:>10.1}{max:>10.1}", "")?;
        }
        Ok(())
    }
}
