//! Authorities come and go without anything that they signed being lost.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidelock_ca::{
    Command, Lifecycle, LifecycleError as Error, MAX_REMEMBERED, Notice, Slot, State, Timing,
    TimingError,
};

const NOW: i64 = 1_770_000_000;
/// A bundle takes a minute, SVIDs live an hour, the next is prepared two hours ahead.
const PROPAGATION: i64 = 60;
const SVID: i64 = 3600;
const AHEAD: i64 = 7200;
const LIFE: i64 = 86_400;

type Engine = Lifecycle<u32>;

fn engine() -> Engine {
    Lifecycle::new(Timing::new(60, 3600, 7200).unwrap())
}

fn prepare(id: u32, now: i64) -> Command<u32> {
    let not_after = now + LIFE;
    Command::Prepare { id, not_after }
}

fn notices(engine: &mut Engine) -> Vec<Notice<u32>> {
    std::iter::from_fn(|| engine.poll()).collect()
}

/// With 1 active since `NOW`.
fn running() -> Engine {
    let mut engine = engine();
    engine.handle(NOW, prepare(1, NOW)).unwrap();
    engine.handle(NOW, Command::Activate { id: 1 }).unwrap();
    notices(&mut engine);
    engine
}

/// With 1 retired and 2 active, since the time given.
fn rotated() -> (Engine, i64) {
    let (mut engine, then) = (running(), NOW + PROPAGATION);
    engine.handle(NOW, prepare(2, NOW + 100)).unwrap();
    engine.handle(then, Command::Activate { id: 2 }).unwrap();
    notices(&mut engine);
    (engine, then)
}

fn state(engine: &Engine, id: u32) -> Option<State> {
    let slot = engine.slots().iter().find(|slot| slot.id == id);
    slot.map(|slot| slot.state)
}

fn trusted(engine: &Engine) -> Vec<u32> {
    engine.trusted().copied().collect()
}

#[test]
fn prepared_authorities_are_trusted_before_they_sign() {
    let mut engine = running();
    engine.handle(NOW + 5, prepare(2, NOW)).unwrap();
    assert_eq!((trusted(&engine), engine.signer()), (vec![1, 2], Some(&1)));
    assert_eq!(notices(&mut engine), [Notice::Bundle { sequence: 2 }]);
    let at = NOW + 5 + PROPAGATION;
    let early = engine.handle(at - 1, Command::Activate { id: 2 });
    assert_eq!(early, Err(Error::TooSoon { at }));
    engine.handle(at, Command::Activate { id: 2 }).unwrap();
    assert_eq!(engine.signer(), Some(&2));
    assert_eq!(notices(&mut engine), [Notice::Sign { id: 2 }]);
}

#[test]
fn retired_authorities_are_trusted_until_their_svids_have_ended() {
    let (mut engine, then) = rotated();
    assert_eq!(state(&engine, 1), Some(State::Retired));
    assert_eq!(engine.next_deadline(), Some(then + SVID));
    engine.handle_timeout(then + SVID - 1);
    assert_eq!(trusted(&engine), [1, 2]);
    assert!(notices(&mut engine).is_empty());
    engine.handle_timeout(then + SVID);
    assert_eq!(trusted(&engine), [2]);
    let told = [Notice::Bundle { sequence: 3 }, Notice::Forgotten { id: 1 }];
    assert_eq!(notices(&mut engine), told);
}

#[test]
fn tainted_authorities_are_trusted_while_their_svids_are_renewed() {
    let (mut engine, then) = rotated();
    let sequence = engine.sequence();
    engine.handle(then + 1, Command::Taint { id: 1 }).unwrap();
    assert_eq!(state(&engine, 1), Some(State::Tainted));
    assert_eq!(
        (trusted(&engine), engine.sequence()),
        (vec![1, 2], sequence)
    );
    assert_eq!(notices(&mut engine), [Notice::Renew { id: 1 }]);
}

#[test]
fn revoked_authorities_are_not_trusted_and_do_not_come_back() {
    let (mut engine, then) = rotated();
    engine.handle(then, Command::Taint { id: 1 }).unwrap();
    notices(&mut engine);
    engine.handle(then, Command::Revoke { id: 1 }).unwrap();
    assert_eq!(trusted(&engine), [2]);
    let told = [Notice::Bundle { sequence: 3 }, Notice::Cut { id: 1 }];
    assert_eq!(notices(&mut engine), told);
    assert_eq!(engine.handle(then, prepare(1, then)), Err(Error::Known));
    for command in [
        Command::Activate { id: 1 },
        Command::Taint { id: 1 },
        Command::Revoke { id: 1 },
    ] {
        let state = State::Revoked;
        assert_eq!(engine.handle(then, command), Err(Error::State { state }));
    }
    engine.handle_timeout(then + SVID);
    assert_eq!(
        notices(&mut engine),
        [Notice::Forgotten { id: 1 }],
        "the bundle is as it was"
    );
}

#[test]
fn one_that_never_signed_is_revoked_at_once() {
    let mut engine = running();
    engine.handle(NOW, prepare(2, NOW)).unwrap();
    engine.handle(NOW, Command::Revoke { id: 2 }).unwrap();
    assert_eq!(trusted(&engine), [1]);
}

#[test]
fn steps_that_would_lose_flows_are_refused() {
    let (mut engine, then) = rotated();
    let before = format!("{engine:?}");
    for (command, error) in [
        (
            Command::Taint { id: 2 },
            Error::State {
                state: State::Active,
            },
        ),
        (
            Command::Revoke { id: 2 },
            Error::State {
                state: State::Active,
            },
        ),
        (
            Command::Revoke { id: 1 },
            Error::State {
                state: State::Retired,
            },
        ),
        (
            Command::Activate { id: 1 },
            Error::State {
                state: State::Retired,
            },
        ),
        (
            Command::Activate { id: 2 },
            Error::State {
                state: State::Active,
            },
        ),
        (Command::Activate { id: 9 }, Error::Unknown),
        (prepare(1, then), Error::Known),
        (
            Command::Prepare {
                id: 3,
                not_after: then + PROPAGATION,
            },
            Error::TooShort {
                not_after: then + PROPAGATION,
                least: then + PROPAGATION,
            },
        ),
    ] {
        assert_eq!(
            engine.handle(then, command.clone()),
            Err(error),
            "{command:?}"
        );
        assert_eq!(
            format!("{engine:?}"),
            before,
            "refused input changes nothing"
        );
    }
}

#[test]
fn the_next_is_asked_for_once_and_takes_over_by_itself() {
    let mut engine = running();
    let end = NOW + LIFE;
    assert_eq!(engine.next_deadline(), Some(end - AHEAD));
    engine.handle_timeout(end - AHEAD - 1);
    assert!(notices(&mut engine).is_empty());
    engine.handle_timeout(end - AHEAD);
    engine.handle_timeout(end - AHEAD + 1);
    assert_eq!(notices(&mut engine), [Notice::PrepareNext]);
    let now = end - AHEAD + 10;
    engine.handle(now, prepare(2, now)).unwrap();
    notices(&mut engine);
    assert_eq!(
        engine.next_deadline(),
        Some(end - SVID),
        "before SVIDs are cut short"
    );
    engine.handle_timeout(end - SVID);
    assert_eq!(engine.signer(), Some(&2));
    assert_eq!(notices(&mut engine), [Notice::Sign { id: 2 }]);
    engine.handle_timeout(end);
    assert_eq!(trusted(&engine), [2]);
}

#[test]
fn one_that_ends_without_a_successor_signs_no_more() {
    let mut engine = running();
    engine.handle_timeout(NOW + LIFE);
    assert_eq!((engine.signer(), trusted(&engine)), (None, vec![]));
    let now = NOW + LIFE + 1;
    engine.handle(now, prepare(2, now)).unwrap();
    assert_eq!(engine.next_deadline(), Some(now + PROPAGATION));
    engine.handle_timeout(now + PROPAGATION);
    assert_eq!(engine.signer(), Some(&2));
}

#[test]
fn it_is_taken_up_where_it_was_left() {
    let (engine, _) = rotated();
    let timing = Timing::new(60, 3600, 7200).unwrap();
    let restore = |slots| Lifecycle::restore(timing, slots, engine.sequence());
    let again = restore(engine.slots().to_vec()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{engine:?}"));
    let slot = |id, state| Slot {
        id,
        state,
        since: NOW,
        until: NOW + LIFE,
    };
    let refused = restore(vec![slot(1, State::Active), slot(2, State::Active)]);
    assert_eq!(refused.err(), Some(Error::TwoActive));
    let refused = restore(vec![slot(1, State::Active), slot(1, State::Retired)]);
    assert_eq!(refused.err(), Some(Error::Known));
    let many = (0..=64).map(|id| slot(id, State::Retired)).collect();
    assert_eq!(restore(many).err(), Some(Error::TooMany));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut engine = engine();
    for id in 0..64 {
        engine.handle(NOW, prepare(id, NOW)).unwrap();
    }
    assert_eq!(MAX_REMEMBERED, 64);
    assert_eq!(engine.handle(NOW, prepare(64, NOW)), Err(Error::TooMany));
}

#[test]
fn times_fit_together() {
    assert!(Timing::new(60, 3600, 3660).is_ok());
    let (prepare_before_secs, least) = (3659, 3660);
    let late = TimingError::TooLate {
        prepare_before_secs,
        least,
    };
    assert_eq!(Timing::new(60, 3600, prepare_before_secs), Err(late));
    assert!(Timing::new(u32::MAX, u32::MAX, u32::MAX).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Prepare(i64),
    Activate(usize),
    Taint(usize),
    Revoke(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5000_i64).prop_map(Step::Wait),
        2 => (1..200_000_i64).prop_map(Step::Prepare),
        2 => (0..8_usize).prop_map(Step::Activate),
        1 => (0..8_usize).prop_map(Step::Taint),
        1 => (0..8_usize).prop_map(Step::Revoke),
        1 => Just(Step::Restart),
    ]
}

/// What an authority signed last, and until when it is valid.
#[derive(Default)]
struct Model {
    svids: BTreeMap<u32, i64>,
    revoked: Vec<u32>,
    next: u32,
}

impl Model {
    fn check(&mut self, engine: &mut Engine, now: i64, sequence: &mut u64, was: &mut Vec<u32>) {
        let trusted = trusted(engine);
        assert_eq!(
            trusted != *was,
            engine.sequence() != *sequence,
            "sequence and bundle"
        );
        (*was, *sequence) = (trusted.clone(), engine.sequence());
        let active = engine
            .slots()
            .iter()
            .filter(|slot| slot.state == State::Active);
        assert!(active.count() <= 1);
        if let Some(id) = engine.signer() {
            let until = engine.slots().iter().find(|s| s.id == *id).unwrap().until;
            assert!(trusted.contains(id) && until > now);
            let ends = self.svids.entry(*id).or_default();
            *ends = (*ends).max((now + SVID).min(until));
        }
        for (id, ends) in &self.svids {
            let lost = *ends > now && !trusted.contains(id) && !self.revoked.contains(id);
            assert!(
                !lost,
                "{id} signed what is valid until {ends} and is gone at {now}"
            );
        }
        assert!(
            engine.next_deadline().is_none_or(|at| at > now),
            "nothing is overdue"
        );
        while engine.poll().is_some() {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_svid_is_lost_but_by_revocation(steps in prop::collection::vec(step(), 1..80)) {
        let timing = Timing::new(60, 3600, 7200).unwrap();
        let (mut engine, mut model, mut now) = (engine(), Model::default(), NOW);
        let (mut sequence, mut was) = (0, vec![]);
        for step in steps {
            let id = |n: usize| engine.slots().get(n).map_or(u32::MAX, |slot| slot.id);
            let command = match step {
                Step::Wait(secs) => {
                    now += secs;
                    None
                }
                Step::Prepare(life) => {
                    model.next += 1;
                    Some(Command::Prepare { id: model.next, not_after: now + life })
                }
                Step::Activate(n) => Some(Command::Activate { id: id(n) }),
                Step::Taint(n) => Some(Command::Taint { id: id(n) }),
                Step::Revoke(n) => Some(Command::Revoke { id: id(n) }),
                Step::Restart => {
                    let (slots, sequence) = (engine.slots().to_vec(), engine.sequence());
                    engine = Lifecycle::restore(timing, slots, sequence).unwrap();
                    None
                }
            };
            if let Some(command) = command {
                let before = format!("{engine:?}");
                match engine.handle(now, command.clone()) {
                    Ok(()) => {
                        if let Command::Revoke { id } = command {
                            model.revoked.push(id);
                        }
                    }
                    Err(_) => prop_assert_eq!(format!("{engine:?}"), before),
                }
            }
            engine.handle_timeout(now);
            let once = format!("{engine:?}");
            engine.handle_timeout(now);
            prop_assert_eq!(format!("{engine:?}"), once, "idempotent");
            model.check(&mut engine, now, &mut sequence, &mut was);
        }
    }
}
