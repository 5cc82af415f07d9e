//! `jwt` and `bundle`: tokens, and what they are verified with.

use std::io::Write as _;

use anyhow::bail;
use serde_json::json;
use tidelock_proto::v1::{GetBundleRequest, MintJwtRequest};
use tidelock_spiffe_core::pem;

use crate::args::{BundleFormat, JwtCommand, Output};
use crate::connect::{Admin, refusal};
use crate::span;

/// Has a JWT-SVID signed. The table form is the bare token, fit for `$(…)`; its life goes to standard error.
pub(crate) async fn jwt(
    admin: &mut Admin,
    command: JwtCommand,
    output: Output,
) -> anyhow::Result<()> {
    let JwtCommand::Mint { id, audience, ttl } = command;
    if ttl == 0 {
        bail!("a token that is good for no time is good for nothing");
    }
    let request = MintJwtRequest {
        spiffe_id: id,
        audience,
        ttl_secs: ttl,
    };
    let minted = admin.mint_jwt(request).await.map_err(refusal)?.into_inner();
    let expires = span::rfc3339(minted.expires_unix_secs);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            writeln!(out, "{}", minted.token)?;
            eprintln!("good until {}", expires.as_deref().unwrap_or("it says"));
        }
        Output::Json => {
            let json = json!({
                "token": minted.token,
                "expires": expires,
                "key_id": minted.key_id,
                "token_id": minted.token_id,
            });
            writeln!(out, "{json}")?;
        }
    }
    Ok(())
}

/// The same text whatever the output: it is for other programs.
pub(crate) async fn bundle(admin: &mut Admin, format: BundleFormat) -> anyhow::Result<()> {
    let answer = admin.get_bundle(GetBundleRequest {}).await;
    let answer = answer.map_err(refusal)?.into_inner();
    let mut out = std::io::stdout().lock();
    match format {
        BundleFormat::Spiffe => writeln!(out, "{}", answer.jwks)?,
        BundleFormat::Pem => {
            for der in answer.bundle.unwrap_or_default().x509_authorities {
                write!(out, "{}", pem::encode("CERTIFICATE", &der))?;
            }
        }
    }
    Ok(())
}
