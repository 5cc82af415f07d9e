//! The lives of authorities: what they sign, who believes them, and where their keys are.

use std::path::PathBuf;

use crate::common::{NodeKeys, Plane, code, csr, identity, node_keys, options, snapshot};
use crate::sync::reporting;
use rcgen::KeyPair;
use tidelock_ca::sealed;
use tidelock_control::{ControlPlane, PASSPHRASE_FILE, Passphrase};
use tidelock_proto::v1;
use tidelock_proto::v1::AuthorityState as State;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::report_request::Report;
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::{Leaf, SigningCert};
use tonic::{Code, Status};

type Answer = Result<v1::X509Authority, Status>;

impl Plane {
    /// One that takes it that a bundle is everywhere as soon as it is published.
    pub(crate) async fn quick() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut options = options(dir.path());
        options.timing.propagation_secs = 0;
        options.jwt_timing.propagation_secs = 0;
        let plane = ControlPlane::start(options).await.expect("start");
        Self { dir, plane }
    }

    pub(crate) async fn authorities(&self) -> Vec<v1::X509Authority> {
        let request = v1::ListAuthoritiesRequest {};
        let listed = self.admin().await.list_authorities(request).await;
        listed.expect("list").into_inner().x509
    }

    async fn states(&self) -> Vec<State> {
        let listed = self.authorities().await;
        listed.iter().map(v1::X509Authority::state).collect()
    }

    async fn prepare(&self) -> v1::X509Authority {
        let prepared = self
            .admin()
            .await
            .prepare_authority(v1::PrepareAuthorityRequest::default())
            .await;
        moved(prepared).expect("prepared")
    }

    async fn activate(&self, id: &str, despite_nodes: bool) -> Answer {
        let id = id.to_owned();
        let request = v1::ActivateAuthorityRequest { id, despite_nodes };
        moved(self.admin().await.activate_authority(request).await)
    }

    async fn taint(&self, id: &str) -> Answer {
        let request = v1::TaintAuthorityRequest { id: id.to_owned() };
        moved(self.admin().await.taint_authority(request).await)
    }

    async fn revoke(&self, id: &str) -> Answer {
        let request = v1::RevokeAuthorityRequest { id: id.to_owned() };
        moved(self.admin().await.revoke_authority(request).await)
    }

    /// A second authority is active, the first retired.
    async fn rotate(&self) -> (v1::X509Authority, v1::X509Authority) {
        let first = self.authorities().await.remove(0);
        let second = self.prepare().await;
        let second = self.activate(&second.id, true).await.expect("activated");
        (first, second)
    }

    /// The Name of the authority that signs now.
    async fn signs(&self, keys: &NodeKeys) -> Vec<u8> {
        let key = KeyPair::generate().expect("key");
        let request = v1::SignRequest {
            entry_id: "curl".into(),
            spiffe_id: "spiffe://example.org/curl".into(),
            csr: csr(&key),
        };
        let signed = self.node(Some(keys)).await.sign(request).await;
        let chain = signed.expect("signed").into_inner().chain;
        Leaf::parse(&chain[0]).expect("leaf").issuer.to_vec()
    }

    fn key_file(&self, id: &str) -> PathBuf {
        self.dir
            .path()
            .join("ca")
            .join(format!("authority-{id}.key"))
    }
}

fn moved(answer: Result<tonic::Response<v1::AuthorityResponse>, Status>) -> Answer {
    Ok(answer?.into_inner().authority.expect("an authority"))
}

fn name(authority: &v1::X509Authority) -> Vec<u8> {
    let certificate = SigningCert::parse(&authority.certificate).expect("certificate");
    certificate.subject.to_vec()
}

fn bundle(snapshot: &v1::Snapshot) -> &v1::Bundle {
    &snapshot.bundles[0]
}

#[tokio::test]
async fn nodes_get_the_wider_bundle_before_the_new_authority_signs() {
    let plane = Plane::quick().await;
    plane.applied(&identity("curl", "")).await;
    let keys = plane.attested("n1").await;
    let (mut stream, before) = plane.synced(&keys).await;
    let first = plane.authorities().await.remove(0);
    assert_eq!(first.state(), State::Active);
    assert_eq!(
        bundle(&before).x509_authorities,
        std::slice::from_ref(&first.certificate)
    );

    let second = plane.prepare().await;
    assert_eq!(second.state(), State::Prepared);
    let both = [first.certificate.clone(), second.certificate.clone()];
    let wider = snapshot(&mut stream).await.expect("pushed");
    assert_eq!(wider.generation, before.generation + 1);
    assert_eq!(bundle(&wider).x509_authorities, both);
    assert_eq!(bundle(&wider).sequence, bundle(&before).sequence + 1);
    let published = pem::decode("CERTIFICATE", &plane.bundle()).expect("PEM");
    assert_eq!(published, both);
    assert_eq!(
        plane.signs(&keys).await,
        name(&first),
        "the first still signs"
    );

    let behind = plane.activate(&second.id, false).await.expect_err("n1");
    assert!(
        behind.message().ends_with("(`--despite-nodes`)"),
        "{behind}"
    );
    assert!(behind.message().contains("without it: n1"), "{behind}");

    let (reports, _answer) = reporting(&plane, &keys).await;
    let applied = v1::ConfigApplied {
        generation: wider.generation,
        flows_cut: 0,
    };
    let report = v1::ReportRequest {
        time_unix_ns: 0,
        report: Some(Report::ConfigApplied(applied)),
    };
    reports.send(report).await.expect("sent");
    plane
        .event(|e| matches!(e.kind, Some(EventKind::ConfigApplied(_))))
        .await;
    let active = plane.activate(&second.id, false).await.expect("known");
    assert_eq!(active.state(), State::Active);
    assert_eq!(plane.signs(&keys).await, name(&second));
    assert_eq!(plane.states().await, [State::Retired, State::Active]);
}

#[tokio::test]
async fn whom_nothing_is_pushed_to_has_time_to_ask_before_a_new_authority_signs() {
    let plane = Plane::start().await;
    let second = plane.prepare().await;
    let early = plane.activate(&second.id, true).await;
    let early = early.expect_err("too soon by minutes");
    assert_eq!(early.code(), Code::FailedPrecondition);
    assert!(early.message().contains("not known to everyone"), "{early}");
    assert_eq!(plane.states().await, [State::Active, State::Prepared]);
}

#[tokio::test]
async fn what_a_retired_authority_signed_holds_until_it_is_revoked() {
    let plane = Plane::quick().await;
    let keys = plane.attested("n1").await;
    let (first, second) = plane.rotate().await;
    let (mut stream, rotated) = plane.synced(&keys).await;
    assert!(bundle(&rotated).tainted_x509_authorities.is_empty());

    let refused = plane.revoke(&first.id).await;
    assert_eq!(code(refused), Code::FailedPrecondition, "not tainted yet");
    let tainted = plane.taint(&first.id).await.expect("tainted");
    assert_eq!(tainted.state(), State::Tainted);
    let told = snapshot(&mut stream).await.expect("pushed");
    let certificate = first.certificate.clone();
    assert_eq!(bundle(&told).tainted_x509_authorities, [certificate]);
    assert_eq!(bundle(&told).x509_authorities.len(), 2);

    // As an agent does: a new SVID while the old one is still believed.
    let key = KeyPair::generate().expect("key");
    let renew = v1::RenewRequest { csr: csr(&key) };
    let renewed = plane.node(Some(&keys)).await.renew(renew).await;
    let renewed = renewed.expect("renewed").into_inner();
    let new_keys = node_keys(&key, renewed.chain);

    let joined_since = plane.attested("n2").await;
    let (mut other, _) = plane.synced(&joined_since).await;
    plane.revoke(&first.id).await.expect("revoked");
    assert!(
        snapshot(&mut stream).await.is_err(),
        "connections that rest on it are ended"
    );
    let told = snapshot(&mut other).await.expect("others are not");
    let certificate = second.certificate.clone();
    assert_eq!(bundle(&told).x509_authorities, [certificate]);
    let stale = plane.connect(Some(&keys)).await;
    if let Ok(channel) = stale {
        let mut client = tidelock_proto::v1::node_client::NodeClient::new(channel);
        let answer = client.sync(v1::SyncRequest::default()).await;
        assert!(answer.is_err(), "what it signed is not believed any more");
    }
    let (_stream, narrow) = plane.synced(&new_keys).await;
    assert_eq!(bundle(&narrow).x509_authorities, [second.certificate]);
    assert!(!plane.key_file(&first.id).exists(), "its key is destroyed");
    assert_eq!(plane.states().await, [State::Revoked, State::Active]);
    assert_eq!(code(plane.taint("none").await), Code::NotFound);
}

#[tokio::test]
async fn authorities_live_on_over_a_restart() {
    let plane = Plane::quick().await;
    plane.applied(&identity("curl", "")).await;
    let keys = plane.attested("n1").await;
    let (first, second) = plane.rotate().await;
    let third = plane.prepare().await;
    plane.taint(&first.id).await.expect("tainted");
    let (generation, before) = (plane.generation().await, plane.authorities().await);
    let plane = plane.restart().await;
    // Those of the default timing are known later.
    let listed = plane.authorities().await;
    let ids = |all: &[v1::X509Authority]| {
        let id = |one: &v1::X509Authority| (one.id.clone(), one.state(), one.until_unix_secs);
        all.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&listed), ids(&before));
    assert_eq!(plane.generation().await, generation, "nothing has changed");
    assert_eq!(plane.signs(&keys).await, name(&second));
    plane.revoke(&third.id).await.expect("a prepared one too");
    let told = plane
        .event(|e| matches!(&e.kind, Some(EventKind::AuthorityMoved(m)) if m.id == third.id && m.state() == State::Revoked))
        .await;
    assert_eq!(told.node, "");
}

#[tokio::test]
async fn time_alone_rotates_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut options = options(dir.path());
    // The next is prepared after two seconds and takes over after four. Fifty more may pass until SVIDs of ten seconds would
    // be cut short: a machine that is held up for a moment proves nothing.
    options.timing.life_secs = 64;
    options.timing.svid_secs = 60;
    options.timing.prepare_before_secs = 62;
    options.timing.propagation_secs = 1;
    let plane = ControlPlane::start(options).await.expect("start");
    let plane = Plane { dir, plane };
    plane
        .applied(&identity("curl", "  svid: {ttl: 10s}\n"))
        .await;
    let keys = plane.attested("n1").await;
    let first = plane.authorities().await.remove(0);
    let active = |e: &v1::Event| matches!(&e.kind, Some(EventKind::AuthorityMoved(m)) if m.id != first.id && m.state() == State::Active);
    let moved = plane.event(active).await;
    let Some(EventKind::AuthorityMoved(moved)) = moved.kind else {
        panic!()
    };
    let listed = plane.authorities().await;
    let find = |id: &str| listed.iter().find(|one| one.id == id).expect("listed");
    let (old, new) = (find(&first.id), find(&moved.id));
    assert_eq!(old.state(), State::Retired);
    assert!(
        new.since_unix_secs + 10 <= old.not_after_unix_secs,
        "SVIDs are never cut short"
    );
    assert_eq!(plane.signs(&keys).await, name(new));
}

#[tokio::test]
async fn keys_are_encrypted_on_disk_and_plain_ones_from_before_become_so() {
    let plane = Plane::start().await;
    let x509 = plane.key_file(&plane.authorities().await.remove(0).id);
    let jwt = plane.jwt_key_file(&plane.jwt_authorities().await.remove(0).id);
    let (key_files, ca) = ([x509, jwt], plane.dir.path().join("ca"));
    let read = |file: &PathBuf| std::fs::read_to_string(file).expect("key");
    let own = std::fs::read_to_string(ca.join(PASSPHRASE_FILE)).expect("our own");
    let own = own.trim_end().as_bytes();
    let ders = key_files
        .each_ref()
        .map(|file| sealed::open(&read(file), Some(own)).expect("opens"));

    let dir = plane.dir;
    plane.plane.stop().await;
    for (file, der) in key_files.iter().zip(&ders) {
        std::fs::write(file, pem::encode("PRIVATE KEY", der)).expect("write");
    }
    std::fs::remove_file(ca.join(PASSPHRASE_FILE)).expect("remove");
    let plane = Plane::start_in(dir).await;
    assert!(key_files.iter().all(|file| sealed::is_sealed(&read(file))));

    let dir = plane.dir;
    plane.plane.stop().await;
    let words = dir.path().join("words");
    std::fs::write(&words, "correct horse battery\n").expect("write");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&words, mode).expect("chmod");
    let mut with = options(dir.path());
    with.passphrase = Passphrase::File(words);
    let plane = ControlPlane::start(with).await.expect("start");
    assert!(!ca.join(PASSPHRASE_FILE).exists());
    plane.stop().await;
    let words = b"correct horse battery";
    let opens = |file| sealed::open(&read(file), Some(words)).is_ok();
    assert!(key_files.iter().all(opens));
    let error = ControlPlane::start(options(dir.path()))
        .await
        .expect_err("no passphrase");
    assert!(error.to_string().contains("--passphrase-file"), "{error}");
}
