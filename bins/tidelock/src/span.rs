//! Durations and times as people read and write them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads `90s`, `10m`, `2h` or `7d`: a whole number and one unit.
///
/// # Errors
/// Says what is wrong, for the command line's error message.
pub(crate) fn parse_secs(text: &str) -> Result<u32, String> {
    let split = text.len() - text.chars().last().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(split);
    let unit_secs: u32 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("write a number and one of s, m, h, d".into()),
    };
    let number: u32 = number
        .parse()
        .map_err(|_| format!("`{number}` is not a whole number"))?;
    match number.checked_mul(unit_secs) {
        Some(0) => Err("it has to be longer than nothing".into()),
        Some(secs) => Ok(secs),
        None => Err("that is too long".into()),
    }
}

/// Writes a duration with its two largest units: `3s`, `4m09s`, `2h05m`, `3d04h`.
pub(crate) fn short(secs: i64) -> String {
    let secs = secs.max(0);
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// How long ago, or `-` for a time that is not known (0).
pub(crate) fn age(then_secs: i64, now_secs: i64) -> String {
    match then_secs {
        0 => "-".into(),
        then => short(now_secs - then),
    }
}

/// How long until, `expired` if it is past, or `-` for a time that is not known (0).
pub(crate) fn left(then_secs: i64, now_secs: i64) -> String {
    match then_secs {
        0 => "-".into(),
        then if then <= now_secs => "expired".into(),
        then => short(then - now_secs),
    }
}

/// RFC 3339 in UTC; `None` for a time that is not known (0) or cannot be written.
pub(crate) fn rfc3339(unix_secs: i64) -> Option<String> {
    (unix_secs != 0).then(|| stamp(i128::from(unix_secs) * 1_000_000_000))?
}

/// RFC 3339 in UTC with the fraction, from nanoseconds.
pub(crate) fn rfc3339_ns(unix_ns: u64) -> Option<String> {
    (unix_ns != 0).then(|| stamp(i128::from(unix_ns)))?
}

/// RFC 3339 to the millisecond, for tables.
pub(crate) fn table_time(unix_ns: u64) -> String {
    let whole_ms = unix_ns / 1_000_000 * 1_000_000;
    match OffsetDateTime::from_unix_timestamp_nanos(i128::from(whole_ms)) {
        Ok(at) => format!(
            "{}T{:02}:{:02}:{:02}.{:03}Z",
            at.date(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        ),
        Err(_) => "-".into(),
    }
}

/// Whole seconds of a time in nanoseconds.
pub(crate) fn secs(unix_ns: u64) -> i64 {
    i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX)
}

/// This moment, in seconds since 1970.
pub(crate) fn now_secs() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn stamp(unix_ns: i128) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(unix_ns)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_one_unit() {
        assert_eq!(parse_secs("90s"), Ok(90));
        assert_eq!(parse_secs("10m"), Ok(600));
        assert_eq!(parse_secs("7d"), Ok(604_800));
        for bad in ["", "s", "10", "1.5h", "-1s", "0s", "5 m", "99999999d", "3é"] {
            assert!(parse_secs(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_print_their_two_largest_units() {
        assert_eq!(short(-4), "0s");
        assert_eq!(short(59), "59s");
        assert_eq!(short(249), "4m09s");
        assert_eq!(short(7500), "2h05m");
        assert_eq!(short(273_700), "3d04h");
    }

    #[test]
    fn times_not_known_are_dashes() {
        assert_eq!(age(0, 100), "-");
        assert_eq!(age(40, 100), "1m00s");
        assert_eq!(left(0, 100), "-");
        assert_eq!(left(100, 100), "expired");
        assert_eq!(left(130, 100), "30s");
        assert_eq!(rfc3339(0), None);
    }

    #[test]
    fn times_print_in_utc() {
        assert_eq!(
            table_time(1_767_225_600_123_999_999),
            "2026-01-01T00:00:00.123Z"
        );
        assert_eq!(
            rfc3339(1_767_225_600).as_deref(),
            Some("2026-01-01T00:00:00Z")
        );
        assert_eq!(
            rfc3339_ns(1_767_225_600_500_000_000).as_deref(),
            Some("2026-01-01T00:00:00.5Z")
        );
    }
}
