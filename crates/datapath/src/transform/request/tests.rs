use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;

use super::*;

fn of(
    method: &str,
    target: &str,
    fields: &str,
) -> Result<(String, String, Option<String>), Refusal> {
    let head = format!("{method} {target} HTTP/1.1\r\n{fields}\r\n");
    let read = read(head.as_bytes())?;
    let host = read.host.map(|host| host.as_str().to_string());
    Ok((read.method.into(), read.path.into(), host))
}

fn path_of(target: &str) -> Result<String, Refusal> {
    of("GET", target, "Host: a\r\n").map(|(_, path, _)| path)
}

fn host_of(fields: &str) -> Result<Option<String>, Refusal> {
    of("GET", "/", fields).map(|(.., host)| host)
}

#[test]
fn the_query_is_no_part_of_the_path() {
    assert_eq!(path_of("/a/b?c=/../d#").as_deref(), Ok("/a/b"));
    assert_eq!(path_of("/?").as_deref(), Ok("/"));
    assert_eq!(path_of("/a/").as_deref(), Ok("/a/"));
    assert_eq!(
        path_of("/a.b/..c/...;x=1/~u/@:!$&'()*+,=").as_deref(),
        Ok("/a.b/..c/...;x=1/~u/@:!$&'()*+,=")
    );
}

#[test]
fn rfc3986_6_2_2_a_path_has_one_spelling() {
    for other in [
        "/%41dmin",
        "/a%2Fb",
        "/a%2fb",
        "/%2e%2e/a",
        "/a%5Cb",
        "/a\\b",
        "/a%00",
        "/a%0A",
        "/a%25",
        "/a%7E",
        "/a%7F",
        "/caf%c3%a9",
        "/a%2",
        "/a%",
        "/a%GG",
        "/a b",
        "/a\"",
        "/a{b}",
        "/a|b",
        "/a^",
        "/a`",
        "/<a>",
        "/a[0]",
        "/a#b",
    ] {
        assert!(path_of(other).is_err(), "{other}");
    }
    for only in [
        "/caf%C3%A9",
        "/a%20b",
        "/a%22",
        "/a%3Fb",
        "/a%23",
        "/%7Bx%7D",
        "/%5B",
    ] {
        assert_eq!(path_of(only).as_deref(), Ok(only));
    }
}

#[test]
fn rfc3986_5_2_4_nothing_that_leads_elsewhere() {
    for other in [
        "/..",
        "/../a",
        "/a/..",
        "/a/../b",
        "/.",
        "/a/./b",
        "/./",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "/..;/a",
        "/.;x/a",
        "/a/..;x=1",
    ] {
        assert_eq!(path_of(other), Err(Refusal::Path), "{other}");
    }
}

#[test]
fn rfc9112_3_2_only_the_origin_form_and_the_asterisk() {
    for other in ["http://a/b", "a/b", "a:80", "*", "?a"] {
        assert_eq!(path_of(other), Err(Refusal::Path), "{other}");
    }
    assert_eq!(
        of("OPTIONS", "*", "Host: a\r\n")
            .map(|(_, path, _)| path)
            .as_deref(),
        Ok("*")
    );
}

#[test]
fn rfc9110_7_2_the_host_is_one_and_in_lower_case() {
    assert_eq!(
        host_of("Host: API.Example.com:8080\r\n"),
        Ok(Some("api.example.com".into()))
    );
    assert_eq!(
        host_of("hOST:  10.0.0.1  \r\n"),
        Ok(Some("10.0.0.1".into()))
    );
    assert_eq!(
        host_of("Host: [2001:DB8::1]:80\r\n"),
        Ok(Some("[2001:db8::1]".into()))
    );
    assert_eq!(host_of("Host: [::1]\r\n"), Ok(Some("[::1]".into())));
    for wrong in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host:\r\n",
        "Host: a, b\r\n",
        "Host: a.\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: a:b\r\n",
        "Host: a:123456\r\n",
        "Host: ::1\r\n",
        "Host: [a-b]\r\n",
        "Host: %61\r\n",
        "Host: \u{e9}\r\n",
    ] {
        assert_eq!(host_of(wrong), Err(Refusal::Host), "{wrong}");
    }
    let longest = "a".repeat(MAX_HOST_BYTES);
    assert_eq!(
        host_of(&format!("Host: {longest}\r\n")),
        Ok(Some(longest.clone()))
    );
    assert_eq!(
        host_of(&format!("Host: {longest}a\r\n")),
        Err(Refusal::Host)
    );
}

#[test]
fn http_1_0_may_have_no_host() {
    let read = read(b"GET / HTTP/1.0\r\n\r\n").expect("good");
    assert!(read.host.is_none());
    assert_eq!((read.method, read.path), ("GET", "/"));
}

/// What servers make of a path: decoded, and resolved.
fn served(path: &str) -> Vec<Vec<u8>> {
    let mut decoded = vec![];
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let hex =
            |digit: Option<u8>| char::from(digit.unwrap_or(b'0')).to_digit(16).unwrap_or(0) as u8;
        decoded.push(if byte == b'%' {
            hex(bytes.next()) << 4 | hex(bytes.next())
        } else {
            byte
        });
    }
    let mut resolved: Vec<Vec<u8>> = vec![];
    for segment in decoded.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b"" | b"." => {}
            b".." => drop(resolved.pop()),
            segment => resolved.push(segment.to_vec()),
        }
    }
    if decoded.ends_with(b"/") {
        resolved.push(vec![]);
    }
    resolved
}

proptest! {
    /// A path that is taken and is written in another way is not taken, if a server could take both for the same.
    #[test]
    fn what_is_served_alike_is_spelled_alike(
        one in "/([a-c./;~ -]|%(20|C3|A9|3F)){0,8}",
        at in any::<prop::sample::Index>(),
        how in prop::sample::select(vec!["%hex", "%HEX", "./", "/", "../x/"]),
    ) {
        let at = at.index(one.len());
        let (before, rest) = one.split_at(at);
        let other = match (how, rest.as_bytes()) {
            ("%hex", [byte, ..]) => format!("{before}%{byte:02x}{}", &rest[1..]),
            ("%HEX", [byte, ..]) => format!("{before}%{byte:02X}{}", &rest[1..]),
            ("../x/", _) => format!("{before}x/../{rest}"),
            (more, _) => format!("{before}{more}{rest}"),
        };
        if let (Ok(one), Ok(other)) = (path_of(&one), path_of(&other))
            && served(&one) == served(&other)
        {
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn no_bytes_bring_it_down(head in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&head);
    }
}
