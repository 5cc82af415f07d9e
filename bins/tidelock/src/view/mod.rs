//! What answers look like: each file turns messages into serialisable rows (the JSON form) and rows into a table.
//!
//! JSON names are stable. Times are RFC 3339 in UTC; what is not known is `null`.

pub(crate) mod audit;
pub(crate) mod authorities;
pub(crate) mod diff;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod identities;
pub(crate) mod node_groups;
pub(crate) mod nodes;
pub(crate) mod operators;
pub(crate) mod plan;
pub(crate) mod policies;
pub(crate) mod process;
pub(crate) mod reason;
pub(crate) mod revocations;
pub(crate) mod revoked;
pub(crate) mod services;
pub(crate) mod status;
pub(crate) mod trust_domains;
pub(crate) mod yaml;

use tidelock_proto::v1::JoinedBy;

/// `None` for the empty string, which in messages means "not known".
pub(crate) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// What a node attested with, as `None` where a control plane does not say.
pub(crate) fn joined_by(by: i32) -> Option<&'static str> {
    match JoinedBy::try_from(by) {
        Ok(JoinedBy::Token) => Some("token"),
        Ok(JoinedBy::X509pop) => Some("x509pop"),
        Ok(JoinedBy::Unspecified) | Err(_) => None,
    }
}

/// `None` for zero, which in messages means "not known".
pub(crate) fn known_number(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// Serial numbers as hexadecimal digits, the way `openssl x509 -serial` writes them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
