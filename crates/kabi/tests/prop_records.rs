//! Every record survives the journey, and nothing else decodes to anything but itself.
//!
//! The encoding is canonical: whatever decodes encodes to the very bytes it came from. So a mutated
//! record is either refused or is another valid record, never a second spelling of the same.

mod common;

use common::samples::*;
use common::*;
use proptest::prelude::*;
use tidelock_kabi::*;

fn kernel_canonical(bytes: &[u8]) -> Result<u64, Fault> {
    let (seq, record) = ToKernel::decode(bytes)?;
    assert_eq!(record.to_vec(seq).unwrap(), bytes, "{record:?}");
    Ok(seq)
}

fn agent_canonical(bytes: &[u8]) -> Result<u64, Fault> {
    let (seq, record) = ToAgent::decode(bytes)?;
    assert_eq!(record.to_vec(seq).unwrap(), bytes, "{record:?}");
    Ok(seq)
}

fn either_canonical(bytes: &[u8]) {
    let both = (kernel_canonical(bytes), agent_canonical(bytes));
    assert!(
        both.0.is_err() || both.1.is_err(),
        "a record that both directions take"
    );
    for fault in [both.0.err(), both.1.err()].into_iter().flatten() {
        assert!(fault.at as usize <= bytes.len(), "{fault}");
    }
}

proptest! {
    #[test]
    fn a_record_to_the_kernel_decodes_to_itself(record in to_kernel(), seq: u64) {
        let bytes = record.to_vec(seq).unwrap();
        prop_assert_eq!(ToKernel::decode(&bytes).unwrap(), (seq, record));
        either_canonical(&bytes);
    }

    #[test]
    fn a_record_to_the_agent_decodes_to_itself(record in to_agent(), seq: u64) {
        let bytes = record.to_vec(seq).unwrap();
        prop_assert_eq!(ToAgent::decode(&bytes).unwrap(), (seq, record));
        either_canonical(&bytes);
        prop_assert!(bytes.len() <= bounds::MAX_TO_AGENT_BYTES);
    }

    /// What is looked up by halves is what looking at each would find, in the record as in what it was made of.
    #[test]
    fn a_serial_is_revoked_if_and_only_if_it_is_in_the_list(config in config(), other in serial()) {
        let bytes = ToKernel::Config(config).to_vec(1).unwrap();
        let read = Config::parse(&bytes[HEADER_BYTES..]).unwrap();
        for serial in config.revoked.iter().chain([other]) {
            let there = config.revoked.iter().any(|revoked| revoked == serial);
            prop_assert_eq!(read.is_revoked(serial.as_bytes()), there);
            prop_assert_eq!(config.is_revoked(serial.as_bytes()), there);
        }
        prop_assert!(!read.is_revoked(&[]) && !read.is_revoked(&[1; bounds::MAX_SERIAL_BYTES + 1]));
    }

    #[test]
    fn a_lent_buffer_gets_the_same_bytes_or_no_space(record in to_kernel(), spare in 0_usize..9) {
        let bytes = record.to_vec(3).unwrap();
        let mut buf = vec![0xaa; bytes.len() + spare];
        prop_assert_eq!(record.encode(3, &mut buf), Ok(bytes.len()));
        prop_assert_eq!(&buf[..bytes.len()], &bytes[..]);
        prop_assert!(buf[bytes.len()..].iter().all(|&byte| byte == 0xaa), "wrote past the record");
        let short = bytes.len() - 1 - spare.min(bytes.len() - 1);
        prop_assert_eq!(record.encode(3, &mut buf[..short]), Err(EncodeError::NoSpace));
    }

    #[test]
    fn a_stamp_changes_the_sequence_number_only(record in to_agent(), seq: u64) {
        let mut bytes = record.to_vec(0).unwrap();
        prop_assert!(stamp(&mut bytes, seq));
        prop_assert_eq!(bytes, record.to_vec(seq).unwrap());
    }

    #[test]
    fn a_mutated_record_is_refused_or_another_valid_one(
        kernel in to_kernel(),
        agent in to_agent(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut bytes in [kernel.to_vec(1).unwrap(), agent.to_vec(1).unwrap()] {
            for (at, byte) in &edits {
                *at.get_mut(&mut bytes) = *byte;
            }
            either_canonical(&bytes);
        }
    }

    #[test]
    fn a_cut_or_spliced_record_is_refused_or_another_valid_one(
        left in to_kernel(),
        right in to_kernel(),
        cut: prop::sample::Index,
        resume: prop::sample::Index,
    ) {
        let (left, right) = (left.to_vec(1).unwrap(), right.to_vec(1).unwrap());
        let mut bytes = left[..cut.index(left.len())].to_vec();
        bytes.extend_from_slice(&right[resume.index(right.len())..]);
        let len = u32::try_from(bytes.len()).unwrap();
        if let Some(field) = bytes.get_mut(8..12) {
            field.copy_from_slice(&len.to_le_bytes());
        }
        either_canonical(&bytes);
    }

    #[test]
    fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        either_canonical(&bytes);
    }

    #[test]
    fn garbage_behind_a_true_header_is_refused_or_valid(
        kind in prop_oneof![1_u16..=8, 0x101_u16..=0x10b],
        body in proptest::collection::vec(prop_oneof![3 => Just(0), 2 => 1..9_u8, 1 => any::<u8>()], 0..160),
    ) {
        let mut bytes = ToKernel::Drain.to_vec(1).unwrap();
        bytes.extend(body);
        let len = u32::try_from(bytes.len()).unwrap();
        bytes[6..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        either_canonical(&bytes);
    }
}

#[test]
fn every_truncation_is_refused() {
    let kernel = every_to_kernel()
        .into_iter()
        .map(|record| record.to_vec(1).unwrap());
    let agent = every_to_agent()
        .into_iter()
        .map(|record| record.to_vec(1).unwrap());
    for bytes in kernel.chain(agent) {
        for len in 0..bytes.len() {
            let mut cut = bytes[..len].to_vec();
            assert!(kernel_canonical(&cut).is_err() && agent_canonical(&cut).is_err());
            // Also when the header tells the truth about the shorter length.
            if let Some(field) = cut.get_mut(8..12) {
                field.copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
            }
            assert!(
                kernel_canonical(&cut).is_err() && agent_canonical(&cut).is_err(),
                "{cut:?}"
            );
        }
    }
}

#[test]
fn every_single_byte_mutation_is_refused_or_another_valid_record() {
    let kernel = every_to_kernel()
        .into_iter()
        .map(|record| record.to_vec(1).unwrap());
    let agent = every_to_agent()
        .into_iter()
        .map(|record| record.to_vec(1).unwrap());
    for mut bytes in kernel.chain(agent) {
        for at in 0..bytes.len() {
            let before = bytes[at];
            for byte in 0..=u8::MAX {
                bytes[at] = byte;
                either_canonical(&bytes);
            }
            bytes[at] = before;
        }
    }
}

#[test]
fn every_appended_byte_is_refused() {
    for record in every_to_kernel() {
        let mut bytes = record.to_vec(1).unwrap();
        bytes.push(0);
        assert_eq!(
            ToKernel::decode(&bytes).unwrap_err().why,
            RefusedReason::Length
        );
        let len = u32::try_from(bytes.len()).unwrap();
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        assert!(ToKernel::decode(&bytes).is_err(), "{record:?}");
    }
}
