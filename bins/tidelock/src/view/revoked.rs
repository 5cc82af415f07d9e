//! `revoke`: which SVIDs were.

use std::fmt::Write as _;

use serde::Serialize;
use tidelock_proto::MAX_REVOKED_SVIDS;
use tidelock_proto::v1::{RevokeResponse, RevokedSvid};

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
    /// Those that are still believed, for want of room. `until` is when they expire.
    left_out: Vec<SvidRow>,
    generation: u64,
}

#[derive(Debug, Serialize)]
struct SvidRow {
    serial: String,
    spiffe_id: String,
    node: String,
    /// Until when nodes are told; of what is left out, when it expires.
    until: Option<String>,
    #[serde(skip)]
    until_secs: i64,
}

/// The JSON form.
pub(crate) fn view(answer: RevokeResponse) -> RevokedView {
    let row = |one: RevokedSvid| SvidRow {
        serial: hex(&one.serial),
        spiffe_id: one.spiffe_id,
        node: one.node,
        until: span::rfc3339(one.until_unix_secs),
        until_secs: one.until_unix_secs,
    };
    RevokedView {
        revoked: answer.revoked.into_iter().map(row).collect(),
        already: answer.already,
        left_out: answer.left_out.into_iter().map(row).collect(),
        generation: answer.generation,
    }
}

/// A row for each SVID, and a line of how many.
pub(crate) fn text(view: &RevokedView, now_secs: i64) -> String {
    let mut text = rows(&view.revoked, "TOLD FOR", now_secs);
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

/// What is still believed, if anything is; nothing else is told of it.
pub(crate) fn left_out(view: &RevokedView, now_secs: i64) -> Option<String> {
    let last = view.left_out.iter().map(|row| row.until_secs).max()?;
    let (count, ends) = (svids(view.left_out.len()), span::left(last, now_secs));
    Some(format!(
        "NOT revoked, for nodes take at most {MAX_REVOKED_SVIDS} at one time: {count}. Connections made with them stand, and the last of \
         them expires in {ends}. Ask again when there is room (`tidelock get revoked`), or move to another authority now \
         (`tidelock authority`)"
    ))
}

/// A row for each of what is left out.
pub(crate) fn left_out_rows(view: &RevokedView, now_secs: i64) -> String {
    rows(&view.left_out, "EXPIRES IN", now_secs)
}

fn rows(of: &[SvidRow], until: &'static str, now_secs: i64) -> String {
    if of.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["SERIAL", "SPIFFE ID", "NODE", until]);
    for row in of {
        let left = span::left(row.until_secs, now_secs);
        table.row([
            row.serial.clone(),
            row.spiffe_id.clone(),
            row.node.clone(),
            left,
        ]);
    }
    table.to_string()
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
            left_out: Vec::new(),
        }
    }

    #[test]
    fn what_is_still_believed_is_told_apart_from_what_is_revoked() {
        let mut incomplete = answer(&[0x41], 0);
        incomplete.left_out = answer(&[0x42], 0).revoked;
        let view = view(incomplete);
        assert!(!text(&view, 100).contains("42"), "it is not revoked");
        let told = left_out(&view, 100).expect("told");
        assert!(
            told.starts_with("NOT revoked") && told.contains("1 SVID. "),
            "{told}"
        );
        assert!(told.contains("expires in 1m00s"), "{told}");
        assert!(
            left_out_rows(&view, 100).contains("EXPIRES IN\n42"),
            "{}",
            left_out_rows(&view, 100)
        );
        assert_eq!(left_out(&super::view(answer(&[0x41], 0)), 100), None);
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
