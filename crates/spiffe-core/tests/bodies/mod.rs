//! What fuzzers and property tests do with one untrusted input. Panics on a broken promise.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

use tidelock_spiffe_core::x509::{Leaf, SigningCert};
use tidelock_spiffe_core::{MAX_PATH_SEGMENTS, MAX_SPIFFE_ID_BYTES, SpiffeId, SpiffeIdBuf};

/// One text that may be a SPIFFE ID.
pub fn spiffe_id(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(id) = SpiffeId::parse(text) {
        id_keeps_its_promises(id, text);
    }
    let Ok(folded) = SpiffeIdBuf::parse(text) else {
        assert!(
            SpiffeId::parse(text).is_err(),
            "owned and borrowed IDs disagree"
        );
        return;
    };
    assert!(
        folded.as_str().eq_ignore_ascii_case(text),
        "folding changes case only"
    );
    assert!(text.ends_with(folded.path()), "the path keeps its case");
    let again = SpiffeId::parse(folded.as_str()).expect("a folded ID parses without folding");
    assert_eq!(again.to_buf(), folded);
}

/// One certificate, read as both kinds.
pub fn certificate(input: &[u8]) {
    let leaf = Leaf::parse(input);
    let signing = SigningCert::parse(input);
    assert!(
        leaf.is_err() || signing.is_err(),
        "a certificate is both kinds"
    );
    if let Ok(leaf) = leaf {
        id_keeps_its_promises(leaf.id, leaf.id.as_str());
        assert!(!leaf.id.is_pathless());
        assert!(leaf.not_before <= leaf.not_after);
        assert!(leaf.is_current(leaf.not_before) && leaf.is_current(leaf.not_after));
        assert!(leaf.names().count() >= 1);
        assert!((1..=20).contains(&leaf.serial.len()));
        assert!(leaf.spki.ends_with(leaf.public_key));
    }
    if let Ok(signing) = signing {
        assert!(signing.id.is_none_or(|id| id.is_pathless()));
    }
}

fn id_keeps_its_promises(id: SpiffeId<'_>, text: &str) {
    assert_eq!(id.as_str(), text);
    assert!(text.len() <= MAX_SPIFFE_ID_BYTES);
    let name = id.trust_domain();
    assert_eq!(format!("spiffe://{name}{}", id.path()), text);
    let ancestors: Vec<&str> = id.ancestors().collect();
    assert_eq!(ancestors.len(), id.path().matches('/').count());
    assert!(ancestors.len() <= MAX_PATH_SEGMENTS);
    for ancestor in ancestors {
        let parsed = SpiffeId::parse(ancestor).expect("an ancestor is an ID");
        assert_eq!(parsed.trust_domain(), name);
        assert!(text[ancestor.len()..].starts_with('/'));
    }
}
