//! What those see who watch, and what a node gets that runs wild.

use std::net::SocketAddr;

use crate::common::{Plane, csr, identity, options};
use crate::jwt::{mint, request};
use rcgen::KeyPair;
use tidelock_control::{ControlPlane, DATABASE_FILE};
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};

async fn watched() -> (Plane, SocketAddr) {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut options = options(dir.path());
    options.http_listen = Some("127.0.0.1:0".parse().expect("address"));
    options.issuance.burst = 3;
    options.issuance.per_second = 1;
    let plane = ControlPlane::start(options).await.expect("start");
    let http = plane.http_listening().expect("listens");
    (Plane { dir, plane }, http)
}

/// Sends a whole request; gives status line and body.
async fn ask(http: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(http).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.lines().next().expect("a line").to_owned();
    (status, body.to_owned())
}

async fn get(http: SocketAddr, path: &str) -> (String, String) {
    ask(http, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

/// The value of a metric, with its labels as they are written.
async fn metric(http: SocketAddr, name: &str) -> f64 {
    let (_, page) = get(http, "/metrics").await;
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(found, _)| *found == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no {name} in {page}"));
    value.parse().expect("a number")
}

fn sign(key: &KeyPair) -> v1::SignRequest {
    v1::SignRequest {
        entry_id: "curl".into(),
        spiffe_id: "spiffe://example.org/curl".into(),
        csr: csr(key),
    }
}

/// What a node is told that asks for more than it gets. One more call is let through for each second that goes by, as it
/// may between two calls on a machine that is held up.
async fn refused_at_last<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Status {
    for _ in 0..60 {
        if let Err(refused) = call().await {
            return refused;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn a_control_plane_that_can_do_its_work_says_so() {
    let (plane, http) = watched().await;
    let ok = ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned());
    assert_eq!(get(http, "/livez").await, ok);
    assert_eq!(get(http, "/readyz").await, ok);
    assert_eq!(get(http, "/").await.0, "HTTP/1.1 404 Not Found");
    let head = ask(http, "HEAD /livez HTTP/1.1\r\n\r\n").await;
    assert_eq!(head, ("HTTP/1.1 200 OK".into(), String::new()));
    let post = ask(http, "POST /livez HTTP/1.1\r\n\r\n").await;
    assert_eq!(post.0, "HTTP/1.1 405 Method Not Allowed");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(8_192));
    assert_eq!(
        ask(http, &long[..8_192]).await.0,
        "HTTP/1.1 431 Request Header Fields Too Large"
    );

    let database = plane.dir.path().join("ca").join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    connection
        .execute_batch("ALTER TABLE control RENAME TO gone")
        .expect("break it");
    let (status, why) = get(http, "/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(why, "the store does not answer\n");
    assert_eq!(get(http, "/livez").await, ok, "a restart would not help");
    let _silent = TcpStream::connect(http).await.expect("connect");
    assert_eq!(
        get(http, "/livez").await,
        ok,
        "the silent one was taken before"
    );
    let begun = std::time::Instant::now();
    plane.plane.stop().await;
    assert!(
        begun.elapsed().as_secs() < 4,
        "it does not wait for the silent"
    );
    assert!(TcpStream::connect(http).await.is_err(), "stopped");
}

#[tokio::test]
async fn metrics_follow_what_happens() {
    let (plane, http) = watched().await;
    assert_eq!(metric(http, "tidelock_nodes{state=\"away\"}").await, 0.0);
    plane.applied(&identity("curl", "")).await;
    plane.refused("nonsense").await;
    let keys = plane.attested("n1").await;
    let (_stream, _) = plane.synced(&keys).await;
    let key = KeyPair::generate().expect("key");
    let mut client = plane.node(Some(&keys)).await;
    client.sign(sign(&key)).await.expect("signed");
    let token = client.sign_jwt(request("curl", &["a"], 0)).await;
    token.expect("signed");
    mint(&mut plane.admin().await, "/ci", &["a"], 0)
        .await
        .expect("minted");
    for (name, value) in [
        ("tidelock_generation", 2.0),
        ("tidelock_jwt_svids_issued_total{to=\"node\"}", 1.0),
        ("tidelock_jwt_svids_issued_total{to=\"operator\"}", 1.0),
        ("tidelock_documents{kind=\"WorkloadIdentity\"}", 1.0),
        ("tidelock_changes_refused_total", 1.0),
        ("tidelock_nodes{state=\"connected\"}", 1.0),
        ("tidelock_nodes_behind", 1.0),
        ("tidelock_svids_issued_total{of=\"workload\"}", 1.0),
        ("tidelock_svids_issued_total{of=\"node\"}", 1.0),
        ("tidelock_svids_issued_total{of=\"server\"}", 1.0),
        ("tidelock_authorities{state=\"active\"}", 1.0),
        ("tidelock_jwt_authorities{state=\"active\"}", 1.0),
        // One authority of each kind came into it.
        ("tidelock_bundle_sequence", 2.0),
        ("tidelock_store_failures_total", 0.0),
    ] {
        assert_eq!(metric(http, name).await, value, "{name}");
    }
    assert!(metric(http, "tidelock_audit_entries_total").await >= 5.0);
    assert!(metric(http, "tidelock_authority_not_after_seconds").await > 2e9);
    assert!(metric(http, "tidelock_jwt_authority_not_after_seconds").await > 1.7e9);
    let (_, page) = get(http, "/metrics").await;
    for line in page.lines() {
        let comment = line.starts_with("# HELP tidelock_") || line.starts_with("# TYPE tidelock_");
        assert!(comment || line.starts_with("tidelock_"), "{line}");
    }
}

#[tokio::test]
async fn a_node_that_asks_for_too_much_is_refused_and_others_are_not() {
    let (plane, http) = watched().await;
    plane.applied(&identity("curl", "")).await;
    let (one, other) = (plane.attested("n1").await, plane.attested("n2").await);
    let key = KeyPair::generate().expect("key");
    let mut client = plane.node(Some(&one)).await;
    for _ in 0..3 {
        client.sign(sign(&key)).await.expect("signed");
    }
    let refused = refused_at_last(async || client.sign(sign(&key)).await).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(
        refused
            .message()
            .starts_with("the node asks for more than 3 SVIDs at once and 1 each second"),
        "{refused}"
    );
    let renew = || v1::RenewRequest { csr: csr(&key) };
    let renewal = refused_at_last(async || client.renew(renew()).await).await;
    assert_eq!(renewal.code(), Code::ResourceExhausted);
    plane
        .node(Some(&other))
        .await
        .sign(sign(&key))
        .await
        .expect("n2 is not n1");
    assert_eq!(metric(http, "tidelock_calls_limited_total").await, 2.0);
    let told = |e: &v1::Event| matches!(&e.kind, Some(EventKind::CallRefused(r)) if r.call == "Sign" && r.detail.contains("more than 3"));
    assert_eq!(plane.event(told).await.node, "n1");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    client.sign(sign(&key)).await.expect("after a while");
}

#[tokio::test]
async fn it_is_not_ready_while_nothing_can_be_written_and_is_again_when_it_can() {
    let (plane, http) = watched().await;
    let database = plane.dir.path().join("ca").join(DATABASE_FILE);
    let database = rusqlite::Connection::open(database).expect("open");
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END";
    database.execute_batch(full).expect("trigger");
    assert_eq!(get(http, "/readyz").await.1, "ok\n", "nobody knows yet");
    let token = v1::CreateTokenRequest {
        node: "n1".into(),
        ttl_secs: 60,
    };
    let refused = plane.admin().await.create_token(token).await;
    refused.expect_err("it cannot be written");
    for _ in 0..2 {
        let (status, body) = get(http, "/readyz").await;
        assert!(status.contains("503"), "{status}");
        assert!(
            body.contains("nothing can be written") && body.contains("no room"),
            "{body}"
        );
    }
    database.execute_batch("DROP TRIGGER full").expect("room");
    for _ in 0..2 {
        assert_eq!(get(http, "/readyz").await.1, "ok\n");
    }
    let recovered = "SELECT count(*) FROM audit WHERE action = 'store-recovered'";
    let told: u32 = database
        .query_row(recovered, [], |row| row.get(0))
        .expect("told");
    assert_eq!(told, 1);
}
