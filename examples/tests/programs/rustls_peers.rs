//! Who may talk to whom, over real TCP.

use tidelock_examples::issue::Issuer;
use tidelock_examples::rustls_peers::{End, PeerRefused, meet, refusal, run};
use tidelock_examples::verify_svid::{Refused, unix_now};
use tidelock_spiffe_core::TrustDomainBuf;

const SHOP: &str = "spiffe://example.org/shop";
const DB: &str = "spiffe://example.org/db";
const OTHER: &str = "spiffe://example.org/other";

#[test]
fn who_is_accepted_at_both_ends_gets_through_and_is_known_by_name() {
    let [wanted, ..] = run().unwrap();
    assert_eq!(wanted.at_server.unwrap().as_str(), SHOP);
    assert_eq!(wanted.at_client.unwrap(), format!("hello, {SHOP}"));
}

#[test]
fn a_server_refuses_a_client_of_another_id() {
    let [_, stranger, _] = run().unwrap();
    let error = stranger.at_server.unwrap_err();
    assert!(
        matches!(refusal(&error), Some(PeerRefused::NotAccepted { id }) if id.as_str() == OTHER),
        "{error}"
    );
    // It has proved who the server is, and is told no more than that it is not wanted.
    let error = stranger.at_client.unwrap_err();
    assert!(refusal(&error).is_none(), "{error}");
}

#[test]
fn a_client_refuses_a_server_of_another_id() {
    let [.., impostor] = run().unwrap();
    let error = impostor.at_client.unwrap_err();
    assert!(
        matches!(refusal(&error), Some(PeerRefused::NotAccepted { id }) if id.as_str() == OTHER),
        "{error}"
    );
    assert!(impostor.at_server.is_err());
}

#[test]
fn the_right_name_by_the_wrong_authority_proves_nothing() {
    let now = unix_now();
    let issuer = |domain| Issuer::new(&TrustDomainBuf::parse(domain).unwrap(), now).unwrap();
    // Both ends believe the bundle of example.org; the client shows what another example.org signed.
    let (ours, theirs) = (issuer("example.org"), issuer("example.org"));
    let client = End {
        is: SHOP,
        accepts: DB,
    };
    let server = End {
        is: DB,
        accepts: SHOP,
    };
    let meeting = meet(&ours, (&theirs, client), (&ours, server)).unwrap();
    let error = meeting.at_server.unwrap_err();
    assert!(
        matches!(
            refusal(&error),
            Some(PeerRefused::Unproved(Refused::Path { .. }))
        ),
        "{error}"
    );
    assert!(meeting.at_client.is_err());
}
