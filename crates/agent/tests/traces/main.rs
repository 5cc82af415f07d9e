//! A whole agent and a real control plane that export their spans to a real collector. In a program of its own: what exports
//! spans is there once for each process.
#![allow(
    dead_code,
    reason = "shared with the tests of the agent, which need more of it"
)]

#[path = "../node/kernel.rs"]
mod kernel;
#[path = "../node/plane.rs"]
mod plane;

use std::process::{Command, Stdio};

use tidelock_agent::{JoinToken, Notice};
use tidelock_telemetry::collector::{Collector, Exported};
use tidelock_telemetry::{Service, Telemetry};

use kernel::Kernel;
use plane::{Plane, Running};

const CLIENT: i32 = 3;
const SERVER: i32 = 2;
const AGENT: &str = "spiffe://example.org/tidelock/agent/n1";
const SLEEPER: &str = "spiffe://example.org/sleeper";

/// All that spans say. None of it is anybody's secret, or the body of a message.
const SAID: [&str; 8] = [
    "level",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.grpc.status_code",
    "target",
    "tidelock.caller",
    "tidelock.spiffe_id",
];

fn is(one: &Exported, name: &str, kind: i32) -> bool {
    one.span.name == name && one.span.kind == kind
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_both_ends_of_what_an_agent_asks_and_no_secret() {
    let mut collector = Collector::start().await.unwrap();
    let endpoint = collector.endpoint();
    let service = Service {
        name: "both-ends",
        version: "1",
    };
    let telemetry = Telemetry::without_logs_by(service, |name| {
        (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone())
    });
    let telemetry = telemetry.unwrap();

    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = plane.dir.path().join("sleeper");
    let mut copy = Command::new("install");
    let copied = copy.args(["-m755", "/bin/sleep"]).arg(&exe).status();
    let copied = copied.unwrap();
    assert!(copied.success());
    let token = plane.token_text().await;
    let agent = Running::start(&plane, &kernel, Some(JoinToken::Text(token.clone().into())));
    agent
        .says(|notice| matches!(notice, Notice::Attested { .. }))
        .await;
    let identity = format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: sleeper}}\nspec:\n  \
         spiffeID: {SLEEPER}\n  selectors: [\"unix:path:{}\"]\n",
        exe.display()
    );
    let generation = plane.apply(&identity).await;
    agent.in_force(generation).await;
    let mut sleeper = Command::new(&exe)
        .arg("300")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    kernel.exec(sleeper.id(), &exe, true);
    assert_eq!(kernel.answer(sleeper.id()).await.as_deref(), Some(SLEEPER));
    kernel.serials(SLEEPER, 1).await;
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    agent.kill().await;
    telemetry.stop().await;

    let sign = "tidelock.v1.Node/Sign";
    let asked = collector.span(|one| is(one, sign, CLIENT)).await;
    let answered = collector
        .span(|one| is(one, sign, SERVER) && one.is_child_of(&asked))
        .await;
    assert_eq!(asked.service, "both-ends");
    assert_eq!(
        answered.attribute("tidelock.caller").as_deref(),
        Some(AGENT)
    );
    assert_eq!(answered.attribute("rpc.method").as_deref(), Some("Sign"));
    for end in [&asked, &answered] {
        assert_eq!(end.attribute("rpc.grpc.status_code").as_deref(), Some("0"));
    }
    let issued = collector
        .span(|one| is(one, "issue", 1) && one.is_child_of(&answered))
        .await;
    assert_eq!(
        issued.attribute("tidelock.spiffe_id").as_deref(),
        Some(SLEEPER)
    );
    collector
        .span(|one| is(one, "store commit", 1) && one.is_child_of(&answered))
        .await;

    // Who has not proved a name yet is answered in a trace of the control plane's own.
    let attest = "tidelock.v1.Node/Attest";
    let joined = collector.span(|one| is(one, attest, SERVER)).await;
    let joining = collector.span(|one| is(one, attest, CLIENT)).await;
    assert_eq!(joined.attribute("tidelock.caller"), None);
    assert!(joined.span.parent_span_id.is_empty());
    assert_ne!(joined.span.trace_id, joining.span.trace_id);
    collector
        .span(|one| is(one, "store commit", 1) && one.is_child_of(&joined))
        .await;

    let everything = format!("{:?}", collector.received());
    let (_, secret) = token.split_at(token.len() / 2);
    assert!(!everything.contains(secret), "a token is in a span");
    for one in collector.received() {
        let keys = one.span.attributes.iter().map(|one| one.key.as_str());
        let unknown: Vec<_> = keys.filter(|key| !SAID.contains(key)).collect();
        assert!(unknown.is_empty(), "{} says {unknown:?}", one.span.name);
        assert!(one.span.events.is_empty(), "what is logged is in a span");
    }
}
