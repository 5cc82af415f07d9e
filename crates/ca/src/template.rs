//! From what is to be issued to the bytes to be signed.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use tidelock_spiffe_core::TrustDomainBuf;
use time::OffsetDateTime;

use crate::names::{Kind, ServerName};
use crate::{Entry, Serial};

/// How far before `now` a certificate begins, in seconds. Ours: nodes whose clocks are behind by less
/// accept a fresh SVID. The lifetime counts from `now`.
pub const BACKDATE_SECS: i64 = 30;

/// Last second that a certificate can name, 9999-12-31T23:59:59Z (RFC 5280 §4.1.2.5).
pub const MAX_NOT_AFTER: i64 = 253_402_300_799;

/// What one certificate is to say, apart from keys and issuer.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) serial: Serial,
    /// First second of validity, in seconds since 1970.
    pub(crate) not_before: i64,
    /// Last second of validity, in seconds since 1970.
    pub(crate) not_after: i64,
    pub(crate) names: Vec<Name>,
}

/// A subject alternative name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    Uri(String),
    Server(ServerName),
}

impl Template {
    /// The template of an authority's own certificate.
    pub(crate) fn authority(
        trust_domain: &TrustDomainBuf,
        serial: Serial,
        not_before: i64,
        not_after: i64,
    ) -> Self {
        let names = vec![Name::Uri(trust_domain.id().as_str().to_owned())];
        Self {
            serial,
            not_before,
            not_after,
            names,
        }
    }

    /// The template of an SVID.
    pub(crate) fn leaf(entry: &Entry, serial: Serial, not_before: i64, not_after: i64) -> Self {
        let id = Name::Uri(entry.id().as_str().to_owned());
        let others = entry.server_names().iter().cloned().map(Name::Server);
        let names = std::iter::once(id).chain(others).collect();
        Self {
            serial,
            not_before,
            not_after,
            names,
        }
    }

    /// What rcgen needs to write a signing certificate (X509-SVID §3.2).
    pub(crate) fn authority_params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = self.params()?;
        // RFC 5280 §4.1.2.6 wants a subject; the serial in it keeps two authorities of one trust
        // domain apart, so that a verifier finds the right one by name.
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Tidelock");
        let serial_number = DnType::CustomDnType(vec![2, 5, 4, 5]);
        params
            .distinguished_name
            .push(serial_number, self.serial.to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }

    /// What rcgen needs to write an SVID (X509-SVID §3.1, §4): no subject, so a critical SAN.
    pub(crate) fn leaf_params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = self.params()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    /// First and last second.
    pub(crate) fn validity(&self) -> (i64, i64) {
        (self.not_before, self.not_after)
    }

    fn params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(self.serial.as_bytes()));
        params.not_before = time(self.not_before)?;
        params.not_after = time(self.not_after)?;
        params.subject_alt_names = self.names.iter().map(san).collect::<Result<_, _>>()?;
        Ok(params)
    }
}

fn san(name: &Name) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Name::Uri(uri) => SanType::URI(Ia5String::try_from(uri.as_str())?),
        Name::Server(name) => match name.kind() {
            Kind::Dns(name) => SanType::DnsName(Ia5String::try_from(&**name)?),
            Kind::Ip(address) => SanType::IpAddress(*address),
        },
    })
}

pub(crate) fn time(unix: i64) -> Result<OffsetDateTime, rcgen::Error> {
    OffsetDateTime::from_unix_timestamp(unix).map_err(|_| rcgen::Error::Time)
}
