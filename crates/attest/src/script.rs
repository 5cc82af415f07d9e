//! Which script an interpreter was asked to run.

mod options;

use crate::evidence::{Script, ScriptSource};
use crate::path;
use options::{Interpreter, Next};

/// Most arguments that are looked at: options before a script.
pub const MAX_ARGS: usize = 64;

/// How a program was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invocation<'a> {
    /// Path of the executed file, symbolic links resolved. Only its last segment counts.
    pub exe: &'a [u8],
    /// Arguments, NUL-separated, `argv[0]` first.
    pub argv: &'a [u8],
    /// Are there more arguments than `argv` holds?
    pub argv_cut: bool,
    /// Working directory, for scripts named relative to it.
    pub cwd: &'a [u8],
    /// Path of the script that the kernel executed, if it found the interpreter in its first line.
    pub shebang: Option<&'a [u8]>,
}

/// The script that a program was asked to run, as an absolute path in `buf`.
///
/// It is what the interpreter will open, as it was named: symbolic links are not resolved. The kernel's
/// word that it executed that very path only makes the [source](ScriptSource) better; alone it would not
/// do, because the interpreter opens the path once more, and a symbolic link may lead elsewhere by then.
///
/// Knows `python3*`, `bash`, `sh`, `dash`, `perl*`, `node*` and `ruby*`, and for each the options that
/// leave what runs unchanged. In doubt there is no script: code from an option (`-c`, `-e`), a module
/// (`-m`, `-r`), standard input, a search along `PATH`, an option not known, a path with `..`, or
/// arguments that are cut. `buf` of [`MAX_PATH_BYTES`](crate::MAX_PATH_BYTES) holds every path that a
/// selector can name.
#[must_use]
pub fn script_of<'b>(invocation: &Invocation<'_>, buf: &'b mut [u8]) -> Option<Script<'b>> {
    let path = path::absolute(invocation.cwd, argument(invocation)?, buf)?;
    let source = match invocation.shebang {
        Some(executed) if executed == path => ScriptSource::Shebang,
        _ => ScriptSource::Argument,
    };
    Some(Script { path, source })
}

/// The first argument that is not an option, if it is a script.
fn argument<'a>(invocation: &Invocation<'a>) -> Option<&'a [u8]> {
    let name = invocation.exe.rsplit(|&byte| byte == b'/').next()?;
    let interpreter = Interpreter::by_name(name)?;
    let mut args = Args {
        rest: Some(invocation.argv),
        cut: invocation.argv_cut,
    };
    interpreter.begins(args.next()?)?;
    for _ in 0..MAX_ARGS {
        let arg = args.next()?;
        match interpreter.option(arg) {
            Next::Option => {}
            Next::Value => interpreter.value(arg, args.next()?)?,
            Next::End => return interpreter.script(args.next()?),
            Next::Script => return interpreter.script(arg),
            Next::Unknown => return None,
        }
    }
    None
}

/// Iterates over NUL-separated arguments; leaves out a last one that may be cut.
struct Args<'a> {
    rest: Option<&'a [u8]>,
    cut: bool,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let end = rest.iter().position(|&byte| byte == 0);
        match end.and_then(|end| rest.split_at_checked(end)) {
            Some((arg, [_nul, after @ ..])) => {
                self.rest = Some(after).filter(|after| !after.is_empty());
                Some(arg)
            }
            _ if self.cut => None,
            _ => Some(rest),
        }
    }
}
