//! Prefixes of paths: what lies under one, for all paths.

use proptest::prelude::*;
use tidelock_control::document::PathPrefix;

/// A path of few and short segments, so that it often lies under a prefix.
fn path() -> impl Strategy<Value = String> {
    "(/[ab]{1,2}){0,4}"
}

/// What a prefix means, said in another way: its segments are the first ones of the path.
fn by_segments(prefix: &str, path: &str) -> bool {
    let segments = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    segments(path).starts_with(&segments(prefix))
}

proptest! {
    #[test]
    fn a_prefix_holds_what_begins_with_its_segments(prefix in path(), path in path()) {
        let text = if prefix.is_empty() { "/" } else { &prefix };
        let read = PathPrefix::parse(text).expect("a prefix");
        prop_assert_eq!(read.contains(&path), by_segments(&prefix, &path));
    }

    #[test]
    fn a_prefix_holds_itself_and_what_is_below_and_nothing_longer_in_its_last_segment(
        prefix in "(/[ab]{1,2}){1,3}", below in path(), more in "[a-z{-]{1,3}",
    ) {
        let read = PathPrefix::parse(&prefix).expect("a prefix");
        let (under, beside) = (format!("{prefix}{below}"), format!("{prefix}{more}{below}"));
        prop_assert!(read.contains(&under), "{}", under);
        prop_assert!(!read.contains(&beside), "{}", beside);
        prop_assert_eq!(PathPrefix::parse(&format!("{prefix}/")), Ok(read));
    }

    #[test]
    fn prefixes_of_prefixes_hold_no_less(a in path(), b in path(), c in path()) {
        let parse = |text: &str| PathPrefix::parse(if text.is_empty() { "/" } else { text });
        let (outer, inner) = (parse(&a).expect("a prefix"), parse(&b).expect("a prefix"));
        if outer.contains(&b) && inner.contains(&c) {
            prop_assert!(outer.contains(&c));
        }
        if outer.contains(&b) && inner.contains(&a) {
            prop_assert_eq!(outer, inner);
        }
    }

    #[test]
    fn any_prefix_is_read_or_refused_and_read_again_as_the_same(text in "[/a-bA-Zé._ {}-]{0,12}") {
        if let Ok(prefix) = PathPrefix::parse(&text) {
            prop_assert_eq!(PathPrefix::parse(prefix.as_str()), Ok(prefix));
        }
    }
}
