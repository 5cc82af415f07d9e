//! What a change would do, before it is made.

use crate::common::{NodeKeys, Plane, identity, permit, policy, service};
use crate::sync::reporting;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::plan_response::{Planned, Result as Outcome};
use tidelock_proto::v1::report_request::Report;

impl Plane {
    async fn plan(&self, text: &str, deletion: bool) -> Planned {
        let file = v1::SourceFile {
            name: "test.yaml".into(),
            text: text.into(),
            format: v1::SourceFormat::Yaml.into(),
        };
        let files = vec![file];
        let request = v1::PlanRequest { files, deletion };
        let answer = self.admin().await.plan(request).await;
        match answer.expect("planned").into_inner().result {
            Some(Outcome::Planned(planned)) => planned,
            other => panic!("{other:?}"),
        }
    }

    /// A process that is curl, and its connection to web, both alive on `n1`.
    async fn lives(&self, keys: &NodeKeys) -> tokio::sync::mpsc::Sender<v1::ReportRequest> {
        let (reports, _) = reporting(self, keys).await;
        let process = Some(v1::Process {
            subject: 9,
            pid: 10,
            ..Default::default()
        });
        let grant = v1::Grant {
            process: process.clone(),
            entry_id: "curl".into(),
            spiffe_id: "spiffe://example.org/curl".into(),
            ..Default::default()
        };
        let flow = v1::Flow {
            id: 5,
            process,
            role: v1::Role::Client.into(),
            local: "10.0.0.9:4711".into(),
            remote: "10.0.0.1:80".into(),
            service: "web".into(),
            local_id: "spiffe://example.org/curl".into(),
            peer_id: "spiffe://example.org/web".into(),
            ..Default::default()
        };
        for report in [Report::Granted(grant), Report::FlowOpened(flow)] {
            let report = v1::ReportRequest {
                time_unix_ns: 0,
                report: Some(report),
            };
            reports.send(report).await.expect("sent");
        }
        self.event(|e| matches!(e.kind, Some(EventKind::FlowOpened(_))))
            .await;
        reports
    }
}

fn documents() -> String {
    let allow = policy("web", &permit("curl", "web"));
    [
        identity("curl", ""),
        identity("web", ""),
        service("web", "10.0.0.1:80"),
        allow,
    ]
    .concat()
}

fn access(planned: &[v1::Access]) -> Vec<(&str, v1::AccessKind, &str, &[u32])> {
    let one = |a: &'_ v1::Access| a.kind();
    let all = planned.iter();
    all.map(|a| (&a.spiffe_id[..], one(a), &a.service[..], &a.ports[..]))
        .collect()
}

#[tokio::test]
async fn what_would_be_lost_is_told_before_it_is() {
    let plane = Plane::start().await;
    let first = plane.plan(&documents(), false).await;
    assert!(first.lost.is_empty());
    let connect = (
        "spiffe://example.org/curl",
        v1::AccessKind::Connect,
        "web",
        &[80][..],
    );
    let serve = (
        "spiffe://example.org/web",
        v1::AccessKind::Serve,
        "web",
        &[80][..],
    );
    assert_eq!(access(&first.gained), [connect, serve]);
    assert!(
        first
            .documents
            .iter()
            .all(|d| d.before.is_empty() && !d.after.is_empty())
    );
    let generation = plane.applied(&documents()).await.generation;
    let keys = plane.attested("n1").await;
    let _reports = plane.lives(&keys).await;

    let same = plane.plan(&documents(), false).await;
    assert_eq!((same.generation, same.flows_cut), (generation, 0));
    assert!(same.lost.is_empty() && same.gained.is_empty() && same.identities.is_empty());

    let forbidden = policy("web", &permit("wget", "web"));
    let planned = plane.plan(&forbidden, false).await;
    assert_eq!(access(&planned.lost), [connect]);
    assert_eq!((planned.flows_cut, planned.identities.len()), (1, 0));

    let elsewhere = plane
        .plan(&identity("curl", "  nodes: [n2]\n"), false)
        .await;
    assert_eq!(elsewhere.flows_cut, 1);
    let lost = &elsewhere.identities[0];
    assert_eq!(
        (&lost.node[..], lost.processes, lost.appraised_anew),
        ("n1", 1, false)
    );

    let stricter = identity("curl", "").replace("curl']", "curl', 'unix:uid:7']");
    let anew = plane.plan(&stricter, false).await;
    assert!(anew.identities[0].appraised_anew && anew.flows_cut == 0);

    let gone = plane.plan(&service("web", "10.0.0.1:80"), true).await;
    assert_eq!(access(&gone.lost), [connect, serve]);
    assert_eq!(
        gone.documents[0].change.as_ref().map(|c| c.change()),
        Some(v1::Change::Deleted)
    );
    assert!(gone.documents[0].after.is_empty());
    assert_eq!(plane.generation().await, generation, "nothing was changed");
}
