//! Selectors and lists of them, rule by rule.

use tidelock_attest::*;

const HASH: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";

fn refused(text: &str) -> SelectorError {
    Selector::parse(text).expect_err(text)
}

#[test]
fn every_kind_has_a_text() {
    let hash = format!("unix:sha256:{}", HASH.to_lowercase());
    for text in [
        "unix:uid:0",
        "unix:gid:4294967294",
        "unix:path:/a",
        "unix:script:/a b/ü",
        &hash,
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Selector::parse("unix:uid:1000"), Ok(Selector::Uid(1000)));
    assert_eq!(
        Selector::parse("unix:path:/a:b"),
        Ok(Selector::Path("/a:b"))
    );
}

#[test]
fn a_digest_is_read_in_either_case() {
    let upper = format!("unix:sha256:{}", HASH.to_uppercase());
    assert_eq!(
        Selector::parse(&upper).unwrap().to_string(),
        upper.to_lowercase().replace("UNIX", "unix")
    );
}

#[test]
fn an_unknown_selector_names_the_known_ones() {
    for text in [
        "",
        "uid:1",
        "Unix:uid:1",
        " unix:uid:1",
        "k8s:ns:a",
        "unix",
        "systemd",
    ] {
        assert_eq!(refused(text), SelectorError::UnknownType, "{text}");
    }
    for text in [
        "unix:",
        "unix:user:www",
        "unix:uid",
        "unix:UID:1",
        "unix:uidd:1",
    ] {
        assert_eq!(
            refused(text),
            SelectorError::UnknownKind { at: 5 },
            "{text}"
        );
    }
    assert_eq!(
        refused("unix:user:www").to_string(),
        "unknown selector: expected one of `unix:uid:` `unix:gid:` `unix:path:` `unix:sha256:` \
         `unix:script:` `unix:supplementary_gid:` `systemd:unit:` `container:id:` (at byte 5)"
    );
}

#[test]
fn a_selector_has_a_value() {
    assert_eq!(refused("unix:uid:"), SelectorError::NoValue { at: 9 });
    assert_eq!(refused("unix:script:"), SelectorError::NoValue { at: 12 });
}

#[test]
fn a_number_is_decimal_and_somebodys() {
    for (text, at) in [
        ("-1", 9),
        ("+1", 9),
        ("1 ", 10),
        ("0x1", 10),
        ("root", 9),
        ("01", 9),
        ("00", 9),
        ("１", 9),
    ] {
        assert_eq!(
            refused(&format!("unix:uid:{text}")),
            SelectorError::BadNumber { at },
            "{text}"
        );
    }
    for text in ["4294967295", "4294967296", "99999999999999999999999999"] {
        assert_eq!(
            refused(&format!("unix:gid:{text}")),
            SelectorError::NumberTooLarge { at: 9 }
        );
    }
}

#[test]
fn a_digest_has_64_hexadecimal_digits() {
    for len in [1, 2, 63, 65, 128] {
        let text = format!("unix:sha256:{}", "a".repeat(len));
        assert_eq!(refused(&text), SelectorError::DigestLength { len, at: 12 });
    }
    let text = format!("unix:sha256:{}g", &HASH[..63]);
    assert_eq!(refused(&text), SelectorError::BadDigest { at: 75 });
    assert!(Selector::parse(&format!("unix:sha256:+{}", &HASH[..63])).is_err());
}

#[test]
fn a_path_is_one_that_the_kernel_could_report() {
    let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
    for (path, error, at) in [
        ("a", PathError::NotAbsolute, 10),
        ("./a", PathError::NotAbsolute, 10),
        ("/", PathError::Segment { at: 1 }, 11),
        ("//a", PathError::Segment { at: 1 }, 11),
        ("/a/", PathError::Segment { at: 3 }, 13),
        ("/a//b", PathError::Segment { at: 3 }, 13),
        ("/a/./b", PathError::Segment { at: 3 }, 13),
        ("/a/..", PathError::Segment { at: 3 }, 13),
        ("/a\0", PathError::Control { at: 2 }, 12),
        ("/a\n", PathError::Control { at: 2 }, 12),
        (&long, PathError::TooLong { len: 1025 }, 10 + 1024),
    ] {
        let refused = refused(&format!("unix:path:{path}"));
        assert_eq!(refused, SelectorError::BadPath { error, at: 10 }, "{path}");
        assert_eq!(refused.at(), at, "{path}");
    }
    for path in ["/a", "/.a", "/...", "/a b", "/ä", &long[..MAX_PATH_BYTES]] {
        assert!(
            Selector::parse(&format!("unix:path:{path}")).is_ok(),
            "{path}"
        );
    }
}

#[test]
fn a_list_names_an_executable_and_what_the_kernel_can_tell_it_by() {
    let hash = format!("unix:sha256:{HASH}");
    let length = |list: Selectors| list.branches().map(|branch| branch.len()).sum::<usize>();
    let parse = |texts: &[&str]| Selectors::parse(texts).map(length);
    let no_executable = SelectorsError::NoExecutable { index: None };
    assert_eq!(parse(&[]), Err(SelectorsError::Empty));
    assert_eq!(parse(&["unix:uid:1"]), Err(no_executable));
    assert_eq!(parse(&["unix:script:/a", "unix:gid:1"]), Err(no_executable));
    let governs_all = SelectorsError::GovernsAll { index: None };
    assert_eq!(parse(&[&hash]), Err(governs_all));
    assert_eq!(parse(&[&hash, "unix:gid:1"]), Err(governs_all));
    assert_eq!(parse(&["unix:path:/a"]), Ok(1));
    assert_eq!(parse(&[&hash, "unix:uid:1"]), Ok(2));
    assert_eq!(
        parse(&[
            &hash,
            "unix:path:/a",
            "unix:uid:1",
            "unix:gid:1",
            "unix:script:/b"
        ]),
        Ok(5)
    );
}

#[test]
fn a_list_has_one_selector_of_a_kind() {
    let twice = Selectors::parse(["unix:path:/a", "unix:uid:1", "unix:path:/a"]).unwrap_err();
    assert_eq!(
        twice,
        SelectorsError::Repeated {
            index: 2,
            kind: SelectorKind::Path
        }
    );
    assert_eq!(
        (twice.index(), twice.to_string().as_str()),
        (Some(2), "`unix:path:` is given twice")
    );
}

#[test]
fn a_list_names_the_selector_at_fault() {
    let error = SelectorError::BadNumber { at: 9 };
    let refused = Selectors::parse(["unix:path:/a", "unix:uid:x"]).unwrap_err();
    assert_eq!(refused, SelectorsError::Selector { index: 1, error });
}

fn evidence() -> Evidence<'static> {
    Evidence {
        pid: 1,
        uid: 1000,
        gid: 100,
        exe: b"/usr/bin/python3.11",
        sha256: Some(Sha256([7; 32])),
        script: Some(Script {
            path: b"/srv/app.py",
            source: ScriptSource::Argument,
        }),
        cwd: b"/",
        argv: b"python3\0/srv/app.py\0",
        host_paths: true,
        unhashable: false,
        surroundings: Some(Surroundings {
            groups: &[4, 998],
            unit: Some("app.service"),
            container: Some(ContainerId([5; 32])),
        }),
    }
}

fn why(selector: Selector<'static>, evidence: Evidence<'static>) -> Option<Why<'static>> {
    appraise([selector], &evidence)
        .first_mismatch()
        .map(|mismatch| mismatch.why)
}

#[test]
fn no_selectors_match_nobody() {
    let evidence = evidence();
    let appraisal = appraise([] as [Selector<'_>; 0], &evidence);
    assert!(!appraisal.matched());
    assert_eq!(
        appraisal.first_mismatch().unwrap().to_string(),
        "there are no selectors"
    );
}

#[test]
fn each_selector_looks_at_its_own_field() {
    let fits = evidence();
    let hash = Selector::Sha256(Sha256([7; 32]));
    let (path, script) = (
        Selector::Path("/usr/bin/python3.11"),
        Selector::Script("/srv/app.py"),
    );
    for selector in [Selector::Uid(1000), Selector::Gid(100), path, script, hash] {
        assert_eq!(why(selector, fits), None, "{selector}");
    }
    assert_eq!(
        why(Selector::Uid(1000), Evidence { uid: 0, ..fits }),
        Some(Why::Uid(0))
    );
    assert_eq!(
        why(Selector::Gid(100), Evidence { gid: 1000, ..fits }),
        Some(Why::Gid(1000))
    );
    let other = Sha256([8; 32]);
    assert_eq!(
        why(
            hash,
            Evidence {
                sha256: Some(other),
                ..fits
            }
        ),
        Some(Why::Sha256(other))
    );
    assert_eq!(
        why(
            hash,
            Evidence {
                sha256: None,
                ..fits
            }
        ),
        Some(Why::NoDigest)
    );
    assert_eq!(
        why(
            script,
            Evidence {
                script: None,
                ..fits
            }
        ),
        Some(Why::NoScript)
    );
}

#[test]
fn a_path_matches_whole_and_byte_for_byte() {
    for exe in [
        "",
        "/usr/bin/python3",
        "/usr/bin/python3.11 (deleted)",
        "/usr/bin/python3.111",
        "/usr/bin/Python3.11",
        "/mnt/usr/bin/python3.11",
        "/usr/bin/python3.11/",
    ] {
        let exe = exe.as_bytes();
        let found = why(
            Selector::Path("/usr/bin/python3.11"),
            Evidence { exe, ..evidence() },
        );
        assert_eq!(found, Some(Why::Path(exe)));
    }
}

#[test]
fn a_path_or_script_counts_only_where_paths_are_the_hosts() {
    let foreign = Evidence {
        host_paths: false,
        ..evidence()
    };
    assert_eq!(
        why(Selector::Path("/usr/bin/python3.11"), foreign),
        Some(Why::ForeignPaths)
    );
    assert_eq!(
        why(Selector::Script("/srv/app.py"), foreign),
        Some(Why::ForeignPaths)
    );
    assert_eq!(why(Selector::Uid(1000), foreign), None);
    assert_eq!(why(Selector::Sha256(Sha256([7; 32])), foreign), None);
}

#[test]
fn what_can_change_unseen_matches_no_digest() {
    let memfd = Evidence {
        unhashable: true,
        ..evidence()
    };
    assert_eq!(
        why(Selector::Sha256(Sha256([7; 32])), memfd),
        Some(Why::Unhashable)
    );
    assert_eq!(why(Selector::Uid(1000), memfd), None);
}

#[test]
fn the_first_mismatch_is_named() {
    let list =
        Selectors::parse(["unix:path:/usr/bin/python3.11", "unix:uid:0", "unix:gid:0"]).unwrap();
    let evidence = evidence();
    let appraisal = list.matches(&evidence);
    assert_eq!(
        appraisal.first_mismatch().unwrap().literal,
        Some(Selector::Uid(0).into())
    );
}

#[test]
fn lists_are_text_in_documents() {
    let text = r#"["unix:path:/usr/bin/curl","unix:uid:1000"]"#;
    let list: Selectors = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&list).unwrap(), text);
    let branch = list.branches().next().unwrap();
    assert_eq!(
        (branch.path(), branch.uid(), list.needs(Need::Digest)),
        (Some("/usr/bin/curl"), Some(1000), false)
    );
    assert_eq!(list.to_string(), "unix:path:/usr/bin/curl, unix:uid:1000");
    let bad = serde_json::from_str::<Selectors>(r#"["unix:path:curl"]"#)
        .unwrap_err()
        .to_string();
    assert!(
        bad.starts_with("`unix:path:curl`: the path does not begin with `/` (at byte 10)"),
        "{bad}"
    );
}
