//! The options of interpreters: only those that leave what runs unchanged.

/// An interpreter whose arguments are understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Interpreter {
    /// CPython 3.
    Python,
    /// GNU bash, and `sh` where it may be bash.
    Bash,
    /// dash.
    Dash,
    /// perl 5.
    Perl,
    /// Node.js.
    Node,
    /// CRuby.
    Ruby,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// An option; more may follow.
    Option,
    /// An option whose value is the next argument.
    Value,
    /// The end of options.
    End,
    /// Not an option.
    Script,
    /// Something that changes what runs, or may.
    Unknown,
}

/// Options of one letter, which may be joined (`-Bu`).
struct Letters {
    /// Without a value.
    plain: &'static [u8],
    /// With a value: the rest of the argument, or the next one.
    valued: &'static [u8],
    /// With a value that is the rest of the argument, if there is one, and of these bytes only: with
    /// others the interpreter might read on and find another option.
    attached: Option<(u8, &'static [u8])>,
}

impl Interpreter {
    /// The interpreter that a file is, by its name: `python3`, `python3.11`, `perl5.36.0`.
    pub(super) fn by_name(name: &[u8]) -> Option<Self> {
        let versioned = |stem: &[u8]| {
            let version = name.strip_prefix(stem);
            version.is_some_and(|v| v.iter().all(|b| b.is_ascii_digit() || *b == b'.'))
        };
        match name {
            b"bash" | b"sh" => Some(Self::Bash),
            b"dash" => Some(Self::Dash),
            _ if versioned(b"python3") => Some(Self::Python),
            _ if versioned(b"perl") => Some(Self::Perl),
            _ if versioned(b"node") || name == b"nodejs" => Some(Self::Node),
            _ if versioned(b"ruby") => Some(Self::Ruby),
            _ => None,
        }
    }

    /// Looks at `argv[0]`: a shell whose name begins with `-` is a login shell and runs profiles first.
    pub(super) fn begins(self, name: &[u8]) -> Option<()> {
        let login = matches!(self, Self::Bash | Self::Dash) && name.first() == Some(&b'-');
        if login { None } else { Some(()) }
    }

    /// What an argument in the place of an option is.
    pub(super) fn option(self, arg: &[u8]) -> Next {
        let sign = match arg {
            b"--" => return Next::End,
            // Standard input; for a shell, and so for all, nothing that can be told.
            b"-" => return Next::Unknown,
            [b'-', b'-', ..] => return self.long(arg),
            [sign @ (b'-' | b'+'), ..] => *sign,
            _ => return Next::Script,
        };
        if sign == b'+' && !matches!(self, Self::Bash | Self::Dash) {
            return Next::Script;
        }
        self.letters_in(arg.get(1..).unwrap_or_default())
    }

    fn letters_in(self, letters: &[u8]) -> Next {
        let known = self.letters();
        let mut rest = letters;
        while let Some((letter, after)) = rest.split_first() {
            if let Some((_, value)) = known.attached.filter(|(own, _)| own == letter) {
                let within = after.iter().all(|byte| value.contains(byte));
                return if within { Next::Option } else { Next::Unknown };
            }
            if known.valued.contains(letter) {
                let shell = matches!(self, Self::Bash | Self::Dash);
                return match after {
                    [] => Next::Value,
                    _ if !shell && self.harmless(*letter, after) => Next::Option,
                    _ => Next::Unknown,
                };
            }
            if !known.plain.contains(letter) {
                return Next::Unknown;
            }
            rest = after;
        }
        if letters.is_empty() {
            Next::Unknown
        } else {
            Next::Option
        }
    }

    const fn letters(self) -> Letters {
        match self {
            // Not -c -m -i (other code), -h -V (none).
            Self::Python => Letters {
                plain: b"bBdEIOPqsSuvx",
                valued: b"WX",
                attached: None,
            },
            // Not -c -s -i -l (other code) -D. A value never joins its letter.
            Self::Bash => Letters {
                plain: b"abefhkmnpuvxBCEHPT",
                valued: b"oO",
                attached: None,
            },
            Self::Dash => Letters {
                plain: b"aCefnuvx",
                valued: b"o",
                attached: None,
            },
            // Not -e -E -M -m -I -d -x -S -i -n -p -s (other code or other files).
            Self::Perl => Letters {
                plain: b"cTtUwWX",
                valued: b"",
                attached: Some((b'C', b"0123456789IOEioADSLa")),
            },
            Self::Node => Letters {
                plain: b"",
                valued: b"",
                attached: None,
            },
            // Not -e -r -I -C -x -X -S -s -n -p -a -i.
            Self::Ruby => Letters {
                plain: b"Uvw",
                valued: b"",
                attached: Some((b'W', b"012")),
            },
        }
    }

    /// Long options that leave what runs unchanged; with `=`, any value.
    fn long(self, arg: &[u8]) -> Next {
        let known: &[&[u8]] = match self {
            Self::Bash => &[b"--noprofile", b"--norc", b"--posix", b"--restricted"],
            Self::Node => &[
                b"--enable-source-maps",
                b"--max-http-header-size=",
                b"--max-old-space-size=",
                b"--no-deprecation",
                b"--no-warnings",
                b"--throw-deprecation",
                b"--trace-deprecation",
                b"--trace-uncaught",
                b"--trace-warnings",
            ],
            Self::Ruby => &[b"--disable-gems", b"--yjit"],
            Self::Python | Self::Dash | Self::Perl => &[],
        };
        let fits = |own: &&[u8]| arg == *own || (own.ends_with(b"=") && arg.starts_with(own));
        if known.iter().any(fits) {
            Next::Option
        } else {
            Next::Unknown
        }
    }

    /// Looks at the value of an option that is an argument of its own.
    pub(super) fn value(self, option: &[u8], value: &[u8]) -> Option<()> {
        let letter = option.last()?;
        if self.harmless(*letter, value) {
            Some(())
        } else {
            None
        }
    }

    /// Does this value of an option leave what runs unchanged?
    fn harmless(self, letter: u8, value: &[u8]) -> bool {
        match (self, letter) {
            // These load compiled code, or a module, from elsewhere.
            (Self::Python, b'X') => {
                !value.starts_with(b"pycache_prefix") && !value.starts_with(b"presite")
            }
            // A category of its own names a module to import.
            (Self::Python, b'W') => !value.contains(&b'.'),
            (Self::Bash | Self::Dash, _) => value
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'_'),
            _ => false,
        }
    }

    /// Looks at what should be the script.
    pub(super) fn script(self, arg: &[u8]) -> Option<&[u8]> {
        match (self, arg) {
            (_, b"" | b"-") => None,
            // bash looks along PATH for what it does not find here.
            (Self::Bash, _) if !arg.contains(&b'/') => None,
            // The debugger is a command of node's own.
            (Self::Node, b"inspect" | b"debug") => None,
            _ => Some(arg),
        }
    }
}
