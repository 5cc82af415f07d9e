//! What is kept of a node.

/// A node that has attested.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Serial number of the newest SVID issued to it; empty, as no certificate's is: it is barred, and none counts.
    pub serial: Vec<u8>,
    /// Serial number of the SVID that the newest one was asked for with, which still counts.
    pub previous_serial: Option<Vec<u8>>,
    /// When the newest SVID expires, in seconds since the Unix epoch.
    pub not_after: i64,
    /// When it attested, with a token or certificate.
    pub attested: i64,
    /// Which of them.
    pub joined_by: JoinedBy,
    /// Whether a certificate may attest as this node.
    pub certificate_allowed: bool,
}

/// What a node attested with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JoinedBy {
    /// A join token.
    Token,
    /// A certificate, with proof of its key.
    Certificate,
}

impl NodeRecord {
    /// Whether no SVID of it counts until it joins anew.
    #[must_use]
    pub fn is_barred(&self) -> bool {
        self.serial.is_empty()
    }

    /// The same, barred.
    #[must_use]
    pub fn barred(self) -> Self {
        Self {
            serial: Vec::new(),
            previous_serial: None,
            certificate_allowed: false,
            ..self
        }
    }

    /// Whether the SVID of this serial number is one that still counts.
    #[must_use]
    pub fn stands_by(&self, serial: &[u8]) -> bool {
        !serial.is_empty()
            && (self.serial == serial || self.previous_serial.as_deref() == Some(serial))
    }
}
