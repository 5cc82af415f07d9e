//! Records changed so that most of them are refused, each for a reason of its own.

use crate::rng::Rng;
use tidelock_kabi::HEADER_BYTES;

/// Values at which arithmetic goes wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes a record in one place or a few. Its header is put right again half of the time, so that what is behind it
/// gets read.
pub(crate) fn mutate(record: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let header: Vec<u8> = record.iter().take(HEADER_BYTES).copied().collect();
    for _ in 0..=rng.below(3) {
        once(record, other, rng);
    }
    if rng.once_in(2) && header.len().min(record.len()) == HEADER_BYTES {
        record[..HEADER_BYTES].copy_from_slice(&header);
        let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
        record[8..12].copy_from_slice(&len.to_le_bytes());
    }
}

fn once(record: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.below(record.len());
    match rng.below(9) {
        0 | 1 => {
            if let Some(byte) = record.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        2 => put(record, at, &rng.bytes(1)),
        3 | 4 => {
            let value = rng.pick(&EDGES).copied().unwrap_or(0).to_le_bytes();
            let width = [2, 4, 8][rng.below(3)];
            // Fields of the contract are aligned to four bytes.
            put(record, at & !3, &value[..width]);
        }
        5 => record.truncate(at),
        6 => {
            let more = rng.below(64);
            record.extend(rng.bytes(more));
        }
        7 => {
            let from = rng.below(other.len());
            let len = rng.below(64).min(other.len() - from);
            put(record, at, &other[from..from + len]);
        }
        _ => {
            let end = (at + rng.below(64)).min(record.len());
            record.drain(at..end);
        }
    }
}

/// Overwrites what is there, and no more.
fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in record.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}
