//! The configuration: what is governed, which Services there are, whom to trust, and the policy.

mod decode;
mod encode;
mod rows;

use tidelock_spiffe_core::{SpiffeId, SpiffeIdError, TrustDomain, TrustDomainError};

use crate::bounds::{MAX_DEADLINE_MS, MAX_HANDSHAKES, MAX_NODE_BYTES};
use crate::list::List;
use crate::net::{Cidr, Endpoint};
use crate::read::Reader;
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::serial::Serial;
use crate::write::Writer;

/// Everything that the kernel decides by, as one record that takes effect at once.
///
/// Decoded, it is a view over the record's body: keep both together, and no field is checked again.
/// Every list gives the item at an index in constant time, so indexes can be built over them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Config<'a> {
    /// Only grows, over the life of the module.
    pub generation: u64,
    /// Deadlines and bounds on what waits.
    pub limits: Limits,
    /// Which processes are governed.
    pub prefilter: List<'a, PrefilterEntry<'a>>,
    /// Which addresses belong to a Service.
    pub services: List<'a, Service<'a>>,
    /// Which authorities may vouch for which trust domain; one bundle for each.
    pub bundles: List<'a, Bundle<'a>>,
    /// The policy image, as `tidelock-policy` made it; empty: nothing is permitted.
    pub policy: &'a [u8],
    /// The image of the policies that are only observed: what they would change is told, and changes nothing; empty: there are
    /// none.
    pub observed: &'a [u8],
    /// SVIDs that are believed no more, though they have not expired; sorted, each once.
    pub revoked: List<'a, Serial>,
    /// What policies are told of this node; `None`: nothing.
    pub posture: Option<Posture<'a>>,
    /// The servers outside of the Services of [`Mode::Originate`]; one for each.
    pub externals: List<'a, External<'a>>,
    /// CA certificates in DER, that vouch for those of them that have none of their own.
    pub system_roots: List<'a, &'a [u8]>,
}

/// What the agent knows of its node, and policies may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Posture<'a> {
    /// Its name.
    pub node: &'a str,
    /// When the control plane attested it: milliseconds since 1970, from 1; `None`: that was not kept.
    pub attested_at_ms: Option<i64>,
}

impl<'a> Posture<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        let node = r.text(MAX_NODE_BYTES)?;
        let fault = r.fault(RefusedReason::OutOfRange);
        let attested_at_ms = match r.i64()? {
            0 => None,
            ms if ms > 0 && !node.is_empty() => Some(ms),
            _ => return Err(fault),
        };
        Ok(Some(Self {
            node,
            attested_at_ms,
        })
        .filter(|posture| !posture.node.is_empty()))
    }

    fn write(posture: Option<Self>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let Some(posture) = posture else {
            w.text("", MAX_NODE_BYTES)?;
            return w.i64(0);
        };
        w.required(posture.node.as_bytes(), MAX_NODE_BYTES)?;
        match posture.attested_at_ms {
            None => w.i64(0),
            Some(ms) if ms > 0 => w.i64(ms),
            Some(_) => Err(w.fault(RefusedReason::OutOfRange)),
        }
    }
}

/// Deadlines and bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How long a governed process waits for a grant and an SVID, in milliseconds.
    pub grant_wait_ms: u32,
    /// How long a handshake may take, in milliseconds.
    pub handshake_ms: u32,
    /// Most handshakes that wait at once on this node.
    pub max_handshakes: u32,
    /// Most handshakes that wait at once on one listener.
    pub max_handshakes_per_listener: u32,
}

impl Default for Limits {
    /// Ten seconds for each wait; 4096 handshakes, 1024 on one listener.
    fn default() -> Self {
        Self {
            grant_wait_ms: 10_000,
            handshake_ms: 10_000,
            max_handshakes: 4096,
            max_handshakes_per_listener: 1024,
        }
    }
}

impl Limits {
    /// The fields, each with its bound.
    const fn fields(&self) -> [(u32, u32); 4] {
        [
            (self.grant_wait_ms, MAX_DEADLINE_MS),
            (self.handshake_ms, MAX_DEADLINE_MS),
            (self.max_handshakes, MAX_HANDSHAKES),
            (self.max_handshakes_per_listener, MAX_HANDSHAKES),
        ]
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut field = |max| r.number(|n| Some(n).filter(|n| (1..=max).contains(n)));
        Ok(Self {
            grant_wait_ms: field(MAX_DEADLINE_MS)?,
            handshake_ms: field(MAX_DEADLINE_MS)?,
            max_handshakes: field(MAX_HANDSHAKES)?,
            max_handshakes_per_listener: field(MAX_HANDSHAKES)?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        for (n, max) in self.fields() {
            if n > max {
                return Err(w.fault(RefusedReason::OutOfRange));
            }
            w.id32(n)?;
        }
        Ok(())
    }
}

/// A process that matches every given field is governed. At least one field is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefilterEntry<'a> {
    /// Path of the executable, compared byte for byte; `None`: any.
    pub exe: Option<&'a str>,
    /// Uid in the initial user namespace; `None`: any.
    pub uid: Option<u32>,
}

impl PrefilterEntry<'_> {
    /// Is a process of this executable and uid governed?
    #[must_use]
    pub fn matches(&self, exe: &[u8], uid: u32) -> bool {
        self.exe.is_none_or(|own| own.as_bytes() == exe) && self.uid.is_none_or(|own| own == uid)
    }
}

/// A range of addresses and a port that belong to a Service. A Service with several ranges is several of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service<'a> {
    /// Its name, as policies call it.
    pub name: &'a str,
    /// The addresses.
    pub cidr: Cidr,
    /// The port, from 1.
    pub port: u16,
    /// Inode number of the network namespace that the addresses are of; `None`: the initial one.
    pub netns: Option<u32>,
    /// What the bytes of its flows go through; `None`: nothing, the flows are direct.
    pub transform: Option<Transform>,
    /// Which connections there may be.
    pub mode: Mode,
    /// What becomes of a connection for which no identity is to be had.
    pub on_unavailable: OnUnavailable,
    /// How old its flows may become, in seconds; `None`: as old as they like.
    pub max_flow_age_s: Option<u32>,
    /// The SPIFFE IDs that may serve it; none: nobody may.
    pub servers: List<'a, &'a str>,
}

numbered! {
    /// What the bytes of a mediated flow go through on their way between program and wire.
    pub enum Transform: u8 {
        /// Nothing happens to them, at either end.
        Identity = 1 => "identity",
        /// At the server, HTTP/1.1 requests are told who calls: `X-Forwarded-Client-Cert`. The client's end is direct.
        ForwardClientCert = 2 => "forwardClientCert",
        /// The same, and each request is asked of policy (action `http`) before it reaches the server.
        AuthorizeRequests = 3 => "authorizeRequests",
    }
}

numbered! {
    /// Which connections to a Service there may be. All but the first is an exception that somebody wrote down.
    pub enum Mode: u8 {
        /// Mutual TLS between proven identities, and nothing else.
        Strict = 1 => "strict",
        /// The server also takes clients that speak plain TCP; who has an identity uses it.
        Permissive = 2 => "permissive",
        /// Plain TCP: what a governed client may connect to is decided by policy, and nothing is proved on the wire.
        Plain = 3 => "plain",
        /// None.
        Deny = 4 => "deny",
        /// The server is outside, where nobody knows SPIFFE: the client's end speaks TLS to it, and holds it to its DNS name.
        Originate = 5 => "originate",
    }
}

numbered! {
    /// What becomes of a connection of a governed client that gets no identity in time, because agent or control plane do not answer.
    pub enum OnUnavailable: u8 {
        /// It is refused.
        Deny = 1 => "deny",
        /// It goes in plain.
        Allow = 2 => "allow",
    }
}

impl Transform {
    /// As a row has it: 0 for none; `None` for a number that means nothing.
    fn of_row(number: u8) -> Option<Option<Self>> {
        match number {
            0 => Some(None),
            number => Self::from_number(number).map(Some),
        }
    }
}

impl Service<'_> {
    /// Does this address belong to the Service? A wildcard address matches by port alone: whoever
    /// listens on every address listens on the Service's too.
    #[must_use]
    pub const fn covers(&self, address: &Endpoint) -> bool {
        let netns = match self.netns {
            Some(netns) => netns,
            None => 0,
        };
        let near = self.port == address.port && netns == address.netns;
        near && (self.cidr.contains(address.ip) || address.is_wildcard())
    }

    /// May this SPIFFE ID serve it? Compares byte for byte.
    #[must_use]
    pub fn is_server(&self, spiffe_id: &str) -> bool {
        self.servers.iter().any(|server| server == spiffe_id)
    }
}

/// The authorities of a trust domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bundle<'a> {
    /// The trust domain's name, without a scheme.
    pub trust_domain: &'a str,
    /// CA certificates in DER; none: nobody of the domain is trusted.
    pub authorities: List<'a, &'a [u8]>,
}

impl<'a> Config<'a> {
    /// Reads the body of a configuration record: what follows its header.
    ///
    /// # Errors
    /// The first rule broken; `at` counts from the start of the record.
    pub fn parse(body: &'a [u8]) -> Result<Self, Fault> {
        decode::config(body)
    }

    /// Is the SVID of this serial number revoked? In steps of the order of the logarithm of how many are.
    #[must_use]
    pub fn is_revoked(&self, serial: &[u8]) -> bool {
        Serial::new(serial).is_some_and(|serial| self.revoked.has(serial))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        encode::config(self, w)
    }
}

/// A server outside: who it has to be, and who may vouch for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct External<'a> {
    /// The Service whose addresses are its.
    pub service: &'a str,
    /// Its DNS name (RFC 6125 §6.4), in lower case.
    pub server_name: &'a str,
    /// CA certificates in DER; none: those of [`Config::system_roots`].
    pub roots: List<'a, &'a [u8]>,
}

/// Refuses what cannot be the SPIFFE ID of a workload (SPIFFE-ID §2, X509-SVID §3.1).
pub(crate) fn check_spiffe_id(id: &str) -> Result<(), RefusedReason> {
    match SpiffeId::parse(id) {
        Ok(id) if !id.is_pathless() => Ok(()),
        Err(SpiffeIdError::TooLong { .. }) => Err(RefusedReason::FieldTooLong),
        _ => Err(RefusedReason::BadSpiffeId),
    }
}

/// Refuses what cannot be the name of a trust domain (SPIFFE-ID §2.1).
fn check_trust_domain(name: &str) -> Result<(), RefusedReason> {
    match TrustDomain::parse(name) {
        Ok(_) => Ok(()),
        Err(TrustDomainError::TooLong { .. }) => Err(RefusedReason::FieldTooLong),
        Err(_) => Err(RefusedReason::BadSpiffeId),
    }
}

/// Refuses what is no DNS name as certificates have it: labels of lower-case letters, digits and inner hyphens (RFC 1034 §3.5).
fn check_server_name(name: &str) -> Result<(), RefusedReason> {
    let label = |label: &str| {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.split('.').all(label) {
        Ok(())
    } else {
        Err(RefusedReason::BadServerName)
    }
}

/// Refuses two bundles for one trust domain: which of them counts would be a guess.
fn check_distinct(bundles: List<'_, Bundle<'_>>) -> Result<(), RefusedReason> {
    let mut later = bundles.iter();
    while let Some(bundle) = later.next() {
        let (name, mut rest) = (bundle.trust_domain, later);
        if rest.any(|other| other.trust_domain == name) {
            return Err(RefusedReason::Duplicate);
        }
    }
    Ok(())
}
