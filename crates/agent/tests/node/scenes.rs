//! What an operator sees of a node.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest as _, Sha256};
use tidelock_agent::{JoinError, JoinToken, Notice, Options, RunError, Server};
use tidelock_proto::v1::{self, event::Kind};

use super::kernel::Kernel;
use super::plane::{Plane, Running};

/// A process that sleeps, from an executable of its own, and ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn start(exe: &Path) -> Self {
        let child = Command::new(exe)
            .arg("300")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A copy of `sleep`, with `tail` appended: another program of the same behaviour.
pub(crate) fn program(dir: &Path, name: &str, tail: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let mut bytes = std::fs::read("/bin/sleep").unwrap();
    bytes.extend_from_slice(tail);
    // Never open for writing in this process while another thread forks: exec would find it busy.
    let beside = dir.join(format!("{name}.new"));
    std::fs::write(&beside, bytes).unwrap();
    let done = Command::new("install")
        .arg("-m755")
        .arg(&beside)
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
    path
}

pub(crate) fn identity(exe: &Path, ttl: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(std::fs::read(exe).unwrap()).into();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: sleeper}}\nspec:\n  \
         spiffeID: spiffe://example.org/sleeper\n  selectors: [\"unix:path:{}\", \"unix:sha256:{hex}\"]\n  \
         svid: {{ttl: {ttl}}}\n",
        exe.display()
    )
}

pub(crate) const SLEEPER: &str = "spiffe://example.org/sleeper";

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_granted_its_identity_and_the_control_plane_sees_it_all() {
    let (mut plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    agent.says(|notice| matches!(notice, Notice::Attested { id, now: true } if id == "spiffe://example.org/tidelock/agent/n1")).await;
    let generation = plane.apply(&identity(&exe, "1h")).await;
    agent.in_force(generation).await;

    let sleeper = Sleeper::start(&exe);
    kernel.exec(sleeper.pid(), &exe, true);
    assert_eq!(kernel.answer(sleeper.pid()).await.as_deref(), Some(SLEEPER));
    assert_eq!(kernel.serials(SLEEPER, 1).await.len(), 1);

    // The same path and another content, which one byte makes: refused.
    std::fs::remove_file(&exe).unwrap();
    let tampered = Sleeper::start(&program(plane.dir.path(), "sleeper", b"x"));
    kernel.exec(tampered.pid(), &exe, true);
    assert_eq!(kernel.answer(tampered.pid()).await, None);

    kernel.open_flow(sleeper.pid());
    kernel.deny(tampered.pid());
    plane
        .event(|kind| matches!(kind, Kind::FlowOpened(_)).then_some(()))
        .await;
    let denied = plane
        .event(|kind| {
            if let Kind::Denied(denied) = kind {
                Some(denied)
            } else {
                None
            }
        })
        .await;
    assert_eq!(denied.detail, "no permit matched");
    assert_eq!(denied.process.unwrap().exe, exe.display().to_string());

    let mut admin = plane.admin().await;
    let identities = admin
        .get_identities(v1::GetIdentitiesRequest {})
        .await
        .unwrap()
        .into_inner();
    let [identity] = &identities.identities[..] else {
        panic!("{identities:?}");
    };
    assert_eq!(identity.grants.len(), 1);
    assert_eq!(identity.svids.len(), 1);
    let flows = admin
        .get_flows(v1::GetFlowsRequest {})
        .await
        .unwrap()
        .into_inner()
        .flows;
    assert_eq!(flows[0].node, "n1");
    let nodes = admin
        .get_nodes(v1::GetNodesRequest {})
        .await
        .unwrap()
        .into_inner()
        .nodes;
    assert_eq!(nodes[0].module_version, "test-module");
    assert_eq!(nodes[0].applied_generation, generation);

    kernel.exit(sleeper.pid());
    plane
        .event(|kind| matches!(kind, Kind::GrantEnded(_)).then_some(()))
        .await;
    agent.kill().await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_under_operators_are_held_against_what_proc_says_of_the_process() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let dir = plane.dir.path().to_owned();
    let [outside, inside] = ["outside", "inside"].map(|name| program(&dir, name, b""));
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    let document = |name: &str, exe: &Path, group: &str| {
        format!(
            "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
             spiffeID: spiffe://example.org/{{{{node.name}}}}/{name}\n  selectors:\n  - unix:path:{}\n  \
             - anyOf: [{group}, 'systemd:unit:of-nobody.service']\n",
            exe.display()
        )
    };
    // Nobody is in this group: being outside of it is known, not taken for granted.
    let group = "unix:supplementary_gid:4244567";
    let documents = [
        document("outside", &outside, &format!("not: {group}")),
        document("inside", &inside, group),
    ];
    let generation = plane.apply(&documents.concat()).await;
    agent.in_force(generation).await;
    for (exe, expected) in [
        (&outside, Some("spiffe://example.org/n1/outside")),
        (&inside, None),
    ] {
        let sleeper = Sleeper::start(exe);
        kernel.exec(sleeper.pid(), exe, true);
        assert_eq!(kernel.answer(sleeper.pid()).await.as_deref(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_a_template_is_signed_for_each_process_and_registered_by_nobody() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let dir = plane.dir.path().to_owned();
    let [ada, bob, space] = ["ada", "bob", "a b"].map(|name| program(&dir, name, b""));
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    let document = format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: programs}}\nspec:\n  \
         spiffeID: spiffe://{{{{trustDomain}}}}/{{{{node.name}}}}/program/{{{{exe.name}}}}\n  selectors:\n  \
         - anyOf: ['unix:path:{}', 'unix:path:{}', 'unix:path:{}']\n",
        ada.display(),
        bob.display(),
        space.display()
    );
    let generation = plane.apply(&document).await;
    agent.in_force(generation).await;
    let ids = [
        "spiffe://example.org/n1/program/ada",
        "spiffe://example.org/n1/program/bob",
    ];
    let mut running = Vec::new();
    for (exe, id) in [(&ada, ids[0]), (&bob, ids[1])] {
        let sleeper = Sleeper::start(exe);
        kernel.exec(sleeper.pid(), exe, true);
        assert_eq!(kernel.answer(sleeper.pid()).await.as_deref(), Some(id));
        kernel.serials(id, 1).await;
        running.push(sleeper);
    }
    let sleeper = Sleeper::start(&space);
    kernel.exec(sleeper.pid(), &space, true);
    assert_eq!(kernel.answer(sleeper.pid()).await, None);
    let why = plane.event(|kind| match kind {
        Kind::GrantRefused(refused) => Some((refused.entry_id, refused.reason)),
        _ => None,
    });
    let reason = "no SPIFFE ID can hold the value of `{{exe.name}}`";
    assert_eq!(why.await, ("programs".to_owned(), reason.to_owned()));
    let request = v1::GetIdentitiesRequest {};
    let answer = plane.admin().await.get_identities(request).await.unwrap();
    let [identity] = &answer.into_inner().identities[..] else {
        panic!("one document");
    };
    let held = identity.svids.iter().filter_map(|held| held.svid.as_ref());
    let mut held: Vec<_> = held.map(|svid| svid.spiffe_id.as_str()).collect();
    held.sort_unstable();
    assert_eq!(held, ids);
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_control_plane_killed_the_node_goes_on_and_catches_up_later() {
    let (mut plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    let generation = plane.apply(&identity(&exe, "1h")).await;
    agent.in_force(generation).await;
    kernel.serials(SLEEPER, 1).await;

    plane.stop().await;
    agent
        .says(|notice| matches!(notice, Notice::Away { .. }))
        .await;
    let sleeper = Sleeper::start(&exe);
    kernel.exec(sleeper.pid(), &exe, true);
    assert_eq!(kernel.answer(sleeper.pid()).await.as_deref(), Some(SLEEPER));
    kernel.deny(sleeper.pid());

    agent.forget_notices();
    plane.resume().await;
    agent
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;
    // What happened meanwhile is told now.
    plane
        .event(|kind| matches!(kind, Kind::Denied(_)).then_some(()))
        .await;
    let newer = plane.apply(&identity(&exe, "2h")).await;
    agent.in_force(newer).await;
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_starts_again_without_a_token() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    let generation = plane.apply(&identity(&exe, "1h")).await;
    agent.in_force(generation).await;
    agent.kill().await;

    let sleeper = Sleeper::start(&exe);
    kernel.exec(sleeper.pid(), &exe, true);
    let agent = Running::start(&plane, &kernel, None);
    agent
        .says(|notice| matches!(notice, Notice::Attested { now: false, .. }))
        .await;
    agent.in_force(generation).await;
    assert_eq!(kernel.answer(sleeper.pid()).await.as_deref(), Some(SLEEPER));
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_certificates_are_renewed_again_and_again_with_distinct_serials() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    plane.apply(&identity(&exe, "10s")).await;
    let mut serials = kernel.serials(SLEEPER, 3).await;
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 3);
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_used_tokens_are_clear_refusals() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let token = plane.token().await;
    let agent = Running::start(&plane, &kernel, Some(token.clone()));
    agent
        .says(|notice| matches!(notice, Notice::Attested { .. }))
        .await;
    agent.kill().await;

    for (token, data) in [
        (token, "other"),
        (JoinToken::Text("wrong".to_owned().into()), "third"),
    ] {
        let agent = Running::with(Options {
            server: plane.server(),
            join_with: Some(token.into()),
            data_dir: plane.dir.path().join(data),
            device: tidelock_agent::DeviceSource::Open(kernel.opener()),
        });
        let error = agent.ends().await;
        assert!(
            matches!(error, RunError::Join(JoinError::Refused { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("token"), "{error}");
    }
    let agent = Running::with(Options {
        server: plane.server(),
        join_with: None,
        data_dir: plane.dir.path().join("fourth"),
        device: tidelock_agent::DeviceSource::Open(kernel.opener()),
    });
    assert!(matches!(
        agent.ends().await,
        RunError::Join(JoinError::NoToken)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_bundle_does_not_vouch_for_gets_no_token() {
    let (plane, other, kernel) = (Plane::start().await, Plane::start().await, Kernel::new());
    let agent = Running::with(Options {
        server: Server {
            bundle: other.server().bundle,
            ..plane.server()
        },
        join_with: Some(plane.token().await.into()),
        data_dir: plane.data_dir(),
        device: tidelock_agent::DeviceSource::Open(kernel.opener()),
    });
    agent
        .says(|notice| matches!(notice, Notice::Away { why } if why.contains("certificate")))
        .await;
    agent.kill().await;
    // The token was not used up.
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    agent
        .says(|notice| matches!(notice, Notice::Attested { .. }))
        .await;
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_known_any_more_joins_again_once_it_finds_a_new_token() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let file = plane.dir.path().join("token");
    std::fs::write(&file, plane.token_text().await).unwrap();
    let token = Some(JoinToken::File(file.clone()));
    let agent = Running::start(&plane, &kernel, token);
    agent
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;
    agent.forget_notices();

    // Another machine joins under the same name: this one's SVID is not accepted any more.
    let usurper = Running::with(Options {
        server: plane.server(),
        join_with: Some(plane.token().await.into()),
        data_dir: plane.dir.path().join("usurper"),
        device: tidelock_agent::DeviceSource::Open(Kernel::new().opener()),
    });
    usurper
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;
    usurper.kill().await;
    agent
        .says(|notice| matches!(notice, Notice::Away { .. }))
        .await;
    std::fs::write(&file, plane.token_text().await).unwrap();
    agent
        .says(|notice| matches!(notice, Notice::Attested { now: true, .. }))
        .await;
    agent
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;
    agent.kill().await;
}
