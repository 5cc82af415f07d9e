//! The script that a process claims to run: path of the interpreter, working directory, arguments.
#![cfg_attr(fuzzing, no_main)]

use tidelock_attest::{Invocation, MAX_PATH_BYTES, ScriptSource, script_of};

/// Executable, working directory, arguments, the interpreter that a first line names, and whether arguments were cut.
type Input<'a> = (&'a [u8], &'a [u8], &'a [u8], Option<&'a [u8]>, bool);

tidelock_fuzz::target!(|input: Input<'_>| {
    let (exe, cwd, argv, shebang, argv_cut) = input;
    let mut buf = [0; MAX_PATH_BYTES];
    let invocation = Invocation {
        exe,
        argv,
        argv_cut,
        cwd,
        shebang,
    };
    let Some(script) = script_of(&invocation, &mut buf) else {
        return;
    };
    let mut names = script.path.split(|&byte| byte == b'/');
    assert_eq!(names.next(), Some(&b""[..]));
    assert!(names.all(|name| !matches!(name, b"" | b"." | b"..")));
    assert_eq!(
        script.source == ScriptSource::Shebang,
        shebang == Some(script.path)
    );
});
