//! The 24 bytes before every record.

use crate::bounds::MAX_RECORD_BYTES;
use crate::read::Reader;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// First four bytes of every record, as a number: `TIDK`.
pub const MAGIC: u32 = 0x4b44_4954;
/// The version of this contract. Module and agent must have the same.
pub const ABI_VERSION: u16 = 7;
/// Length of a header, in bytes.
pub const HEADER_BYTES: usize = 24;
/// [`HEADER_BYTES`] as an offset.
pub(crate) const BODY_AT: u32 = 24;
/// Where the sequence number is in a header.
const SEQ_AT: usize = 16;

/// A header that was checked: magic, version and reserved field are right, and the length is the record's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The kind, not yet known to be one.
    pub kind: u16,
    /// Place in the conversation, from 1.
    pub seq: u64,
}

impl Header {
    /// Checks the header of `record` and gives what follows it.
    ///
    /// # Errors
    /// The first rule broken; magic and version are read before anything that a version may change.
    pub fn parse(record: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let mut r = Reader::new(record, 0);
        if record.len() < HEADER_BYTES {
            return Err(Fault {
                why: RefusedReason::TooShort,
                at: 0,
            });
        }
        if record.len() > MAX_RECORD_BYTES {
            return Err(Fault {
                why: RefusedReason::TooLong,
                at: 0,
            });
        }
        expect(&mut r, RefusedReason::Magic, |r| Ok(r.u32()? == MAGIC))?;
        expect(&mut r, RefusedReason::AbiVersion, |r| {
            Ok(r.u16()? == ABI_VERSION)
        })?;
        let kind = r.u16()?;
        expect(&mut r, RefusedReason::Length, |r| {
            Ok(usize::try_from(r.u32()?) == Ok(record.len()))
        })?;
        expect(&mut r, RefusedReason::Reserved, |r| Ok(r.u32()? == 0))?;
        let seq = r.u64()?;
        let body = record
            .get(HEADER_BYTES..)
            .ok_or(r.fault(RefusedReason::TooShort))?;
        Ok((Self { kind, seq }, body))
    }

    /// The sequence number of a record that may be refused; 0 if it is no record of ours.
    pub(crate) fn seq_of(record: &[u8]) -> u64 {
        let ours = record
            .first_chunk()
            .is_some_and(|magic| u32::from_le_bytes(*magic) == MAGIC);
        let seq = record
            .get(SEQ_AT..HEADER_BYTES)
            .and_then(<[u8]>::first_chunk);
        seq.filter(|_| ours)
            .map_or(0, |seq| u64::from_le_bytes(*seq))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>, len: u32) -> Result<(), EncodeError> {
        w.u32(MAGIC)?;
        w.u16(ABI_VERSION)?;
        w.u16(self.kind)?;
        w.u32(len)?;
        w.u32(0)?;
        w.u64(self.seq)
    }
}

fn expect(
    r: &mut Reader<'_>,
    why: RefusedReason,
    holds: impl FnOnce(&mut Reader<'_>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let fault = r.fault(why);
    if holds(r)? { Ok(()) } else { Err(fault) }
}

/// Which version of the contract a record is of, whatever else it says; `None` if it is no record of ours.
#[must_use]
pub fn abi_version_of(record: &[u8]) -> Option<u16> {
    let mut r = Reader::new(record, 0);
    (r.u32().ok()? == MAGIC).then_some(())?;
    r.u16().ok()
}

/// Writes the sequence number into an encoded record; `false` if it is too short to be one.
#[must_use]
pub fn stamp(record: &mut [u8], seq: u64) -> bool {
    let place = record
        .get_mut(SEQ_AT..HEADER_BYTES)
        .and_then(<[u8]>::first_chunk_mut);
    place
        .map(|place: &mut [u8; 8]| *place = seq.to_le_bytes())
        .is_some()
}

/// Encodes a record: room for the header, the body, then the header with the length.
pub(crate) fn encode(
    header: Header,
    buf: &mut [u8],
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<usize, EncodeError> {
    let mut w = Writer::into_buffer(buf);
    w.put(&[0; HEADER_BYTES])?;
    body(&mut w)?;
    let len = w.len();
    match u32::try_from(len) {
        Ok(small) if len <= MAX_RECORD_BYTES => {
            header.write(&mut Writer::into_buffer(buf), small)?;
            Ok(len)
        }
        _ => Err(Fault {
            why: RefusedReason::TooLong,
            at: 0,
        }
        .into()),
    }
}

/// The length of the record that `body` would make.
#[cfg(feature = "alloc")]
pub(crate) fn measure(
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<usize, EncodeError> {
    let mut w = Writer::measuring();
    w.put(&[0; HEADER_BYTES])?;
    body(&mut w)?;
    Ok(w.len())
}
