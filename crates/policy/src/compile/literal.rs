//! The strings that Cedar's constructors take, read as Cedar reads them.

use core::net::IpAddr;

use cedar_policy::pst::UnaryOp;

use crate::build::Expr;
use crate::eval::time::DAY_MILLIS;
use crate::value::Ip;

/// The value that a constructor makes of a string; `None` if it makes none, or is no constructor.
pub(crate) fn extension(constructor: UnaryOp, text: &str) -> Option<Expr> {
    match constructor {
        UnaryOp::Ip => ip(text).map(Expr::Ip),
        UnaryOp::Decimal => decimal(text).map(Expr::Decimal),
        UnaryOp::Datetime => datetime(text).map(Expr::Datetime),
        UnaryOp::Duration => duration(text).map(Expr::Duration),
        _ => None,
    }
}

/// An address, or one with the length of a prefix. IPv4 within IPv6 is none.
fn ip(text: &str) -> Option<Ip> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let several = |c| text.matches(c).nth(1).is_some();
    if text.len() > 43 || several(':') && several('.') {
        return None;
    }
    let address: IpAddr = address.parse().ok()?;
    let Some(prefix) = prefix else {
        return Some(Ip::from(address));
    };
    if !prefix.bytes().all(|byte| byte.is_ascii_digit())
        || (prefix.starts_with('0') && prefix != "0")
    {
        return None;
    }
    let prefix = prefix.parse().ok()?;
    match address {
        IpAddr::V4(address) => Ip::v4(address.octets(), prefix),
        IpAddr::V6(address) => Ip::v6(address.octets(), prefix),
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A decimal of up to four places, in ten-thousandths.
fn decimal(text: &str) -> Option<i64> {
    let (whole, places) = text.split_once('.')?;
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !digits(places) || places.len() > 4 {
        return None;
    }
    let scale = 10i64.checked_pow(4u32.checked_sub(u32::try_from(places.len()).ok()?)?)?;
    let part = places.parse::<i64>().ok()?.checked_mul(scale)?;
    let whole_part = whole.parse::<i64>().ok()?.checked_mul(10_000)?;
    if whole.starts_with('-') {
        whole_part.checked_sub(part)
    } else {
        whole_part.checked_add(part)
    }
}

/// Days, hours, minutes, seconds and milliseconds in this order, each at most once, in milliseconds.
fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 5] = [
        ("d", DAY_MILLIS),
        ("h", 60 * 60 * 1000),
        ("m", 60 * 1000),
        ("s", 1000),
        ("ms", 1),
    ];
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0i64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at_checked(end)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let &(_, millis) = units.find(|&&(name, _)| name == unit)?;
        // The least number of milliseconds has no positive counterpart.
        let signed = i128::from(count.parse::<u64>().ok()?);
        let signed = if negative {
            signed.checked_neg()?
        } else {
            signed
        };
        let part = signed.checked_mul(i128::from(millis))?;
        total = i64::try_from(i128::from(total).checked_add(part)?).ok()?;
        rest = tail;
    }
    Some(total)
}

/// A date, or a date and a time of some offset from UTC, in milliseconds since 1970.
fn datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let midnight = days(date)?.checked_mul(DAY_MILLIS)?;
    if time.is_empty() {
        return Some(midnight);
    }
    let (clock, zone) = time.strip_prefix('T')?.split_at_checked(8)?;
    let [hour, minute, second] = split(clock, ':', [24, 60, 60])?;
    let (millis, zone) = match zone.strip_prefix('.') {
        Some(fraction) => {
            let (millis, zone) = fraction.split_at_checked(3)?;
            (number(millis, 1000)?, zone)
        }
        None => (0, zone),
    };
    let offset = match zone {
        "Z" => 0,
        _ => {
            let (sign, zone) = zone.split_at_checked(1)?;
            let (hours, minutes) = zone.split_at_checked(2)?;
            let (hours, minutes) = (two(hours, 24)?, two(minutes, 60)?);
            let ahead = hours.checked_mul(60)?.checked_add(minutes)?;
            match sign {
                "+" => ahead,
                "-" => ahead.checked_neg()?,
                _ => return None,
            }
        }
    };
    let minutes = hour
        .checked_mul(60)?
        .checked_add(minute)?
        .checked_sub(offset)?;
    let seconds = minutes.checked_mul(60)?.checked_add(second)?;
    midnight
        .checked_add(seconds.checked_mul(1000)?)?
        .checked_add(millis)
}

/// A number of digits alone, below a limit.
fn number(text: &str, limit: i64) -> Option<i64> {
    let number = text.parse().ok().filter(|_| digits(text))?;
    (number < limit).then_some(number)
}

/// A number of two digits.
fn two(text: &str, limit: i64) -> Option<i64> {
    number(text, limit).filter(|_| text.len() == 2)
}

/// Three numbers of two digits.
fn split(text: &str, between: char, limits: [i64; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut next = |limit| two(parts.next()?, limit);
    let [first, second, third] = limits;
    let numbers = [next(first)?, next(second)?, next(third)?];
    parts.next().is_none().then_some(numbers)
}

/// The days from 1970-01-01 to a date written `YYYY-MM-DD`, by the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let (year, rest) = date.split_at_checked(4)?;
    let year = number(year, 10_000)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let (month, day) = (two(month, 13)?, two(day, 32)?);
    let leap = year.checked_rem(4) == Some(0)
        && (year.checked_rem(100) != Some(0) || year.checked_rem(400) == Some(0));
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    let length = *lengths.get(before)?;
    if day < 1 || day > length {
        return None;
    }
    // Leap days of the years before, from the year 0, which has one.
    let past = year.checked_sub(1)?;
    let leaps = past
        .div_euclid(4)
        .checked_sub(past.div_euclid(100))?
        .checked_add(past.div_euclid(400))?;
    let months: i64 = lengths.iter().take(before).sum();
    year.checked_mul(365)?
        .checked_add(leaps)?
        .checked_add(months)?
        .checked_add(day.checked_sub(1)?)?
        .checked_sub(EPOCH_DAYS)
}

/// What [`days`] reckons for 1970-01-01 before this is taken off: with the leap days of the years 1 to 1969.
const EPOCH_DAYS: i64 = 1970 * 365 + 477;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_read_as_cedar_reads_them() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1970-01-02T00:00:00Z", Some(DAY_MILLIS)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2024-02-29T12:30:45.678+0130", Some(1_709_204_445_678)),
            ("2000-03-01T00:00:00-0100", Some(951_872_400_000)),
            ("0000-01-01", Some(-62_167_219_200_000)),
            ("9999-12-31", Some(253_402_214_400_000)),
            ("2023-02-29", None),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00+2400", None),
            ("1970-1-01", None),
            ("1970-01-01Z", None),
            ("", None),
        ] {
            assert_eq!(datetime(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_read_as_cedar_reads_them() {
        for (text, expected) in [
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("-1s", Some(-1000)),
            ("5ms", Some(5)),
            ("5m", Some(300_000)),
            ("-9223372036854775808ms", Some(i64::MIN)),
            ("9223372036854775808ms", None),
            ("1h1d", None),
            ("1d1d", None),
            ("-", None),
            ("", None),
            ("1", None),
            ("d", None),
            ("1w", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn decimals_read_as_cedar_reads_them() {
        for (text, expected) in [
            ("1.0", Some(10_000)),
            ("-0.5", Some(-5_000)),
            ("922337203685477.5807", Some(i64::MAX)),
            ("-922337203685477.5808", Some(i64::MIN)),
            ("922337203685477.5808", None),
            ("1.00000", None),
            ("1", None),
            (".5", None),
            ("+1.0", None),
        ] {
            assert_eq!(decimal(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_read_as_cedar_reads_them() {
        assert_eq!(ip("10.0.0.1/8"), Ip::v4([10, 0, 0, 1], 8));
        assert_eq!(ip("10.0.0.1"), Ip::v4([10, 0, 0, 1], 32));
        assert!(ip("::1").is_some_and(|ip| ip.is_loopback()));
        for none in [
            "10.0.0.1/33",
            "10.0.0.1/08",
            "::ffff:1.2.3.4",
            "10.0.0.1/",
            "x",
            "10.0.0.1/+8",
        ] {
            assert_eq!(ip(none), None, "{none}");
        }
    }
}
