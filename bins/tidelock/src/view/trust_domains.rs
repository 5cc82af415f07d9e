//! `get trustdomains`.

use serde::Serialize;
use tidelock_proto::v1::{GetTrustDomainsResponse, SvidLife, TrustDomainView};

use crate::span;
use crate::table::Table;

/// A trust domain, and how long its SVIDs live.
#[derive(Debug, Serialize)]
pub(crate) struct TrustDomainRow {
    name: String,
    /// Whether a document says so, or it is what is built in.
    has_document: bool,
    x509_default_ttl_secs: u32,
    x509_max_ttl_secs: u32,
    jwt_default_ttl_secs: u32,
    jwt_max_ttl_secs: u32,
    /// Of authorities that are made from now on.
    x509_authority_ttl_secs: u32,
    jwt_authority_ttl_secs: u32,
    /// WorkloadIdentities that name no life of their own.
    identities_by_default: u32,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetTrustDomainsResponse) -> Vec<TrustDomainRow> {
    answer.trust_domains.into_iter().map(row).collect()
}

fn row(domain: TrustDomainView) -> TrustDomainRow {
    let life = |life: Option<SvidLife>| life.unwrap_or_default();
    let (x509, jwt) = (life(domain.x509), life(domain.jwt));
    TrustDomainRow {
        name: domain.name,
        has_document: domain.has_document,
        x509_default_ttl_secs: x509.default_secs,
        x509_max_ttl_secs: x509.max_secs,
        jwt_default_ttl_secs: jwt.default_secs,
        jwt_max_ttl_secs: jwt.max_secs,
        x509_authority_ttl_secs: domain.x509_authority_secs,
        jwt_authority_ttl_secs: domain.jwt_authority_secs,
        identities_by_default: domain.identities_by_default,
    }
}

/// Name, lives and their bounds, who lives by the default, and who says so.
pub(crate) fn table(rows: &[TrustDomainRow]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "X509 TTL",
        "X509 MAX",
        "JWT TTL",
        "JWT MAX",
        "X509 CA",
        "JWT KEY",
        "BY DEFAULT",
        "SAID BY",
    ]);
    for row in rows {
        let span = |secs: u32| span::short(secs.into());
        table.row([
            row.name.clone(),
            span(row.x509_default_ttl_secs),
            span(row.x509_max_ttl_secs),
            span(row.jwt_default_ttl_secs),
            span(row.jwt_max_ttl_secs),
            span(row.x509_authority_ttl_secs),
            span(row.jwt_authority_ttl_secs),
            row.identities_by_default.to_string(),
            if row.has_document {
                "document"
            } else {
                "built in"
            }
            .to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_lives_their_bounds_and_who_says_so() {
        let life = |default_secs, max_secs| {
            Some(SvidLife {
                default_secs,
                max_secs,
            })
        };
        let answer = GetTrustDomainsResponse {
            trust_domains: vec![TrustDomainView {
                name: "example.org".into(),
                has_document: false,
                x509: life(3_600, 2_592_000),
                jwt: life(300, 3_600),
                identities_by_default: 7,
                x509_authority_secs: 7_776_000,
                jwt_authority_secs: 2_592_000,
            }],
        };
        assert_eq!(
            table(&rows(answer)).to_string(),
            "NAME         X509 TTL  X509 MAX  JWT TTL  JWT MAX  X509 CA  JWT KEY  BY DEFAULT  SAID BY\n\
             example.org  1h00m     30d00h    5m00s    1h00m    90d00h   30d00h   7           built in\n"
        );
    }
}
