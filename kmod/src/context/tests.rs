use std::boxed::Box;
use std::vec::Vec;

use tidelock_kabi::{Config, DenyReason, List};
use tidelock_policy::{Binary, Expr, ImageBuilder, Rule};
use tidelock_testkit::TestCa;

use super::*;
use crate::config::tl_rs_config_limits;
use crate::decide::tl_rs_decide;
use crate::fake::RELEASE;
use crate::fake::world::{self, CLIENT as CLIENT_ID, SERVER as SERVER_ID, TD, addr};
use crate::ffi::{DETAIL_BYTES, Decision, Limits, Question, Str, role};

const NOW_MS: i64 = 1_767_225_600_123;

fn image(rules: &[Rule<'_>]) -> Vec<u8> {
    let mut image = ImageBuilder::new();
    rules.iter().for_each(|rule| image.push(rule).unwrap());
    image.build().unwrap()
}

fn build(rules: &[Rule<'_>]) -> *mut u8 {
    world::build_usual(&TestCa::new(TD), &image(rules))
}

fn question(cfg: *const u8, role: u32) -> Question {
    Question {
        role,
        client_id: Str::of(CLIENT_ID.as_bytes()),
        server_id: Str::of(SERVER_ID.as_bytes()),
        client: addr([10, 1, 0, 7], 40_000),
        now_ms: NOW_MS,
        ..world::question(cfg)
    }
}

/// Why not, or 0.
fn ask(question: &Question) -> u32 {
    let mut out = Decision {
        allow: 9,
        reason: 9,
        again_ms: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
    };
    // SAFETY: both are live.
    unsafe { tl_rs_decide(question, &raw mut out) };
    out.reason
}

fn attribute(name: &str) -> Box<Expr> {
    Box::new(Expr::Attribute(name.into()))
}

/// `context has NAME && context.NAME == value`.
fn is(name: &str, value: Expr) -> Expr {
    Expr::All(Vec::from([
        Expr::Has(Box::new(Expr::Context), name.into()),
        Expr::Equal(attribute(name), Box::new(value)),
    ]))
}

fn v4(octets: [u8; 4], prefix: u8) -> Expr {
    Expr::Ip(Ip::v4(octets, prefix).unwrap())
}

#[test]
fn both_ends_tell_addresses_the_time_and_their_node() {
    let posture = || attribute(POSTURE);
    let field = |name: &str, value: Expr| {
        Expr::Equal(Box::new(Expr::Get(posture(), name.into())), Box::new(value))
    };
    let all = Expr::All(Vec::from([
        is(CLIENT_ADDRESS, v4([10, 1, 0, 7], 32)),
        is(SERVER_ADDRESS, v4([10, 0, 0, 2], 32)),
        is(TIME, Expr::Datetime(NOW_MS)),
        field("node", Expr::Entity(NODE.into(), "n1".into())),
        field("attested", Expr::Bool(true)),
        field("attestedAt", Expr::Datetime(1_764_000_000_000)),
        field("kernel", Expr::Str(RELEASE.into())),
    ]));
    let cfg = build(&[Rule::permit("all").when(&all)]);
    for role in [role::CLIENT, role::SERVER] {
        assert_eq!(ask(&question(cfg, role)), 0);
        let later = Question {
            now_ms: NOW_MS + 1,
            ..question(cfg, role)
        };
        assert_eq!(ask(&later), DenyReason::NoPermit.number());
    }
}

#[test]
fn an_address_that_is_not_known_yet_is_absent() {
    let inside = Expr::Binary(
        Binary::IsInRange,
        attribute(CLIENT_ADDRESS),
        Box::new(v4([10, 0, 0, 0], 8)),
    );
    let known = || Expr::Has(Box::new(Expr::Context), CLIENT_ADDRESS.into());
    let near = Expr::All(Vec::from([known(), inside]));
    let cfg = build(&[Rule::permit("near").when(&near)]);
    let from = |client| Question {
        client,
        ..question(cfg, role::CLIENT)
    };
    assert_eq!(ask(&from(addr([10, 9, 9, 9], 1))), 0);
    let no_permit = DenyReason::NoPermit.number();
    for unknown in [
        Addr::default(),
        addr([0, 0, 0, 0], 0),
        addr([192, 0, 2, 1], 1),
    ] {
        assert_eq!(ask(&from(unknown)), no_permit);
    }
}

#[test]
fn addresses_of_version_6_are_told_as_such_and_mapped_ones_as_version_4() {
    let v6 = Addr {
        ip: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets(),
        ..Addr::default()
    };
    assert_eq!(ip(&v6), Ip::v6(v6.ip, 128));
    assert_eq!(ip(&addr([10, 0, 0, 2], 1)), Ip::v4([10, 0, 0, 2], 32));
    assert_eq!(ip(&Addr::default()), None);
}

#[test]
fn what_no_policy_asks_for_is_not_told_and_time_is_not_waited_for() {
    let asks = |rules: &[Rule<'_>]| {
        let cfg = build(rules);
        let mut limits = Limits::default();
        // SAFETY: configurations of tests are never freed.
        unsafe { tl_rs_config_limits(cfg, &raw mut limits) };
        // SAFETY: as above.
        let asks = unsafe { crate::config::at(cfg) }.unwrap().asks();
        assert_eq!(limits.redecide_ms, if asks.time { REDECIDE_MS } else { 0 });
        asks
    };
    assert_eq!(asks(&[Rule::permit("all")]), Asks::default());
    for (name, expected) in [
        (
            TIME,
            Asks {
                time: true,
                ..Asks::default()
            },
        ),
        (
            POSTURE,
            Asks {
                posture: true,
                ..Asks::default()
            },
        ),
        (
            CLIENT_ADDRESS,
            Asks {
                addresses: true,
                ..Asks::default()
            },
        ),
        (
            SERVER_ADDRESS,
            Asks {
                addresses: true,
                ..Asks::default()
            },
        ),
        (
            CLIENT,
            Asks {
                facts: true,
                ..Asks::default()
            },
        ),
    ] {
        let has = Expr::Has(Box::new(Expr::Context), name.into());
        assert_eq!(asks(&[Rule::forbid("has").when(&has)]), expected, "{name}");
    }
    // What is only observed asks too.
    let has = Expr::Has(Box::new(Expr::Context), TIME.into());
    let (enforced, observed) = (
        image(&[Rule::permit("all")]),
        image(&[Rule::forbid("has").when(&has)]),
    );
    let cfg = world::build_observing(&TestCa::new(TD), &enforced, &observed);
    // SAFETY: configurations of tests are never freed.
    assert!(unsafe { crate::config::at(cfg) }.unwrap().asks().time);
}

#[test]
fn a_node_that_nobody_told_of_has_no_posture() {
    let has = |name: &str| {
        let posture = attribute(POSTURE);
        Expr::All(Vec::from([
            Expr::Has(Box::new(Expr::Context), POSTURE.into()),
            Expr::Has(posture, name.into()),
        ]))
    };
    let ask_of = |posture, condition: &Expr| {
        let policy = image(&[Rule::permit("known").when(condition)]);
        let services = [world::web()];
        let config = world::config(&[], &services, &[], &policy);
        let bundles = List::default();
        let cfg = world::build(Config {
            posture,
            bundles,
            ..config
        });
        ask(&question(cfg.unwrap(), role::SERVER))
    };
    let no_permit = DenyReason::NoPermit.number();
    assert_eq!(ask_of(None, &has("node")), no_permit);
    let unkept = Some(Posture {
        node: "n1",
        attested_at_ms: None,
    });
    assert_eq!(ask_of(unkept, &has("attested")), 0);
    assert_eq!(ask_of(unkept, &has("attestedAt")), no_permit);
}
