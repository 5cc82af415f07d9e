use super::*;

const PHASES: [Phase; 3] = [Phase::Pending, Phase::Established, Phase::Listener];
const BOTH: [Access; 2] = [Access::Get, Access::Set];

fn refused(level: i32, name: i32) -> [i32; 6] {
    let mut answers = [0; 6];
    let cases = PHASES
        .iter()
        .flat_map(|&p| BOTH.iter().map(move |&a| (p, a)));
    for (answer, (phase, access)) in answers.iter_mut().zip(cases) {
        *answer = verdict(phase, access, level, name);
    }
    answers
}

#[test]
fn nothing_at_the_tls_level_is_open() {
    for name in 0..64 {
        assert_eq!(refused(282, name), [EPERM; 6]);
    }
}

#[test]
fn what_reaches_past_tls_is_refused_in_every_phase() {
    for name in [19, 20, 21, 22, 29, 31, 35, 42] {
        assert_eq!(refused(6, name), [EPERM; 6], "tcp option {name}");
    }
    assert_eq!(refused(41, 1), [EPERM; 6], "IPV6_ADDRFORM");
}

#[test]
fn fast_open_is_unsupported() {
    for name in [23, 30, 33, 34] {
        assert_eq!(refused(6, name), [EOPNOTSUPP; 6], "tcp option {name}");
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    for (level, name) in [
        (1, 26),
        (1, 50),
        (1, 44),
        (1, 60),
        (1, 61),
        (1, 37),
        (1, 65),
        (1, 42),
        (6, 14),
        (6, 36),
    ] {
        assert_eq!(refused(level, name), [EOPNOTSUPP; 6], "{level} {name}");
    }
    for level in [17, 58, 132, 255, 270, 284, 286, -1, i32::MAX, i32::MIN] {
        assert_eq!(refused(level, 1), [EOPNOTSUPP; 6], "level {level}");
    }
    for name in [-1, 0, 1000, i32::MAX, i32::MIN] {
        assert_eq!(refused(6, name), [EOPNOTSUPP; 6], "tcp option {name}");
    }
}

#[test]
fn what_ordinary_programs_set_after_a_nonblocking_connect_is_open() {
    for (level, name) in [
        (1, 2),
        (1, 7),
        (1, 8),
        (1, 9),
        (1, 13),
        (6, 1),
        (6, 4),
        (6, 5),
        (6, 6),
        (6, 18),
    ] {
        assert_eq!(refused(level, name), [0; 6], "{level} {name}");
    }
}

#[test]
fn what_would_stall_a_handshake_waits_for_its_end() {
    for (level, name) in [(1, 18), (6, 3)] {
        assert_eq!(
            verdict(Phase::Pending, Access::Set, level, name),
            EOPNOTSUPP
        );
        assert_eq!(verdict(Phase::Established, Access::Set, level, name), 0);
    }
}

#[test]
fn facts_can_be_read_and_not_written() {
    for (level, name) in [(1, 3), (1, 4), (6, 11), (0, 14), (41, 24)] {
        for phase in PHASES {
            assert_eq!(verdict(phase, Access::Get, level, name), 0);
            assert_eq!(verdict(phase, Access::Set, level, name), EOPNOTSUPP);
        }
    }
}

#[test]
fn an_unknown_phase_has_no_options() {
    assert_eq!(tl_rs_sockopt(3, 0, 1, 4), EOPNOTSUPP);
    assert_eq!(tl_rs_sockopt(1, 0, 1, 4), 0);
}

#[test]
fn no_option_is_listed_twice_nor_also_a_bypass() {
    for (at, rule) in TABLE.iter().enumerate() {
        let same = |other: &&Rule| (other.level, other.name) == (rule.level, rule.name);
        assert_eq!(
            TABLE.iter().position(|other| same(&other)),
            Some(at),
            "{rule:?}"
        );
        assert!(
            !BYPASSES.contains(&(rule.level, Some(rule.name))),
            "{rule:?}"
        );
    }
}
