//! What addresses, prefilter entries, lists and arguments mean.

mod common;

use common::samples::*;
use tidelock_kabi::*;

fn endpoint(ip: &str, port: u16, netns: u32) -> Endpoint {
    Endpoint::new(ip.parse().unwrap(), port, netns)
}

fn cidr(ip: &str, prefix_len: u8) -> Result<Cidr, CidrError> {
    Cidr::new(ip.parse().unwrap(), prefix_len)
}

#[test]
fn a_range_has_no_host_bits_and_a_possible_prefix() {
    for (ip, len, text) in [
        ("10.0.0.1", 32, "10.0.0.1/32"),
        ("10.0.0.0", 8, "10.0.0.0/8"),
        ("0.0.0.0", 0, "0.0.0.0/0"),
        ("::", 0, "::/0"),
        ("2001:db8::", 32, "2001:db8::/32"),
        ("::1", 128, "::1/128"),
        ("::ffff:10.0.0.0", 104, "10.0.0.0/8"),
    ] {
        assert_eq!(cidr(ip, len).unwrap().to_string(), text);
    }
    assert_eq!(cidr("10.0.0.1", 24), Err(CidrError::HostBits));
    assert_eq!(cidr("2001:db8::1", 127), Err(CidrError::HostBits));
    assert_eq!(
        cidr("10.0.0.0", 33),
        Err(CidrError::PrefixTooLong {
            prefix_len: 33,
            max: 32
        })
    );
    assert_eq!(
        cidr("::", 129),
        Err(CidrError::PrefixTooLong {
            prefix_len: 129,
            max: 128
        })
    );
}

#[test]
fn a_range_contains_its_own_family_only() {
    let all4 = cidr("0.0.0.0", 0).unwrap();
    let net = cidr("10.1.0.0", 16).unwrap();
    assert!(net.contains(endpoint("10.1.255.255", 0, 0).ip));
    assert!(!net.contains(endpoint("10.2.0.0", 0, 0).ip));
    assert!(all4.contains(endpoint("255.255.255.255", 0, 0).ip));
    assert!(!all4.contains(endpoint("::1", 0, 0).ip));
    assert!(
        cidr("::", 0)
            .unwrap()
            .contains(endpoint("10.1.0.0", 0, 0).ip)
    );
    assert!(all4.overlaps(&net) && net.overlaps(&all4));
    assert!(!net.overlaps(&cidr("10.2.0.0", 16).unwrap()));
}

#[test]
fn a_service_covers_an_address_by_range_port_and_namespace() {
    let cidr = cidr("10.0.0.0", 24).unwrap();
    let service = Service {
        name: "s",
        cidr,
        port: 80,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::default(),
    };
    assert!(service.covers(&endpoint("10.0.0.7", 80, 0)));
    for other in [
        endpoint("10.0.1.7", 80, 0),
        endpoint("10.0.0.7", 81, 0),
        endpoint("10.0.0.7", 80, 5),
    ] {
        assert!(!service.covers(&other), "{other}");
    }
    let elsewhere = Service {
        netns: Some(5),
        ..service
    };
    assert!(elsewhere.covers(&endpoint("10.0.0.7", 80, 5)));
    assert!(!elsewhere.covers(&endpoint("10.0.0.7", 80, 0)));
}

#[test]
fn a_wildcard_address_is_covered_by_port() {
    let cidr = cidr("10.0.0.0", 24).unwrap();
    let service = Service {
        name: "s",
        cidr,
        port: 80,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::default(),
    };
    for any in ["0.0.0.0", "::"] {
        assert!(service.covers(&endpoint(any, 80, 0)));
        assert!(!service.covers(&endpoint(any, 81, 0)) && !service.covers(&endpoint(any, 80, 5)));
    }
}

#[test]
fn a_server_is_one_byte_for_byte() {
    let ids = ["spiffe://td/a", "spiffe://td/b"];
    let cidr = cidr("10.0.0.0", 24).unwrap();
    let service = Service {
        name: "s",
        cidr,
        port: 80,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::of(&ids),
    };
    assert!(service.is_server("spiffe://td/b"));
    for other in ["", "spiffe://td/", "spiffe://td/bb", "spiffe://td/B"] {
        assert!(!service.is_server(other));
    }
}

#[test]
fn a_process_is_governed_if_it_matches_every_given_field() {
    let both = PrefilterEntry {
        exe: Some("/bin/a"),
        uid: Some(0),
    };
    let (exe, uid) = (
        PrefilterEntry { uid: None, ..both },
        PrefilterEntry { exe: None, ..both },
    );
    assert!(both.matches(b"/bin/a", 0) && exe.matches(b"/bin/a", 9) && uid.matches(b"/bin/x", 0));
    assert!(!both.matches(b"/bin/a", 1) && !both.matches(b"/bin/ab", 0) && !both.matches(b"", 0));
    assert!(!exe.matches(b"/bin/", 0) && !uid.matches(b"/bin/a", 1));
}

#[test]
fn a_decoded_list_is_like_the_one_encoded() {
    let [_, ToKernel::Config(made), ..] = every_to_kernel()[..] else {
        panic!("a config")
    };
    let bytes = ToKernel::Config(made).to_vec(1).unwrap();
    let read = Config::parse(&bytes[HEADER_BYTES..]).unwrap();
    assert_eq!(read, made);
    assert_eq!(format!("{read:?}"), format!("{made:?}"));
    for index in 0..3 {
        assert_eq!(read.services.get(index), made.services.get(index));
    }
    assert_eq!((read.services.len(), read.services.iter().count()), (2, 2));
    assert_eq!(read.services.iter().size_hint(), (2, Some(2)));
    let [web, other] = [read.services.get(0).unwrap(), read.services.get(1).unwrap()];
    assert_eq!(web.servers.iter().last(), Some("spiffe://td/web2"));
    assert!(other.servers.is_empty() && other.servers.get(0).is_none());
    assert_ne!(read.services, List::of(&[web]));
    assert_eq!(read.services.get(usize::MAX), None);
}

#[test]
fn arguments_end_at_nul() {
    let args = |argv: &'static [u8]| -> Vec<&[u8]> {
        let Some(ToAgent::Exec(evidence)) = every_to_agent().into_iter().nth(1) else {
            panic!()
        };
        Evidence { argv, ..evidence }.args().collect()
    };
    assert_eq!(args(b""), Vec::<&[u8]>::new());
    assert_eq!(args(b"a"), [b"a"]);
    assert_eq!(args(b"a\0"), [b"a"]);
    assert_eq!(args(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
    assert_eq!(args(b"\0"), [b""]);
}

#[test]
fn text_of_ours_is_cut_between_characters() {
    assert_eq!(clip("aé", 3), "aé");
    assert_eq!(clip("aé", 2), "a");
    assert_eq!(clip("é", 1), "");
    assert_eq!(clip("", 0), "");
}
