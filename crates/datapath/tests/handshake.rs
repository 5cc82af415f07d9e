//! Two engines against each other: what both ends hold when all goes well, and what the wire shows.

use rcgen::DnType;
use tidelock_datapath::{ALPN, Identity, Role};
use tidelock_testkit::{KernelTls, Pair, PairBuilder, TestCa, Wire};

const CLIENT: &str = "spiffe://example.org/ns/client";
const SERVER: &str = "spiffe://example.org/ns/server";

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CHANGE_CIPHER_SPEC: u8 = 20;

fn builder() -> PairBuilder {
    let ca = TestCa::new("example.org");
    PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust())
}

fn finished() -> Pair {
    let mut pair = builder().start();
    pair.run();
    pair
}

#[test]
fn both_ends_hold_the_same_secrets_and_each_others_name() {
    let ends = builder();
    let mut pair = ends.start();
    pair.run();
    let (client, server) = pair.verdicts();
    let (client, server) = (client.established(), server.established());
    assert_eq!(client.tx.as_bytes(), server.rx.as_bytes());
    assert_eq!(client.rx.as_bytes(), server.tx.as_bytes());
    assert_ne!(client.tx.as_bytes(), client.rx.as_bytes());
    assert_eq!(client.peer.as_ref().expect("proved").id().as_str(), SERVER);
    assert_eq!(server.peer.as_ref().expect("proved").id().as_str(), CLIENT);
    let svid = |identity: &Identity| identity.svid().expect("installed").clone();
    assert_eq!(
        client.peer.as_ref().expect("proved").serial(),
        svid(&ends.server).serial()
    );
    assert_eq!(
        server.peer.as_ref().expect("proved").serial(),
        svid(&ends.client).serial()
    );
    assert_eq!(
        server.peer.as_ref().expect("proved").authority(),
        svid(&ends.client).authority()
    );
    assert_eq!(
        server.peer.as_ref().expect("proved").not_after(),
        svid(&ends.client).not_after()
    );
    assert_eq!(client.suite, server.suite);
    assert!(client.confirmed && server.confirmed);
}

#[test]
fn no_two_handshakes_share_secrets() {
    let ends = builder();
    let secrets = || {
        let mut pair = ends.start();
        pair.run();
        pair.verdicts().0.established().tx.as_bytes().to_vec()
    };
    assert_ne!(secrets(), secrets());
}

#[test]
fn kernel_tls_carries_on_where_the_handshake_stopped() {
    let pair = finished();
    let (client, server) = pair.verdicts();
    let (client, server) = (client.established(), server.established());
    let mut ways = [
        (
            KernelTls::new(client.tx.as_bytes()),
            KernelTls::new(server.rx.as_bytes()),
        ),
        (
            KernelTls::new(server.tx.as_bytes()),
            KernelTls::new(client.rx.as_bytes()),
        ),
    ];
    for (seal, open) in &mut ways {
        for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"more"] {
            let record = seal.seal(APPLICATION_DATA, text);
            assert_eq!(open.open(&record), Some((APPLICATION_DATA, text.to_vec())));
        }
        let mut record = seal.seal(APPLICATION_DATA, b"tampered");
        *record.last_mut().expect("a tag") ^= 1;
        assert_eq!(open.open(&record), None);
    }
}

#[test]
fn the_servers_sequence_counts_its_confirmation() {
    let pair = finished();
    let (client, server) = pair.verdicts();
    let (client, server) = (client.established(), server.established());
    assert_eq!(KernelTls::new(client.tx.as_bytes()).sequence, 0);
    assert_eq!(KernelTls::new(client.rx.as_bytes()).sequence, 1);
    assert_eq!(KernelTls::new(server.tx.as_bytes()).sequence, 1);
    assert_eq!(KernelTls::new(server.rx.as_bytes()).sequence, 0);
}

#[test]
fn rfc8446_4_6_1_the_confirmation_is_one_ticket_to_be_discarded_at_once() {
    let pair = finished();
    let records = Wire::records(&pair.to_client.captured);
    let (_, body) = records.last().expect("records");
    let mut tx = KernelTls::new(pair.verdicts().1.established().tx.as_bytes());
    tx.sequence = 0;
    let len = u16::try_from(body.len()).expect("a record").to_be_bytes();
    let record = [&[APPLICATION_DATA, 3, 3], &len[..], body].concat();
    let (content_type, message) = tx
        .open(&record)
        .expect("the server's first record under these keys");
    assert_eq!(content_type, HANDSHAKE);
    let [4, _, _, _, lifetime @ ..] = &message[..8] else {
        panic!("no NewSessionTicket")
    };
    assert_eq!(lifetime, [0; 4]);
    assert!(
        message.windows(ALPN.len()).any(|window| window == ALPN),
        "the ticket says what it is"
    );
}

#[test]
fn the_client_is_done_only_when_the_server_has_confirmed() {
    let mut pair = builder().start();
    let mut server_done_first = false;
    while pair.deliver(Role::Server, 1) + pair.deliver(Role::Client, 1) > 0 {
        if pair.client.verdict.is_none() && pair.server.verdict.is_some() {
            server_done_first = true;
        }
        assert!(pair.client.verdict.is_none() || pair.server.verdict.is_some());
    }
    assert!(server_done_first);
    pair.verdicts().0.established();
}

#[test]
fn any_slicing_of_the_stream_gives_a_connection() {
    let ends = builder();
    for chunk in [1, 2, 3, 5, 6, 64, 517, 4096] {
        let mut pair = ends.start();
        pair.run_by(chunk);
        let (client, server) = pair.verdicts();
        assert_eq!(
            client.established().tx.as_bytes(),
            server.established().rx.as_bytes(),
            "{chunk}"
        );
    }
}

#[test]
fn longer_chains_work() {
    let mut ca = TestCa::new("example.org");
    ca.add_intermediate(|_| {});
    ca.add_intermediate(|_| {});
    let mut pair = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust()).start();
    pair.run();
    let (client, server) = pair.verdicts();
    assert_eq!(
        client.established().tx.as_bytes(),
        server.established().rx.as_bytes()
    );
}

#[test]
fn an_authority_vouches_for_what_it_signed_in_its_own_trust_domain_while_it_is_there() {
    let mut ca = TestCa::new("example.org");
    ca.add_intermediate(|_| {});
    let (client, trust) = (ca.identity(CLIENT), ca.trust());
    let authority = *client.svid().expect("installed").authority();
    let mut pair = PairBuilder::new(client, ca.identity(SERVER), ca.trust()).start();
    pair.run();
    let (_, server) = pair.verdicts();
    let proved = server.established().peer.clone().expect("proved");
    assert_eq!(proved.authority(), &authority, "the root, at either end");
    assert!(trust.vouches(&authority, CLIENT) && trust.vouches(&authority, "spiffe://example.org"));
    for other in [
        "spiffe://example.orga/web",
        "spiffe://example.or/web",
        "spiffe://partner.net/web",
        "example.org/web",
        "",
    ] {
        assert!(!trust.vouches(&authority, other), "{other}");
    }
    let next = TestCa::with_root("example.org", |params| {
        params
            .distinguished_name
            .push(DnType::OrganizationName, "next");
    });
    assert!(!next.trust().vouches(&authority, CLIENT));
}

#[test]
fn federated_domains_meet_if_each_trusts_the_other() {
    let (ours, theirs) = (TestCa::new("example.org"), TestCa::new("partner.net"));
    let mut trust = ours.trust();
    theirs.add_to(&mut trust);
    let partner = "spiffe://partner.net/api";
    let mut pair = PairBuilder::new(ours.identity(CLIENT), theirs.identity(partner), trust).start();
    pair.run();
    assert_eq!(
        pair.verdicts()
            .0
            .established()
            .peer
            .as_ref()
            .expect("proved")
            .id()
            .as_str(),
        partner
    );
}

#[test]
fn any_of_a_domains_authorities_will_do() {
    let (old, new) = (TestCa::new("example.org"), TestCa::new("example.org"));
    let mut trust = old.trust();
    new.add_to(&mut trust);
    let mut pair = PairBuilder::new(old.identity(CLIENT), new.identity(SERVER), trust).start();
    pair.run();
    let (client, server) = pair.verdicts();
    assert_eq!(
        client.established().tx.as_bytes(),
        server.established().rx.as_bytes()
    );
}

#[test]
fn a_post_quantum_share_comes_first_x25519_beside_it_and_the_server_takes_the_first() {
    let pair = finished();
    let hello = &Wire::records(&pair.to_server.captured)[0].1;
    // KeyShareEntry: group, length, key (RFC 8446 §4.2.8); 0x11ec is X25519MLKEM768, 0x001d X25519.
    let offered = [0x11, 0xec, 0x04, 0xc0];
    let at = hello
        .windows(offered.len())
        .position(|window| window == offered)
        .expect("a hybrid share");
    let next = &hello[at + offered.len() + 1216..];
    assert_eq!(next[..4], [0x00, 0x1d, 0x00, 0x20]);
    let answer = &Wire::records(&pair.to_client.captured)[0].1;
    // Extension key_share, its length, the group, the key's length.
    let taken = [0x00, 0x33, 0x04, 0x64, 0x11, 0xec, 0x04, 0x60];
    assert!(answer.windows(taken.len()).any(|window| window == taken));
}

#[test]
fn nothing_on_the_wire_names_either_end() {
    let ends = builder();
    let mut pair = ends.start();
    pair.run();
    for captured in [&pair.to_server.captured, &pair.to_client.captured] {
        let holds = |needle: &[u8]| {
            captured
                .windows(needle.len())
                .any(|window| window == needle)
        };
        assert!(
            !holds(b"spiffe") && !holds(b"example.org") && !holds(b"client") && !holds(b"server")
        );
        for identity in [&ends.client, &ends.server] {
            for cert in identity.svid().expect("installed").chain() {
                assert!(
                    !cert.windows(16).any(holds),
                    "part of a certificate in clear"
                );
            }
        }
        // One hello in clear; everything after it is protected, or the dummy of RFC 8446 §D.4.
        let records = Wire::records(captured);
        assert_eq!(records[0].0, HANDSHAKE);
        assert!(
            records[1..]
                .iter()
                .all(|(content_type, body)| match *content_type {
                    APPLICATION_DATA => true,
                    CHANGE_CIPHER_SPEC => body == &[1],
                    _ => false,
                })
        );
    }
}

#[test]
fn the_hello_offers_no_server_name_no_resumption_and_no_early_data() {
    let pair = finished();
    let hello = &Wire::records(&pair.to_server.captured)[0].1;
    let types = extension_types(hello);
    let (server_name, alpn, pre_shared_key, early_data) = (0, 16, 41, 42);
    assert!(types.contains(&alpn));
    for absent in [server_name, pre_shared_key, early_data] {
        assert!(!types.contains(&absent), "extension {absent}");
    }
}

/// The types of a ClientHello's extensions (RFC 8446 §4.1.2).
fn extension_types(hello: &[u8]) -> Vec<u16> {
    let at = |i: usize| usize::from(hello[i]);
    let at16 = |i: usize| usize::from(u16::from_be_bytes([hello[i], hello[i + 1]]));
    let mut i = 4 + 2 + 32;
    i += 1 + at(i);
    i += 2 + at16(i);
    i += 1 + at(i);
    let end = i + 2 + at16(i);
    i += 2;
    let mut types = Vec::new();
    while i < end {
        types.push(u16::from_be_bytes([hello[i], hello[i + 1]]));
        i += 4 + at16(i + 2);
    }
    types
}
