//! Patterns.

use super::Fault;
use super::meter::{Fuel, ITEM_STEPS, Meter, byte_steps};
use crate::bounds::{MAX_INSTRUCTION_STEPS, MAX_STRING_BYTES};

/// What stands for any text.
pub(crate) const ANY: u8 = b'*';
/// What makes a literal of the next byte.
pub(crate) const ESCAPE: u8 = b'\\';
/// Rounds of matching that count for one item.
const ROUNDS_PER_ITEM: usize = 4;

enum Part {
    Any { next: usize },
    Byte { byte: u8, next: usize },
    End,
}

fn part(pattern: &[u8], at: usize) -> Part {
    let next = at.saturating_add(1);
    match pattern.get(at) {
        None => Part::End,
        Some(&ANY) => Part::Any { next },
        Some(&ESCAPE) => match pattern.get(next) {
            Some(&byte) => Part::Byte {
                byte,
                next: next.saturating_add(1),
            },
            None => Part::End,
        },
        Some(&byte) => Part::Byte { byte, next },
    }
}

/// Whether the text is as the pattern says. What a `*` stands for is tried from the shortest on, and once a later `*` is
/// reached no earlier one is tried again: it could find nothing more.
pub(super) fn like<M: Meter>(pattern: &[u8], text: &[u8], meter: &mut M) -> Result<bool, Fault> {
    let fuel = &mut Fuel::new(meter);
    let (mut at, mut read, mut rounds) = (0usize, 0usize, 0usize);
    // The part after the last `*`, and where in the text it was last tried.
    let mut tried: Option<(usize, usize)> = None;
    loop {
        if rounds.checked_rem(ROUNDS_PER_ITEM) == Some(0) {
            fuel.go_on()?;
        }
        rounds = rounds.wrapping_add(1);
        match (part(pattern, at), text.get(read)) {
            (Part::Any { next }, _) => {
                if next == pattern.len() {
                    return Ok(true);
                }
                tried = Some((next, read));
                at = next;
                continue;
            }
            (Part::Byte { byte, next }, Some(found)) if byte == *found => {
                (at, read) = (next, read.saturating_add(1));
                continue;
            }
            (Part::End, None) => return Ok(true),
            _ => {}
        }
        match tried {
            Some((next, from)) if from < text.len() => {
                read = from.saturating_add(1);
                (tried, at) = (Some((next, read)), next);
            }
            _ => return Ok(false),
        }
    }
}

/// The most steps that matching any text takes.
pub(crate) fn steps(pattern: &[u8]) -> u64 {
    // Without a `*` but at the end nothing is tried twice.
    let free = pattern.iter().position(|&byte| byte == ANY);
    let rounds = if free.is_none_or(|at| at.saturating_add(1) == pattern.len()) {
        pattern.len().saturating_add(1)
    } else {
        pattern
            .len()
            .saturating_add(1)
            .saturating_mul(MAX_STRING_BYTES.saturating_add(1))
    };
    byte_steps(rounds.saturating_mul(4))
        .saturating_mul(u64::from(ITEM_STEPS))
        .min(u64::from(MAX_INSTRUCTION_STEPS.saturating_add(ITEM_STEPS)))
}
const _: () = assert!(
    ROUNDS_PER_ITEM == 4,
    "four rounds are a sixteenth of sixteen"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::meter::Unmetered;

    #[test]
    fn patterns_match_as_cedar_says() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*c", "abcd", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*ab*", "aab", true),
            ("**", "x", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*\\**", "a*b", true),
            ("\\\\", "\\", true),
            ("*é", "cafe\u{301} é", true),
        ] {
            let found = like(pattern.as_bytes(), text.as_bytes(), &mut Unmetered);
            assert_eq!(found, Ok(matches), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_cannot_be_evaluated() {
        let text = "a".repeat(MAX_STRING_BYTES);
        let pattern = alloc::format!("*{}b*", "a".repeat(500));
        let found = like(pattern.as_bytes(), text.as_bytes(), &mut Unmetered);
        assert_eq!(found, Err(Fault::TooDear));
    }
}
