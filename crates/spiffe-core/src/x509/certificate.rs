//! The certificate itself (RFC 5280 §4.1), before any rule of SPIFFE.

use super::extensions::Extensions;
use super::{CertificateError, MAX_CERTIFICATE_BYTES, MAX_SERIAL_BYTES};
use crate::der::{BIT_STRING, Element, INTEGER, Reader, SEQUENCE};

/// `[0] EXPLICIT`, the version.
const VERSION: u8 = 0xa0;
/// `[1] IMPLICIT`, the issuer's unique identifier.
const ISSUER_UID: u8 = 0x81;
/// `[2] IMPLICIT`, the subject's unique identifier.
const SUBJECT_UID: u8 = 0x82;
/// `[3] EXPLICIT`, the extensions.
const EXTENSIONS: u8 = 0xa3;
/// A Name without any RDN.
const EMPTY_NAME: &[u8] = &[SEQUENCE, 0];
/// The version field's value for version 3.
const V3: &[u8] = &[2];

/// The fields of a certificate that any rule asks about.
pub(super) struct Certificate<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong { len: der.len() });
        }
        let mut input = Reader::new(der);
        let certificate = input.expect(SEQUENCE)?;
        input.finish()?;
        let mut parts = certificate.reader();
        let tbs = parts.expect(SEQUENCE)?;
        let algorithm = parts.expect(SEQUENCE)?;
        parts.expect(BIT_STRING)?.bit_string_bytes()?;
        parts.finish()?;
        Self::parse_tbs(&tbs, algorithm.raw)
    }

    fn parse_tbs(tbs: &Element<'a>, algorithm: &[u8]) -> Result<Self, CertificateError> {
        let mut tbs = tbs.reader();
        version(&mut tbs)?;
        let serial = serial(&mut tbs)?;
        if tbs.expect(SEQUENCE)?.raw != algorithm {
            return Err(CertificateError::SignatureAlgorithms);
        }
        let issuer = tbs.expect(SEQUENCE)?.raw;
        let (not_before, not_after) = validity(&mut tbs)?;
        let subject = tbs.expect(SEQUENCE)?.raw;
        let (spki, public_key) = public_key(&mut tbs)?;
        tbs.optional(ISSUER_UID)?;
        tbs.optional(SUBJECT_UID)?;
        let extensions = tbs
            .optional(EXTENSIONS)?
            .ok_or(CertificateError::NoExtensions)?;
        tbs.finish()?;
        let extensions = Extensions::parse(&extensions)?;
        // X509-SVID §3.1 and RFC 5280 §4.1.2.6.
        if subject == EMPTY_NAME && !extensions.san_is_critical() {
            return Err(CertificateError::SanNotCritical);
        }
        Ok(Self {
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            public_key,
            extensions,
        })
    }
}

fn version(tbs: &mut Reader<'_>) -> Result<(), CertificateError> {
    let Some(field) = tbs.optional(VERSION)? else {
        return Err(CertificateError::Version);
    };
    let mut inner = field.reader();
    let version = inner.expect(INTEGER)?.integer()?;
    inner.finish()?;
    if version == V3 {
        Ok(())
    } else {
        Err(CertificateError::Version)
    }
}

fn serial<'a>(tbs: &mut Reader<'a>) -> Result<&'a [u8], CertificateError> {
    let serial = tbs.expect(INTEGER)?.integer()?;
    if serial.len() > MAX_SERIAL_BYTES {
        return Err(CertificateError::SerialTooLong { len: serial.len() });
    }
    Ok(serial)
}

fn validity(tbs: &mut Reader<'_>) -> Result<(i64, i64), CertificateError> {
    let mut field = tbs.expect(SEQUENCE)?.reader();
    let not_before = field.element()?.time()?;
    let not_after = field.element()?.time()?;
    field.finish()?;
    if not_after < not_before {
        return Err(CertificateError::Validity {
            not_before,
            not_after,
        });
    }
    Ok((not_before, not_after))
}

fn public_key<'a>(tbs: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), CertificateError> {
    let spki = tbs.expect(SEQUENCE)?;
    let mut fields = spki.reader();
    fields.expect(SEQUENCE)?;
    let public_key = fields.expect(BIT_STRING)?.bit_string_bytes()?;
    fields.finish()?;
    Ok((spki.raw, public_key))
}
