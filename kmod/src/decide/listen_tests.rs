//! A server's end asks whether its own workload may listen.

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use tidelock_policy::{Expr, ImageBuilder, Rule, Scope};
use tidelock_testkit::TestCa;

use super::*;
use crate::fake::world::{self, CLIENT, PORT, SERVER, TD, addr};
use crate::ffi::{EV_ADOPTED, Evidence, Question, Str, role};
use crate::records::tests::EVIDENCE;

fn image(rules: &[Rule<'_>]) -> Vec<u8> {
    let mut image = ImageBuilder::new();
    rules.iter().for_each(|rule| image.push(rule).unwrap());
    image.build().unwrap()
}

fn build(rules: &[Rule<'_>]) -> *mut u8 {
    world::build_usual(&TestCa::new(TD), &image(rules))
}

const ADOPTED: Evidence = Evidence {
    uid: 7,
    flags: EV_ADOPTED,
    ..EVIDENCE
};

fn question(cfg: *const u8, role: u32, client: &'static str) -> Question {
    Question {
        role,
        client_id: Str::of(client.as_bytes()),
        now_ms: 5,
        process: &ADOPTED,
        ..world::question(cfg)
    }
}

/// Why not, or 0, and the detail.
fn ask(question: &Question) -> (u32, String) {
    let mut out = Decision {
        allow: 9,
        reason: 9,
        again_ms: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
    };
    // SAFETY: both are live.
    unsafe { tl_rs_decide(question, &raw mut out) };
    let detail = &out.detail[..usize::try_from(out.detail_len).unwrap()];
    (out.reason, std::str::from_utf8(detail).unwrap().into())
}

fn no_listening<'a>() -> Rule<'a> {
    let server = EntityRef::new(WORKLOAD, SERVER);
    Rule::forbid("no listening")
        .principal(Scope::Eq(server))
        .actions(&["listen"])
}

#[test]
fn who_is_forbidden_to_listen_serves_nobody_and_the_policy_is_named() {
    let cfg = build(&[Rule::permit("all"), no_listening()]);
    let forbidden = (DenyReason::Forbidden.number(), String::from("no listening"));
    // Before a client is known, and of a flow that lives.
    for client in ["", CLIENT] {
        assert_eq!(ask(&question(cfg, role::SERVER, client)), forbidden);
    }
    // It is the server's to say: its client does not ask.
    assert_eq!(ask(&question(cfg, role::CLIENT, CLIENT)).0, 0);
    let cut = cut_for(DenyReason::Forbidden);
    assert_eq!(cut, DenyReason::PolicyChanged);
}

#[test]
fn to_listen_takes_no_permit_and_a_permit_gives_nothing() {
    let connect = Rule::permit("connect").actions(&["connect"]);
    let other = no_listening().resource(Scope::Eq(EntityRef::new(SERVICE, "db")));
    let cfg = build(&[connect, other]);
    for client in ["", CLIENT] {
        assert_eq!(ask(&question(cfg, role::SERVER, client)).0, 0);
    }
    let listen = Rule::permit("listen").actions(&["listen"]);
    let cfg = build(&[listen]);
    let no_permit = DenyReason::NoPermit.number();
    assert_eq!(ask(&question(cfg, role::SERVER, CLIENT)).0, no_permit);
}

#[test]
fn who_is_no_server_is_none_whatever_policy_says() {
    let cfg = build(&[Rule::permit("all"), no_listening()]);
    let stranger = Question {
        server_id: Str::of(CLIENT.as_bytes()),
        ..question(cfg, role::SERVER, "")
    };
    assert_eq!(ask(&stranger).0, DenyReason::NotAServer.number());
}

#[test]
fn a_forbid_of_every_action_forbids_listening_too() {
    let server = EntityRef::new(WORKLOAD, SERVER);
    let nothing = Rule::forbid("nothing").principal(Scope::Eq(server));
    let cfg = build(&[Rule::permit("all"), nothing]);
    let forbidden = DenyReason::Forbidden.number();
    assert_eq!(ask(&question(cfg, role::SERVER, CLIENT)).0, forbidden);
    // Of a client it says nothing, and it is not asked of listening.
    let client = EntityRef::new(WORKLOAD, CLIENT);
    let other = Rule::forbid("other")
        .principal(Scope::Eq(client))
        .actions(&["listen"]);
    let cfg = build(&[Rule::permit("all"), other]);
    assert_eq!(ask(&question(cfg, role::SERVER, CLIENT)).0, 0);
}

#[test]
fn who_listens_is_told_of_as_the_schema_says() {
    let has = |name: &str| Expr::Has(Box::new(Expr::Context), name.into());
    let of = |name: &str| Box::new(Expr::Attribute(name.into()));
    let field = |name: &str| Box::new(Expr::Get(of("process"), name.into()));
    let equal = |a, b| Expr::Equal(a, Box::new(b));
    let ip = tidelock_policy::Ip::v4([10, 0, 0, 2], 32).unwrap();
    let all = Expr::All(Vec::from([
        equal(of("port"), Expr::Long(PORT.into())),
        equal(of("address"), Expr::Ip(ip)),
        equal(of("time"), Expr::Datetime(5)),
        equal(field("uid"), Expr::Long(7)),
        equal(field("adopted"), Expr::Bool(true)),
        has("posture"),
        Expr::Not(Box::new(Expr::AnyOf(Vec::from([
            has("server"),
            has("client"),
            has("serverAddress"),
            has("clientAddress"),
        ])))),
    ]));
    let all = Expr::Not(Box::new(all));
    let cfg = build(&[
        Rule::permit("all"),
        Rule::forbid("else").actions(&["listen"]).when(&all),
    ]);
    assert_eq!(ask(&question(cfg, role::SERVER, "")), (0, String::new()));
    let elsewhere = Question {
        addr: addr([10, 0, 0, 3], PORT),
        ..question(cfg, role::SERVER, "")
    };
    assert_eq!(ask(&elsewhere).0, DenyReason::Forbidden.number());
}

#[test]
fn what_is_only_observed_forbids_nobody_to_listen_and_is_told() {
    let (enforced, observed) = (image(&[Rule::permit("all")]), image(&[no_listening()]));
    let cfg = world::build_observing(&TestCa::new(TD), &enforced, &observed);
    let flow = question(cfg, role::SERVER, CLIENT);
    assert_eq!(ask(&flow).0, 0);
    let mut out = Decision {
        allow: 9,
        reason: 9,
        again_ms: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
    };
    // SAFETY: both are live.
    assert!(unsafe { tl_rs_observe(&raw const flow, &raw mut out) });
    assert_eq!(out.reason, DenyReason::WouldDeny.number());
    assert_eq!(out.detail[..12], *b"no listening");
}

proptest! {
    /// A `forbid` that does not name listening changes nothing for a server, and one that does takes away all and nothing else.
    #[test]
    fn what_is_forbidden_to_listen_only_takes_away(permits: bool, forbids: bool, of_connect: bool) {
        let mut rules = Vec::new();
        if permits {
            rules.push(Rule::permit("connect").actions(&["connect"]));
        }
        let mut with = rules.clone();
        let action = if of_connect { "inject" } else { "listen" };
        if forbids {
            with.push(Rule::forbid("no").actions(if of_connect { &["inject"] } else { &["listen"] }));
        }
        rules.push(Rule::forbid("unused").actions(&["inject"]));
        let (without, with) = (build(&rules), build(&with));
        for (role, client) in [(role::SERVER, ""), (role::SERVER, CLIENT), (role::CLIENT, CLIENT)] {
            let before = ask(&question(without, role, client)).0;
            let after = ask(&question(with, role, client)).0;
            if forbids && action == "listen" && role == role::SERVER {
                prop_assert_eq!(after, DenyReason::Forbidden.number());
            } else {
                prop_assert_eq!(after, before);
            }
        }
    }
}
