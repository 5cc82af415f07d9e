//! The framing of TLS records and the bounds of a handshake.

/// A record's header: content type, version, length (RFC 8446 §5.1).
pub const RECORD_HEADER_BYTES: usize = 5;

/// Longest record body: 2^14 bytes of plaintext, content type, padding and tag (RFC 8446 §5.2).
pub const MAX_RECORD_BODY_BYTES: usize = 16384 + 256;

/// Longest whole record.
pub const MAX_RECORD_BYTES: usize = RECORD_HEADER_BYTES + MAX_RECORD_BODY_BYTES;

/// Most records a peer may send before the handshake is over. A flight in records of the least
/// useful size that any stack sends stays far below; the bound stops a peer that dribbles one byte
/// per record.
pub const MAX_HANDSHAKE_RECORDS: usize = 64;

/// Most bytes a peer may send before the handshake is over, headers included: the longest chain
/// accepted and as much again for everything else, a ClientHello with post-quantum key shares and
/// the overhead of [`MAX_HANDSHAKE_RECORDS`] being the most of it. rustls holds several copies of a
/// chain at a time; with this bound they fit a flow's arena whatever the peer does.
pub const MAX_HANDSHAKE_BYTES: usize = 2 * MAX_CHAIN_BYTES;

/// Most certificates in a chain, leaf included; ours or a peer's.
pub const MAX_CHAIN_CERTS: usize = 4;

/// Most bytes of DER in a chain, ours or a peer's. A leaf for the longest SPIFFE ID (2,048 bytes)
/// takes about 2,600, a signing certificate about 600, all with P-256 keys, the only ones verified.
pub const MAX_CHAIN_BYTES: usize = 8192;

/// Why a record header was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordError {
    /// Not one of change_cipher_spec, alert, handshake, application_data (RFC 8446 §5.1).
    ContentType {
        /// The first byte of the header.
        found: u8,
    },
    /// The version's first byte is not 3, which every version of TLS has.
    Version {
        /// The second byte of the header.
        found: u8,
    },
    /// The body would be longer than [`MAX_RECORD_BODY_BYTES`].
    TooLong {
        /// The announced length in bytes.
        len: usize,
    },
    /// No body, in a record other than application data (RFC 8446 §5.1).
    Empty,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ContentType { found } => write!(f, "not a TLS record: content type {found}"),
            Self::Version { found } => write!(f, "not a TLS record: major version {found}"),
            Self::TooLong { len } => write!(
                f,
                "record of {len} bytes, at most {MAX_RECORD_BODY_BYTES} allowed"
            ),
            Self::Empty => f.write_str("empty record"),
        }
    }
}

impl core::error::Error for RecordError {}

/// `application_data` (RFC 8446 §5.1).
const APPLICATION_DATA: u8 = 23;

/// Length of the body that follows a record header, in bytes. Never panics, allocates or blocks.
///
/// # Errors
/// [`RecordError`] if these bytes cannot begin a TLS record.
pub fn record_body_len(header: [u8; RECORD_HEADER_BYTES]) -> Result<usize, RecordError> {
    let [content_type, major, _minor, high, low] = header;
    if !(20..=APPLICATION_DATA).contains(&content_type) {
        return Err(RecordError::ContentType {
            found: content_type,
        });
    }
    if major != 3 {
        return Err(RecordError::Version { found: major });
    }
    match usize::from(u16::from_be_bytes([high, low])) {
        0 if content_type != APPLICATION_DATA => Err(RecordError::Empty),
        len if len > MAX_RECORD_BODY_BYTES => Err(RecordError::TooLong { len }),
        len => Ok(len),
    }
}
