//! Addresses as both ends hold them.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::read::Reader;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// Which end of a flow a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

impl Role {
    /// The number on the wire, and of `enum tl_role`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }

    /// The role with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Client),
            1 => Some(Self::Server),
            _ => None,
        }
    }
}

/// An end of a flow: address, port, and the network namespace that they mean something in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub struct Endpoint {
    /// The address in network order; IPv4 is held v4-mapped (RFC 4291 §2.5.5.2).
    pub ip: [u8; 16],
    /// The port; 0 if none.
    pub port: u16,
    /// The network namespace: 0 for the initial one, else its inode number.
    pub netns: u32,
}

impl Endpoint {
    /// An endpoint from an address of either family.
    #[must_use]
    pub const fn new(ip: IpAddr, port: u16, netns: u32) -> Self {
        Self {
            ip: mapped(ip),
            port,
            netns,
        }
    }

    /// The address, with IPv4 as IPv4.
    #[must_use]
    pub const fn ip_addr(&self) -> IpAddr {
        Ipv6Addr::from_octets(self.ip).to_canonical()
    }

    /// Is it `0.0.0.0` or `::`, every address of the host?
    #[must_use]
    pub const fn is_wildcard(&self) -> bool {
        self.ip_addr().is_unspecified()
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let (ip, port) = (r.array()?, r.u16()?);
        let fault = r.fault(RefusedReason::Reserved);
        if r.u16()? != 0 {
            return Err(fault);
        }
        Ok(Self {
            ip,
            port,
            netns: r.u32()?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(&self.ip)?;
        w.u16(self.port)?;
        w.u16(0)?;
        w.u32(self.netns)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip_addr(), self.port).fmt(f)
    }
}

const fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A range of addresses. IPv4 is held v4-mapped, so that a `/24` has a prefix of 96 + 24 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Cidr {
    ip: [u8; 16],
    prefix_len: u8,
}

/// Why a range of addresses was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CidrError {
    /// The prefix is longer than the address.
    PrefixTooLong {
        /// The prefix given.
        prefix_len: u8,
        /// The longest that the address has room for.
        max: u8,
    },
    /// Bits behind the prefix are set: the address is in the range but does not name it.
    HostBits,
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrefixTooLong { prefix_len, max } => {
                write!(f, "prefix /{prefix_len} is longer than /{max}")
            }
            Self::HostBits => f.write_str("the address has bits set behind its prefix"),
        }
    }
}

impl core::error::Error for CidrError {}

impl Cidr {
    /// A range from an address of either family and a prefix in that family's own bits.
    ///
    /// # Errors
    /// Names the rule broken; host bits are not dropped silently.
    pub const fn new(ip: IpAddr, prefix_len: u8) -> Result<Self, CidrError> {
        let max = if ip.is_ipv4() { 32 } else { 128 };
        if prefix_len > max {
            return Err(CidrError::PrefixTooLong { prefix_len, max });
        }
        let before = if ip.is_ipv4() { 96 } else { 0_u8 };
        Self::from_mapped(mapped(ip), before.saturating_add(prefix_len))
    }

    /// A range from a v4-mapped address and a prefix of 0 to 128 bits.
    ///
    /// # Errors
    /// As [`Cidr::new`].
    pub const fn from_mapped(ip: [u8; 16], prefix_len: u8) -> Result<Self, CidrError> {
        if prefix_len > 128 {
            return Err(CidrError::PrefixTooLong {
                prefix_len,
                max: 128,
            });
        }
        if u128::from_be_bytes(ip) & !mask(prefix_len) != 0 {
            return Err(CidrError::HostBits);
        }
        Ok(Self { ip, prefix_len })
    }

    /// The first address, v4-mapped.
    #[must_use]
    pub const fn ip(&self) -> [u8; 16] {
        self.ip
    }

    /// The prefix in bits of the v4-mapped address, 0 to 128.
    #[must_use]
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Is this v4-mapped address in the range?
    #[must_use]
    pub const fn contains(&self, ip: [u8; 16]) -> bool {
        u128::from_be_bytes(ip) & mask(self.prefix_len) == u128::from_be_bytes(self.ip)
    }

    /// Do two ranges share an address?
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.ip) || other.contains(self.ip)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = Ipv6Addr::from_octets(self.ip);
        match ip.to_ipv4_mapped() {
            Some(v4) if self.prefix_len >= 96 => {
                write!(f, "{v4}/{}", self.prefix_len.saturating_sub(96))
            }
            _ => write!(f, "{ip}/{}", self.prefix_len),
        }
    }
}

/// The first `prefix_len` bits of 128, at most all of them.
const fn mask(prefix_len: u8) -> u128 {
    match 128_u8.checked_sub(prefix_len) {
        Some(128) => 0,
        Some(host_bits) => match u128::MAX.checked_shl(u32::from_le_bytes([host_bits, 0, 0, 0])) {
            Some(mask) => mask,
            None => 0,
        },
        None => u128::MAX,
    }
}
