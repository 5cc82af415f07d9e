use std::format;

use tidelock_policy::{Effect, Expr, ImageBuilder, Rule};
use tidelock_testkit::TestCa;

use super::*;
use crate::fake::world::{self, CLIENT, PORT, SERVER, TD, addr};
use crate::ffi::{Str, role};

/// C's view of the answer.
fn ask(
    cfg: *const u8,
    role: u32,
    service: i32,
    client: &str,
    server: &str,
) -> (u32, u32, std::string::String) {
    let question = Question {
        cfg,
        service,
        role,
        client_id: Str::of(client.as_bytes()),
        server_id: Str::of(server.as_bytes()),
        addr: addr([10, 0, 0, 2], PORT),
    };
    let mut out = Decision {
        allow: 9,
        reason: 9,
        detail_len: 9,
        detail: [9; DETAIL_BYTES],
    };
    // SAFETY: both are live.
    unsafe { tl_rs_decide(&raw const question, &raw mut out) };
    let detail = &out.detail[..usize::try_from(out.detail_len).unwrap()];
    (
        out.allow,
        out.reason,
        std::str::from_utf8(detail).unwrap().into(),
    )
}

fn usual() -> *mut u8 {
    world::build_usual(&TestCa::new(TD), &world::policy())
}

fn denied(reason: DenyReason) -> (u32, u32) {
    (0, reason.number())
}

#[test]
fn a_permitted_client_may_connect_and_the_policy_is_named() {
    let cfg = usual();
    for (role, server) in [
        (role::CLIENT, ""),
        (role::CLIENT, SERVER),
        (role::SERVER, SERVER),
    ] {
        assert_eq!(
            ask(cfg, role, 0, CLIENT, server),
            (1, 0, "allow web".into())
        );
    }
}

#[test]
fn another_client_may_not() {
    let cfg = usual();
    for client in [
        SERVER,
        "spiffe://example.org/app",
        "spiffe://example.org/apple/x",
        "spiffe://other.org/app/client",
    ] {
        let (allow, reason, detail) = ask(cfg, role::CLIENT, 0, client, "");
        let expected = if client == "spiffe://example.org/app" {
            (1, 0)
        } else {
            denied(DenyReason::NoPermit)
        };
        assert_eq!((allow, reason), expected, "{client}: {detail}");
    }
}

#[test]
fn a_server_must_be_one_of_the_services_at_both_ends() {
    let cfg = usual();
    for role in [role::CLIENT, role::SERVER] {
        let (allow, reason, detail) = ask(cfg, role, 0, CLIENT, CLIENT);
        assert_eq!((allow, reason), denied(DenyReason::NotAServer));
        assert!(
            detail.contains(CLIENT) && detail.contains("web"),
            "{detail}"
        );
    }
}

#[test]
fn a_server_that_does_not_know_its_client_yet_only_needs_to_be_one() {
    let cfg = usual();
    assert_eq!(ask(cfg, role::SERVER, 0, "", SERVER), (1, 0, "".into()));
    let (allow, reason, _) = ask(cfg, role::SERVER, 0, "", CLIENT);
    assert_eq!((allow, reason), denied(DenyReason::NotAServer));
}

#[test]
fn who_asks_must_know_itself() {
    let cfg = usual();
    for (role, client, server) in [
        (role::CLIENT, "", SERVER),
        (role::SERVER, CLIENT, ""),
        (role::SERVER, "", ""),
    ] {
        let (allow, reason, _) = ask(cfg, role, 0, client, server);
        assert_eq!((allow, reason), denied(DenyReason::NoIdentity));
    }
}

#[test]
fn outside_every_service_nothing_is_permitted() {
    let cfg = usual();
    for service in [-1, 1, i32::MAX, i32::MIN] {
        let (allow, reason, detail) = ask(cfg, role::CLIENT, service, CLIENT, SERVER);
        assert_eq!((allow, reason), denied(DenyReason::NoPermit));
        assert!(detail.starts_with("no permit matched"), "{detail}");
    }
}

#[test]
fn no_configuration_and_no_policy_permit_nothing() {
    let (allow, reason, _) = ask(core::ptr::null(), role::CLIENT, 0, CLIENT, SERVER);
    assert_eq!((allow, reason), denied(DenyReason::NoPolicy));
    let empty = world::build_usual(&TestCa::new(TD), &[]);
    assert_eq!(
        ask(empty, role::CLIENT, 0, CLIENT, SERVER),
        (0, 5, "no permit matched".into())
    );
}

#[test]
fn a_forbid_wins_and_all_of_them_are_named() {
    let mut image = ImageBuilder::new();
    image.push(&Rule::permit("yes")).unwrap();
    for name in ["not here", "not now"] {
        image
            .push(&Rule {
                effect: Effect::Forbid,
                ..Rule::permit(name)
            })
            .unwrap();
    }
    let cfg = world::build_usual(&TestCa::new(TD), &image.build().unwrap());
    let (allow, reason, detail) = ask(cfg, role::CLIENT, 0, CLIENT, SERVER);
    assert_eq!((allow, reason), denied(DenyReason::Forbidden));
    assert!(
        detail == "not here, not now" || detail == "not now, not here",
        "{detail}"
    );
}

#[test]
fn a_condition_sees_the_servers_port() {
    let build = |port: u16| {
        let mut image = ImageBuilder::new();
        let condition = Expr::attribute("port").equals(i64::from(port));
        image
            .push(&Rule::permit("by port").when(&condition))
            .unwrap();
        world::build_usual(&TestCa::new(TD), &image.build().unwrap())
    };
    assert_eq!(ask(build(PORT), role::CLIENT, 0, CLIENT, "").0, 1);
    assert_eq!(ask(build(PORT + 1), role::CLIENT, 0, CLIENT, "").0, 0);
}

#[test]
fn a_trust_domain_is_an_ancestor() {
    let mut image = ImageBuilder::new();
    let td = EntityRef::new("TrustDomain", TD);
    image
        .push(&Rule::permit("domain").principal(tidelock_policy::Scope::In(td)))
        .unwrap();
    let cfg = world::build_usual(&TestCa::new(TD), &image.build().unwrap());
    assert_eq!(ask(cfg, role::CLIENT, 0, CLIENT, "").0, 1);
    assert_eq!(
        ask(cfg, role::CLIENT, 0, "spiffe://other.org/app/client", "").0,
        0
    );
}

#[test]
fn too_many_segments_or_a_malformed_name_are_refused() {
    let mut image = ImageBuilder::new();
    image.push(&Rule::permit("all")).unwrap();
    let cfg = world::build_usual(&TestCa::new(TD), &image.build().unwrap());
    // The trust domain, its ID, and one ancestor less than there are segments.
    let id = |segments: usize| format!("spiffe://{TD}{}", "/a".repeat(segments));
    assert_eq!(ask(cfg, role::CLIENT, 0, &id(MAX_ANCESTORS - 1), "").0, 1);
    for bad in [
        id(MAX_ANCESTORS),
        id(1000),
        "spiffe://".into(),
        "x".into(),
        format!("{CLIENT}/"),
    ] {
        let (allow, reason, _) = ask(cfg, role::CLIENT, 0, &bad, "");
        assert_eq!((allow, reason), denied(DenyReason::NoPermit), "{bad}");
    }
}

#[test]
fn what_c_cannot_mean_is_refused() {
    let cfg = usual();
    let (allow, reason, _) = ask(cfg, 2, 0, CLIENT, SERVER);
    assert_eq!((allow, reason), denied(DenyReason::Internal));
}
