//! Spans of time as documents write them: `10s`, `5m`, `1h30m`, `7d`.

/// Why a span of time was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Not numbers with units.
    #[error("is not a span of time such as `90s`, `10m`, `1h30m` or `7d`")]
    Malformed,
    /// Shorter than allowed.
    #[error("is {secs} s; at least {min_secs} s are needed")]
    TooShort {
        /// What it says.
        secs: u32,
        /// The least allowed.
        min_secs: u32,
    },
    /// Longer than allowed.
    #[error("is longer than {max_secs} s")]
    TooLong {
        /// The most allowed.
        max_secs: u32,
    },
}

/// Parses whole seconds out of one or more numbers with the units `d`, `h`, `m`, `s`, each at most once and in this order.
///
/// # Errors
/// If it is not such a text, or outside `min_secs..=max_secs`.
pub(crate) fn parse_secs(text: &str, min_secs: u32, max_secs: u32) -> Result<u32, DurationError> {
    let mut units: &[(char, u64)] = &[('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(DurationError::Malformed)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().ok_or(DurationError::Malformed)?;
        let at = units
            .iter()
            .position(|&(u, _)| u == unit)
            .ok_or(DurationError::Malformed)?;
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(units[at].1));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::TooLong { max_secs })?;
        units = &units[at + 1..];
        rest = &tail[1..];
    }
    match u32::try_from(total) {
        Ok(secs) if secs < min_secs => Err(DurationError::TooShort { secs, min_secs }),
        Ok(secs) if secs <= max_secs => Ok(secs),
        _ => Err(DurationError::TooLong { max_secs }),
    }
}

/// Prints whole seconds so that [`parse_secs`] reads the same again.
pub(crate) fn print_secs(secs: u32) -> String {
    format!("{secs}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_descending_units() {
        for (text, secs) in [
            ("10s", 10),
            ("5m", 300),
            ("1h", 3_600),
            ("1h30m", 5_400),
            ("1d", 86_400),
            ("090s", 90),
        ] {
            assert_eq!(parse_secs(text, 10, 86_400), Ok(secs), "{text}");
            assert_eq!(parse_secs(&print_secs(secs), 10, 86_400), Ok(secs));
        }
        for text in [
            "",
            "s",
            "10",
            "10 s",
            " 10s",
            "1m1h",
            "1s1s",
            "-1s",
            "1.5h",
            "1H",
            "1w",
            "1é",
            "99999999999999999999",
        ] {
            assert_eq!(
                parse_secs(text, 1, 10),
                Err(DurationError::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_keep_within_their_bounds() {
        assert_eq!(
            parse_secs("9s", 10, 60),
            Err(DurationError::TooShort {
                secs: 9,
                min_secs: 10
            })
        );
        for text in [
            "61s",
            "1h",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(
                parse_secs(text, 10, 60),
                Err(DurationError::TooLong { max_secs: 60 }),
                "{text}"
            );
        }
    }
}
