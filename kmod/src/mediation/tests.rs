use core::ptr;
use std::string::String;
use std::vec::Vec;

use tidelock_kabi::Service;

use super::*;
use crate::fake::world;
use crate::ffi::role;

type State = [u64; TRANSFORM_WORDS];

/// The states of both directions of a flow of Service `web` with this transform, at this end.
fn states(transform: Option<Configured>, role: u32) -> Option<(State, State)> {
    let services = [Service {
        transform,
        ..world::web()
    }];
    let cfg = world::build(world::config(&[], &services, &[], &[])).unwrap();
    let (mut rx, mut tx) = ([0; TRANSFORM_WORDS], [0; TRANSFORM_WORDS]);
    // SAFETY: the configuration is never freed, the states are alive.
    unsafe { tl_rs_transforms(cfg, 0, role, &raw mut rx, &raw mut tx) }.then_some((rx, tx))
}

/// One call on a buffer of 64 KiB that holds `input`: what came of it, what may be taken, and why not.
fn edit(state: &mut State, input: &[u8]) -> (u32, Vec<u8>, String) {
    let mut buf = input.to_vec();
    buf.resize(QUEUE_BYTES, 0);
    let mut marks = Marks::default();
    marks.put(u32::try_from(input.len()).unwrap());
    let mut edit = Edit {
        state,
        buf: buf.as_mut_ptr(),
        marks: &raw mut marks,
        own_id: Str::of(world::SERVER.as_bytes()),
        peer_id: Str::of(world::CLIENT.as_bytes()),
        peer_hash: &[7; 32],
        why: Str::EMPTY,
    };
    // SAFETY: everything that the edit points to is alive.
    let progress = unsafe { tl_rs_transform(&raw mut edit) };
    // SAFETY: `why` points to a constant.
    let why = unsafe { edit.why.text() }.unwrap();
    buf.truncate(usize::try_from(marks.ready).unwrap());
    (progress, buf, why.into())
}

#[test]
fn without_a_transform_a_flow_is_direct_at_both_ends() {
    assert_eq!(states(None, role::CLIENT), None);
    assert_eq!(states(None, role::SERVER), None);
}

#[test]
fn identity_mediates_both_ends_and_changes_nothing() {
    for role in [role::CLIENT, role::SERVER] {
        let (mut rx, mut tx) = states(Some(Configured::Identity), role).unwrap();
        for state in [&mut rx, &mut tx] {
            let (progress, out, _) = edit(state, b"any bytes");
            assert_eq!(
                (progress, &out[..]),
                (progress::NEEDS_BYTES, &b"any bytes"[..])
            );
        }
    }
}

#[test]
fn the_server_is_told_who_calls_and_nobody_else_is() {
    assert_eq!(
        states(Some(Configured::ForwardClientCert), role::CLIENT),
        None
    );
    let (mut rx, mut tx) = states(Some(Configured::ForwardClientCert), role::SERVER).unwrap();
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let (progress, out, _) = edit(&mut rx, request);
    let uri = std::format!(";URI={}\r\n", world::CLIENT);
    assert_eq!(progress, progress::NEEDS_BYTES);
    assert!(String::from_utf8(out).unwrap().contains(&uri));
    assert_eq!(edit(&mut tx, request).1, request);
}

#[test]
fn a_refusal_says_why() {
    let (mut rx, _) = states(Some(Configured::ForwardClientCert), role::SERVER).unwrap();
    let (progress, out, why) = edit(&mut rx, b"not http\r\n\r\n");
    assert_eq!((progress, &out[..]), (progress::REFUSED, &b""[..]));
    assert_eq!(why, "not an HTTP/1.1 request");
}

#[test]
fn an_edit_that_makes_no_sense_is_refused() {
    let (progress, ..) = edit(&mut [0, 0], b"x");
    assert_eq!(progress, progress::REFUSED, "a state that was never begun");
    // SAFETY: null is allowed.
    let progress = unsafe { tl_rs_transform(ptr::null_mut()) };
    assert_eq!(progress, progress::REFUSED);
    // SAFETY: null is allowed, and nothing is written.
    assert!(!unsafe { tl_rs_transforms(ptr::null(), 0, 0, ptr::null_mut(), ptr::null_mut()) });
}
