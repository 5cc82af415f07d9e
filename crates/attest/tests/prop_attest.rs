//! Selectors print what they parse, and nothing panics or matches by accident.

use proptest::prelude::*;
use tidelock_attest::*;

fn path() -> impl Strategy<Value = String> {
    "(/[a-zA-Z0-9 :,._-]{0,6}[a-z]){1,4}"
}

fn selector() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..u32::MAX).prop_map(|id| format!("unix:uid:{id}")),
        (0..u32::MAX).prop_map(|id| format!("unix:gid:{id}")),
        path().prop_map(|path| format!("unix:path:{path}")),
        "[0-9a-f]{64}".prop_map(|digest| format!("unix:sha256:{digest}")),
        path().prop_map(|path| format!("unix:script:{path}")),
        (0..u32::MAX).prop_map(|id| format!("unix:supplementary_gid:{id}")),
        "[a-zA-Z0-9:_.@-]{1,9}[.](service|scope|swap)"
            .prop_map(|unit| format!("systemd:unit:{unit}")),
        "[0-9a-f]{64}".prop_map(|id| format!("container:id:{id}")),
    ]
}

/// A process, as text and numbers.
#[derive(Clone, Debug)]
struct Process {
    uid: u32,
    gid: u32,
    exe: String,
    digest: [u8; 32],
    script: String,
}

fn process() -> impl Strategy<Value = Process> {
    (0..u32::MAX, 0..u32::MAX, path(), any::<[u8; 32]>(), path()).prop_map(
        |(uid, gid, exe, digest, script)| Process {
            uid,
            gid,
            exe,
            digest,
            script,
        },
    )
}

impl Process {
    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            pid: 1,
            uid: self.uid,
            gid: self.gid,
            exe: self.exe.as_bytes(),
            sha256: Some(Sha256(self.digest)),
            script: Some(Script {
                path: self.script.as_bytes(),
                source: ScriptSource::Shebang,
            }),
            cwd: b"/",
            argv: b"",
            host_paths: true,
            unhashable: false,
            surroundings: None,
        }
    }

    fn selectors(&self) -> Selectors {
        let [path, script] = [Selector::Path(&self.exe), Selector::Script(&self.script)];
        let digest = Selector::Sha256(Sha256(self.digest));
        let all = [
            Selector::Uid(self.uid),
            Selector::Gid(self.gid),
            path,
            digest,
            script,
        ];
        Selectors::parse(all.map(|selector| selector.to_string())).unwrap()
    }
}

/// Turns one fact of the evidence into another; which, by number.
fn change(mut evidence: Evidence<'_>, fact: usize) -> Evidence<'_> {
    match fact {
        0 => evidence.uid ^= 1,
        1 => evidence.gid ^= 1 << 31,
        2 => evidence.exe = &evidence.exe[..evidence.exe.len() - 1],
        3 => {
            evidence.sha256 = evidence
                .sha256
                .map(|Sha256(d)| Sha256(d.map(|byte| byte ^ 1)))
        }
        4 => evidence.script = None,
        5 => evidence.host_paths = false,
        6 => evidence.unhashable = true,
        _ => evidence.sha256 = None,
    }
    evidence
}

proptest! {
    #[test]
    fn a_selector_prints_what_it_parsed(text in selector()) {
        let selector = Selector::parse(&text).unwrap();
        prop_assert_eq!(selector.to_string(), &text[..]);
        let owned: SelectorBuf = text.parse().unwrap();
        prop_assert_eq!(owned.as_selector(), selector);
    }

    #[test]
    fn text_is_a_selector_or_refused_with_a_position(text in prop_oneof![
        "\\PC{0,20}",
        "(unix|systemd|container):(uid|gid|path|sha256|script|unit|id|x)?:?[\\PC\\x00]{0,12}",
        (selector(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(text, at, c)| {
            let mut chars: Vec<char> = text.chars().collect();
            *at.get_mut(&mut chars) = c;
            String::from_iter(chars)
        }),
    ]) {
        match Selector::parse(&text) {
            Ok(selector) => prop_assert!(selector.to_string().eq_ignore_ascii_case(&text)),
            Err(error) => prop_assert!(error.at() <= text.len() && !error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_process_fits_its_own_selectors_and_no_changed_one(process in process(), fact in 0_usize..8) {
        let selectors = process.selectors();
        prop_assert!(selectors.matches(&process.evidence()).matched());
        let changed = change(process.evidence(), fact);
        let appraisal = selectors.matches(&changed);
        prop_assert!(!appraisal.matched());
        prop_assert!(appraisal.first_mismatch().unwrap().to_string().starts_with("`unix:"));
    }

    #[test]
    fn a_list_matches_if_each_of_its_selectors_does(one in process(), other in process()) {
        let (selectors, evidence) = (one.selectors(), other.evidence());
        let mut list = selectors.as_list().unwrap().into_iter();
        let each = list.all(|selector| appraise([selector], &evidence).matched());
        prop_assert_eq!(selectors.matches(&evidence).matched(), each);
    }

    #[test]
    fn a_script_is_an_absolute_plain_path_from_the_arguments(
        exe in prop_oneof![Just("python3"), Just("bash"), Just("dash"), Just("perl"), Just("node"), Just("ruby")],
        args in proptest::collection::vec("(-{0,2}[a-zA-Z/.=+]{0,6}|/srv/app|\\PC{0,5})", 0..6),
        cwd in path(),
        argv_cut: bool,
    ) {
        let argv = format!("x\0{}", args.iter().map(|arg| format!("{arg}\0")).collect::<String>());
        let mut buf = [0; MAX_PATH_BYTES];
        let (exe, argv) = (exe.as_bytes(), argv.as_bytes());
        let invocation = Invocation { exe, argv, argv_cut, cwd: cwd.as_bytes(), shebang: None };
        if let Some(script) = script_of(&invocation, &mut buf) {
            let text = String::from_utf8(script.path.to_vec()).unwrap();
            prop_assert!(text.starts_with('/') && !text.ends_with('/'));
            prop_assert!(text[1..].split('/').all(|name| !matches!(name, "" | "." | "..")));
            let tail = text.rsplit('/').next().unwrap();
            let named = args.iter().any(|arg| arg.split('/').any(|name| name == tail));
            prop_assert!(named || text == cwd, "{}", text);
        }
    }

    #[test]
    fn garbage_names_no_script_or_a_plain_one(
        exe in prop_oneof![Just(&b"/bin/sh"[..]), Just(&b"python3"[..])],
        argv in proptest::collection::vec(prop_oneof![Just(0), Just(b'-'), any::<u8>()], 0..40),
        cwd in proptest::collection::vec(any::<u8>(), 0..9),
        room in 0_usize..40,
    ) {
        let mut buf = vec![0; room];
        let invocation = Invocation { exe, argv: &argv, argv_cut: false, cwd: &cwd, shebang: None };
        if let Some(script) = script_of(&invocation, &mut buf) {
            prop_assert!(script.path.starts_with(b"/") && script.path.len() > 1);
        }
    }
}
