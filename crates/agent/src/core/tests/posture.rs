//! What the kernel is told of the node, and what is measured because policies ask for it.

use tidelock_kabi::Posture;
use tidelock_policy::{Expr, ImageBuilder, Rule};
use tidelock_proto::v1 as proto;

use crate::core::Desired;

fn desired() -> Desired {
    with_image(Vec::new())
}

fn with_image(image: Vec<u8>) -> Desired {
    let snapshot = proto::Snapshot {
        generation: 1,
        policy: Some(proto::PolicySet {
            image,
            ..proto::PolicySet::default()
        }),
        limits: Some(proto::Limits::default()),
        ..proto::Snapshot::default()
    };
    Desired::parse(snapshot).unwrap()
}

#[test]
fn the_kernel_is_told_which_node_it_is_and_when_that_was_attested() {
    desired().with_config(|config| assert_eq!(config.posture, None));
    for attested_at_ms in [Some(5), None] {
        let told = Posture {
            node: "n1",
            attested_at_ms,
        };
        let desired = desired().at_node("n1", attested_at_ms);
        desired.with_config(|config| assert_eq!(config.posture, Some(told)));
    }
}

#[test]
fn who_connects_serves_or_listens_is_measured_where_a_policy_asks_for_it() {
    let asks = |of: &str, fact: &str| {
        let record = Box::new(Expr::attribute(of));
        let known = Expr::Has(record, fact.into());
        let mut image = ImageBuilder::new();
        image.push(&Rule::forbid("known").when(&known)).unwrap();
        with_image(image.build().unwrap()).asks_for_digests
    };
    for of in ["client", "server", "process"] {
        assert!(asks(of, "sha256"), "{of}");
        assert!(!asks(of, "uid"), "{of}");
    }
    assert!(!asks("posture", "sha256"));
}

#[test]
fn keys_that_sign_jwt_svids_change_nothing_that_the_kernel_is_told() {
    let snapshot = |jwt_authorities: Vec<proto::JwtKey>| {
        let bundle = proto::Bundle {
            trust_domain: "example.org".into(),
            x509_authorities: vec![vec![1]],
            jwt_authorities,
            ..proto::Bundle::default()
        };
        let snapshot = proto::Snapshot {
            generation: 1,
            bundles: vec![bundle],
            policy: Some(proto::PolicySet::default()),
            limits: Some(proto::Limits::default()),
            ..proto::Snapshot::default()
        };
        Desired::parse(snapshot).unwrap()
    };
    // Not even one that is none.
    let key = proto::JwtKey {
        key_id: "4a".into(),
        public_key: vec![0xff],
        tainted: true,
    };
    assert_eq!(snapshot(vec![key]), snapshot(vec![]));
}
