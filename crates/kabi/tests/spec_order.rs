//! The order of the conversation, rule by rule.

mod common;

use common::samples::every_to_kernel;
use tidelock_kabi::*;

fn why<T>(result: Result<T, Refused>) -> RefusedReason {
    result.err().expect("refused").why
}

fn config(generation: u64) -> ToKernel<'static> {
    ToKernel::Config(Config {
        generation,
        ..Config::default()
    })
}

fn at(seq: u64, record: ToKernel<'_>) -> Vec<u8> {
    record.to_vec(seq).unwrap()
}

/// A kernel at this generation that has heard the hello.
fn open(generation: u64) -> KernelEnd {
    let mut kernel = KernelEnd::new(generation);
    kernel
        .handle(&at(1, ToKernel::Hello { agent_version: "1" }))
        .unwrap();
    kernel
}

#[test]
fn the_first_record_is_a_hello() {
    let mut kernel = KernelEnd::new(0);
    for record in every_to_kernel().into_iter().skip(1) {
        assert_eq!(
            why(kernel.handle(&at(1, record))),
            RefusedReason::HelloFirst
        );
    }
    assert!(!kernel.is_open());
}

#[test]
fn there_is_one_hello() {
    let hello = at(2, ToKernel::Hello { agent_version: "1" });
    assert_eq!(why(open(0).handle(&hello)), RefusedReason::HelloAgain);
}

#[test]
fn numbers_begin_at_one_and_grow_by_one() {
    let hello = |seq| at(seq, ToKernel::Hello { agent_version: "1" });
    for seq in [0, 2, 3, u64::MAX] {
        assert_eq!(
            why(KernelEnd::new(0).handle(&hello(seq))),
            RefusedReason::Sequence,
            "{seq}"
        );
    }
    for seq in [0, 1, 3, u64::MAX] {
        assert_eq!(
            why(open(0).handle(&at(seq, ToKernel::Drain))),
            RefusedReason::Sequence,
            "{seq}"
        );
    }
    assert_eq!(open(0).handle(&at(2, ToKernel::Drain)), Ok(ToKernel::Drain));
}

#[test]
fn a_refusal_names_record_and_byte_and_uses_up_no_number() {
    let mut kernel = open(4);
    let refused = kernel.handle(&at(2, config(4))).unwrap_err();
    assert_eq!(
        refused,
        Refused {
            seq: 2,
            why: RefusedReason::OldGeneration,
            at: 24
        }
    );
    assert_eq!(
        refused.to_string(),
        "record 2 refused: the generation is not newer than the one in force (at byte 24)"
    );
    assert!(kernel.handle(&at(2, config(5))).is_ok());
}

#[test]
fn a_generation_only_grows_over_sessions_too() {
    let mut kernel = open(0);
    assert!(kernel.handle(&at(2, config(9))).is_ok());
    for generation in 1..=9 {
        assert_eq!(
            why(kernel.handle(&at(3, config(generation)))),
            RefusedReason::OldGeneration
        );
    }
    let mut next = kernel.reopen();
    next.handle(&at(1, ToKernel::Hello { agent_version: "1" }))
        .unwrap();
    assert_eq!(
        why(next.handle(&at(2, config(9)))),
        RefusedReason::OldGeneration
    );
    assert!(next.handle(&at(2, config(10))).is_ok());
}

#[test]
fn an_answer_is_for_the_generation_in_force() {
    let grant = |generation| ToKernel::Grant {
        subject: 1,
        generation,
        identity: 1,
        exe_sha256: None,
    };
    let refuse = |generation| ToKernel::Refuse {
        subject: 1,
        generation,
        reason: DenyReason::NotGranted,
    };
    let mut kernel = open(7);
    for generation in [1, 6, 8, u64::MAX] {
        for answer in [grant(generation), refuse(generation)] {
            assert_eq!(
                why(kernel.handle(&at(2, answer))),
                RefusedReason::WrongGeneration
            );
        }
    }
    assert!(kernel.handle(&at(2, grant(7))).is_ok());
    assert!(kernel.handle(&at(3, refuse(7))).is_ok());
    assert_eq!(
        why(open(0).handle(&at(2, grant(1)))),
        RefusedReason::WrongGeneration
    );
}

#[test]
fn accept_takes_only_what_comes_next() {
    let mut kernel = open(3);
    let before = kernel;
    for taken in [
        Taken {
            seq: 1,
            generation: None,
        },
        Taken {
            seq: 3,
            generation: None,
        },
        Taken {
            seq: 2,
            generation: Some(3),
        },
        Taken {
            seq: 2,
            generation: Some(0),
        },
    ] {
        assert!(!kernel.accept(taken), "{taken:?}");
        assert_eq!(kernel, before);
    }
    assert!(kernel.accept(Taken {
        seq: 2,
        generation: Some(4)
    }));
    assert_eq!(kernel.generation(), 4);
}

#[test]
fn the_agent_waits_for_the_kernels_hello() {
    let mut agent = AgentEnd::new();
    let mut buf = [0; 256];
    let early = agent.encode(&ToKernel::Drain, &mut buf).unwrap_err();
    assert_eq!(
        early,
        EncodeError::Fault(Fault {
            why: RefusedReason::HelloFirst,
            at: 0
        })
    );
    let hello = agent
        .encode(&ToKernel::Hello { agent_version: "1" }, &mut buf)
        .unwrap();
    assert!(agent.accepted(hello));
    assert!(agent.encode(&ToKernel::Drain, &mut buf).is_err());
    let answer = ToAgent::Hello {
        module_version: "1",
        generation: 6,
        net_ns: 1,
    };
    agent.handle(&answer.to_vec(1).unwrap()).unwrap();
    assert_eq!((agent.generation(), agent.applied()), (6, 6));
    assert!(agent.encode(&config(6), &mut buf).is_err(), "rolls back");
    assert!(agent.encode(&config(7), &mut buf).is_ok());
}

#[test]
fn a_pending_record_counts_once() {
    let mut agent = AgentEnd::new();
    let mut buf = [0; 256];
    let hello = ToKernel::Hello { agent_version: "1" };
    let (one, two) = (
        agent.encode(&hello, &mut buf).unwrap(),
        agent.encode(&hello, &mut buf).unwrap(),
    );
    assert!(agent.accepted(one));
    assert!(!agent.accepted(two));
}

#[test]
fn the_agent_hears_applied_generations_grow() {
    let mut agent = AgentEnd::new();
    let hello = ToAgent::Hello {
        module_version: "1",
        generation: 6,
        net_ns: 1,
    };
    agent.handle(&hello.to_vec(1).unwrap()).unwrap();
    let applied = |generation| {
        ToAgent::Applied {
            generation,
            flows_cut: 0,
        }
        .to_vec(2)
        .unwrap()
    };
    assert_eq!(why(agent.handle(&applied(6))), RefusedReason::OldGeneration);
    assert!(agent.handle(&applied(7)).is_ok());
    assert_eq!(agent.applied(), 7);
}

#[test]
fn a_record_of_the_other_direction_is_of_unknown_kind() {
    let to_agent = ToAgent::Lost { count: 1 }.to_vec(1).unwrap();
    assert_eq!(why(KernelEnd::new(0).parse(&to_agent)), RefusedReason::Kind);
    let to_kernel = at(1, ToKernel::Hello { agent_version: "1" });
    assert_eq!(why(AgentEnd::new().handle(&to_kernel)), RefusedReason::Kind);
}
