//! Reads a list that was signed as a stranger would, with other code than what wrote it: its structure by webpki's reader, and
//! every field by ours.

use tidelock_spiffe_core::der::{
    BOOLEAN, DerError, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE,
    UTC_TIME,
};
use tidelock_spiffe_core::x509::SigningCert;
use webpki::BorrowedCertRevocationList;

use super::{CrlEntry, CrlTimes, MAX_CRL_ENTRIES, number};
use crate::Signer;
use crate::csr::Signed;
use crate::reread::{RereadError, same};

/// `[0]` and `[3]`, which hold extensions in lists and in certificates, and the version of a certificate.
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

/// `[0]` of an authorityKeyIdentifier.
const KEY_IDENTIFIER: u8 = 0x80;

/// More extensions than certificates and lists of ours have.
const MAX_EXTENSIONS: usize = 16;

const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];

/// What a certificate calls its key, if it is at all to be found by that.
pub(super) fn key_identifier(certificate: &[u8]) -> Result<&[u8], RereadError> {
    let missing = RereadError::Differs {
        field: "key identifier",
    };
    match subject_key_identifier(certificate) {
        Ok(Some(found)) => Ok(found),
        _ => Err(missing),
    }
}

/// Checks a list against what it was to be, and that the authority signed it.
pub(super) fn list(
    der: &[u8],
    entries: &[CrlEntry],
    times: CrlTimes,
    (authority, key): (&[u8], &impl Signer),
) -> Result<(), RereadError> {
    let issuer = SigningCert::parse(authority).map_err(RereadError::SigningCert)?;
    let read = BorrowedCertRevocationList::from_der(der).map_err(RereadError::Path)?;
    for (found, entry) in read.into_iter().zip(entries) {
        let found = found.map_err(RereadError::Path)?;
        same("serial", found.serial_number == entry.serial.as_slice())?;
    }
    let fields = fields(der).map_err(|_| RereadError::Differs { field: "structure" })?;
    same("version", fields.version == [1])?;
    same("issuer", fields.issuer == issuer.subject)?;
    same(
        "validity",
        (fields.this_update, fields.next_update) == (times.this_update, times.next_update),
    )?;
    same("number", fields.number == number(times.number))?;
    same(
        "key identifier",
        fields.identifier == key_identifier(authority)?,
    )?;
    let wanted = entries
        .iter()
        .map(|one| (one.serial.as_slice(), one.revoked));
    same("entry", fields.entries.iter().copied().eq(wanted))?;
    match Signed::parse(der) {
        Ok(signed) if signed.is_by(key.algorithm(), issuer.public_key) => Ok(()),
        _ => Err(RereadError::SelfSignature),
    }
}

struct Fields<'a> {
    version: &'a [u8],
    issuer: &'a [u8],
    this_update: i64,
    next_update: i64,
    entries: Vec<(&'a [u8], i64)>,
    identifier: &'a [u8],
    number: &'a [u8],
}

/// Every field that there may be, in order (RFC 5280 §5.1), and no other. Entries have no extensions.
fn fields(der: &[u8]) -> Result<Fields<'_>, DerError> {
    let mut list = whole(der)?.reader();
    let mut rest = list.expect(SEQUENCE)?.reader();
    let version = rest.expect(INTEGER)?.integer()?;
    rest.expect(SEQUENCE)?;
    let issuer = rest.expect(SEQUENCE)?.raw;
    let (this_update, next_update) = (time(&mut rest)?, time(&mut rest)?);
    let mut entries = Vec::new();
    if let Some(revoked) = rest.optional(SEQUENCE)? {
        let mut all = revoked.reader();
        for _ in 0..MAX_CRL_ENTRIES {
            if all.is_empty() {
                break;
            }
            let mut entry = all.expect(SEQUENCE)?.reader();
            entries.push((entry.expect(INTEGER)?.integer()?, time(&mut entry)?));
            entry.finish()?;
        }
        all.finish()?;
    }
    let extensions = rest.expect(CONTEXT_0)?;
    rest.finish()?;
    let identifier = extension(&extensions, AUTHORITY_KEY_IDENTIFIER)?;
    let number = extension(&extensions, CRL_NUMBER)?;
    let identifier = match identifier {
        Some(value) => whole(value)?.reader().expect(KEY_IDENTIFIER)?.value,
        None => &[],
    };
    let number = match number {
        Some(value) => Reader::new(value).expect(INTEGER)?.integer()?,
        None => &[],
    };
    Ok(Fields {
        version,
        issuer,
        this_update,
        next_update,
        entries,
        identifier,
        number,
    })
}

fn subject_key_identifier(certificate: &[u8]) -> Result<Option<&[u8]>, DerError> {
    let mut rest = whole(certificate)?.reader().expect(SEQUENCE)?.reader();
    rest.optional(CONTEXT_0)?;
    rest.expect(INTEGER)?;
    // Algorithm, issuer, validity, subject, key.
    for _ in 0..5 {
        rest.expect(SEQUENCE)?;
    }
    let Some(extensions) = rest.optional(CONTEXT_3)? else {
        return Ok(None);
    };
    match extension(&extensions, SUBJECT_KEY_IDENTIFIER)? {
        Some(value) => Ok(Some(Reader::new(value).expect(OCTET_STRING)?.value)),
        None => Ok(None),
    }
}

/// What the extension of this kind says, of a list of them.
fn extension<'a>(extensions: &Element<'a>, wanted: &[u8]) -> Result<Option<&'a [u8]>, DerError> {
    let mut all = extensions.reader().expect(SEQUENCE)?.reader();
    for _ in 0..MAX_EXTENSIONS {
        if all.is_empty() {
            break;
        }
        let mut one = all.expect(SEQUENCE)?.reader();
        let kind = one.expect(OID)?.value;
        one.optional(BOOLEAN)?;
        let value = one.expect(OCTET_STRING)?.value;
        if kind == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// One SEQUENCE, and nothing behind it.
fn whole(der: &[u8]) -> Result<Element<'_>, DerError> {
    let mut input = Reader::new(der);
    let element = input.expect(SEQUENCE)?;
    input.finish()?;
    Ok(element)
}

fn time(reader: &mut Reader<'_>) -> Result<i64, DerError> {
    match reader.optional(UTC_TIME)? {
        Some(element) => element.time(),
        None => reader.expect(GENERALIZED_TIME)?.time(),
    }
}
