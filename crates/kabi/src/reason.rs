//! Why a flow was refused, closed or cut.

impl DenyReason {
    /// Was something refused, closed or cut for it? Others are told all the same: of exceptions that somebody wrote down, and of
    /// what would have been.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        !matches!(
            self,
            Self::WouldDeny | Self::WouldPermit | Self::TookInPlain | Self::WentInPlain
        )
    }
}

numbered! {
    /// Why the kernel refused, closed or cut a flow, or refused a process an identity.
    pub enum DenyReason: u32 {
        /// The grant deadline passed before the agent answered.
        NoGrant = 1 => "no grant came before the deadline: is the agent running and connected?",
        /// The agent appraised the process and no WorkloadIdentity matches it.
        NotGranted = 2 => "no workload identity matches the process",
        /// A process that nothing governs used an address of a Service.
        NoIdentity = 3 => "an ungoverned process used the address of a service",
        /// The identity is granted, but no SVID was issued before the deadline.
        NoSvid = 4 => "the identity has no svid yet: is the control plane reachable from this node?",
        /// No permit policy matched the request.
        NoPermit = 5 => "no permit matched",
        /// A forbid policy matched, or could not be evaluated.
        Forbidden = 6 => "a forbid policy matched",
        /// The peer, or this process, is not one of the SPIFFE IDs that may serve the Service.
        NotAServer = 7 => "not one of the service's servers",
        /// The peer's certificate, chain or signature did not verify.
        PeerUnauthenticated = 8 => "the peer did not prove a spiffe id of a trusted domain",
        /// The peer refused us with a TLS alert.
        PeerRefused = 9 => "the peer refused this identity",
        /// The handshake did not finish in time.
        HandshakeDeadline = 10 => "the handshake did not finish before its deadline",
        /// The peer's bytes are not the TLS that was expected.
        Protocol = 11 => "the peer does not speak the expected tls: is it governed too?",
        /// A bound on pending handshakes, flows or memory was reached.
        ResourceLimit = 12 => "too many handshakes or flows at once",
        /// The socket uses something that cannot be kept safe: Fast Open, MPTCP, an own ULP.
        UnsupportedSocket = 13 => "the socket uses a feature that a governed process may not use",
        /// The process changed its credentials and must be appraised again.
        CredentialsChanged = 14 => "the process changed its credentials",
        /// This process' SVID expired and no newer one came.
        SvidExpired = 15 => "the svid expired and was not renewed",
        /// No policy was ever applied.
        NoPolicy = 16 => "no policy is loaded",
        /// The module is being drained for unloading.
        Drained = 17 => "the module was drained",
        /// The agent withdrew the grant.
        GrantWithdrawn = 18 => "the grant was withdrawn",
        /// Policy no longer permits the flow: another is in force, or it reads the time.
        PolicyChanged = 19 => "policy does not permit the flow any more",
        /// The process that owned the flow ended.
        Exited = 20 => "the process ended",
        /// The peer closed the flow in order.
        PeerClosed = 21 => "closed by the peer",
        /// The process closed the flow in order.
        LocalClosed = 22 => "closed by the process",
        /// The connection ended without the peer's `close_notify`.
        Truncated = 23 => "the connection ended without a close_notify: data may be missing",
        /// A fault of our own; the flow was refused.
        Internal = 24 => "internal fault: see the kernel log",
        /// The agent is gone and the process has no grant.
        AgentGone = 25 => "the agent is not running",
        /// A socket option that is refused on governed sockets.
        SocketOption = 26 => "the socket option is refused on governed sockets",
        /// Not a refusal: the flow may be, and a `forbid` that is only observed would have denied it.
        WouldDeny = 27 => "would have been denied (observe)",
        /// Not a refusal of its own: the flow was refused, and a `permit` that is only observed would have permitted it.
        WouldPermit = 28 => "would have been permitted (observe)",
        /// The peer's SVID is one of those that were revoked.
        PeerRevoked = 29 => "the peer's svid was revoked",
        /// This process' own SVID is one of those that were revoked.
        SvidRevoked = 30 => "the svid was revoked and no newer one came",
        /// The flow sent as many records as one key may protect (RFC 8446 §5.5).
        KeyUsedUp = 31 => "as many records were sent as one key may protect: connect again",
        /// The Service takes nobody.
        ServiceDenied = 32 => "the service takes nobody (mode: deny)",
        /// The Service takes no plain connections, or no longer.
        NotInPlain = 33 => "the service takes no plain connections",
        /// Not a refusal: a server took a client in plain, as its Service's mode says.
        TookInPlain = 34 => "the client spoke plain tcp and was taken (mode: permissive)",
        /// Not a refusal: a client got no identity in time and went in plain, as the Service says.
        WentInPlain = 35 => "no identity was to be had, and the connection went in plain (onUnavailable: allow)",
        /// The peer changed its key where the kernel cannot follow (before Linux 6.14), in a way that it cannot, or too often.
        KeyUpdated = 36 => "the peer changed its key (KeyUpdate), and this kernel cannot follow, or not so often: connect again",
        /// The flow is as old as its Service lets one become.
        FlowTooOld = 37 => "the connection is as old as its service lets one become (maxFlowAge): connect again",
    }
}
