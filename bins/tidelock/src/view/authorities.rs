//! `authority list`.

use serde::Serialize;
use tidelock_proto::v1::{AuthorityState, X509Authority};

use crate::span;
use crate::table::Table;

/// An X.509 authority.
#[derive(Debug, Serialize)]
pub(crate) struct AuthorityRow {
    id: String,
    state: &'static str,
    since: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    /// When nothing that it signed is valid any more.
    until: Option<String>,
    /// When a prepared one may be activated.
    known: Option<String>,
    #[serde(skip)]
    times: Times,
}

#[derive(Debug)]
struct Times {
    since: i64,
    not_after: i64,
    until: i64,
    known: i64,
}

/// The JSON form.
pub(crate) fn row(authority: X509Authority) -> AuthorityRow {
    let time = |secs: i64| (secs != 0).then(|| span::rfc3339(secs)).flatten();
    AuthorityRow {
        state: state_name(authority.state),
        since: time(authority.since_unix_secs),
        not_before: time(authority.not_before_unix_secs),
        not_after: time(authority.not_after_unix_secs),
        until: time(authority.until_unix_secs),
        known: time(authority.known_unix_secs),
        times: Times {
            since: authority.since_unix_secs,
            not_after: authority.not_after_unix_secs,
            until: authority.until_unix_secs,
            known: authority.known_unix_secs,
        },
        id: authority.id,
    }
}

/// A state's stable name.
pub(crate) fn state_name(state: i32) -> &'static str {
    match AuthorityState::try_from(state) {
        Ok(AuthorityState::Prepared) => "prepared",
        Ok(AuthorityState::Active) => "active",
        Ok(AuthorityState::Retired) => "retired",
        Ok(AuthorityState::Tainted) => "tainted",
        Ok(AuthorityState::Revoked) => "revoked",
        Ok(AuthorityState::Unspecified) | Err(_) => "forgotten",
    }
}

/// Name, state, for how long it has been there and how long it is of any use, and what comes next.
pub(crate) fn table(rows: &[AuthorityRow], now_secs: i64) -> Table {
    let mut table = Table::new(&["ID", "STATE", "FOR", "CERTIFICATE FOR", "NEXT"]);
    for row in rows {
        table.row([
            row.id.clone(),
            row.state.into(),
            span::age(row.times.since, now_secs),
            span::left(row.times.not_after, now_secs),
            next(row, now_secs),
        ]);
    }
    table
}

/// One line for people: where it is now, and what comes next.
pub(crate) fn hint(row: &AuthorityRow, now_secs: i64) -> String {
    match next(row, now_secs).as_str() {
        "" => format!("authority {} {}", row.id, row.state),
        next => format!("authority {} {}: {next}", row.id, row.state),
    }
}

fn next(row: &AuthorityRow, now_secs: i64) -> String {
    let left = |then: i64| span::left(then, now_secs);
    match row.state {
        "prepared" if row.times.known > now_secs => {
            format!("known to everyone in {}", left(row.times.known))
        }
        "prepared" => "may be activated".into(),
        "retired" | "tainted" => format!("in the bundle for {}", left(row.times.until)),
        "revoked" => format!("remembered for {}", left(row.times.until)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(state: AuthorityState, known: i64) -> X509Authority {
        X509Authority {
            id: "4a".into(),
            state: state.into(),
            since_unix_secs: 40,
            not_before_unix_secs: 10,
            not_after_unix_secs: 220,
            until_unix_secs: 160,
            known_unix_secs: known,
            certificate: vec![1],
        }
    }

    #[test]
    fn the_table_says_what_comes_next() {
        let rows = [
            row(authority(AuthorityState::Retired, 0)),
            row(authority(AuthorityState::Active, 0)),
            row(authority(AuthorityState::Prepared, 130)),
        ];
        assert_eq!(
            table(&rows, 100).to_string(),
            "ID  STATE     FOR    CERTIFICATE FOR  NEXT\n\
             4a  retired   1m00s  2m00s            in the bundle for 1m00s\n\
             4a  active    1m00s  2m00s            -\n\
             4a  prepared  1m00s  2m00s            known to everyone in 30s\n"
        );
        assert_eq!(hint(&rows[1], 100), "authority 4a active");
        let hint = hint(&rows[2], 130);
        assert_eq!(hint, "authority 4a prepared: may be activated");
    }

    #[test]
    fn json_has_null_for_what_does_not_apply() {
        let json = serde_json::to_value(row(authority(AuthorityState::Active, 0))).unwrap();
        assert_eq!(json["state"], "active");
        assert!(json["known"].is_null());
        assert_eq!(json["until"], "1970-01-01T00:02:40Z");
    }
}
