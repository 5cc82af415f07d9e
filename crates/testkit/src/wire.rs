//! One direction of a byte stream between two ends.

use tidelock_datapath::RECORD_HEADER_BYTES;

/// Bytes under way in one direction: sent but not delivered, and delivered but not yet a whole
/// record.
#[derive(Debug, Default)]
pub struct Wire {
    /// Sent, not delivered. Tests may change, cut or add to it.
    pub in_flight: Vec<u8>,
    /// Everything ever sent, for captures.
    pub captured: Vec<u8>,
    delivered: Vec<u8>,
}

impl Wire {
    /// Puts bytes on the wire.
    pub fn send(&mut self, bytes: &[u8]) {
        self.in_flight.extend_from_slice(bytes);
        self.captured.extend_from_slice(bytes);
    }

    /// Delivers at most `max` bytes. Gives how many there were.
    pub fn deliver(&mut self, max: usize) -> usize {
        let count = max.min(self.in_flight.len());
        self.delivered.extend(self.in_flight.drain(..count));
        count
    }

    /// The next whole record delivered, header included, as a reader that takes header and body
    /// would have it. What cannot begin a record is given out as it is, since no length can be read
    /// from it.
    pub fn record(&mut self) -> Option<Vec<u8>> {
        let header = *self.delivered.first_chunk::<RECORD_HEADER_BYTES>()?;
        let body = tidelock_datapath::record_body_len(header).unwrap_or(0);
        let len = RECORD_HEADER_BYTES + body;
        (self.delivered.len() >= len).then(|| self.delivered.drain(..len).collect())
    }

    /// The records in `bytes`, which must be whole ones: content type and body.
    #[must_use]
    pub fn records(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut out = Vec::new();
        while let Some((&header, rest)) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>() {
            let len = tidelock_datapath::record_body_len(header).expect("a TLS record");
            let (body, rest) = rest.split_at_checked(len).expect("a whole record");
            out.push((header[0], body.to_vec()));
            bytes = rest;
        }
        assert!(bytes.is_empty(), "{} bytes are no record", bytes.len());
        out
    }
}
