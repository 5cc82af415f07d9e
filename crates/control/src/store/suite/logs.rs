//! The rules of the audit log, of what is found in it, and of events.

use std::thread;

use super::*;
use crate::store::{IssuedRecord, IssuedTo, Revocation};
use crate::token::TokenId;

/// How many write to the audit log at once.
const AT_ONCE: u64 = 8;

/// How often each of them does.
const TIMES: u64 = 20;

/// In order, and all or none.
///
/// # Panics
/// If the rule does not hold; so do all others here.
pub fn each_change_writes_its_entries_and_a_failed_one_none<P: Place>() {
    let place = P::fresh();
    let store = place.open().expect("open");
    let two = |name: &str| [entry(name), entry("and")];
    store
        .set_up(&authorities(), &two("set up"))
        .expect("set up");
    let one = [document("a", "1")];
    store
        .commit(0, b"f", &one, &[], &two("commit"))
        .expect("commit");
    let put = store.put_authorities(1, None, &authorities(), &two("put"));
    put.expect("put");
    store
        .add_token(&token(1, 100), 0, &two("add"))
        .expect("add");
    let id = TokenId([1; 8]);
    let redeemed = store.redeem(&id, 1, &node("n1", 1), &two("redeem"));
    assert!(redeemed.expect("redeem"));
    store
        .update_node(&node("n1", 2), &two("update"))
        .expect("update");
    let done = store.revoke(1, b"g", &[revoked(&[1], 9)], 0, &two("revoke"));
    done.expect("revoke");
    store.append_audit(&two("append")).expect("append");

    let no = two("not done");
    assert!(store.set_up(&authorities(), &no).is_err());
    assert!(store.commit(7, b"x", &one, &[], &no).is_err());
    assert!(store.put_authorities(7, None, &authorities(), &no).is_err());
    assert!(store.add_token(&token(1, 100), 0, &no).is_err());
    assert!(!store.redeem(&id, 1, &node("n1", 3), &no).expect("redeem"));
    assert!(store.update_node(&node("n9", 1), &no).is_err());
    assert!(store.revoke(7, b"x", &[revoked(&[2], 9)], 0, &no).is_err());
    assert!(store.revoke(2, b"x", &[revoked(&[1], 9)], 0, &no).is_err());

    let done = [
        "set up", "commit", "put", "add", "redeem", "update", "revoke", "append",
    ];
    let expected: Vec<_> = done.iter().flat_map(|name| [*name, "and"]).collect();
    let records = store.audit_after(0, MOST).expect("read");
    let found: Vec<_> = records
        .iter()
        .map(|one| one.entry.subject.as_str())
        .collect();
    assert_eq!(found, expected);
    assert_eq!(whole(&store).seq, expected.len() as u64);
    assert_eq!(store.audit_after(3, 2).expect("read"), records[3..5]);
    assert_eq!(store.audit_after(16, 2).expect("read"), []);
}

/// Numbered without gaps, and those of one call stand together.
pub fn entries_of_many_at_once_are_one_chain<P: Place>() {
    let (_place, store) = set_up::<P>();
    let store = &store;
    thread::scope(|scope| {
        for writer in 0..AT_ONCE {
            scope.spawn(move || {
                for n in 0..TIMES {
                    let name = format!("{writer}-{n}");
                    let both = [entry(&name), entry(&name)];
                    store.append_audit(&both).expect("append");
                }
            });
        }
    });
    assert_eq!(whole(store).seq, 2 * AT_ONCE * TIMES);
    let records = store.audit_after(0, MOST).expect("read");
    for pair in records.chunks(2) {
        assert_eq!(pair[0].entry, pair[1].entry);
    }
}

/// The oldest go first; an event that is written again is replaced.
pub fn events_are_bounded_and_in_order<P: Place>() {
    let (_place, store) = set_up::<P>();
    for seq in 1..=7 {
        store.append_events(&[event(seq)], 5).expect("append");
    }
    let recent = |limit| store.recent_events(limit).expect("read");
    assert_eq!(recent(100), [3, 4, 5, 6, 7].map(event));
    assert_eq!(recent(2), [6, 7].map(event));
    // Numbers may have gaps.
    store
        .append_events(&[event(90), event(91)], 3)
        .expect("append");
    assert_eq!(recent(100), [7, 90, 91].map(event));
}

fn serials<P: Place>(store: &P::Store, to: &IssuedTo, now: i64) -> Vec<Vec<u8>> {
    let found = store.issued(to, now, 10).expect("read");
    found.into_iter().map(|one| one.serial).collect()
}

/// Those that expire last come first. Entries that are no issuance are not found, whatever they say.
pub fn what_was_issued_is_found_by_serial_identity_and_node<P: Place>() {
    let (_place, store) = set_up::<P>();
    let (web, db) = ("spiffe://td/web", "spiffe://td/db");
    let entries = [
        issuance(("node-attested", "token 1f"), "n1", "4a", 50),
        issuance(("svid-issued", "node n1"), web, "41", 10),
        issuance(("svid-issued", "node n2"), web, "42", 30),
        issuance(("svid-issued", "node n1"), db, "43ff", 20),
        issuance(("node-renewed", "node n1"), "n1", "4b", 60),
        issuance(("svid-revoked", "node n1"), web, "41", 99),
        issuance(("server-renewed", "node n1"), web, "41", 99),
        issuance(("document-created", "node n1"), web, "41", 99),
    ];
    store.append_audit(&entries).expect("append");
    let found = |to: &IssuedTo, now| serials::<P>(&store, to, now);
    let of_web = IssuedTo::Identity(web.into());
    assert_eq!(found(&of_web, 9), [[0x42], [0x41]]);
    assert_eq!(found(&of_web, 10), [[0x42]], "one has expired");
    let of_n1 = found(&IssuedTo::Node("n1".into()), 0);
    assert_eq!(
        of_n1,
        [vec![0x4b], vec![0x43, 0xff], vec![0x41], vec![0x4a]]
    );
    assert_eq!(found(&IssuedTo::Node("n2".into()), 0), [[0x42]]);
    assert_eq!(store.issued(&of_web, 0, 1).expect("read").len(), 1);
    let by_serial = |serial: &[u8]| {
        let found = store.issued(&IssuedTo::Serial(serial.to_vec()), 1_000, 10);
        found.expect("read").pop()
    };
    let expected = IssuedRecord {
        serial: vec![0x43, 0xff],
        spiffe_id: Some(db.into()),
        node: "n1".into(),
        not_after: 20,
    };
    assert_eq!(
        by_serial(&[0x43, 0xff]),
        Some(expected),
        "also when it has expired"
    );
    let own = by_serial(&[0x4a]).expect("the node's own");
    assert_eq!((own.spiffe_id, own.node.as_str()), (None, "n1"));
    assert_eq!(by_serial(&[0x43]), None);
    assert!(store.ever_issued(db).expect("read"));
    assert!(!store.ever_issued("spiffe://td/nobody").expect("read"));
}

/// Sorted by serial number, byte for byte; none twice; those that are over make room.
pub fn what_is_revoked_is_kept_until_it_is_over<P: Place>() {
    let (_place, store) = set_up::<P>();
    let (short, long, other) = (
        revoked(&[2], 20),
        revoked(&[2, 0], 9),
        revoked(&[1; 20], 20),
    );
    let all = [short.clone(), long.clone(), other.clone()];
    assert_eq!(store.revoke(0, b"f", &all, 0, &[]).expect("revoke"), 1);
    let sorted = [other.clone(), short.clone(), long];
    assert_eq!(store.revoked().expect("read"), sorted);
    let again = [revoked(&[3], 30), revoked(&[2], 30)];
    assert!(
        store.revoke(1, b"g", &again, 1, &[]).is_err(),
        "it is there"
    );
    assert_eq!(
        store.revoked().expect("read"),
        sorted,
        "and nothing is done"
    );
    let more = [revoked(&[2, 0], 30)];
    assert_eq!(store.revoke(1, b"g", &more, 9, &[]).expect("revoke"), 2);
    let [more] = more;
    assert_eq!(store.revoked().expect("read"), [other, short, more]);
}

/// Also where the log does not tell, and where it tells of an earlier time too.
pub fn what_is_revoked_is_listed_page_by_page_with_the_newest_entry_that_tells_of_it<P: Place>() {
    let (_place, store) = set_up::<P>();
    let listed = |after: &[u8], at, most| {
        let found = store.revocations(after, at, most).expect("read");
        let pair = |one: Revocation| (one.revoked.serial, one.entry.map(|told| told.detail));
        found.into_iter().map(pair).collect::<Vec<_>>()
    };
    let told = |serial: u8, why: &str| {
        let told = revocation(&format!("{serial:02x}"), why);
        (vec![serial], Some(told.detail))
    };
    let entries = [
        revocation("0a", "first"),
        revocation("02", "lost"),
        issuance(("svid-issued", "node n1"), "x", "0a", 9),
    ];
    let both = [revoked(&[10], 9), revoked(&[2], 20)];
    store.revoke(0, b"f", &both, 0, &entries).expect("revoke");
    assert_eq!(listed(&[], 0, 10), [told(2, "lost"), told(10, "first")]);
    assert_eq!(listed(&[], 0, 1), [told(2, "lost")]);
    assert_eq!(listed(&[2], 0, 1), [told(10, "first")]);
    assert_eq!(listed(&[10], 0, 1), []);
    assert_eq!(listed(&[], 9, 10), [told(2, "lost")], "one is over");
    let again = [revocation("0a", "again")];
    store
        .revoke(1, b"g", &[revoked(&[10], 40)], 9, &again)
        .expect("revoke");
    assert_eq!(listed(&[2], 9, 10), [told(10, "again")]);
    store
        .revoke(2, b"h", &[revoked(&[11], 40)], 9, &[])
        .expect("revoke");
    assert_eq!(listed(&[10], 9, 10), [(vec![11], None)]);
}
