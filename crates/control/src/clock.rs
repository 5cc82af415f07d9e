//! Wall-clock time as the rest of the crate wants it, and whether it can be believed: keys are destroyed by it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn since_epoch() -> Duration {
    // Before 1970 the epoch itself: every certificate is then "not yet valid", nothing is granted.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_secs() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos() -> u64 {
    u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)
}

/// Furthest that time may have gone on since the newest entry of the audit log, in seconds. A control plane that runs writes one
/// twice a day at least, with the certificate that it shows.
pub(crate) const MAX_AHEAD_SECS: i64 = 7 * 86_400;

/// Furthest that the clock may be behind that entry, in seconds: clocks are set, by a little, now and then.
const MAX_BEHIND_SECS: i64 = 300;

/// Why the clock is not believed. Both are in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// It says that a long time has passed without a sign of life.
    #[error(
        "the clock says {}, {} after the newest entry of the audit log, which is of {}; by such a clock authorities end, and their keys \
         are destroyed. Set the clock if it is wrong; if the control plane was off for so long, or the database is a back-up of then, \
         start it with `--accept-clock`",
        At(*now), Days(now.saturating_sub(*last)), At(*last)
    )]
    Ahead {
        /// What the clock says.
        now: i64,
        /// When the newest entry was written.
        last: i64,
    },
    /// It says what was past already.
    #[error(
        "the clock says {}, {} before the newest entry of the audit log, which is of {}. Set the clock if it is wrong; if it was wrong \
         then and is right now, start the control plane with `--accept-clock`",
        At(*now), Days(last.saturating_sub(*now)), At(*last)
    )]
    Behind {
        /// What the clock says.
        now: i64,
        /// When the newest entry was written.
        last: i64,
    },
}

/// Whether the clock can be believed at a start, by when something was last written.
pub(crate) fn believed(now: i64, last: i64) -> Result<(), ClockError> {
    if now < last.saturating_sub(MAX_BEHIND_SECS) {
        return Err(ClockError::Behind { now, last });
    }
    not_ahead(now, last)
}

/// Whether it has not gone on too far; nothing is lost by one that is set back.
pub(crate) fn not_ahead(now: i64, last: i64) -> Result<(), ClockError> {
    match now > last.saturating_add(MAX_AHEAD_SECS) {
        true => Err(ClockError::Ahead { now, last }),
        false => Ok(()),
    }
}

/// Whole seconds of nanoseconds since the Unix epoch.
pub(crate) fn secs(unix_nanos: u64) -> i64 {
    i64::try_from(unix_nanos / 1_000_000_000).unwrap_or(i64::MAX)
}

/// A time as RFC 3339 writes it; as seconds where that has no year for it.
struct At(i64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Until the year 9999.
        if !(0..2_932_897).contains(&days) {
            return write!(f, "{} s after 1970", self.0);
        }
        let (year, month, day) = date(days);
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
            second % 60
        )
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1970 began. Counted in years that begin in March, with
/// which a leap day is the last of its year, and in rounds of 400 years, which are all alike.
fn date(days: i64) -> (i64, i64, i64) {
    const ROUND: i64 = 146_097;
    let since = days + 719_468;
    let (round, day) = (since / ROUND, since % ROUND);
    let year = (day - day / 1_460 + day / 36_524 - day / (ROUND - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (round * 400 + year + next, month, day - first + 1)
}

/// How long that is, in the largest unit that is not too coarse.
struct Days(i64);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            secs if secs >= 2 * 86_400 => write!(f, "{} days", secs / 86_400),
            secs if secs >= 2 * 3_600 => write!(f, "{} hours", secs / 3_600),
            secs => write!(f, "{} minutes", secs / 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_ahead_and_five_minutes_behind_are_believed_and_no_more() {
        let last = 1_800_000_000;
        let behind = last - MAX_BEHIND_SECS;
        assert!(believed(behind, last).is_ok() && believed(last + MAX_AHEAD_SECS, last).is_ok());
        let now = behind - 1;
        assert_eq!(believed(now, last), Err(ClockError::Behind { now, last }));
        assert!(not_ahead(now, last).is_ok());
        let now = last + MAX_AHEAD_SECS + 1;
        assert_eq!(believed(now, last), Err(ClockError::Ahead { now, last }));
    }

    #[test]
    fn what_is_refused_says_both_times() {
        let (now, last) = (2_142_382_010, 1_795_489_475);
        let text = ClockError::Ahead { now, last }.to_string();
        assert!(
            text.contains("2037-11-21T02:06:50Z, 4014 days after"),
            "{text}"
        );
        assert!(text.contains("2026-11-24T03:04:35Z"), "{text}");
        let behind = ClockError::Behind {
            now: last - 600,
            last,
        };
        assert!(
            behind.to_string().contains("02:54:35Z, 10 minutes before"),
            "{behind}"
        );
        for (secs, said) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-1, "-1 s after 1970"),
        ] {
            assert_eq!(At(secs).to_string(), said);
        }
    }
}
