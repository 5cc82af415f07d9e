//! Identities of which one ID could come that another one has.

use crate::common::{Plane, identity};

/// An identity with this path in place of a SPIFFE ID's.
fn of(name: &str, path: &str) -> String {
    identity(name, "").replace(
        &format!("example.org/{name}"),
        &format!("example.org/{path}"),
    )
}

fn refusal(text: &str, other_text: &str, other: &str, place: &str) -> String {
    format!(
        "an ID could come of `spiffe://example.org/{text}` and of `spiffe://example.org/{other_text}`, WorkloadIdentity `{other}` \
         ({place})"
    )
}

async fn refused(plane: &Plane, text: &str) -> Vec<(String, String)> {
    let errors = plane.refused(text).await;
    let told = errors.into_iter().map(|error| {
        assert!(error.line > 0 && error.file == "test.yaml", "{error:?}");
        (error.field, error.reason)
    });
    told.collect()
}

const USERS: &str = "{{node.name}}/user/{{unix.uid}}";

#[tokio::test]
async fn no_process_gets_by_a_template_what_another_identity_stands_for() {
    let plane = Plane::start().await;
    plane.applied(&of("users", USERS)).await;
    let field = || "spec.spiffeID".to_owned();
    for (path, stands) in [
        ("n1/user/0", true),
        ("{{node.name}}/user/0", true),
        ("{{exe.name}}/user/{{unix.gid}}", true),
        ("{{node.name}}/{{systemd.unit}}/{{unix.uid}}", false),
        ("{{node.name}}/group/{{unix.gid}}", false),
        ("{{node.name}}/user/u{{unix.uid}}", true),
        ("n1/user/ada", false),
        ("n1/user", false),
    ] {
        // What stands behind `u` is a number, and all of it is not: said to be ambiguous all the same.
        let text = of("other", path);
        if stands {
            let reason = refusal(path, USERS, "users", "applied before");
            assert_eq!(refused(&plane, &text).await, [(field(), reason)], "{path}");
        } else {
            plane.applied(&text).await;
        }
    }
}

#[tokio::test]
async fn of_two_that_are_new_the_later_one_is_to_blame_whichever_is_the_template() {
    let plane = Plane::start().await;
    let both = [of("b", "n1/user/7"), of("a", USERS)].concat();
    let reason = refusal(USERS, "n1/user/7", "b", "test.yaml:6");
    let expected = [("spec.spiffeID".to_owned(), reason)];
    assert_eq!(refused(&plane, &both).await, expected);
    // Out of the other's way in the same apply.
    plane.applied(&of("b", "n1/user/7")).await;
    let moved = [of("a", USERS), of("b", "n1/admin/7")].concat();
    plane.applied(&moved).await;
}

#[tokio::test]
async fn the_same_template_twice_means_the_same() {
    let plane = Plane::start().await;
    let both = [of("a", USERS), of("b", USERS)].concat();
    plane.applied(&both).await;
}
