//! The sans-IO TLS 1.3 engine of a governed connection.
//!
//! One [`Engine`] does the mutual TLS 1.3 handshake of one connection and ends with the traffic
//! secrets in the form that Linux kernel TLS takes ([`KtlsInfo`]). It owns no socket, clock, thread
//! or random source: records and time go in, records and a verdict come out. The same code runs in
//! the kernel module, in tests on a virtual clock and in fuzzers.
//!
//! # Example
//! Both ends in one place; `deliver` stands for the network.
//! ```
//! use std::sync::Arc;
//! use tidelock_datapath::*;
//! use tidelock_testkit::{SeededEntropy, TestCa, VirtualClock, Wire};
//!
//! /// The client talks to the server and nobody else; the server talks to anyone it believes.
//! struct Policy;
//! impl Authorize for Policy {
//!     fn authorize(&self, role: Role, peer: &Peer) -> Answer {
//!         let detail = "policy `web`".into();
//!         match role {
//!             Role::Client if peer.id().path() != "/web" => Answer::Deny { code: 5, detail },
//!             _ => Answer::Allow { detail },
//!         }
//!     }
//! }
//!
//! let ca = TestCa::new("example.org");
//! let (curl, web) = (ca.identity("spiffe://example.org/curl"), ca.identity("spiffe://example.org/web"));
//! let trust = Arc::new(ca.trust());
//! let now = VirtualClock::new().now();
//! let params = |identity| Params {
//!     identity,
//!     trust: Arc::clone(&trust),
//!     authorize: Arc::new(Policy),
//!     deadline: Some(now.mono.after(10_000_000_000)),
//! };
//! let mut client = Engine::client::<SeededEntropy>(now, params(&curl));
//! let mut server = Engine::server::<SeededEntropy>(now, params(&web));
//!
//! /// Sends what `from` wants sent; gives its connection, if it has one now.
//! fn deliver(from: &mut Engine, to: &mut Engine, now: Now) -> Option<Box<Established>> {
//!     let mut wire = Wire::default();
//!     let mut connection = None;
//!     while let Some(output) = from.poll() {
//!         match output {
//!             Output::Send(bytes) => wire.send(&bytes),
//!             Output::Established(end) => connection = Some(end),
//!             Output::Failed(why) => panic!("{why}"),
//!         }
//!     }
//!     wire.deliver(usize::MAX);
//!     while let Some(mut record) = wire.record() {
//!         to.handle(now, &mut record).expect("one whole record");
//!     }
//!     connection
//! }
//!
//! assert!(deliver(&mut client, &mut server, now).is_none());
//! assert!(deliver(&mut server, &mut client, now).is_none());
//! assert!(deliver(&mut client, &mut server, now).is_none(), "not before the server has confirmed");
//! let at_server = deliver(&mut server, &mut client, now).expect("established");
//! let at_client = deliver(&mut client, &mut server, now).expect("established");
//! assert_eq!(at_client.peer.as_ref().expect("proved").id().as_str(), "spiffe://example.org/web");
//! assert_eq!(at_client.tx.as_bytes(), at_server.rx.as_bytes());
//! ```
//!
//! # Parts
//! - [`Identity`]: a P-256 key born in place ([`Identity::generate`]), its certificate request
//!   ([`Identity::csr`]) and its X509-SVID ([`Identity::install`]). The key cannot be read out or
//!   printed and is wiped on drop.
//! - [`TrustStore`]: the authorities of each trust domain, never merged.
//! - [`Authorize`]: asked once per handshake, when the peer has proved its SPIFFE ID, whether it is
//!   welcome.
//! - [`Entropy`]: randomness, as an associated function, so that rustls can hold it in statics.
//! - [`TrafficSecret`]: what the keys of one direction came of, and the next ones come of when it
//!   changes them by a KeyUpdate.
//! - [`transform`]: what the bytes of a mediated flow go through, once it is open.
//! - [`Engine`]: the four verbs of every engine, [`handle`](Engine::handle),
//!   [`handle_timeout`](Engine::handle_timeout), [`poll`](Engine::poll),
//!   [`next_deadline`](Engine::next_deadline).
//!
//! # Running one
//! 1. Make it with [`Engine::client`] or [`Engine::server`]. Nothing is returned but the engine: a
//!    client's first bytes, or an early failure such as [`Failure::NoSvid`], are its first outputs.
//! 2. Call [`Engine::poll`] until `None`. [`Output::Send`] comes before the verdict; send it
//!    whatever the verdict: it may hold an alert. [`Output::Established`] or [`Output::Failed`] is
//!    the last output.
//! 3. Without a verdict, read five bytes, ask [`record_body_len`] for the length of the body, read
//!    it, give both in one slice to [`Engine::handle`], which decrypts in place; go to 2. **Read
//!    nothing beyond that record**: what follows the last record of the handshake belongs to kernel
//!    TLS, whose sequence numbers begin there.
//! 4. Dropping an engine at any time ends the handshake and gives back its references to identity,
//!    trust and authoriser.
//!
//! # What is promised
//! TLS 1.3 only; X25519MLKEM768 where the peer knows it, else X25519 or P-256; certificates with
//! P-256 keys signed by P-256 keys; no SNI, no resumption, no early data; nothing that names either end is sent in clear. A client authorises
//! the server before it shows its own certificate. A server authorises the client before it sends
//! its first record after the handshake, a NewSessionTicket that opens nothing; between Tidelock
//! ends (ALPN [`ALPN`]) the client is established only when that record has arrived, so that a
//! refusal by the server is [`Failure::PeerRefused`] and never a surprise later. Input cannot panic
//! the engine, nor make it hold more than [`MAX_HANDSHAKE_BYTES`] of what it was sent.
//!
//! # Context
//! Nothing blocks. Everything allocates but [`record_body_len`], [`TrafficSecret`] and [`transform`], which
//! alone are fit for a program's own context.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;

mod authorize;
mod engine;
mod entropy;
mod external;
mod identity;
mod ktls;
mod peer;
mod provider;
mod record;
mod time;
mod traffic;
pub mod transform;
mod trust;
mod verifier;

pub use authorize::{Answer, Authorize, Role};
pub use engine::{
    ALPN, Engine, Established, ExternalParams, Failure, Output, Params, Reason, Refused,
};
pub use entropy::{Entropy, EntropyUnavailable};
pub use external::{External, ExternalError, MAX_ROOTS, Roots};
pub use identity::{Identity, InstallError, SigningFailed, Svid};
pub use ktls::{KtlsInfo, MAX_KTLS_INFO_BYTES};
pub use peer::{Peer, PeerError};
pub use record::{
    MAX_CHAIN_BYTES, MAX_CHAIN_CERTS, MAX_HANDSHAKE_BYTES, MAX_HANDSHAKE_RECORDS,
    MAX_RECORD_BODY_BYTES, MAX_RECORD_BYTES, RECORD_HEADER_BYTES, RecordError, record_body_len,
};
pub use time::{Mono, Now};
pub use traffic::{MAX_TRAFFIC_SECRET_BYTES, TrafficSecret};
pub use trust::{
    AUTHORITY_DIGEST_BYTES, AuthorityDigest, AuthorityError, MAX_AUTHORITIES, TrustStore,
};
