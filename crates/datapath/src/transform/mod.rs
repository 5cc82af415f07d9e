//! What a mediated flow does to bytes on their way between program and wire.
//!
//! Each direction of a mediated flow has one buffer, which a mark divides into two bounded queues:
//! in front of the mark lies what the other side may take, behind it what is still to be looked at.
//! A [`Transform`] edits what lies behind the mark in place and moves the mark. It keeps no bytes
//! itself, so that back-pressure is the buffer's fill and nothing else.
//!
//! Everything here is fit for a program's own context: no allocation, no panic, time linear in the
//! bytes given.

mod forward_client_cert;
mod head;
mod request;
mod window;

use forward_client_cert::Requests;
pub use head::MAX_HEAD_BYTES;
pub use request::{Host, HttpRequest, MAX_HOST_BYTES};
pub use window::Window;

/// Most bytes that a transform adds before the other side has taken any: one header field with two
/// SPIFFE IDs of 2048 bytes, and what is around them. So much of a buffer stays free of what comes in.
pub const MAX_ADDED_BYTES: usize = 5 * 1024;

/// What a flow's bytes go through, in one direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transform {
    /// Every byte as it is: what mediation itself costs and changes.
    Identity,
    /// HTTP/1.1 requests of a peer, each told who the peer is by a field `X-Forwarded-Client-Cert`;
    /// fields of that name that the peer sent are taken out.
    ForwardClientCert(Requests),
    /// As that, and each request is asked about first: see [`Gate`].
    AuthorizeRequests(Requests),
}

/// Who is asked about each request, before a byte of it reaches the program.
pub trait Gate {
    /// May it be? Once said, no goes for the flow.
    fn permits(&mut self, request: &HttpRequest<'_>) -> bool;
}

/// Whose flow it is: what transforms may tell the program.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// Our own SPIFFE ID.
    pub own: &'a str,
    /// The SPIFFE ID that the peer has proved.
    pub peer: &'a str,
    /// SHA-256 of the certificate that proved it, in DER.
    pub peer_certificate: &'a [u8; 32],
}

/// Why a transform went no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Everything given was looked at: go on when there is more.
    NeedsBytes,
    /// Go on when what lies in front of the mark was taken.
    NeedsRoom,
    /// The bytes break a rule that the transform stands for; the flow must end.
    Refused(Refusal),
    /// The gate did not permit a request; the flow must end.
    Denied,
}

/// The rule broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// RFC 9112 §3: no request line of HTTP/1.0 or HTTP/1.1.
    RequestLine,
    /// A head longer than [`MAX_HEAD_BYTES`].
    HeadTooLong,
    /// RFC 9112 §2.2: a line that ends in a line feed alone.
    BareLineFeed,
    /// RFC 9112 §5: a field that is none, or is folded over two lines.
    Field,
    /// RFC 9112 §6: lengths that contradict each other, or a transfer coding other than `chunked`.
    Framing,
    /// RFC 9112 §7.1: a chunk that is none, or a line of one that is too long.
    Chunk,
    /// CONNECT: what follows it is no HTTP.
    Connect,
    /// The peer's own word for who it is, where it cannot be taken out: in a trailer.
    Trailer,
    /// A target that is no path, or a path that could be spelled in another way.
    Path,
    /// RFC 9112 §3.2: no host, more than one, or one that is none.
    Host,
    /// `Connection: X-Forwarded-Client-Cert` would have somebody behind us take our field out.
    HopByHop,
}

impl Refusal {
    /// For people: what the peer did.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestLine => "not an HTTP/1.1 request",
            Self::HeadTooLong => "a request head of more than 16384 bytes",
            Self::BareLineFeed => "a line of a request that ends without a carriage return",
            Self::Field => "a malformed header field",
            Self::Framing => "a request whose length is ambiguous",
            Self::Chunk => "a malformed chunk",
            Self::Connect => "CONNECT through a service that tells who the caller is",
            Self::Trailer => "X-Forwarded-Client-Cert in a trailer",
            Self::Path => "a request for a path that can be spelled in another way",
            Self::Host => "a request without a host, or with two",
            Self::HopByHop => "Connection names X-Forwarded-Client-Cert",
        }
    }
}

/// Words that hold a [`Transform`].
pub const TRANSFORM_WORDS: usize = 2;

const IDENTITY: u8 = 1;
const FORWARD_CLIENT_CERT: u8 = 2;
const AUTHORIZE_REQUESTS: u8 = 3;

impl Transform {
    /// The transform of HTTP/1.1 requests, at the start of a connection.
    #[must_use]
    pub const fn forward_client_cert() -> Self {
        Self::ForwardClientCert(Requests::new())
    }

    /// The same, with each request asked about, at the start of a connection.
    #[must_use]
    pub const fn authorize_requests() -> Self {
        Self::AuthorizeRequests(Requests::new())
    }

    /// For whoever keeps the state between calls. Never all zero.
    #[must_use]
    pub const fn to_words(self) -> [u64; TRANSFORM_WORDS] {
        match self {
            Self::Identity => [u64::from_le_bytes([IDENTITY, 0, 0, 0, 0, 0, 0, 0]), 0],
            Self::ForwardClientCert(requests) => requests.to_words(FORWARD_CLIENT_CERT),
            Self::AuthorizeRequests(requests) => requests.to_words(AUTHORIZE_REQUESTS),
        }
    }

    /// What [`Self::to_words`] gave; `None` for words that it never gives.
    #[must_use]
    pub const fn from_words(words: [u64; TRANSFORM_WORDS]) -> Option<Self> {
        let [kind, ..] = words[0].to_le_bytes();
        match kind {
            IDENTITY => Some(Self::Identity),
            FORWARD_CLIENT_CERT => match Requests::from_words(words) {
                Some(requests) => Some(Self::ForwardClientCert(requests)),
                None => None,
            },
            AUTHORIZE_REQUESTS => match Requests::from_words(words) {
                Some(requests) => Some(Self::AuthorizeRequests(requests)),
                None => None,
            },
            _ => None,
        }
    }

    /// Looks at what lies behind the mark, edits it, and moves the mark as far as it can.
    ///
    /// Progress is certain: whenever everything in front of the mark was taken and the window's
    /// buffer has [`MAX_ADDED_BYTES`] behind its end, this does not answer [`Progress::NeedsRoom`].
    pub fn run(
        &mut self,
        window: &mut Window<'_>,
        ends: &Ends<'_>,
        gate: &mut impl Gate,
    ) -> Progress {
        match self {
            Self::Identity => {
                window.pass(usize::MAX);
                Progress::NeedsBytes
            }
            Self::ForwardClientCert(requests) => requests.run(window, ends, &mut Open),
            Self::AuthorizeRequests(requests) => requests.run(window, ends, &mut Asked(gate)),
        }
    }
}

/// What a head that can be read is held to besides.
trait Look {
    fn at(&mut self, head: &[u8]) -> Result<(), Progress>;
}

/// Nothing.
struct Open;

impl Look for Open {
    fn at(&mut self, _: &[u8]) -> Result<(), Progress> {
        Ok(())
    }
}

/// The gate.
struct Asked<'g, G>(&'g mut G);

impl<G: Gate> Look for Asked<'_, G> {
    fn at(&mut self, head: &[u8]) -> Result<(), Progress> {
        let request = request::read(head).map_err(Progress::Refused)?;
        if self.0.permits(&request) {
            Ok(())
        } else {
            Err(Progress::Denied)
        }
    }
}

#[cfg(test)]
mod tests;
