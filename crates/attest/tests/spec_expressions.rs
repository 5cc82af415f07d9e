//! Selectors under AND, OR and NOT: what is refused, where, and what matches.

use tidelock_attest::*;

const HASH: &str = "unix:sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parse(json: &str) -> Result<Selectors, SelectorsError> {
    Selectors::new(serde_json::from_str::<Vec<Expression>>(json).expect(json))
}

fn refused(json: &str) -> SelectorsError {
    parse(json).expect_err(json)
}

fn ways(json: &str) -> Vec<String> {
    let selectors = parse(json).expect(json);
    let way = |branch: Branch<'_>| {
        let literals: Vec<_> = branch.literals().map(|one| one.to_string()).collect();
        literals.join(" & ")
    };
    selectors.branches().map(way).collect()
}

#[test]
fn a_list_is_one_way_to_fit() {
    assert_eq!(
        ways(r#"["unix:path:/a", "unix:uid:1"]"#),
        ["unix:path:/a & unix:uid:1"]
    );
}

#[test]
fn operators_are_written_out_as_ways() {
    assert_eq!(
        ways(r#"["unix:path:/a", {"anyOf": ["unix:uid:1", "unix:uid:2"]}]"#),
        ["unix:path:/a & unix:uid:1", "unix:path:/a & unix:uid:2"]
    );
    assert_eq!(
        ways(
            r#"[{"anyOf": ["unix:path:/a", {"allOf": ["unix:path:/b", "unix:uid:1"]}]}, {"not": "unix:gid:0"}]"#
        ),
        [
            "unix:path:/a & not unix:gid:0",
            "unix:path:/b & unix:uid:1 & not unix:gid:0"
        ]
    );
    // De Morgan, both ways.
    assert_eq!(
        ways(r#"["unix:path:/a", {"not": {"anyOf": ["unix:uid:1", "unix:uid:2"]}}]"#),
        ["unix:path:/a & not unix:uid:1 & not unix:uid:2"]
    );
    assert_eq!(
        ways(r#"["unix:path:/a", {"not": {"allOf": ["unix:uid:1", {"not": "unix:gid:2"}]}}]"#),
        ["unix:path:/a & not unix:uid:1", "unix:path:/a & unix:gid:2"]
    );
}

#[test]
fn a_way_that_nothing_fits_is_left_out_if_its_parts_count_elsewhere() {
    assert_eq!(
        ways(
            r#"["unix:path:/a", {"anyOf": ["unix:uid:1", "unix:uid:2"]}, {"anyOf": ["unix:uid:2", "unix:gid:1"]}]"#
        ),
        [
            "unix:path:/a & unix:uid:1 & unix:gid:1",
            "unix:path:/a & unix:uid:2",
            "unix:path:/a & unix:uid:2 & unix:gid:1"
        ]
    );
}

#[test]
fn contradictions_are_refused_where_they_stand() {
    for (json, index, other) in [
        (
            r#"["unix:path:/a", "unix:uid:1", {"not": "unix:uid:1"}]"#,
            3,
            1,
        ),
        (
            r#"["unix:path:/a", {"allOf": ["unix:uid:1"]}, "unix:uid:2"]"#,
            3,
            2,
        ),
        (
            r#"["unix:path:/a", {"anyOf": ["unix:path:/b", "unix:uid:1"]}]"#,
            2,
            0,
        ),
        (
            r#"["unix:path:/a", {"not": "unix:path:/a"}, "unix:uid:1"]"#,
            2,
            0,
        ),
    ] {
        let expected = SelectorsError::Contradiction { index, other };
        assert_eq!(refused(json), expected, "{json}");
    }
    // One may be in two groups.
    let groups = r#"["unix:path:/a", "unix:supplementary_gid:1", "unix:supplementary_gid:2"]"#;
    assert!(parse(groups).is_ok());
}

#[test]
fn a_list_within_has_one_selector_of_a_kind_too() {
    let json = r#"[{"anyOf": [{"allOf": ["unix:path:/a", "unix:path:/b"]}]}]"#;
    let kind = SelectorKind::Path;
    assert_eq!(refused(json), SelectorsError::Repeated { index: 3, kind });
    let json = r#"["unix:path:/a", "unix:supplementary_gid:1", "unix:supplementary_gid:1"]"#;
    let kind = SelectorKind::SupplementaryGid;
    assert_eq!(refused(json), SelectorsError::Repeated { index: 2, kind });
}

#[test]
fn nothing_to_choose_from_is_refused() {
    assert_eq!(refused("[]"), SelectorsError::Empty);
    for json in [
        r#"["unix:path:/a", {"anyOf": []}]"#,
        r#"["unix:path:/a", {"allOf": []}]"#,
    ] {
        assert_eq!(refused(json), SelectorsError::EmptyGroup { index: 1 });
    }
}

#[test]
fn every_way_says_what_the_process_is_and_names_an_executable() {
    let only_not = |index| SelectorsError::OnlyNot { index };
    let no_executable = |index| SelectorsError::NoExecutable { index };
    let governs_all = |index| SelectorsError::GovernsAll { index };
    let hash_or_path = format!(r#"[{{"anyOf": ["unix:path:/a", "{HASH}"]}}]"#);
    for (json, expected) in [
        (r#"[{"not": "unix:uid:0"}]"#, only_not(None)),
        (
            r#"[{"not": "unix:path:/a"}, {"not": "unix:path:/b"}]"#,
            only_not(None),
        ),
        (
            r#"[{"anyOf": ["unix:path:/a", {"not": "unix:path:/b"}]}]"#,
            only_not(Some(2)),
        ),
        (
            r#"[{"not": {"allOf": ["unix:path:/a", "unix:uid:1"]}}]"#,
            only_not(Some(2)),
        ),
        (
            r#"["unix:uid:1", {"not": "unix:path:/b"}]"#,
            no_executable(None),
        ),
        (
            r#"["unix:uid:1", {"anyOf": ["unix:path:/a", "unix:gid:1"]}]"#,
            no_executable(Some(3)),
        ),
        (
            r#"["systemd:unit:a.service", "unix:uid:1"]"#,
            no_executable(None),
        ),
        (&hash_or_path, governs_all(Some(2))),
    ] {
        assert_eq!(refused(json), expected, "{json}");
    }
}

#[test]
fn depth_selectors_and_ways_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"anyOf":["#.repeat(depth), "]}".repeat(depth));
        format!(r#"["unix:path:/a", {open}"unix:uid:1"{close}]"#)
    };
    assert!(parse(&nested(MAX_EXPRESSION_DEPTH)).is_ok());
    let index = MAX_EXPRESSION_DEPTH + 1;
    let expected = SelectorsError::TooDeep { index };
    assert_eq!(refused(&nested(MAX_EXPRESSION_DEPTH + 1)), expected);

    let uids = |count: usize| {
        let uids: Vec<_> = (0..count)
            .map(|uid| format!(r#""unix:uid:{uid}""#))
            .collect();
        uids.join(",")
    };
    let most = |count| {
        format!(
            r#"["unix:path:/a", {{"not": {{"anyOf": [{}]}}}}]"#,
            uids(count)
        )
    };
    assert!(parse(&most(MAX_SELECTORS - 1)).is_ok());
    assert_eq!(refused(&most(MAX_SELECTORS)), SelectorsError::TooMany);

    let two = |a: usize, b: usize| {
        let gids = uids(b).replace("uid", "gid");
        format!(
            r#"["unix:path:/a", {{"anyOf": [{}]}}, {{"anyOf": [{gids}]}}]"#,
            uids(a)
        )
    };
    assert_eq!(ways(&two(8, 8)).len(), MAX_BRANCHES);
    assert_eq!(refused(&two(13, 5)), SelectorsError::TooManyBranches);
}

fn evidence() -> Evidence<'static> {
    Evidence {
        pid: 1,
        uid: 1000,
        gid: 100,
        exe: b"/usr/bin/app",
        sha256: None,
        script: None,
        cwd: b"/",
        argv: b"",
        host_paths: true,
        unhashable: false,
        surroundings: Some(Surroundings {
            groups: &[4, 998],
            unit: Some("app.service"),
            container: None,
        }),
    }
}

fn fits(json: &str, evidence: &Evidence<'_>) -> bool {
    parse(json).expect(json).matches(evidence).matched()
}

#[test]
fn surroundings_match_where_they_are_known() {
    let known = evidence();
    let unknown = Evidence {
        surroundings: None,
        ..known
    };
    let id = "ab".repeat(32);
    for (selector, expected) in [
        ("unix:supplementary_gid:998", true),
        ("unix:supplementary_gid:100", false),
        ("systemd:unit:app.service", true),
        ("systemd:unit:ap.service", false),
        (&format!("container:id:{id}"), false),
    ] {
        let plain = format!(r#"["unix:path:/usr/bin/app", "{selector}"]"#);
        assert_eq!(fits(&plain, &known), expected, "{selector}");
        assert!(!fits(&plain, &unknown), "{selector}");
        let negated = format!(r#"["unix:path:/usr/bin/app", {{"not": "{selector}"}}]"#);
        assert_eq!(fits(&negated, &known), !expected, "{selector}");
        assert!(!fits(&negated, &unknown), "{selector}");
    }
}

#[test]
fn what_is_not_known_fits_neither_a_selector_nor_its_opposite() {
    let known = Evidence {
        sha256: Some(Sha256([1; 32])),
        script: Some(Script {
            path: b"/s",
            source: ScriptSource::Shebang,
        }),
        ..evidence()
    };
    let digest = format!(r#"["unix:path:/usr/bin/app", {{"not": "{HASH}"}}]"#);
    let script = r#"["unix:path:/usr/bin/app", {"not": "unix:script:/x"}]"#;
    assert!(fits(&digest, &known) && fits(script, &known));
    let unhashable = Evidence {
        unhashable: true,
        ..known
    };
    let not_hashed = Evidence {
        sha256: None,
        ..known
    };
    assert!(!fits(&digest, &unhashable) && !fits(&digest, &not_hashed));
    assert!(!fits(
        script,
        &Evidence {
            script: None,
            ..known
        }
    ));
    let id = "01".repeat(32);
    let foreign = Evidence {
        host_paths: false,
        sha256: Some(Sha256([1; 32])),
        ..known
    };
    let not_path = format!(r#"["unix:sha256:{id}", "unix:uid:1000", {{"not": "unix:path:/x"}}]"#);
    assert!(fits(&not_path, &known) && !fits(&not_path, &foreign));
}

#[test]
fn the_longest_way_that_fits_counts_and_else_the_farthest() {
    let json = r#"[{"anyOf": ["unix:path:/usr/bin/app", {"allOf": ["unix:path:/usr/bin/app", "unix:uid:1000"]}]}]"#;
    let selectors = parse(json).unwrap();
    assert_eq!(selectors.matches(&evidence()).fitting(), 2);
    let json = r#"[{"anyOf": [{"allOf": ["unix:path:/b", "unix:uid:1"]}, {"allOf": ["unix:path:/usr/bin/app", {"not": "unix:uid:1000"}]}]}]"#;
    let selectors = parse(json).unwrap();
    let evidence = evidence();
    assert_eq!(
        selectors
            .matches(&evidence)
            .first_mismatch()
            .unwrap()
            .to_string(),
        "`not unix:uid:1000` does not match: that is what the process is"
    );
}

#[test]
fn expressions_are_lists_and_mappings_in_documents() {
    let json = r#"["unix:path:/a",{"anyOf":["unix:uid:1",{"allOf":["unix:gid:2",{"not":"systemd:unit:a.service"}]}]}]"#;
    let selectors: Selectors = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&selectors).unwrap(), json);
    assert_eq!(
        selectors.to_string(),
        "unix:path:/a, anyOf(unix:uid:1, allOf(unix:gid:2, not(systemd:unit:a.service)))"
    );
    assert_eq!(selectors.as_list(), None);
    for bad in [
        r#"["unix:path:/a", {}]"#,
        r#"["unix:path:/a", {"noneOf": ["unix:uid:1"]}]"#,
        r#"["unix:path:/a", {"anyOf": ["unix:uid:1"], "not": "unix:gid:1"}]"#,
        r#"["unix:path:/a", {"not": ["unix:uid:1"]}]"#,
        r#"["unix:path:/a", {"anyOf": "unix:uid:1"}]"#,
    ] {
        assert!(serde_json::from_str::<Selectors>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_unit_is_one_that_processes_run_in() {
    for name in [
        "a.service",
        "user@1000.service",
        r"dev-sda\x2d1.swap",
        "session-3.scope",
    ] {
        let text = format!("systemd:unit:{name}");
        assert_eq!(Selector::parse(&text), Ok(Selector::Unit(name)));
    }
    let long = format!("{}.service", "a".repeat(MAX_UNIT_BYTES));
    for (name, at) in [
        ("nginx", 13),
        ("user.slice", 13),
        (".service", 13),
        ("a/b.service", 14),
        ("a b.service", 14),
        (&long, 13),
    ] {
        let refused = Selector::parse(&format!("systemd:unit:{name}")).expect_err(name);
        assert_eq!(refused, SelectorError::BadUnit { at });
    }
}
