//! Why connections were refused and flows ended, and which end a process was.

use tidelock_proto::v1::{DenyReason, Role};

/// A reason's stable name for programs: `no_permit`.
pub(crate) fn name(reason: i32) -> String {
    match DenyReason::try_from(reason) {
        Ok(known) => known
            .as_str_name()
            .trim_start_matches("DENY_REASON_")
            .to_ascii_lowercase(),
        Err(_) => format!("reason_{reason}"),
    }
}

/// A reason in words for people.
pub(crate) fn text(reason: i32) -> String {
    let words = match DenyReason::try_from(reason) {
        Ok(DenyReason::NoGrant) => "no grant came in time",
        Ok(DenyReason::NotGranted) => "no identity matches the process",
        Ok(DenyReason::NoIdentity) => "a process without identity and a governed service",
        Ok(DenyReason::NoSvid) => "the identity has no SVID yet",
        Ok(DenyReason::NoPermit) => "no permit matched",
        Ok(DenyReason::Forbidden) => "a forbid matched",
        Ok(DenyReason::NotAServer) => "not one of the service's servers",
        Ok(DenyReason::PeerUnauthenticated) => "the peer did not prove its identity",
        Ok(DenyReason::PeerRefused) => "the peer refused",
        Ok(DenyReason::HandshakeDeadline) => "the handshake took too long",
        Ok(DenyReason::Protocol) => "malformed TLS",
        Ok(DenyReason::ResourceLimit) => "a resource limit was reached",
        Ok(DenyReason::UnsupportedSocket) => "a kind of socket that cannot be protected",
        Ok(DenyReason::CredentialsChanged) => "the process changed its credentials",
        Ok(DenyReason::SvidExpired) => "the SVID expired",
        Ok(DenyReason::NoPolicy) => "there is no policy yet",
        Ok(DenyReason::Drained) => "the node is being drained",
        Ok(DenyReason::GrantWithdrawn) => "the grant was withdrawn",
        Ok(DenyReason::PolicyChanged) => "policy changed",
        Ok(DenyReason::Exited) => "the process ended",
        Ok(DenyReason::PeerClosed) => "the peer closed",
        Ok(DenyReason::LocalClosed) => "closed",
        Ok(DenyReason::Truncated) => "the stream was cut short",
        Ok(DenyReason::Internal) => "an internal error",
        Ok(DenyReason::AgentGone) => "the agent is not running",
        Ok(DenyReason::SocketOption) => "a socket option that cannot be allowed",
        Ok(DenyReason::Unspecified) | Err(_) => return format!("reason {reason}"),
    };
    words.into()
}

/// Which end of a flow a process is.
pub(crate) fn role(role: i32) -> &'static str {
    match Role::try_from(role) {
        Ok(Role::Client) => "client",
        Ok(Role::Server) => "server",
        Ok(Role::Unspecified) | Err(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_and_a_name() {
        for number in 1..=26 {
            assert!(DenyReason::try_from(number).is_ok(), "{number}");
            assert!(!text(number).starts_with("reason "), "{number}");
            assert!(!name(number).contains("reason"), "{number}");
        }
        assert_eq!(name(DenyReason::NoPermit.into()), "no_permit");
    }

    #[test]
    fn reasons_of_newer_servers_print_their_number() {
        assert_eq!(text(900), "reason 900");
        assert_eq!(name(900), "reason_900");
    }
}
