//! Certificates bent out of shape: refused or still lawful, and never a panic.

mod bodies;
mod common;

use common::*;
use proptest::prelude::*;
use proptest::sample::Index;
use tidelock_spiffe_core::x509::{Leaf, SigningCert};

fn samples() -> [Vec<u8>; 2] {
    [cert(&leaf_exts()), cert_with_subject(&signing_exts())]
}

#[test]
fn every_byte_at_every_position() {
    for mut der in samples() {
        for at in 0..der.len() {
            let kept = der[at];
            for byte in 0..=255 {
                der[at] = byte;
                bodies::certificate(&der);
            }
            der[at] = kept;
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for der in samples() {
        for len in 0..der.len() {
            assert!(Leaf::parse(&der[..len]).is_err(), "{len}");
            assert!(SigningCert::parse(&der[..len]).is_err(), "{len}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn several_edits(edits in prop::collection::vec(
        (any::<Index>(), 0..3_u8, any::<u8>()), 1..8)
    ) {
        static SAMPLES: std::sync::LazyLock<[Vec<u8>; 2]> = std::sync::LazyLock::new(samples);
        for sample in SAMPLES.iter() {
            let mut der = sample.clone();
            for (at, kind, byte) in &edits {
                let at = at.index(der.len());
                match kind {
                    0 => der[at] = *byte,
                    1 => der.insert(at, *byte),
                    _ => drop(der.remove(at)),
                }
            }
            bodies::certificate(&der);
        }
    }

    #[test]
    fn anything_at_all(der in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::certificate(&der);
    }

    #[test]
    fn any_elements_as_fields(
        field in 0..8_usize,
        tag in prop::sample::select(vec![1_u8, 2, 3, 4, 5, 6, 0x17, 0x18, 0x30, 0x31, 0xa0, 0xa3]),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| cert(&leaf_exts()));
        let mut fields = fields(&SAMPLE);
        fields[field] = tlv(tag, &value);
        bodies::certificate(&refit(&SAMPLE, &fields));
    }
}
