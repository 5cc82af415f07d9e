//! Properties of SPIFFE IDs over many inputs.

mod bodies;

use proptest::prelude::*;
use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf};

/// The rules of SPIFFE-ID §2 once more, written for clarity instead of positions.
fn oracle(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://") else {
        return false;
    };
    let (name, path) = rest
        .split_once('/')
        .map_or((rest, None), |(name, path)| (name, Some(path)));
    let name_ok = (1..=255).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    let segment_ok = |segment: &str| {
        !["", ".", ".."].contains(&segment)
            && segment
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    text.len() <= 2048 && name_ok && path.is_none_or(|path| path.split('/').all(segment_ok))
}

/// The same for text in which scheme and trust domain may be in upper case.
fn folding_oracle(text: &str) -> bool {
    let path_at = text
        .match_indices('/')
        .nth(2)
        .map_or(text.len(), |(at, _)| at);
    let (head, path) = text.split_at(path_at);
    oracle(&(head.to_ascii_lowercase() + path))
}

fn check(text: &str) {
    assert_eq!(SpiffeId::parse(text).is_ok(), oracle(text), "{text:?}");
    assert_eq!(
        SpiffeIdBuf::parse(text).is_ok(),
        folding_oracle(text),
        "{text:?}"
    );
    bodies::spiffe_id(text.as_bytes());
}

#[test]
fn every_byte_at_every_position() {
    let texts = ["spiffe://a.b/c/.d", "spiffe://a", "spiffe://a/..e"];
    for text in texts {
        for at in 0..=text.len() {
            let (before, after) = text.split_at(at);
            for byte in 0..=255_u8 {
                let inserted = format!("{before}{}{after}", char::from(byte));
                check(&inserted);
                if let Some(after) = after.get(1..) {
                    check(&format!("{before}{}{after}", char::from(byte)));
                }
            }
            check(before);
            check(after);
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_no_concern() {
    bodies::spiffe_id(b"spiffe://a/\xff");
}

proptest! {
    #[test]
    fn parse_then_print_is_identity(
        text in r"spiffe://[a-z0-9._-]{1,60}(/[A-Za-z0-9._-]{1,9}){0,40}"
    ) {
        check(&text);
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn parser_and_oracle_agree(text in r"([sS]piffe|http)://[a-zA-Z.@:%é]{0,4}(/[a-zA-Z.%#/]{0,3}){0,4}") {
        check(&text);
    }

    #[test]
    fn anything_at_all(text in any::<String>()) {
        check(&text);
        check(&format!("spiffe://{text}"));
        check(&format!("spiffe://td/{text}"));
    }
}
