//! A kill at any instant: what was acknowledged is there afterwards, what was not is there whole or not at all, and the audit
//! log tells of all of it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidelock_proto::v1;
use tidelock_proto::v1::{AuthorityKind, AuthorityState};
use tonic::{Code, Status};

use super::model::{Admin, Model};
use super::{answering, node, serve, stderr, stop};

/// How often it is killed, unless `TIDELOCK_KILLS` says otherwise.
const KILLS: u32 = 12;

/// Most documents of all rounds: all of them have to fit one node.
const MAX_DOCUMENTS: usize = 900;

/// Most documents of one round.
const MAX_DOCUMENTS_A_ROUND: u32 = 4;

/// Latest that it is killed after its work has begun.
const MAX_WORK_MS: u64 = 150;

/// Asks for one thing after the other until there is no answer.
async fn work(model: &mut Model, dir: &Path, round: u32) -> Result<(), Status> {
    let mut admin = node::admin(dir).await?;
    for n in 0.. {
        let name = format!("r{round}-{n}");
        if n < MAX_DOCUMENTS_A_ROUND && model.identities.len() < MAX_DOCUMENTS {
            model.apply(&mut admin, &name).await?;
        }
        model.token(&mut admin, &name).await?;
        // No more of them than are remembered.
        if n == 0 && round.is_multiple_of(5) {
            for kind in [AuthorityKind::X509, AuthorityKind::Jwt] {
                rotate(model, &mut admin, kind).await?;
            }
        }
        model.sign(dir).await?;
        model.sign_jwt(dir).await?;
        if n.is_multiple_of(3) {
            model.renew(dir).await?;
        }
    }
    Ok(())
}

/// An authority that comes and goes again.
async fn rotate(model: &mut Model, admin: &mut Admin, kind: AuthorityKind) -> Result<(), Status> {
    let kind = kind.into();
    let request = v1::PrepareAuthorityRequest { kind };
    let prepared = admin.prepare_authority(request).await?.into_inner();
    let x509 = prepared.authority.map(|one| one.id);
    let jwt = prepared.jwt_authority.map(|one| one.id);
    let id = x509.or(jwt).expect("an authority");
    // Whether the next step was done is not known until it is acknowledged.
    let either = vec![AuthorityState::Prepared, AuthorityState::Revoked];
    model.authorities.insert(id.clone(), either);
    let request = v1::RevokeAuthorityRequest { id: id.clone() };
    admin.revoke_authority(request).await?;
    model.authorities.insert(id, vec![AuthorityState::Revoked]);
    Ok(())
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
        match round {
            0 => model.base(dir.path()).await.expect("it answers"),
            _ => model.check(dir.path()).await,
        }
        let after = instant();
        let killed = tokio::task::spawn_blocking(move || {
            std::thread::sleep(after);
            child.kill().expect("kill");
            child.wait().expect("wait")
        });
        let ended = work(&mut model, dir.path(), round).await;
        let ended = ended.expect_err("it was killed");
        let refused = matches!(
            ended.code(),
            Code::FailedPrecondition | Code::InvalidArgument | Code::Unauthenticated
        );
        assert!(!refused, "after {after:?}: {ended}");
        assert_eq!(killed.await.expect("no panic").code(), None);
    }
    let child = serve(dir.path(), &[]).spawn().expect("spawn");
    let child = answering(child, dir.path());
    model.check(dir.path()).await;
    assert!(!model.tokens.is_empty(), "it did something");
    eprintln!(
        "{kills} kills: {} documents, {} tokens and {} SVIDs acknowledged, {} entries of the audit log",
        model.identities.len(),
        model.tokens.len(),
        model.issued.len(),
        model.audit.0,
    );
    let output = stop(child, "-TERM");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
