//! The fuzzers' bodies on inputs that proptest chooses, so that they run wherever tests do.

mod bodies;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn stream(input in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::stream(&input);
    }

    #[test]
    fn tampered(script in prop::collection::vec(any::<u8>(), 0..40)) {
        bodies::tampered(&script);
    }

    #[test]
    fn certificate(input in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::certificate(&input);
    }

    #[test]
    fn framing(input in prop::collection::vec(any::<u8>(), 0..20)) {
        bodies::framing(&input);
    }

    #[test]
    fn requests(input in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::requests(&input);
    }
}
