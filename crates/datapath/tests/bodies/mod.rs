//! What fuzzers and tests do with bytes that nobody chose. A body panics if a promise is broken.

#![allow(dead_code, reason = "each binary uses a part")]

use std::sync::OnceLock;

use tidelock_datapath::transform::{
    Ends, Gate, HttpRequest, MAX_ADDED_BYTES, Progress, Transform, Window,
};
use tidelock_datapath::{
    Engine, MAX_RECORD_BYTES, Output, RECORD_HEADER_BYTES, Role, TrustStore, record_body_len,
};
use tidelock_spiffe_core::TrustDomain;
use tidelock_testkit::{
    End, PairBuilder, SeededEntropy, TestCa, Verdict, VirtualClock, Wire, identity_without_svid,
};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";

fn ends() -> &'static PairBuilder {
    static ENDS: OnceLock<PairBuilder> = OnceLock::new();
    ENDS.get_or_init(|| {
        let ca = TestCa::new("example.org");
        PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust())
    })
}

/// Bytes from the network, to an end that has spoken to nobody else: it never connects.
pub(crate) fn stream(input: &[u8]) {
    SeededEntropy::seed(1);
    let Some((role, bytes)) = input.split_first() else {
        return;
    };
    let now = VirtualClock::new().now();
    let engine = match role & 1 {
        0 => Engine::client::<SeededEntropy>(now, ends().client_params()),
        _ => Engine::server::<SeededEntropy>(now, ends().server_params()),
    };
    let (mut end, mut wire, mut out) = (End::new(engine), Wire::default(), Wire::default());
    end.poll(&mut out);
    wire.send(bytes);
    wire.deliver(usize::MAX);
    while end.verdict.is_none()
        && let Some(mut record) = wire.record()
    {
        end.engine
            .handle(now, &mut record)
            .expect("one record, before the verdict");
        end.poll(&mut out);
    }
    assert!(
        !matches!(end.verdict, Some(Verdict::Established(_))),
        "connected to nobody"
    );
}

/// A handshake between two honest ends over a wire that does as `script` says to each record: if
/// the client connects, the server has, with the same secrets.
pub(crate) fn tampered(script: &[u8]) {
    SeededEntropy::seed(2);
    let mut script = script.iter().copied();
    let mut pair = ends().start();
    loop {
        let mut moved = 0;
        for to in [Role::Server, Role::Client] {
            let wire = if to == Role::Server {
                &mut pair.to_server
            } else {
                &mut pair.to_client
            };
            tamper(&mut wire.in_flight, &mut script);
            moved += pair.deliver(to, usize::MAX);
        }
        if moved == 0 {
            break;
        }
    }
    if let Some(Verdict::Established(client)) = &pair.client.verdict {
        let server = pair
            .server
            .verdict
            .as_ref()
            .expect("confirmed by the server")
            .established();
        assert_eq!(client.tx.as_bytes(), server.rx.as_bytes());
        assert_eq!(client.rx.as_bytes(), server.tx.as_bytes());
        assert_eq!(client.peer.as_ref().expect("proved").id().as_str(), SERVER);
        assert_eq!(server.peer.as_ref().expect("proved").id().as_str(), CLIENT);
    }
}

/// Changes what is in flight; with no script left, leaves it alone.
fn tamper(in_flight: &mut Vec<u8>, script: &mut impl Iterator<Item = u8>) {
    if in_flight.is_empty() {
        return;
    }
    let mut next = || usize::from(script.next().unwrap_or(0));
    let (what, high, low, value) = (next(), next(), next(), next());
    let at = (high << 8 | low) % in_flight.len();
    let byte = u8::try_from(value).unwrap_or(0);
    match what % 8 {
        1 => in_flight[at] ^= byte,
        2 => in_flight.truncate(at),
        3 => in_flight.insert(at, byte),
        4 => drop(in_flight.remove(at)),
        5 => in_flight.extend_from_within(at..),
        6 => drop(in_flight.splice(0..0, [20 + byte % 4, 3, 3, 0, 2, 2, byte])),
        7 => in_flight.rotate_left(at),
        _ => {}
    }
}

/// A certificate from a bundle or from the agent: refused, or kept within what was promised.
pub(crate) fn certificate(input: &[u8]) {
    SeededEntropy::seed(3);
    let domain = TrustDomain::parse("example.org").expect("a domain");
    let _ = TrustStore::new().add(domain, input);
    let mut identity = identity_without_svid(CLIENT);
    // The key is fresh, so nothing from outside can certify it.
    assert!(identity.install([input]).is_err());
    assert!(identity.svid().is_none());
}

/// A record header: a length that fits, or a refusal; and an engine never takes less or more than
/// one record.
pub(crate) fn framing(input: &[u8]) {
    let now = VirtualClock::new().now();
    let mut engine = Engine::server::<SeededEntropy>(now, ends().server_params());
    let mut record = input.to_vec();
    let whole = input
        .first_chunk::<RECORD_HEADER_BYTES>()
        .and_then(|header| record_body_len(*header).ok())
        .map(|body| body + RECORD_HEADER_BYTES);
    assert!(whole.is_none_or(|len| len <= MAX_RECORD_BYTES));
    let taken = engine.handle(now, &mut record).is_ok();
    match (whole, taken) {
        (Some(len), true) => assert_eq!(len, input.len()),
        (Some(len), false) => assert_ne!(len, input.len()),
        (None, true) => assert!(matches!(engine.poll(), Some(Output::Failed(_)))),
        (None, false) => assert!(input.len() < RECORD_HEADER_BYTES),
    }
}

/// Requests from a peer that may write anything: whatever they are, what a server gets of them does not depend on the pieces in
/// which they came.
pub(crate) fn requests(input: &[u8]) {
    let Some((piece, bytes)) = input.split_first() else {
        return;
    };
    for transform in [
        Transform::forward_client_cert(),
        Transform::authorize_requests(),
    ] {
        let whole = through_requests(transform, bytes, usize::MAX);
        let in_pieces = through_requests(transform, bytes, usize::from(*piece) + 1);
        assert_eq!(whole, in_pieces);
    }
}

/// Permits everything with an even number of bytes in its path.
struct Even;

impl Gate for Even {
    fn permits(&mut self, request: &HttpRequest<'_>) -> bool {
        request.path.len().is_multiple_of(2)
    }
}

fn through_requests(
    mut transform: Transform,
    mut bytes: &[u8],
    piece: usize,
) -> Result<Vec<u8>, Progress> {
    let ends = Ends {
        own: SERVER,
        peer: CLIENT,
        peer_certificate: &[7; 32],
    };
    let (mut held, mut out) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let (now, later) = bytes.split_at(piece.min(bytes.len()));
        (held, bytes) = ([&held, now].concat(), later);
        loop {
            let end = held.len();
            held.resize(end + MAX_ADDED_BYTES, 0);
            let mut window = Window::new(&mut held, 0, end).expect("in bounds");
            let progress = transform.run(&mut window, &ends, &mut Even);
            let (ready, end) = (window.ready(), window.end());
            held.truncate(end);
            out.extend(held.drain(..ready));
            match progress {
                Progress::NeedsBytes => break,
                Progress::NeedsRoom => assert_ne!(ready, 0, "with room, a transform goes on"),
                over => return Err(over),
            }
        }
    }
    Ok(out)
}
