//! Serial numbers of certificates, by value.

use core::fmt;

use crate::bounds::MAX_SERIAL_BYTES;
use crate::list::{Rows, sealed};
use crate::read::Reader;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// A row of a list of these: the bytes, zeros behind them, and how many count.
pub(crate) const SERIAL_ROW_BYTES: usize = MAX_SERIAL_BYTES + 1;

/// A certificate's serial number: the contents of the INTEGER, 1 to [`MAX_SERIAL_BYTES`] bytes of them.
///
/// They have an order, so that one can be found among many; it is not that of the numbers.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Serial {
    /// INVARIANT: zero behind `len`.
    bytes: [u8; MAX_SERIAL_BYTES],
    len: u8,
}

impl Serial {
    /// The serial number of these bytes; `None` if they are none or too many.
    #[must_use]
    pub fn new(from: &[u8]) -> Option<Self> {
        let len = u8::try_from(from.len()).ok().filter(|&len| len != 0)?;
        let mut bytes = [0; MAX_SERIAL_BYTES];
        let place = bytes.get_mut(..from.len())?;
        place
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        Some(Self { bytes, len })
    }

    /// The bytes that it was made of.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Reads a row. A length out of range and bytes behind it are refused.
    pub(crate) fn parse(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let at = r.at();
        let bytes: [u8; MAX_SERIAL_BYTES] = r.array()?;
        let no_len = r.fault(RefusedReason::OutOfRange);
        let len = usize::from(r.u8()?);
        let serial = bytes.get(..len).and_then(Self::new).ok_or(no_len)?;
        if serial.bytes == bytes {
            Ok(serial)
        } else {
            let why = RefusedReason::Reserved;
            Err(Fault { why, at })
        }
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(&self.bytes)?;
        w.u8(self.len)
    }
}

impl fmt::Display for Serial {
    /// Writes the bytes in lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for Serial {
    const BYTES: usize = SERIAL_ROW_BYTES;
    fn read(row: &mut Reader<'a>, _: &Rows<'a>) -> Option<Self> {
        Self::parse(row).ok()
    }
}
