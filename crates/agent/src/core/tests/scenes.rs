//! What must hold, told as stories.

use std::time::Duration;

use tidelock_kabi::{Denial, DenyReason, Endpoint, RefusedReason, Role, ToAgent};
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{self as proto, RecordsLost};

use super::catalogue::{ASKS_FOR_DIGESTS, Plan, Program, digest};
use super::world::World;
use crate::core::{Desired, DesiredError, Input, Notice};

pub(super) const ALL: Plan = Plan {
    on: 0b11_1111,
    version: 0,
    ttl_secs: 3600,
};
pub(super) const A: Program = Program {
    exe: "/bin/a",
    uid: 1,
    content: 0,
    hashable: true,
};

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn answer(world: &World, pid: u32) -> Option<String> {
    let subject = world
        .kernel
        .subjects
        .values()
        .find(|subject| subject.pid == pid)?;
    let (_, identity) = subject.answer?;
    Some(match identity {
        Some(identity) => world.kernel.identities[&identity].spiffe_id.clone(),
        None => "refused".into(),
    })
}

pub(super) fn count(world: &World, is: impl Fn(&Report) -> bool) -> usize {
    world.reports.iter().filter(|report| is(report)).count()
}

#[test]
fn the_entry_with_most_selectors_wins_and_of_several_the_first_by_name() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.exec(10, A);
    world.exec(
        11,
        Program {
            uid: 9,
            content: 5,
            ..A
        },
    );
    world.settled();
    // Three entries with two selectors each fit: `a-one` comes first.
    assert_eq!(answer(&world, 10).as_deref(), Some("spiffe://td/v0/a-one"));
    assert_eq!(answer(&world, 11).as_deref(), Some("spiffe://td/v0/a"));
}

#[test]
fn a_process_that_fits_nobody_is_refused_at_once() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_1000,
        ..ALL
    });
    world.exec(10, Program { content: 1, ..A });
    world.exec(
        11,
        Program {
            hashable: false,
            ..A
        },
    );
    world.settled();
    assert_eq!(answer(&world, 10).as_deref(), Some("refused"));
    assert_eq!(answer(&world, 11).as_deref(), Some("refused"));
}

#[test]
fn nothing_is_hashed_that_no_answer_depends_on() {
    let mut world = World::new(1);
    world.slowness = secs(1000);
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    world.exec(10, A);
    assert_eq!(answer(&world, 10).as_deref(), Some("spiffe://td/v0/a"));
}

#[test]
fn what_policies_ask_for_is_hashed_before_the_grant_and_told_with_it() {
    let digest_of = |world: &World, pid: u32| {
        let mut subjects = world.kernel.subjects.values();
        let subject = subjects.find(|subject| subject.pid == pid).unwrap();
        subject.digest
    };
    let asks = Plan {
        on: 0b00_0001 | ASKS_FOR_DIGESTS,
        ..ALL
    };
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ..asks
    });
    world.exec(10, A);
    let own = Some("spiffe://td/v0/a");
    assert_eq!(
        (answer(&world, 10).as_deref(), digest_of(&world, 10)),
        (own, None)
    );
    // What has a grant is measured too, and what cannot be is granted without.
    world.slowness = secs(1000);
    world.apply(asks);
    let unhashable = Program {
        hashable: false,
        ..A
    };
    world.exec(11, Program { content: 3, ..A });
    world.exec(12, unhashable);
    assert_eq!(answer(&world, 11), None, "it is being hashed");
    assert_eq!(
        (answer(&world, 12).as_deref(), digest_of(&world, 12)),
        (own, None)
    );
    world.pass(secs(2000));
    for (pid, content) in [(10, 0), (11, 3)] {
        assert_eq!(answer(&world, pid).as_deref(), own);
        assert_eq!(digest_of(&world, pid), Some(digest(content)), "{pid}");
    }
}

/// Whoever runs `/bin/b`, under an even uid, and is user 2 or runs content 2; whoever runs `/bin/c` in a group.
const COMBINED: Plan = Plan {
    on: 0b1100_0000,
    ..ALL
};

#[test]
fn selectors_under_operators_match_as_they_are_written() {
    let mut world = World::new(1);
    world.apply(COMBINED);
    let b = Program { exe: "/bin/b", ..A };
    let two = Program { uid: 2, ..b };
    let content = Program {
        uid: 4,
        content: 2,
        ..b
    };
    let excluded = Program { content: 2, ..b };
    let neither = Program { uid: 4, ..b };
    for (pid, program) in (10..).zip([two, content, excluded, neither]) {
        world.exec(pid, program);
    }
    world.settled();
    let fits = "spiffe://td/v0/b-even-or-two";
    let answers = [10, 11, 12, 13].map(|pid| answer(&world, pid));
    let answers = answers.each_ref().map(Option::as_deref);
    let refused = Some("refused");
    assert_eq!(answers, [Some(fits), Some(fits), refused, refused]);
}

#[test]
fn a_process_is_looked_at_only_where_the_answer_depends_on_it() {
    let mut world = World::new(1);
    world.slowness = secs(1000);
    world.apply(COMBINED);
    let c = Program { exe: "/bin/c", ..A };
    world.exec(10, c);
    world.exec(11, A);
    assert_eq!(answer(&world, 10), None, "it is being looked at");
    world.pass(secs(2000));
    assert_eq!(answer(&world, 10).as_deref(), Some("spiffe://td/v0/c-odd"));
    let mut world = World::new(1);
    world.slowness = secs(1000);
    world.apply(ALL);
    world.exec(10, c);
    assert_eq!(answer(&world, 10), None, "no entry governs it");
    assert_eq!(world.asked(), 0);
}

#[test]
fn processes_older_than_the_first_configuration_are_adopted() {
    let mut world = World::new(1);
    world.exec(10, A);
    assert!(
        world.kernel.subjects.is_empty(),
        "before the first configuration nothing is governed"
    );
    world.apply(ALL);
    world.settled();
    assert_eq!(answer(&world, 10).as_deref(), Some("spiffe://td/v0/a-one"));
}

#[test]
fn taking_an_entry_away_takes_the_grant_and_then_the_key() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    world.exec(10, A);
    world.settled();
    world.apply(Plan {
        on: 0b10_0000,
        ..ALL
    });
    world.settled();
    assert!(
        world.kernel.subjects.is_empty(),
        "no entry could match it: it is not governed any more"
    );
    assert_eq!(world.kernel.identities.len(), 1);
    assert_eq!(
        count(&world, |report| matches!(report, Report::GrantEnded(_))),
        1
    );
    assert_eq!(
        count(&world, |report| matches!(report, Report::SvidGone(_))),
        1
    );
}

#[test]
fn certificates_are_renewed_at_half_life_with_distinct_serials() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ttl_secs: 20,
        ..ALL
    });
    world.pass(secs(1));
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..350 {
        world.pass(Duration::from_millis(100));
        let held = world.kernel.identities.values().next().unwrap();
        let (serial, not_after) = held.svid.clone().unwrap();
        assert!(
            not_after - world.now.unix_secs() >= 9,
            "renewed before half of it was over"
        );
        serials.insert(serial);
    }
    // 35 s after the first second, renewed each 8 to 10 s.
    assert!((4..=6).contains(&serials.len()), "{}", serials.len());
}

#[test]
fn a_certificate_that_is_revoked_is_replaced_at_once_and_no_other() {
    let mut world = World::new(1);
    let plan = Plan {
        on: 0b00_0011,
        ..ALL
    };
    world.apply(plan);
    world.pass(secs(1));
    let serials = |world: &World| -> Vec<Vec<u8>> {
        let held = world.kernel.identities.values();
        held.map(|identity| identity.svid.clone().expect("an SVID").0)
            .collect()
    };
    let before = serials(&world);
    assert_eq!(before.len(), 2);
    world.control.revoked = vec![before[0].clone()];
    world.apply(plan);
    world.pass(secs(1));
    let after = serials(&world);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    // And not again and again.
    world.pass(secs(60));
    assert_eq!(serials(&world), after);
    world.settled();
}

#[test]
fn a_revoked_serial_that_is_none_refuses_the_snapshot() {
    let parsed = |serials: Vec<Vec<u8>>| {
        let snapshot = proto::Snapshot {
            generation: 1,
            policy: Some(proto::PolicySet::default()),
            limits: Some(proto::Limits::default()),
            revoked_serials: serials,
            ..proto::Snapshot::default()
        };
        Desired::parse(snapshot)
    };
    for len in [0, 21] {
        let refused = parsed(vec![vec![1], vec![1; len]]);
        assert_eq!(refused.unwrap_err(), DesiredError::Serial { len });
    }
    let many = vec![vec![1]; 4097];
    let why = parsed(many).unwrap_err().to_string();
    assert_eq!(why, "4097 revoked SVIDs, at most 4096 are possible");
    // The kernel wants them sorted, each once, whatever order they come in.
    let desired = parsed(vec![vec![2], vec![1, 0], vec![2], vec![1]]).unwrap();
    desired.with_config(|config| {
        let serials: Vec<_> = config
            .revoked
            .iter()
            .map(|s| s.as_bytes().to_vec())
            .collect();
        assert_eq!(serials, [vec![1], vec![1, 0], vec![2]]);
    });
}

#[test]
fn while_the_control_plane_is_away_grants_go_on_and_certificates_follow_when_it_is_back() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ttl_secs: 60,
        ..ALL
    });
    world.exec(10, A);
    world.settled();
    world.control_up(false);
    world.pass(secs(45));
    world.exec(11, A);
    assert_eq!(answer(&world, 11).as_deref(), Some("spiffe://td/v0/a"));
    world.control_up(true);
    world.pass(secs(1));
    let (_, not_after) = world
        .kernel
        .identities
        .values()
        .next()
        .unwrap()
        .svid
        .clone()
        .unwrap();
    assert!(
        not_after > world.now.unix_secs() + 50,
        "at once, not after the next wait"
    );
}

#[test]
fn an_agent_that_starts_over_gives_identities_their_old_numbers_and_cuts_nobody_off() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.exec(10, A);
    world.settled();
    let before: Vec<_> = world.kernel.identities.keys().copied().collect();
    world.control_up(false);
    world.restart_agent();
    world.pass(secs(100));
    assert_eq!(
        answer(&world, 10).as_deref(),
        Some("spiffe://td/v0/a-one"),
        "kept, without a control plane"
    );
    world.settled();
    let after: Vec<_> = world.kernel.identities.keys().copied().collect();
    assert_eq!(before, after);
}

#[test]
fn keys_of_entries_deleted_while_no_agent_ran_are_wiped() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.settled();
    world.control_up(false);
    world.restart_agent();
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    world.settled();
    assert_eq!(world.kernel.identities.len(), 1);
}

#[test]
fn lost_records_make_agent_and_kernel_agree_anew() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.settled();
    world.kernel.queue_max = 3;
    for pid in 0..20 {
        world.kernel.exec(pid, A);
    }
    world.kernel.queue_max = usize::MAX;
    world.settled();
    assert_eq!(world.reopened, 1);
    assert_eq!(
        count(&world, |report| matches!(report, Report::RecordsLost(_))),
        1
    );
}

#[test]
fn refusals_that_were_not_told_are_reported_and_the_session_goes_on() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.settled();
    let nowhere = Endpoint {
        ip: [0; 16],
        port: 0,
        netns: 0,
    };
    world.kernel.send(&ToAgent::Denied(Denial {
        time_ns: 1,
        subject: None,
        pid: 1,
        uid: 1,
        role: Role::Client,
        local: nowhere,
        remote: nowhere,
        service: None,
        local_id: None,
        peer_id: None,
        reason: DenyReason::NoPermit,
        detail: "",
        untold: 7,
    }));
    world.settled();
    let told = Report::RecordsLost(RecordsLost { count: 7 });
    assert_eq!(count(&world, |report| *report == told), 1);
    assert_eq!(world.reopened, 0);
}

#[test]
fn an_older_generation_is_never_put_in_force() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.apply(ALL);
    world.settled();
    world.control.generation = 1;
    world.restart_agent();
    world.pass(secs(5));
    assert_eq!(world.kernel.generation(), 2);
    assert!(world.notices.contains(&Notice::WouldRollBack {
        offered: 1,
        in_force: 2
    }));
    assert_eq!(world.kernel.complaints, [""; 0]);
}

#[test]
fn a_refused_configuration_leaves_the_one_before_in_force_and_is_tried_again_if_that_can_help() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    world.exec(10, A);
    world.settled();
    world.kernel.out_of_memory = true;
    world.apply(Plan {
        on: 0b00_0011,
        ..ALL
    });
    assert_eq!(world.kernel.generation(), 1);
    let refused = Notice::ConfigRefused {
        generation: 2,
        why: RefusedReason::NoMemory,
    };
    assert!(world.notices.contains(&refused));
    world.exec(11, A);
    assert_eq!(
        answer(&world, 11).as_deref(),
        Some("spiffe://td/v0/a"),
        "answered by the one before"
    );
    world.settled();
    assert_eq!(answer(&world, 11).as_deref(), Some("spiffe://td/v0/a-one"));
}

#[test]
fn a_process_is_granted_once_the_kernel_could_make_the_key_however_late() {
    let mut world = World::new(1);
    world.kernel.no_keys = 5;
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    world.exec(10, A);
    world.pass(secs(8));
    assert_eq!(answer(&world, 10), None);
    world.pass(secs(30));
    assert_eq!(answer(&world, 10).as_deref(), Some("spiffe://td/v0/a"));
}

#[test]
fn a_clock_set_ahead_renews_what_it_would_have_let_expire() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ttl_secs: 600,
        ..ALL
    });
    world.settled();
    world.jump_wall_clock(500);
    world.pass(secs(11));
    let (_, not_after) = world
        .kernel
        .identities
        .values()
        .next()
        .unwrap()
        .svid
        .clone()
        .unwrap();
    assert!(not_after > world.now.unix_secs() + 500);
}

#[test]
fn a_certificate_for_somebody_else_is_not_installed() {
    let mut world = World::new(1);
    world.slowness = secs(1000);
    world.apply(Plan {
        on: 0b00_0001,
        ..ALL
    });
    let (number, held) = world.kernel.identities.iter().next().unwrap();
    assert!(held.svid.is_none());
    let answer = Ok(crate::core::SignedSvid {
        chain: vec![vec![0; 16]],
        spiffe_id: "spiffe://td/somebody-else".into(),
        issuer: Vec::new(),
        not_before: 0,
        not_after: i64::MAX,
    });
    let signed = Input::Signed {
        identity: *number,
        key: 1,
        answer,
    };
    world.agent.handle(world.now, signed);
    world.run();
    assert!(
        world
            .kernel
            .identities
            .values()
            .all(|held| held.svid.is_none())
    );
}

#[test]
fn a_change_of_life_takes_effect_without_waiting_for_the_old_half_life() {
    let mut world = World::new(1);
    world.apply(Plan {
        on: 0b00_0001,
        ttl_secs: 36_000,
        ..ALL
    });
    world.settled();
    world.apply(Plan {
        on: 0b00_0001,
        ttl_secs: 30,
        ..ALL
    });
    world.pass(secs(2));
    let (_, not_after) = world
        .kernel
        .identities
        .values()
        .next()
        .unwrap()
        .svid
        .clone()
        .unwrap();
    assert!(not_after <= world.now.unix_secs() + 30);
}

#[test]
fn every_grant_is_told_once_and_its_end_too() {
    let mut world = World::new(1);
    world.apply(ALL);
    world.exec(10, A);
    world.settled();
    world.apply(ALL);
    world.settled();
    assert_eq!(
        count(&world, |report| matches!(report, Report::Granted(_))),
        1
    );
    let state = world.agent.node_state();
    assert_eq!(state.grants.len(), 1);
    assert_eq!(state.grants[0].generation, 2);
    assert_eq!(state.svids.len(), 6);
    world.exit(10);
    assert_eq!(
        count(&world, |report| matches!(report, Report::GrantEnded(_))),
        1
    );
    assert!(world.agent.node_state().grants.is_empty());
}
