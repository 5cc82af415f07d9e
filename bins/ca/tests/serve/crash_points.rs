//! A kill between any two effects: at each named point, on each way that leads to it. The program dies there by itself, since
//! the file says so; what was acknowledged before is there afterwards, and what was under way is there whole or not at all.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use tempfile::TempDir;
use tidelock_control::CrashPoint::{self, *};
use tidelock_control::{CRASH_FILE_VARIABLE, DATABASE_FILE};
use tidelock_proto::v1;
use tidelock_proto::v1::AuthorityState;
use tonic::{Code, Status};

use super::model::{BASE, Model, hex};
use super::{PATIENCE, answering, node, serve, stop};

/// `SIGABRT`: what a point ends the program with.
const ABORTED: i32 = 6;

/// By how much an authority's time is set back so that it may be activated, in seconds: longer than a bundle takes to be known.
const LONG_AGO_SECS: i64 = 400;

/// Something that is asked of the control plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    SetUp,
    Apply,
    Delete,
    Token,
    Attest,
    Issue,
    Renew,
    Prepare,
    Activate,
    Taint,
    RevokeAuthority,
    RevokeSvid,
    IssueJwt,
    PrepareJwt,
    ActivateJwt,
    TaintJwt,
    RevokeJwt,
}

/// The points of every change that the store acknowledges.
const STORE: [CrashPoint; 4] = [StoreBegun, StoreChanged, StoreAudited, StoreCommitted];

/// The points of an authority that is made, of either kind.
const PREPARE: [CrashPoint; 13] = [
    KeyCreated,
    KeyWritten,
    KeySynced,
    KeyRenamed,
    RotateDrafted,
    RotateStored,
    RotateInForce,
    BundleCreated,
    BundleWritten,
    BundleSynced,
    BundleRenamed,
    RotateBelieved,
    RotateTold,
];

/// The points of a step that leaves the bundle's authorities as they are.
const ROTATE: [CrashPoint; 5] = [
    RotateDrafted,
    RotateStored,
    RotateInForce,
    RotateBelieved,
    RotateTold,
];

/// The points of an authority that goes.
const REVOKE: [CrashPoint; 10] = [
    RotateDrafted,
    RotateStored,
    KeyUnlinked,
    RotateInForce,
    BundleCreated,
    BundleWritten,
    BundleSynced,
    BundleRenamed,
    RotateBelieved,
    RotateTold,
];

/// The points on the way of each, beside those of [`STORE`], which are on all ways.
const WAYS: [(Asked, &[CrashPoint]); 17] = [
    (
        Asked::SetUp,
        &[
            MigrationTaken,
            MigrationCommitted,
            KeyCreated,
            KeyWritten,
            KeySynced,
            KeyRenamed,
            SetUpDrafted,
            SetUpStored,
            BundleCreated,
            BundleWritten,
            BundleSynced,
            BundleRenamed,
        ],
    ),
    (Asked::Apply, &[ApplyPlanned, ApplyStored, ApplyInForce]),
    (Asked::Delete, &[ApplyPlanned, ApplyStored, ApplyInForce]),
    (Asked::Token, &[TokenStored]),
    (Asked::Attest, &[AttestSigned, AttestStored, AttestInForce]),
    (Asked::Issue, &[IssueSigned, IssueWritten, IssueTold]),
    (Asked::Renew, &[RenewSigned, RenewStored, RenewInForce]),
    (Asked::IssueJwt, &[IssueSigned, IssueWritten, IssueTold]),
    (Asked::Prepare, &PREPARE),
    (Asked::PrepareJwt, &PREPARE),
    (Asked::ActivateJwt, &ROTATE),
    (Asked::TaintJwt, &ROTATE),
    (Asked::RevokeJwt, &REVOKE),
    (Asked::Activate, &ROTATE),
    (Asked::Taint, &ROTATE),
    (Asked::RevokeAuthority, &REVOKE),
    (
        Asked::RevokeSvid,
        &[RevokeJudged, RevokeStored, RevokeInForce],
    ),
];

/// A data directory that the control plane has left, what was acknowledged of it, and what the next step is about.
struct Left {
    dir: TempDir,
    model: Model,
    /// For a node that has not joined.
    token: String,
    x509: Pair,
    jwt: Pair,
}

/// The first authority of a kind, and the one that takes its place.
#[derive(Clone, Default)]
struct Pair {
    old: String,
    new: String,
}

impl Pair {
    /// Of those that there are, oldest first.
    fn of(mut ids: impl Iterator<Item = String>) -> Self {
        let mut next = || ids.next().unwrap_or_default();
        Self {
            old: next(),
            new: next(),
        }
    }
}

impl Left {
    /// A fresh copy of it.
    fn copy(&self) -> (TempDir, Model) {
        let copy = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(copy.path().join("ca")).expect("directory");
        for entry in std::fs::read_dir(self.dir.path().join("ca")).expect("list") {
            let entry = entry.expect("entry");
            let to = copy.path().join("ca").join(entry.file_name());
            std::fs::copy(entry.path(), to).expect("copy");
        }
        (copy, self.model.clone())
    }
}

fn crash_file(dir: &Path) -> PathBuf {
    dir.join("crash")
}

fn armed(dir: &Path) -> Command {
    let mut command = serve(dir, &[]);
    command.env(CRASH_FILE_VARIABLE, crash_file(dir));
    command
}

fn started(dir: &Path) -> Child {
    answering(armed(dir).spawn().expect("spawn"), dir)
}

/// Waits for the end that a point brings.
fn ended_at(mut child: Child, what: &str) {
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} was not reached");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(status.signal(), Some(ABORTED), "{what}: {status}");
}

/// Asks for it. What may be there afterwards or not is taken out of the model before, what is acknowledged put in.
async fn ask(asked: Asked, model: &mut Model, left: &Left, dir: &Path) -> Result<(), Status> {
    let mut admin = node::admin(dir).await?;
    let Pair { old, new } = match asked {
        Asked::ActivateJwt | Asked::TaintJwt | Asked::RevokeJwt => left.jwt.clone(),
        _ => left.x509.clone(),
    };
    let mut may_be = |id: &str, states: &[AuthorityState]| {
        model.authorities.insert(id.to_owned(), states.to_vec());
    };
    match asked {
        Asked::SetUp => {}
        Asked::Apply => model.apply(&mut admin, "more").await?,
        Asked::Delete => {
            model.identities.remove(BASE);
            let kind = v1::DocumentKind::WorkloadIdentity.into();
            let name = BASE.to_owned();
            let request = v1::DeleteRequest {
                documents: vec![v1::DocumentName { kind, name }],
                ..v1::DeleteRequest::default()
            };
            admin.delete(request).await?;
        }
        Asked::Token => drop(model.token(&mut admin, "more").await?),
        Asked::Attest => drop(node::attest(dir, &left.token).await?),
        Asked::Issue => model.sign(dir).await?,
        Asked::Renew => model.renew(dir).await?,
        Asked::IssueJwt => model.sign_jwt(dir).await?,
        Asked::Prepare | Asked::PrepareJwt => {
            let kind = match asked {
                Asked::PrepareJwt => v1::AuthorityKind::Jwt,
                _ => v1::AuthorityKind::X509,
            };
            let kind = kind.into();
            let request = v1::PrepareAuthorityRequest { kind };
            admin.prepare_authority(request).await?;
        }
        Asked::Activate | Asked::ActivateJwt => {
            may_be(&old, &[AuthorityState::Active, AuthorityState::Retired]);
            may_be(&new, &[AuthorityState::Prepared, AuthorityState::Active]);
            let (id, despite_nodes) = (new, true);
            let request = v1::ActivateAuthorityRequest { id, despite_nodes };
            admin.activate_authority(request).await?;
        }
        Asked::Taint | Asked::TaintJwt => {
            may_be(&old, &[AuthorityState::Retired, AuthorityState::Tainted]);
            let request = v1::TaintAuthorityRequest { id: old };
            admin.taint_authority(request).await?;
        }
        Asked::RevokeAuthority | Asked::RevokeJwt => {
            may_be(&old, &[AuthorityState::Tainted, AuthorityState::Revoked]);
            let request = v1::RevokeAuthorityRequest { id: old };
            admin.revoke_authority(request).await?;
        }
        Asked::RevokeSvid => {
            let spiffe_id = format!("spiffe://example.org/{BASE}");
            let request = v1::RevokeRequest {
                what: Some(v1::revoke_request::What::SpiffeId(spiffe_id)),
                reason: "lost".to_owned(),
            };
            admin.revoke(request).await?;
        }
    }
    Ok(())
}

/// Dies at the point, starts again, and holds what is there to the model; twice, with something asked for in between.
async fn dies_at(asked: Asked, point: CrashPoint, left: &Left) {
    let (dir, mut model) = left.copy();
    let (dir, what) = (dir.path(), format!("{asked:?} at {}", point.name()));
    let name = || std::fs::write(crash_file(dir), point.name()).expect("write");
    let child = match asked {
        Asked::SetUp => {
            name();
            armed(dir).spawn().expect("spawn")
        }
        _ => {
            let child = started(dir);
            name();
            let answer = ask(asked, &mut model, left, dir).await;
            let code = answer.expect_err(&what).code();
            let lost = matches!(
                code,
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
            );
            assert!(lost, "{what}: {code:?}");
            child
        }
    };
    ended_at(child, &what);
    std::fs::remove_file(crash_file(dir)).expect("remove");
    let child = started(dir);
    eprintln!("{what}");
    model.check(dir).await;
    goes_on(asked, &mut model, left, dir).await.expect(&what);
    model.check(dir).await;
    stop(child, "-KILL");
}

/// What was under way can be asked for again, and all else too.
async fn goes_on(asked: Asked, model: &mut Model, left: &Left, dir: &Path) -> Result<(), Status> {
    let mut admin = node::admin(dir).await?;
    match asked {
        Asked::SetUp => model.base(dir).await?,
        // A token is used up together with what it gives, or good for another try.
        Asked::Attest => match node::attest(dir, &left.token).await {
            Err(refused) => {
                assert_eq!(refused.message(), "the join token has been used already");
                model.nodes.insert("more".to_owned());
            }
            Ok((_, serial)) => {
                model.nodes.insert("more".to_owned());
                model.issued.insert(hex(&serial));
            }
        },
        _ => {}
    }
    model.apply(&mut admin, "after").await?;
    if asked == Asked::Delete {
        model.apply(&mut admin, BASE).await?;
    }
    let before = model.issued.len();
    model.sign(dir).await?;
    assert_eq!(model.issued.len(), before + 1);
    model.sign_jwt(dir).await?;
    model.renew(dir).await
}

/// Lets a control plane do something in a directory, and leaves it.
async fn leave(dir: TempDir, mut model: Model, steps: &[Asked]) -> Left {
    let child = started(dir.path());
    if model.node.is_none() {
        model.base(dir.path()).await.expect("it answers");
    }
    let mut admin = node::admin(dir.path()).await.expect("connect");
    let token = model.token(&mut admin, "more").await.expect("a token");
    let mut left = Left {
        x509: Pair::default(),
        jwt: Pair::default(),
        token,
        model,
        dir,
    };
    stop(child, "-TERM");
    for step in steps {
        left = take(*step, left).await;
    }
    left
}

/// Takes a step in it, and leaves it again.
async fn take(step: Asked, left: Left) -> Left {
    let child = started(left.dir.path());
    let mut model = left.model.clone();
    let taken = ask(step, &mut model, &left, left.dir.path()).await;
    taken.expect("it answers");
    // So that the node does not stand by what the old authority signed.
    model.renew(left.dir.path()).await.expect("it answers");
    let mut admin = node::admin(left.dir.path()).await.expect("connect");
    let listed = admin.list_authorities(v1::ListAuthoritiesRequest {}).await;
    let listed = listed.expect("listed").into_inner();
    stop(child, "-TERM");
    if matches!(step, Asked::Prepare | Asked::PrepareJwt) {
        let database = left.dir.path().join("ca").join(DATABASE_FILE);
        let connection = rusqlite::Connection::open(database).expect("open");
        for table in ["authority", "jwt_authority"] {
            let back = format!("UPDATE {table} SET since = since - ?1 WHERE state = 'prepared'");
            let done = connection.execute(&back, [LONG_AGO_SECS]);
            done.expect("set back");
        }
    }
    let x509 = listed.x509.iter().map(|one| (&one.id, one.state()));
    let jwt = listed.jwt.iter().map(|one| (&one.id, one.state()));
    let states = x509.clone().chain(jwt.clone());
    let states = states.map(|(id, state)| (id.clone(), vec![state]));
    model.authorities = states.collect();
    let (x509, jwt) = (x509.map(|(id, _)| id), jwt.map(|(id, _)| id));
    Left {
        x509: Pair::of(x509.cloned()),
        jwt: Pair::of(jwt.cloned()),
        model,
        ..left
    }
}

/// Every point on the way of each of these.
async fn all_points(of: &[Asked], steps: &[Asked]) {
    let left = match of {
        [Asked::SetUp] => Left {
            dir: tempfile::tempdir().expect("temp dir"),
            model: Model::default(),
            token: String::new(),
            x509: Pair::default(),
            jwt: Pair::default(),
        },
        _ => {
            leave(
                tempfile::tempdir().expect("temp dir"),
                Model::default(),
                steps,
            )
            .await
        }
    };
    // Set up by none, so that there is a directory to copy.
    std::fs::create_dir_all(left.dir.path().join("ca")).expect("directory");
    for (asked, points) in WAYS.iter().filter(|(asked, _)| of.contains(asked)) {
        for point in STORE.iter().chain(*points) {
            dies_at(*asked, *point, &left).await;
        }
    }
}

#[test]
fn every_point_is_on_some_way() {
    let ways = WAYS.iter().flat_map(|(_, points)| *points);
    let reached: BTreeSet<_> = ways.chain(&STORE).copied().collect();
    let all: BTreeSet<_> = CrashPoint::ALL.iter().copied().collect();
    assert_eq!(reached, all);
    let names: BTreeSet<_> = all.iter().map(|point| point.name()).collect();
    assert_eq!(names.len(), all.len(), "two points of one name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_dies_anywhere_is_done_anew_or_done() {
    all_points(&[Asked::SetUp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_or_a_token_that_dies_anywhere_is_whole_or_not_at_all() {
    all_points(&[Asked::Apply, Asked::Delete, Asked::Token], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_that_is_being_issued_is_written_down_or_nobody_has_it() {
    all_points(
        &[
            Asked::Attest,
            Asked::Issue,
            Asked::IssueJwt,
            Asked::Renew,
            Asked::RevokeSvid,
        ],
        &[],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_dies_anywhere_goes_on_from_there() {
    all_points(&[Asked::Prepare], &[]).await;
    all_points(&[Asked::Activate], &[Asked::Prepare]).await;
    all_points(&[Asked::Taint], &[Asked::Prepare, Asked::Activate]).await;
    let steps = [Asked::Prepare, Asked::Activate, Asked::Taint];
    all_points(&[Asked::RevokeAuthority], &steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_keys_of_jwt_svids_that_dies_anywhere_goes_on_from_there() {
    all_points(&[Asked::PrepareJwt], &[]).await;
    all_points(&[Asked::ActivateJwt], &[Asked::PrepareJwt]).await;
    let steps = [Asked::PrepareJwt, Asked::ActivateJwt, Asked::TaintJwt];
    all_points(&[Asked::TaintJwt], &steps[..2]).await;
    all_points(&[Asked::RevokeJwt], &steps).await;
}
