//! A session of the kernel's end: every record that an agent might write, in any order.
//!
//! The input is a sequence of records, each behind a length; what the fuzzer would have to guess in
//! their headers (magic, version, length, sequence number) is put right unless it asks to keep it wrong.
#![cfg_attr(fuzzing, no_main)]

use tidelock_kabi::{ABI_VERSION, HEADER_BYTES, KernelEnd, MAGIC, ToKernel};

tidelock_fuzz::target!(|input: &[u8]| {
    let mut kernel = KernelEnd::new(0);
    let (mut rest, mut seq) = (input, 1_u64);
    for _ in 0..16 {
        let Some(([len_low, len_high, how], after)) = rest.split_first_chunk() else {
            return;
        };
        let len = usize::from(u16::from_le_bytes([*len_low, *len_high])).min(after.len());
        let (mut record, next) = (after[..len].to_vec(), &after[len..]);
        rest = next;
        if how % 8 != 0 && record.len() >= HEADER_BYTES {
            let len = u32::try_from(record.len()).unwrap();
            record[..4].copy_from_slice(&MAGIC.to_le_bytes());
            record[4..6].copy_from_slice(&ABI_VERSION.to_le_bytes());
            record[8..12].copy_from_slice(&len.to_le_bytes());
            record[12..16].fill(0);
            record[16..24].copy_from_slice(&seq.to_le_bytes());
        }
        let before = kernel;
        match kernel.handle(&record) {
            Err(_) => assert_eq!(kernel, before, "a refusal changed the session"),
            Ok(command) => {
                // Whatever decodes encodes to the very bytes it came from.
                assert_eq!(command.to_vec(seq).unwrap(), record);
                assert!(kernel.generation() >= before.generation());
                walk(command);
                seq += 1;
            }
        }
        assert_eq!(KernelEnd::from_bytes(&kernel.to_bytes()), kernel);
    }
});

/// Reads every item of every list: none may be missing.
fn walk(command: ToKernel<'_>) {
    let ToKernel::Config(config) = command else {
        return;
    };
    assert_eq!(config.prefilter.iter().count(), config.prefilter.len());
    assert_eq!(config.services.iter().count(), config.services.len());
    assert_eq!(config.bundles.iter().count(), config.bundles.len());
    for service in config.services {
        assert_eq!(service.servers.iter().count(), service.servers.len());
    }
    for bundle in config.bundles {
        assert_eq!(bundle.authorities.iter().count(), bundle.authorities.len());
    }
}
