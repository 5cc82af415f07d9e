//! SPIFFE-ID §2, one test per rule.

use tidelock_spiffe_core::{
    MAX_PATH_SEGMENTS, SpiffeId, SpiffeIdBuf, SpiffeIdError as Error, TrustDomain, TrustDomainBuf,
    TrustDomainError as Name,
};

/// Parses as both forms, which must agree, and gives the error.
fn refused(text: &str) -> Error {
    let error = SpiffeId::parse(text).expect_err(text);
    assert_eq!(SpiffeIdBuf::parse(text), Err(error), "{text:?}");
    error
}

fn accepted(text: &str) -> SpiffeId<'_> {
    let id = SpiffeId::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(SpiffeIdBuf::parse(text), Ok(id.to_buf()));
    assert_eq!(id.to_string(), text);
    id
}

#[test]
fn spiffe_id_2_requires_the_scheme() {
    for text in [
        "",
        "spiffe:",
        "spiffe:/td",
        "https://td/a",
        "td/a",
        " spiffe://td",
        "spiffe:td",
    ] {
        assert_eq!(refused(text), Error::Scheme, "{text:?}");
    }
}

#[test]
fn spiffe_id_2_1_requires_a_trust_domain() {
    for text in ["spiffe://", "spiffe:///a"] {
        assert_eq!(refused(text), Error::TrustDomain(Name::Empty), "{text:?}");
    }
}

#[test]
fn spiffe_id_2_1_refuses_userinfo_port_query_and_fragment() {
    for (text, byte, at) in [
        ("spiffe://user@td/a", b'@', 4),
        ("spiffe://td:443/a", b':', 2),
        ("spiffe://td:/a", b':', 2),
        ("spiffe://td?a", b'?', 2),
        ("spiffe://td#a", b'#', 2),
    ] {
        assert_eq!(
            refused(text),
            Error::TrustDomain(Name::BadByte { byte, at }),
            "{text:?}"
        );
    }
    for (text, byte) in [("spiffe://td/a?b=c", b'?'), ("spiffe://td/a#b", b'#')] {
        assert_eq!(refused(text), Error::BadByte { byte, at: 13 }, "{text:?}");
    }
}

#[test]
fn spiffe_id_2_1_trust_domain_bytes() {
    for name in ["td", "a", "0", "-", "_", ".", "..", "a.b-c_d.0", "1.2.3.4"] {
        let text = format!("spiffe://{name}/a");
        assert_eq!(accepted(&text).trust_domain().as_str(), name);
    }
    for byte in (0..=0x7f_u8).filter(|b| !b.is_ascii_alphanumeric() && !b"._-/".contains(b)) {
        let text = format!("spiffe://t{}d/a", char::from(byte));
        assert_eq!(
            refused(&text),
            Error::TrustDomain(Name::BadByte { byte, at: 1 })
        );
    }
}

#[test]
fn spiffe_id_2_1_refuses_percent_encoding() {
    let bad = Name::BadByte { byte: b'%', at: 0 };
    assert_eq!(refused("spiffe://%74d/a"), Error::TrustDomain(bad));
    assert_eq!(
        refused("spiffe://td/%61"),
        Error::BadByte { byte: b'%', at: 12 }
    );
}

#[test]
fn spiffe_id_2_1_refuses_ipv6() {
    let bad = Name::BadByte { byte: b'[', at: 0 };
    assert_eq!(refused("spiffe://[::1]/a"), Error::TrustDomain(bad));
}

#[test]
fn spiffe_id_2_2_path_bytes() {
    accepted("spiffe://td/AZaz09._-/...");
    for byte in (0..=0x7f_u8).filter(|b| !b.is_ascii_alphanumeric() && !b"._-/".contains(b)) {
        let text = format!("spiffe://td/a{}b", char::from(byte));
        assert_eq!(refused(&text), Error::BadByte { byte, at: 13 });
    }
    assert_eq!(
        refused("spiffe://td/é"),
        Error::BadByte { byte: 0xc3, at: 12 }
    );
}

#[test]
fn spiffe_id_2_2_refuses_trailing_newline() {
    assert_eq!(
        refused("spiffe://td/a\n"),
        Error::BadByte {
            byte: b'\n',
            at: 13
        }
    );
    let bad = Name::BadByte { byte: b'\n', at: 2 };
    assert_eq!(refused("spiffe://td\n"), Error::TrustDomain(bad));
}

#[test]
fn spiffe_id_2_2_rejects_empty_segment() {
    assert_eq!(refused("spiffe://td//a"), Error::EmptySegment { at: 12 });
    assert_eq!(refused("spiffe://td/a//b"), Error::EmptySegment { at: 14 });
    assert_eq!(refused("spiffe://td//"), Error::EmptySegment { at: 12 });
}

#[test]
fn spiffe_id_2_2_rejects_dot_segments() {
    for text in [
        "spiffe://td/.",
        "spiffe://td/..",
        "spiffe://td/./a",
        "spiffe://td/../a",
    ] {
        assert_eq!(refused(text), Error::DotSegment { at: 12 }, "{text:?}");
    }
    assert_eq!(refused("spiffe://td/a/.."), Error::DotSegment { at: 14 });
    for text in [
        "spiffe://td/...",
        "spiffe://td/.a",
        "spiffe://td/a.",
        "spiffe://td/..a/b",
    ] {
        accepted(text);
    }
}

#[test]
fn spiffe_id_2_2_rejects_trailing_slash() {
    assert_eq!(refused("spiffe://td/"), Error::TrailingSlash { at: 11 });
    assert_eq!(refused("spiffe://td/a/"), Error::TrailingSlash { at: 13 });
}

#[test]
fn spiffe_id_2_3_accepts_2048_bytes_and_no_more() {
    let mut text = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    assert_eq!(accepted(&text).as_str().len(), 2048);
    text.push('a');
    assert_eq!(refused(&text), Error::TooLong { len: 2049 });
    let td = TrustDomain::parse("td").unwrap();
    let segment = "a".repeat(2048 - 12);
    assert!(SpiffeIdBuf::from_segments(td, &[&segment]).is_ok());
    assert_eq!(
        SpiffeIdBuf::from_segments(td, &[&segment, "b"]),
        Err(Error::TooLong { len: 2050 }),
        "never generate longer"
    );
}

#[test]
fn spiffe_id_2_3_accepts_a_name_of_255_bytes_and_no_more() {
    let name = "a".repeat(255);
    accepted(&format!("spiffe://{name}/a"));
    let long = Name::TooLong { len: 256 };
    assert_eq!(
        refused(&format!("spiffe://{name}a/a")),
        Error::TrustDomain(long)
    );
    assert_eq!(TrustDomain::parse(&"A".repeat(256)), Err(long));
}

#[test]
fn spiffe_id_2_folds_scheme_and_trust_domain_but_not_the_path() {
    for text in ["SPIFFE://td/Aa", "spiffe://TD/Aa", "sPiFfE://tD/Aa"] {
        assert_eq!(
            SpiffeIdBuf::parse(text).unwrap().as_str(),
            "spiffe://td/Aa",
            "{text:?}"
        );
    }
    assert_eq!(
        SpiffeIdBuf::parse("SPIFFE://TD").unwrap().as_str(),
        "spiffe://td"
    );
    assert_eq!(
        TrustDomainBuf::parse("Example.ORG").unwrap().as_str(),
        "example.org"
    );
    assert_ne!(accepted("spiffe://td/a"), accepted("spiffe://td/A"));
    let error = SpiffeIdBuf::parse("spiffe://TD/a/").unwrap_err();
    assert_eq!(
        error,
        Error::TrailingSlash { at: 13 },
        "what is folded is checked as a whole"
    );
}

#[test]
fn spiffe_id_2_borrowed_refuses_what_it_cannot_fold() {
    assert_eq!(
        SpiffeId::parse("Spiffe://td/a"),
        Err(Error::UpperCaseScheme)
    );
    let upper = Name::UpperCase { byte: b'D', at: 1 };
    assert_eq!(
        SpiffeId::parse("spiffe://tD/a"),
        Err(Error::TrustDomain(upper))
    );
}

#[test]
fn spiffe_id_parts() {
    let id = accepted("spiffe://td/a/b");
    assert_eq!(
        (id.trust_domain().as_str(), id.path(), id.is_pathless()),
        ("td", "/a/b", false)
    );
    let id = accepted("spiffe://td");
    assert_eq!(
        (id.trust_domain().as_str(), id.path(), id.is_pathless()),
        ("td", "", true)
    );
    assert_eq!(TrustDomainBuf::parse("td").unwrap().id(), id.to_buf());
}

#[test]
fn spiffe_id_from_segments_checks_each() {
    let td = TrustDomain::parse("td").unwrap();
    let id = SpiffeIdBuf::from_segments(td, &["tidelock", "agent", "node-1"]).unwrap();
    assert_eq!(id.as_str(), "spiffe://td/tidelock/agent/node-1");
    assert_eq!(
        SpiffeIdBuf::from_segments(td, &[]).unwrap().as_str(),
        "spiffe://td"
    );
    for (segments, error) in [
        (&["a", ""][..], Error::TrailingSlash { at: 13 }),
        (&["", "a"], Error::EmptySegment { at: 12 }),
        (&["..", "a"], Error::DotSegment { at: 12 }),
        (&["a/b"], Error::BadByte { byte: b'/', at: 13 }),
        (&["a b"], Error::BadByte { byte: b' ', at: 13 }),
    ] {
        assert_eq!(
            SpiffeIdBuf::from_segments(td, segments),
            Err(error),
            "{segments:?}"
        );
    }
}

#[test]
fn spiffe_id_ancestors_are_shorter_ids_top_down() {
    let all = |text| {
        SpiffeId::parse(text)
            .unwrap()
            .ancestors()
            .collect::<Vec<_>>()
    };
    assert!(all("spiffe://td").is_empty());
    assert_eq!(all("spiffe://td/a"), ["spiffe://td"]);
    assert_eq!(
        all("spiffe://td/a/bc/d"),
        ["spiffe://td", "spiffe://td/a", "spiffe://td/a/bc"]
    );
}

#[test]
fn spiffe_id_ancestors_are_bounded() {
    let text = format!("spiffe://x{}", "/a".repeat(MAX_PATH_SEGMENTS));
    assert_eq!(text.len(), 2048);
    assert_eq!(accepted(&text).ancestors().count(), MAX_PATH_SEGMENTS);
}
