//! Applying documents: all or nothing, and every error with its place.

use crate::common::{Plane, identity, permit, policy, service};
use tidelock_proto::v1;

/// File line, field, and a part of the reason.
type Expected<'a> = (u32, &'a str, &'a str);

async fn check(plane: &Plane, text: &str, expected: &[Expected<'_>]) {
    let before = plane.generation().await;
    let errors = plane.refused(text).await;
    let found: Vec<_> = errors
        .iter()
        .map(|e| (e.line, e.field.as_str(), e.reason.as_str()))
        .collect();
    let same =
        |(f, e): (&Expected<'_>, &Expected<'_>)| f.0 == e.0 && f.1 == e.1 && f.2.contains(e.2);
    let all = found.len() == expected.len() && found.iter().zip(expected).all(same);
    assert!(all, "{text}\nfound    {found:#?}\nexpected {expected:#?}");
    assert!(errors.iter().all(|e| e.file == "test.yaml"), "{errors:?}");
    assert_eq!(plane.generation().await, before, "{text}");
}

#[tokio::test]
async fn files_that_are_no_documents() {
    let plane = Plane::start().await;
    for (text, expected) in [
        ("", (0, "", "there is no document in it")),
        (
            "---\n---\n# nothing\n",
            (0, "", "there is no document in it"),
        ),
        ("a: b: c\n", (1, "", "is not YAML: ")),
        ("kind: Service\nspec: {\n", (3, "", "is not YAML: ")),
        (
            "just text\n",
            (1, "", "has to be a mapping, but is a string"),
        ),
        ("- a\n", (1, "", "has to be a mapping, but is a list")),
        (
            "a: &x 1\nb: *x\n",
            (1, "", "anchors and aliases are not supported"),
        ),
        (
            "kind: a\nkind: b\n",
            (2, "", "`kind` stands here already, at line 1"),
        ),
    ] {
        check(&plane, text, &[expected]).await;
    }
}

#[tokio::test]
async fn what_every_document_needs() {
    let plane = Plane::start().await;
    check(
        &plane,
        "{}\n",
        &[
            (1, "apiVersion", "is missing"),
            (1, "kind", "is missing"),
            (1, "metadata", "is missing"),
            (1, "spec", "is missing"),
        ],
    )
    .await;
    let text =
        "\napiVersion: v1\nkind: Pod\nmetadata: {name: Web, labels: {}}\nstatus: {}\nspec: {}\n";
    check(
        &plane,
        text,
        &[
            (
                2,
                "apiVersion",
                "is `v1`; this control plane knows `tidelock.dev/v1`",
            ),
            (3, "kind", "is `Pod`; known kinds are"),
            (4, "metadata.name", "has 'W' at byte 0"),
            (4, "metadata.labels", "is not a known field"),
            (
                5,
                "status",
                "is not a known field; known are `apiVersion`, `kind`, `metadata`, `spec`",
            ),
        ],
    )
    .await;
    let text = "apiVersion: 1\nkind:\nmetadata: x\nspec:\n";
    check(
        &plane,
        text,
        &[
            (1, "apiVersion", "write it in quotes, \"1\""),
            (2, "kind", "has to be a string, but is empty"),
            (3, "metadata", "has to be a mapping, but is a string"),
        ],
    )
    .await;
}

#[tokio::test]
async fn wrong_workload_identities() {
    let plane = Plane::start().await;
    let head = "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {name: a}\nspec:\n";
    let good = "  spiffeID: spiffe://example.org/a\n  selectors: ['unix:path:/a']\n";
    for (spec, expected) in [
        (
            "  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "is missing"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n",
            (5, "spec.selectors", "is missing"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors: []\n",
            (6, "spec.selectors", "there are no selectors"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors: x\n",
            (6, "spec.selectors", "has to be a list"),
        ),
        (
            "  spiffeID: http://x\n  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "`http://x` is not a SPIFFE ID"),
        ),
        (
            "  spiffeID: spiffe://example.org/a/\n  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "is not a SPIFFE ID"),
        ),
        (
            "  spiffeID: spiffe://example.org\n  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "has no path"),
        ),
        (
            "  spiffeID: spiffe://other.org/a\n  selectors: ['unix:path:/a']\n",
            (
                5,
                "spec.spiffeID",
                "is not in the trust domain `example.org`",
            ),
        ),
        (
            "  spiffeID: spiffe://example.org/tidelock/agent/n1\n  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "Tidelock's own"),
        ),
        (
            "  spiffeID: spiffe://example.org/TideLock\n  selectors: ['unix:path:/a']\n",
            (5, "spec.spiffeID", "Tidelock's own"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors:\n  - unix:uid:1000\n",
            (7, "spec.selectors", "name no executable"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors:\n  - unix:path:/a\n  - unix:color:red\n",
            (8, "spec.selectors[1]", "`unix:color:red`: unknown selector"),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors:\n  - unix:path:a\n",
            (7, "spec.selectors[0]", "`unix:path:a`: "),
        ),
        (
            "  spiffeID: spiffe://example.org/a\n  selectors:\n  - 5\n",
            (
                7,
                "spec.selectors[0]",
                "has to be a string: write it in quotes, \"5\"",
            ),
        ),
    ] {
        check(&plane, &format!("{head}{spec}"), &[expected]).await;
    }
    for (more, expected) in [
        (
            "  colour: red\n",
            (
                7,
                "spec.colour",
                "is not a known field; known are `spiffeID`, `selectors`, `svid`, `nodes`",
            ),
        ),
        (
            "  svid: {ttl: 5s}\n",
            (7, "spec.svid.ttl", "`5s` is 5 s; at least 10 s are needed"),
        ),
        (
            "  svid: {ttl: 1y}\n",
            (7, "spec.svid.ttl", "`1y` is not a span of time"),
        ),
        (
            "  svid: {ttl: 3600}\n",
            (7, "spec.svid.ttl", "write it in quotes"),
        ),
        (
            "  svid: {ttl: 9999d}\n",
            (7, "spec.svid.ttl", "is longer than"),
        ),
        (
            "  svid: {jwtTTL: 2h}\n",
            (7, "spec.svid.jwtTTL", "is longer than"),
        ),
        (
            "  svid: {Ttl: 1h}\n",
            (
                7,
                "spec.svid.Ttl",
                "is not a known field; known are `ttl`, `jwtTTL`",
            ),
        ),
        ("  nodes: []\n", (7, "spec.nodes", "is an empty list")),
        (
            "  nodes: [n1, N2]\n",
            (7, "spec.nodes[1]", "has 'N' at byte 0"),
        ),
        (
            "  nodes: [n1, n1]\n",
            (7, "spec.nodes[1]", "`n1` is named twice"),
        ),
    ] {
        check(&plane, &format!("{head}{good}{more}"), &[expected]).await;
    }
}

#[tokio::test]
async fn wrong_services() {
    let plane = Plane::start().await;
    let head = "apiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {name: a}\nspec:\n";
    for (spec, expected) in [
        (
            "  servers: ['spiffe://example.org/a']\n",
            (5, "spec.addresses", "is missing"),
        ),
        (
            "  addresses: ['10.0.0.1:80']\n",
            (5, "spec.servers", "is missing"),
        ),
        (
            "  addresses: ['10.0.0.1:80']\n  servers: []\n",
            (6, "spec.servers", "is an empty list"),
        ),
        (
            "  addresses: []\n  servers: ['spiffe://example.org/a']\n",
            (5, "spec.addresses", "is an empty list"),
        ),
        (
            "  addresses: ['10.0.0.1']\n  servers: ['spiffe://example.org/a']\n",
            (5, "spec.addresses[0]", "`10.0.0.1` has no port"),
        ),
        (
            "  addresses: ['10.0.0.1/24:80']\n  servers: ['spiffe://example.org/a']\n",
            (5, "spec.addresses[0]", "did you mean `10.0.0.0/24:80`?"),
        ),
        (
            "  addresses: ['web:80']\n  servers: ['spiffe://example.org/a']\n",
            (5, "spec.addresses[0]", "does not begin with an IP address"),
        ),
        (
            "  addresses: ['10.0.0.1:80']\n  servers: ['spiffe://other.org/a']\n",
            (6, "spec.servers[0]", "is not in the trust domain"),
        ),
        (
            "  addresses: ['10.0.0.1:80']\n  servers: ['spiffe://example.org/a', 'spiffe://EXAMPLE.org/a']\n",
            (6, "spec.servers[1]", "is named twice"),
        ),
        (
            "  addresses: ['10.0.0.1:80']\n  servers: ['spiffe://example.org/a']\n  netns: blue\n",
            (7, "spec.netns", "is `blue`; known is `host`"),
        ),
        (
            "  addresses:\n  - 10.0.0.0/8:80\n  - 10.0.0.1:80\n  servers: ['spiffe://example.org/a']\n",
            (
                7,
                "spec.addresses[1]",
                "`10.0.0.1:80` of Service `a` overlaps `10.0.0.0/8:80` of Service `a` (test.yaml:6)",
            ),
        ),
    ] {
        check(&plane, &format!("{head}{spec}"), &[expected]).await;
    }
}

#[tokio::test]
async fn services_that_claim_one_address_are_a_conflict_that_names_both() {
    let plane = Plane::start().await;
    plane.applied(&service("first", "10.0.0.0/24:80")).await;
    let text = service("second", "10.0.0.7:80");
    let reason = "`10.0.0.7:80` of Service `second` overlaps `10.0.0.0/24:80` of Service `first` (applied before)";
    check(&plane, &text, &[(6, "spec.addresses[0]", reason)]).await;

    let both = format!(
        "{}{}",
        service("third", "[::1]:81"),
        service("fourth", "[::/0]:81")
    );
    let reason =
        "`[::/0]:81` of Service `fourth` overlaps `[::1]:81` of Service `third` (test.yaml:6)";
    check(&plane, &both, &[(13, "spec.addresses[0]", reason)]).await;

    // Moving one out of the other's way in the same apply is no conflict.
    let moved = format!(
        "{}{}",
        service("second", "10.0.0.7:80"),
        service("first", "10.0.1.0/24:80")
    );
    plane.applied(&moved).await;
}

#[tokio::test]
async fn policies_that_do_not_compile() {
    let plane = Plane::start().await;
    let head =
        "apiVersion: tidelock.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec:\n  cedar: |\n";
    let text = format!(
        "{head}    {};\n\n    permit(principal, action,\n      resource) whenever {{ true }};\n",
        permit("a", "b").trim_end_matches(';')
    );
    let errors = plane.refused(&text).await;
    assert!(!errors.is_empty());
    assert!(
        errors
            .iter()
            .all(|e| e.field == "spec.cedar" && e.line >= 8),
        "{errors:#?}"
    );
    assert!(errors.iter().any(|e| e.line == 9), "{errors:#?}");

    check(
        &plane,
        &format!("{head}    // nothing\n{}", service("b", "bad")),
        &[(12, "spec.addresses[0]", "`bad` has no port")],
    )
    .await;

    let unknown = "permit(principal == Robot::\"x\", action, resource);";
    let errors = plane.refused(&policy("p", unknown)).await;
    assert!(
        errors
            .iter()
            .any(|e| e.line == 7 && e.reason.contains("Robot")),
        "{errors:#?}"
    );
}

#[tokio::test]
async fn cedar_files_are_policies_named_after_the_file() {
    let plane = Plane::start().await;
    let file = |name: &str, text: &str| v1::SourceFile {
        name: name.into(),
        text: text.into(),
        format: v1::SourceFormat::Cedar.into(),
    };
    let good = permit("a", "b");
    let response = plane
        .apply_files(vec![file("some/where/web.cedar", &good)])
        .await;
    let Some(v1::apply_response::Result::Applied(applied)) = response.result else {
        panic!("{response:?}")
    };
    assert_eq!(
        (
            applied.documents[0].name.as_str(),
            applied.documents[0].change()
        ),
        ("web", v1::Change::Created)
    );
    let policies = plane
        .admin()
        .await
        .get_policies(v1::GetPoliciesRequest {})
        .await
        .expect("get")
        .into_inner();
    assert_eq!(
        policies.policies,
        [v1::Policy {
            name: "web".into(),
            cedar: good.clone(),
            mode: v1::PolicyMode::Enforce.into(),
        }]
    );

    let bad = format!("{good}\npermit(oops);\n");
    let response = plane
        .apply_files(vec![file("web.cedar", &bad), file("Bad Name.cedar", &good)])
        .await;
    let Some(v1::apply_response::Result::Refused(refused)) = response.result else {
        panic!("{response:?}")
    };
    let places: Vec<_> = refused
        .errors
        .iter()
        .map(|e| (e.file.as_str(), e.line))
        .collect();
    assert!(
        places.contains(&("web.cedar", 2)) && places.contains(&("Bad Name.cedar", 1)),
        "{places:?}"
    );
}

#[tokio::test]
async fn one_error_refuses_the_whole_apply_and_all_errors_are_told() {
    let plane = Plane::start().await;
    plane.applied(&identity("kept", "")).await;
    let keys = plane.attested("n1").await;
    let (mut stream, _) = plane.synced(&keys).await;
    let good = [
        identity("good", ""),
        service("good", "10.0.0.1:80"),
        policy("good", &permit("good", "good")),
    ]
    .concat();
    let lines = u32::try_from(good.lines().count()).expect("few");
    let bad = [
        identity("bad", "  colour: red\n"),
        service("worse", "10.0.0.1"),
        identity("good", ""),
    ]
    .concat();
    check(
        &plane,
        &format!("{good}{bad}"),
        &[
            (lines + 8, "spec.colour", "is not a known field"),
            (lines + 14, "spec.addresses[0]", "has no port"),
            (
                lines + 19,
                "metadata.name",
                "WorkloadIdentity `good` is also given at test.yaml:4",
            ),
        ],
    )
    .await;
    let identities = plane
        .admin()
        .await
        .get_identities(v1::GetIdentitiesRequest {})
        .await
        .expect("get");
    let names: Vec<_> = identities
        .into_inner()
        .identities
        .into_iter()
        .filter_map(|i| i.entry)
        .map(|e| e.id)
        .collect();
    assert_eq!(names, ["kept"]);
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(200), stream.message()).await;
    assert!(quiet.is_err(), "nothing is pushed");
}

#[tokio::test]
async fn errors_of_several_files_name_their_files() {
    let plane = Plane::start().await;
    let file = |name: &str, text: String| v1::SourceFile {
        name: name.into(),
        text,
        format: v1::SourceFormat::Yaml.into(),
    };
    let files = vec![
        file("a.yaml", service("a", "10.0.0.1:80")),
        file("b.yaml", "a: [".into()),
        file("c.yaml", service("c", "10.0.0.1:80")),
    ];
    let response = plane.apply_files(files).await;
    let Some(v1::apply_response::Result::Refused(refused)) = response.result else {
        panic!("{response:?}")
    };
    let found: Vec<_> = refused.errors.iter().map(|e| e.file.as_str()).collect();
    assert_eq!(found, ["b.yaml", "c.yaml"], "{refused:#?}");
    assert!(
        refused.errors[1].reason.contains("(a.yaml:6)"),
        "{refused:#?}"
    );
}

#[tokio::test]
async fn changes_are_named_one_by_one() {
    let plane = Plane::start().await;
    plane
        .applied(&[identity("a", ""), identity("b", "")].concat())
        .await;
    let applied = plane
        .applied(
            &[
                identity("a", ""),
                identity("b", "  nodes: [n1]\n"),
                service("a", "10.0.0.1:80"),
            ]
            .concat(),
        )
        .await;
    let changes: Vec<_> = applied
        .documents
        .iter()
        .map(|d| (d.kind(), d.name.as_str(), d.change()))
        .collect();
    let (identity, service) = (
        v1::DocumentKind::WorkloadIdentity,
        v1::DocumentKind::Service,
    );
    assert_eq!(
        changes,
        [
            (identity, "a", v1::Change::Unchanged),
            (identity, "b", v1::Change::Updated),
            (service, "a", v1::Change::Created),
        ]
    );
}

#[tokio::test]
async fn a_permit_that_permits_nothing_at_one_end_is_applied_and_warned_of_once() {
    let plane = Plane::start().await;
    let fact = "{ context has client && context.client.uid == 7 };";
    let cedar = permit("a", "b").replace(';', &format!(" when {fact}"));
    let response = plane.apply(&policy("facts", &cedar)).await;
    assert!(
        matches!(
            response.result,
            Some(v1::apply_response::Result::Applied(_))
        ),
        "{response:?}"
    );
    let [warning] = response.warnings.as_slice() else {
        panic!("{:#?}", response.warnings)
    };
    assert_eq!((warning.file.as_str(), warning.line), ("test.yaml", 7));
    assert!(
        warning
            .reason
            .starts_with("policy `policy0`: permits nothing at the server's end"),
        "{}",
        warning.reason
    );
    let response = plane.apply(&policy("other", &permit("a", "c"))).await;
    assert!(response.warnings.is_empty(), "it was warned of before");
}
