//! Spans that the program exports, and what becomes of it where nobody takes them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Output};

use tidelock_proto::v1;
use tidelock_telemetry::collector::Collector;
use tonic::Request;

use super::node::{admin, attest};
use super::{PATIENCE, answering, serve, stderr, stop};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The caller's trace and span, as it says them.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn exporting(dir: &Path, to: &str) -> Child {
    let mut command = serve(dir, &[]);
    command
        .env(ENDPOINT, to)
        .env("OTEL_SERVICE_NAME", "plane-1");
    // A queue that is full soon, and nothing in the exporter itself that would end a wait.
    command.env("OTEL_BSP_MAX_QUEUE_SIZE", "8");
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    answering(command.spawn().expect("spawn"), dir)
}

async fn stopped(child: Child) -> Output {
    let stopped = tokio::task::spawn_blocking(|| stop(child, "-TERM"));
    let stopped = tokio::time::timeout(PATIENCE, stopped).await;
    stopped.expect("in time").expect("stopped")
}

fn said<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE}-{SPAN}-01").parse().expect("metadata");
    request.metadata_mut().insert("traceparent", parent);
    request
}

fn token(node: &str) -> v1::CreateTokenRequest {
    let (node, ttl_secs) = (node.to_owned(), 60);
    v1::CreateTokenRequest { node, ttl_secs }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_in_the_trace_of_who_asked_and_is_sent_before_it_ends() {
    let mut collector = Collector::start().await.expect("collector");
    let dir = tempfile::tempdir().expect("temp dir");
    let child = exporting(dir.path(), &collector.endpoint());
    let mut client = admin(dir.path()).await.expect("admin");
    let made = client.create_token(said(token("n1"))).await.expect("token");
    let token = made.into_inner().token;
    attest(dir.path(), &token).await.expect("joins");
    let refused = attest(dir.path(), &token).await;
    assert!(refused.is_err(), "the token is used");
    let prepare = said(v1::PrepareAuthorityRequest::default());
    client.prepare_authority(prepare).await.expect("prepared");
    drop(client);
    // What is in the queue is sent at the end.
    let output = stopped(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let name = "tidelock.v1.Admin/CreateToken";
    let span = collector.span(|one| one.span.name == name).await;
    assert_eq!(span.service, "plane-1");
    assert_eq!(hex(&span.span.trace_id), TRACE);
    assert_eq!(hex(&span.span.parent_span_id), SPAN);
    let caller = span.attribute("tidelock.caller").expect("a caller");
    assert!(caller.starts_with("uid:"), "{caller}");
    let stored = collector.span(|one| one.is_child_of(&span)).await;
    assert_eq!(stored.span.name, "store commit");
    let rotated = collector.span(|one| one.span.name == "rotate").await;
    let step = rotated.attribute("tidelock.step");
    assert_eq!(step.as_deref(), Some("prepare"));
    let asked = collector.span(|one| rotated.is_child_of(one)).await;
    assert_eq!(asked.span.name, "tidelock.v1.Admin/PrepareAuthority");
    let stored = collector.span(|one| one.is_child_of(&rotated)).await;
    assert_eq!(stored.span.name, "store commit");
    let unauthenticated = |code: Option<String>| code.as_deref() == Some("16");
    let again = collector.span(|one| unauthenticated(one.attribute("rpc.grpc.status_code")));
    assert_eq!(again.await.span.name, "tidelock.v1.Node/Attest");

    let (_, secret) = token.split_at(token.len() / 2);
    let everything = format!("{:?}", collector.received());
    assert!(!everything.contains(secret), "a token is in a span");
    let log = stderr(&output);
    assert!(!log.contains("rpc.") && !log.contains(secret), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_never_answers_changes_nothing() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("bind");
    let away = {
        let gone = TcpListener::bind("127.0.0.1:0").expect("bind");
        gone.local_addr().expect("address")
    };
    for collector in [away, mute.local_addr().expect("address")] {
        let dir = tempfile::tempdir().expect("temp dir");
        let child = exporting(dir.path(), &format!("http://{collector}"));
        let mut client = admin(dir.path()).await.expect("admin");
        for n in 0..50 {
            let made = client.create_token(token(&format!("n{n}"))).await;
            let token = made.expect("token").into_inner().token;
            if n == 0 {
                attest(dir.path(), &token).await.expect("joins");
            }
        }
        drop(client);
        let output = stopped(child).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let log = stderr(&output);
        assert!(log.contains("the control plane stops"), "{log}");
        assert!(log.matches("takes no spans").count() <= 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_sampled_is_not_sent() {
    for off in [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_SDK_DISABLED", "true"),
    ] {
        let mut collector = Collector::start().await.expect("collector");
        let dir = tempfile::tempdir().expect("temp dir");
        let mut command = serve(dir.path(), &[]);
        command
            .env(ENDPOINT, collector.endpoint())
            .env(off.0, off.1);
        let child = answering(command.spawn().expect("spawn"), dir.path());
        let mut client = admin(dir.path()).await.expect("admin");
        client.create_token(token("n1")).await.expect("token");
        drop(client);
        stopped(child).await;
        assert_eq!(collector.received().len(), 0, "{off:?}");
    }
}

#[test]
fn what_cannot_be_exported_keeps_it_from_starting() {
    let dir = tempfile::tempdir().expect("temp dir");
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        (ENDPOINT, "https://127.0.0.1:4317"),
        (ENDPOINT, "http://not an address"),
    ] {
        let mut command = serve(dir.path(), &[]);
        command
            .env(ENDPOINT, "http://127.0.0.1:4317")
            .env(variable, value);
        let output = command.output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{value}");
        let told = stderr(&output);
        assert!(
            told.starts_with("tidelock-ca: ") && told.contains(value),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
