//! What errors say of several things.

use std::fmt;

/// That there are more of what was named.
pub(super) struct AndAlso(pub(super) usize);

impl fmt::Display for AndAlso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and one more)"),
            others => write!(f, " (and {others} more)"),
        }
    }
}

/// Names, each in backticks.
pub(super) struct Listed<'a>(pub(super) &'a [&'a str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            write!(f, "{}`{item}`", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
