//! `authority list`.

use serde::Serialize;
use tidelock_proto::v1::{AuthorityKind, AuthorityState, JwtAuthority, X509Authority};

use crate::span;
use crate::table::Table;

/// An authority.
#[derive(Debug, Serialize)]
pub(crate) struct AuthorityRow {
    id: String,
    kind: &'static str,
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
        kind: kind_name(AuthorityKind::X509.into()),
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

/// The JSON form of one that signs JWT-SVIDs. That begins to sign when it is activated, and not at a time of its own.
pub(crate) fn jwt_row(authority: JwtAuthority) -> AuthorityRow {
    let row = row(X509Authority {
        id: authority.id,
        state: authority.state,
        since_unix_secs: authority.since_unix_secs,
        not_before_unix_secs: 0,
        not_after_unix_secs: authority.not_after_unix_secs,
        until_unix_secs: authority.until_unix_secs,
        known_unix_secs: authority.known_unix_secs,
        certificate: Vec::new(),
    });
    AuthorityRow {
        kind: kind_name(AuthorityKind::Jwt.into()),
        ..row
    }
}

/// A kind's stable name. What does not say is of before there was another kind.
pub(crate) fn kind_name(kind: i32) -> &'static str {
    match AuthorityKind::try_from(kind) {
        Ok(AuthorityKind::X509 | AuthorityKind::Unspecified) => "x509",
        Ok(AuthorityKind::Jwt) => "jwt",
        Err(_) => "unknown",
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

/// Name, kind, state, for how long it has been there and how long it is of any use, and what comes next.
pub(crate) fn table<'r>(rows: impl IntoIterator<Item = &'r AuthorityRow>, now_secs: i64) -> Table {
    let mut table = Table::new(&["ID", "KIND", "STATE", "FOR", "LASTS", "NEXT"]);
    for row in rows {
        table.row([
            row.id.clone(),
            row.kind.into(),
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
        "" => format!("{} authority {} {}", row.kind, row.id, row.state),
        next => format!("{} authority {} {}: {next}", row.kind, row.id, row.state),
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
            jwt_row(JwtAuthority {
                id: "4b".into(),
                state: AuthorityState::Prepared.into(),
                since_unix_secs: 40,
                not_after_unix_secs: 220,
                until_unix_secs: 220,
                known_unix_secs: 130,
                public_key: vec![1],
            }),
        ];
        assert_eq!(
            table(&rows, 100).to_string(),
            "ID  KIND  STATE     FOR    LASTS  NEXT\n\
             4a  x509  retired   1m00s  2m00s  in the bundle for 1m00s\n\
             4a  x509  active    1m00s  2m00s  -\n\
             4b  jwt   prepared  1m00s  2m00s  known to everyone in 30s\n"
        );
        assert_eq!(hint(&rows[1], 100), "x509 authority 4a active");
        let hint = hint(&rows[2], 130);
        assert_eq!(hint, "jwt authority 4b prepared: may be activated");
    }

    #[test]
    fn json_has_null_for_what_does_not_apply() {
        let json = serde_json::to_value(row(authority(AuthorityState::Active, 0))).unwrap();
        assert_eq!(
            (&json["kind"], &json["state"]),
            (&"x509".into(), &"active".into())
        );
        assert!(json["known"].is_null());
        assert_eq!(json["until"], "1970-01-01T00:02:40Z");
    }
}
