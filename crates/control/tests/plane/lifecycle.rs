//! Starting, stopping, starting again, and not starting.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{Plane, code, csr, identity, node_keys, options, permit, policy, service};
use rcgen::KeyPair;
use tidelock_control::{BUNDLE_FILE, ControlPlane, DATABASE_FILE, JWKS_FILE, Options};
use tidelock_proto::v1;
use tidelock_spiffe_core::TrustDomainBuf;
use tonic::Code;

#[tokio::test]
async fn a_restart_keeps_everything() {
    let plane = Plane::start().await;
    let documents = [
        identity("curl", ""),
        service("web", "10.0.0.1:80"),
        policy("web", &permit("curl", "web")),
    ];
    plane.applied(&documents.concat()).await;
    let generation = plane.applied(&identity("wget", "")).await.generation;
    let keys = plane.attested("n1").await;
    let (used, unused) = (plane.token("n2", 60).await, plane.token("n2", 60).await);
    let key = KeyPair::generate().expect("key");
    let request = |token: &str| v1::AttestRequest {
        token: token.into(),
        csr: csr(&key),
    };
    plane
        .node(None)
        .await
        .attest(request(&used))
        .await
        .expect("attest");
    let bundle = plane.bundle();
    let (_stream, before) = plane.synced(&keys).await;
    let last = plane.events().await.last().expect("events").seq;

    let plane = plane.restart().await;
    assert_eq!(plane.bundle(), bundle);
    let (_stream, after) = plane.synced(&keys).await;
    assert_eq!((after.generation, &after), (generation, &before));
    let again = plane.node(None).await.attest(request(&used)).await;
    assert_eq!(
        again.expect_err("used").message(),
        "the join token has been used already"
    );
    let attested = plane
        .node(None)
        .await
        .attest(request(&unused))
        .await
        .expect("attest");
    plane
        .synced(&node_keys(&key, attested.into_inner().chain))
        .await;
    assert_eq!(
        plane.applied(&identity("more", "")).await.generation,
        generation + 1
    );

    let events = plane.events().await;
    assert!(events.iter().any(|e| e.seq == last), "events are kept");
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
    assert!(events.last().expect("events").seq > last);
}

#[tokio::test]
async fn files_have_the_modes_that_they_need() {
    let plane = Plane::start().await;
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("metadata")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&plane.dir.path().join("ca.sock")), 0o600);
    for entry in std::fs::read_dir(plane.dir.path().join("ca")).expect("list") {
        let path = entry.expect("entry").path();
        let expected = if path.ends_with(BUNDLE_FILE) || path.ends_with(JWKS_FILE) {
            0o644
        } else {
            0o600
        };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    let socket = plane.dir.path().join("ca.sock");
    let _dir = plane.dir;
    plane.plane.stop().await;
    assert!(!socket.exists());
}

async fn refusal(options: Options) -> String {
    match ControlPlane::start(options).await {
        Ok(_) => panic!("started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_named() {
    let plane = Plane::start().await;
    let dir = plane.dir.path().to_owned();
    let second = tempfile::tempdir().expect("temp dir");

    let in_use = refusal(options(&dir)).await;
    assert!(
        in_use.starts_with("another control plane is using the data directory"),
        "{in_use}"
    );

    let mut port = options(second.path());
    port.listen = plane.plane.listening().to_vec();
    let message = refusal(port).await;
    assert!(
        message.starts_with(&format!(
            "cannot listen at {}: ",
            plane.plane.listening()[0]
        )),
        "{message}"
    );

    let mut socket = options(second.path());
    socket.admin_socket = dir.join("ca.sock");
    let message = refusal(socket).await;
    assert!(
        message.starts_with("another control plane is listening at"),
        "{message}"
    );

    let mut file = options(second.path());
    file.admin_socket = second.path().join("file");
    std::fs::write(&file.admin_socket, "mine").expect("write");
    let message = refusal(file).await;
    assert!(
        message.ends_with("is there already, and is not a socket"),
        "{message}"
    );

    let mut long = options(second.path());
    long.admin_socket = second.path().join("x".repeat(120));
    let message = refusal(long).await;
    assert!(message.starts_with("cannot listen at"), "{message}");
}

#[tokio::test]
async fn a_directory_that_is_not_as_it_was_left_is_refused() {
    let plane = Plane::start().await;
    let (dir, ca) = (plane.dir.path().to_owned(), plane.dir.path().join("ca"));
    let _kept = plane.dir;
    plane.plane.stop().await;

    let mut other = options(&dir);
    other.trust_domain = TrustDomainBuf::parse("example.com").expect("trust domain");
    let message = refusal(other).await;
    assert_eq!(
        message,
        "the data directory belongs to the trust domain `example.org`, not `example.com`"
    );

    let is_key = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "key");
    let files = std::fs::read_dir(&ca)
        .expect("list")
        .map(|e| e.expect("entry").path());
    let key_file = files.into_iter().find(is_key).expect("key file");
    let mode = |mode| {
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(mode)).expect("chmod")
    };
    mode(0o644);
    let message = refusal(options(&dir)).await;
    assert!(
        message.contains("can be read or written by others (mode 0644)"),
        "{message}"
    );
    mode(0o600);

    let key = std::fs::read(&key_file).expect("read");
    std::fs::write(&key_file, KeyPair::generate().expect("key").serialize_pem()).expect("write");
    let message = refusal(options(&dir)).await;
    assert!(
        message.starts_with("the authority cannot be used"),
        "{message}"
    );
    std::fs::write(&key_file, "no key").expect("write");
    let message = refusal(options(&dir)).await;
    assert!(message.contains("holds no private key"), "{message}");
    std::fs::remove_file(&key_file).expect("remove");
    let message = refusal(options(&dir)).await;
    assert!(message.starts_with("cannot read `"), "{message}");
    std::fs::write(&key_file, key).expect("write");
    mode(0o600);

    let database = ca.join(DATABASE_FILE);
    let log = ca.join(format!("{DATABASE_FILE}-wal"));
    assert!(!log.exists(), "the store was closed");
    let mut bytes = std::fs::read(&database).expect("read");
    let good = bytes.clone();
    bytes[..16].copy_from_slice(b"not a database!!");
    std::fs::write(&database, &bytes).expect("write");
    let message = refusal(options(&dir)).await;
    assert!(message.contains("is damaged: "), "{message}");
    std::fs::write(&database, good).expect("write");
    let plane = ControlPlane::start(options(&dir))
        .await
        .expect("as good as before");
    plane.stop().await;
}

#[tokio::test]
async fn a_socket_left_over_by_a_crash_is_replaced() {
    let dir = tempfile::tempdir().expect("temp dir");
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("ca.sock")).expect("bind"));
    let plane = Plane::start_in(dir).await;
    assert_eq!(plane.generation().await, 1);
}

#[tokio::test]
async fn a_client_that_trusts_another_bundle_does_not_connect() {
    let (plane, other) = (Plane::start().await, Plane::start().await);
    let keys = other.attested("n1").await;
    let bundle = plane.dir.path().join("ca").join(BUNDLE_FILE);
    std::fs::write(&bundle, other.bundle()).expect("write");
    assert!(plane.connect(Some(&keys)).await.is_err());
}

#[tokio::test]
async fn addresses_are_all_listened_at() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut options = options(dir.path());
    options.listen.push("[::1]:0".parse().expect("address"));
    let plane = Plane {
        plane: ControlPlane::start(options).await.expect("start"),
        dir,
    };
    let status = plane
        .admin()
        .await
        .get_status(v1::GetStatusRequest {})
        .await
        .expect("status")
        .into_inner();
    assert_eq!(status.listening.len(), 2);
    assert!(status.listening.iter().any(|a| a.starts_with("[::1]:")));
    let code = code(
        plane
            .node(None)
            .await
            .sync(v1::SyncRequest::default())
            .await,
    );
    assert_eq!(code, Code::Unauthenticated);
}

#[tokio::test]
async fn the_generation_moves_if_another_version_makes_something_else_of_the_documents() {
    let plane = Plane::start().await;
    let generation = plane.generation().await;
    let dir = plane.dir;
    plane.plane.stop().await;
    let database = dir.path().join("ca").join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    connection
        .execute("UPDATE control SET fingerprint = x'00'", [])
        .expect("update");
    drop(connection);
    let plane = Plane::start_in(dir).await;
    assert_eq!(plane.generation().await, generation + 1);
    assert_eq!(plane.restart().await.generation().await, generation + 1);
}
