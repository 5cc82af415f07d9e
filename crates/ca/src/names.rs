//! Names that a server certificate carries besides its SPIFFE ID.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest DNS name, in bytes without a final dot (RFC 1035 §2.3.4).
pub const MAX_DNS_NAME_BYTES: usize = 253;

/// Most names in one certificate. Ours: far below what a certificate may weigh.
pub const MAX_SERVER_NAMES: usize = 64;

/// Longest label of a DNS name, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// A DNS name or an IP address, as a client that connects writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerName(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Dns(Box<str>),
    Ip(IpAddr),
}

/// Why a server name was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerNameError {
    /// Longer than [`MAX_DNS_NAME_BYTES`].
    #[error("server name has {len} bytes, more than {MAX_DNS_NAME_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A label that is empty, longer than 63 bytes, or begins or ends with `-`.
    #[error("server name has a malformed label at byte {at}")]
    Label {
        /// Where the label begins.
        at: usize,
    },
    /// A byte outside `[A-Za-z0-9-]` (RFC 1123 §2.1); wildcards are not issued.
    #[error("server name has forbidden byte `{}` at byte {at}", byte.escape_ascii())]
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it is.
        at: usize,
    },
}

impl ServerName {
    /// Parses an IP address or a DNS name; the latter is folded to lower case.
    ///
    /// # Errors
    /// The first rule broken, reading left to right.
    pub fn parse(text: &str) -> Result<Self, ServerNameError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(Kind::Ip(address)));
        }
        if text.len() > MAX_DNS_NAME_BYTES {
            return Err(ServerNameError::TooLong { len: text.len() });
        }
        let mut at = 0;
        for label in text.split('.') {
            check_label(label, at)?;
            at += label.len() + 1;
        }
        Ok(Self(Kind::Dns(text.to_ascii_lowercase().into())))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }
}

impl From<IpAddr> for ServerName {
    fn from(address: IpAddr) -> Self {
        Self(Kind::Ip(address))
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;
    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        Self::parse(text)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Dns(name) => f.write_str(name),
            Kind::Ip(address) => address.fmt(f),
        }
    }
}

fn check_label(label: &str, at: usize) -> Result<(), ServerNameError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if let Some((n, byte)) = label.bytes().enumerate().find(|&(_, b)| !allowed(b)) {
        return Err(ServerNameError::BadByte { byte, at: at + n });
    }
    let lengths = 1..=MAX_LABEL_BYTES;
    if !lengths.contains(&label.len()) || label.starts_with('-') || label.ends_with('-') {
        return Err(ServerNameError::Label { at });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ServerName, ServerNameError as Error};

    #[test]
    fn rfc_1123_2_1_names_and_addresses() {
        for (text, shown) in [
            ("localhost", "localhost"),
            ("CA.Example.org", "ca.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("0:0::1", "::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(
                ServerName::parse(text).unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn rfc_1123_2_1_refuses_other_names() {
        let long = "a.".repeat(126) + "aa";
        for (text, error) in [
            ("", Error::Label { at: 0 }),
            ("a..b", Error::Label { at: 2 }),
            ("a.", Error::Label { at: 2 }),
            ("-a", Error::Label { at: 0 }),
            ("b.a-", Error::Label { at: 2 }),
            (&"a".repeat(64), Error::Label { at: 0 }),
            ("*.example.org", Error::BadByte { byte: b'*', at: 0 }),
            ("a.b_c", Error::BadByte { byte: b'_', at: 3 }),
            ("[::1]", Error::BadByte { byte: b'[', at: 0 }),
            (&long, Error::TooLong { len: 254 }),
        ] {
            assert_eq!(ServerName::parse(text), Err(error), "{text:?}");
        }
    }
}
