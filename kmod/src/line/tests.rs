use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::fake::world::addr;
use crate::ffi::rec;
use crate::records::tests::blank;

fn text(write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> String {
    let mut out = Vec::new();
    write(&mut |part| out.extend_from_slice(part));
    String::from_utf8(out).unwrap()
}

fn line_of(rec: &Rec, cap: usize) -> String {
    let mut buf = std::vec![0; cap];
    // SAFETY: both are live.
    let len = unsafe { tl_rs_flow_line(rec, buf.as_mut_ptr(), cap as u64) };
    buf.truncate(usize::try_from(len).unwrap());
    String::from_utf8(buf).unwrap()
}

fn flow() -> Rec {
    Rec {
        flow: 12,
        subject: 3,
        pid: 456,
        suite: 0x1301,
        time_ns: u64::MAX,
        local: addr([10, 0, 0, 1], 40000),
        remote: addr([10, 0, 0, 2], 80),
        service: Str::of(b"web"),
        local_id: Str::of(b"spiffe://example.org/client"),
        serial: [0xab; 20],
        serial_len: 3,
        ..blank(rec::FLOW_OPENED)
    }
}

#[test]
fn a_line_names_both_ends() {
    assert_eq!(
        line_of(&flow(), MAX_LINE_BYTES),
        "flow=12 subject=3 pid=456 role=client local=10.0.0.1:40000 remote=10.0.0.2:80 netns=0 \
         service=web local_id=spiffe://example.org/client peer_id=- local_serial=ababab \
         peer_serial=- suite=0x1301 opened_ns=18446744073709551615\n"
    );
}

#[test]
fn no_name_breaks_a_line_up() {
    let rec = Rec {
        service: Str::of(b"a b\nflow=1\xff"),
        ..flow()
    };
    let line = line_of(&rec, MAX_LINE_BYTES);
    assert!(line.contains(" service=a?b?flow=1? "), "{line}");
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn the_longest_line_fits_and_a_longer_one_is_none() {
    let name = [b'x'; 2048];
    let rec = Rec {
        flow: u64::MAX,
        subject: u64::MAX,
        pid: u32::MAX,
        role: role::SERVER,
        local: Addr {
            ip: [0xff; 16],
            port: u16::MAX,
            pad: 0,
            netns: u32::MAX,
        },
        remote: Addr {
            ip: [0xff; 16],
            port: u16::MAX,
            pad: 0,
            netns: u32::MAX,
        },
        service: Str::of(&name[..253]),
        local_id: Str::of(&name),
        peer_id: Str::of(&name),
        serial_len: 20,
        peer_serial_len: 20,
        ..flow()
    };
    let line = line_of(&rec, MAX_LINE_BYTES);
    assert!(line.ends_with('\n'));
    assert_eq!(line_of(&rec, line.len()).len(), line.len());
    assert_eq!(line_of(&rec, line.len() - 1), "");
    assert_eq!(line_of(&rec, 0), "");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn numbers_are_written_as_the_standard_library_does(number in any::<u64>(), shift in 0..64) {
        let number = number >> shift;
        prop_assert_eq!(text(|mut put| decimal(number, &mut put)), format!("{number}"));
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does(
        groups in prop::array::uniform8(prop_oneof![Just(0_u16), any::<u16>(), 0..16_u16]),
        four in any::<u32>(),
    ) {
        let six = Ipv6Addr::from(groups);
        if six.to_ipv4_mapped().is_none() && six.to_ipv4().is_none() {
            prop_assert_eq!(text(|mut put| ip(six.octets(), &mut put)), format!("[{six}]"));
        }
        let four = Ipv4Addr::from(four);
        prop_assert_eq!(text(|mut put| ip(four.to_ipv6_mapped().octets(), &mut put)), format!("{}", IpAddr::V4(four)));
    }
}

#[test]
fn rfc5952_4_the_first_of_the_longest_runs_is_shortened() {
    for (ip_text, expected) in [
        ("::", "[::]"),
        ("::1", "[::1]"),
        ("1:0:0:2:0:0:0:3", "[1:0:0:2::3]"),
        ("1:0:0:2:3:0:0:4", "[1::2:3:0:0:4]"),
        ("0:1:2:3:4:5:6:7", "[0:1:2:3:4:5:6:7]"),
        ("fe80::", "[fe80::]"),
    ] {
        let octets = ip_text.parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(text(|mut put| ip(octets, &mut put)), expected);
    }
}
