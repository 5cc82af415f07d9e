//! The SVIDs that are believed no more, as one immutable value.

use sha2::{Digest as _, Sha256};

use crate::store::RevokedRecord;

/// What is revoked, by serial number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revoked {
    /// Sorted by serial number, each once.
    records: Vec<RevokedRecord>,
}

impl Revoked {
    pub(crate) fn new(mut records: Vec<RevokedRecord>) -> Self {
        records.sort_by(|a, b| a.serial.cmp(&b.serial));
        records.dedup_by(|a, b| a.serial == b.serial);
        Self { records }
    }

    /// The SVID of this serial number, if it is revoked.
    pub(crate) fn find(&self, serial: &[u8]) -> Option<&RevokedRecord> {
        let at = self
            .records
            .binary_search_by(|record| record.serial.as_slice().cmp(serial));
        self.records.get(at.ok()?)
    }

    /// Whether nodes are told that the SVID of this serial number is revoked.
    pub(crate) fn tells_of(&self, serial: &[u8], now: i64) -> bool {
        self.find(serial).is_some_and(|record| record.until > now)
    }

    /// Without those that are over, and with these.
    pub(crate) fn with(&self, more: &[RevokedRecord], now: i64) -> Self {
        let counting = self.records.iter().filter(|record| record.until > now);
        Self::new(counting.chain(more).cloned().collect())
    }

    /// What nodes are told: those that are not over yet, sorted.
    pub(crate) fn serials(&self, now: i64) -> Vec<Vec<u8>> {
        let counting = self.records.iter().filter(|record| record.until > now);
        counting.map(|record| record.serial.clone()).collect()
    }

    /// Tells two of them apart; `None` if nothing is revoked.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        if self.records.is_empty() {
            return None;
        }
        let mut digest = Sha256::new();
        for record in &self.records {
            digest.update(record.serial.len().to_le_bytes());
            digest.update(&record.serial);
        }
        Some(digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(serial: &[u8], until: i64) -> RevokedRecord {
        RevokedRecord {
            serial: serial.to_vec(),
            spiffe_id: "spiffe://td/a".into(),
            node: "n".into(),
            until,
        }
    }

    #[test]
    fn nodes_are_told_each_serial_once_in_order_until_it_is_over() {
        let revoked = Revoked::new(vec![
            record(&[2], 20),
            record(&[1, 0], 10),
            record(&[2], 20),
            record(&[1], 30),
        ]);
        assert_eq!(revoked.serials(9), [&[1][..], &[1, 0], &[2]]);
        assert_eq!(revoked.serials(10), [[1], [2]]);
        assert_eq!(revoked.serials(20), [[1]]);
        assert_eq!(revoked.serials(30), [[]; 0] as [[u8; 0]; 0]);
        // Who asks is not let in meanwhile: a clock may be set back.
        assert!(revoked.find(&[1, 0]).is_some() && revoked.find(&[3]).is_none());
    }

    #[test]
    fn what_is_over_makes_room_for_more() {
        let revoked = Revoked::new(vec![record(&[1], 10), record(&[2], 20)]);
        let more = revoked.with(&[record(&[0], 30)], 15);
        assert_eq!(
            (more.records.len(), more.serials(15)),
            (2, vec![vec![0], vec![2]])
        );
    }

    #[test]
    fn nothing_revoked_is_no_news() {
        assert_eq!(Revoked::default().digest(), None);
        let (one, two) = (record(&[1], 1), record(&[2], 1));
        let digests = [vec![one.clone()], vec![two.clone()], vec![one, two]]
            .map(|records| Revoked::new(records).digest());
        assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0].is_some());
    }
}
