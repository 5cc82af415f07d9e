//! Reads what was signed as a stranger would, with other code than what wrote it.

use std::net::IpAddr;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use tidelock_spiffe_core::der::{Reader, SEQUENCE};
use tidelock_spiffe_core::x509::{GeneralName, Leaf, LeafError, SigningCert, SigningCertError};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::csr::Signed;
use crate::names::Kind;
use crate::template::{Name, Template};
use crate::{KeyAlgorithm, Signer};

/// Why a signed certificate was not released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RereadError {
    /// It is no X509-SVID leaf.
    #[error("the signed certificate breaks a rule")]
    Leaf(#[source] LeafError),
    /// It is no X509-SVID signing certificate.
    #[error("the signed certificate breaks a rule")]
    SigningCert(#[source] SigningCertError),
    /// It says something else than it was to say.
    #[error("the signed certificate has another {field} than was asked for")]
    Differs {
        /// What is different.
        field: &'static str,
    },
    /// The signature on an authority's own certificate is not that authority's.
    #[error("the signer's signature does not verify with its own public key")]
    SelfSignature,
    /// No path leads from the authority to it (RFC 5280 §6): above all, a bad signature.
    #[error("the signed certificate does not verify")]
    Path(#[source] webpki::Error),
}

/// Checks an SVID against what it was to be, and verifies it to `authority` at `now`.
pub(crate) fn leaf(
    der: &[u8],
    template: &Template,
    spki: &[u8],
    (authority, algorithm): (&[u8], KeyAlgorithm),
    now: i64,
) -> Result<(), RereadError> {
    let leaf = Leaf::parse(der).map_err(RereadError::Leaf)?;
    let issuer = SigningCert::parse(authority).map_err(RereadError::SigningCert)?;
    same("serial", leaf.serial == template.serial.as_bytes())?;
    same(
        "validity",
        (leaf.not_before, leaf.not_after) == template.validity(),
    )?;
    same("public key", leaf.spki == spki)?;
    same("issuer", leaf.issuer == issuer.subject)?;
    same("subject", leaf.subject == [0x30, 0])?;
    same("name", leaf.names().count() == template.names.len())?;
    same(
        "name",
        leaf.names()
            .zip(&template.names)
            .all(|(found, name)| is_name(found, name)),
    )?;
    verify(der, authority, algorithm, now).map_err(RereadError::Path)
}

/// Checks an authority's own certificate against what it was to be.
pub(crate) fn authority(
    der: &[u8],
    template: &Template,
    key: &impl Signer,
) -> Result<(), RereadError> {
    let signing = self_signed(der, key)?;
    let id = signing.id.map(|id| Name::Uri(id.as_str().to_owned()));
    same("serial", signing.serial == template.serial.as_bytes())?;
    same(
        "validity",
        (signing.not_before, signing.not_after) == template.validity(),
    )?;
    same("name", id.as_ref() == template.names.first())
}

/// Reads an authority's certificate and checks that `key` is in it and signed it.
pub(crate) fn self_signed<'d>(
    der: &'d [u8],
    key: &impl Signer,
) -> Result<SigningCert<'d>, RereadError> {
    let signing = SigningCert::parse(der).map_err(RereadError::SigningCert)?;
    let (algorithm, public_key) = (key.algorithm(), key.public_key());
    same("public key", signing.public_key == public_key)?;
    same("public key", key_kind(signing.spki) == Some(algorithm))?;
    same("issuer", signing.issuer == signing.subject)?;
    match Signed::parse(der) {
        Ok(signed) if signed.is_by(algorithm, public_key) => Ok(signing),
        _ => Err(RereadError::SelfSignature),
    }
}

/// The kind of key in a SubjectPublicKeyInfo.
fn key_kind(spki: &[u8]) -> Option<KeyAlgorithm> {
    let mut fields = Reader::new(spki).expect(SEQUENCE).ok()?.reader();
    KeyAlgorithm::of_key(fields.expect(SEQUENCE).ok()?.value)
}

pub(crate) fn same(field: &'static str, same: bool) -> Result<(), RereadError> {
    if same {
        Ok(())
    } else {
        Err(RereadError::Differs { field })
    }
}

fn is_name(found: GeneralName<'_>, name: &Name) -> bool {
    match (found, name) {
        (GeneralName::Uri(found), Name::Uri(uri)) => found == uri,
        (GeneralName::Dns(found), Name::Server(name)) => {
            matches!(name.kind(), Kind::Dns(name) if **name == *found)
        }
        (GeneralName::Ip(found), Name::Server(name)) => match name.kind() {
            Kind::Ip(IpAddr::V4(address)) => address.octets() == *found,
            Kind::Ip(IpAddr::V6(address)) => address.octets() == *found,
            Kind::Dns(_) => false,
        },
        _ => false,
    }
}

/// Path validation, in one of the two roles that an SVID has: [`Leaf`] has seen that it has both, and all else is the same for
/// either, the signature above all.
fn verify(
    der: &[u8],
    authority: &[u8],
    algorithm: KeyAlgorithm,
    now: i64,
) -> Result<(), webpki::Error> {
    let seconds = u64::try_from(now).map_err(|_| webpki::Error::BadDerTime)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let authority = CertificateDer::from(authority);
    let anchors = [anchor_from_trusted_cert(&authority)?];
    let der = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&der)?;
    let (schemes, usage) = (&[algorithm.scheme()], KeyUsage::server_auth());
    leaf.verify_for_usage(schemes, &anchors, &[], time, usage, None, None)?;
    Ok(())
}

#[cfg(test)]
mod tests;
