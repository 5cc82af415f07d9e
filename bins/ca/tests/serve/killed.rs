//! A kill at any instant: what was acknowledged is there afterwards, what was not is there whole or not at all, and the audit
//! log tells of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidelock_proto::v1;
use tidelock_proto::v1::AuthorityState;
use tidelock_proto::v1::admin_client::AdminClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{answering, serve, stderr, stop};

/// How often it is killed, unless `TIDELOCK_KILLS` says otherwise.
const KILLS: u32 = 12;

/// Most documents of one round: all of them have to fit one node.
const MAX_DOCUMENTS: u32 = 4;

/// Latest that it is killed after its work has begun.
const MAX_WORK_MS: u64 = 150;

type Admin = AdminClient<Channel>;

/// What was acknowledged.
#[derive(Default)]
struct Model {
    generation: u64,
    identities: BTreeSet<String>,
    tokens: BTreeSet<String>,
    authorities: BTreeMap<String, Vec<AuthorityState>>,
    audit: (u64, Vec<u8>),
}

impl Model {
    /// Asks for one thing after the other until there is no answer.
    async fn work(&mut self, admin: &mut Admin, round: u32) -> Result<(), Status> {
        for n in 0.. {
            let name = format!("r{round}-{n}");
            if n < MAX_DOCUMENTS {
                self.apply(admin, &name).await?;
            }
            let node = name.clone();
            let request = v1::CreateTokenRequest { node, ttl_secs: 60 };
            admin.create_token(request).await?;
            self.tokens.insert(name);
            // No more of them than are remembered.
            if n == 0 && round.is_multiple_of(5) {
                self.rotate(admin).await?;
            }
        }
        Ok(())
    }

    async fn apply(&mut self, admin: &mut Admin, name: &str) -> Result<(), Status> {
        let files = vec![document(name)];
        let applied = admin.apply(v1::ApplyRequest { files }).await?.into_inner();
        let Some(v1::apply_response::Result::Applied(applied)) = applied.result else {
            panic!("refused: {applied:?}");
        };
        self.generation = applied.generation;
        self.identities.insert(name.to_owned());
        Ok(())
    }

    /// An authority that comes and goes again.
    async fn rotate(&mut self, admin: &mut Admin) -> Result<(), Status> {
        let prepared = admin
            .prepare_authority(v1::PrepareAuthorityRequest {})
            .await?;
        let prepared = prepared.into_inner().authority.expect("an authority");
        let id = prepared.id;
        // Whether the next step was done is not known until it is acknowledged.
        let either = vec![AuthorityState::Prepared, AuthorityState::Revoked];
        self.authorities.insert(id.clone(), either);
        let request = v1::RevokeAuthorityRequest { id: id.clone() };
        admin.revoke_authority(request).await?;
        self.authorities.insert(id, vec![AuthorityState::Revoked]);
        Ok(())
    }

    /// Compares with what is there.
    async fn check(&mut self, admin: &mut Admin) {
        let status = admin.get_status(v1::GetStatusRequest {}).await;
        assert!(status.expect("status").into_inner().generation >= self.generation);
        let held = admin.get_identities(v1::GetIdentitiesRequest {}).await;
        let held = held.expect("identities").into_inner().identities;
        let held: BTreeSet<String> = held.into_iter().filter_map(|i| Some(i.entry?.id)).collect();
        assert!(held.is_superset(&self.identities), "a document is lost");
        let listed = admin.list_authorities(v1::ListAuthoritiesRequest {}).await;
        let listed = listed.expect("authorities").into_inner().x509;
        for (id, states) in &self.authorities {
            let found = listed.iter().find(|authority| authority.id == *id);
            let state = found.map(v1::X509Authority::state);
            assert!(
                state.is_some_and(|state| states.contains(&state)),
                "{id}: {state:?}"
            );
        }
        let active = |one: &&v1::X509Authority| one.state() == AuthorityState::Active;
        assert_eq!(listed.iter().filter(active).count(), 1);
        self.check_audit(admin, &held).await;
    }

    async fn check_audit(&mut self, admin: &mut Admin, held: &BTreeSet<String>) {
        let request = v1::VerifyAuditRequest {
            noted_seq: self.audit.0,
            noted_hash: self.audit.1.clone(),
        };
        let verified = admin.verify_audit(request).await;
        let verified = verified.expect("verified").into_inner();
        assert_eq!(verified.broken, "");
        self.audit = (verified.seq, verified.hash);
        let listed = admin.list_audit(v1::ListAuditRequest::default()).await;
        let mut entries = listed.expect("listed").into_inner();
        let (mut documents, mut tokens) = (BTreeSet::new(), BTreeSet::new());
        while let Some(entry) = entries.message().await.expect("an entry") {
            match entry.action.as_str() {
                "document-created" => {
                    let name = entry.subject.trim_start_matches("WorkloadIdentity/");
                    documents.insert(name.to_owned());
                }
                "token-created" => drop(tokens.insert(entry.subject)),
                _ => {}
            }
        }
        assert_eq!(
            &documents, held,
            "the log tells of what is there, and of nothing else"
        );
        assert!(tokens.is_superset(&self.tokens), "a token is not told of");
    }
}

fn document(name: &str) -> v1::SourceFile {
    let text = format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: spiffe://example.org/{name}\n  selectors: ['unix:path:/usr/bin/{name}']\n"
    );
    v1::SourceFile {
        name: "test.yaml".into(),
        text,
        format: v1::SourceFormat::Yaml.into(),
    }
}

async fn admin(dir: &Path) -> Admin {
    let uri = format!("unix://{}", dir.join("run/ca.sock").display());
    AdminClient::connect(uri).await.expect("connect")
}

/// Different each time; a failure names it.
fn instant() -> Duration {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    Duration::from_millis(u64::from(nanos.subsec_nanos()) / 1_000 % MAX_WORK_MS)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_at_any_instant() {
    let kills = std::env::var("TIDELOCK_KILLS").ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().expect("temp dir");
    let mut model = Model::default();
    for round in 0..kills {
        let child = serve(dir.path(), &[]).stderr(Stdio::null()).spawn();
        let mut child = answering(child.expect("spawn"), dir.path());
        let mut admin = admin(dir.path()).await;
        model.check(&mut admin).await;
        let after = instant();
        let killed = tokio::task::spawn_blocking(move || {
            std::thread::sleep(after);
            child.kill().expect("kill");
            child.wait().expect("wait")
        });
        let ended = model.work(&mut admin, round).await;
        let ended = ended.expect_err("it was killed");
        let refused = matches!(
            ended.code(),
            Code::FailedPrecondition | Code::InvalidArgument
        );
        assert!(!refused, "after {after:?}: {ended}");
        assert_eq!(killed.await.expect("no panic").code(), None);
    }
    let child = serve(dir.path(), &[]).spawn().expect("spawn");
    let child = answering(child, dir.path());
    model.check(&mut admin(dir.path()).await).await;
    assert!(!model.tokens.is_empty(), "it did something");
    let output = stop(child, "-TERM");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
