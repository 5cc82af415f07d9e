use std::format;

use rcgen::DnType;
use tidelock_policy::{Effect, Expr, ImageBuilder, Rule, Scope};
use tidelock_testkit::TestCa;

use super::*;
use crate::fake::world::{self, CLIENT, PORT, SERVER, TD};
use crate::ffi::{Question, Str, role};

/// C's view of the answer.
fn ask(
    cfg: *const u8,
    role: u32,
    service: i32,
    client: &str,
    server: &str,
) -> (u32, u32, std::string::String) {
    let question = Question {
        service,
        role,
        client_id: Str::of(client.as_bytes()),
        server_id: Str::of(server.as_bytes()),
        ..world::question(cfg)
    };
    answered(&question)
}

fn answered(question: &Question) -> (u32, u32, std::string::String) {
    let mut out = Decision {
        allow: 9,
        reason: 9,
        again_ms: 0,
        detail_len: 9,
        detail: [9; DETAIL_BYTES],
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

/// C's view of the answer about a live flow, or one about to open: both SVIDs are known.
fn ask_of(
    cfg: *const u8,
    role: u32,
    own_serial: &[u8],
    peer_serial: &[u8],
) -> (u32, u32, std::string::String) {
    let question = Question {
        role,
        own_serial: Str::of(own_serial),
        peer_serial: Str::of(peer_serial),
        ..world::question(cfg)
    };
    answered(&question)
}

/// What C is told to tell.
fn look(
    cfg: *const u8,
    role: u32,
    client: &str,
    server: &str,
) -> Option<(u32, u32, std::string::String)> {
    let question = Question {
        // The Service is found by the address.
        service: -1,
        role,
        client_id: Str::of(client.as_bytes()),
        server_id: Str::of(server.as_bytes()),
        ..world::question(cfg)
    };
    let mut out = Decision {
        allow: 9,
        reason: 9,
        again_ms: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
    };
    // SAFETY: both are live.
    let told = unsafe { tl_rs_observe(&raw const question, &raw mut out) };
    assert!(
        told || out.reason == 9,
        "nothing is written that is not told"
    );
    let detail = &out.detail[..usize::try_from(out.detail_len).unwrap()];
    told.then(|| {
        (
            out.allow,
            out.reason,
            std::str::from_utf8(detail).unwrap().into(),
        )
    })
}

fn image(rules: &[Rule<'_>]) -> std::vec::Vec<u8> {
    let mut image = ImageBuilder::new();
    rules.iter().for_each(|rule| image.push(rule).unwrap());
    image.build().unwrap()
}

fn observing(enforced: &[Rule<'_>], observed: &[Rule<'_>]) -> *mut u8 {
    let (enforced, observed) = (image(enforced), image(observed));
    world::build_observing(&TestCa::new(TD), &enforced, &observed)
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

#[test]
fn what_is_observed_changes_no_answer_and_is_told_where_it_would_have() {
    let permit = Rule::permit("enforced permit");
    let forbid = Rule::forbid("enforced forbid");
    let (may, may_not) = (Rule::permit("would permit"), Rule::forbid("would forbid"));
    let no_permit = "no permit matched";
    let deny = Some((1, DenyReason::WouldDeny.number(), "would forbid".into()));
    let allow = Some((0, DenyReason::WouldPermit.number(), "would permit".into()));
    for (enforced, observed, answer, told) in [
        (&[][..], &[][..], (0, 5, no_permit), None),
        (&[], &[may], (0, 5, no_permit), allow),
        (&[], &[may_not], (0, 5, no_permit), None),
        (&[], &[may, may_not], (0, 5, no_permit), None),
        (&[permit], &[], (1, 0, "enforced permit"), None),
        (&[permit], &[may], (1, 0, "enforced permit"), None),
        (
            &[permit],
            &[may_not],
            (1, 0, "enforced permit"),
            deny.clone(),
        ),
        (&[permit], &[may, may_not], (1, 0, "enforced permit"), deny),
        (&[permit, forbid], &[may], (0, 6, "enforced forbid"), None),
        (&[forbid], &[may, may_not], (0, 6, "enforced forbid"), None),
    ] {
        let cfg = observing(enforced, observed);
        for role in [role::CLIENT, role::SERVER] {
            let (allow, reason, detail) = ask(cfg, role, 0, CLIENT, SERVER);
            assert_eq!((allow, reason, detail.as_str()), answer);
            assert_eq!(
                look(cfg, role, CLIENT, SERVER),
                told,
                "{enforced:?} {observed:?}"
            );
        }
    }
}

#[test]
fn an_observed_forbid_that_cannot_be_evaluated_would_deny() {
    let condition = Expr::attribute("uid").equals(0_i64);
    let forbid = Rule::forbid("no root").when(&condition);
    let cfg = observing(&[Rule::permit("all")], &[forbid]);
    assert_eq!(ask(cfg, role::CLIENT, 0, CLIENT, SERVER).0, 1);
    let told = (1, DenyReason::WouldDeny.number(), "no root".into());
    assert_eq!(look(cfg, role::CLIENT, CLIENT, SERVER), Some(told));
}

#[test]
fn what_policy_does_not_decide_is_not_observed() {
    let cfg = observing(&[], &[Rule::permit("all")]);
    assert!(look(cfg, role::CLIENT, CLIENT, "").is_some());
    // Nobody known to ask about, a server that is none, and no name of its own.
    for (role, client, server) in [
        (role::SERVER, "", SERVER),
        (role::CLIENT, CLIENT, CLIENT),
        (role::SERVER, CLIENT, ""),
        (2, CLIENT, SERVER),
    ] {
        assert_eq!(look(cfg, role, client, server), None);
    }
    assert_eq!(look(core::ptr::null(), role::CLIENT, CLIENT, SERVER), None);
    assert_eq!(look(usual(), role::CLIENT, CLIENT, SERVER), None);
}

/// A serial number of as many bytes as ours have.
fn serial(n: u8) -> [u8; 16] {
    [n; 16]
}

#[test]
fn a_flow_whose_peers_svid_is_revoked_may_not_be_at_either_end() {
    let cfg = world::build_revoking(&TestCa::new(TD), &[&serial(3), &serial(5), &[5]]);
    for role in [role::CLIENT, role::SERVER] {
        let fine = (1, 0, "allow web".into());
        assert_eq!(ask_of(cfg, role, &serial(2), &serial(4)), fine);
        for (peer, hex) in [(&serial(5)[..], "05".repeat(16)), (&[5], "05".into())] {
            let (allow, reason, detail) = ask_of(cfg, role, &serial(2), peer);
            assert_eq!((allow, reason), denied(DenyReason::PeerRevoked));
            assert_eq!(detail, format!("serial {hex}"));
        }
        // A part of one that is revoked, or more than one, is another.
        for other in [&[5, 5][..], &[5; 17], &[5; 20], &[5; 21], &[]] {
            assert_eq!(ask_of(cfg, role, &serial(2), other).0, 1, "{other:?}");
        }
    }
}

#[test]
fn a_flow_of_ones_own_revoked_svid_may_not_be_either() {
    let cfg = world::build_revoking(&TestCa::new(TD), &[&serial(3), &serial(5)]);
    for role in [role::CLIENT, role::SERVER] {
        let (allow, reason, detail) = ask_of(cfg, role, &serial(3), &serial(4));
        assert_eq!((allow, reason), denied(DenyReason::SvidRevoked));
        assert_eq!(detail, format!("serial {}", "03".repeat(16)));
        // Of both, the peer's is told: it is not this node's to mend.
        let (_, reason, _) = ask_of(cfg, role, &serial(3), &serial(5));
        assert_eq!(reason, DenyReason::PeerRevoked.number());
    }
}

/// The trust domain's authority of this name, and how an SVID that it signed remembers it.
fn authority(name: &str) -> (TestCa, AuthorityDigest) {
    let ca = TestCa::with_root(TD, |params| {
        params
            .distinguished_name
            .push(DnType::OrganizationName, name);
    });
    let digest = *ca.identity(CLIENT).svid().expect("installed").authority();
    (ca, digest)
}

#[test]
fn a_flow_may_not_be_without_the_authorities_that_signed_its_svids() {
    let ((new, new_digest), (_, old_digest)) = (authority("new"), authority("old"));
    let cfg = world::build_revoking(&new, &[]);
    let (new, old) = (&new_digest[..], &old_digest[..]);
    for role in [role::CLIENT, role::SERVER] {
        for (own, peer, expected) in [
            (new, new, None),
            (new, old, Some(DenyReason::PeerRevoked)),
            (old, new, Some(DenyReason::SvidRevoked)),
            (old, old, Some(DenyReason::PeerRevoked)),
            // Not known yet.
            (&[], &[], None),
            (new, &[], None),
        ] {
            let (allow, reason, _) = answered(&Question {
                role,
                own_authority: Str::of(own),
                peer_authority: Str::of(peer),
                ..world::question(cfg)
            });
            assert_eq!((allow, reason), expected.map_or((1, 0), denied));
        }
    }
}

#[test]
fn revoking_counts_whatever_policy_says() {
    let ca = TestCa::new(TD);
    let revoked = [world::serial(&serial(5))];
    let cfg = world::build(tidelock_kabi::Config {
        revoked: tidelock_kabi::List::of(&revoked),
        ..world::config(&[], &[], &[], &[])
    })
    .unwrap();
    let (_, reason, _) = ask_of(cfg, role::CLIENT, &serial(1), &serial(5));
    assert_eq!(reason, DenyReason::PeerRevoked.number());
    let (_, reason, _) = ask_of(cfg, role::CLIENT, &serial(1), &serial(6));
    assert_eq!(reason, DenyReason::NoPermit.number());
    // Nor is anything observed of it.
    let cfg = world::build_revoking(&ca, &[&serial(5)]);
    assert_eq!(look(cfg, role::CLIENT, CLIENT, SERVER), None);
}

#[test]
fn a_cut_flow_tells_what_is_no_change_of_policy() {
    use DenyReason as R;
    for (refused, cut) in [
        (R::PeerRevoked, R::PeerRevoked),
        (R::SvidRevoked, R::SvidRevoked),
        (R::NotGranted, R::NotGranted),
        (R::FlowTooOld, R::FlowTooOld),
        (R::NoPermit, R::PolicyChanged),
        (R::Forbidden, R::PolicyChanged),
        (R::NotAServer, R::PolicyChanged),
        (R::NoPolicy, R::PolicyChanged),
    ] {
        assert_eq!(tl_rs_cut_for(refused.number()), cut.number(), "{refused}");
    }
    for none in [0, u32::MAX] {
        assert_eq!(tl_rs_cut_for(none), R::PolicyChanged.number());
    }
}

#[test]
fn a_service_outside_is_in_the_external_of_its_servers_name() {
    let host = |name| Scope::In(EntityRef::new("External", name));
    for (name, reason) in [
        ("api.bank.example", None),
        ("bank.example", Some(DenyReason::NoPermit)),
    ] {
        let policy = image(&[Rule::permit("outside").resource(host(name))]);
        let cfg = world::build_external(&TestCa::new(TD), &policy, Some("api.bank.example"));
        let (allow, why, _) = ask(cfg, role::CLIENT, 0, CLIENT, "");
        assert_eq!((allow, why), reason.map_or((1, 0), denied), "{name}");
        // It has proved this name, and neither another nor an SVID.
        let (allow, why, _) = ask(cfg, role::CLIENT, 0, CLIENT, "api.bank.example");
        assert_eq!((allow, why), reason.map_or((1, 0), denied), "{name}");
        for other in ["bank.example", SERVER] {
            let (allow, why, _) = ask(cfg, role::CLIENT, 0, CLIENT, other);
            assert_eq!((allow, why), denied(DenyReason::NotAServer), "{other}");
        }
        // Nobody here serves it, whatever policy says.
        let (allow, why, _) = ask(cfg, role::SERVER, 0, CLIENT, SERVER);
        assert_eq!((allow, why), denied(DenyReason::NotAServer));
    }
}

#[test]
fn a_flow_to_a_server_outside_ends_where_the_service_is_its_no_more() {
    let (allow, why, _) = ask(usual(), role::CLIENT, 0, CLIENT, "api.bank.example");
    assert_eq!((allow, why), denied(DenyReason::NotAServer));
}
