//! The lives of keys that sign JWT-SVIDs: who is told of them, where they are, and that certificates go their own way.

use std::path::PathBuf;

use tidelock_control::{ControlPlane, DATABASE_FILE, JWKS_FILE};
use tidelock_proto::v1;
use tidelock_proto::v1::AuthorityState as State;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_spiffe_core::jwk::PublicKey;
use tidelock_spiffe_core::{Bundle, TrustDomainBuf};
use tonic::{Code, Response, Status};

use crate::common::{Plane, code, options, snapshot};

type Answer = Result<v1::JwtAuthority, Status>;

impl Plane {
    pub(crate) async fn jwt_authorities(&self) -> Vec<v1::JwtAuthority> {
        let request = v1::ListAuthoritiesRequest {};
        let listed = self.admin().await.list_authorities(request).await;
        listed.expect("list").into_inner().jwt
    }

    pub(crate) fn jwt_key_file(&self, id: &str) -> PathBuf {
        let ca = self.dir.path().join("ca");
        ca.join(format!("jwt-authority-{id}.key"))
    }

    async fn jwt_states(&self) -> Vec<State> {
        let listed = self.jwt_authorities().await;
        listed.iter().map(v1::JwtAuthority::state).collect()
    }

    pub(crate) async fn prepare_jwt(&self) -> v1::JwtAuthority {
        let kind = v1::AuthorityKind::Jwt.into();
        let request = v1::PrepareAuthorityRequest { kind };
        let prepared = self.admin().await.prepare_authority(request).await;
        moved(prepared).expect("prepared")
    }

    pub(crate) async fn activate_jwt(&self, id: &str) -> Answer {
        let (id, despite_nodes) = (id.to_owned(), true);
        let request = v1::ActivateAuthorityRequest { id, despite_nodes };
        moved(self.admin().await.activate_authority(request).await)
    }

    pub(crate) async fn taint_jwt(&self, id: &str) -> Answer {
        let request = v1::TaintAuthorityRequest { id: id.to_owned() };
        moved(self.admin().await.taint_authority(request).await)
    }

    pub(crate) async fn revoke_jwt(&self, id: &str) -> Answer {
        let request = v1::RevokeAuthorityRequest { id: id.to_owned() };
        moved(self.admin().await.revoke_authority(request).await)
    }

    /// The bundle as relying parties read it, which is the same wherever they find it.
    pub(crate) async fn jwks(&self) -> Bundle {
        let answer = self.admin().await.get_bundle(v1::GetBundleRequest {}).await;
        let answer = answer.expect("a bundle").into_inner();
        let file = self.dir.path().join("ca").join(JWKS_FILE);
        assert_eq!(std::fs::read_to_string(file).expect("file"), answer.jwks);
        let domain = TrustDomainBuf::parse("example.org").expect("trust domain");
        let read = Bundle::from_jwks(domain, &answer.jwks).expect("a JWK set");
        let sent = answer.bundle.expect("a bundle");
        assert_eq!(read.sequence, Some(sent.sequence));
        assert!(read.x509_authorities().eq(&sent.x509_authorities));
        let ids = |key: &v1::JwtKey| key.key_id.clone();
        assert_eq!(
            key_ids(&read),
            sent.jwt_authorities.iter().map(ids).collect::<Vec<_>>()
        );
        read
    }
}

fn moved(answer: Result<Response<v1::AuthorityResponse>, Status>) -> Answer {
    let answer = answer?.into_inner();
    assert_eq!(answer.authority, None, "it is none of certificates");
    Ok(answer.jwt_authority.expect("a JWT authority"))
}

fn key_ids(bundle: &Bundle) -> Vec<String> {
    let keys = bundle.jwt_authorities();
    keys.map(|key| key.key_id().to_owned()).collect()
}

#[tokio::test]
async fn keys_of_jwt_svids_come_and_go_by_the_steps_of_certificates_which_stay_as_they_are() {
    let plane = Plane::quick().await;
    let keys = plane.attested("n1").await;
    let (mut stream, before) = plane.synced(&keys).await;
    let certificates = plane.authorities().await;
    let first = plane.jwt_authorities().await.remove(0);
    assert_eq!(first.state(), State::Active);
    assert_eq!(key_ids(&plane.jwks().await), [first.id.as_str()]);

    let second = plane.prepare_jwt().await;
    assert_eq!(second.state(), State::Prepared);
    let told = snapshot(&mut stream).await.expect("pushed");
    let (old, new) = (&before.bundles[0], &told.bundles[0]);
    assert_eq!(told.generation, before.generation + 1);
    assert_eq!(new.sequence, old.sequence + 1);
    assert_eq!(new.x509_authorities, old.x509_authorities);
    let ids = new.jwt_authorities.iter().map(|key| key.key_id.as_str());
    assert!(ids.eq([first.id.as_str(), second.id.as_str()]));
    let published = plane.jwks().await;
    assert_eq!(published.sequence, Some(new.sequence));
    assert_eq!(published.refresh_hint_secs, Some(300));
    for (key, sent) in published.jwt_authorities().zip(&new.jwt_authorities) {
        let read = PublicKey::from_spki(&sent.public_key).expect("a key");
        assert_eq!((key.key_id(), key.key()), (sent.key_id.as_str(), &read));
    }

    let early = plane.revoke_jwt(&first.id).await;
    assert_eq!(code(early), Code::FailedPrecondition, "it is active");
    plane.activate_jwt(&second.id).await.expect("activated");
    assert_eq!(plane.jwt_states().await, [State::Retired, State::Active]);
    plane.taint_jwt(&first.id).await.expect("tainted");
    let told = snapshot(&mut stream).await.expect("pushed");
    let tainted = told.bundles[0].jwt_authorities.iter();
    assert!(tainted.map(|key| key.tainted).eq([true, false]));
    assert!(plane.jwt_key_file(&first.id).exists());
    plane.revoke_jwt(&first.id).await.expect("revoked");
    assert_eq!(key_ids(&plane.jwks().await), [second.id.as_str()]);
    assert_eq!(plane.jwt_states().await, [State::Revoked, State::Active]);
    assert!(!plane.jwt_key_file(&first.id).exists(), "it is destroyed");
    let told = snapshot(&mut stream).await.expect("nobody is cut off");
    assert_eq!(told.bundles[0].jwt_authorities.len(), 1);
    assert_eq!(plane.authorities().await, certificates);
    let told = |e: &v1::Event| matches!(&e.kind, Some(EventKind::AuthorityMoved(m)) if m.id == first.id && m.state() == State::Revoked && m.kind() == v1::AuthorityKind::Jwt);
    plane.event(told).await;
    let crl = v1::GetCrlRequest { id: second.id };
    let crl = plane.admin().await.get_crl(crl).await;
    let crl = crl.expect_err("such a key signs no list");
    assert!(crl.message().contains("signs no list"), "{crl}");
}

#[tokio::test]
async fn a_new_key_signs_once_whom_nothing_is_pushed_to_has_had_time_to_ask() {
    let plane = Plane::start().await;
    let second = plane.prepare_jwt().await;
    let early = plane.activate_jwt(&second.id).await.expect_err("too soon");
    assert!(early.message().contains("not known to everyone"), "{early}");
    assert_eq!(plane.jwt_states().await, [State::Active, State::Prepared]);
    plane.revoke_jwt(&second.id).await.expect("a prepared one");
}

#[tokio::test]
async fn keys_of_jwt_svids_live_on_over_a_restart_and_have_to_be_the_published_ones() {
    let plane = Plane::quick().await;
    let first = plane.jwt_authorities().await.remove(0);
    let second = plane.prepare_jwt().await;
    plane.activate_jwt(&second.id).await.expect("activated");
    plane.taint_jwt(&first.id).await.expect("tainted");
    let third = plane.prepare_jwt().await;
    let (generation, bundle) = (plane.generation().await, plane.jwks().await);
    let plane = plane.restart().await;
    let states = [State::Tainted, State::Active, State::Prepared];
    assert_eq!(plane.jwt_states().await, states);
    assert_eq!(plane.jwks().await, bundle);
    assert_eq!(plane.generation().await, generation, "nothing has changed");

    let (active, prepared) = (
        plane.jwt_key_file(&second.id),
        plane.jwt_key_file(&third.id),
    );
    let dir = plane.dir;
    plane.plane.stop().await;
    std::fs::copy(prepared, active).expect("copy");
    let error = ControlPlane::start(options(dir.path())).await;
    let error = error.expect_err("another key").to_string();
    assert!(
        error.contains("is not the one that the database names"),
        "{error}"
    );
}

#[tokio::test]
async fn a_control_plane_from_before_jwt_svids_gets_a_key_that_signs_at_its_next_start() {
    let plane = Plane::start().await;
    let first = plane.jwt_authorities().await.remove(0);
    let (generation, sequence) = (plane.generation().await, plane.jwks().await.sequence);
    let dir = plane.dir;
    plane.plane.stop().await;
    let database = dir.path().join("ca").join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    let older = "DROP TABLE jwt_authority; PRAGMA user_version = 6";
    connection.execute_batch(older).expect("as it was");
    drop(connection);
    let plane = Plane::start_in(dir).await;
    let made = plane.jwt_authorities().await;
    assert_eq!(plane.jwt_states().await, [State::Active]);
    assert_ne!(made[0].id, first.id);
    assert!(plane.jwks().await.sequence > sequence);
    assert_eq!(plane.generation().await, generation + 1);
}
