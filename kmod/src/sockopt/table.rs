//! The options that are open, and in which phase. Numbers are Linux's for x86-64 and arm64
//! (`include/uapi/asm-generic/socket.h`, `include/uapi/linux/{in,in6,tcp,tls}.h`).

/// `SOL_IP`.
pub(super) const SOL_IP: i32 = 0;
/// `SOL_SOCKET`.
pub(super) const SOL_SOCKET: i32 = 1;
/// `SOL_TCP`.
pub(super) const SOL_TCP: i32 = 6;
/// `SOL_IPV6`.
pub(super) const SOL_IPV6: i32 = 41;
/// `SOL_TLS`.
pub(super) const SOL_TLS: i32 = 282;

pub(super) const TCP_REPAIR: i32 = 19;
pub(super) const TCP_REPAIR_QUEUE: i32 = 20;
pub(super) const TCP_QUEUE_SEQ: i32 = 21;
pub(super) const TCP_REPAIR_OPTIONS: i32 = 22;
pub(super) const TCP_REPAIR_WINDOW: i32 = 29;
pub(super) const TCP_ULP: i32 = 31;
pub(super) const TCP_ZEROCOPY_RECEIVE: i32 = 35;
pub(super) const TCP_AO_REPAIR: i32 = 42;
pub(super) const IPV6_ADDRFORM: i32 = 1;

/// Open while pending.
pub(super) const P: u8 = 1;
/// Open once established.
pub(super) const E: u8 = 2;
/// Open on a listener.
pub(super) const L: u8 = 4;
/// Always open.
const ALL: u8 = P | E | L;
/// Never open.
const NO: u8 = 0;

/// One open option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) level: i32,
    pub(super) name: i32,
    /// Phases in which it may be read.
    pub(super) get: u8,
    /// Phases in which it may be written.
    pub(super) set: u8,
}

const fn sock(name: i32, get: u8, set: u8) -> Rule {
    Rule {
        level: SOL_SOCKET,
        name,
        get,
        set,
    }
}

const fn tcp(name: i32, get: u8, set: u8) -> Rule {
    Rule {
        level: SOL_TCP,
        name,
        get,
        set,
    }
}

const fn ip(name: i32, get: u8, set: u8) -> Rule {
    Rule {
        level: SOL_IP,
        name,
        get,
        set,
    }
}

const fn ipv6(name: i32, get: u8, set: u8) -> Rule {
    Rule {
        level: SOL_IPV6,
        name,
        get,
        set,
    }
}

/// Every open option. Left out on purpose, besides the bypasses:
/// - `SO_ATTACH_FILTER`, `SO_ATTACH_BPF`, `SO_LOCK_FILTER`: a filter can cut TLS records in the middle.
/// - `SO_ZEROCOPY`, `SO_TXTIME`, `SO_TIMESTAMPING`, `SO_DEVMEM_*`: they hand out packets or pages
///   of the socket, behind the TLS layer's back.
/// - `SO_PEEK_OFF`: an offset into TCP's own queue, not into what was decrypted.
/// - `TCP_FASTOPEN*`: data would travel before the handshake.
/// - `TCP_MD5SIG`, `TCP_AO_*`, `TCP_SAVE_SYN`, `TCP_INQ`, `TCP_TX_DELAY`: not needed, not examined.
/// - `IP_OPTIONS`, routing headers, `*_XFRM_POLICY`, `*_TRANSPARENT`: they change who is reached.
pub(super) const TABLE: [Rule; 84] = [
    sock(1, ALL, NO),     // SO_DEBUG
    sock(2, ALL, ALL),    // SO_REUSEADDR
    sock(3, ALL, NO),     // SO_TYPE
    sock(4, ALL, NO),     // SO_ERROR
    sock(5, ALL, ALL),    // SO_DONTROUTE
    sock(6, ALL, ALL),    // SO_BROADCAST
    sock(7, ALL, ALL),    // SO_SNDBUF
    sock(8, ALL, ALL),    // SO_RCVBUF
    sock(9, ALL, ALL),    // SO_KEEPALIVE
    sock(10, ALL, ALL),   // SO_OOBINLINE
    sock(12, ALL, ALL),   // SO_PRIORITY
    sock(13, ALL, ALL),   // SO_LINGER
    sock(15, ALL, ALL),   // SO_REUSEPORT
    sock(18, ALL, E | L), // SO_RCVLOWAT: would keep the handshake from being woken
    sock(19, ALL, ALL),   // SO_SNDLOWAT
    sock(20, ALL, ALL),   // SO_RCVTIMEO_OLD
    sock(21, ALL, ALL),   // SO_SNDTIMEO_OLD
    sock(25, ALL, ALL),   // SO_BINDTODEVICE
    sock(27, NO, ALL),    // SO_DETACH_FILTER
    sock(29, ALL, ALL),   // SO_TIMESTAMP_OLD
    sock(30, ALL, NO),    // SO_ACCEPTCONN
    sock(31, ALL, NO),    // SO_PEERSEC
    sock(32, ALL, ALL),   // SO_SNDBUFFORCE
    sock(33, ALL, ALL),   // SO_RCVBUFFORCE
    sock(35, ALL, ALL),   // SO_TIMESTAMPNS_OLD
    sock(36, ALL, ALL),   // SO_MARK
    sock(38, ALL, NO),    // SO_PROTOCOL
    sock(39, ALL, NO),    // SO_DOMAIN
    sock(46, ALL, ALL),   // SO_BUSY_POLL
    sock(47, ALL, ALL),   // SO_MAX_PACING_RATE
    sock(49, ALL, ALL),   // SO_INCOMING_CPU
    sock(51, NO, L),      // SO_ATTACH_REUSEPORT_CBPF: only picks among listeners
    sock(52, NO, L),      // SO_ATTACH_REUSEPORT_EBPF
    sock(55, ALL, NO),    // SO_MEMINFO
    sock(56, ALL, NO),    // SO_INCOMING_NAPI_ID
    sock(57, ALL, NO),    // SO_COOKIE
    sock(62, ALL, ALL),   // SO_BINDTOIFINDEX
    sock(63, ALL, ALL),   // SO_TIMESTAMP_NEW
    sock(64, ALL, ALL),   // SO_TIMESTAMPNS_NEW
    sock(66, ALL, ALL),   // SO_RCVTIMEO_NEW
    sock(67, ALL, ALL),   // SO_SNDTIMEO_NEW
    sock(68, NO, L),      // SO_DETACH_REUSEPORT_BPF
    sock(69, ALL, ALL),   // SO_PREFER_BUSY_POLL
    sock(71, ALL, NO),    // SO_NETNS_COOKIE
    tcp(1, ALL, ALL),     // TCP_NODELAY
    tcp(2, ALL, ALL),     // TCP_MAXSEG
    tcp(3, ALL, E | L),   // TCP_CORK: would hold handshake bytes back
    tcp(4, ALL, ALL),     // TCP_KEEPIDLE
    tcp(5, ALL, ALL),     // TCP_KEEPINTVL
    tcp(6, ALL, ALL),     // TCP_KEEPCNT
    tcp(7, ALL, ALL),     // TCP_SYNCNT
    tcp(8, ALL, ALL),     // TCP_LINGER2
    tcp(9, ALL, ALL),     // TCP_DEFER_ACCEPT: a TLS client speaks first
    tcp(10, ALL, ALL),    // TCP_WINDOW_CLAMP
    tcp(11, ALL, NO),     // TCP_INFO
    tcp(12, ALL, ALL),    // TCP_QUICKACK
    tcp(13, ALL, ALL),    // TCP_CONGESTION
    tcp(16, ALL, ALL),    // TCP_THIN_LINEAR_TIMEOUTS
    tcp(17, ALL, ALL),    // TCP_THIN_DUPACK
    tcp(18, ALL, ALL),    // TCP_USER_TIMEOUT
    tcp(24, ALL, NO),     // TCP_TIMESTAMP
    tcp(25, ALL, ALL),    // TCP_NOTSENT_LOWAT
    tcp(26, ALL, NO),     // TCP_CC_INFO
    tcp(43, ALL, NO),     // TCP_IS_MPTCP
    ip(1, ALL, ALL),      // IP_TOS
    ip(2, ALL, ALL),      // IP_TTL
    ip(8, ALL, ALL),      // IP_PKTINFO
    ip(10, ALL, ALL),     // IP_MTU_DISCOVER
    ip(11, ALL, ALL),     // IP_RECVERR: what it queues is ciphertext
    ip(13, ALL, ALL),     // IP_RECVTOS
    ip(14, ALL, NO),      // IP_MTU
    ip(15, ALL, ALL),     // IP_FREEBIND
    ip(24, ALL, ALL),     // IP_BIND_ADDRESS_NO_PORT
    ip(51, ALL, ALL),     // IP_LOCAL_PORT_RANGE
    ip(80, ALL, NO),      // SO_ORIGINAL_DST
    ipv6(16, ALL, ALL),   // IPV6_UNICAST_HOPS
    ipv6(23, ALL, ALL),   // IPV6_MTU_DISCOVER
    ipv6(24, ALL, NO),    // IPV6_MTU
    ipv6(25, ALL, ALL),   // IPV6_RECVERR
    ipv6(26, ALL, ALL),   // IPV6_V6ONLY
    ipv6(49, ALL, ALL),   // IPV6_RECVPKTINFO
    ipv6(67, ALL, ALL),   // IPV6_TCLASS
    ipv6(72, ALL, ALL),   // IPV6_ADDR_PREFERENCES
    ipv6(80, ALL, NO),    // IP6T_SO_ORIGINAL_DST
];
