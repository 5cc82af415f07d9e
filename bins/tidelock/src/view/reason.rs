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

/// A reason in words for people: those of the kernel contract.
pub(crate) fn text(reason: i32) -> String {
    let known = u32::try_from(reason)
        .ok()
        .and_then(tidelock_kabi::DenyReason::from_number);
    match known {
        Some(known) => known.to_string(),
        None => format!("reason {reason}"),
    }
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
        for number in 1..=36 {
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
