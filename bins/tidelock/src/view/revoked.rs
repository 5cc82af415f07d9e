//! `revoke`: which SVIDs were.

use std::fmt::Write as _;

use serde::Serialize;
use tidelock_proto::v1::RevokeResponse;

use super::hex;
use crate::span;
use crate::table::Table;

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct RevokedView {
    /// Those that were not revoked before.
    revoked: Vec<SvidRow>,
    /// How many were.
    already: u32,
    generation: u64,
}

#[derive(Debug, Serialize)]
struct SvidRow {
    serial: String,
    spiffe_id: String,
    node: String,
    /// Until when nodes are told.
    until: Option<String>,
    #[serde(skip)]
    until_secs: i64,
}

/// The JSON form.
pub(crate) fn view(answer: RevokeResponse) -> RevokedView {
    let rows = answer.revoked.into_iter().map(|one| SvidRow {
        serial: hex(&one.serial),
        spiffe_id: one.spiffe_id,
        node: one.node,
        until: span::rfc3339(one.until_unix_secs),
        until_secs: one.until_unix_secs,
    });
    RevokedView {
        revoked: rows.collect(),
        already: answer.already,
        generation: answer.generation,
    }
}

/// A row for each SVID, and a line of how many.
pub(crate) fn text(view: &RevokedView, now_secs: i64) -> String {
    let mut text = String::new();
    if !view.revoked.is_empty() {
        let mut table = Table::new(&["SERIAL", "SPIFFE ID", "NODE", "TOLD FOR"]);
        for row in &view.revoked {
            let left = span::left(row.until_secs, now_secs);
            table.row([
                row.serial.clone(),
                row.spiffe_id.clone(),
                row.node.clone(),
                left,
            ]);
        }
        let _ = write!(text, "{table}");
    }
    let already = match view.already {
        0 => String::new(),
        already => format!(" ({already} already were)"),
    };
    let count = match view.revoked.len() {
        0 => "nothing".to_owned(),
        count => svids(count),
    };
    let _ = writeln!(
        text,
        "{count} revoked{already}\ngeneration {}",
        view.generation
    );
    text
}

/// So many SVIDs, in words.
pub(super) fn svids(count: usize) -> String {
    match count {
        1 => "1 SVID".to_owned(),
        count => format!("{count} SVIDs"),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::RevokedSvid;

    use super::*;

    fn answer(serials: &[u8], already: u32) -> RevokeResponse {
        let one = |&serial: &u8| RevokedSvid {
            serial: vec![serial],
            spiffe_id: "spiffe://td/web".into(),
            node: "n1".into(),
            until_unix_secs: 160,
        };
        RevokeResponse {
            revoked: serials.iter().map(one).collect(),
            already,
            generation: 7,
        }
    }

    #[test]
    fn each_svid_has_a_row_and_there_is_a_line_of_how_many() {
        assert_eq!(
            text(&view(answer(&[0x41], 0)), 100),
            "SERIAL  SPIFFE ID        NODE  TOLD FOR\n\
             41      spiffe://td/web  n1    1m00s\n\
             1 SVID revoked\ngeneration 7\n"
        );
        let again = text(&view(answer(&[], 2)), 100);
        assert_eq!(again, "nothing revoked (2 already were)\ngeneration 7\n");
    }

    #[test]
    fn json_has_the_same() {
        let json = serde_json::to_value(view(answer(&[0x41, 0x42], 1))).unwrap();
        assert_eq!(json["revoked"][1]["serial"], "42");
        assert_eq!(json["revoked"][0]["until"], "1970-01-01T00:02:40Z");
        assert_eq!(
            (&json["already"], &json["generation"]),
            (&1.into(), &7.into())
        );
    }
}
