//! What agents are sent that say what they hold.

use tidelock_proto::PART_ID_BYTES;
use tidelock_proto::state::State;
use tidelock_proto::v1;
use tidelock_proto::v1::sync_response::Update;
use tonic::{Code, Streaming};

use crate::common::{NodeKeys, Plane, code, identity, next, permit, policy, service, snapshot};

impl Plane {
    /// A stream for an agent that holds this.
    async fn followed(&self, keys: &NodeKeys, held: v1::Held) -> Streaming<v1::SyncResponse> {
        let mut client = self.node(Some(keys)).await;
        let request = v1::SyncRequest {
            held_generation: 0,
            held: Some(held),
        };
        client.sync(request).await.expect("sync").into_inner()
    }

    /// What a node is sent in full, by another stream, which ends the one it has.
    async fn in_full(&self, keys: &NodeKeys) -> v1::Snapshot {
        self.synced(keys).await.1
    }
}

async fn delta(stream: &mut Streaming<v1::SyncResponse>) -> v1::Delta {
    let update = next(stream).await.expect("not the end").expect("an update");
    match update.update.expect("an update") {
        Update::Delta(delta) => delta,
        Update::Snapshot(_) => panic!("a snapshot, to an agent that takes deltas"),
    }
}

fn some_documents() -> String {
    let names = ["a", "b", "c", "d"];
    let identities = names.map(|name| identity(name, "")).concat();
    let templates =
        identity("of-node", "").replace("example.org/of-node", "example.org/{{node.name}}/of-node");
    let elsewhere = identity("elsewhere", "  nodes: [n2]\n");
    identities + &templates + &elsewhere + &service("web", "10.1.0.0/16:8080")
}

#[tokio::test]
async fn an_agent_that_follows_deltas_has_what_snapshots_say() {
    let plane = Plane::start().await;
    plane.applied(&some_documents()).await;
    let (n1, n2) = (plane.attested("n1").await, plane.attested("n2").await);
    for keys in [&n1, &n2] {
        let mut stream = plane.followed(keys, v1::Held::default()).await;
        let first = delta(&mut stream).await;
        assert!(first.whole);
        let mut state = State::default().apply(&first).expect("a state");
        // One thing that changes, and what of it travels.
        let ttl = identity("a", "  svid: {ttl: 90s}\n");
        let ttl_of = if std::ptr::eq(keys, &n1) {
            "90s"
        } else {
            "91s"
        };
        for (document, added) in [
            (ttl.replace("90s", ttl_of), 1),
            (identity("new", &format!("  svid: {{ttl: {ttl_of}}}\n")), 1),
            // The image and the source.
            (policy("web", &permit(&format!("a{ttl_of}"), "web")), 2),
            (
                identity(
                    "nowhere",
                    &format!("  nodes: [n3]\n  svid: {{ttl: {ttl_of}}}\n"),
                ),
                0,
            ),
        ] {
            let generation = plane.applied(&document).await.generation;
            let changes = delta(&mut stream).await;
            assert_eq!(
                (changes.whole, changes.added.len()),
                (false, added),
                "{document}"
            );
            state = state.apply(&changes).expect("a state");
            assert_eq!(state.generation(), generation);
        }
        let full = plane.in_full(keys).await;
        assert_eq!(state.snapshot(), Ok(full));
    }
}

#[tokio::test]
async fn of_a_default_that_changes_the_entries_travel_that_it_is_for() {
    let plane = Plane::start().await;
    let own = identity("own", "  svid: {ttl: 90s}\n");
    plane.applied(&(some_documents() + &own)).await;
    let keys = plane.attested("n1").await;
    let mut stream = plane.followed(&keys, v1::Held::default()).await;
    let first = delta(&mut stream).await;
    let state = State::default().apply(&first).expect("a state");
    let domain = "apiVersion: tidelock.dev/v1\nkind: TrustDomain\nmetadata: {name: example.org}\n\
                  spec: {x509SVID: {defaultTTL: 30m}}\n";
    plane.applied(domain).await;
    let changes = delta(&mut stream).await;
    // Four for all nodes, and the template of this one.
    let removed = changes.removed.len() / PART_ID_BYTES;
    let travelled = (changes.whole, changes.added.len(), removed);
    assert_eq!(travelled, (false, 5, 5));
    let state = state.apply(&changes).expect("a state");
    assert_eq!(state.snapshot(), Ok(plane.in_full(&keys).await));
}

#[tokio::test]
async fn an_agent_that_was_away_is_sent_only_what_has_changed_even_by_a_control_plane_started_anew()
{
    let plane = Plane::start().await;
    plane.applied(&some_documents()).await;
    let keys = plane.attested("n1").await;
    let first = delta(&mut plane.followed(&keys, v1::Held::default()).await).await;
    let kept = State::default().apply(&first).expect("a state");
    let plane = plane.restart().await;

    let nothing = delta(&mut plane.followed(&keys, kept.held()).await).await;
    assert_eq!(
        (nothing.whole, nothing.added.len(), nothing.removed.len()),
        (false, 0, 0)
    );
    assert_eq!(kept.apply(&nothing), Ok(kept.clone()));

    plane.applied(&identity("b", "  svid: {ttl: 90s}\n")).await;
    let changes = delta(&mut plane.followed(&keys, kept.held()).await).await;
    assert_eq!((changes.whole, changes.added.len()), (false, 1));
    let state = kept.apply(&changes).expect("a state");
    assert_eq!(state.snapshot(), Ok(plane.in_full(&keys).await));
}

#[tokio::test]
async fn another_control_plane_at_the_same_generation_is_not_taken_for_the_first() {
    let (one, other) = (Plane::start().await, Plane::start().await);
    let [first, second] = [
        one.applied(&(some_documents() + &identity("x", ""))).await,
        other
            .applied(&(some_documents() + &identity("y", "")))
            .await,
    ];
    assert_eq!(first.generation, second.generation);
    let keys = one.attested("n1").await;
    let whole = delta(&mut one.followed(&keys, v1::Held::default()).await).await;
    let held = State::default().apply(&whole).expect("a state");

    let keys = other.attested("n1").await;
    let changes = delta(&mut other.followed(&keys, held.held()).await).await;
    // What they have in common is not sent again: the other bundle and identity are.
    assert_eq!((changes.whole, changes.added.len()), (false, 2));
    let state = held.apply(&changes).expect("a state");
    assert_eq!(state.snapshot(), Ok(other.in_full(&keys).await));
}

#[tokio::test]
async fn a_revoked_svid_is_told_by_a_small_delta() {
    let plane = Plane::start().await;
    plane.applied(&some_documents()).await;
    let (n1, n2) = (plane.attested("n1").await, plane.attested("n2").await);
    let serial = plane.signed(&n1, "a").await.expect("signed");
    let mut stream = plane.followed(&n2, v1::Held::default()).await;
    let first = delta(&mut stream).await;
    let state = State::default().apply(&first).expect("a state");
    let what = v1::revoke_request::What::Serial(serial.clone());
    plane.revoked(what).await.expect("revoked");
    let changes = delta(&mut stream).await;
    assert_eq!((changes.whole, changes.added.len()), (false, 1));
    let told = state.apply(&changes).and_then(|state| state.snapshot());
    assert_eq!(told.expect("a snapshot").revoked_serials, [serial]);
}

#[tokio::test]
async fn what_no_agent_holds_is_refused_and_snapshots_go_to_those_that_do_not_say() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let mut client = plane.node(Some(&keys)).await;
    let too_many = vec![0; 16 * (tidelock_proto::MAX_PARTS + 1)];
    for parts in [vec![1; 17], too_many] {
        let request = v1::SyncRequest {
            held_generation: 0,
            held: Some(v1::Held {
                parts: parts.into(),
            }),
        };
        assert_eq!(code(client.sync(request).await), Code::InvalidArgument);
    }
    // Held is what nobody has: all of it is sent.
    let parts = vec![1; 32].into();
    let whole = delta(&mut plane.followed(&keys, v1::Held { parts }).await).await;
    assert!(whole.whole && whole.removed.is_empty());
    let mut stream = client
        .sync(v1::SyncRequest::default())
        .await
        .expect("sync")
        .into_inner();
    snapshot(&mut stream).await.expect("a snapshot");
}
