//! What requests tell and conditions compute with.

use core::net::IpAddr;

use crate::request::EntityRef;

/// A value that a condition can compute with. Sets and records may be nested [`MAX_VALUE_DEPTH`] deep.
///
/// [`MAX_VALUE_DEPTH`]: crate::bounds::MAX_VALUE_DEPTH
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Cedar's `Bool`.
    Bool(bool),
    /// Cedar's `Long`.
    Long(i64),
    /// Cedar's `String`.
    Str(&'a str),
    /// An entity, by its name. Its attributes, tags and ancestors are those that the request gives under that name.
    Entity(EntityRef<'a>),
    /// Cedar's `Set`: the order does not matter, nor whether a member is given twice.
    Set(&'a [Self]),
    /// A Cedar record. Of two attributes with one name the first counts.
    Record(&'a [Attribute<'a>]),
    /// Cedar's `ipaddr`.
    Ip(Ip),
    /// Cedar's `decimal`, in ten-thousandths.
    Decimal(i64),
    /// Cedar's `datetime`, in milliseconds since 1970-01-01T00:00:00Z.
    Datetime(i64),
    /// Cedar's `duration`, in milliseconds.
    Duration(i64),
}

/// A named value: of a context, a record, or an entity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'a> {
    /// The attribute's name, such as `port`.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

impl<'a> Attribute<'a> {
    /// An attribute of any type.
    #[must_use]
    pub const fn new(name: &'a str, value: Value<'a>) -> Self {
        Self { name, value }
    }

    /// The attribute `port`, which every action of the published schema has.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Self::new("port", Value::Long(i64::from(port)))
    }
}

/// Bits of an IPv4 address.
const V4_BITS: u8 = 32;
/// Bits of an IPv6 address.
const V6_BITS: u8 = 128;

/// An IP address with the length of its network's prefix: what Cedar calls `ipaddr`. Addresses of one network are equal only
/// if they are the same address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ip {
    /// Of IPv4 the first four, the others being zero.
    bytes: [u8; 16],
    prefix: u8,
    v6: bool,
}

impl Ip {
    /// An IPv4 address; `None` if the prefix is longer than 32 bits.
    #[must_use]
    pub const fn v4(octets: [u8; 4], prefix: u8) -> Option<Self> {
        if prefix > V4_BITS {
            return None;
        }
        let [a, b, c, d] = octets;
        Some(Self {
            bytes: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            prefix,
            v6: false,
        })
    }

    /// An IPv6 address; `None` if the prefix is longer than 128 bits.
    #[must_use]
    pub const fn v6(octets: [u8; 16], prefix: u8) -> Option<Self> {
        if prefix > V6_BITS {
            return None;
        }
        Some(Self {
            bytes: octets,
            prefix,
            v6: true,
        })
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        if let Ok([a, b, c, d, prefix]) = <[u8; 5]>::try_from(bytes) {
            return Self::v4([a, b, c, d], prefix);
        }
        let (prefix, octets) = bytes.split_last()?;
        Self::v6(octets.try_into().ok()?, *prefix)
    }

    /// The address and, last, its prefix: 5 or 17 bytes.
    #[cfg(feature = "alloc")]
    pub(crate) fn write(&self) -> alloc::vec::Vec<u8> {
        let octets = if self.v6 { 16 } else { 4 };
        let mut bytes: alloc::vec::Vec<u8> = self.bytes.iter().copied().take(octets).collect();
        bytes.push(self.prefix);
        bytes
    }

    /// Whether it is an IPv4 address.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        !self.v6
    }

    /// Whether it is an IPv6 address.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.v6
    }

    /// Whether all of it is in 127.0.0.0/8, or it is ::1.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        if self.v6 {
            self.prefix == V6_BITS && u128::from_be_bytes(self.bytes) == 1
        } else {
            let [first, ..] = self.bytes;
            self.prefix >= 8 && first == 127
        }
    }

    /// Whether all of it is in 224.0.0.0/4 or ff00::/8.
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        let [first, ..] = self.bytes;
        if self.v6 {
            self.prefix >= 8 && first == 0xff
        } else {
            self.prefix >= 4 && first >> 4 == 0xe
        }
    }

    /// Whether all of it is in the other one.
    #[must_use]
    pub fn is_in_range(&self, other: &Self) -> bool {
        let ((from, to), (first, last)) = (self.range(), other.range());
        self.v6 == other.v6 && first <= from && to <= last
    }

    /// The first and the last address of the network. IPv4 is the upper end of 128 bits, which orders it as 32 would.
    fn range(&self) -> (u128, u128) {
        let bits = u128::from_be_bytes(self.bytes);
        let host = u128::MAX
            .checked_shr(u32::from(self.prefix))
            .unwrap_or_default();
        (bits & !host, bits | host)
    }
}

impl From<IpAddr> for Ip {
    /// The address alone, with the longest prefix.
    fn from(address: IpAddr) -> Self {
        let (bytes, prefix, v6) = match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                let bytes = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                (bytes, V4_BITS, false)
            }
            IpAddr::V6(address) => (address.octets(), V6_BITS, true),
        };
        Self { bytes, prefix, v6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_compared_within_one_family() {
        let net = Ip::v4([10, 1, 2, 3], 8).unwrap();
        let host = Ip::v4([10, 200, 0, 1], 32).unwrap();
        assert!(host.is_in_range(&net) && !net.is_in_range(&host) && net.is_in_range(&net));
        let all_v4 = Ip::v4([0; 4], 0).unwrap();
        let all_v6 = Ip::v6([0; 16], 0).unwrap();
        assert!(net.is_in_range(&all_v4) && !net.is_in_range(&all_v6));
        assert!(!all_v6.is_in_range(&all_v4) && !all_v4.is_in_range(&all_v6));
    }

    #[test]
    fn what_is_written_is_read() {
        for ip in [
            Ip::v4([1, 2, 3, 4], 7).unwrap(),
            Ip::v6([9; 16], 128).unwrap(),
        ] {
            assert_eq!(Ip::read(&ip.write()), Some(ip));
        }
        assert_eq!(Ip::read(&[1, 2, 3, 4, 33]), None);
        assert_eq!(Ip::read(&[1, 2, 3]), None);
        assert_eq!(Ip::read(&[]), None);
    }
}
