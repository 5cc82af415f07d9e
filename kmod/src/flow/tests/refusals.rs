//! Who is refused in the handshake, and by which end.

use super::*;

#[test]
fn a_client_refuses_a_server_that_may_not_serve_before_it_shows_itself() {
    let world = World::new();
    let (mut client, mut server) = (
        world.client(CLIENT),
        world.server("spiffe://example.org/thief"),
    );
    run(&mut client, &mut server);
    assert_eq!(
        (client.last.verdict, client.reason()),
        (verdict::FAILED, Some(DenyReason::NotAServer))
    );
    assert_eq!(client.last.err, EACCES);
    assert_eq!(client.peer(), "spiffe://example.org/thief");
    assert!(client.detail().contains("thief"), "{}", client.detail());
    assert_eq!(server.reason(), Some(DenyReason::PeerRefused));
    assert_eq!(server.peer(), "", "the client's name was never sent");
}

/// An identity whose SVID has this serial number.
fn with_serial(ca: &TestCa, id: &str, serial: &[u8]) -> *mut u8 {
    let mut leaf = Leaf::for_id(id);
    leaf.params.serial_number = Some(serial.to_vec().into());
    world::identity_with(ca, id, leaf)
}

#[test]
fn a_peer_whose_svid_is_revoked_is_refused_by_either_end() {
    let ca = TestCa::new(TD);
    let (client, server) = ([0x41; 16], [0x42; 16]);
    let fine = world::build_usual(&ca, &world::policy());
    let start = |client_cfg, server_cfg| {
        let of = |id, serial: &[u8]| with_serial(&ca, id, serial);
        let mut client = End::new(client_cfg, of(CLIENT, &client), role::CLIENT, NOW);
        let mut server = End::new(server_cfg, of(SERVER, &server), role::SERVER, NOW);
        run(&mut client, &mut server);
        (client, server)
    };
    let (a, b) = start(world::build_revoking(&ca, &[&server]), fine);
    assert_eq!(a.reason(), Some(DenyReason::PeerRevoked), "{}", a.detail());
    assert_eq!((a.last.err, a.peer()), (EACCES, SERVER));
    assert!(a.detail().contains(&"42".repeat(16)), "{}", a.detail());
    assert_eq!(b.reason(), Some(DenyReason::PeerRefused));
    assert_eq!(b.peer(), "", "the client's name was never sent");

    let (a, b) = start(fine, world::build_revoking(&ca, &[&client]));
    assert_eq!(b.reason(), Some(DenyReason::PeerRevoked), "{}", b.detail());
    assert_eq!(b.peer(), CLIENT);
    assert_eq!(
        (a.reason(), a.last.err),
        (Some(DenyReason::PeerRefused), ECONNREFUSED)
    );

    // Another serial number of the same name is another SVID.
    let others = world::build_revoking(&ca, &[&[0x43; 16]]);
    let (a, b) = start(others, others);
    assert_eq!(
        (a.last.verdict, b.last.verdict),
        (verdict::ESTABLISHED, verdict::ESTABLISHED)
    );
}

#[test]
fn a_refusal_by_the_server_is_an_error_of_connect() {
    let world = World::new();
    let strict = world::build_usual(&world.ca, &[]);
    let mut client = world.client(CLIENT);
    let mut server = End::new(
        strict,
        world::identity(&world.ca, SERVER),
        role::SERVER,
        NOW,
    );
    run(&mut client, &mut server);
    assert_eq!(
        (server.last.verdict, server.reason()),
        (verdict::FAILED, Some(DenyReason::NoPermit))
    );
    assert_eq!(
        (server.peer(), server.detail()),
        (CLIENT, "no permit matched")
    );
    assert_eq!(
        (client.last.verdict, client.reason()),
        (verdict::FAILED, Some(DenyReason::PeerRefused))
    );
    assert_eq!(client.last.err, ECONNREFUSED);
}

#[test]
fn policy_is_asked_at_the_client_too() {
    let world = World::new();
    let mut client = world.client("spiffe://example.org/other");
    let mut server = world.server(SERVER);
    run(&mut client, &mut server);
    assert_eq!(
        (client.reason(), client.last.err),
        (Some(DenyReason::NoPermit), EACCES)
    );
    assert_eq!(server.last.verdict, verdict::FAILED);
}

#[test]
fn a_peer_of_another_authority_is_not_believed() {
    let (world, other) = (World::new(), World::new());
    let (mut client, mut server) = (world.client(CLIENT), other.server(SERVER));
    run(&mut client, &mut server);
    assert_eq!(
        (client.reason(), client.last.err),
        (Some(DenyReason::PeerUnauthenticated), EACCES)
    );
    assert_eq!(client.peer(), "", "what is claimed is not proved");
    assert_eq!(server.last.verdict, verdict::FAILED);
}
