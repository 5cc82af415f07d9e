//! Which script an interpreter runs: one table per interpreter.

use tidelock_attest::*;

/// What `exe` with these arguments (separated by `|`) in `/srv` runs.
fn run(exe: &str, args: &str) -> Option<String> {
    found(exe, args, None).map(|(path, _)| path)
}

fn found(exe: &str, args: &str, shebang: Option<&str>) -> Option<(String, ScriptSource)> {
    let argv = if args.is_empty() {
        format!("{exe}\0")
    } else {
        format!("{exe}\0{args}\0")
    };
    let argv = argv.replace('|', "\0");
    let exe = format!("/usr/bin/{exe}");
    let mut buf = [0; MAX_PATH_BYTES];
    let invocation = Invocation {
        exe: exe.as_bytes(),
        argv: argv.as_bytes(),
        argv_cut: false,
        cwd: b"/srv",
        shebang: shebang.map(str::as_bytes),
    };
    let script = script_of(&invocation, &mut buf)?;
    Some((
        String::from_utf8(script.path.to_vec()).unwrap(),
        script.source,
    ))
}

fn table(exe: &str, runs: &[&str], not: &[&str]) {
    for args in runs {
        assert_eq!(run(exe, args).as_deref(), Some("/srv/app"), "{exe} {args}");
    }
    for args in not {
        assert_eq!(run(exe, args), None, "{exe} {args}");
    }
}

#[test]
fn python_runs_its_first_operand() {
    let runs = [
        "/srv/app",
        "app",
        "./app",
        "/srv//./app",
        "app|-c|x",
        "app|/srv/other",
        "-u|app",
        "-Bu|app",
        "-I|-S|app",
        "-W|ignore|app",
        "-Wignore|app",
        "-uW|ignore|app",
        "-X|dev|app",
        "-Xdev|app",
        "--|app",
        "-O|--|/srv/app",
        "-OO|app",
    ];
    let not = [
        "",
        "-",
        "-c|print()|/srv/app",
        "-cprint()|app",
        "-uc|print()|app",
        "-m|http.server|app",
        "-mapp",
        "-i|app",
        "-V|app",
        "-h",
        "--version|app",
        "--check-hash-based-pycs|never|app",
        "-X|pycache_prefix=/tmp|app",
        "-Xpycache_prefix=/tmp|app",
        "-X|presite=evil|app",
        "-W|error::evil.Warning|app",
        "-Werror::evil.W|app",
        "-W",
        "-u",
        "--",
        "-é|app",
        "--|-",
        "|app",
        "../srv/app",
        "/srv/x/../app",
        "-u|",
    ];
    table("python3", &runs, &not);
    table("python3.11", &runs, &not);
}

#[test]
fn python_runs_a_folder_with_a_main_module() {
    assert_eq!(run("python3", ".").as_deref(), Some("/srv"));
    assert_eq!(run("python3", "app/").as_deref(), Some("/srv/app"));
}

#[test]
fn bash_runs_its_first_operand_if_it_is_a_path() {
    let runs = [
        "/srv/app",
        "./app",
        "-e|./app",
        "-eux|./app",
        "+e|./app",
        "-o|pipefail|./app",
        "-euo|pipefail|./app",
        "-O|extglob|./app",
        "+O|extglob|./app",
        "--norc|./app",
        "--|./app",
    ];
    let not = [
        "app",
        "",
        "-",
        "-c|./app",
        "-ec|./app",
        "-s|./app",
        "-i|./app",
        "-l|./app",
        "--login|./app",
        "--rcfile|/tmp/x|./app",
        "--init-file|/tmp/x|./app",
        "-o|./evil|./app",
        "-opipefail|./app",
        "+|./app",
        "--posixly|./app",
        "-D|./app",
    ];
    table("bash", &runs, &not);
    table("sh", &runs, &not);
}

#[test]
fn dash_runs_its_first_operand() {
    let runs = [
        "/srv/app",
        "app",
        "-e|app",
        "-eu|./app",
        "+x|app",
        "-o|errexit|app",
        "--|app",
    ];
    let not = [
        "",
        "-",
        "-c|app",
        "-s|app",
        "-i|app",
        "-l|app",
        "-O|x|app",
        "--posix|app",
    ];
    table("dash", &runs, &not);
}

#[test]
fn a_login_shell_runs_profiles_first() {
    let mut buf = [0; 64];
    for (exe, some) in [
        ("/bin/dash", false),
        ("/bin/bash", false),
        ("/usr/bin/perl", true),
    ] {
        let (argv, exe) = (b"-sh\0/srv/app\0", exe.as_bytes());
        let invocation = Invocation {
            exe,
            argv,
            argv_cut: false,
            cwd: b"/",
            shebang: None,
        };
        assert_eq!(script_of(&invocation, &mut buf).is_some(), some);
    }
}

#[test]
fn perl_runs_its_first_operand() {
    let runs = [
        "app",
        "-w|app",
        "-wT|app",
        "-C|app",
        "-CSDA|app",
        "-C7|app",
        "--|app",
        "+x|",
    ];
    let not = [
        "",
        "-",
        "-e|print|app",
        "-we|print|app",
        "-E|say|app",
        "-MEvil|app",
        "-mEvil|app",
        "-I/tmp|app",
        "-I|/tmp|app",
        "-S|app",
        "-d:Evil|app",
        "-x/tmp|app",
        "-n|app",
        "-i|app",
        "-C7 -MEvil|app",
        "-w -T|app",
        "--help|app",
    ];
    table("perl", &runs[..7], &not);
    table("perl5.36.0", &runs[..7], &not);
    assert_eq!(run("perl", "+x").as_deref(), Some("/srv/+x"));
}

#[test]
fn node_runs_its_first_operand() {
    let runs = [
        "app",
        "--no-warnings|app",
        "--max-old-space-size=64|app",
        "--|app",
        "--trace-warnings|app|-e",
    ];
    let not = [
        "",
        "-",
        "-e|1|app",
        "-p|1|app",
        "-r|/tmp/x|app",
        "--require|/tmp/x|app",
        "--import=/tmp/x|app",
        "--eval=1|app",
        "inspect|app",
        "debug|app",
        "--run|x",
        "--test|app",
        "--no-warnings=1|app",
        "--max-old-space-size|64|app",
        "-i|app",
    ];
    table("node", &runs, &not);
    table("nodejs", &runs, &not);
}

#[test]
fn ruby_runs_its_first_operand() {
    let runs = [
        "app",
        "-w|app",
        "-W0|app",
        "-W|app",
        "-wU|app",
        "--yjit|app",
        "--|app",
    ];
    let not = [
        "",
        "-",
        "-e|1|app",
        "-W2e|1|app",
        "-W0rjson|app",
        "-rjson|app",
        "-I/tmp|app",
        "-C|/tmp|app",
        "-S|app",
        "-x|app",
        "--encoding=x|app",
    ];
    table("ruby", &runs, &not);
    table("ruby3.1", &runs, &not);
}

#[test]
fn a_program_that_is_no_known_interpreter_runs_no_script() {
    for exe in [
        "curl",
        "env",
        "busybox",
        "python",
        "python2",
        "python3-config",
        "python30x",
        "xbash",
        "bash-static",
        "perldoc",
        "node-gyp",
        "rubygems",
        "awk",
        "",
    ] {
        assert_eq!(found(exe, "/srv/app", Some("/srv/app")), None, "{exe}");
    }
}

#[test]
fn the_kernels_word_counts_for_the_path_that_will_be_opened() {
    let shebang = |args| found("python3", args, Some("/srv/app")).unwrap();
    assert_eq!(
        shebang("/srv/app"),
        ("/srv/app".into(), ScriptSource::Shebang)
    );
    assert_eq!(
        shebang("-u|/srv/app|x"),
        ("/srv/app".into(), ScriptSource::Shebang)
    );
    assert_eq!(shebang("./app"), ("/srv/app".into(), ScriptSource::Shebang));
    // Executed through a link that may lead elsewhere when the interpreter opens it.
    assert_eq!(
        shebang("/tmp/link|/srv/app"),
        ("/tmp/link".into(), ScriptSource::Argument)
    );
    assert_eq!(
        shebang("link|/srv/app"),
        ("/srv/link".into(), ScriptSource::Argument)
    );
    assert_eq!(found("python3", "-c|x", Some("/srv/app")), None);
}

#[test]
fn cut_arguments_name_no_script_unless_it_is_whole() {
    let mut buf = [0; 64];
    for (argv, expected) in [
        (&b"python3\0/srv/app"[..], None),
        (b"python3\0-u", None),
        (b"python3\0-W\0ignore\0/srv/ap", None),
        (b"python3\0/srv/app\0", Some(&b"/srv/app"[..])),
        (b"python3\0/srv/app\0--fla", Some(b"/srv/app")),
    ] {
        let exe = b"/usr/bin/python3";
        let invocation = Invocation {
            exe,
            argv,
            argv_cut: true,
            cwd: b"/",
            shebang: None,
        };
        assert_eq!(
            script_of(&invocation, &mut buf).map(|script| script.path),
            expected
        );
    }
    // Whole arguments need no NUL at the end.
    let (exe, argv) = (b"/usr/bin/python3", b"python3\0/srv/app");
    let invocation = Invocation {
        exe,
        argv,
        argv_cut: false,
        cwd: b"/",
        shebang: None,
    };
    assert!(script_of(&invocation, &mut buf).is_some());
}

#[test]
fn options_are_counted() {
    let many = |n: usize| vec!["-u"; n].join("|") + "|app";
    assert!(run("python3", &many(MAX_ARGS - 1)).is_some());
    assert_eq!(run("python3", &many(MAX_ARGS)), None);
}

#[test]
fn a_relative_script_needs_a_working_directory_and_room() {
    let mut buf = [0; MAX_PATH_BYTES];
    let exe = b"/usr/bin/python3";
    let with = |cwd, argv| Invocation {
        exe,
        argv,
        argv_cut: false,
        cwd,
        shebang: None,
    };
    for cwd in [&b""[..], b"srv", b"(unreachable)/srv", b"/srv/.."] {
        assert_eq!(script_of(&with(cwd, b"python3\0app\0"), &mut buf), None);
    }
    let root =
        script_of(&with(b"/", b"python3\0app\0"), &mut buf).map(|script| script.path.to_vec());
    assert_eq!(root.as_deref(), Some(&b"/app"[..]));
    assert!(script_of(&with(b"/srv", b"python3\0app\0"), &mut buf[..8]).is_some());
    assert_eq!(
        script_of(&with(b"/srv", b"python3\0app\0"), &mut buf[..7]),
        None
    );
    assert_eq!(script_of(&with(b"/srv", b"python3\0/\0"), &mut buf), None);
}
