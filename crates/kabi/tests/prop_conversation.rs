//! Both ends against each other in memory, over a line that repeats, reorders, drops and corrupts.

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tidelock_kabi::*;

/// What the line does with the records that were written.
#[derive(Clone, Debug)]
enum Line {
    /// Delivers the next record.
    Next,
    /// Delivers a record that was written before, once more.
    Again(Index),
    /// Delivers a record that comes later.
    Early(Index),
    /// Delivers the next record with a byte changed, then takes it away.
    Corrupt(Index, u8),
    /// Delivers garbage.
    Garbage(Vec<u8>),
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        4 => Just(Line::Next),
        1 => any::<Index>().prop_map(Line::Again),
        1 => any::<Index>().prop_map(Line::Early),
        1 => (any::<Index>(), 1..=u8::MAX).prop_map(|(at, flip)| Line::Corrupt(at, flip)),
        1 => vec(any::<u8>(), 0..60).prop_map(Line::Garbage),
    ]
}

/// A session's worth of records for the kernel: the generations fit.
fn script() -> impl Strategy<Value = Vec<Kernel>> {
    vec(to_kernel(), 0..12).prop_map(|records| {
        let mut in_force = 0_u64;
        let mut script = vec![ToKernel::Hello { agent_version: "1" }];
        for record in records {
            script.push(match record {
                ToKernel::Hello { .. } => continue,
                ToKernel::Config(config) => {
                    in_force += 1;
                    ToKernel::Config(Config {
                        generation: in_force,
                        ..config
                    })
                }
                ToKernel::Grant { .. } | ToKernel::Refuse { .. } if in_force == 0 => continue,
                ToKernel::Grant {
                    subject,
                    identity,
                    exe_sha256,
                    ..
                } => ToKernel::Grant {
                    subject,
                    identity,
                    exe_sha256,
                    generation: in_force,
                },
                ToKernel::Refuse {
                    subject, reason, ..
                } => ToKernel::Refuse {
                    subject,
                    reason,
                    generation: in_force,
                },
                other => other,
            });
        }
        script
    })
}

/// The script as an agent encodes it, record after record.
fn written(script: &[Kernel]) -> Vec<Vec<u8>> {
    let (mut agent, mut kernel) = (AgentEnd::new(), KernelEnd::new(0));
    let mut buf = [0; 128];
    script
        .iter()
        .map(|record| {
            let (pending, bytes) = agent.to_vec(record).unwrap();
            assert!(agent.accepted(pending));
            if !agent.is_open() {
                let hello = ToAgent::Hello {
                    module_version: "1",
                    generation: 0,
                    net_ns: 1,
                };
                let len = kernel.encode(&hello, &mut buf).unwrap();
                agent.handle(&buf[..len]).unwrap();
            }
            bytes
        })
        .collect()
}

/// Delivers one record; the kernel must refuse it without a change, or take it as the next of the script.
fn deliver(kernel: &mut KernelEnd, bytes: &[u8], taken: &mut Vec<Vec<u8>>) {
    let before = *kernel;
    match kernel.parse(bytes) {
        Err(_) => assert_eq!(*kernel, before, "a refusal changed the session"),
        Ok(command) => {
            assert_eq!(*kernel, before, "parsing changed the session");
            assert_eq!(command.seq, taken.len() as u64 + 1);
            assert!(kernel.accept(command.taken()));
            assert!(kernel.generation() >= before.generation());
            taken.push(bytes.to_vec());
        }
    }
    assert_eq!(KernelEnd::from_bytes(&kernel.to_bytes()), *kernel);
}

proptest! {
    #[test]
    fn the_kernel_takes_the_script_in_order_or_not_at_all(
        script in script(),
        events in vec(line(), 0..40),
    ) {
        let written = written(&script);
        let mut kernel = KernelEnd::new(0);
        let mut taken: Vec<Vec<u8>> = Vec::new();
        let mut corrupted = false;
        for event in events {
            let next = taken.len();
            match event {
                Line::Next => if let Some(bytes) = written.get(next) {
                    let fresh = !corrupted;
                    deliver(&mut kernel, bytes, &mut taken);
                    prop_assert!(taken.len() == next + 1 || !fresh, "a true record was refused");
                },
                Line::Again(at) if next > 0 => {
                    deliver(&mut kernel, &written[at.index(next)], &mut taken);
                    prop_assert_eq!(taken.len(), next, "a record was taken twice");
                }
                Line::Early(at) if next + 1 < written.len() => {
                    let early = &written[next + 1 + at.index(written.len() - next - 1)];
                    deliver(&mut kernel, early, &mut taken);
                    prop_assert_eq!(taken.len(), next, "a record was taken early");
                }
                Line::Corrupt(at, flip) => if let Some(bytes) = written.get(next) {
                    let mut bytes = bytes.clone();
                    *at.get_mut(&mut bytes) ^= flip;
                    deliver(&mut kernel, &bytes, &mut taken);
                    // Another valid record in its place is the agent's word like any other; what the
                    // script says later may then no longer fit its generation.
                    corrupted |= taken.len() > next;
                },
                Line::Garbage(bytes) => {
                    deliver(&mut kernel, &bytes, &mut taken);
                    prop_assert_eq!(taken.len(), next);
                }
                Line::Again(_) | Line::Early(_) => {}
            }
        }
        if !corrupted {
            prop_assert_eq!(&taken[..], &written[..taken.len()]);
        }
    }

    #[test]
    fn the_agent_hears_the_kernel_in_order_or_not_at_all(
        records in vec(to_agent(), 0..12),
        events in vec(line(), 0..40),
    ) {
        let mut kernel = KernelEnd::new(3);
        let hello = ToAgent::Hello { module_version: "1", generation: 3, net_ns: 1 };
        let mut applied = 3_u64;
        let said: Vec<Agent> = std::iter::once(hello)
            .chain(records.into_iter().filter(|r| r.kind() != ToAgentKind::Hello).map(|r| match r {
                ToAgent::Applied { flows_cut, .. } => {
                    applied += 1;
                    ToAgent::Applied { generation: applied, flows_cut }
                }
                other => other,
            }))
            .collect();
        let mut buf = [0; bounds::MAX_TO_AGENT_BYTES];
        let bytes: Vec<Vec<u8>> = said.iter().map(|record| {
            let len = kernel.encode(record, &mut buf).unwrap();
            buf[..len].to_vec()
        }).collect();

        let (mut agent, mut heard) = (AgentEnd::new(), 0);
        for event in events {
            let before = agent;
            let result = match &event {
                Line::Next if heard < said.len() => {
                    prop_assert_eq!(agent.handle(&bytes[heard]), Ok(said[heard]));
                    heard += 1;
                    continue;
                }
                Line::Again(at) if heard > 0 => agent.handle(&bytes[at.index(heard)]),
                Line::Early(at) if heard + 1 < said.len() => {
                    agent.handle(&bytes[heard + 1 + at.index(said.len() - heard - 1)])
                }
                Line::Garbage(garbage) => agent.handle(garbage),
                _ => continue,
            };
            prop_assert!(result.is_err(), "{:?}", event);
            prop_assert_eq!(agent, before, "a refusal changed the session");
        }
    }

    #[test]
    fn what_the_agent_end_lets_out_the_kernel_end_takes(
        records in vec(to_kernel(), 0..20),
        refuse in vec(any::<bool>(), 20),
    ) {
        let (mut agent, mut kernel) = (AgentEnd::new(), KernelEnd::new(5));
        let mut buf = [0; 128];
        let hello = ToKernel::Hello { agent_version: "1" };
        for (record, refuse) in std::iter::once(hello).chain(records).zip(refuse) {
            let before = agent;
            let Ok((pending, bytes)) = agent.to_vec(&record) else { continue };
            prop_assert_eq!(agent, before, "encoding changed the session");
            let command = kernel.parse(&bytes).expect("the agent end lets out only what is in order");
            prop_assert_eq!(command.record, record);
            // The module may still refuse, for want of memory say: then the number is used again.
            if refuse && kernel.is_open() {
                continue;
            }
            prop_assert!(kernel.accept(command.taken()));
            prop_assert!(agent.accepted(pending));
            if !agent.is_open() {
                let hello = ToAgent::Hello { module_version: "1", generation: 5, net_ns: 1 };
                let len = kernel.encode(&hello, &mut buf).unwrap();
                agent.handle(&buf[..len]).unwrap();
            }
            prop_assert_eq!(agent.generation(), kernel.generation());
        }
    }

    #[test]
    fn a_session_state_of_any_bytes_is_one(bytes: [u8; 32], garbage in vec(any::<u8>(), 0..80)) {
        let mut state = [0; KERNEL_END_BYTES];
        state[..32].copy_from_slice(&bytes);
        let mut kernel = KernelEnd::from_bytes(&state);
        let before = kernel;
        prop_assert!(kernel.handle(&garbage).is_err());
        prop_assert_eq!(kernel, before);
    }
}
