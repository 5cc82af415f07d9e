//! The command line of `cargo lab vm`.

use crate::failure::{Failure, Result};
use crate::kernel::Line;
use std::path::PathBuf;
use std::time::Duration;

/// How long a guest may run unless `--timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(900);

/// The kernel that is used unless `--kernel` says otherwise.
pub(crate) const DEFAULT_KERNEL: Line = Line::V6_12;

/// How many CPUs a machine has unless told otherwise: two, so that what can race does.
pub(crate) const DEFAULT_CPUS: u32 = 2;

/// What a virtual machine is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    /// Which kernel.
    pub kernel: Line,
    /// One instruction per nanosecond, so that every figure repeats.
    pub icount: bool,
    /// How many virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Neither module nor control plane nor agent.
    pub bare: bool,
    /// A second machine on a shared link, with this kernel.
    pub pair: Option<Line>,
    /// A link to this machine's loopback, where the control plane is: the script has the agent join it.
    pub host: bool,
    /// The module whose mechanisms can be broken.
    pub sabotage: Option<String>,
    /// Files to copy into `/lab`.
    pub copy: Vec<PathBuf>,
    /// How long the script may take, boot included, on a kernel that is not slower than others.
    pub timeout: Duration,
    /// A root disk instead of the guest's own: with the kernel's modules in it, and systemd, which runs the script as a unit.
    pub machine: Option<PathBuf>,
    /// Further kernel arguments.
    pub append: Option<String>,
    /// The script and its arguments.
    pub script: PathBuf,
    /// Arguments of the script.
    pub args: Vec<String>,
}

impl Options {
    /// How long the script may take on the slowest of its kernels.
    pub(crate) fn patience(&self) -> Duration {
        let kernels = [Some(self.kernel), self.pair].into_iter().flatten();
        self.timeout * kernels.map(Line::slower).max().unwrap_or(1)
    }

    /// A machine that runs this script with nothing asked for.
    pub(crate) fn new(script: PathBuf) -> Self {
        Self {
            kernel: DEFAULT_KERNEL,
            icount: false,
            cpus: DEFAULT_CPUS,
            memory_mib: 1024,
            bare: false,
            pair: None,
            host: false,
            sabotage: None,
            copy: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            machine: None,
            append: None,
            script,
            args: Vec::new(),
        }
    }

    /// Reads the arguments after `vm`.
    ///
    /// # Errors
    /// For an unknown option, a bad value, or no script.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::new(PathBuf::new());
        let mut pair_default = false;
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || {
                let next = inline.clone().or_else(|| words.next().cloned());
                next.ok_or_else(|| Failure::new(format!("`{name}` needs a value")))
            };
            match name {
                "--kernel" => options.kernel = Line::parse(&value()?)?,
                "--icount" => options.icount = true,
                "--cpus" => options.cpus = number(name, &value()?)?,
                "--memory" => options.memory_mib = number(name, &value()?)?,
                "--timeout" => {
                    options.timeout = Duration::from_secs(number(name, &value()?)?.into())
                }
                "--bare" => options.bare = true,
                "--pair" => match &inline {
                    Some(kernel) => options.pair = Some(Line::parse(kernel)?),
                    None => pair_default = true,
                },
                "--host" => options.host = true,
                "--sabotage" => options.sabotage = Some(value()?),
                "--append" => options.append = Some(value()?),
                "--machine" => options.machine = Some(value()?.into()),
                "--copy" => options.copy.push(value()?.into()),
                "--" => {
                    options.script = words.next().map(PathBuf::from).unwrap_or_default();
                    options.args = words.by_ref().cloned().collect();
                }
                _ => {
                    return Err(
                        Failure::new(format!("`cargo lab vm` has no option `{word}`"))
                            .fix(crate::USAGE),
                    );
                }
            }
        }
        if pair_default {
            options.pair = Some(options.kernel);
        }
        if options.icount && options.cpus != 1 {
            // Counting instructions is only exact on one CPU.
            options.cpus = 1;
        }
        options.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.script.as_os_str().is_empty() {
            return Err(Failure::new("which script? put it after `--`").fix(crate::USAGE));
        }
        if self.host && self.pair.is_some() {
            return Err(Failure::new(
                "a machine has one link: `--host` or `--pair`, not both",
            ));
        }
        for path in self.copy.iter().chain(&self.machine).chain([&self.script]) {
            if !path.exists() {
                return Err(Failure::new(format!(
                    "there is no file `{}`",
                    path.display()
                )));
            }
        }
        Ok(self)
    }
}

/// Reads the value of an option that counts something.
///
/// # Errors
/// For what is no number, and for 0.
pub(crate) fn number(name: &str, word: &str) -> Result<u32> {
    match word.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Failure::new(format!(
            "`{name}` takes a number above 0, not `{word}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn every_option_is_read() {
        let line = "--kernel 6.1 --cpus=4 --bare --pair=newest --copy Cargo.toml --timeout 5 -- src/main.rs one -two";
        let options = parse(line).expect("it is well formed");
        assert_eq!(
            (options.kernel, options.pair),
            (Line::V6_1, Some(Line::Newest))
        );
        assert_eq!(
            (options.cpus, options.bare, options.timeout),
            (4, true, Duration::from_secs(5))
        );
        assert_eq!(options.args, ["one", "-two"]);
    }

    #[test]
    fn a_peer_has_the_same_kernel_unless_told_otherwise() {
        let options = parse("--pair --kernel 6.1 -- src/main.rs").expect("it is well formed");
        assert_eq!(options.pair, Some(Line::V6_1));
    }

    #[test]
    fn counting_instructions_needs_one_cpu() {
        assert_eq!(
            parse("--icount -- src/main.rs")
                .expect("it is well formed")
                .cpus,
            1
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("", "script"),
            ("--bare", "script"),
            ("--cpus 0 -- src/main.rs", "--cpus"),
            ("--nonsense -- src/main.rs", "--nonsense"),
            ("-- no/such/script", "no/such/script"),
            ("--copy", "--copy"),
            ("--host --pair -- src/main.rs", "--host"),
            ("--machine no/such/disk -- src/main.rs", "no/such/disk"),
        ] {
            let message = parse(line).expect_err(line).to_string();
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}
