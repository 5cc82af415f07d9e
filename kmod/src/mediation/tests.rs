use core::ptr;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use tidelock_kabi::Service;
use tidelock_policy::{Expr, ImageBuilder, Rule};

use super::*;
use crate::fake::world;
use crate::ffi::{DETAIL_BYTES, Decision, role};

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
    (unsafe { tl_rs_transforms(cfg, 0, role, &raw mut rx, &raw mut tx) } != DIRECT)
        .then_some((rx, tx))
}

/// One call on a buffer of 64 KiB that holds `input`: what came of it, what may be taken, and why not.
fn edit(state: &mut State, input: &[u8]) -> (u32, Vec<u8>, String) {
    let (progress, out, why, _) = asking(state, input, ptr::null());
    (progress, out, why)
}

/// The same with something to ask of policy, and what it said against it.
fn asking(
    state: &mut State,
    input: &[u8],
    question: *const Question,
) -> (u32, Vec<u8>, String, (u32, String)) {
    let (progress, out, why, [denied, _]) = told(state, input, question);
    (progress, out, why, denied)
}

/// The same with what observed policies would have said, too.
fn told(
    state: &mut State,
    input: &[u8],
    question: *const Question,
) -> (u32, Vec<u8>, String, [(u32, String); 2]) {
    let mut denied = Decision {
        allow: 1,
        reason: 0,
        again_ms: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
    };
    let mut observed = denied;
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
        question,
        denied: &raw mut denied,
        observed: &raw mut observed,
    };
    // SAFETY: everything that the edit points to is alive.
    let progress = unsafe { tl_rs_transform(&raw mut edit) };
    // SAFETY: `why` points to a constant.
    let why = unsafe { edit.why.text() }.unwrap();
    buf.truncate(usize::try_from(marks.ready).unwrap());
    let said = [denied, observed].map(|of| {
        let detail = &of.detail[..usize::try_from(of.detail_len).unwrap()];
        (of.reason, String::from_utf8(detail.to_vec()).unwrap())
    });
    (progress, buf, why.into(), said)
}

/// A question about a connection to `web` by a configuration with these policies.
fn question(policies: &[Rule<'_>]) -> Question {
    question_of(None, policies)
}

/// The same where the Service has this transform.
fn question_of(transform: Option<Configured>, policies: &[Rule<'_>]) -> Question {
    let mut image = ImageBuilder::new();
    for rule in policies {
        image.push(rule).unwrap();
    }
    let services = [Service {
        transform,
        ..world::web()
    }];
    let image = image.build().unwrap();
    let cfg = world::build(world::config(&[], &services, &[], &image)).unwrap();
    Question {
        service: -1,
        role: role::SERVER,
        client: world::addr([10, 0, 0, 1], 40_000),
        now_ms: 1,
        ..world::question(cfg)
    }
}

/// `context.<name> == <text>`.
fn is(name: &str, text: &str) -> Expr {
    let attribute = Box::new(Expr::Attribute(name.into()));
    Expr::Equal(attribute, Box::new(Expr::Str(text.into())))
}

/// A permit of requests for which this holds.
fn permit(condition: &Expr) -> Rule<'_> {
    Rule::permit("some").actions(&["http"]).when(condition)
}

fn requests(question: *const Question, input: &[u8]) -> (u32, Vec<u8>, (u32, String)) {
    let (mut rx, _) = states(Some(Configured::AuthorizeRequests), role::SERVER).unwrap();
    let (progress, out, _, denied) = asking(&mut rx, input, question);
    (progress, out, denied)
}

#[test]
fn a_request_needs_a_permit_of_http() {
    let get = b"GET /reports?all HTTP/1.1\r\nHost: Web:80\r\n\r\n";
    for holds in [
        is("path", "/reports"),
        is("method", "GET"),
        is("host", "web"),
    ] {
        let (progress, out, _) = requests(&question(&[permit(&holds)]), get);
        assert_eq!(progress, progress::NEEDS_BYTES);
        assert!(out.starts_with(b"GET /reports?all HTTP/1.1\r\n"));
    }
    let connect = Rule::permit("connect").actions(&["connect"]);
    let other = is("path", "/other");
    for policies in [&[permit(&other)][..], &[connect], &[]] {
        let (progress, out, denied) = requests(&question(policies), get);
        assert_eq!((progress, out.len()), (progress::DENIED, 0));
        assert_eq!(
            denied,
            (
                DenyReason::NoPermit.number(),
                "GET /reports: no permit matched".into()
            )
        );
    }
}

#[test]
fn the_first_request_that_is_not_permitted_ends_it() {
    let both = b"GET /a HTTP/1.1\r\nHost: web\r\n\r\nGET /b HTTP/1.1\r\nHost: web\r\n\r\n";
    let (progress, out, (_, detail)) = requests(&question(&[permit(&is("path", "/a"))]), both);
    assert_eq!(progress, progress::DENIED);
    assert!(out.starts_with(b"GET /a ") && !out.windows(2).any(|two| two == b"/b"));
    assert_eq!(detail, "GET /b: no permit matched");
}

#[test]
fn without_a_configuration_no_request_passes() {
    let get = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n";
    let (progress, out, denied) = requests(ptr::null(), get);
    assert_eq!(
        (progress, out.len(), denied.0),
        (progress::DENIED, 0, DenyReason::NoPolicy.number())
    );
}

#[test]
fn the_clients_end_is_direct_where_requests_are_authorized() {
    assert_eq!(
        states(Some(Configured::AuthorizeRequests), role::CLIENT),
        None
    );
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
    let none = unsafe { tl_rs_transforms(ptr::null(), 0, 0, ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(none, DIRECT);
}

/// What policy changed to, in words, for a flow that its bytes' way was settled for.
fn cut(configured: Option<Configured>, role: u32, carried: u32) -> Option<std::string::String> {
    let question = Question {
        service: 0,
        role,
        carried,
        ..question_of(configured, &[Rule::permit("all")])
    };
    let mut out = Decision::from(Answer {
        denied: None,
        detail: Detail::new(),
    });
    // SAFETY: both are live.
    unsafe { crate::decide::tl_rs_decide(&question, &raw mut out) };
    if out.allow == 1 {
        return None;
    }
    assert_eq!(out.reason, DenyReason::PolicyChanged.number());
    let detail = &out.detail[..out.detail_len as usize];
    Some(std::str::from_utf8(detail).unwrap().into())
}

#[test]
fn a_flow_goes_through_what_its_service_says_or_is_cut() {
    let authorize = Some(Configured::AuthorizeRequests);
    let number = u32::from(Configured::AuthorizeRequests.number());
    assert_eq!(cut(None, role::SERVER, DIRECT), None);
    assert_eq!(cut(authorize, role::SERVER, number), None);
    assert_eq!(cut(authorize, role::SERVER, 0), None, "not settled yet");
    let text = |text: &str| Some(text.into());
    assert_eq!(
        cut(authorize, role::SERVER, DIRECT),
        text("transform: authorizeRequests")
    );
    assert_eq!(cut(None, role::SERVER, number), text("transform: none"));
    // The client's end is direct all the same.
    assert_eq!(cut(authorize, role::CLIENT, DIRECT), None);
    assert_eq!(
        cut(Some(Configured::Identity), role::CLIENT, DIRECT),
        text("transform: identity")
    );
}

#[test]
fn what_observed_policies_would_say_of_requests_is_told_and_changes_nothing() {
    let image = |rule: Rule<'_>| {
        let mut image = ImageBuilder::new();
        image.push(&rule).unwrap();
        image.build().unwrap()
    };
    let get_a = is("path", "/a");
    for (enforced, observed, progress, told_of) in [
        (
            Rule::permit("all"),
            Rule::permit("more"),
            progress::NEEDS_BYTES,
            (0, ""),
        ),
        (
            Rule::permit("all"),
            Rule::forbid("no a").when(&get_a),
            progress::NEEDS_BYTES,
            (DenyReason::WouldDeny.number(), "GET /a: no a"),
        ),
        (
            Rule::forbid("none"),
            Rule::permit("more"),
            progress::DENIED,
            (0, ""),
        ),
        (
            Rule::permit("b").when(&is("path", "/b")),
            Rule::permit("more"),
            progress::DENIED,
            (DenyReason::WouldPermit.number(), "GET /a: more"),
        ),
    ] {
        let services = [Service {
            transform: Some(Configured::AuthorizeRequests),
            ..world::web()
        }];
        let (enforced, observed) = (image(enforced), image(observed));
        let config = world::config(&[], &services, &[], &enforced);
        let cfg = world::build(tidelock_kabi::Config {
            observed: &observed,
            ..config
        })
        .unwrap();
        let (mut rx, _) = states(Some(Configured::AuthorizeRequests), role::SERVER).unwrap();
        let question = Question {
            role: role::SERVER,
            ..world::question(cfg)
        };
        let request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        let (came, _, _, [_, observed]) = told(&mut rx, request, &raw const question);
        assert_eq!(came, progress);
        assert_eq!((observed.0, observed.1.as_str()), told_of);
    }
}
