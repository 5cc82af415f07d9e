//! The command line of `cargo lab test`.

use crate::failure::{Failure, Result};
use crate::kernel::Line;

/// What is to be tested.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Options {
    /// Nothing that needs a virtual machine.
    pub host_only: bool,
    /// Instead of all else, tiers in virtual machines on the kernel that looks for mistakes.
    pub debug_kernel: bool,
    /// Of the tiers in virtual machines, only those with this kernel.
    pub kernel: Option<Line>,
    /// Only tiers, or scenes of tiers, whose name has this in it.
    pub filter: Option<String>,
}

impl Options {
    /// Reads the arguments after `test`.
    ///
    /// # Errors
    /// For an unknown option or a missing value.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                let next = inline.clone().or_else(|| words.next().cloned());
                next.ok_or_else(|| Failure::new(format!("`{name}` needs a value")))
            };
            match name {
                "--host-only" => options.host_only = true,
                "--debug-kernel" => options.debug_kernel = true,
                "--kernel" => options.kernel = Some(Line::parse(&value()?)?),
                "--filter" => options.filter = Some(value()?),
                _ => {
                    let what = format!("`cargo lab test` has no option `{word}`");
                    return Err(Failure::new(what).fix(crate::USAGE));
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn every_option_is_read() {
        let options = parse("--host-only --kernel=6.1 --filter mtls").expect("it is well formed");
        assert!(options.host_only);
        assert_eq!(options.kernel, Some(Line::V6_1));
        assert_eq!(options.filter.as_deref(), Some("mtls"));
        assert_eq!(parse("").expect("nothing is asked for"), Options::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("--nonsense", "--nonsense"),
            ("--filter", "--filter"),
            ("--kernel 2.4", "2.4"),
        ] {
            let message = parse(line).expect_err(line).to_string();
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}
