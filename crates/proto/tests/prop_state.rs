//! Whatever changes, and wherever an agent begins: what it makes of deltas is what a whole snapshot says.

mod bodies;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;
use tidelock_proto::state::{HeldParts, Part, State, sorted};
use tidelock_proto::v1::{Entry, Policy, PolicySet, Service, Snapshot};

/// What is there: a kind and a name, and what it says.
type Things = BTreeMap<(u8, u8), u8>;

/// Most names of each kind: few, so that they come and go and change.
const NAMES: u8 = 6;

fn things() -> impl Strategy<Value = Things> {
    btree_map((0..4_u8, 0..NAMES), 0..3_u8, 0..12)
}

fn piece((kind, name): (u8, u8), says: u8) -> Snapshot {
    let named = format!("{}", char::from(b'a' + name));
    let mut piece = Snapshot::default();
    match kind {
        0 => piece.entries.push(Entry {
            id: named,
            x509_ttl_secs: says.into(),
            ..Entry::default()
        }),
        1 => piece.services.push(Service {
            name: named,
            servers: vec![says.to_string()],
            ..Service::default()
        }),
        2 => {
            let source = Policy {
                name: named,
                cedar: says.to_string(),
                ..Policy::default()
            };
            let sources = vec![source];
            piece.policy = Some(PolicySet {
                sources,
                ..PolicySet::default()
            });
        }
        _ => piece.revoked_serials.push(vec![64 + name, says]),
    }
    piece
}

/// All of it in one message, made without parts.
fn snapshot(generation: u64, things: &Things) -> Snapshot {
    let mut all = Snapshot {
        generation,
        ..Snapshot::default()
    };
    for (&thing, &says) in things {
        let one = piece(thing, says);
        all.entries.extend(one.entries);
        all.services.extend(one.services);
        all.revoked_serials.extend(one.revoked_serials);
        if let Some(policy) = one.policy {
            let set = all.policy.get_or_insert_default();
            set.sources.extend(policy.sources);
        }
    }
    all
}

/// As a control plane has it: some of it is shared between nodes, and some a node's own.
fn state(generation: u64, things: &Things, own: u8) -> State {
    let part =
        |(&thing, &says): (&(u8, u8), &u8)| Part::new(piece(thing, says).encode_to_vec().into());
    let (own, common): (Vec<_>, Vec<_>) = things.iter().partition(|((_, name), _)| *name < own);
    let common: Arc<[Part]> = sorted(common.into_iter().map(part).collect()).into();
    let own = own.into_iter().map(part).collect();
    State::new(generation, common, own).expect("a small state")
}

/// What an agent tells, as the control plane reads it.
fn parsed(agent: &State) -> HeldParts {
    HeldParts::parse(&agent.held()).expect("what agents tell")
}

/// What an agent does next.
#[derive(Clone, Debug)]
enum Step {
    /// It follows the stream to the next generation.
    Follow,
    /// It was away, and is sent what has changed since a state that it kept.
    Resume(Index),
    /// It lost what it had.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Follow),
        2 => any::<Index>().prop_map(Step::Resume),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn what_comes_of_deltas_is_the_whole_snapshot(
        generations in vec((things(), 0..NAMES), 1..8),
        steps in vec((step(), any::<Index>()), 1..12),
    ) {
        let count = generations.len();
        let states: Vec<State> = generations
            .iter()
            .zip(1..)
            .map(|((things, own), generation)| state(generation, things, *own))
            .collect();
        let mut agent = State::default();
        let mut held = Things::new();
        let mut at: Option<usize> = None;
        for (step, jump) in steps {
            let (to, delta) = match (step, at) {
                (Step::Follow, Some(from)) => {
                    let to = (from + 1).min(count - 1);
                    (to, states[to].since(&states[from]))
                }
                // To any generation, an older one too: a control plane may have been restored.
                (Step::Follow, None) => (0, states[0].since_held(&parsed(&agent))),
                (Step::Resume(kept), _) => {
                    let things = &generations[kept.index(count)].0;
                    agent = State::default().apply(&state(9, things, 0).whole()).expect("whole");
                    held = things.clone();
                    let to = jump.index(count);
                    (to, states[to].since_held(&parsed(&agent)))
                }
                (Step::Forget, _) => {
                    agent = State::default();
                    held.clear();
                    let to = jump.index(count);
                    (to, states[to].since_held(&parsed(&agent)))
                }
            };
            agent = agent.apply(&delta).expect("it fits");
            let expected = snapshot(u64::try_from(to).expect("few") + 1, &generations[to].0);
            prop_assert_eq!(agent.snapshot().expect("well formed"), expected);
            // Nothing travels that was there.
            let things = &generations[to].0;
            let news = things.iter().filter(|(thing, says)| held.get(thing) != Some(*says));
            prop_assert_eq!(delta.added.len(), news.count());
            held = things.clone();
            at = Some(to);
        }
    }

    #[test]
    fn damaged_changes_are_refused_or_do_not_matter(
        before in vec(vec(any::<u8>(), 0..8), 0..6),
        after in vec(vec(any::<u8>(), 0..8), 0..6),
        damage in vec((any::<u16>(), any::<u8>()), 0..4),
    ) {
        bodies::delta(&before, &after, &damage);
    }

    #[test]
    fn bytes_of_anyone_are_refused_or_make_a_sound_state(
        before in vec(vec(any::<u8>(), 0..8), 0..6),
        bytes in vec(any::<u8>(), 0..64),
    ) {
        bodies::any_bytes(&before, &bytes);
    }
}
