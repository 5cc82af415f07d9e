//! Addresses of Services: `10.0.0.1:8080`, `10.0.0.0/24:80`, `[::1]:8080`, `[2001:db8::/32]:443`.

use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv6Addr};

/// How many bits come before an IPv4 address in its v4-mapped form (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// An address range and a port. IPv4 is held v4-mapped, as the kernel does, so `[::/0]` includes all of IPv4.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    /// The first address; bits past the prefix are zero.
    first: u128,
    /// 0 to 128.
    prefix_len: u8,
    port: u16,
}

/// Why an address was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing that could be a port at the end.
    #[error("has no port; an address is written `10.0.0.1:8080`, `10.0.0.0/24:80` or `[::1]:8080`")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    BadPort,
    /// Not an IP address. DNS names are not known.
    #[error("does not begin with an IP address (IPv6 in brackets)")]
    BadIp,
    /// The prefix length is not a number, or too long for the address.
    #[error("has a prefix length that is not a number from 0 to {max}")]
    BadPrefix {
        /// The longest there is.
        max: u8,
    },
    /// Bits are set past the prefix.
    #[error("has bits set past its prefix; did you mean `{network}`?")]
    HostBits {
        /// With those bits cleared.
        network: Address,
    },
    /// An IPv4 address in IPv6 dress.
    #[error("is a v4-mapped address; write it as IPv4")]
    Mapped,
    /// `0.0.0.0` or `::` without a prefix: no connection goes there.
    #[error("is not an address to connect to; for every address write `0.0.0.0/0` or `[::/0]`")]
    Unspecified,
}

impl From<AddrParseError> for AddressError {
    fn from(_: AddrParseError) -> Self {
        Self::BadIp
    }
}

impl Address {
    /// Parses an address range and port.
    ///
    /// # Errors
    /// Names the first rule broken.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (range, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
        let (range, brackets) = match range.strip_prefix('[').and_then(|r| r.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None if range.starts_with('[') || text.ends_with(']') => {
                return Err(AddressError::NoPort);
            }
            None => (range, false),
        };
        let port = decimal(port)
            .filter(|&p: &u16| p != 0)
            .ok_or(AddressError::BadPort)?;
        let (ip, prefix) = range
            .split_once('/')
            .map_or((range, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse()?;
        let (bits, offset) = match ip {
            IpAddr::V4(v4) if !brackets => (v4.to_ipv6_mapped(), MAPPED_BITS),
            IpAddr::V6(v6) if brackets && v6.to_ipv4_mapped().is_some() => {
                return Err(AddressError::Mapped);
            }
            IpAddr::V6(v6) if brackets => (v6, 0),
            _ => return Err(AddressError::BadIp),
        };
        let max = 128 - offset;
        let prefix_len = match prefix {
            Some(text) => decimal(text)
                .filter(|&p: &u8| p <= max)
                .ok_or(AddressError::BadPrefix { max })?,
            None if ip.is_unspecified() => return Err(AddressError::Unspecified),
            None => max,
        };
        Self::network(bits.to_bits(), prefix_len + offset, port)
    }

    fn network(bits: u128, prefix_len: u8, port: u16) -> Result<Self, AddressError> {
        let network = Self {
            first: bits & mask(prefix_len),
            prefix_len,
            port,
        };
        if network.first == bits {
            Ok(network)
        } else {
            Err(AddressError::HostBits { network })
        }
    }

    /// The first address, 16 bytes, IPv4 v4-mapped.
    #[must_use]
    pub fn octets(&self) -> [u8; 16] {
        self.first.to_be_bytes()
    }

    /// 0 to 128; an IPv4 prefix counts 96 more.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Orders by port, then by first address, widest range first: ranges that overlap follow one another.
    pub(crate) fn sweep_key(&self) -> (u16, u128, u8) {
        (self.port, self.first, self.prefix_len)
    }

    /// Whether some address and port is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = mask(self.prefix_len.min(other.prefix_len));
        self.port == other.port && self.first & shorter == other.first & shorter
    }
}

/// As documents write it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = Ipv6Addr::from_bits(self.first);
        match v6
            .to_ipv4_mapped()
            .filter(|_| self.prefix_len >= MAPPED_BITS)
        {
            Some(v4) if self.prefix_len == 128 => write!(f, "{v4}:{}", self.port),
            Some(v4) => write!(f, "{v4}/{}:{}", self.prefix_len - MAPPED_BITS, self.port),
            None if self.prefix_len == 128 => write!(f, "[{v6}]:{}", self.port),
            None => write!(f, "[{v6}/{}]:{}", self.prefix_len, self.port),
        }
    }
}

/// Digits only: no sign, no space.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn mask(prefix_len: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(prefix_len))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn addresses_print_as_they_were_written() {
        for text in [
            "10.0.0.1:8080",
            "10.0.0.0/24:80",
            "0.0.0.0/0:1",
            "[::1]:65535",
            "[2001:db8::/32]:443",
            "[::/0]:80",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
        assert_eq!(address("10.0.0.1/32:80").to_string(), "10.0.0.1:80");
        assert_eq!(
            address("10.0.0.1:80").octets(),
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]
        );
        assert_eq!(address("10.0.0.0/24:80").prefix_len(), 120);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let network = address("10.0.0.0/24:80");
        let cases = [
            ("", AddressError::NoPort),
            ("10.0.0.1", AddressError::NoPort),
            ("[::1]", AddressError::NoPort),
            ("[::1:80", AddressError::NoPort),
            ("10.0.0.1:", AddressError::BadPort),
            ("10.0.0.1:0", AddressError::BadPort),
            ("10.0.0.1:65536", AddressError::BadPort),
            ("10.0.0.1:+80", AddressError::BadPort),
            ("10.0.0.1:80 ", AddressError::BadPort),
            ("web:80", AddressError::BadIp),
            ("::1:80", AddressError::BadIp),
            ("[10.0.0.1]:80", AddressError::BadIp),
            ("010.0.0.1:80", AddressError::BadIp),
            ("10.0.0:80", AddressError::BadIp),
            ("[fe80::1%eth0]:80", AddressError::BadIp),
            ("10.0.0.0/33:80", AddressError::BadPrefix { max: 32 }),
            ("10.0.0.0/:80", AddressError::BadPrefix { max: 32 }),
            ("[::/129]:80", AddressError::BadPrefix { max: 128 }),
            ("10.0.0.1/24:80", AddressError::HostBits { network }),
            ("[::ffff:10.0.0.1]:80", AddressError::Mapped),
            ("0.0.0.0:80", AddressError::Unspecified),
            ("[::]:80", AddressError::Unspecified),
        ];
        for (text, why) in cases {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn ranges_overlap_if_one_holds_the_other_at_the_same_port() {
        let overlapping = [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("10.0.0.0/24:80", "10.0.0.255:80"),
            ("0.0.0.0/0:80", "10.0.0.0/8:80"),
            ("[::/0]:80", "10.0.0.1:80"),
            ("[2001:db8::/32]:80", "[2001:db8::1]:80"),
        ];
        for (a, b) in overlapping {
            assert!(
                address(a).overlaps(&address(b)) && address(b).overlaps(&address(a)),
                "{a} {b}"
            );
        }
        for (a, b) in [
            ("10.0.0.1:80", "10.0.0.1:81"),
            ("10.0.0.0/24:80", "10.0.1.0/24:80"),
            ("[::1]:80", "127.0.0.1:80"),
        ] {
            assert!(
                !address(a).overlaps(&address(b)) && !address(b).overlaps(&address(a)),
                "{a} {b}"
            );
        }
    }
}
