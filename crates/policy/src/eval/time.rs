//! Datetimes and durations, both in milliseconds.

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The start of the day of a datetime; `None` if there is no such datetime.
pub(super) fn date(datetime: i64) -> Option<i64> {
    datetime.checked_sub(time(datetime)?)
}

/// The time since the start of the day of a datetime.
pub(super) fn time(datetime: i64) -> Option<i64> {
    datetime.checked_rem_euclid(DAY_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_before_their_times() {
        assert_eq!((date(0), time(0)), (Some(0), Some(0)));
        assert_eq!(
            (date(-1), time(-1)),
            (Some(-DAY_MILLIS), Some(DAY_MILLIS - 1))
        );
        assert_eq!(date(i64::MIN), None);
        assert_eq!(time(DAY_MILLIS + 5), Some(5));
    }
}
