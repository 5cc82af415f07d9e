use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use tidelock_kabi::DenyReason;
use tidelock_policy::{Expr, ImageBuilder, Rule};
use tidelock_testkit::TestCa;

use super::*;
use crate::decide::tl_rs_decide;
use crate::fake::world::{self, CLIENT as CLIENT_ID, SERVER as SERVER_ID, TD};
use crate::ffi::{DETAIL_BYTES, Decision, Question, Str, role};
use crate::records::tests::EVIDENCE;

const CURL: &str = "/usr/bin/curl";

fn process(uid: u32, exe: &'static str, flags: u32) -> Evidence {
    Evidence {
        uid,
        gid: uid + 1,
        flags,
        exe: Str::of(exe.as_bytes()),
        ..EVIDENCE
    }
}

/// `context has END && context.END.name == value`.
fn is(end: &str, name: &str, value: Expr) -> Expr {
    let of = || Box::new(Expr::Attribute(end.into()));
    Expr::All(Vec::from([
        Expr::Has(Box::new(Expr::Context), end.into()),
        Expr::Has(of(), name.into()),
        Expr::Equal(Box::new(Expr::Get(of(), name.into())), Box::new(value)),
    ]))
}

fn build(rules: &[Rule<'_>]) -> *mut u8 {
    let mut image = ImageBuilder::new();
    rules.iter().for_each(|rule| image.push(rule).unwrap());
    world::build_usual(&TestCa::new(TD), &image.build().unwrap())
}

/// Why not, or 0.
fn ask(cfg: *const u8, role: u32, process: *const Evidence) -> u32 {
    ask_measured(cfg, role, process, core::ptr::null())
}

/// Why not, or 0, of a process of which that was measured.
fn ask_measured(
    cfg: *const u8,
    role: u32,
    process: *const Evidence,
    exe_sha256: *const [u8; SHA256_BYTES],
) -> u32 {
    let question = Question {
        role,
        client_id: Str::of(CLIENT_ID.as_bytes()),
        server_id: Str::of(SERVER_ID.as_bytes()),
        process,
        exe_sha256,
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
    unsafe { tl_rs_decide(&raw const question, &raw mut out) };
    assert_eq!(out.allow == 1, out.reason == 0);
    out.reason
}

#[test]
fn each_end_is_told_of_its_own_process_and_of_no_other() {
    let root = process(0, CURL, EV_HOST_MNT);
    let user = process(1000, CURL, EV_HOST_MNT);
    let forbidden = DenyReason::Forbidden.number();
    for (end, its_role, other) in [
        ("client", role::CLIENT, role::SERVER),
        ("server", role::SERVER, role::CLIENT),
    ] {
        let no_root = is(end, "uid", Expr::Long(0));
        let cfg = build(&[Rule::permit("all"), Rule::forbid("no root").when(&no_root)]);
        assert_eq!(ask(cfg, its_role, &raw const root), forbidden, "{end}");
        assert_eq!(ask(cfg, its_role, &raw const user), 0, "{end}");
        // Root at the other end is not this end's to tell.
        assert_eq!(ask(cfg, other, &raw const root), 0, "{end}");
        assert_eq!(ask(cfg, its_role, core::ptr::null()), 0, "{end}");
    }
}

#[test]
fn a_permit_that_asks_for_a_fact_permits_at_that_end_only() {
    let user = process(1000, CURL, EV_HOST_MNT);
    let group = is("client", "gid", Expr::Long(1001));
    let cfg = build(&[Rule::permit("group").when(&group)]);
    assert_eq!(ask(cfg, role::CLIENT, &raw const user), 0);
    let no_permit = DenyReason::NoPermit.number();
    assert_eq!(ask(cfg, role::SERVER, &raw const user), no_permit);
    assert_eq!(ask(cfg, role::CLIENT, core::ptr::null()), no_permit);
}

#[test]
fn what_is_not_guarded_denies_where_it_is_absent() {
    let user = process(1000, CURL, EV_HOST_MNT);
    let uid = Expr::Get(Box::new(Expr::Attribute("client".into())), "uid".into());
    let root = Expr::Equal(Box::new(uid), Box::new(Expr::Long(0)));
    let cfg = build(&[Rule::permit("all"), Rule::forbid("no root").when(&root)]);
    assert_eq!(ask(cfg, role::CLIENT, &raw const user), 0);
    let forbidden = DenyReason::Forbidden.number();
    assert_eq!(ask(cfg, role::SERVER, &raw const user), forbidden);
}

#[test]
fn a_path_counts_only_where_it_is_the_hosts() {
    let curl = is("client", "exe", Expr::Str(CURL.into()));
    let cfg = build(&[Rule::permit("curl").when(&curl)]);
    let no_permit = DenyReason::NoPermit.number();
    for (process, reason) in [
        (process(1, CURL, EV_HOST_MNT), 0),
        (process(1, CURL, 0), no_permit),
        (
            process(1, "/usr/bin/curl (deleted)", EV_HOST_MNT),
            no_permit,
        ),
        (process(1, "", EV_HOST_MNT), no_permit),
        (
            Evidence {
                exe: Str::of(b"/usr/bin/\xff"),
                ..process(1, CURL, EV_HOST_MNT)
            },
            no_permit,
        ),
    ] {
        assert_eq!(ask(cfg, role::CLIENT, &raw const process), reason);
    }
    let any = Expr::Has(Box::new(Expr::Attribute("client".into())), "exe".into());
    let cfg = build(&[Rule::permit("known").when(&any)]);
    let elsewhere = process(1, CURL, 0);
    assert_eq!(ask(cfg, role::CLIENT, &raw const elsewhere), no_permit);
}

#[test]
fn a_digest_is_told_where_it_was_measured() {
    let user = process(1000, CURL, 0);
    let digest: [u8; 32] = core::array::from_fn(|at| u8::try_from(at * 9 % 256).unwrap());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let other = [0; 32];
    let no_permit = DenyReason::NoPermit.number();
    for (end, role) in [("client", role::CLIENT), ("server", role::SERVER)] {
        let this = is(end, "sha256", Expr::Str(hex.clone()));
        let cfg = build(&[Rule::permit("this file").when(&this)]);
        let ask = |digest| ask_measured(cfg, role, &raw const user, digest);
        assert_eq!(ask(&raw const digest), 0, "{end}");
        // It says what is executed wherever that lies; a path does not.
        assert_eq!(ask(&raw const other), no_permit, "{end}");
        assert_eq!(ask(core::ptr::null()), no_permit, "{end}");
    }
}

#[test]
fn what_is_known_is_told_together() {
    let digest = [7; 32];
    let hex = "07".repeat(32);
    let both = Expr::All(Vec::from([
        is("client", "exe", Expr::Str(CURL.into())),
        is("client", "sha256", Expr::Str(hex)),
        is("client", "uid", Expr::Long(1)),
        is("client", "gid", Expr::Long(2)),
    ]));
    let cfg = build(&[Rule::permit("both").when(&both)]);
    for (flags, reason) in [(EV_HOST_MNT, 0), (0, DenyReason::NoPermit.number())] {
        let user = process(1, CURL, flags);
        let told = ask_measured(cfg, role::CLIENT, &raw const user, &raw const digest);
        assert_eq!(told, reason);
    }
}

/// Whether the client's end of this process permits what permits only where that fact is that.
fn fact_is(process: &Evidence, name: &str, value: Expr) -> bool {
    let rule = is("client", name, value);
    let cfg = build(&[Rule::permit("fact").when(&rule)]);
    ask(cfg, role::CLIENT, process) == 0
}

fn in_cgroup(path: &'static [u8]) -> Evidence {
    Evidence {
        cgroup: Str::of(path),
        ..process(1, CURL, EV_HOST_MNT)
    }
}

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SCOPE: &str =
    "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

#[test]
fn a_cgroup_is_told_as_the_host_sees_it_and_the_container_that_it_names() {
    let web = in_cgroup(b"/system.slice/web.service");
    let text = |text: &str| Expr::Str(text.into());
    assert!(fact_is(&web, "cgroup", text("/system.slice/web.service")));
    let docker = in_cgroup(SCOPE.as_bytes());
    assert!(fact_is(&docker, "cgroup", text(SCOPE)));
    assert!(fact_is(&docker, "container", text(ID)));
    let absent = |process: &Evidence, name: &str| {
        let has = Expr::Has(Box::new(Expr::Attribute("client".into())), name.into());
        let cfg = build(&[Rule::permit("all"), Rule::forbid("has").when(&has)]);
        ask(cfg, role::CLIENT, process) == 0
    };
    assert!(!absent(&docker, "container") && absent(&web, "container"));
    // Who owns a unit's cgroup names what is below it as they like.
    let below = in_cgroup(b"/user.slice/user@1000.service/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
    assert!(absent(&below, "container"));
    for nowhere in [&b""[..], b"/system.slice/\xff.service"] {
        let nowhere = in_cgroup(nowhere);
        assert!(absent(&nowhere, "cgroup") && absent(&nowhere, "container"));
    }
}

#[test]
fn a_network_namespace_is_the_hosts_or_has_its_number() {
    for (net_ns, name) in [
        (0, "host"),
        (4_026_532_008, "net:[4026532008]"),
        (7, "net:[7]"),
    ] {
        let inside = Evidence {
            net_ns,
            ..process(1, CURL, EV_HOST_MNT)
        };
        assert!(
            fact_is(&inside, "namespace", Expr::Str(name.into())),
            "{name}"
        );
    }
    // Where nobody could look, it is not the host's.
    let unknown = Evidence {
        net_ns: NET_UNKNOWN,
        ..process(1, CURL, EV_HOST_MNT)
    };
    let has = Expr::Has(
        Box::new(Expr::Attribute("client".into())),
        "namespace".into(),
    );
    let cfg = build(&[Rule::permit("known").when(&has)]);
    assert_eq!(
        ask(cfg, role::CLIENT, &raw const unknown),
        DenyReason::NoPermit.number()
    );
}

#[test]
fn what_ran_before_it_was_looked_at_says_so() {
    let adopted = process(1, CURL, EV_HOST_MNT | EV_ADOPTED);
    let seen = process(1, CURL, EV_HOST_MNT);
    for (process, is) in [(&adopted, true), (&seen, false)] {
        assert!(fact_is(process, "adopted", Expr::Bool(is)));
        assert!(!fact_is(process, "adopted", Expr::Bool(!is)));
    }
}

#[test]
fn all_facts_are_told_at_once() {
    let digest = [7; 32];
    let known = Evidence {
        net_ns: 4_294_967_294,
        ..in_cgroup(SCOPE.as_bytes())
    };
    let all = Expr::All(Vec::from([
        is("client", "uid", Expr::Long(1)),
        is("client", "gid", Expr::Long(2)),
        is("client", "adopted", Expr::Bool(false)),
        is("client", "exe", Expr::Str(CURL.into())),
        is("client", "sha256", Expr::Str("07".repeat(32))),
        is("client", "cgroup", Expr::Str(SCOPE.into())),
        is("client", "container", Expr::Str(ID.into())),
        is("client", "namespace", Expr::Str("net:[4294967294]".into())),
    ]));
    let cfg = build(&[Rule::permit("all").when(&all)]);
    let told = ask_measured(cfg, role::CLIENT, &raw const known, &raw const digest);
    assert_eq!(told, 0);
}

#[test]
fn facts_are_told_where_a_policy_asks_for_them() {
    let asks = |rules: &[Rule<'_>]| {
        // SAFETY: configurations of tests are never freed.
        unsafe { crate::config::at(build(rules)) }
            .unwrap()
            .asks()
            .facts
    };
    let port = Expr::attribute("port").equals(443_i64);
    assert!(!asks(&[
        Rule::permit("all"),
        Rule::permit("port").when(&port)
    ]));
    for end in ["client", "server"] {
        let has = Expr::Has(Box::new(Expr::Context), end.into());
        assert!(asks(&[Rule::permit("all"), Rule::forbid("has").when(&has)]));
    }
    // The whole context has them too.
    let whole = Expr::Equal(Box::new(Expr::Context), Box::new(Expr::Context));
    assert!(asks(&[Rule::permit("whole").when(&whole)]));
}
