//! Two engines against each other: what both ends hold when all goes well.

use tidelock_testkit::{PairBuilder, TestCa};

const CLIENT: &str = "spiffe://example.org/ns/client";
const SERVER: &str = "spiffe://example.org/ns/server";

fn builder() -> PairBuilder {
    let ca = TestCa::new("example.org");
    PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust())
}

#[test]
fn both_ends_hold_the_same_secrets_and_each_others_name() {
    let mut pair = builder().start();
    pair.run();
    let (client, server) = pair.verdicts();
    let (client, server) = (client.established(), server.established());
    assert_eq!(client.tx.as_bytes(), server.rx.as_bytes());
    assert_eq!(client.rx.as_bytes(), server.tx.as_bytes());
    assert_eq!(client.peer.id().as_str(), SERVER);
    assert_eq!(server.peer.id().as_str(), CLIENT);
    assert_eq!(client.suite, server.suite);
    assert!(client.confirmed && server.confirmed);
}
