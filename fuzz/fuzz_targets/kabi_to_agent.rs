//! One record that the kernel might hand to an agent.
#![cfg_attr(fuzzing, no_main)]

use tidelock_kabi::{ABI_VERSION, AgentEnd, MAGIC, ToAgent};

tidelock_fuzz::target!(|input: &[u8]| {
    let mut record = input.to_vec();
    if let Some(header) = record.first_chunk_mut::<24>() {
        let len = u32::try_from(input.len()).unwrap();
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..6].copy_from_slice(&ABI_VERSION.to_le_bytes());
        header[8..12].copy_from_slice(&len.to_le_bytes());
    }
    if let Ok((seq, record_read)) = ToAgent::decode(&record) {
        assert_eq!(record_read.to_vec(seq).unwrap(), record);
        if let ToAgent::Exec(evidence) = record_read {
            assert!(evidence.args().count() <= evidence.argv.len());
        }
    }
    let mut agent = AgentEnd::new();
    let before = agent;
    if agent.handle(&record).is_err() {
        assert_eq!(agent, before);
    }
});
