//! `get revoked`: what is believed no more, since when, by whom and why.

use serde::Serialize;
use tidelock_proto::v1::Revocation;

use super::{hex, known};
use crate::span;
use crate::table::Table;

/// An SVID that is revoked.
#[derive(Debug, Serialize)]
pub(crate) struct RevocationRow {
    serial: String,
    spiffe_id: String,
    node: String,
    /// As what it was revoked: `svid`, `identity` or `node`.
    kind: Option<String>,
    /// Which of that kind: a serial number, a SPIFFE ID, a node's name.
    subject: Option<String>,
    revoked: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    /// Until when nodes are told.
    until: Option<String>,
    #[serde(skip)]
    revoked_ns: u64,
    #[serde(skip)]
    until_secs: i64,
}

/// Rows, the latest last.
pub(crate) fn rows(mut all: Vec<Revocation>) -> Vec<RevocationRow> {
    all.sort_by_key(|one| one.time_unix_ns);
    all.into_iter().map(row).collect()
}

fn row(one: Revocation) -> RevocationRow {
    let svid = one.svid.unwrap_or_default();
    let (kind, subject) = one.what.split_once(' ').unwrap_or_default();
    // A serial number as all others are shown.
    let subject = match kind {
        "svid" => subject.to_ascii_uppercase(),
        _ => subject.to_owned(),
    };
    RevocationRow {
        serial: hex(&svid.serial),
        spiffe_id: svid.spiffe_id,
        node: svid.node,
        subject: known(subject),
        kind: known(kind.to_owned()),
        revoked: span::rfc3339_ns(one.time_unix_ns),
        by: known(one.actor),
        reason: known(one.reason),
        until: span::rfc3339(svid.until_unix_secs),
        revoked_ns: one.time_unix_ns,
        until_secs: svid.until_unix_secs,
    }
}

/// A row for each. Whatever it was revoked as, the subject of that is one of the columns before.
pub(crate) fn table(rows: &[RevocationRow], now_secs: i64) -> Table {
    let mut table = Table::new(&[
        "SERIAL",
        "SPIFFE ID",
        "NODE",
        "REVOKED AS",
        "AGO",
        "BY",
        "TOLD FOR",
        "REASON",
    ]);
    for row in rows {
        table.row([
            row.serial.clone(),
            row.spiffe_id.clone(),
            row.node.clone(),
            row.kind.clone().unwrap_or_default(),
            span::age(span::secs(row.revoked_ns), now_secs),
            row.by.clone().unwrap_or_default(),
            span::left(row.until_secs, now_secs),
            row.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::RevokedSvid;

    use super::*;

    fn revocation(serial: u8, what: &str, at_secs: u64) -> Revocation {
        let svid = RevokedSvid {
            serial: vec![serial],
            spiffe_id: "spiffe://td/web".into(),
            node: "n1".into(),
            until_unix_secs: 160,
        };
        Revocation {
            svid: Some(svid),
            what: what.into(),
            reason: "a laptop\u{1b}[2J".into(),
            actor: "uid 0".into(),
            time_unix_ns: at_secs * 1_000_000_000,
        }
    }

    #[test]
    fn the_latest_is_last_and_the_reason_reaches_no_terminal_with_control_characters() {
        let all = vec![
            revocation(0x42, "identity spiffe://td/web", 90),
            revocation(0x43, "node n1", 40),
            revocation(0x41, "identity spiffe://td/web", 90),
        ];
        assert_eq!(
            table(&rows(all), 100).to_string(),
            "SERIAL  SPIFFE ID        NODE  REVOKED AS  AGO    BY     TOLD FOR  REASON\n\
             43      spiffe://td/web  n1    node        1m00s  uid 0  1m00s     a laptop?[2J\n\
             42      spiffe://td/web  n1    identity    10s    uid 0  1m00s     a laptop?[2J\n\
             41      spiffe://td/web  n1    identity    10s    uid 0  1m00s     a laptop?[2J\n"
        );
    }

    #[test]
    fn json_names_what_was_asked_for_and_what_is_not_known_is_null() {
        let json = |one| serde_json::to_value(&rows(vec![one])[0]).unwrap();
        let known = json(revocation(0x41, "identity spiffe://td/web", 40));
        assert_eq!(known["kind"], "identity");
        assert_eq!(known["subject"], "spiffe://td/web");
        assert_eq!(known["revoked"], "1970-01-01T00:00:40Z");
        assert_eq!(known["until"], "1970-01-01T00:02:40Z");
        let svid = json(revocation(0xab, "svid ab", 40));
        assert_eq!(svid["subject"], svid["serial"], "written the same way");
        let unknown = json(Revocation {
            svid: revocation(0x41, "", 0).svid,
            ..Revocation::default()
        });
        assert_eq!(unknown["serial"], "41");
        for member in ["kind", "subject", "revoked", "by", "reason"] {
            assert!(unknown[member].is_null(), "{member}");
        }
    }
}
