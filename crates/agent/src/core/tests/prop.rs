//! Any sequence of what can happen: never a wrong grant, and in the end every right one.

use std::time::Duration;

use proptest::prelude::*;

use super::catalogue::{Plan, Program};
use super::world::World;

#[derive(Clone, Debug)]
enum Step {
    Exec(u32, Program),
    Exit(u32),
    Apply(Plan),
    Control(bool),
    RestartAgent,
    Pass(u64),
    Slowness(u64),
    ClockAhead(u64),
    SmallQueue(usize),
    OutOfMemory,
    NoKeys(u32),
}

fn program() -> impl Strategy<Value = Program> {
    let exe = prop_oneof![Just("/bin/a"), Just("/bin/b"), Just("/bin/c")];
    (exe, 0_u32..4, 0_u8..3, prop::bool::weighted(0.9)).prop_map(|(exe, uid, content, hashable)| {
        Program {
            exe,
            uid,
            content,
            hashable,
        }
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    let ttl = prop_oneof![Just(10_u32), Just(60), Just(3600)];
    (any::<u16>(), 0_u8..2, ttl).prop_map(|(on, version, ttl_secs)| Plan {
        on,
        version,
        ttl_secs,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..6, program()).prop_map(|(pid, program)| Step::Exec(pid, program)),
        2 => (0_u32..6).prop_map(Step::Exit),
        4 => plan().prop_map(Step::Apply),
        2 => any::<bool>().prop_map(Step::Control),
        1 => Just(Step::RestartAgent),
        6 => prop_oneof![0_u64..50, 0_u64..20_000].prop_map(Step::Pass),
        1 => prop_oneof![Just(0_u64), Just(10), Just(2_000)].prop_map(Step::Slowness),
        1 => (0_u64..7200).prop_map(Step::ClockAhead),
        1 => prop_oneof![2_usize..6, Just(usize::MAX)].prop_map(Step::SmallQueue),
        1 => Just(Step::OutOfMemory),
        1 => (1_u32..40).prop_map(Step::NoKeys),
    ]
}

fn play(world: &mut World, step: Step) {
    match step {
        Step::Exec(pid, program) => world.exec(pid, program),
        Step::Exit(pid) => world.exit(pid),
        Step::Apply(plan) => world.apply(plan),
        Step::Control(up) => world.control_up(up),
        Step::RestartAgent => world.restart_agent(),
        Step::Pass(ms) => world.pass(Duration::from_millis(ms)),
        Step::Slowness(ms) => world.slowness = Duration::from_millis(ms),
        Step::ClockAhead(secs) => world.jump_wall_clock(secs),
        Step::SmallQueue(max) => world.kernel.queue_max = max,
        Step::OutOfMemory => world.kernel.out_of_memory = true,
        Step::NoKeys(requests) => world.kernel.no_keys = requests,
    }
}

proptest! {
    #[test]
    fn no_order_of_events_grants_wrongly_and_all_end_well(
        seed: u64,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(seed);
        for step in steps {
            play(&mut world, step);
        }
        world.kernel.queue_max = usize::MAX;
        world.kernel.out_of_memory = false;
        world.kernel.no_keys = 0;
        world.slowness = Duration::from_millis(50);
        world.settled();
    }
}
