//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// How long it took until agents had heard, over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    /// Until the request was answered; one for each round.
    pub(crate) answered: Vec<Duration>,
    /// Until an agent had heard; one for each round and agent.
    pub(crate) heard: Vec<Duration>,
    /// The longest update that an agent heard it by.
    pub(crate) most_bytes: usize,
}

/// Resident memory of the control plane, in KiB.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) idle: u64,
    /// It knows the nodes; none is connected.
    pub(crate) nodes_known: u64,
    pub(crate) connected: u64,
    pub(crate) after_rounds: u64,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) agents: usize,
    pub(crate) rounds: usize,
    pub(crate) documents: usize,
    /// Of what an agent is sent first, which is everything.
    pub(crate) snapshot_bytes: usize,
    pub(crate) attesting: Duration,
    pub(crate) connecting: Duration,
    pub(crate) revoked: Delays,
    pub(crate) changed: Delays,
    pub(crate) memory: Memory,
}

/// The value that so many of a hundred do not exceed (nearest rank); zero of nothing.
pub(crate) fn percentile(values: &[Duration], of_100: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * of_100).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

impl Delays {
    /// Answered in the middle, heard at p50, p99 and the last, in milliseconds.
    fn row(&self) -> [f64; 4] {
        let heard = |of_100| ms(percentile(&self.heard, of_100));
        let answered = ms(percentile(&self.answered, 50));
        [answered, heard(50), heard(99), heard(100)]
    }

    fn json(&self) -> Value {
        let [answered, p50, p99, max] = self.row();
        json!({"answered_p50_ms": answered, "heard_p50_ms": p50, "heard_p99_ms": p99, "heard_max_ms": max,
               "bytes": self.most_bytes})
    }
}

impl Memory {
    /// What an agent takes that is connected, its two streams with it.
    fn each(&self, agents: usize) -> u64 {
        let agents = u64::try_from(agents).unwrap_or(u64::MAX).max(1);
        self.connected.saturating_sub(self.nodes_known) / agents
    }
}

impl Numbers {
    /// The JSON form.
    pub(crate) fn json(&self) -> Value {
        let memory = &self.memory;
        json!({
            "agents": self.agents,
            "rounds": self.rounds,
            "documents_of_each_kind": self.documents,
            "snapshot_bytes": self.snapshot_bytes,
            "attesting_secs": self.attesting.as_secs_f64(),
            "connecting_secs": self.connecting.as_secs_f64(),
            "svid_revoked": self.revoked.json(),
            "identity_changed": self.changed.json(),
            "resident_kib": {
                "idle": memory.idle,
                "nodes_known": memory.nodes_known,
                "connected": memory.connected,
                "each_agent": memory.each(self.agents),
                "after_rounds": memory.after_rounds,
            },
        })
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            agents,
            rounds,
            documents,
            memory,
            ..
        } = self;
        writeln!(
            f,
            "{agents} agents, {documents} documents of each kind, snapshots of {} bytes; {rounds} rounds",
            self.snapshot_bytes
        )?;
        let [attesting, connecting] = [self.attesting, self.connecting].map(|t| t.as_secs_f64());
        writeln!(
            f,
            "attested in {attesting:.1} s, connected in {connecting:.1} s\n"
        )?;
        writeln!(
            f,
            "{:<32}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "ms until", "answered", "p50", "p99", "max", "bytes"
        )?;
        for (name, delays) in [
            ("each hears of a revoked SVID", &self.revoked),
            ("each has a changed identity", &self.changed),
        ] {
            write!(f, "{name:<32}")?;
            delays
                .row()
                .iter()
                .try_for_each(|ms| write!(f, "{ms:>10.1}"))?;
            writeln!(f, "{:>10}", delays.most_bytes)?;
        }
        writeln!(f, "\n{:<32}{:>10}", "resident memory", "MiB")?;
        for (name, kib) in [
            ("idle, no nodes", memory.idle),
            ("nodes known, none connected", memory.nodes_known),
            ("all connected", memory.connected),
            ("after all rounds", memory.after_rounds),
        ] {
            writeln!(f, "{name:<32}{:>10.1}", kib as f64 / 1024.0)?;
        }
        writeln!(
            f,
            "{:<32}{:>10.3}",
            "each connected agent",
            memory.each(*agents) as f64 / 1024.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let of = |of_100| percentile(&values, of_100).as_millis();
        assert_eq!((of(50), of(99), of(100)), (100, 198, 200));
        assert_eq!(percentile(&values[..1], 50).as_millis(), 200);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
