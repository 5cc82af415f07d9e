//! The engine: records, time and one decision in; records, and a verdict with traffic secrets, out.

mod config;
mod drive;
mod end;
mod failure;
mod io;
mod secrets;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{Error, ExtractedSecrets, ServerConfig};

pub use config::ALPN;
pub use failure::{Failure, Reason};
pub use io::{Established, ExternalParams, Output, Params, Refused};

use crate::authorize::{Answer, Role};
use crate::entropy::Entropy;
use crate::external::ExternalVerifier;
use crate::ktls::KtlsInfo;
use crate::peer::Peer;
use crate::provider::provider;
use crate::record::{
    MAX_HANDSHAKE_BYTES, MAX_HANDSHAKE_RECORDS, RECORD_HEADER_BYTES, RecordError, record_body_len,
};
use crate::time::{Mono, Now};
use crate::verifier::{Findings, PeerVerifier};
use config::Shared;
use drive::{Stop, drive};
use end::{End, finish};

/// The handshake of one connection. See the [crate's documentation](crate) for how to run one.
pub struct Engine {
    conn: Conn,
    shared: Shared,
    findings: Arc<Findings>,
    /// Records not done with: a handshake message that continues in the next record.
    pending: Vec<u8>,
    outputs: VecDeque<Output>,
    deadline: Option<Mono>,
    records: usize,
    bytes: usize,
}

/// rustls' side of it.
enum Conn {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
    /// A server's, before the client's first record.
    Expecting(Box<ServerConfig>),
    /// Established or failed.
    Over,
}

impl Engine {
    /// An engine for a connection we make. Its first output is ready: the bytes of the ClientHello,
    /// or a failure.
    pub fn client<E: Entropy>(now: Now, params: Params<'_>) -> Self {
        Self::start(Role::Client, now, params, |shared, own, verifier| {
            config::client(provider::<E>(), shared, own, verifier)
                .map(|conn| Conn::Client(Box::new(conn)))
        })
    }

    /// An engine for a connection we accept. It waits for a record, unless it has failed already.
    pub fn server<E: Entropy>(now: Now, params: Params<'_>) -> Self {
        Self::start(Role::Server, now, params, |shared, own, verifier| {
            config::server(provider::<E>(), shared, own, verifier)
                .map(|config| Conn::Expecting(Box::new(config)))
        })
    }

    /// An engine for a connection that we make to a server outside: without a certificate of ours, and the server is held to its
    /// DNS name. Its first output is ready, as that of [`Self::client`].
    pub fn external<E: Entropy>(now: Now, params: ExternalParams) -> Self {
        let mut engine = Self::idle(now, params.deadline);
        let verifier = ExternalVerifier {
            external: params.external,
            findings: Arc::clone(&engine.findings),
        };
        let conn = config::external(provider::<E>(), engine.shared.clone(), verifier);
        engine.begin(now, conn.map(|conn| Conn::Client(Box::new(conn))));
        engine
    }

    /// Takes one whole record, header included, and decrypts it in place.
    ///
    /// # Errors
    /// [`Refused`] if this cannot be an input now. What the peer did wrong is not an error but an
    /// [`Output::Failed`].
    pub fn handle(&mut self, now: Now, record: &mut [u8]) -> Result<(), Refused> {
        if matches!(self.conn, Conn::Over) {
            return Err(Refused::Over);
        }
        let body = record
            .first_chunk::<RECORD_HEADER_BYTES>()
            .map(|header| record_body_len(*header));
        match body {
            Some(Err(why)) => self.fail(Failure::Record(why)),
            Some(Ok(body)) if record.len() == body.saturating_add(RECORD_HEADER_BYTES) => {
                self.take(now, record)
            }
            other => {
                let body = other.and_then(Result::ok).unwrap_or(0);
                let announced = body.saturating_add(RECORD_HEADER_BYTES);
                return Err(Refused::NotOneRecord {
                    len: record.len(),
                    announced,
                });
            }
        }
        Ok(())
    }

    /// Fires the deadline if it is at or before `now`. Idempotent.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.fail(Failure::Deadline);
        }
    }

    /// The next thing to do, oldest first. Call until `None` after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`]; `None` if the handshake is over or has no deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        match self.conn {
            Conn::Over => None,
            _ => self.deadline,
        }
    }

    /// The peer, once it has proved who it is; also when it was then not authorised.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.findings.peer()
    }

    fn start(
        role: Role,
        now: Now,
        params: Params<'_>,
        connect: impl FnOnce(
            Shared,
            Arc<rustls::sign::CertifiedKey>,
            PeerVerifier,
        ) -> Result<Conn, Error>,
    ) -> Self {
        let mut engine = Self::idle(now, params.deadline);
        let svid = match params.identity.svid() {
            None => return engine.failed(Failure::NoSvid),
            Some(svid) => svid,
        };
        let (not_before, not_after) = (svid.not_before(), svid.not_after());
        if !(not_before..=not_after).contains(&now.unix) {
            return engine.failed(Failure::SvidNotCurrent {
                not_before,
                not_after,
                now: now.unix,
            });
        }
        let findings = Arc::clone(&engine.findings);
        let verifier = PeerVerifier::new(role, params.trust, params.authorize, findings);
        let conn = connect(engine.shared.clone(), svid.certified(), verifier);
        engine.begin(now, conn);
        engine
    }

    fn idle(now: Now, deadline: Option<Mono>) -> Self {
        Self {
            conn: Conn::Over,
            shared: Shared::new(now.unix),
            findings: Arc::new(Findings::default()),
            pending: Vec::new(),
            outputs: VecDeque::new(),
            deadline,
            records: 0,
            bytes: 0,
        }
    }

    /// Lets rustls say what it says first.
    fn begin(&mut self, now: Now, conn: Result<Conn, Error>) {
        match conn {
            Ok(conn) => {
                self.conn = conn;
                self.handle_timeout(now.mono);
                self.step(&mut []);
            }
            Err(error) => self.fail_sorted(error),
        }
    }

    /// Counts a record against the bounds and the deadline, then lets rustls have it.
    fn take(&mut self, now: Now, record: &mut [u8]) {
        self.handle_timeout(now.mono);
        if matches!(self.conn, Conn::Over) {
            return;
        }
        self.shared.clock.set(now.unix);
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.len());
        if self.records > MAX_HANDSHAKE_RECORDS {
            return self.fail(Failure::TooManyRecords);
        }
        if self.bytes > MAX_HANDSHAKE_BYTES {
            return self.fail(Failure::TooManyBytes);
        }
        self.accept(record);
        if self.pending.is_empty() {
            let done = self.step(record);
            self.keep(record.get(done..).unwrap_or_default());
            return;
        }
        let mut joined = mem::take(&mut self.pending);
        joined.extend_from_slice(record);
        let done = self.step(&mut joined);
        if !matches!(self.conn, Conn::Over) {
            joined.drain(..done.min(joined.len()));
            self.pending = joined;
        }
    }

    /// Before a server's first record, which is this: makes its connection.
    #[inline(never)]
    fn accept(&mut self, first: &[u8]) {
        if !matches!(self.conn, Conn::Expecting(_)) {
            return;
        }
        if let Conn::Expecting(config) = mem::replace(&mut self.conn, Conn::Over) {
            match config::accept(*config, first) {
                Ok(conn) => self.conn = Conn::Server(Box::new(conn)),
                Err(error) => self.fail_sorted(error),
            }
        }
    }

    /// Keeps what rustls is not done with, if there is still a handshake that could go on. All the
    /// room it may ever take is reserved at once, so that the heap does not fill with outgrown
    /// copies.
    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() && !matches!(self.conn, Conn::Over) {
            self.pending.reserve_exact(MAX_HANDSHAKE_BYTES);
            self.pending.extend_from_slice(rest);
        }
    }

    /// One turn of rustls over `records`; queues what comes of it and gives how many bytes are done
    /// with.
    fn step(&mut self, records: &mut [u8]) -> usize {
        let mut tx = Vec::new();
        let (stop, done) = match &mut self.conn {
            Conn::Client(conn) => drive(&mut ***conn, records, &mut tx),
            Conn::Server(conn) => drive(&mut ***conn, records, &mut tx),
            Conn::Expecting(_) | Conn::Over => return records.len(),
        };
        if !tx.is_empty() {
            self.outputs.push_back(Output::Send(tx));
        }
        match stop {
            Stop::Blocked => {}
            Stop::Traffic if self.awaits_confirmation() => {}
            Stop::Traffic if done < records.len() => self.fail(Failure::Unconfirmed),
            Stop::Traffic => self.establish(),
            Stop::Data => self.fail(Failure::Unconfirmed),
            Stop::Closed => self.fail(Failure::PeerClosed),
            Stop::Failed(error) => self.fail_sorted(error),
        }
        done
    }

    /// A client of a Tidelock server is not done before the server's first record after the
    /// handshake.
    fn awaits_confirmation(&self) -> bool {
        match &self.conn {
            Conn::Client(conn) => {
                conn.alpn_protocol() == Some(ALPN) && conn.tls13_tickets_received() == 0
            }
            Conn::Server(_) | Conn::Expecting(_) | Conn::Over => false,
        }
    }

    /// Takes the secrets out of rustls and hands them over. Kept out of its caller, below which
    /// rustls runs, to spare the stack.
    #[inline(never)]
    fn establish(&mut self) {
        let finished = match mem::replace(&mut self.conn, Conn::Over) {
            Conn::Client(conn) => finish(&conn, Role::Client).and_then(|end| {
                conn.dangerous_into_kernel_connection()
                    .map(|(secrets, _)| (end, secrets))
            }),
            Conn::Server(conn) => finish(&conn, Role::Server).and_then(|end| {
                conn.dangerous_into_kernel_connection()
                    .map(|(secrets, _)| (end, secrets))
            }),
            Conn::Expecting(_) | Conn::Over => return,
        };
        let output = match finished {
            Ok((end, secrets)) => self.established(&end, &secrets),
            Err(error) => Err(Failure::Internal(error)),
        };
        self.outputs.push_back(
            output.map_or_else(Output::Failed, |end| Output::Established(Box::new(end))),
        );
    }

    /// Nothing is established without a peer that proved itself and was answered for.
    fn established(&self, end: &End, secrets: &ExtractedSecrets) -> Result<Established, Failure> {
        let unverified =
            || Failure::Internal(Error::General("finished without a verified peer".into()));
        let unsupported =
            || Failure::Internal(Error::General("cipher not known to the kernel".into()));
        let (peer, detail) = match (self.findings.peer(), self.findings.answer()) {
            (Some(peer), Some(Answer::Allow { detail })) => (Some(peer.clone()), detail.clone()),
            (None, None) if self.findings.is_external() => (None, Box::default()),
            _ => return Err(unverified()),
        };
        let (tx_secret, rx_secret) =
            (self.shared.secrets.of(end.role, end.suite)).ok_or_else(unsupported)?;
        Ok(Established {
            peer,
            suite: end.suite,
            records_max: end.records_max,
            confirmed: end.confirmed,
            detail,
            tx: KtlsInfo::new(secrets.tx.0, &secrets.tx.1).ok_or_else(unsupported)?,
            rx: KtlsInfo::new(secrets.rx.0, &secrets.rx.1).ok_or_else(unsupported)?,
            tx_secret,
            rx_secret,
        })
    }

    fn failed(mut self, failure: Failure) -> Self {
        self.fail(failure);
        self
    }

    #[inline(never)]
    fn fail_sorted(&mut self, error: Error) {
        let failure = Failure::sort(error, &self.findings);
        self.fail(failure);
    }

    /// Ends the handshake; drops rustls' state and with it every secret.
    #[inline(never)]
    fn fail(&mut self, failure: Failure) {
        self.conn = Conn::Over;
        self.pending = Vec::new();
        self.outputs.push_back(Output::Failed(failure));
    }
}

impl From<RecordError> for Failure {
    fn from(why: RecordError) -> Self {
        Self::Record(why)
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = match self.conn {
            Conn::Client(_) => "client",
            Conn::Server(_) => "server",
            Conn::Expecting(_) => "server, expecting a client",
            Conn::Over => "over",
        };
        f.debug_struct("Engine")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
