extern crate std;
use super::{DerError, Element, Reader};

fn element(der: &[u8]) -> Result<Element<'_>, DerError> {
    Reader::new(der).element()
}

fn time(tag: u8, text: &str) -> Result<i64, DerError> {
    let mut der = std::vec![tag, u8::try_from(text.len()).unwrap()];
    der.extend_from_slice(text.as_bytes());
    element(&der)?.time()
}

#[test]
fn x690_8_1_3_reads_minimal_definite_lengths_only() {
    for header in [
        &[4, 0][..],
        &[4, 0x81, 0x80],
        &[4, 0x82, 1, 0],
        &[4, 0x83, 1, 0, 0],
    ] {
        let mut der = header.to_vec();
        der.resize(header.len() + 65_536, 7);
        let element = element(&der).unwrap();
        assert_eq!(element.raw.len(), header.len() + element.value.len());
        assert_eq!(element.value_at, header.len());
    }
    for bad in [
        &[4, 0x80][..],
        &[4, 0x81, 0x7f],
        &[4, 0x82, 0, 0xff],
        &[4, 0x84, 0, 0, 0, 1],
    ] {
        assert_eq!(element(bad), Err(DerError::Length { at: 0 }), "{bad:x?}");
    }
    for short in [
        &[][..],
        &[4],
        &[4, 1],
        &[4, 0x81],
        &[4, 0x82, 1],
        &[4, 0x83, 1, 1],
    ] {
        assert_eq!(
            element(short),
            Err(DerError::Truncated { at: 0 }),
            "{short:x?}"
        );
    }
    assert_eq!(element(&[0x1f, 1, 0]), Err(DerError::HighTag { at: 0 }));
}

#[test]
fn x690_positions_count_from_the_outermost_start() {
    let der = [0x30, 4, 2, 2, 0, 1];
    let outer = element(&der).unwrap();
    let inner = outer.reader().element().unwrap();
    assert_eq!((inner.at, inner.value_at), (2, 4));
    assert_eq!(inner.integer(), Err(DerError::Integer { at: 4 }));
    let mut reader = outer.reader();
    assert_eq!(
        reader.expect(3),
        Err(DerError::Tag {
            at: 2,
            expected: 3,
            found: 2
        })
    );
    assert!(
        reader.expect(2).is_ok(),
        "a refused element is not consumed"
    );
}

#[test]
fn x690_8_3_integers_are_minimal() {
    for good in [
        &[2, 1, 0][..],
        &[2, 2, 0, 0x80],
        &[2, 1, 0xff],
        &[2, 2, 0xff, 0x7f],
    ] {
        assert!(element(good).unwrap().integer().is_ok(), "{good:x?}");
    }
    for bad in [&[2, 0][..], &[2, 2, 0, 0x7f], &[2, 2, 0xff, 0x80]] {
        assert_eq!(
            element(bad).unwrap().integer(),
            Err(DerError::Integer { at: 2 }),
            "{bad:x?}"
        );
    }
}

#[test]
fn x690_11_2_bit_strings_have_zero_padding() {
    assert_eq!(element(&[3, 1, 0]).unwrap().bit_string(), Ok(&[][..]));
    assert_eq!(
        element(&[3, 2, 7, 0x80]).unwrap().bit_string(),
        Ok(&[0x80][..])
    );
    for bad in [&[3, 0][..], &[3, 1, 1], &[3, 2, 7, 0xc0], &[3, 2, 8, 0]] {
        assert_eq!(
            element(bad).unwrap().bit_string(),
            Err(DerError::BitString { at: 2 })
        );
    }
    let partial = [3, 2, 1, 0x80];
    assert!(element(&partial).unwrap().bit_string_bytes().is_err());
}

#[test]
fn x690_11_1_booleans_are_00_or_ff() {
    assert_eq!(element(&[1, 1, 0]).unwrap().boolean(), Ok(false));
    assert_eq!(element(&[1, 1, 0xff]).unwrap().boolean(), Ok(true));
    for bad in [&[1, 1, 1][..], &[1, 0], &[1, 2, 0, 0]] {
        assert_eq!(
            element(bad).unwrap().boolean(),
            Err(DerError::Boolean { at: 2 })
        );
    }
}

#[test]
fn rfc_5280_4_1_2_5_reads_times() {
    for (tag, text, unix) in [
        (0x17, "700101000000Z", 0),
        (0x17, "000229235959Z", 951_868_799),
        (0x17, "491231235959Z", 2_524_607_999),
        (0x17, "500101000000Z", -631_152_000),
        (0x18, "20500101000000Z", 2_524_608_000),
        (0x18, "20240301000000Z", 1_709_251_200),
        (0x18, "99991231235959Z", 253_402_300_799),
        (0x18, "00010101000000Z", -62_135_596_800),
    ] {
        assert_eq!(time(tag, text), Ok(unix), "{text}");
    }
}

#[test]
fn rfc_5280_4_1_2_5_refuses_other_times() {
    for (tag, text) in [
        (0x17, "7001010000Z"),
        (0x17, "700101000000+0000"),
        (0x17, "700101000000"),
        (0x17, "700230000000Z"),
        (0x17, "700001000000Z"),
        (0x17, "701301000000Z"),
        (0x17, "700100000000Z"),
        (0x17, "700101240000Z"),
        (0x17, "700101006000Z"),
        (0x17, "700101000060Z"),
        (0x17, "7001010000x0Z"),
        (0x18, "19000229000000Z"),
        (0x18, "20240301000000.5Z"),
        (0x18, "2024030100000Z"),
    ] {
        assert_eq!(time(tag, text), Err(DerError::Time { at: 2 }), "{text}");
    }
    assert_eq!(
        time(4, "x"),
        Err(DerError::Tag {
            at: 0,
            expected: 0x17,
            found: 4
        })
    );
}
