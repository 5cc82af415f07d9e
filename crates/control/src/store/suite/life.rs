//! What a store lives through: restarts, back-ups, other versions, damage, a disk without room.

use super::*;
use crate::audit::AuditEntry;
use crate::store::TOKEN_MEMORY_SECS;
use crate::token::TokenId;

/// Longest document that is tried where there is no room, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Something of everything; the tokens to look for.
fn filled(store: &impl Store) -> Vec<TokenRecord> {
    let both = [document("a", "1"), document("b", "2")];
    store
        .commit(0, b"f", &both, &[], &[entry("a")])
        .expect("commit");
    let tokens = vec![token(1, 100), token(2, TOKEN_MEMORY_SECS)];
    for one in &tokens {
        store.add_token(one, 0, &[entry("token")]).expect("add");
    }
    let told = [issuance(("node-attested", "token 01"), "n1", "4a", 50)];
    let redeemed = store.redeem(&TokenId([1; 8]), 1, &node("n1", 0x4a), &told);
    assert!(redeemed.expect("redeem"));
    let told = [revocation("4a", "lost")];
    store
        .revoke(1, b"g", &[revoked(&[0x4a], 90)], 1, &told)
        .expect("revoke");
    store
        .append_events(&[event(1), event(2)], 10)
        .expect("append");
    tokens
}

/// A store can be written to.
fn goes_on(store: &impl Store) {
    let from = store.documents().expect("read").generation;
    let before = whole(store).seq;
    let put = [document("more", "1")];
    let to = store.commit(from, b"more", &put, &[], &[entry("more")]);
    assert_eq!(to.expect("commit"), from + 1);
    store
        .add_token(&token(77, 100), 0, &[entry("more")])
        .expect("add");
    assert_eq!(whole(store).seq, before + 2);
}

/// Without any word to the store before.
///
/// # Panics
/// If the rule does not hold; so do all others here.
pub fn what_was_acknowledged_is_there_after_a_restart<P: Place>() {
    let (place, store) = set_up::<P>();
    let tokens = filled(&store);
    let before = Content::read(&store, &tokens);
    assert_eq!((before.tokens.len(), before.generation), (2, 2));
    drop(store);
    let store = place.open().expect("open");
    assert_eq!(Content::read(&store, &tokens), before);
    goes_on(&store);
}

/// It is made while the store is open; what is written after it is not in it, and neither disturbs the other.
pub fn a_back_up_holds_what_was_acknowledged_and_goes_on_from_there<P: Place>() {
    let (place, store) = set_up::<P>();
    let tokens = filled(&store);
    let before = Content::read(&store, &tokens);
    let backed_up = place.backed_up();
    goes_on(&store);
    let restored = backed_up.open().expect("open");
    assert_eq!(Content::read(&restored, &tokens), before);
    goes_on(&restored);
    drop((store, restored));
    for place in [place, backed_up] {
        let store = place.open().expect("open");
        assert_eq!(store.documents().expect("read").generation, 3);
    }
}

/// Everything is there, it can be written to, and it is as good when it is opened again.
pub fn a_store_of_each_older_version_is_taken_over<P: Place>() {
    let all = P::old();
    assert!(!all.is_empty(), "the current version at least");
    for Old {
        version,
        place,
        content,
    } in all
    {
        let read = |store: &P::Store| Content::read(store, &content.tokens);
        let store = place
            .open()
            .unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(read(&store), content, "of version {version}");
        drop(store);
        let store = place
            .open()
            .unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(read(&store), content, "of version {version}, opened again");
        goes_on(&store);
    }
}

/// The error has the part that says what is wrong; nothing at the place has changed, so that whoever knows better can look.
pub fn what_is_no_store_is_told_and_left_alone<P: Place>() {
    for (place, told) in P::unusable() {
        let before = place.bytes();
        let error = place.open().err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("it was taken, and not told: {told}"));
        assert!(error.contains(told), "`{error}` does not say `{told}`");
        assert!(place.bytes() == before, "changed: {told}");
    }
}

/// Each change is refused as one for which there is no room, or done; afterwards all is well again.
pub fn without_room_nothing_is_half_written_and_what_there_is_can_be_read<P: Place>() {
    let (place, store) = set_up::<P>();
    let tokens = filled(&store);
    place.fill(&store);
    let before = Content::read(&store, &tokens);
    let mut len_bytes = MOST_BYTES;
    let text = "x".repeat(MOST_BYTES);
    while len_bytes > 0 {
        let now = Content::read(&store, &tokens);
        let put = [
            document("a", &text[..len_bytes]),
            document("c", &text[..len_bytes]),
        ];
        match store.commit(now.generation, b"x", &put, &[], &[entry("a"), entry("c")]) {
            Ok(to) => {
                assert_eq!(
                    (to, whole(&store).seq),
                    (now.generation + 1, now.audit.seq + 2)
                );
            }
            Err(StoreError::Full) => assert_eq!(Content::read(&store, &tokens), now),
            Err(error) => panic!("{len_bytes} bytes: {error}"),
        }
        len_bytes /= 2;
    }
    let long = [AuditEntry {
        detail: text,
        ..entry("long")
    }];
    let (log, nodes) = (whole(&store), store.nodes().expect("nodes"));
    assert!(matches!(store.append_audit(&long), Err(StoreError::Full)));
    let update = store.update_node(&node("n1", 9), &long);
    assert!(matches!(update, Err(StoreError::Full)));
    assert_eq!((whole(&store), store.nodes().expect("nodes")), (log, nodes));
    let told = StoreError::Full.to_string();
    assert!(told.contains("free some"), "{told}");

    place.make_room(&store);
    store.append_audit(&long).expect("there is room");
    goes_on(&store);
    drop(store);
    let store = place.open().expect("open");
    assert!(store.documents().expect("read").generation > before.generation);
    whole(&store);
}
