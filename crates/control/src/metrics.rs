//! What is counted, and how it is told: Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tidelock_ca::State;

use crate::audit::AuditHead;
use crate::authority;
use crate::core::Core;
use crate::document::Kind;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) workload_svids: Counter,
    pub(crate) node_svids: Counter,
    pub(crate) server_certificates: Counter,
    pub(crate) operator_svids: Counter,
    pub(crate) node_jwt_svids: Counter,
    pub(crate) operator_jwt_svids: Counter,
    pub(crate) attests_refused: Counter,
    pub(crate) calls_refused: Counter,
    pub(crate) calls_limited: Counter,
    pub(crate) changes_refused: Counter,
    pub(crate) store_failures: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One page of metrics, as it grows.
#[derive(Default)]
struct Page(String);

/// A value and the labels, `{a="b"}`, that tell it from others of its name.
type Sample = (String, i128);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample]) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<i128>) {
        self.metric(name, "gauge", help, &[(String::new(), value.into())]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, "counter", help, &[(String::new(), value.into())]);
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

/// Everything. `audit` is where the audit log ends; `None` if the store does not say.
pub(crate) fn page(core: &Core, audit: Option<AuditHead>) -> String {
    let mut page = Page::default();
    let version = label("version", env!("CARGO_PKG_VERSION"));
    page.metric(
        "tidelock_build_info",
        "gauge",
        "The version that runs.",
        &[(version, 1)],
    );
    page.gauge(
        "tidelock_start_time_seconds",
        "When it started, since the Unix epoch.",
        core.started,
    );
    documents(&mut page, core);
    nodes(&mut page, core);
    issuance(&mut page, &core.metrics);
    authorities(&mut page, core);
    if let Some(head) = audit {
        page.counter(
            "tidelock_audit_entries_total",
            "Entries of the audit log.",
            head.seq,
        );
    }
    page.counter(
        "tidelock_store_failures_total",
        "Calls to the store that failed.",
        core.metrics.store_failures.value(),
    );
    page.0
}

fn documents(page: &mut Page, core: &Core) {
    let world = core.world();
    page.gauge(
        "tidelock_generation",
        "The generation in force.",
        world.generation,
    );
    let count = |n: usize| i128::try_from(n).unwrap_or(i128::MAX);
    let kinds = world.documents.keys().map(|(kind, _)| *kind);
    let operators = kinds.filter(|kind| *kind == Kind::Operator);
    let samples = [
        ("WorkloadIdentity", count(world.identities().count())),
        ("Service", count(world.services().count())),
        ("Policy", count(world.policies().count())),
        ("Operator", count(operators.count())),
    ];
    let samples = samples.map(|(kind, n)| (label("kind", kind), n));
    page.metric(
        "tidelock_documents",
        "gauge",
        "Documents in force.",
        &samples,
    );
    page.gauge(
        "tidelock_policies_observed",
        "Documents of kind Policy that change no decision.",
        count(world.policies_observed()),
    );
    page.counter(
        "tidelock_changes_refused_total",
        "Changes of documents that were refused.",
        core.metrics.changes_refused.value(),
    );
}

fn nodes(page: &mut Page, core: &Core) {
    let generation = core.world().generation;
    let (mut connected, mut away, mut behind, mut grants, mut flows) = (0, 0, 0, 0_u64, 0_u64);
    core.nodes.visit(|_, node| {
        match node.connected() {
            true => connected += 1,
            false => away += 1,
        }
        behind += i128::from(node.connected() && node.reported.applied_generation < generation);
        grants += node.reported.grants.len() as u64;
        flows += node.reported.flows.len() as u64;
    });
    let samples = [
        (label("state", "connected"), connected),
        (label("state", "away"), away),
    ];
    page.metric(
        "tidelock_nodes",
        "gauge",
        "Nodes that have attested.",
        &samples,
    );
    page.gauge(
        "tidelock_nodes_behind",
        "Nodes that are connected and enforce an older generation.",
        behind,
    );
    page.gauge(
        "tidelock_grants",
        "Live processes with an identity.",
        grants,
    );
    page.gauge("tidelock_flows", "Live flows.", flows);
}

fn issuance(page: &mut Page, metrics: &Metrics) {
    let issued = [
        ("workload", &metrics.workload_svids),
        ("node", &metrics.node_svids),
        ("server", &metrics.server_certificates),
        ("operator", &metrics.operator_svids),
    ];
    let samples = issued.map(|(of, counter)| (label("of", of), counter.value().into()));
    page.metric(
        "tidelock_svids_issued_total",
        "counter",
        "SVIDs issued, by whose they are.",
        &samples,
    );
    let issued = [
        ("node", &metrics.node_jwt_svids),
        ("operator", &metrics.operator_jwt_svids),
    ];
    let samples = issued.map(|(to, counter)| (label("to", to), counter.value().into()));
    page.metric(
        "tidelock_jwt_svids_issued_total",
        "counter",
        "JWT-SVIDs issued, by who asked.",
        &samples,
    );
    page.counter(
        "tidelock_attests_refused_total",
        "Attestations that were refused.",
        metrics.attests_refused.value(),
    );
    page.counter(
        "tidelock_calls_refused_total",
        "Other calls that were refused.",
        metrics.calls_refused.value(),
    );
    page.counter(
        "tidelock_calls_limited_total",
        "Calls of nodes that asked for too many SVIDs.",
        metrics.calls_limited.value(),
    );
}

fn authorities(page: &mut Page, core: &Core) {
    let ring = core.authority.ring();
    let states = [
        ("prepared", State::Prepared),
        ("active", State::Active),
        ("retired", State::Retired),
        ("tainted", State::Tainted),
        ("revoked", State::Revoked),
    ];
    for (kind, metric, end, help) in [
        (
            authority::Kind::X509,
            "tidelock_authorities",
            "tidelock_authority_not_after_seconds",
            "X.509 authorities.",
        ),
        (
            authority::Kind::Jwt,
            "tidelock_jwt_authorities",
            "tidelock_jwt_authority_not_after_seconds",
            "JWT authorities.",
        ),
    ] {
        let samples = states.map(|(name, state)| (label("state", name), ring.count(kind, state)));
        page.metric(metric, "gauge", help, &samples);
        page.gauge(
            end,
            "When the active authority ends, since the Unix epoch; 0: none is active.",
            core.authority.not_after(kind),
        );
    }
    page.gauge(
        "tidelock_bundle_sequence",
        "How often the bundle has changed.",
        ring.sequence(),
    );
}
