//! `tls` of a Service: who a server outside has to be, and who may vouch for it.

use rustls_pki_types::{CertificateDer, DnsName};
use serde_json::{Value, json};
use tidelock_spiffe_core::pem;

use super::{MAX_ROOTS_PER_SERVICE, Reason};
use crate::yaml::{Cursor, Reader};

pub(super) const FIELDS: &[&str] = &["serverName", "roots"];

/// What PEM calls a certificate (RFC 7468 §5.1).
const CERTIFICATE: &str = "CERTIFICATE";

/// Who a server outside has to be, and who may vouch for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceTls {
    /// Its DNS name, in lower case.
    pub server_name: String,
    /// CA certificates in DER, all different; none: those that each node's own system trusts.
    pub roots: Vec<Vec<u8>>,
}

/// What is wrong with `tls`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No DNS name, or one that is not in lower case.
    #[error("`{found}` is no DNS name in lower case, such as `api.example.com`")]
    ServerName {
        /// As written.
        found: String,
    },
    /// Nothing that can be read.
    #[error("{why}")]
    Pem {
        /// What is wrong with it.
        why: pem::PemError,
    },
    /// There is no certificate.
    #[error(
        "has no certificate: write the server's authorities here, in PEM, or leave `roots` out for those that the nodes' own systems trust"
    )]
    NoRoot,
    /// One of them is none.
    #[error("certificate {number} cannot be an authority: {why}")]
    Root {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        why: webpki::Error,
    },
}

impl ServiceTls {
    pub(super) fn read(reader: &mut Reader<'_>, at: Cursor<'_>) -> Option<Self> {
        let fields = reader.fields(at, FIELDS)?;
        let server_name = reader
            .required(&fields, "serverName")
            .and_then(|at| server_name(reader, &at));
        let roots = match fields.optional("roots") {
            Some(at) => roots(reader, &at),
            None => Some(Vec::new()),
        };
        Some(Self {
            server_name: server_name?,
            roots: roots?,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let mut tls = json!({ "serverName": self.server_name });
        if !self.roots.is_empty() {
            let roots = self.roots.iter().map(|der| pem::encode(CERTIFICATE, der));
            tls["roots"] = roots.collect::<String>().into();
        }
        tls
    }

    /// What it takes in a node's kernel configuration, roughly.
    pub(super) fn config_bytes(&self) -> usize {
        self.server_name.len() + self.roots.iter().map(Vec::len).sum::<usize>()
    }
}

fn server_name(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<String> {
    let found = &reader.text(at)?.text;
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    // An absolute name, with a dot at its end, is in no certificate.
    if found.bytes().all(plain)
        && !found.ends_with('.')
        && DnsName::try_from(found.as_str()).is_ok()
    {
        return Some(found.clone());
    }
    let found = found.clone();
    reader.refuse(at, Reason::Tls(TlsError::ServerName { found }));
    None
}

fn roots(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Vec<Vec<u8>>> {
    let mut roots = match pem::decode(CERTIFICATE, &reader.text(at)?.text) {
        Ok(roots) => roots,
        Err(why) => {
            reader.refuse(at, Reason::Tls(TlsError::Pem { why }));
            return None;
        }
    };
    let wrong = roots.iter().zip(1..).find_map(|(der, number)| {
        let der = CertificateDer::from(der.as_slice());
        let why = webpki::anchor_from_trusted_cert(&der).err()?;
        Some(TlsError::Root { number, why })
    });
    let wrong = wrong.or_else(|| roots.is_empty().then_some(TlsError::NoRoot));
    if let Some(wrong) = wrong {
        reader.refuse(at, Reason::Tls(wrong));
        return None;
    }
    roots.sort();
    roots.dedup();
    let (what, found, max) = ("roots of one Service", roots.len(), MAX_ROOTS_PER_SERVICE);
    if found > max {
        reader.refuse(at, Reason::TooMany { what, found, max });
        return None;
    }
    Some(roots)
}
