//! The state that nodes get, and what they report back.

use std::time::Duration;

use crate::common::{NodeKeys, Plane, code, identity, next, permit, policy, service, snapshot};
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::report_request::Report;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

fn names(snapshot: &v1::Snapshot) -> Vec<&str> {
    snapshot.entries.iter().map(|e| e.id.as_str()).collect()
}

#[tokio::test]
async fn the_first_message_is_everything() {
    let plane = Plane::start().await;
    let documents = [
        identity("curl", "  svid: {ttl: 90s}\n"),
        identity("elsewhere", "  nodes: [n2]\n"),
        service("web", "10.1.0.0/16:8080"),
        policy("web", &permit("curl", "web")),
    ];
    let generation = plane.applied(&documents.concat()).await.generation;
    let keys = plane.attested("n1").await;
    let (_stream, first) = plane.synced(&keys).await;

    assert_eq!(first.generation, generation);
    let entry = v1::Entry {
        id: "curl".into(),
        spiffe_id: "spiffe://example.org/curl".into(),
        selectors: vec!["unix:path:/usr/bin/curl".into()],
        x509_ttl_secs: 90,
        ..v1::Entry::default()
    };
    assert_eq!(first.entries, [entry]);
    let mut ip = [0; 16];
    ip[10..14].copy_from_slice(&[255, 255, 10, 1]);
    let address = v1::ServiceAddress {
        ip: ip.to_vec(),
        prefix_len: 112,
        port: 8080,
    };
    let web = v1::Service {
        name: "web".into(),
        addresses: vec![address],
        servers: vec!["spiffe://example.org/web".into()],
        netns: v1::Netns::Host.into(),
        transform: v1::Transform::Unspecified.into(),
        mode: v1::ServiceMode::Strict.into(),
        on_unavailable: v1::OnUnavailable::Deny.into(),
        max_flow_age_secs: 0,
        tls: None,
    };
    assert_eq!(first.services, [web]);
    assert_eq!(first.bundles.len(), 1);
    let set = first.policy.expect("policy");
    assert!(tidelock_policy::Image::check(&set.image).is_ok());
    assert_eq!(set.sources.len(), 1);
    assert!(first.limits.expect("limits").grant_wait_ms > 0);
}

#[tokio::test]
async fn without_policies_there_is_an_image_that_permits_nothing() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let (_stream, first) = plane.synced(&keys).await;
    let set = first.policy.expect("policy");
    assert!(tidelock_policy::Image::check(&set.image).is_ok());
    assert!(set.sources.is_empty());
}

#[tokio::test]
async fn every_change_is_pushed_at_once() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let (mut stream, first) = plane.synced(&keys).await;
    let mut generation = first.generation;
    for name in ["a", "b", "c"] {
        let applied = plane.applied(&identity(name, "")).await.generation;
        let pushed = tokio::time::timeout(Duration::from_secs(1), snapshot(&mut stream)).await;
        let pushed = pushed.expect("pushed").expect("snapshot");
        assert_eq!(pushed.generation, applied);
        assert!(applied > generation);
        generation = applied;
    }
    let request = delete(&["b"], &[]);
    let mut admin = plane.admin().await;
    let deleted = deleted(admin.delete(request.clone()).await);
    let pushed = snapshot(&mut stream).await.expect("snapshot");
    assert_eq!(
        (pushed.generation, names(&pushed)),
        (deleted.generation, vec!["a", "c"])
    );
    assert_eq!(code(admin.delete(request).await), Code::NotFound);
}

/// Asks for the removal of identities by name, and of what files hold.
fn delete(identities: &[&str], files: &[&str]) -> v1::DeleteRequest {
    let name = |name: &&str| v1::DocumentName {
        kind: v1::DocumentKind::WorkloadIdentity.into(),
        name: (*name).to_owned(),
    };
    let file = |text: &&str| v1::SourceFile {
        name: "gone.yaml".into(),
        text: (*text).to_owned(),
        format: v1::SourceFormat::Yaml.into(),
    };
    v1::DeleteRequest {
        documents: identities.iter().map(name).collect(),
        files: files.iter().map(file).collect(),
        ignore_not_found: false,
    }
}

fn deleted(
    answer: Result<tonic::Response<v1::DeleteResponse>, tonic::Status>,
) -> v1::apply_response::Applied {
    match answer.expect("delete").into_inner().result {
        Some(v1::delete_response::Result::Deleted(deleted)) => deleted,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn deletion_takes_all_or_nothing_by_name_and_by_file() {
    let plane = Plane::start().await;
    let [a, b, c] = ["a", "b", "c"].map(|name| identity(name, ""));
    let applied = plane.applied(&[&a[..], &b, &c].join("---\n")).await;
    let mut admin = plane.admin().await;

    let some = delete(&["a", "x"], &[&b]);
    let refused = admin.delete(some.clone()).await.expect_err("x");
    assert_eq!(refused.message(), "there is no WorkloadIdentity `x`");
    let broken = admin.delete(delete(&["a"], &["kind: [\n"])).await;
    assert!(matches!(
        broken.expect("an answer").into_inner().result,
        Some(v1::delete_response::Result::Refused(errors)) if errors.errors[0].file == "gone.yaml"
    ));
    let listed = admin
        .get_identities(v1::GetIdentitiesRequest {})
        .await
        .expect("identities")
        .into_inner();
    assert_eq!(listed.identities.len(), 3);

    let ignoring = v1::DeleteRequest {
        ignore_not_found: true,
        ..some
    };
    let gone = deleted(admin.delete(ignoring.clone()).await);
    let names: Vec<_> = gone
        .documents
        .iter()
        .map(|d| (&d.name[..], d.change()))
        .collect();
    let both = v1::Change::Deleted;
    assert_eq!(names, [("a", both), ("b", both)]);
    assert!(gone.generation > applied.generation);
    let again = deleted(admin.delete(ignoring).await);
    assert_eq!(
        (again.generation, again.documents),
        (gone.generation, vec![])
    );
}

#[tokio::test]
async fn what_changes_nothing_is_not_pushed() {
    let plane = Plane::start().await;
    plane.applied(&identity("a", "")).await;
    let keys = plane.attested("n1").await;
    let (mut stream, first) = plane.synced(&keys).await;
    let applied = plane.applied(&identity("a", "")).await;
    assert_eq!(applied.generation, first.generation);
    assert_eq!(applied.documents[0].change(), v1::Change::Unchanged);
    let quiet = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn a_node_that_knows_a_newer_generation_is_not_rolled_back() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let held_generation = plane.generation().await;
    let mut client = plane.node(Some(&keys)).await;
    assert_eq!(
        code(
            client
                .sync(v1::SyncRequest {
                    held_generation,
                    held: None,
                })
                .await
        ),
        Code::Ok
    );
    let held_generation = held_generation + 1;
    assert_eq!(
        code(
            client
                .sync(v1::SyncRequest {
                    held_generation,
                    held: None,
                })
                .await
        ),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn a_second_stream_of_a_node_ends_the_first() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let (mut first, _) = plane.synced(&keys).await;
    let (mut second, _) = plane.synced(&keys).await;
    assert_eq!(code(snapshot(&mut first).await), Code::Aborted);
    plane.applied(&identity("a", "")).await;
    assert_eq!(code(snapshot(&mut second).await), Code::Ok);
}

#[tokio::test]
async fn stopping_ends_every_stream_soon() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let (mut stream, _) = plane.synced(&keys).await;
    let (_reports, answer) = reporting(&plane, &keys).await;
    let events = v1::EventsRequest {
        follow: true,
        after_seq: u64::MAX,
        tail: 0,
    };
    let mut events = plane
        .admin()
        .await
        .events(events)
        .await
        .expect("events")
        .into_inner();
    let begun = std::time::Instant::now();
    let _dir = plane.dir;
    plane.plane.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(code(snapshot(&mut stream).await), Code::Unavailable);
    // Events from before the end may come first.
    let last = loop {
        if let Err(status) = next(&mut events).await.expect("a status") {
            break status.code();
        }
    };
    assert_eq!(last, Code::Unavailable);
    assert_eq!(code(answer.await.expect("no panic")), Code::Unavailable);
}

type Answer = tokio::task::JoinHandle<Result<(), Status>>;

/// A Report stream that has begun with a state.
pub(crate) async fn reporting(
    plane: &Plane,
    keys: &NodeKeys,
) -> (mpsc::Sender<v1::ReportRequest>, Answer) {
    let (sender, reports) = mpsc::channel(8);
    let mut client = plane.node(Some(keys)).await;
    let answer = tokio::spawn(async move {
        client
            .report(ReceiverStream::new(reports))
            .await
            .map(|_| ())
    });
    let state = v1::NodeState {
        agent_version: "1.2".into(),
        module_version: "3.4".into(),
        kernel_release: "6.12.0".into(),
        applied_generation: 1,
        ..Default::default()
    };
    sender
        .send(report(Report::State(state)))
        .await
        .expect("sent");
    (sender, answer)
}

pub(crate) fn report(report: Report) -> v1::ReportRequest {
    v1::ReportRequest {
        time_unix_ns: 7,
        report: Some(report),
    }
}

fn process() -> Option<v1::Process> {
    Some(v1::Process {
        subject: 9,
        pid: 4,
        uid: 1000,
        exe: "/usr/bin/a".into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn what_a_node_reports_is_seen_while_it_reports() {
    let plane = Plane::start().await;
    plane.applied(&identity("a", "")).await;
    let keys = plane.attested("n1").await;
    let (_stream, _) = plane.synced(&keys).await;
    let (reports, answer) = reporting(&plane, &keys).await;
    let grant = v1::Grant {
        process: process(),
        entry_id: "a".into(),
        ..Default::default()
    };
    let svid = v1::Svid {
        entry_id: "a".into(),
        serial: vec![1, 2],
        ..Default::default()
    };
    let flow = v1::Flow {
        id: 5,
        process: process(),
        service: "web".into(),
        ..Default::default()
    };
    let denied = v1::Denied {
        process: process(),
        reason: v1::DenyReason::NoPermit.into(),
        detail: "no permit matched".into(),
        ..Default::default()
    };
    for one in [
        Report::Granted(grant.clone()),
        Report::SvidInstalled(svid.clone()),
        Report::FlowOpened(flow.clone()),
        Report::Denied(denied.clone()),
        Report::ConfigApplied(v1::ConfigApplied {
            generation: 2,
            flows_cut: 0,
        }),
    ] {
        reports.send(report(one)).await.expect("sent");
    }
    let event = plane
        .event(|e| matches!(e.kind, Some(EventKind::ConfigApplied(_))))
        .await;
    assert_eq!((event.node.as_str(), event.time_unix_ns), ("n1", 7));
    assert!(
        plane
            .events()
            .await
            .iter()
            .any(|e| e.kind == Some(EventKind::Denied(denied.clone())))
    );

    let mut admin = plane.admin().await;
    let identities = admin
        .get_identities(v1::GetIdentitiesRequest {})
        .await
        .expect("get")
        .into_inner();
    let [seen] = &identities.identities[..] else {
        panic!("{identities:?}")
    };
    assert_eq!(
        seen.grants[0],
        v1::NodeGrant {
            node: "n1".into(),
            grant: Some(grant)
        }
    );
    assert_eq!(
        seen.svids[0],
        v1::NodeSvid {
            node: "n1".into(),
            svid: Some(svid)
        }
    );
    let flows = admin
        .get_flows(v1::GetFlowsRequest {})
        .await
        .expect("get")
        .into_inner()
        .flows;
    assert_eq!(
        flows,
        [v1::NodeFlow {
            node: "n1".into(),
            flow: Some(flow)
        }]
    );
    let nodes = admin
        .get_nodes(v1::GetNodesRequest {})
        .await
        .expect("get")
        .into_inner()
        .nodes;
    let [node] = &nodes[..] else {
        panic!("{nodes:?}")
    };
    assert!(
        node.connected && node.applied_generation == 2 && node.sent_generation == 2,
        "{node:?}"
    );
    assert_eq!(
        (node.kernel_release.as_str(), node.grants, node.flows),
        ("6.12.0", 1, 1)
    );
    let status = admin
        .get_status(v1::GetStatusRequest {})
        .await
        .expect("get")
        .into_inner();
    assert_eq!(
        (
            status.nodes,
            status.nodes_connected,
            status.grants,
            status.flows
        ),
        (1, 1, 1, 1)
    );

    drop(reports);
    answer.await.expect("no panic").expect("a clean end");
    let flows = admin
        .get_flows(v1::GetFlowsRequest {})
        .await
        .expect("get")
        .into_inner()
        .flows;
    assert!(flows.is_empty(), "nobody knows any more");
}

#[tokio::test]
async fn a_report_that_does_not_begin_with_the_state_is_refused() {
    let plane = Plane::start().await;
    let keys = plane.attested("n1").await;
    let mut client = plane.node(Some(&keys)).await;
    for first in [
        report(Report::FlowClosed(v1::FlowClosed::default())),
        v1::ReportRequest::default(),
    ] {
        let answer = client.report(tokio_stream::iter([first])).await;
        assert_eq!(code(answer), Code::InvalidArgument);
    }
}
