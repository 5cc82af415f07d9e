//! The `cedar-policy` authorizer as the oracle: random schemas, policies, templates, entities and requests get the same
//! decision from it and from the image, by the same determining policies. There is one difference, and it is on purpose: a
//! `forbid` that cannot be evaluated denies, where Cedar skips it.
//!
//! `TIDELOCK_POLICY_CASES` is the number of requests, eight to a policy set; given, the seed is another each time.
#![cfg(feature = "compile")]

mod body;
mod explained;
mod generate;
mod mutation;
mod oracle;
mod ours;
mod reach;
mod wide;

use std::cell::RefCell;

use generate::Case;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reach::Reach;

const DEFAULT_CASES: u32 = 20_000;
/// Requests to a policy set.
const QUESTIONS: u32 = 8;
/// Bytes that a case is drawn from.
const CASE_BYTES: usize = 3000;

#[test]
fn the_image_decides_as_cedar_does() {
    let cases: Option<u32> = std::env::var("TIDELOCK_POLICY_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(DEFAULT_CASES).div_ceil(QUESTIONS),
        failure_persistence: None,
        ..Config::default()
    };
    let seed: [u8; 32] = match cases {
        None => *b"tidelock policy differential #02",
        Some(_) => random_seed(),
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let reach = RefCell::new(Reach::default());
    let strategy = vec(any::<u8>(), CASE_BYTES);
    let result = TestRunner::new_with_rng(config, rng).run(&strategy, |bytes| {
        body::run(&Case::of(&bytes), &mut reach.borrow_mut()).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    reach.into_inner().assert_wide();
}

/// Long runs take another seed each time.
fn random_seed() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    let seed = RandomState::new().hash_one("seed");
    println!("seed {seed:#x}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
