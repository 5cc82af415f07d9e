//! What the kernel is told of the node.

use tidelock_kabi::Posture;
use tidelock_proto::v1 as proto;

use crate::core::Desired;

fn desired() -> Desired {
    let snapshot = proto::Snapshot {
        generation: 1,
        policy: Some(proto::PolicySet::default()),
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
