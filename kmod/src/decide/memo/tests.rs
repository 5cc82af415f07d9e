use std::boxed::Box;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;
use proptest::sample::Index;
use tidelock_kabi::Service;
use tidelock_policy::{EntityRef, Expr, ImageBuilder, Rule, Scope};

use super::*;
use crate::decide::tl_rs_decide;
use crate::fake::world::{self, CLIENT, SERVER};
use crate::ffi::{DETAIL_BYTES, Decision, Question, Str};
use crate::records::tests::EVIDENCE;

/// Two Services, `web` and `other`, at one port.
fn build(generation: u64, rules: &[Rule<'_>]) -> *mut u8 {
    let mut image = ImageBuilder::new();
    rules.iter().for_each(|rule| image.push(rule).unwrap());
    let image = image.build().unwrap();
    let services = [
        world::web(),
        Service {
            name: "other",
            cidr: world::v4([10, 0, 0, 3], 32),
            ..world::web()
        },
    ];
    let config = world::config(&[], &services, &[], &image);
    world::build(tidelock_kabi::Config {
        generation,
        ..config
    })
    .unwrap()
}

/// Whether it is allowed, why not, and the policies that were asked and determine it.
fn ask(question: &Question) -> (u32, u32, String) {
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
    (
        out.allow,
        out.reason,
        std::str::from_utf8(detail).unwrap().into(),
    )
}

#[test]
fn what_is_permitted_is_not_asked_again() {
    let cfg = build(1, &[Rule::permit("all")]);
    let mut memo = Memo::NONE;
    let mut ask_about = |server: &str| {
        ask(&Question {
            server_id: Str::of(server.as_bytes()),
            memo: &raw mut memo,
            ..world::question(cfg)
        })
    };
    assert_eq!(ask_about(""), (1, 0, "all".into()));
    assert_eq!(ask_about(""), (1, 0, String::new()));
    // Who may serve is no matter of policies.
    assert_eq!(ask_about(SERVER), (1, 0, String::new()));
    assert_eq!(ask_about(CLIENT).0, 0);
}

#[test]
fn a_refusal_is_asked_again_and_names_its_policy_each_time() {
    let cfg = build(1, &[Rule::permit("all"), Rule::forbid("none")]);
    let mut memo = Memo::NONE;
    let question = Question {
        memo: &raw mut memo,
        ..world::question(cfg)
    };
    for _ in 0..2 {
        assert_eq!(ask(&question), (0, 6, "none".into()));
    }
    assert_eq!(memo, Memo::NONE);
}

#[test]
fn a_long_id_is_asked_about_each_time() {
    let cfg = build(1, &[Rule::permit("all")]);
    let mut memo = Memo::NONE;
    let mut detail_of = |id: &str| {
        let question = Question {
            client_id: Str::of(id.as_bytes()),
            memo: &raw mut memo,
            ..world::question(cfg)
        };
        (ask(&question).2, ask(&question).2)
    };
    let id = |bytes: usize| format!("spiffe://{}/{}", world::TD, "a".repeat(bytes - 21));
    assert_eq!(detail_of(&id(ID_BYTES)), ("all".into(), String::new()));
    assert_eq!(detail_of(&id(ID_BYTES + 1)), ("all".into(), "all".into()));
}

/// What may be otherwise at another step of one end of one flow.
#[derive(Clone, Debug)]
struct Step {
    /// `None`: the one that the flow begins with.
    cfg: Option<Index>,
    service: i32,
    client: &'static str,
    server: &'static str,
    now_ms: i64,
    near: bool,
    measured: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (
        prop::option::weighted(0.2, any::<Index>()),
        prop_oneof![6 => Just(0), 3 => Just(1), 1 => Just(-1)],
        prop_oneof![4 => Just(CLIENT), 1 => Just("spiffe://example.org/app"), 1 => Just("")],
        prop_oneof![4 => Just(SERVER), 2 => Just(""), 1 => Just(CLIENT)],
        prop_oneof![Just(0), Just(7), Just(8)],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(cfg, service, client, server, now_ms, near, measured)| Step {
                cfg,
                service,
                client,
                server,
                now_ms,
                near,
                measured,
            },
        )
}

/// Configurations whose policies look at all that may change, each in a way of its own.
fn configurations() -> Vec<*mut u8> {
    let context = || Box::new(Expr::Context);
    let attribute = |name: &str| Box::new(Expr::Attribute(name.into()));
    let measured = Expr::All(vec![
        Expr::Has(context(), "client".into()),
        Expr::Has(attribute("client"), "sha256".into()),
    ]);
    let near = Expr::Has(context(), "clientAddress".into());
    let now = Expr::All(vec![
        Expr::Has(context(), "time".into()),
        Expr::Equal(attribute("time"), Box::new(Expr::Datetime(7))),
    ]);
    let web = Expr::Equal(
        Box::new(Expr::Resource),
        Box::new(Expr::Entity("Service".into(), "web".into())),
    );
    let client = Expr::Equal(
        Box::new(Expr::Principal),
        Box::new(Expr::Entity("Workload".into(), CLIENT.into())),
    );
    let when = |condition| Rule::permit("some").when(condition);
    [
        vec![],
        vec![Rule::permit("all")],
        vec![when(&measured)],
        vec![when(&near)],
        vec![when(&now)],
        vec![when(&web)],
        vec![when(&client)],
        vec![Rule::permit("all"), Rule::forbid("unless").when(&now)],
    ]
    .iter()
    .zip(1..)
    .map(|(rules, generation)| build(generation, rules))
    .collect()
}

/// C's question at a step, with a memo or without.
fn question(cfg: *mut u8, step: &Step, memo: *mut Memo) -> Question {
    const DIGEST: [u8; 32] = [7; 32];
    let near = world::addr([10, 0, 0, 1], 40_000);
    Question {
        service: step.service,
        client_id: Str::of(step.client.as_bytes()),
        server_id: Str::of(step.server.as_bytes()),
        client: if step.near {
            near
        } else {
            crate::ffi::Addr::default()
        },
        now_ms: step.now_ms,
        process: &EVIDENCE,
        exe_sha256: if step.measured {
            &DIGEST
        } else {
            core::ptr::null()
        },
        memo,
        ..world::question(cfg)
    }
}

#[test]
fn a_memo_changes_no_answer() {
    let configurations = configurations();
    proptest!(|(first: Index, steps in prop::collection::vec(step(), 1..12))| {
        let mut memo = Memo::NONE;
        for step in &steps {
            let cfg = *step.cfg.unwrap_or(first).get(&configurations);
            let (allow, reason, _) = ask(&question(cfg, step, &raw mut memo));
            let (anew, why, _) = ask(&question(cfg, step, core::ptr::null_mut()));
            prop_assert_eq!((allow, reason), (anew, why), "{:?}", step);
        }
    });
}

/// What a client's end asks from connect() until the flow is open, in order; `benches/instructions.sh` counts its instructions.
#[test]
fn a_connect_asks_policies_once() {
    let port = Expr::attribute("port").equals(i64::from(world::PORT));
    let shop = Rule::permit("shop")
        .principal(Scope::Eq(EntityRef::new("Workload", CLIENT)))
        .actions(&["connect"])
        .resource(Scope::Eq(EntityRef::new("Service", "web")))
        .when(&port);
    let cfg = build(1, &[shop]);
    let mut memo = Memo::NONE;
    // connect(), granted, connected: whom it will meet is not known. The proven server, hands shaken, open: it is.
    let asked = ["", "", "", SERVER, SERVER, SERVER]
        .iter()
        .filter(|server| {
            let (allow, _, policies) = ask(&Question {
                server_id: Str::of(server.as_bytes()),
                own_serial: Str::of(&[7; 16]),
                peer_serial: Str::of(if server.is_empty() { &[] } else { &[9; 16] }),
                now_ms: 1,
                process: &EVIDENCE,
                memo: &raw mut memo,
                ..world::question(cfg)
            });
            assert_eq!(allow, 1);
            !policies.is_empty()
        })
        .count();
    assert_eq!(asked, 1);
}
