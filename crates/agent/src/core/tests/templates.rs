//! What must hold of identities that templates give processes, told as stories.

use std::time::Duration;

use tidelock_proto::v1::report_request::Report;
use tidelock_proto::{MAX_FILLED_IDS_PER_ENTRY, v1::GrantRefused};

use super::catalogue::{Plan, Program};
use super::scenes::{A, ALL, answer, count, secs};
use super::world::World;

/// `c-user`: whoever runs `/bin/c`, by uid.
const USERS: Plan = Plan {
    on: 0b1_0000_0000,
    ..ALL
};
/// `c-unit`: user 2 who runs `/bin/c`, by unit.
const UNITS: Plan = Plan {
    on: 0b10_0000_0000,
    ..ALL
};
const C: Program = Program { exe: "/bin/c", ..A };
/// More than an identity is kept that nobody has.
const LONG: Duration = secs(40);

fn user(uid: u32) -> Program {
    Program { uid, ..C }
}

fn held(world: &World) -> Vec<&str> {
    let identities = world.kernel.identities.values();
    let mut held: Vec<_> = identities.map(|of| of.spiffe_id.as_str()).collect();
    held.sort_unstable();
    held
}

fn refusals(world: &World) -> Vec<&GrantRefused> {
    let refused = world.reports.iter().filter_map(|report| match report {
        Report::GrantRefused(refused) => Some(refused),
        _ => None,
    });
    refused.collect()
}

#[test]
fn two_users_of_one_program_get_two_ids_and_nobody_registered_them() {
    let mut world = World::new(1);
    world.apply(USERS);
    assert_eq!(held(&world), [""; 0]);
    for (pid, uid) in [(10, 1000), (11, 1001), (12, 1000)] {
        world.exec(pid, user(uid));
    }
    world.settled();
    let ids = ["spiffe://td/v0/c-user/1000", "spiffe://td/v0/c-user/1001"];
    assert_eq!(held(&world), ids);
    let answers = [10, 11, 12].map(|pid| answer(&world, pid));
    let answers = answers.each_ref().map(Option::as_deref);
    assert_eq!(answers, [Some(ids[0]), Some(ids[1]), Some(ids[0])]);
}

#[test]
fn the_first_grant_waits_for_no_second_round() {
    let mut world = World::new(1);
    world.slowness = Duration::ZERO;
    world.apply(USERS);
    world.exec(10, user(7));
    let id = Some("spiffe://td/v0/c-user/7");
    assert_eq!(answer(&world, 10).as_deref(), id);
    assert_eq!(world.kernel.complaints, [""; 0]);
}

#[test]
fn the_identity_goes_some_time_after_its_last_process() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.exec(10, user(1));
    world.exec(11, user(1));
    world.settled();
    world.exit(10);
    world.pass(LONG);
    assert_eq!(held(&world).len(), 1, "another process has it");
    world.exit(11);
    world.pass(secs(5));
    assert_eq!(held(&world).len(), 1, "the next program may come at once");
    world.exec(12, user(1));
    world.pass(LONG);
    assert_eq!(held(&world).len(), 1);
    world.exit(12);
    world.pass(LONG);
    assert_eq!(held(&world), [""; 0]);
    let gone = count(&world, |report| matches!(report, Report::SvidGone(_)));
    assert_eq!(gone, 1);
    world.settled();
}

#[test]
fn without_the_entry_there_are_neither_grants_nor_keys() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.exec(10, user(1));
    world.exec(11, user(2));
    world.settled();
    world.apply(Plan { on: 1, ..ALL });
    world.pass(secs(1));
    assert_eq!(held(&world), ["spiffe://td/v0/a"]);
    assert!(world.kernel.subjects.is_empty());
    let gone = count(&world, |report| matches!(report, Report::SvidGone(_)));
    assert_eq!(gone, 2);
    world.settled();
}

#[test]
fn another_template_gives_every_process_another_id() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.exec(10, user(1));
    world.settled();
    world.apply(Plan {
        version: 1,
        ..USERS
    });
    world.settled();
    assert_eq!(held(&world), ["spiffe://td/v1/c-user/1"]);
    let answer = answer(&world, 10);
    assert_eq!(answer.as_deref(), Some("spiffe://td/v1/c-user/1"));
}

#[test]
fn an_agent_that_starts_anew_finds_what_processes_have_and_wipes_the_rest() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.exec(10, user(1));
    world.exec(11, user(2));
    world.settled();
    let numbers: Vec<_> = world.kernel.identities.keys().copied().collect();
    world.kernel.exit(11);
    world.restart_agent();
    world.pass(secs(5));
    let after: Vec<_> = world.kernel.identities.keys().copied().collect();
    assert_eq!(after, numbers, "nothing goes before all processes are told");
    world.settled();
    assert_eq!(held(&world), ["spiffe://td/v0/c-user/1"]);
    let answer = answer(&world, 10);
    assert_eq!(answer.as_deref(), Some("spiffe://td/v0/c-user/1"));
}

#[test]
fn what_a_process_has_stays_if_the_kernel_refuses_what_would_have_taken_it_away() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.exec(10, user(1));
    world.settled();
    world.kernel.no_configs = true;
    world.apply(Plan { on: 1, ..ALL });
    world.pass(secs(100));
    assert_eq!(held(&world), ["spiffe://td/v0/c-user/1"]);
    world.kernel.no_configs = false;
    world.kernel.complaints.clear();
    world.apply(Plan { on: 1, ..ALL });
    world.settled();
    assert_eq!(held(&world), ["spiffe://td/v0/a"]);
}

#[test]
fn a_control_plane_that_is_away_delays_the_svid_and_nothing_else() {
    let mut world = World::new(1);
    world.apply(USERS);
    world.control_up(false);
    world.exec(10, user(1));
    world.pass(secs(100));
    let identity = world.kernel.identities.values().next().expect("made");
    assert!(identity.svid.is_none());
    world.settled();
}

#[test]
fn beyond_the_bound_processes_are_refused_and_told_until_there_is_room() {
    let mut world = World::new(1);
    world.slowness = Duration::ZERO;
    world.apply(USERS);
    let most = u32::try_from(MAX_FILLED_IDS_PER_ENTRY).expect("small");
    for uid in 0..most {
        world.exec(1000 + uid, user(uid));
    }
    world.exec(10, user(most));
    world.pass(secs(25));
    assert_eq!(held(&world).len(), MAX_FILLED_IDS_PER_ENTRY);
    assert_eq!(answer(&world, 10).as_deref(), Some("refused"));
    let [refused] = refusals(&world)[..] else {
        panic!("told once: {:?}", refusals(&world));
    };
    let why = "512 SPIFFE IDs of this identity are in use, and no more may be";
    assert_eq!(
        (refused.entry_id.as_str(), refused.reason.as_str()),
        ("c-user", why)
    );
    world.exit(1000);
    world.pass(secs(11));
    assert_eq!(answer(&world, 10).as_deref(), Some("refused"), "still kept");
    world.pass(secs(30));
    let id = format!("spiffe://td/v0/c-user/{most}");
    assert_eq!(answer(&world, 10), Some(id));
    assert_eq!(held(&world).len(), MAX_FILLED_IDS_PER_ENTRY);
    world.settled();
}

#[test]
fn what_cannot_stand_in_an_id_refuses_the_grant_and_says_why() {
    let mut world = World::new(1);
    world.apply(UNITS);
    world.exec(
        10,
        Program {
            content: 1,
            ..user(2)
        },
    );
    world.exec(
        11,
        Program {
            content: 0,
            ..user(2)
        },
    );
    world.settled();
    let id = Some("spiffe://td/v0/c-unit/c1.service");
    assert_eq!(answer(&world, 10).as_deref(), id);
    assert_eq!(answer(&world, 11).as_deref(), Some("refused"));
    let [refused] = refusals(&world)[..] else {
        panic!("{:?}", refusals(&world));
    };
    let why = "no SPIFFE ID can hold the value of `{{systemd.unit}}`";
    assert_eq!(refused.reason, why);
    assert_eq!(
        refused.process.as_ref().map(|process| process.pid),
        Some(11)
    );
}
