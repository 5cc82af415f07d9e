//! Expressions mean what they say: a second evaluator, that walks what was written, agrees.

use proptest::prelude::*;
use tidelock_attest::*;

fn selector() -> impl Strategy<Value = Expression> {
    let digest = |of: u8| format!("unix:sha256:{}", format!("{of:02x}").repeat(32));
    let id = |of: u8| format!("container:id:{}", format!("{of:02x}").repeat(32));
    prop_oneof![
        (0_u32..3).prop_map(|id| format!("unix:uid:{id}")),
        (0_u32..3).prop_map(|id| format!("unix:gid:{id}")),
        (0_u32..3).prop_map(|name| format!("unix:path:/{name}")),
        (0_u8..3).prop_map(digest),
        (0_u32..3).prop_map(|name| format!("unix:script:/s{name}")),
        (0_u32..3).prop_map(|id| format!("unix:supplementary_gid:{id}")),
        (0_u32..3).prop_map(|name| format!("systemd:unit:{name}.service")),
        (0_u8..3).prop_map(id),
    ]
    .prop_map(|text| Expression::Selector(text.parse().unwrap()))
}

fn expression() -> impl Strategy<Value = Expression> {
    selector().prop_recursive(5, 24, 4, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            items.clone().prop_map(Expression::AllOf),
            items.prop_map(Expression::AnyOf),
            inner.prop_map(Expression::negate),
        ]
    })
}

/// Such a list begins with what nearly always makes it acceptable.
fn list() -> impl Strategy<Value = Vec<Expression>> {
    let path = (0_u32..3).prop_map(|name| format!("unix:path:/{name}").parse::<SelectorBuf>());
    let path = path.prop_map(|path| Expression::Selector(path.unwrap()));
    let rest = prop::collection::vec(expression(), 0..4);
    (prop::option::weighted(0.9, path), rest)
        .prop_map(|(path, rest)| path.into_iter().chain(rest).collect())
}

const EXES: [&[u8]; 4] = [b"/0", b"/1", b"/2", b""];
const UNITS: [&str; 3] = ["0.service", "1.service", "2.service"];
const SCRIPTS: [&[u8]; 3] = [b"/s0", b"/s1", b"/s2"];
const GROUPS: [&[u32]; 4] = [&[], &[0], &[1, 2], &[0, 1, 2]];

fn evidence() -> impl Strategy<Value = Evidence<'static>> {
    let around = (
        0_usize..GROUPS.len(),
        prop::option::of(0_usize..3),
        prop::option::of(0_u8..3),
    );
    let around = around.prop_map(|(groups, unit, container)| Surroundings {
        groups: GROUPS[groups],
        unit: unit.map(|unit| UNITS[unit]),
        container: container.map(|id| ContainerId([id; 32])),
    });
    (
        (0_u32..3, 0_u32..3, 0_usize..EXES.len()),
        prop::option::of(0_u8..3),
        prop::option::of(0_usize..3),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.8, around),
    )
        .prop_map(
            |((uid, gid, exe), digest, script, host_paths, unhashable, surroundings)| Evidence {
                pid: 1,
                uid,
                gid,
                exe: EXES[exe],
                sha256: digest.map(|digest| Sha256([digest; 32])),
                script: script.map(|script| Script {
                    path: SCRIPTS[script],
                    source: ScriptSource::Shebang,
                }),
                cwd: b"/",
                argv: b"",
                host_paths,
                unhashable,
                surroundings,
            },
        )
}

/// Kleene's logic: `None` is unknown.
fn naive(expression: &Expression, evidence: &Evidence<'_>) -> Option<bool> {
    let all = |items: &mut dyn Iterator<Item = Option<bool>>| {
        let mut all = Some(true);
        for one in items {
            all = match (all, one) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        all
    };
    match expression {
        Expression::Not(of) => naive(of, evidence).map(|of| !of),
        Expression::AllOf(items) => all(&mut items.iter().map(|item| naive(item, evidence))),
        Expression::AnyOf(items) => {
            let nots = &mut items.iter().map(|item| naive(item, evidence).map(|of| !of));
            all(nots).map(|none| !none)
        }
        Expression::Selector(selector) => {
            let hosts = evidence.host_paths.then_some(());
            let around = evidence.surroundings;
            match selector.as_selector() {
                Selector::Uid(uid) => Some(uid == evidence.uid),
                Selector::Gid(gid) => Some(gid == evidence.gid),
                Selector::Path(path) => {
                    hosts.filter(|()| !evidence.exe.is_empty())?;
                    Some(path.as_bytes() == evidence.exe)
                }
                Selector::Script(path) => Some(path.as_bytes() == hosts.and(evidence.script)?.path),
                Selector::Sha256(digest) => {
                    let own = evidence.sha256.filter(|_| !evidence.unhashable)?;
                    Some(digest == own)
                }
                Selector::SupplementaryGid(gid) => Some(around?.groups.contains(&gid)),
                Selector::Unit(unit) => Some(around?.unit == Some(unit)),
                Selector::Container(id) => Some(around?.container == Some(id)),
            }
        }
    }
}

fn nodes(items: &[Expression]) -> usize {
    let of = |item: &Expression| match item {
        Expression::Selector(_) => 0,
        Expression::Not(of) => nodes(std::slice::from_ref(&**of)),
        Expression::AllOf(items) | Expression::AnyOf(items) => nodes(items),
    };
    items.iter().map(|item| 1 + of(item)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_accepted_matches_as_it_is_written(list in list(), evidence in evidence()) {
        match Selectors::new(list.clone()) {
            Ok(selectors) => {
                let expected = naive(&Expression::AllOf(list), &evidence) == Some(true);
                let appraisal = selectors.matches(&evidence);
                prop_assert_eq!(appraisal.matched(), expected, "{}", selectors);
                prop_assert_eq!(appraisal.first_mismatch().is_none(), expected);
            }
            Err(error) => {
                prop_assert!(error.index().is_none_or(|index| index < nodes(&list)));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn every_way_names_an_executable_and_is_fit_by_somebody(list in list()) {
        let Ok(selectors) = Selectors::new(list) else { return Ok(()) };
        prop_assert!((1..=MAX_BRANCHES).contains(&selectors.branches().len()));
        for branch in selectors.branches() {
            let positive = |kind| {
                branch.literals().any(|one| !one.negated && one.selector.kind() == kind)
            };
            prop_assert!(positive(SelectorKind::Path) || positive(SelectorKind::Sha256));
            prop_assert!(positive(SelectorKind::Path) || positive(SelectorKind::Uid));
            let literals: Vec<_> = branch.literals().collect();
            prop_assert_eq!(literals.len(), branch.len());
            for one in &literals {
                let opposite = Literal { negated: !one.negated, ..*one };
                prop_assert!(!literals.contains(&opposite));
            }
        }
    }

    #[test]
    fn an_expression_is_read_back_as_it_was_written(list in list()) {
        let json = serde_json::to_string(&list).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Expression>>(&json).unwrap(), list);
    }

    #[test]
    fn any_list_of_cgroups_is_read_or_refused(file in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "([0-9]:(name=systemd|pids)?:/[a-z./-]{0,9}(slice|scope|service)?\n?){0,4}".prop_map(String::into_bytes),
    ]) {
        if let Ok(cgroup) = Cgroup::parse(&file) {
            if let Some(unit) = cgroup.unit() {
                let text = format!("systemd:unit:{unit}");
                prop_assert_eq!(Selector::parse(&text), Ok(Selector::Unit(unit)));
            }
            let _ = cgroup.container();
        }
    }

    #[test]
    fn any_status_is_read_or_refused(file in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "((Uid|Gid|Groups|Name):[\t 0-9a-z()-]{0,12}\n){0,5}".prop_map(String::into_bytes),
    ]) {
        if let Ok(status) = Status::parse(&file) {
            prop_assert!(status.groups().count() <= file.len());
        }
        let _ = start_ticks(&file);
    }
}
