extern crate std;
use super::{Json, JsonError, Number, parse, push_quoted};
use alloc::string::String;
use std::string::ToString as _;

fn number(text: &str) -> Number {
    match parse(text.as_bytes()) {
        Ok(Json::Number(number)) => number,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn rfc_7519_4_no_name_is_there_twice() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"\u0061":3}"#,
        r#"[{"b":{"a":1,"a":2}}]"#,
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::Duplicate { .. }), "{text}");
    }
    assert!(parse(br#"{"a":{"a":1},"A":2}"#).is_ok());
}

#[test]
fn rfc_8259_is_read_strictly() {
    for text in [
        "",
        "{",
        "{}{}",
        "{} x",
        "{a:1}",
        "{\"a\":1,}",
        "[1,]",
        "01",
        "+1",
        "NaN",
        "1e400",
        "'a'",
        "\"\n\"",
        "\"\\ud800\"",
        "\u{feff}{}",
        "/**/{}",
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::Syntax { .. }), "{text:?}");
    }
    assert_eq!(
        parse(b"\"a\xff\"").unwrap_err(),
        JsonError::NotUtf8 { at: 2 }
    );
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(127).as_bytes()).is_ok());
    assert!(parse(nested(128).as_bytes()).is_err());
    assert!(parse(nested(1_000_000).as_bytes()).is_err());
}

#[test]
fn rfc_7519_2_numeric_dates() {
    for (text, seconds) in [
        ("0", (0, false)),
        ("1770000000", (1_770_000_000, false)),
        ("-1", (-1, false)),
        ("1.5", (1, true)),
        ("1770000000.0", (1_770_000_000, false)),
        ("1.77e9", (1_770_000_000, false)),
        ("18446744073709551615", (i64::MAX, false)),
        ("1e300", (i64::MAX, false)),
        ("-1e300", (i64::MIN, false)),
    ] {
        assert_eq!(number(text).seconds(), seconds, "{text}");
    }
}

#[test]
fn rfc_8259_7_what_is_quoted_is_read_back() {
    for text in ["", "a", "\"\\/", "\u{0}\n\t\u{1f}\u{7f}", "é🦀"] {
        let mut quoted = String::new();
        push_quoted(&mut quoted, text);
        assert_eq!(parse(quoted.as_bytes()), Ok(Json::String(text.to_string())));
    }
}
