//! Which sockets a governed process may make: Unix sockets, TCP, UDP, and the netlink socket with
//! which the C library lists addresses.
//!
//! UDP is for name resolution; what a governed process may send by it is a question for policy,
//! which this module does not yet ask.

use crate::errno::{EACCES, EPROTONOSUPPORT};

const AF_UNIX: i32 = 1;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const AF_NETLINK: i32 = 16;

const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;
const SOCK_RAW: i32 = 3;
/// The bits of a type argument that are the type (`include/linux/net.h`).
const SOCK_TYPE_MASK: i32 = 0xf;

/// "The usual one for the type".
const IPPROTO_IP: i32 = 0;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_UDP: i32 = 17;
const IPPROTO_SCTP: i32 = 132;
const IPPROTO_SMC: i32 = 256;
const IPPROTO_MPTCP: i32 = 262;
const NETLINK_ROUTE: i32 = 0;

/// 0, or the positive errno with which `socket()` refuses.
///
/// `EPROTONOSUPPORT` is what a kernel without MPTCP, SCTP or SMC answers: programs that prefer
/// those then use TCP. Everything else is `EACCES`, which `socket(2)` gives for a denied type.
#[must_use]
pub fn verdict(family: i32, kind: i32, protocol: i32) -> i32 {
    match (family, kind & SOCK_TYPE_MASK, protocol) {
        (AF_UNIX, _, _)
        | (AF_INET | AF_INET6, SOCK_STREAM, IPPROTO_IP | IPPROTO_TCP)
        | (AF_INET | AF_INET6, SOCK_DGRAM, IPPROTO_IP | IPPROTO_UDP)
        | (AF_NETLINK, SOCK_RAW | SOCK_DGRAM, NETLINK_ROUTE) => 0,
        (AF_INET | AF_INET6, _, IPPROTO_MPTCP | IPPROTO_SCTP | IPPROTO_SMC) => EPROTONOSUPPORT,
        _ => EACCES,
    }
}

/// May a governed process make this socket? 0 or a positive errno. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_socket(family: i32, kind: i32, protocol: i32) -> i32 {
    verdict(family, kind, protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOEXEC_NONBLOCK: i32 = 0o2_000_000 | 0o4_000;

    #[test]
    fn tcp_udp_unix_and_route_netlink_are_open() {
        for family in [AF_INET, AF_INET6] {
            assert_eq!(verdict(family, 1, 0), 0);
            assert_eq!(verdict(family, 1 | CLOEXEC_NONBLOCK, 6), 0);
            assert_eq!(verdict(family, 2 | CLOEXEC_NONBLOCK, 17), 0);
            assert_eq!(verdict(family, 2, 0), 0);
        }
        for kind in [1, 2, 5] {
            assert_eq!(verdict(AF_UNIX, kind, 0), 0);
        }
        assert_eq!(verdict(AF_NETLINK, 3 | CLOEXEC_NONBLOCK, 0), 0);
    }

    #[test]
    fn programs_that_prefer_another_transport_fall_back() {
        for (kind, protocol) in [(1, 262), (1, 132), (5, 132), (1, 256)] {
            assert_eq!(verdict(AF_INET6, kind, protocol), EPROTONOSUPPORT);
        }
    }

    #[test]
    fn raw_packet_vsock_smc_alg_and_xdp_are_denied() {
        for family in [17, 40, 43, 38, 44, 29, 31, 0, -1, 1000] {
            assert_eq!(verdict(family, 1, 0), EACCES, "family {family}");
        }
        assert_eq!(verdict(AF_INET, 3, 6), EACCES);
        assert_eq!(verdict(AF_INET, 3, 255), EACCES);
        assert_eq!(verdict(AF_INET, 2, 1), EACCES, "ping socket");
        assert_eq!(verdict(AF_INET6, 2, 58), EACCES, "ping socket");
        assert_eq!(verdict(AF_INET, 2, 136), EACCES, "UDP-Lite");
        assert_eq!(verdict(AF_INET, 10, 0), EACCES, "SOCK_PACKET");
    }

    #[test]
    fn other_netlink_families_are_denied() {
        for protocol in 1..32 {
            assert_eq!(verdict(AF_NETLINK, 3, protocol), EACCES);
        }
    }
}
