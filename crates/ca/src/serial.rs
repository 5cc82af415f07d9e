//! Serial numbers.

/// Bytes of a serial number; RFC 5280 §4.1.2.2 allows 20.
pub const SERIAL_BYTES: usize = 16;

/// A random serial number: positive, 16 bytes in DER, 126 bits of them random.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Serial([u8; SERIAL_BYTES]);

impl Serial {
    /// Makes a serial of bytes that the caller drew from a cryptographic source, fresh for this one.
    ///
    /// The first bit is cleared, so that the number is positive, and the second set, so that its
    /// length never varies.
    pub fn from_random(mut bytes: [u8; SERIAL_BYTES]) -> Self {
        let [first, ..] = &mut bytes;
        *first = *first & 0x7f | 0x40;
        Self(bytes)
    }

    /// The number, big endian: what a certificate's INTEGER holds.
    pub fn as_bytes(&self) -> &[u8; SERIAL_BYTES] {
        &self.0
    }
}

impl std::fmt::Display for Serial {
    /// Writes the number in lower-case hexadecimal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Serial;

    #[test]
    fn rfc_5280_4_1_2_2_serial_is_positive_and_of_one_length() {
        assert_eq!(Serial::from_random([0; 16]).as_bytes()[0], 0x40);
        assert_eq!(Serial::from_random([0xff; 16]).as_bytes()[0], 0x7f);
        assert_eq!(Serial::from_random([0xff; 16]).as_bytes()[1..], [0xff; 15]);
        let shown = Serial::from_random([1; 16]).to_string();
        assert_eq!(shown, "41010101010101010101010101010101");
    }
}
