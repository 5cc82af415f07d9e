extern crate std;
use super::{PemError, decode, encode};
use alloc::vec;
use alloc::vec::Vec;

#[test]
fn rfc_7468_round_trips_every_length() {
    for len in 0..200_u8 {
        let der: Vec<u8> = (0..len).map(|n| n.wrapping_mul(151)).collect();
        let text = encode("CERTIFICATE", &der);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(decode("CERTIFICATE", &text), Ok(vec![der]));
    }
}

#[test]
fn rfc_4648_vectors() {
    for (bytes, base64) in [
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        let text = alloc::format!("-----BEGIN X-----\n{base64}\n-----END X-----\n");
        assert_eq!(encode("X", bytes.as_bytes()), text);
        assert_eq!(decode("X", &text), Ok(vec![bytes.as_bytes().to_vec()]));
    }
}

#[test]
fn rfc_7468_passes_over_text_and_other_labels() {
    let text = "hello\n-----BEGIN KEY-----\nZg==\n-----END KEY-----\nto\r\n\
                -----BEGIN X-----\r\nZm9v\r\n-----END X-----\r\n";
    assert_eq!(decode("X", text), Ok(vec![b"foo".to_vec()]));
}

#[test]
fn rfc_7468_names_the_bad_line() {
    for (text, error) in [
        (
            "-----BEGIN X-----\nZm9v\n",
            PemError::Unfinished { line: 1 },
        ),
        (
            "\n-----BEGIN X-----\nZm9v\n-----END Y-----\n",
            PemError::End { line: 4 },
        ),
        (
            "-----BEGIN X-----\nZm 9v\n-----END X-----\n",
            PemError::Base64 { line: 2 },
        ),
        (
            "-----BEGIN X-----\nZm=v\n-----END X-----\n",
            PemError::Base64 { line: 2 },
        ),
        (
            "-----BEGIN X-----\nZm9\n-----END X-----\n",
            PemError::Base64 { line: 3 },
        ),
        (
            "-----BEGIN X-----\nZh==\n-----END X-----\n",
            PemError::Base64 { line: 2 },
        ),
        (
            "-----BEGIN X-----\n====\n-----END X-----\n",
            PemError::Base64 { line: 2 },
        ),
        (
            "-----BEGIN X-----\nZg==Zg==\n-----END X-----\n",
            PemError::Base64 { line: 2 },
        ),
    ] {
        assert_eq!(decode("X", text), Err(error), "{text:?}");
    }
}
