//! The rustls configuration of one connection.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
    UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig, SignatureScheme};
use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName, UnixTime};

use super::secrets::Secrets;
use crate::external::ExternalVerifier;
use crate::record::RECORD_HEADER_BYTES;
use crate::verifier::PeerVerifier;

/// The ALPN protocol that two Tidelock ends agree on, and no others: the server's first record after the
/// handshake, a NewSessionTicket, confirms that it has authorised the client.
pub const ALPN: &[u8] = b"tidelock/1";

/// What a client offers beside it. There are servers, nginx among them, that refuse a client which offers only
/// what they do not speak (RFC 7301 §3.2); and most of what programs say on a plain connection to
/// such a server is this.
const ALSO_SPOKEN: &[u8] = b"http/1.1";

/// The ticket inside that record. It opens nothing: the receiver is told to discard it at once.
const CONFIRMATION: &[u8] = b"tidelock/1";

/// The wall clock as the caller last told it, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    pub(super) fn new(unix: i64) -> Self {
        Self(AtomicU64::new(to_unsigned(unix)))
    }

    pub(super) fn set(&self, unix: i64) {
        self.0.store(to_unsigned(unix), Ordering::Relaxed);
    }
}

/// What the engine and its rustls both have hold of.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) clock: Arc<Clock>,
    pub(super) secrets: Arc<Secrets>,
}

impl Shared {
    pub(super) fn new(unix: i64) -> Self {
        Self {
            clock: Arc::new(Clock::new(unix)),
            secrets: Arc::default(),
        }
    }
}

/// Before 1970 counts as 1970: no certificate is valid then either.
fn to_unsigned(unix: i64) -> u64 {
    u64::try_from(unix).unwrap_or(0)
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            self.0.load(Ordering::Relaxed),
        )))
    }
}

/// Our one certificate, whatever the peer hints at.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    /// rustls asks only whether to keep a copy of the whole transcript, which a client needs to
    /// sign in TLS 1.2 and not in TLS 1.3. `true` would cost twice the peer's chain.
    fn has_certs(&self) -> bool {
        false
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Makes the confirmation. A ticket of lifetime zero is to be discarded immediately (RFC 8446
/// §4.6.1), and none is ever accepted: there is no resumption.
#[derive(Debug)]
struct Confirm;

impl ProducesTickets for Confirm {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        Some(CONFIRMATION.to_owned())
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// A client connection: no SNI, no resumption, no early data.
pub(super) fn client(
    provider: CryptoProvider,
    shared: Shared,
    own: Arc<CertifiedKey>,
    verifier: PeerVerifier,
) -> Result<UnbufferedClientConnection, Error> {
    let mut config = ClientConfig::builder_with_details(Arc::new(provider), shared.clock)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Own(own)));
    config.alpn_protocols = vec![ALPN.to_owned(), ALSO_SPOKEN.to_owned()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    config.key_log = shared.secrets;
    // The verifier goes by SPIFFE ID alone; an address is what rustls never puts on the wire.
    let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
    UnbufferedClientConnection::new(Arc::new(config), nobody)
}

/// A client connection to a server outside: its name in clear, as everybody says it there, and no certificate of ours. What the
/// program speaks we do not know, so no protocol is offered (RFC 7301).
pub(super) fn external(
    provider: CryptoProvider,
    shared: Shared,
    verifier: ExternalVerifier,
) -> Result<UnbufferedClientConnection, Error> {
    let name = verifier.external.server_name();
    let mut config = ClientConfig::builder_with_details(Arc::new(provider), shared.clock)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    config.key_log = shared.secrets;
    UnbufferedClientConnection::new(Arc::new(config), name)
}

/// What a server does: client certificate required, one confirmation, no early data.
pub(super) fn server(
    provider: CryptoProvider,
    shared: Shared,
    own: Arc<CertifiedKey>,
    verifier: PeerVerifier,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_details(Arc::new(provider), shared.clock)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Own(own)));
    config.alpn_protocols = vec![ALPN.to_owned()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Confirm);
    config.send_tls13_tickets = 1;
    config.send_half_rtt_data = false;
    config.max_early_data_size = 0;
    config.enable_secret_extraction = true;
    config.key_log = shared.secrets;
    Ok(config)
}

/// A server connection with a client whose first record is this.
///
/// What the program behind us speaks we do not know, so with a client that is no Tidelock end we agree on no
/// protocol, as a server does that has never heard of ALPN; rustls would refuse one that offers only
/// others (RFC 7301 §3.2). Nobody gains by being taken for the other kind: it decides when the client's
/// `connect()` completes, and nothing else.
pub(super) fn accept(
    mut config: ServerConfig,
    first: &[u8],
) -> Result<UnbufferedServerConnection, Error> {
    if is_whole_hello_without_ours(first) {
        config.alpn_protocols.clear();
    }
    UnbufferedServerConnection::new(Arc::new(config))
}

/// Whether this record holds all of a ClientHello (RFC 8446 §4) and our protocol's name, as ALPN lists it
/// (RFC 7301 §3.1), is nowhere in it. Our own clients send it in one record.
fn is_whole_hello_without_ours(record: &[u8]) -> bool {
    const CLIENT_HELLO: u8 = 1;
    let body = record.get(RECORD_HEADER_BYTES..).unwrap_or_default();
    let Some(([CLIENT_HELLO, high, middle, low], message)) = body.split_first_chunk() else {
        return false;
    };
    let announced = u32::from_be_bytes([0, *high, *middle, *low]);
    let whole = usize::try_from(announced).is_ok_and(|announced| announced <= message.len());
    let ours = |window: &[u8]| {
        window
            .split_first()
            .is_some_and(|(length, name)| usize::from(*length) == ALPN.len() && name == ALPN)
    };
    whole && !message.windows(ALPN.len().saturating_add(1)).any(ours)
}
