extern crate std;

use std::vec::Vec;

use super::*;

const SUITES: [(u16, usize); 3] = [(0x1301, 32), (0x1302, 48), (0x1303, 32)];

const EMPTY: Keys = Keys {
    info: [0; CRYPTO_INFO_BYTES],
    info_len: 0,
};

fn traffic(suite: u16, len: usize) -> Traffic {
    let secret = |byte| TrafficSecret::new(suite, &[byte; 48][..len]).unwrap();
    Traffic::of(suite, &secret(1), &secret(2))
}

/// The keys of the secret that comes `steps` after that of all `byte`.
fn after(suite: u16, len: usize, byte: u8, steps: usize) -> Vec<u8> {
    let mut secret = TrafficSecret::new(suite, &[byte; 48][..len]).unwrap();
    for _ in 0..steps {
        secret = secret.next().unwrap();
    }
    secret.keys().unwrap().as_bytes().to_vec()
}

fn bytes(keys: &Keys) -> Vec<u8> {
    keys.info[..usize::try_from(keys.info_len).unwrap()].to_vec()
}

#[test]
fn each_direction_goes_on_by_itself() {
    for (suite, len) in SUITES {
        let mut traffic = traffic(suite, len);
        let mut keys = EMPTY;
        for step in 1..4 {
            traffic.received(0, &mut keys).unwrap();
            assert_eq!(bytes(&keys), after(suite, len, 2, step));
        }
        for step in 1..3 {
            traffic.sent(&mut keys).unwrap();
            assert_eq!(bytes(&keys), after(suite, len, 1, step));
        }
        traffic.received(0, &mut keys).unwrap();
        assert_eq!(bytes(&keys), after(suite, len, 2, 4));
    }
}

#[test]
fn a_peer_changes_its_key_so_often_at_once_and_then_now_and_then() {
    let mut traffic = traffic(0x1301, 32);
    let mut keys = EMPTY;
    let mut now = 1_000_000;
    for _ in 0..KEY_UPDATES_AT_ONCE {
        assert_eq!(traffic.received(now, &mut keys), Ok(()));
    }
    let before = traffic.rx;
    assert_eq!(
        traffic.received(now, &mut keys),
        Err(DenyReason::KeyUpdated)
    );
    assert_eq!(traffic.rx, before, "refused is not followed");
    for _ in 0..3 {
        now += KEY_UPDATE_EVERY_MS;
        assert_eq!(traffic.received(now, &mut keys), Ok(()));
        assert_eq!(
            traffic.received(now, &mut keys),
            Err(DenyReason::KeyUpdated)
        );
    }
    now += KEY_UPDATES_AT_ONCE * KEY_UPDATE_EVERY_MS;
    for _ in 0..KEY_UPDATES_AT_ONCE {
        assert_eq!(traffic.received(now, &mut keys), Ok(()));
    }
}

#[test]
fn what_c_cannot_mean_is_a_fault_of_ours() {
    let internal = DenyReason::Internal.number();
    let mut none = Traffic::NONE;
    let mut keys = EMPTY;
    // SAFETY: null is allowed, and what is not null is ours.
    unsafe {
        assert_eq!(
            tl_rs_key_received(core::ptr::null_mut(), 0, &raw mut keys),
            internal
        );
        assert_eq!(
            tl_rs_key_sent(&raw mut none, core::ptr::null_mut()),
            internal
        );
        assert_eq!(tl_rs_key_sent(&raw mut none, &raw mut keys), internal);
    }
}
