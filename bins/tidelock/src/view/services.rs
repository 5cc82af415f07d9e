//! `get services`.

use serde::Serialize;
use tidelock_proto::v1::{GetServicesResponse, Netns, OnUnavailable, ServiceMode, Transform};

use crate::span;
use crate::table::Table;

/// A Service: where it is and who may serve it.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceRow {
    name: String,
    addresses: Vec<String>,
    servers: Vec<String>,
    netns: &'static str,
    transform: &'static str,
    mode: &'static str,
    on_unavailable: &'static str,
    /// The DNS name that a server outside has to prove; empty: it is not outside.
    server_name: String,
    /// How old its flows may become, in seconds; 0: as old as they like.
    max_flow_age_secs: u32,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetServicesResponse) -> Vec<ServiceRow> {
    answer
        .services
        .into_iter()
        .map(|service| ServiceRow {
            netns: match service.netns() {
                Netns::Host => "host",
                Netns::Unspecified => "unknown",
            },
            transform: match service.transform.try_into() {
                Ok(Transform::Unspecified) => "none",
                Ok(Transform::Identity) => "identity",
                Ok(Transform::ForwardClientCert) => "forwardClientCert",
                Ok(Transform::AuthorizeRequests) => "authorizeRequests",
                Err(_) => "unknown",
            },
            mode: match service.mode.try_into() {
                Ok(ServiceMode::Unspecified | ServiceMode::Strict) => "strict",
                Ok(ServiceMode::Permissive) => "permissive",
                Ok(ServiceMode::Plain) => "plain",
                Ok(ServiceMode::Deny) => "deny",
                Ok(ServiceMode::Originate) => "originate",
                Err(_) => "unknown",
            },
            on_unavailable: match service.on_unavailable.try_into() {
                Ok(OnUnavailable::Unspecified | OnUnavailable::Deny) => "deny",
                Ok(OnUnavailable::Allow) => "allow",
                Err(_) => "unknown",
            },
            name: service.name,
            addresses: service.addresses,
            servers: service.servers,
            server_name: service.server_name,
            max_flow_age_secs: service.max_flow_age_secs,
        })
        .collect()
}

/// Name, addresses, servers.
pub(crate) fn table(rows: &[ServiceRow]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "ADDRESSES",
        "NETNS",
        "MODE",
        "ON-UNAVAILABLE",
        "TRANSFORM",
        "MAX-FLOW-AGE",
        "SERVERS",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.addresses.join(" "),
            row.netns.into(),
            row.mode.into(),
            row.on_unavailable.into(),
            row.transform.into(),
            match row.max_flow_age_secs {
                0 => "none".into(),
                secs => span::short(secs.into()),
            },
            match row.server_name.as_str() {
                "" => row.servers.join(" "),
                name => format!("{name} (TLS)"),
            },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::ServiceView;

    use super::*;

    #[test]
    fn the_table_shows_addresses_and_servers() {
        let answer = GetServicesResponse {
            services: vec![ServiceView {
                name: "web".into(),
                addresses: vec!["10.0.0.0/24:80".into(), "[::1]:80".into()],
                servers: vec!["spiffe://td/web".into()],
                netns: Netns::Host.into(),
                transform: Transform::ForwardClientCert.into(),
                mode: ServiceMode::Strict.into(),
                on_unavailable: OnUnavailable::Deny.into(),
                server_name: String::new(),
                max_flow_age_secs: 5400,
            }],
        };
        assert_eq!(
            table(&rows(answer)).to_string(),
            "NAME  ADDRESSES                NETNS  MODE    ON-UNAVAILABLE  TRANSFORM          MAX-FLOW-AGE  SERVERS\n\
             web   10.0.0.0/24:80 [::1]:80  host   strict  deny            forwardClientCert  1h30m         spiffe://td/web\n"
        );
    }
}
