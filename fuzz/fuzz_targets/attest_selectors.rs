//! Selectors as somebody writes them, one a line.
#![no_main]

use tidelock_attest::{Selector, Selectors};

libfuzzer_sys::fuzz_target!(|input: &str| {
    for line in input.lines() {
        match Selector::parse(line) {
            Ok(selector) => {
                let text = selector.to_string();
                assert!(text.eq_ignore_ascii_case(line));
                assert_eq!(Selector::parse(&text), Ok(selector));
            }
            Err(error) => assert!(error.at() <= line.len()),
        }
    }
    if let Ok(selectors) = Selectors::parse(input.lines()) {
        assert!(
            selectors.path().is_some() || selectors.uid().is_some() && selectors.needs_digest()
        );
    }
});
