//! Selectors as somebody writes them, one a line; and under operators, in JSON.
#![cfg_attr(fuzzing, no_main)]

use tidelock_attest::{Expression, Selector, SelectorKind, Selectors};

tidelock_fuzz::target!(|input: &str| {
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
        named(&selectors);
    }
    if let Ok(items) = serde_json::from_str::<Vec<Expression>>(input) {
        let text = serde_json::to_string(&items).unwrap_or_default();
        assert_eq!(
            serde_json::from_str::<Vec<Expression>>(&text).ok().as_ref(),
            Some(&items)
        );
        if let Ok(selectors) = Selectors::new(items) {
            named(&selectors);
        }
    }
});

/// Every way to fit names an executable, and a path or a uid.
fn named(selectors: &Selectors) {
    for branch in selectors.branches() {
        let digest = branch
            .literals()
            .any(|one| !one.negated && one.selector.kind() == SelectorKind::Sha256);
        assert!(branch.path().is_some() || branch.uid().is_some() && digest);
    }
}
