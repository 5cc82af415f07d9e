//! Size classes of arena blocks: four steps to each doubling, so that at most a fifth of a block
//! is lost to rounding.
//!
//! ```text
//! 16 32 48 64 | 80 96 112 128 | 160 192 224 256 | 320 …
//! ```

/// How many size classes there are: enough for blocks of 2 GiB.
pub(crate) const CLASSES: usize = 4 * 26;

/// Steps to a doubling.
const STEPS: usize = 4;
/// The first class, and the step up to the fourth.
const FIRST: usize = 16;
/// Logarithm of the fourth class.
const BASE_LOG: u32 = 6;

/// The class that holds `size` bytes; `None` when there is none.
#[must_use]
pub(crate) fn class_of(size: usize) -> Option<usize> {
    let last = size.saturating_sub(1);
    let Some(log) = last.checked_ilog2().filter(|&log| log >= BASE_LOG) else {
        return last.checked_div(FIRST);
    };
    let doubling = usize::try_from(log.checked_sub(BASE_LOG)?).ok()?;
    let over = last.checked_sub(1_usize.checked_shl(log)?)?;
    let step = over.checked_shr(log.checked_sub(2)?)?;
    let class = doubling
        .checked_add(1)?
        .checked_mul(STEPS)?
        .checked_add(step)?;
    if class < CLASSES { Some(class) } else { None }
}

/// The size of a class's blocks, in bytes.
#[must_use]
pub(crate) fn class_bytes(class: usize) -> Option<usize> {
    let step = class.checked_rem(STEPS)?.checked_add(1)?;
    match class.checked_div(STEPS)?.checked_sub(1) {
        None => step.checked_mul(FIRST),
        Some(doubling) => {
            let log = u32::try_from(doubling).ok()?.checked_add(BASE_LOG)?;
            let base = 1_usize.checked_shl(log)?;
            base.checked_add(base.checked_div(STEPS)?.checked_mul(step)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_its_class_and_not_the_one_below() {
        for size in 0..70_000_usize {
            let class = class_of(size).unwrap();
            assert!(class_bytes(class).unwrap() >= size, "{size}");
            if let Some(below) = class.checked_sub(1) {
                assert!(class_bytes(below).unwrap() < size, "{size}");
            }
        }
    }

    #[test]
    fn classes_grow_and_stay_aligned() {
        for class in 1..CLASSES {
            let bytes = class_bytes(class).unwrap();
            assert!(bytes > class_bytes(class - 1).unwrap());
            assert_eq!(bytes % 16, 0);
        }
        assert_eq!(
            class_of(class_bytes(CLASSES - 1).unwrap()),
            Some(CLASSES - 1)
        );
    }

    #[test]
    fn sizes_beyond_the_last_class_have_none() {
        assert_eq!(class_of(class_bytes(CLASSES - 1).unwrap() + 1), None);
        assert_eq!(class_of(usize::MAX), None);
        assert_eq!(class_of(isize::MAX.unsigned_abs()), None);
    }

    #[test]
    fn at_most_a_fifth_is_lost_from_64_bytes_on() {
        for size in 65..70_000_usize {
            let bytes = class_bytes(class_of(size).unwrap()).unwrap();
            assert!((bytes - size) * 5 <= bytes, "{size} in {bytes}");
        }
    }
}
