//! Policies in mode `observe`: compiled, sent and counted apart from those that decide.

use tidelock_policy::{Attribute, Context, Entity, Image, Outcome, Request};
use tidelock_proto::v1;

use crate::common::{Plane, permit, policy};

fn observed(name: &str, cedar: &str) -> String {
    format!("{}  mode: observe\n", policy(name, cedar))
}

fn outcome(image: &[u8], service: &str) -> Outcome {
    let context = [Attribute::port(80)];
    let request = Request {
        principal: Entity::new("Workload", "spiffe://example.org/curl", &[]),
        action: "connect",
        resource: Entity::new("Service", service, &[]),
        context: Context::new(&context),
    };
    Image::check(image)
        .expect("image")
        .decide(&request)
        .outcome()
}

async fn sent(plane: &Plane) -> v1::PolicySet {
    let keys = plane.attested("n1").await;
    let (_stream, first) = plane.synced(&keys).await;
    first.policy.expect("policy")
}

async fn modes(plane: &Plane) -> Vec<(String, v1::PolicyMode)> {
    let mut admin = plane.admin().await;
    let answer = admin.get_policies(v1::GetPoliciesRequest {}).await;
    let policies = answer.expect("get").into_inner().policies;
    policies
        .into_iter()
        .map(|p| (p.name.clone(), p.mode()))
        .collect()
}

async fn counted(plane: &Plane) -> (u32, u32) {
    let answer = plane
        .admin()
        .await
        .get_status(v1::GetStatusRequest {})
        .await;
    let status = answer.expect("status").into_inner();
    (status.policies, status.policies_observed)
}

#[tokio::test]
async fn what_is_observed_decides_nothing_and_is_sent_counted_and_listed_as_such() {
    let plane = Plane::start().await;
    plane
        .applied(
            &[
                policy("a", &permit("curl", "web")),
                observed("b", "forbid(principal, action, resource);"),
                observed("c", &permit("curl", "db")),
            ]
            .concat(),
        )
        .await;
    let set = sent(&plane).await;
    assert_eq!(outcome(&set.image, "web"), Outcome::Permitted);
    assert_eq!(outcome(&set.image, "db"), Outcome::NoPermit);
    assert_eq!(outcome(&set.observed_image, "web"), Outcome::Forbidden);
    assert_eq!(counted(&plane).await, (3, 2));
    let (enforce, observe) = (v1::PolicyMode::Enforce, v1::PolicyMode::Observe);
    let expected = [("a", enforce), ("b", observe), ("c", observe)].map(|(n, m)| (n.to_owned(), m));
    assert_eq!(modes(&plane).await, expected);
    assert_eq!(
        set.sources.iter().map(v1::Policy::mode).collect::<Vec<_>>(),
        expected.clone().map(|(_, mode)| mode)
    );

    // What was stored is read back as it was.
    let plane = plane.restart().await;
    assert_eq!(modes(&plane).await, expected);
    assert_eq!(counted(&plane).await, (3, 2));
}

#[tokio::test]
async fn a_mode_is_a_change_and_enforce_is_the_default() {
    let plane = Plane::start().await;
    let forbid = "forbid(principal, action, resource);";
    let changed = async |text: String| plane.applied(&text).await.documents[0].change();
    assert_eq!(changed(observed("a", forbid)).await, v1::Change::Created);
    assert_eq!(changed(observed("a", forbid)).await, v1::Change::Unchanged);
    assert_eq!(changed(policy("a", forbid)).await, v1::Change::Updated);
    let enforce = format!("{}  mode: enforce\n", policy("a", forbid));
    assert_eq!(changed(enforce).await, v1::Change::Unchanged);
    let set = {
        plane.applied(&policy("b", &permit("curl", "web"))).await;
        sent(&plane).await
    };
    assert!(set.observed_image.is_empty());
    assert_eq!(outcome(&set.image, "web"), Outcome::Forbidden);
}

#[tokio::test]
async fn another_mode_and_a_policy_that_does_not_compile_are_refused() {
    let plane = Plane::start().await;
    let forbid = "forbid(principal, action, resource);";
    for mode in ["Observe", "audit", "", "[]", "true"] {
        let errors = plane
            .refused(&format!("{}  mode: {mode}\n", policy("a", forbid)))
            .await;
        assert!(
            errors.iter().all(|e| e.field == "spec.mode" && e.line == 8),
            "{errors:?}"
        );
    }
    let errors = plane
        .refused(&observed("a", "permit(principal, action, oops);"))
        .await;
    assert_eq!(errors[0].field, "spec.cedar");
}
