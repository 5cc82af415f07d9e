//! `audit list`: when, who, what, to what.

use serde::Serialize;
use serde_json::Value;
use tidelock_proto::v1::AuditEntry;

use crate::span;
use crate::table::clean;

/// The first line of the table.
pub(crate) const HEADER: &str =
    "SEQ       TIME                      WHO               WHAT                WHAT TO\n";

/// An entry of the log.
#[derive(Debug, Serialize)]
pub(crate) struct AuditRow {
    seq: u64,
    time: Option<String>,
    /// What the hash is over.
    time_unix_ns: u64,
    actor: String,
    action: String,
    subject: String,
    /// What more there is to say; its members depend on `action`.
    data: Value,
    /// The text that the hash is over.
    detail: String,
    hash: String,
}

/// The JSON form.
pub(crate) fn row(entry: AuditEntry) -> AuditRow {
    AuditRow {
        seq: entry.seq,
        time: span::rfc3339_ns(entry.time_unix_ns),
        time_unix_ns: entry.time_unix_ns,
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        data: serde_json::from_str(&entry.detail).unwrap_or_default(),
        detail: entry.detail,
        hash: hash(&entry.hash),
    }
}

/// One line of the table. Entries come one by one, so the widths are fixed.
pub(crate) fn line(row: &AuditRow) -> String {
    let more = match &row.data {
        Value::Object(members) => members.iter().fold(String::new(), |text, (name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{text} {name}={value}")
        }),
        _ => String::new(),
    };
    format!(
        "{:<8}  {:<24}  {:<16}  {:<18}  {}{}\n",
        row.seq,
        span::table_time(row.time_unix_ns),
        clean(&row.actor),
        clean(&row.action),
        clean(&row.subject),
        if more.is_empty() { more } else { clean(&more) },
    )
}

/// A hash in lower-case hexadecimal, as `audit verify --noted` takes it.
pub(crate) fn hash(bytes: &[u8]) -> String {
    super::hex(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_with_its_data() {
        let row = row(AuditEntry {
            seq: 7,
            time_unix_ns: 1_000_000_000,
            actor: "node n1".into(),
            action: "svid-issued".into(),
            subject: "spiffe://td/web".into(),
            detail: r#"{"entry":"web","not_after":9}"#.into(),
            hash: vec![0xab, 1],
        });
        let line = line(&row);
        assert!(line.starts_with("7         "), "{line}");
        assert!(
            line.ends_with(
                "node n1           svid-issued         spiffe://td/web entry=web not_after=9\n"
            ),
            "{line}"
        );
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(
            (&json["hash"], &json["data"]["entry"]),
            (&"ab01".into(), &"web".into())
        );
    }
}
