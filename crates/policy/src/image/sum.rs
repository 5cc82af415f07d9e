//! The sum by which an image that was damaged on its way is noticed. It is no signature: who may send images says the channel.

use crate::image::ImageError;
use crate::image::layout::{HEADER_BYTES, SUMMED_HEADER_BYTES};

/// An odd number: multiplying by it loses nothing of 32 bits.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// Checks the sum of a whole image.
pub(crate) fn check(image: &[u8]) -> Result<(), ImageError> {
    let (carried, sum) = sums(image).ok_or(ImageError::Truncated {
        len: image.len(),
        want: HEADER_BYTES,
    })?;
    if carried == sum {
        Ok(())
    } else {
        Err(ImageError::Damaged { carried, sum })
    }
}

/// The sum that an image carries, and the one it has. `None` if it is shorter than a header.
fn sums(image: &[u8]) -> Option<(u32, u32)> {
    let (before, rest) = image.split_first_chunk::<SUMMED_HEADER_BYTES>()?;
    let (carried, after) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*carried), sum(before, after)))
}

/// The sum of the bytes before and after it. Each word changes the state by steps that can be undone, so a change within one
/// word always changes the sum; of others one in 2^32 does not.
pub(crate) fn sum(before: &[u8], after: &[u8]) -> u32 {
    add(add(0, before), after)
}

/// Adds bytes by words; the last may be short.
fn add(state: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let state = words.iter().fold(state, |state, word| mix(state, *word));
    if rest.is_empty() {
        return state;
    }
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    mix(state, last)
}

fn mix(state: u32, word: [u8; 4]) -> u32 {
    let mixed = (state ^ u32::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_within_a_word_always_changes_the_sum() {
        let bytes: [u8; 23] = core::array::from_fn(|at| u8::try_from(at * 37 % 256).unwrap());
        let (before, after) = bytes.split_at(16);
        let whole = sum(before, after);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (before, after) = flipped.split_at(16);
            assert_ne!(sum(before, after), whole, "bit {bit}");
        }
        assert_ne!(sum(&[1, 2], &[]), sum(&[2, 1], &[]));
    }
}
