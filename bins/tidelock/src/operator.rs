//! `operator`: credentials of operators. The key never leaves the machine that it was made on.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::json;
use tidelock_proto::v1::IssueOperatorRequest;
use tidelock_spiffe_core::pem;

use crate::args::{OperatorCommand, Output};
use crate::connect::{Admin, refusal};
use crate::span;
use crate::view::hex;

/// What stands around a request in PEM (RFC 7468 §7).
const REQUEST_LABEL: &str = "CERTIFICATE REQUEST";

/// Longest file with a request, in bytes. The control plane takes 8 KiB of DER.
const MAX_REQUEST_BYTES: u64 = 16 * 1024;

/// Makes a key and prints a request for it. Asks nobody.
pub(crate) fn request(key_file: &Path) -> anyhow::Result<()> {
    let key = KeyPair::generate().context("no key can be made")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params
        .serialize_request(&key)
        .context("the key signs no request")?;
    write_new(key_file, &key.serialize_pem(), 0o600)?;
    write!(
        std::io::stdout(),
        "{}",
        pem::encode(REQUEST_LABEL, request.der())
    )?;
    Ok(())
}

/// Has a credential signed.
pub(crate) async fn operator(
    admin: &mut Admin,
    command: OperatorCommand,
    output: Output,
) -> anyhow::Result<()> {
    let OperatorCommand::Issue {
        name,
        request,
        ttl,
        cert,
        bundle,
    } = command
    else {
        bail!("asks nobody");
    };
    let request = IssueOperatorRequest {
        operator: name,
        csr: read_request(&request)?,
        ttl_secs: ttl,
    };
    let answer = admin.issue_operator(request).await.map_err(refusal)?;
    let issued = answer.into_inner();
    write_new(&cert, &certificates(&issued.chain), 0o644)?;
    if let Some(file) = bundle {
        let authorities = issued.bundle.unwrap_or_default().x509_authorities;
        write_new(&file, &certificates(&authorities), 0o644)?;
    }
    let serial = hex(&issued.serial);
    let expires = span::rfc3339(issued.not_after_unix_secs);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => writeln!(
            out,
            "serial {serial}, good until {}",
            expires.as_deref().unwrap_or("its certificate says")
        )?,
        Output::Json => writeln!(out, "{}", json!({"serial": serial, "expires": expires}))?,
    }
    Ok(())
}

fn certificates(ders: &[Vec<u8>]) -> String {
    ders.iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect()
}

fn read_request(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let len = std::fs::metadata(file)
        .with_context(|| shown.to_string())?
        .len();
    if len > MAX_REQUEST_BYTES {
        bail!("{shown}: {len} bytes are no request; at most {MAX_REQUEST_BYTES} are read");
    }
    let text = std::fs::read_to_string(file).with_context(|| shown.to_string())?;
    match pem::decode(REQUEST_LABEL, &text) {
        Ok(mut found) if found.len() == 1 => Ok(found.remove(0)),
        Ok(found) => bail!("{shown}: {} requests are in it, one is needed", found.len()),
        Err(error) => bail!("{shown}: {error}"),
    }
}

/// Writes a file that is not there yet: no key, and nothing that was signed for one, is overwritten.
fn write_new(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let shown = file.display();
    let mut options = OpenOptions::new();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .with_context(|| format!("cannot write {shown}"))?;
    let written = opened.write_all(text.as_bytes());
    written.with_context(|| format!("cannot write {shown}"))
}
