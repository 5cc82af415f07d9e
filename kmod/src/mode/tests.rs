use proptest::prelude::*;
use tidelock_kabi::List;

use super::*;
use crate::context::Circumstances;
use crate::fake::world::{CLIENT, SERVER, web};

fn service(mode: Mode, on_unavailable: OnUnavailable) -> Service<'static> {
    Service {
        mode,
        on_unavailable,
        max_flow_age_s: None,
        servers: List::of(&[SERVER]),
        ..web()
    }
}

/// What the mode says of a connection: `None`, or whether it is permitted.
fn said_of(service: Service<'static>, role: Role, own: Option<&str>, plain: bool) -> Option<bool> {
    said_of_refused(service, role, own, plain, None).map(|answer| answer.denied.is_none())
}

/// The same of a process that was refused an identity, as it is answered.
fn said_of_refused(
    service: Service<'static>,
    role: Role,
    own: Option<&str>,
    plain: bool,
    refused: Option<DenyReason>,
) -> Option<Answer> {
    let (client, server) = match role {
        Role::Client => (own, None),
        Role::Server => (None, own),
    };
    let asked = Asked {
        own_authority: None,
        peer_authority: None,
        role,
        service: Some(service),
        number: 0,
        client,
        server,
        own_serial: &[],
        peer_serial: &[],
        around: Circumstances {
            port: service.port,
            client: None,
            server: None,
            time_ms: None,
            node: None,
            process: None,
        },
        plain,
        refused,
        carried: None,
        age_ms: 0,
    };
    says(&service, &asked)
}

#[test]
fn tls_is_not_the_modes_to_judge_but_for_deny() {
    for mode in Mode::ALL {
        for role in [Role::Client, Role::Server] {
            let service = service(*mode, OnUnavailable::Allow);
            let outside = *mode == Mode::Originate && role == Role::Server;
            let closed = (*mode == Mode::Deny || outside).then_some(false);
            assert_eq!(
                said_of(service, role, Some(CLIENT), false),
                closed,
                "{mode}"
            );
        }
    }
}

#[test]
fn nothing_is_plain_in_strict_deny_and_originate() {
    for mode in [Mode::Strict, Mode::Deny, Mode::Originate] {
        for role in [Role::Client, Role::Server] {
            for own in [None, Some(CLIENT)] {
                let service = service(mode, OnUnavailable::Allow);
                assert_eq!(said_of(service, role, own, true), Some(false), "{mode}");
            }
        }
    }
}

#[test]
fn a_server_takes_plain_clients_where_permissive_or_plain() {
    for mode in [Mode::Permissive, Mode::Plain] {
        let service = service(mode, OnUnavailable::Deny);
        for own in [None, Some(SERVER)] {
            assert_eq!(
                said_of(service, Role::Server, own, true),
                Some(true),
                "{mode}"
            );
        }
    }
}

#[test]
fn policy_decides_about_a_client_that_is_known_and_goes_in_plain() {
    let plain = service(Mode::Plain, OnUnavailable::Deny);
    assert_eq!(said_of(plain, Role::Client, Some(CLIENT), true), None);
    // Who has an identity uses it.
    let permissive = service(Mode::Permissive, OnUnavailable::Allow);
    assert_eq!(
        said_of(permissive, Role::Client, Some(CLIENT), true),
        Some(false)
    );
}

#[test]
fn a_client_without_identity_goes_in_plain_only_where_both_are_written() {
    for mode in Mode::ALL {
        for on_unavailable in OnUnavailable::ALL {
            let permitted = matches!(mode, Mode::Permissive | Mode::Plain)
                && *on_unavailable == OnUnavailable::Allow;
            let service = service(*mode, *on_unavailable);
            assert_eq!(said_of(service, Role::Client, None, true), Some(permitted));
            assert_eq!(goes_without(&service, DenyReason::NoGrant), permitted);
        }
    }
}

#[test]
fn who_was_refused_is_not_who_got_no_answer() {
    let service = service(Mode::Permissive, OnUnavailable::Allow);
    let unavailable: std::vec::Vec<_> = DenyReason::ALL
        .iter()
        .filter(|&&reason| goes_without(&service, reason))
        .collect();
    assert_eq!(
        unavailable,
        [
            &DenyReason::NoGrant,
            &DenyReason::NoSvid,
            &DenyReason::SvidExpired,
            &DenyReason::AgentGone
        ]
    );
}

#[test]
fn who_went_in_plain_and_is_refused_goes_no_further() {
    let service = service(Mode::Permissive, OnUnavailable::Allow);
    for reason in DenyReason::ALL {
        let said = said_of_refused(service, Role::Client, None, true, Some(*reason));
        let denied = (!goes_without(&service, *reason)).then_some(*reason);
        assert_eq!(said.unwrap().denied, denied, "{reason}");
    }
    // A server's own end proves nothing in plain, whoever runs it.
    let refused = Some(DenyReason::NotGranted);
    let said = said_of_refused(service, Role::Server, None, true, refused);
    assert_eq!(said.unwrap().denied, None);
}

#[test]
fn only_a_permissive_server_looks() {
    for mode in Mode::ALL {
        let service = service(*mode, OnUnavailable::Deny);
        let wire = |role| Wire::of(Some(&service), role);
        let (client, server) = match mode {
            Mode::Plain => (Wire::Plain, Wire::Plain),
            Mode::Permissive => (Wire::Tls, Wire::Look),
            _ => (Wire::Tls, Wire::Tls),
        };
        assert_eq!((wire(Role::Client), wire(Role::Server)), (client, server));
        assert_eq!(Wire::of(None, Role::Server), Wire::Tls);
    }
}

#[test]
fn first_bytes_of_protocols() {
    // As ours and OpenSSL's begin: TLS 1.0 in the record, for old middle boxes (RFC 8446 §5.1).
    assert_eq!(first_bytes(&[22, 3, 1, 6, 0, 1], false), Wire::Tls);
    assert_eq!(first_bytes(&[22, 3, 3, 0, 200, 1, 0, 0], false), Wire::Tls);
    for plain in [
        &b"GET / HTTP/1.1"[..],
        b"SSH-2.0-",
        b"\x00\x00\x00\x08",
        b"*1\r\n",
        b"PRI * ",
    ] {
        assert_eq!(first_bytes(plain, false), Wire::Plain, "{plain:?}");
        assert_eq!(first_bytes(&plain[..1], false), Wire::Plain, "{plain:?}");
    }
    // TLS records that begin no handshake.
    for not_hello in [
        [22, 3, 1, 6, 0, 2],
        [23, 3, 3, 0, 9, 1],
        [22, 2, 0, 0, 9, 1],
        [22, 3, 3, 0x41, 0, 1],
    ] {
        assert_eq!(first_bytes(&not_hello, false), Wire::Plain, "{not_hello:?}");
    }
}

#[test]
fn who_says_nothing_waits_for_the_server() {
    assert_eq!(first_bytes(&[], false), Wire::Look);
    assert_eq!(first_bytes(&[], true), Wire::Plain);
    assert_eq!(first_bytes(&[22, 3], false), Wire::Look);
    assert_eq!(first_bytes(&[22, 3], true), Wire::Plain);
}

#[test]
fn an_end_or_an_error_of_the_socket_is_the_programs_to_read() {
    let looked = |bytes: &[u8], came: i32, waited| {
        // SAFETY: the bytes are the test's own, and as many as came or none.
        unsafe { tl_rs_first_bytes(bytes.as_ptr(), came, waited) }
    };
    let (plain, look) = (Wire::Plain.number(), Wire::Look.number());
    assert_eq!(looked(&[], -EAGAIN, false), look);
    assert_eq!(looked(&[], -EAGAIN, true), plain, "the server speaks first");
    assert_eq!(looked(&[], 0, false), plain, "an end");
    assert_eq!(looked(&[], -crate::errno::ECONNRESET, false), plain);
    assert_eq!(looked(&[22, 3], 2, false), look);
    assert_eq!(looked(&[22, 3], 2, true), plain);
    assert_eq!(looked(&[22, 3, 1, 0, 9, 1], 6, false), Wire::Tls.number());
}

proptest! {
    /// More bytes never turn an answer round.
    #[test]
    fn an_answer_stays(bytes in prop::collection::vec(prop_oneof![Just(22_u8), Just(3), Just(1), Just(0), any::<u8>()], 0..12)) {
        let mut before = Wire::Look;
        for len in 0..=bytes.len() {
            let now = first_bytes(&bytes[..len], false);
            prop_assert!(before == Wire::Look || before == now);
            if len < FIRST_BYTES {
                prop_assert_ne!(now, Wire::Tls);
            }
            before = now;
        }
        prop_assert_ne!(first_bytes(&bytes, true), Wire::Look);
    }
}
