use std::format;
use std::string::String;

use tidelock_kabi::RefusedReason;
use tidelock_testkit::{Leaf, TestCa, VirtualClock, uri};

use super::*;
use crate::arena::tl_rs_arena_used;
use crate::errno::{EBADMSG, EINVAL, ENOSPC};
use crate::fake::world::{self, CLIENT, SERVER, TD};
use crate::fake::{arena, lane};
use crate::ffi::{IDENTITY_ARENA, Str};

const NOW: i64 = VirtualClock::START;

fn name(identity: *const u8) -> String {
    // SAFETY: null or an arena.
    unsafe { tl_rs_identity_id(identity).text() }
        .unwrap()
        .into()
}

#[test]
fn a_key_has_a_name_and_a_request_that_an_authority_signs() {
    let (arena, csr) = world::key(CLIENT).unwrap();
    assert_eq!(name(arena), CLIENT);
    let ca = TestCa::new(TD);
    let svid = world::install(arena, &ca.sign(&csr, Leaf::for_id(CLIENT))).unwrap();
    assert!(svid.not_before < NOW && NOW < svid.not_after);
    assert!(svid.serial_len > 0);
}

#[test]
fn a_name_that_is_none_gets_no_key() {
    for id in [
        "",
        "spiffe://",
        "https://example.org/",
        "spiffe://example.org/a/",
        "spiffe://EXAMPLE.org/a",
    ] {
        assert_eq!(world::key(id).unwrap_err(), -EINVAL, "{id}");
    }
    assert_eq!(name(core::ptr::null()), "");
    let mem = arena(IDENTITY_ARENA);
    let (mut csr, mut len) = ([0; 10], 0);
    // SAFETY: all pointers are to live values.
    let errno = lane(mem, || unsafe {
        tl_rs_key_new(
            Str::of(CLIENT.as_bytes()),
            csr.as_mut_ptr(),
            10,
            &raw mut len,
        )
    });
    assert_eq!((errno, len), (-ENOSPC, 0));
    assert_eq!(name(mem), "");
}

#[test]
fn a_chain_for_another_key_or_name_is_refused_and_changes_nothing() {
    let ca = TestCa::new(TD);
    let (mine, csr) = world::key(CLIENT).unwrap();
    let (_, other_csr) = world::key(CLIENT).unwrap();
    let chains = [
        ca.sign(&other_csr, Leaf::for_id(CLIENT)),
        ca.sign(&csr, Leaf::for_id(SERVER)),
        ca.sign(
            &csr,
            Leaf::for_id(CLIENT).with(|params| params.subject_alt_names.push(uri(SERVER))),
        ),
        std::vec![b"not a certificate".to_vec()],
    ];
    for chain in chains {
        let refusal = world::install(mine, &chain).unwrap_err();
        assert_eq!(
            (refusal.errno, refusal.why),
            (-EBADMSG, RefusedReason::BadChain.number())
        );
        assert!(refusal.at >= 24, "{}", refusal.at);
    }
    world::install(mine, &ca.sign(&csr, Leaf::for_id(CLIENT))).unwrap();
}

#[test]
fn installing_needs_a_key() {
    let ca = TestCa::new(TD);
    let (_, csr) = world::key(CLIENT).unwrap();
    let chain = ca.sign(&csr, Leaf::for_id(CLIENT));
    assert_eq!(
        world::install(arena(IDENTITY_ARENA), &chain)
            .unwrap_err()
            .errno,
        -EINVAL
    );
}

#[test]
fn an_identity_arena_has_room_to_spare() {
    let mut ca = TestCa::new(TD);
    ca.add_intermediate(|_| {});
    ca.add_intermediate(|_| {});
    let id = format!("{CLIENT}/{}", "x".repeat(2048 - CLIENT.len() - 1));
    let (mem, csr) = world::key(&id).unwrap();
    world::install(mem, &ca.sign(&csr, Leaf::for_id(&id))).unwrap();
    // SAFETY: the arena is alive.
    let used = unsafe { tl_rs_arena_used(mem) };
    std::println!("identity arena used: {used}");
    assert!(used < IDENTITY_ARENA as u64 / 2, "{used}");
}
