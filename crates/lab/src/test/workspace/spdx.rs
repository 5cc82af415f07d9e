//! Licence expressions (SPDX specification, annex D): is there a way to choose that stays within a list?

/// Whether an expression can be satisfied with licences of `allowed`. What cannot be read is not satisfied.
pub(crate) fn allowed(expression: &str, allowed: &[&str]) -> bool {
    // Before SPDX, crates wrote `/` for `OR`.
    let text = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut parser = Parser {
        words: text.split_whitespace().collect(),
        at: 0,
        allowed,
    };
    let satisfied = parser.any();
    satisfied == Some(true) && parser.at == parser.words.len()
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a [&'a str],
}

impl Parser<'_> {
    fn word(&self) -> Option<&str> {
        self.words.get(self.at).copied()
    }

    fn takes(&mut self, word: &str) -> bool {
        let same = self.word() == Some(word);
        self.at += usize::from(same);
        same
    }

    fn any(&mut self) -> Option<bool> {
        let mut satisfied = self.all()?;
        while self.takes("OR") {
            satisfied |= self.all()?;
        }
        Some(satisfied)
    }

    fn all(&mut self) -> Option<bool> {
        let mut satisfied = self.one()?;
        while self.takes("AND") {
            satisfied &= self.one()?;
        }
        Some(satisfied)
    }

    fn one(&mut self) -> Option<bool> {
        if self.takes("(") {
            let satisfied = self.any()?;
            return self.takes(")").then_some(satisfied);
        }
        let mut name = self
            .word()
            .filter(|word| !["AND", "OR", "WITH", ")"].contains(word))?
            .to_owned();
        self.at += 1;
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.word()?);
            self.at += 1;
        }
        Some(self.allowed.contains(&name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: [&str; 4] = [
        "MIT",
        "ISC",
        "Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ];

    #[test]
    fn one_way_through_is_enough() {
        for expression in [
            "MIT",
            "MIT OR Apache-2.0",
            "GPL-2.0 OR MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "GPL-3.0 OR ISC AND MIT",
        ] {
            assert!(allowed(expression, &LIST), "{expression}");
        }
    }

    #[test]
    fn no_way_through_is_refused() {
        for expression in [
            "Apache-2.0",
            "MIT AND Apache-2.0",
            "GPL-2.0 OR LGPL-2.1",
            "(MIT OR ISC) AND BSD-3-Clause",
            "MIT WITH LLVM-exception",
        ] {
            assert!(!allowed(expression, &LIST), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for expression in [
            "", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT", "MIT WITH",
        ] {
            assert!(!allowed(expression, &LIST), "{expression}");
        }
    }
}
