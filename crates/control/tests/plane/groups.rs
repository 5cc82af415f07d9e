//! NodeGroups: which nodes identities are for, and `{{node.group}}`.

use tidelock_proto::v1;

use crate::common::{Plane, code, csr, snapshot};
use crate::operators::applies;

/// A NodeGroup.
fn group(name: &str, nodes: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: NodeGroup\nmetadata: {{name: {name}}}\nspec: {{nodes: [{nodes}]}}\n"
    )
}

/// A WorkloadIdentity for `/usr/bin/NAME` with this SPIFFE ID.
fn identity(name: &str, id: &str, more: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: '{id}'\n  selectors: ['unix:path:/usr/bin/{name}']\n{more}"
    )
}

const WEB: &str = "spiffe://{{trustDomain}}/{{node.group}}/web";

/// Entry and SPIFFE ID of each of a node's identities.
fn ids(snapshot: &v1::Snapshot) -> Vec<(&str, &str)> {
    let entries = snapshot.entries.iter();
    entries
        .map(|entry| (entry.id.as_str(), entry.spiffe_id.as_str()))
        .collect()
}

/// Code, field and line of each error.
fn errors(errors: &[v1::DocumentError]) -> Vec<(&str, &str, u32)> {
    let told = errors.iter();
    told.map(|error| (error.code.as_str(), error.field.as_str(), error.line))
        .collect()
}

async fn delete(plane: &Plane, kind: v1::DocumentKind, name: &str) -> v1::DeleteResponse {
    let request = v1::DeleteRequest {
        documents: vec![v1::DocumentName {
            kind: kind.into(),
            name: name.into(),
        }],
        ..v1::DeleteRequest::default()
    };
    let answer = plane.admin().await.delete(request).await;
    answer.expect("delete").into_inner()
}

#[tokio::test]
async fn a_nodes_group_is_filled_in_and_signed_and_followed_as_it_changes() {
    let plane = Plane::start().await;
    let web = identity("web", WEB, "  nodeGroups: [edge, core]\n");
    let text = group("edge", "n1, n2") + &group("core", "n3") + &web;
    plane.applied(&text).await;
    let keys = plane.attested("n1").await;
    let (mut stream, first) = plane.synced(&keys).await;
    let id = "spiffe://example.org/edge/web";
    assert_eq!(ids(&first), [("web", id)]);
    let sign = async |spiffe_id: &str| {
        let request = v1::SignRequest {
            entry_id: "web".into(),
            spiffe_id: spiffe_id.into(),
            csr: csr(&rcgen::KeyPair::generate().expect("key")),
        };
        code(plane.node(Some(&keys)).await.sign(request).await)
    };
    assert_eq!(sign(id).await, tonic::Code::Ok);
    let other = "spiffe://example.org/core/web";
    assert_eq!(sign(other).await, tonic::Code::FailedPrecondition);

    // In one change it leaves one group and enters the other.
    plane
        .applied(&(group("edge", "n2") + &group("core", "n3, n1")))
        .await;
    let moved = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(ids(&moved), [("web", other)]);
    assert_eq!(sign(id).await, tonic::Code::FailedPrecondition);
    assert_eq!(sign(other).await, tonic::Code::Ok);

    plane.applied(&group("core", "n3")).await;
    let out = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(ids(&out), []);
    assert_eq!(sign(other).await, tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn groups_bind_an_identity_to_their_nodes_beside_those_that_it_names() {
    let plane = Plane::start().await;
    let bound = identity(
        "bound",
        "spiffe://example.org/bound",
        "  nodeGroups: [edge]\n  nodes: [n2]\n",
    );
    let each = identity(
        "each",
        "spiffe://example.org/{{node.group}}/{{node.name}}/{{unix.uid}}",
        "  nodeGroups: [edge]\n",
    );
    plane.applied(&(group("edge", "n1") + &bound + &each)).await;
    let entries = async |node: &str| {
        let keys = plane.attested(node).await;
        let (_, snapshot) = plane.synced(&keys).await;
        let ids = ids(&snapshot).into_iter();
        ids.map(|(entry, id)| format!("{entry} {id}"))
            .collect::<Vec<_>>()
    };
    let bound = "bound spiffe://example.org/bound".to_owned();
    let each = "each spiffe://example.org/edge/n1/{{unix.uid}}".to_owned();
    assert_eq!(entries("n1").await, [bound.clone(), each]);
    assert_eq!(entries("n2").await, [bound]);
    assert!(entries("n3").await.is_empty());
}

#[tokio::test]
async fn a_template_gives_a_node_one_id_or_is_refused() {
    let plane = Plane::start().await;
    let web = identity("web", WEB, "  nodeGroups: [edge, eu]\n");
    let both = group("edge", "n1") + &group("eu", "n1, n2");
    let refused = plane.refused(&(both.clone() + &web)).await;
    let code = "NODE_GROUPS_SHARED";
    assert_eq!(errors(&refused), [(code, "spec.nodeGroups", 14)]);
    let reason = &refused[0].reason;
    assert!(
        reason.contains("node `n1`") && reason.contains("`edge` and `eu`"),
        "{reason}"
    );
    // One of them is enough, and so is a SPIFFE ID that is the same in both.
    plane
        .applied(&(both + &identity("web", WEB, "  nodeGroups: [eu]\n")))
        .await;
    let fixed = "spiffe://example.org/all/web";
    plane
        .applied(&identity("web", fixed, "  nodeGroups: [edge, eu]\n"))
        .await;
    plane.refused(&web).await;
    // A group that grows into another is to blame itself.
    plane.applied(&group("edge", "n9")).await;
    plane.applied(&web).await;
    let refused = plane.refused(&group("edge", "n9, n2")).await;
    assert_eq!(errors(&refused), [(code, "spec.nodes", 4)]);
}

#[tokio::test]
async fn a_group_that_is_named_is_there_and_stays() {
    let plane = Plane::start().await;
    let web = identity("web", WEB, "  nodeGroups: [edge]\n");
    let refused = plane.refused(&web).await;
    assert_eq!(
        errors(&refused),
        [("NODE_GROUP_UNKNOWN", "spec.nodeGroups", 4)]
    );
    plane.applied(&(web + &group("edge", "n1"))).await;
    let generation = plane.generation().await;
    let kept = delete(&plane, v1::DocumentKind::NodeGroup, "edge").await;
    let Some(v1::delete_response::Result::Refused(kept)) = kept.result else {
        panic!("deleted: {kept:?}");
    };
    assert_eq!(
        errors(&kept.errors),
        [("NODE_GROUP_UNKNOWN", "spec.nodeGroups", 0)]
    );
    assert!(
        kept.errors[0].file.contains("WorkloadIdentity web"),
        "{kept:?}"
    );
    assert_eq!(plane.generation().await, generation);
    delete(&plane, v1::DocumentKind::WorkloadIdentity, "web").await;
    let gone = delete(&plane, v1::DocumentKind::NodeGroup, "edge").await;
    assert!(matches!(
        gone.result,
        Some(v1::delete_response::Result::Deleted(_))
    ));
}

#[tokio::test]
async fn a_group_needs_to_be_said_where_it_is_a_variable_and_nodes_not_to() {
    let plane = Plane::start().await;
    for more in [
        "",
        "  nodes: [n1]\n",
        "  nodes: [n1]\n  nodeGroups: [edge]\n",
    ] {
        let text = group("edge", "n1") + &identity("web", WEB, more);
        let refused = plane.refused(&text).await;
        let expected = [("TEMPLATE_INVALID", "spec.spiffeID", 11)];
        assert_eq!(errors(&refused), expected, "{more}");
    }
    for nodes in ["", "N1", "n1, n1"] {
        plane.refused(&group("edge", nodes)).await;
    }
}

#[tokio::test]
async fn an_id_that_could_be_anothers_is_refused_as_of_any_template() {
    let plane = Plane::start().await;
    let each = identity(
        "each",
        "spiffe://example.org/{{node.group}}/{{unix.uid}}",
        "  nodeGroups: [edge]\n",
    );
    plane.applied(&(group("edge", "n1") + &each)).await;
    let refused = plane
        .refused(&identity("one", "spiffe://example.org/edge/7", ""))
        .await;
    assert_eq!(refused[0].code, "SPIFFE_ID_AMBIGUOUS");
    plane
        .applied(&identity("one", "spiffe://example.org/edge/seven", ""))
        .await;
}

#[tokio::test]
async fn who_may_not_edit_everything_moves_no_node() {
    let plane = Plane::start().await;
    let text = group("edge", "n1");
    let part = plane.operator("part", "editor", "/payments").await;
    let refused = applies(&mut plane.by(&part).await, &text).await;
    let refused = refused.expect_err("not permitted");
    assert!(refused[0].contains("the prefix `/`"), "{refused:?}");
    let all = plane.operator("all", "editor", "/").await;
    applies(&mut plane.by(&all).await, &text)
        .await
        .expect("permitted");
}

#[tokio::test]
async fn a_plan_tells_who_would_lose_what_by_a_group() {
    let plane = Plane::start().await;
    let web = identity("web", WEB, "  nodeGroups: [edge, core]\n");
    let service = "---\napiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
                   addresses: ['10.0.0.1:80']\n  servers: ['spiffe://example.org/edge/web']\n";
    let text = group("edge", "n1") + &group("core", "n2") + &web + service;
    plane.applied(&text).await;
    plane.attested("n1").await;
    let request = v1::PlanRequest {
        files: vec![v1::SourceFile {
            name: "f.yaml".into(),
            text: group("edge", "n3"),
            format: v1::SourceFormat::Yaml.into(),
        }],
        deletion: false,
    };
    let answer = plane.admin().await.plan(request).await.expect("plan");
    let Some(v1::plan_response::Result::Planned(planned)) = answer.into_inner().result else {
        panic!("refused");
    };
    let lost: Vec<_> = planned
        .lost
        .iter()
        .map(|one| (one.spiffe_id.as_str(), one.kind()))
        .collect();
    assert_eq!(
        lost,
        [("spiffe://example.org/edge/web", v1::AccessKind::Serve)]
    );
    assert_eq!(planned.documents[0].after.matches("n3").count(), 1);

    let groups = plane
        .admin()
        .await
        .get_node_groups(v1::GetNodeGroupsRequest {})
        .await;
    let groups = groups.expect("groups").into_inner().groups;
    let edge = v1::NodeGroupView {
        name: "edge".into(),
        nodes: vec!["n1".into()],
        identities: vec!["web".into()],
    };
    assert_eq!(groups.last(), Some(&edge));
}
