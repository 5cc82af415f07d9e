//! Numbers and addresses as text, without `core::fmt`.

/// Most decimal digits of a `u64`.
const MAX_DIGITS: usize = 20;
/// Where the IPv4 address begins in a v4-mapped one (RFC 4291 §2.5.5.2).
const V4_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Gives the decimal digits of a number to `put`.
pub(crate) fn decimal(number: u64, put: &mut impl FnMut(&[u8])) {
    let mut digits = [0; MAX_DIGITS];
    let mut rest = number;
    let mut used = 0_usize;
    for place in digits.iter_mut().rev() {
        *place = digit(rest % 10);
        rest /= 10;
        used = used.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    put(digits.get(MAX_DIGITS.saturating_sub(used)..).unwrap_or(&[]));
}

/// The character of a digit below 16.
fn digit(n: u64) -> u8 {
    let n = u8::try_from(n).unwrap_or(0);
    match n {
        0..=9 => b'0'.saturating_add(n),
        _ => b'a'.saturating_add(n.saturating_sub(10)),
    }
}

/// A byte in two hexadecimal digits.
pub(crate) fn hex(byte: u8) -> [u8; 2] {
    [digit(u64::from(byte >> 4)), digit(u64::from(byte & 0xf))]
}

/// Gives an address to `put`: dotted if it is v4-mapped, else in brackets as RFC 5952 has it.
pub(super) fn ip(ip: [u8; 16], put: &mut impl FnMut(&[u8])) {
    if let Some((V4_PREFIX, [a, b, c, d])) = ip.split_first_chunk().map(|(p, v4)| (*p, v4)) {
        decimal(u64::from(*a), put);
        for byte in [b, c, d] {
            put(b".");
            decimal(u64::from(*byte), put);
        }
        return;
    }
    put(b"[");
    v6(&ip, put);
    put(b"]");
}

/// The groups of an IPv6 address, the longest run of two or more zeros as `::`.
fn v6(ip: &[u8; 16], put: &mut impl FnMut(&[u8])) {
    let groups = ip.as_chunks::<2>().0;
    let (start, len) = longest_zeros(groups);
    for (at, group) in groups.iter().enumerate() {
        let in_run = len > 1 && at.checked_sub(start).is_some_and(|past| past < len);
        if in_run {
            if at == start {
                put(b"::");
            }
            continue;
        }
        let after_run = len > 1 && at == start.saturating_add(len);
        if at > 0 && !after_run {
            put(b":");
        }
        hex_group(*group, put);
    }
}

/// The first of the longest runs of zero groups: where, and how long.
fn longest_zeros(groups: &[[u8; 2]]) -> (usize, usize) {
    let (mut best, mut run) = ((0_usize, 0_usize), (0_usize, 0_usize));
    for (at, group) in groups.iter().enumerate() {
        run = match (group, run.1) {
            ([0, 0], 0) => (at, 1),
            ([0, 0], len) => (run.0, len.saturating_add(1)),
            _ => (at, 0),
        };
        if run.1 > best.1 {
            best = run;
        }
    }
    best
}

/// 16 bits in hexadecimal without leading zeros.
fn hex_group([high, low]: [u8; 2], put: &mut impl FnMut(&[u8])) {
    let ([a, b], [c, d]) = (hex(high), hex(low));
    let digits = [a, b, c, d];
    let zeros = digits
        .iter()
        .take(3)
        .take_while(|&&digit| digit == b'0')
        .count();
    put(digits.get(zeros..).unwrap_or(&digits));
}
