//! The rules of tokens and nodes.

use std::thread;

use super::*;
use crate::store::{JoinedBy, TOKEN_MEMORY_SECS};
use crate::token::TokenId;

/// How many redeem a token at once.
const AT_ONCE: u8 = 8;

/// Not when it is used, has expired or was never made; and the node is there if and only if it was.
///
/// # Panics
/// If the rule does not hold; so do all others here.
pub fn a_token_is_redeemed_once_and_in_time<P: Place>() {
    let (_place, store) = set_up::<P>();
    let (good, late) = (token(1, 100), token(2, 100));
    for one in [&good, &late] {
        store.add_token(one, 0, &[]).expect("add");
        assert_eq!(store.token(&one.id).expect("read").as_ref(), Some(one));
    }
    let redeem = |id: u8, now, serial| {
        let node = node("n1", serial);
        let redeemed = store.redeem(&TokenId([id; 8]), now, &node, &[entry("n1")]);
        redeemed.expect("redeem")
    };
    assert!(!redeem(2, 100, 2), "expired");
    assert!(!redeem(3, 1, 3), "unknown");
    assert_eq!(store.nodes().expect("nodes"), []);
    assert!(redeem(1, 99, 1));
    assert!(!redeem(1, 99, 9), "used");
    assert_eq!(store.nodes().expect("nodes"), [node("n1", 1)]);
    let used = store
        .token(&good.id)
        .expect("read")
        .and_then(|one| one.used);
    assert_eq!(used, Some(99));
    assert_eq!(whole(&store).seq, 1, "one entry for the one that was");
    assert!(redeem(2, 99, 7), "the node joins anew");
    assert_eq!(store.nodes().expect("nodes"), [node("n1", 7)]);
}

/// Nor one that joined by a token, until it is allowed; renewing by its old SVID does not let a certificate in again.
pub fn a_certificate_takes_no_node_for_which_none_is_allowed<P: Place>() {
    let (_place, store) = set_up::<P>();
    let by_certificate = |serial| NodeRecord {
        joined_by: JoinedBy::Certificate,
        certificate_allowed: true,
        ..node("n", serial)
    };
    let attest = |serial| {
        let attested = store.attest_node(&by_certificate(serial), &[entry("n")]);
        attested.expect("attest")
    };
    let allow = |allowed| {
        let changed = store.set_certificate_allowed("n", allowed, &[entry("n")]);
        changed.expect("allow")
    };
    let serial = || store.nodes().expect("nodes")[0].serial.clone();
    assert!(!allow(true), "there is no such node yet");
    assert!(attest(1) && attest(2), "a new name, and one's own");
    assert_eq!(store.nodes().expect("nodes"), [by_certificate(2)]);
    assert!(allow(false) && !allow(false));
    assert!(!attest(3));
    assert_eq!(serial(), [2]);
    store.update_node(&by_certificate(4), &[]).expect("renew");
    assert!(!attest(5));
    assert_eq!(
        whole(&store).seq,
        3,
        "one entry for each that changed something"
    );
    assert!(allow(true) && attest(6));
    assert_eq!(serial(), [6]);
}

/// Neither its SVIDs nor its certificate count, until somebody lets it join anew.
///
/// # Panics
/// If the rule does not hold.
pub fn a_barred_node_is_believed_by_nothing_it_has<P: Place>() {
    let (_place, store) = set_up::<P>();
    let whole_node = NodeRecord {
        previous_serial: Some(vec![9]),
        joined_by: JoinedBy::Certificate,
        certificate_allowed: true,
        ..node("n", 1)
    };
    let bar = |name: &str| store.bar_node(name, &[entry("n")]).expect("bar");
    assert!(!bar("n"), "there is no such node yet");
    assert!(store.attest_node(&whole_node, &[]).expect("attest"));
    store.update_node(&whole_node, &[]).expect("renew");
    assert!(bar("n") && !bar("n"), "once");
    let stored = store.nodes().expect("nodes").remove(0);
    assert!(stored.is_barred() && !stored.stands_by(&[1]) && !stored.stands_by(&[9]));
    assert!(!stored.stands_by(&[]), "nobody shows no serial number");
    assert_eq!(stored, whole_node.clone().barred());
    assert!(!store.attest_node(&whole_node, &[]).expect("attest"));
    assert_eq!(whole(&store).seq, 1);
}

/// However many try at the same time.
pub fn of_many_who_redeem_a_token_one_does<P: Place>() {
    let (_place, store) = set_up::<P>();
    let one = token(1, 100);
    store.add_token(&one, 0, &[]).expect("add");
    let (store, id) = (&store, &one.id);
    let redeem = move |n: u8| {
        let redeemed = store.redeem(id, 1, &node("n1", n), &[entry("n1")]);
        redeemed.expect("redeem").then_some(n)
    };
    let done: Vec<u8> = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|n| scope.spawn(move || redeem(n)))
            .collect();
        let done = threads
            .into_iter()
            .filter_map(|one| one.join().expect("no panic"));
        done.collect()
    });
    let [n] = done[..] else {
        panic!("{done:?}");
    };
    assert_eq!(store.nodes().expect("nodes"), [node("n1", n)]);
    assert_eq!(whole(store).seq, 1);
}

/// When one is added, those that expired longer ago than tokens are remembered are gone, and no others.
pub fn tokens_that_expired_long_ago_are_forgotten<P: Place>() {
    let (_place, store) = set_up::<P>();
    let (old, newer, never) = (token(1, 99), token(2, 100), token(3, i64::MAX));
    for one in [&old, &newer, &never] {
        store.add_token(one, 0, &[]).expect("add");
    }
    store
        .add_token(&token(4, 200), 100 + TOKEN_MEMORY_SECS, &[])
        .expect("add");
    let there = |one: &TokenRecord| store.token(&one.id).expect("read").is_some();
    assert!(!there(&old) && there(&newer) && there(&never));
    let again = store.add_token(&never, 0, &[entry("a")]);
    assert!(again.is_err(), "an id of two");
    assert_eq!(whole(&store), AuditHead::default());
}

/// All of it is replaced; another node is refused.
pub fn a_node_is_updated_if_it_is_there<P: Place>() {
    let (_place, store) = set_up::<P>();
    for (id, name) in [(1, "n1"), (2, "n2")] {
        store.add_token(&token(id, 100), 0, &[]).expect("add");
        let redeemed = store.redeem(&TokenId([id; 8]), 1, &node(name, id), &[]);
        assert!(redeemed.expect("redeem"));
    }
    let renewed = NodeRecord {
        previous_serial: Some(vec![1]),
        not_after: i64::MAX,
        ..node("n1", 9)
    };
    store.update_node(&renewed, &[]).expect("update");
    let mut nodes = store.nodes().expect("nodes");
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(nodes, [renewed, node("n2", 2)]);
    let refused = store.update_node(&node("n3", 1), &[entry("n3")]);
    assert!(matches!(refused, Err(StoreError::NoSuchRow)));
    assert_eq!(store.nodes().expect("nodes").len(), 2);
}
