//! The crate `spiffe` and this project agree on every SPIFFE ID, but for what is listed here.

use proptest::prelude::*;
use tidelock_spiffe_core::{MAX_SPIFFE_ID_BYTES, SpiffeIdBuf, TrustDomainBuf};

fn check(text: &str) {
    let ours = SpiffeIdBuf::parse(text).ok();
    let theirs = spiffe::SpiffeId::new(text).ok();
    let (ours, theirs) = (
        ours.map(|id| id.to_string()),
        theirs.map(|id| id.to_string()),
    );
    assert_eq!(ours, theirs, "{text:?}");
}

#[test]
fn the_checklists_cases() {
    for text in [
        "",
        "spiffe://",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td/a",
        "spiffe://td/...",
        "spiffe://td/..",
        "spiffe://td//a",
        "spiffe://td/a\n",
        "SPIFFE://TD/Aa",
        "spiffe://1.2.3.4/a",
        "spiffe://[::1]/a",
        "spiffe://u@td/a",
        "spiffe://td:1/a",
        "spiffe://td/a?b",
        "spiffe://td/a#b",
        "spiffe://td/%61",
        "spiffe:///a",
        "spiffe:/td/a",
    ] {
        check(text);
    }
    check(&format!(
        "spiffe://td/{}",
        "a".repeat(MAX_SPIFFE_ID_BYTES - 12)
    ));
    for len in [255, 256] {
        check(&format!("spiffe://{}/a", "a".repeat(len)));
    }
}

#[test]
fn spiffe_id_2_3_longer_ids_are_refused_the_crate_reads_them() {
    let long = format!("spiffe://td/{}", "a".repeat(MAX_SPIFFE_ID_BYTES - 11));
    assert!(spiffe::SpiffeId::new(&long).is_ok());
    assert!(SpiffeIdBuf::parse(&long).is_err());
}

#[test]
fn a_trust_domain_is_a_name_the_crate_also_takes_an_id_for_one() {
    let text = "spiffe://example.org/a";
    assert!(spiffe::TrustDomain::new(text).is_ok());
    assert!(TrustDomainBuf::parse(text).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn generated_ids(text in r"([sS]piffe|http)://[a-zA-Z0-9.@:%_-]{0,6}(/[a-zA-Z.%#/_-]{0,4}){0,5}") {
        check(&text);
    }
}
