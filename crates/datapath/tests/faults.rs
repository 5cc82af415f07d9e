//! Stalls, truncation, garbage and tampering at every state. Nothing panics, each end comes to one
//! verdict at most, and nobody is connected who should not be.

use proptest::prelude::*;
use tidelock_datapath::{
    Engine, Failure, MAX_HANDSHAKE_RECORDS, MAX_RECORD_BODY_BYTES, Mono, Reason, Refused, Role,
};
use tidelock_testkit::{
    End, Pair, PairBuilder, SeededEntropy, TestCa, Verdict, VirtualClock, Wire,
};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";
/// More records than a handshake between two engines has in one direction.
const RECORDS: usize = 8;

fn builder() -> PairBuilder {
    let ca = TestCa::new("example.org");
    let mut ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    ends.deadline = Some(Mono(1_000_000));
    ends
}

/// What is done to one record on its way.
#[derive(Clone, Debug)]
enum Fault {
    FlipBit { at: usize, bit: u8 },
    CutTo { len: usize },
    Replace { content_type: u8, body: Vec<u8> },
    InsertBefore { content_type: u8, body: Vec<u8> },
    Repeat,
    Drop,
    HoldBack,
}

/// Runs a handshake in which `fault` befalls the record numbered `at` that travels to `to`; then
/// lets time run out.
fn run_with(ends: &PairBuilder, to: Role, at: usize, fault: &Fault) -> Pair {
    let mut pair = ends.start();
    let mut seen = [0; 2];
    let mut held = None;
    loop {
        let mut moved = false;
        for role in [Role::Server, Role::Client] {
            let wire = wire(&mut pair, role);
            let Some(record) = take_record(&mut wire.in_flight) else {
                continue;
            };
            moved = true;
            let counter = &mut seen[usize::from(role == to)];
            let number = std::mem::replace(counter, *counter + 1);
            let mut records = match role == to && number == at {
                true => befall(record, fault, &mut held),
                false => vec![record],
            };
            if role == to && number == at.saturating_add(1) {
                records.extend(held.take());
            }
            let rest = std::mem::replace(&mut wire.in_flight, records.concat());
            pair.deliver(role, usize::MAX);
            self::wire(&mut pair, role).in_flight.extend(rest);
        }
        if !moved {
            break;
        }
    }
    pair.wait_nanos(2_000_000);
    pair
}

fn wire(pair: &mut Pair, to: Role) -> &mut Wire {
    match to {
        Role::Client => &mut pair.to_client,
        Role::Server => &mut pair.to_server,
    }
}

fn take_record(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let header: [u8; 5] = *bytes.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
    Some(bytes.drain(..5 + len).collect())
}

fn record(content_type: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).expect("short").to_be_bytes();
    [&[content_type, 3, 3, high, low], body].concat()
}

fn befall(mut original: Vec<u8>, fault: &Fault, held: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
    match fault {
        Fault::FlipBit { at, bit } => {
            // The body: a header's flips are the framing's business, tested below.
            let at = 5 + at % (original.len() - 5);
            original[at] ^= 1 << (bit % 8);
            vec![original]
        }
        Fault::CutTo { len } => {
            let body = &original[5..];
            vec![record(original[0], &body[..len % body.len()])]
        }
        Fault::Replace { content_type, body } => vec![record(*content_type, body)],
        Fault::InsertBefore { content_type, body } => vec![record(*content_type, body), original],
        Fault::Repeat => vec![original.clone(), original],
        Fault::Drop => Vec::new(),
        Fault::HoldBack => {
            *held = Some(original);
            Vec::new()
        }
    }
}

/// What must hold however a handshake went.
fn check(pair: &Pair) {
    let (client, server) = pair.verdicts();
    if let Verdict::Established(client) = client {
        let server = server.established();
        assert_eq!(client.tx.as_bytes(), server.rx.as_bytes());
        assert_eq!(client.rx.as_bytes(), server.tx.as_bytes());
        assert_eq!(client.peer.as_ref().expect("proved").id().as_str(), SERVER);
        assert!(client.confirmed);
    }
    if let Verdict::Established(server) = server {
        assert_eq!(server.peer.as_ref().expect("proved").id().as_str(), CLIENT);
    }
    for verdict in [client, server] {
        if let Verdict::Failed(why) = verdict {
            assert!(
                !matches!(why.reason(), Reason::Internal | Reason::Denied(_)),
                "{why}"
            );
            assert!(!why.to_string().is_empty());
        }
    }
}

#[test]
fn an_undisturbed_run_of_the_fault_harness_connects() {
    let ends = builder();
    let pair = run_with(&ends, Role::Client, usize::MAX, &Fault::Drop);
    check(&pair);
    pair.verdicts().0.established();
}

#[test]
fn a_stall_at_any_record_ends_at_the_deadline() {
    let ends = builder();
    for to in [Role::Client, Role::Server] {
        for at in 0..RECORDS {
            let mut pair = ends.start();
            let mut seen = 0;
            // Delivers `at` records to `to`, and half of the next.
            loop {
                let other = if to == Role::Client {
                    Role::Server
                } else {
                    Role::Client
                };
                let mut moved = pair.deliver(other, usize::MAX);
                let wire = wire(&mut pair, to);
                let len = match wire.in_flight.first_chunk::<5>() {
                    None => 0,
                    Some(header) => 5 + usize::from(u16::from_be_bytes([header[3], header[4]])),
                };
                if seen == at && len > 0 {
                    pair.deliver(to, len / 2);
                    break;
                }
                seen += usize::from(len > 0);
                moved += pair.deliver(to, len);
                if moved == 0 {
                    break;
                }
            }
            pair.wait_nanos(2_000_000);
            check(&pair);
            for end in [&pair.client, &pair.server] {
                match end.verdict.as_ref().expect("a verdict") {
                    Verdict::Established(_) => {}
                    Verdict::Failed(why) => assert_eq!(*why, Failure::Deadline),
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_protected_record_is_found() {
    let ends = builder();
    for to in [Role::Client, Role::Server] {
        for at in 0..RECORDS {
            let pair = run_with(
                &ends,
                to,
                at,
                &Fault::FlipBit {
                    at: at * 37,
                    bit: 3,
                },
            );
            check(&pair);
            let captured = if to == Role::Client {
                &pair.to_client.captured
            } else {
                &pair.to_server.captured
            };
            let hit = Wire::records(captured).get(at).cloned();
            if hit.is_some_and(|(content_type, _)| content_type == 23) {
                let end = if to == Role::Client {
                    &pair.client
                } else {
                    &pair.server
                };
                let why = end.verdict.as_ref().expect("a verdict").failure();
                assert_eq!(*why, Failure::Tls(rustls::Error::DecryptError));
            }
        }
    }
}

#[test]
fn every_fault_at_every_record_is_survived() {
    let ends = builder();
    let body = vec![0x5a; 40];
    let mut faults = vec![
        Fault::CutTo { len: 3 },
        Fault::Repeat,
        Fault::Drop,
        Fault::HoldBack,
    ];
    for content_type in 20..=23 {
        faults.push(Fault::Replace {
            content_type,
            body: body.clone(),
        });
        faults.push(Fault::InsertBefore {
            content_type,
            body: body.clone(),
        });
    }
    // The start of a handshake message that never ends, and alerts in clear.
    faults.push(Fault::InsertBefore {
        content_type: 22,
        body: vec![11, 0, 0xff, 0xff, 0],
    });
    faults.push(Fault::InsertBefore {
        content_type: 21,
        body: vec![2, 40],
    });
    faults.push(Fault::InsertBefore {
        content_type: 21,
        body: vec![1, 0],
    });
    faults.push(Fault::InsertBefore {
        content_type: 23,
        body: Vec::new(),
    });
    for to in [Role::Client, Role::Server] {
        for at in 0..RECORDS {
            for fault in &faults {
                check(&run_with(&ends, to, at, fault));
            }
        }
    }
}

#[test]
fn a_peer_that_dribbles_is_cut_off() {
    let ends = builder();
    let engine = Engine::server::<SeededEntropy>(VirtualClock::new().now(), ends.server_params());
    let mut end = End::new(engine);
    let mut out = Wire::default();
    let mut given = 0;
    // One byte per record of a message that claims 64 KiB.
    while end.verdict.is_none() {
        let byte = [1, 0, 0xff, 0xff].get(given).copied().unwrap_or(0);
        let mut one = record(22, &[byte]);
        end.engine
            .handle(VirtualClock::new().now(), &mut one)
            .expect("one record");
        end.poll(&mut out);
        given += 1;
    }
    assert!(given <= MAX_HANDSHAKE_RECORDS + 1);
    let why = end.verdict.as_ref().expect("a verdict").failure();
    assert!(
        matches!(why.reason(), Reason::ResourceLimit | Reason::Protocol),
        "{why}"
    );
}

#[test]
fn a_flood_in_one_message_is_cut_off() {
    let ends = builder();
    let engine = Engine::server::<SeededEntropy>(VirtualClock::new().now(), ends.server_params());
    let mut end = End::new(engine);
    let mut out = Wire::default();
    let mut first = vec![1, 0, 0xff, 0xff];
    first.resize(9000, 0);
    let mut given = 0;
    while end.verdict.is_none() {
        let mut one = record(22, &first);
        end.engine
            .handle(VirtualClock::new().now(), &mut one)
            .expect("one record");
        end.poll(&mut out);
        given += 1;
    }
    assert_eq!(given, 2);
    assert_eq!(
        *end.verdict.as_ref().expect("a verdict").failure(),
        Failure::TooManyBytes
    );
}

#[test]
fn what_is_not_one_record_is_refused_and_changes_nothing() {
    let ends = builder();
    let mut pair = ends.start();
    let hello = pair.to_server.in_flight.clone();
    let now = pair.clock.now();
    for wrong in [
        &hello[..4],
        &hello[..hello.len() - 1],
        &[&hello[..], &[0]].concat(),
        &[],
    ] {
        let refused = pair.server.engine.handle(now, &mut wrong.to_vec());
        assert!(matches!(refused, Err(Refused::NotOneRecord { len, .. }) if len == wrong.len()));
        assert!(pair.server.engine.poll().is_none());
    }
    pair.run();
    pair.verdicts().1.established();
    let refused = pair.server.engine.handle(now, &mut hello.clone());
    assert_eq!(refused, Err(Refused::Over));
}

#[test]
fn what_cannot_begin_a_record_ends_the_handshake() {
    let headers: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0",
        &[22, 2, 0, 0, 5],
        &[22, 3, 3, 0, 0],
        &[0x80, 0, 0, 0, 0],
    ];
    for header in headers {
        let ends = builder();
        let mut pair = ends.start();
        pair.to_server.in_flight = header.to_vec();
        pair.deliver(Role::Server, usize::MAX);
        let why = pair.server.verdict.as_ref().expect("a verdict").failure();
        assert_eq!(why.reason(), Reason::Protocol);
    }
}

#[test]
fn rfc8446_5_2_records_that_are_too_long_end_the_handshake() {
    let ends = builder();
    let mut pair = ends.start();
    let [high, low] = u16::try_from(MAX_RECORD_BODY_BYTES + 1)
        .expect("fits")
        .to_be_bytes();
    let refused = pair
        .server
        .engine
        .handle(pair.clock.now(), &mut [22, 3, 3, high, low]);
    assert_eq!(refused, Ok(()));
    pair.wait_nanos(0);
    assert_eq!(
        pair.server.verdict.expect("a verdict").failure().reason(),
        Reason::Protocol
    );
}

fn faults() -> impl Strategy<Value = Fault> {
    let body = || prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, bit)| Fault::FlipBit { at, bit }),
        any::<usize>().prop_map(|len| Fault::CutTo { len }),
        (20u8..=23, body()).prop_map(|(content_type, body)| Fault::Replace { content_type, body }),
        (20u8..=23, body())
            .prop_map(|(content_type, body)| Fault::InsertBefore { content_type, body }),
        Just(Fault::Repeat),
        Just(Fault::Drop),
        Just(Fault::HoldBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_fault_connects_the_wrong_ends(to_client: bool, at in 0..RECORDS, fault in faults()) {
        let ends = builder();
        let to = if to_client { Role::Client } else { Role::Server };
        check(&run_with(&ends, to, at, &fault));
    }

    #[test]
    fn no_garbage_panics_or_connects(
        server: bool,
        records in prop::collection::vec((20u8..=23, prop::collection::vec(any::<u8>(), 0..600)), 1..6),
    ) {
        let ends = builder();
        let now = VirtualClock::new().now();
        let engine = match server {
            true => Engine::server::<SeededEntropy>(now, ends.server_params()),
            false => Engine::client::<SeededEntropy>(now, ends.client_params()),
        };
        let mut end = End::new(engine);
        let mut out = Wire::default();
        end.poll(&mut out);
        for (content_type, body) in records {
            let _ = end.engine.handle(now, &mut record(content_type, &body));
            end.poll(&mut out);
        }
        prop_assert!(!matches!(end.verdict, Some(Verdict::Established(_))));
    }

    #[test]
    fn a_record_header_never_panics_and_lengths_are_bounded(header: [u8; 5]) {
        if let Ok(len) = tidelock_datapath::record_body_len(header) {
            prop_assert!(len <= MAX_RECORD_BODY_BYTES);
            prop_assert_eq!(len, usize::from(u16::from_be_bytes([header[3], header[4]])));
        }
    }
}
