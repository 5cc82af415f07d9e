//! `authority`: what signs, what will, and what did.

use std::io::Write as _;

use anyhow::bail;
use serde_json::json;
use tidelock_proto::v1::{
    self, ActivateAuthorityRequest, GetCrlRequest, ListAuthoritiesRequest, PrepareAuthorityRequest,
    RevokeAuthorityRequest, TaintAuthorityRequest,
};

use crate::args::{AuthorityCommand, Output};
use crate::connect::{Admin, refusal};
use crate::span;
use crate::view::authorities as view;

/// Lists the authorities, or moves one on and says where it is then.
pub(crate) async fn authority(
    admin: &mut Admin,
    command: AuthorityCommand,
    output: Output,
) -> anyhow::Result<()> {
    let moved = match command {
        AuthorityCommand::List => return list(admin, output).await,
        AuthorityCommand::Crl { id } => return crl(admin, id).await,
        AuthorityCommand::Prepare { kind } => {
            let kind = v1::AuthorityKind::from(kind).into();
            let request = PrepareAuthorityRequest { kind };
            admin.prepare_authority(request).await
        }
        AuthorityCommand::Activate { id, despite_nodes } => {
            let request = ActivateAuthorityRequest { id, despite_nodes };
            admin.activate_authority(request).await
        }
        AuthorityCommand::Taint { id } => admin.taint_authority(TaintAuthorityRequest { id }).await,
        AuthorityCommand::Revoke { id } => {
            admin.revoke_authority(RevokeAuthorityRequest { id }).await
        }
    };
    let moved = moved.map_err(refusal)?.into_inner();
    let row = match (moved.authority, moved.jwt_authority) {
        (Some(authority), _) => view::row(authority),
        (None, Some(authority)) => view::jwt_row(authority),
        (None, None) => bail!("the control plane did not say what became of the authority"),
    };
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            let hint = view::hint(&row, span::now_secs());
            writeln!(out, "{hint}\ngeneration {}", moved.generation)?;
        }
        Output::Json => {
            let json = json!({"authority": row, "generation": moved.generation});
            writeln!(out, "{json}")?;
        }
    }
    Ok(())
}

/// The same bytes whatever the output: they are for other programs.
async fn crl(admin: &mut Admin, id: String) -> anyhow::Result<()> {
    let answer = admin.get_crl(GetCrlRequest { id }).await;
    let list = answer.map_err(refusal)?.into_inner().crl;
    std::io::stdout().lock().write_all(&list)?;
    Ok(())
}

async fn list(admin: &mut Admin, output: Output) -> anyhow::Result<()> {
    let answer = admin.list_authorities(ListAuthoritiesRequest {}).await;
    let answer = answer.map_err(refusal)?.into_inner();
    let x509: Vec<_> = answer.x509.into_iter().map(view::row).collect();
    let jwt: Vec<_> = answer.jwt.into_iter().map(view::jwt_row).collect();
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            let rows = x509.iter().chain(&jwt);
            write!(out, "{}", view::table(rows, span::now_secs()))?;
        }
        Output::Json => {
            let sequence = answer.bundle_sequence;
            writeln!(
                out,
                "{}",
                json!({"x509": x509, "jwt": jwt, "bundle_sequence": sequence})
            )?;
        }
    }
    Ok(())
}
