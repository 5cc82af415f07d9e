//! UTCTime and GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows: seconds, `Z`.

const DAY_SECS: i64 = 86_400;
/// Leap days from the year 1 to 1969.
const LEAP_DAYS_BEFORE_1970: i64 = 477;

/// `YYMMDDHHMMSSZ`, where 50 to 99 are 1950 to 1999.
pub(super) fn utc(value: &[u8]) -> Option<i64> {
    let (year, rest) = value.split_first_chunk::<2>()?;
    let year = two(*year)?;
    let century = if year >= 50 { 1900 } else { 2000 };
    unix(year.checked_add(century)?, rest)
}

/// `YYYYMMDDHHMMSSZ`.
pub(super) fn generalized(value: &[u8]) -> Option<i64> {
    let (&[a, b, c, d], rest) = value.split_first_chunk::<4>()?;
    unix(
        two([a, b])?.checked_mul(100)?.checked_add(two([c, d])?)?,
        rest,
    )
}

fn unix(year: i64, rest: &[u8]) -> Option<i64> {
    let &[mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, b'Z'] = rest else {
        return None;
    };
    let (month, day) = (two([mo1, mo2])?, two([d1, d2])?);
    let (hour, minute, second) = (two([h1, h2])?, two([mi1, mi2])?, two([s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = hour.checked_mul(60)?.checked_add(minute)?;
    let seconds = minutes.checked_mul(60)?.checked_add(second)?;
    days(year, month, day)?
        .checked_mul(DAY_SECS)?
        .checked_add(seconds)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, if there is such a date.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = is_leap(year);
    let february = if leap { 29 } else { 28 };
    let (before, len) = match month {
        1 => (0, 31),
        2 => (31, february),
        3 => (59, 31),
        4 => (90, 30),
        5 => (120, 31),
        6 => (151, 30),
        7 => (181, 31),
        8 => (212, 31),
        9 => (243, 30),
        10 => (273, 31),
        11 => (304, 30),
        12 => (334, 31),
        _ => return None,
    };
    if day < 1 || day > len {
        return None;
    }
    let past = year.checked_sub(1)?;
    let leap_days = past
        .div_euclid(4)
        .checked_sub(past.div_euclid(100))?
        .checked_add(past.div_euclid(400))?
        .checked_sub(LEAP_DAYS_BEFORE_1970)?;
    let this_year = i64::from(leap && month > 2)
        .checked_add(before)?
        .checked_add(day)?;
    let years = year.checked_sub(1970)?.checked_mul(365)?;
    years
        .checked_add(leap_days)?
        .checked_add(this_year)?
        .checked_sub(1)
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Two decimal digits.
fn two([high, low]: [u8; 2]) -> Option<i64> {
    if !high.is_ascii_digit() || !low.is_ascii_digit() {
        return None;
    }
    let digit = |b: u8| i64::from(b & 0x0f);
    digit(high).checked_mul(10)?.checked_add(digit(low))
}
