//! `get`, `token` and `status`: one question, one answer.

use std::io::Write as _;

use anyhow::bail;
use serde::Serialize;
use serde_json::json;
use tidelock_proto::MAX_REVOKED_SVIDS;
use tidelock_proto::v1::{
    AllowCertificateRequest, CreateTokenRequest, GetFlowsRequest, GetIdentitiesRequest,
    GetNodeGroupsRequest, GetNodesRequest, GetOperatorsRequest, GetPoliciesRequest,
    GetRevokedRequest, GetServicesRequest, GetStatusRequest, GetTrustDomainsRequest, Revocation,
};

use crate::args::{Output, What};
use crate::connect::{Admin, refusal};
use crate::span;
use crate::table::Table;
use crate::view::{
    flows, identities, node_groups, nodes, operators, policies, revocations, services,
    status as status_view, trust_domains,
};

/// Lists one kind of thing. JSON is an object with one list, named as the command names it.
pub(crate) async fn list(admin: &mut Admin, what: What, output: Output) -> anyhow::Result<()> {
    let now = span::now_secs();
    match what {
        What::Identities => {
            let answer = admin.get_identities(GetIdentitiesRequest {}).await;
            let rows = identities::rows(answer.map_err(refusal)?.into_inner());
            print(output, "identities", &rows, || identities::table(&rows))
        }
        What::Services => {
            let answer = admin.get_services(GetServicesRequest {}).await;
            let rows = services::rows(answer.map_err(refusal)?.into_inner());
            print(output, "services", &rows, || services::table(&rows))
        }
        What::Policies => {
            let answer = admin.get_policies(GetPoliciesRequest {}).await;
            let rows = policies::rows(answer.map_err(refusal)?.into_inner());
            print(output, "policies", &rows, || policies::table(&rows))
        }
        What::Operators => {
            let answer = admin.get_operators(GetOperatorsRequest {}).await;
            let rows = operators::rows(answer.map_err(refusal)?.into_inner());
            print(output, "operators", &rows, || operators::table(&rows))
        }
        What::Nodes => {
            let answer = admin.get_nodes(GetNodesRequest {}).await;
            let rows = nodes::rows(answer.map_err(refusal)?.into_inner());
            print(output, "nodes", &rows, || nodes::table(&rows, now))
        }
        What::NodeGroups => {
            let answer = admin.get_node_groups(GetNodeGroupsRequest {}).await;
            let rows = node_groups::rows(answer.map_err(refusal)?.into_inner());
            print(output, "nodegroups", &rows, || node_groups::table(&rows))
        }
        What::TrustDomains => {
            let answer = admin.get_trust_domains(GetTrustDomainsRequest {}).await;
            let rows = trust_domains::rows(answer.map_err(refusal)?.into_inner());
            print(output, "trustdomains", &rows, || {
                trust_domains::table(&rows)
            })
        }
        What::Flows => {
            let answer = admin.get_flows(GetFlowsRequest {}).await;
            let rows = flows::rows(answer.map_err(refusal)?.into_inner());
            print(output, "flows", &rows, || flows::table(&rows, now))
        }
        What::Revoked => {
            let rows = revocations::rows(revoked(admin).await?);
            print(output, "revoked", &rows, || revocations::table(&rows, now))
        }
    }
}

/// What is revoked now: as much as a control plane can have.
async fn revoked(admin: &mut Admin) -> anyhow::Result<Vec<Revocation>> {
    let answer = admin.get_revoked(GetRevokedRequest {}).await;
    let mut listed = answer.map_err(refusal)?.into_inner();
    let mut all = Vec::new();
    while let Some(one) = listed.message().await.map_err(refusal)? {
        if all.len() == MAX_REVOKED_SVIDS {
            bail!(
                "the control plane names more than {MAX_REVOKED_SVIDS} SVIDs; is it of a newer version than `tidelock`?"
            );
        }
        all.push(one);
    }
    Ok(all)
}

/// Makes a join token. The table form is the bare token, fit for `$(…)`; its life goes to standard error.
pub(crate) async fn create_token(
    admin: &mut Admin,
    node: String,
    ttl_secs: u32,
    output: Output,
) -> anyhow::Result<()> {
    let request = CreateTokenRequest { node, ttl_secs };
    let made = admin
        .create_token(request)
        .await
        .map_err(refusal)?
        .into_inner();
    let expires = span::rfc3339(made.expires_unix_secs);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            writeln!(out, "{}", made.token)?;
            eprintln!(
                "good once, until {}",
                expires.as_deref().unwrap_or("it is used")
            );
        }
        Output::Json => writeln!(out, "{}", json!({"token": made.token, "expires": expires}))?,
    }
    Ok(())
}

/// Lets a certificate attest as a node.
pub(crate) async fn allow_certificate(
    admin: &mut Admin,
    node: String,
    output: Output,
) -> anyhow::Result<()> {
    let request = AllowCertificateRequest { node: node.clone() };
    let answer = admin.allow_certificate(request).await.map_err(refusal)?;
    let changed = answer.into_inner().changed;
    let mut out = std::io::stdout().lock();
    match (output, changed) {
        (Output::Table, true) => writeln!(out, "node {node}: a certificate may attest as it")?,
        (Output::Table, false) => {
            writeln!(
                out,
                "node {node}: unchanged; a certificate may attest as it already"
            )?;
        }
        (Output::Json, _) => writeln!(out, "{}", json!({"node": node, "changed": changed}))?,
    }
    Ok(())
}

/// The control plane at a glance.
pub(crate) async fn status(admin: &mut Admin, output: Output) -> anyhow::Result<()> {
    let answer = admin.get_status(GetStatusRequest {}).await;
    let view = status_view::view(answer.map_err(refusal)?.into_inner());
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => write!(out, "{}", status_view::text(&view, span::now_secs()))?,
        Output::Json => writeln!(out, "{}", serde_json::to_string(&view)?)?,
    }
    Ok(())
}

fn print<T: Serialize>(
    output: Output,
    name: &str,
    rows: &[T],
    table: impl FnOnce() -> Table,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => write!(out, "{}", table())?,
        Output::Json => writeln!(out, "{}", json!({ name: rows }))?,
    }
    Ok(())
}
