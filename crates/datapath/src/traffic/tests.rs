extern crate std;

use std::vec::Vec;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// RFC 8448 §3, *Simple 1-RTT Handshake*: what both ends write application data with.
#[test]
fn rfc8448_3_keys_and_nonces_come_of_traffic_secrets() {
    for (secret, key, iv) in [
        (
            "9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5",
            "17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51",
            "5b 78 92 3d ee 08 57 90 33 e5 23 d9",
        ),
        (
            "a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32 82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43",
            "9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56",
            "cf 78 2b 88 dd 83 54 9a ad f1 e9 84",
        ),
    ] {
        let secret = TrafficSecret::new(0x1301, &hex(secret)).unwrap();
        let iv = hex(iv);
        let expected = [&[4, 3, 51, 0][..], &iv[4..], &hex(key), &iv[..4], &[0; 8]].concat();
        assert_eq!(secret.keys().unwrap().as_bytes(), expected);
    }
}

#[test]
fn rfc8446_7_2_a_secret_has_the_length_of_its_suites_hash() {
    for (suite, len) in [(0x1301, 32), (0x1302, 48), (0x1303, 32)] {
        let secret = TrafficSecret::new(suite, &[7; 48][..len]).unwrap();
        let next = secret.next().unwrap();
        assert_eq!(next.as_bytes().len(), len);
        assert_ne!(next.as_bytes(), secret.as_bytes());
        for other in [0, len - 1, len + 1] {
            assert!(TrafficSecret::new(suite, &[7; 64][..other]).is_none());
        }
    }
    assert!(TrafficSecret::new(0x1304, &[7; 32]).is_none());
}

#[test]
fn a_secret_is_never_printed() {
    let secret = TrafficSecret::new(0x1301, &[0xab; 32]).unwrap();
    assert_eq!(std::format!("{secret:?}"), "TrafficSecret { .. }");
}
