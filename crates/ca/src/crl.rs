//! Certificate revocation lists (RFC 5280 §5), for relying parties that are told of revoked SVIDs in no other way.

mod reread;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use crate::reread::RereadError;
use crate::signer::{Adaptor, SignError};
use crate::template::{MAX_NOT_AFTER, time};
use crate::{Authority, Signer};

/// Most entries of one list: as many SVIDs as are revoked at one time.
pub const MAX_CRL_ENTRIES: usize = 4_096;

/// Longest serial number, in bytes (RFC 5280 §5.1.2.6).
const MAX_SERIAL_BYTES: usize = 20;

/// A certificate that is believed no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlEntry {
    /// Its serial number, big endian: what its INTEGER holds, which is positive.
    pub serial: Vec<u8>,
    /// When it was revoked, in seconds since 1970.
    pub revoked: i64,
}

/// What a list says of itself. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlTimes {
    /// Its number: higher than that of every list of this authority before it.
    pub number: u128,
    /// When it was made.
    pub this_update: i64,
    /// When there is another at the latest; it is believed no longer.
    pub next_update: i64,
}

/// Why no list was released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError<E> {
    /// More entries than a list has.
    #[error("a list of {count} revoked certificates; at most {MAX_CRL_ENTRIES} fit")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A serial number that no certificate has.
    #[error("entry {at} has a serial number that no certificate has")]
    Serial {
        /// Its place, from 0.
        at: usize,
    },
    /// One serial number for two entries.
    #[error("entry {at} has the serial number of another one")]
    Twice {
        /// Its place, from 0.
        at: usize,
    },
    /// Times that a list cannot have, or none left between them.
    #[error("a list cannot last from {this_update} to {next_update}")]
    Times {
        /// When it was to be made, in seconds since 1970.
        this_update: i64,
        /// When it was to end, in seconds since 1970.
        next_update: i64,
    },
    /// Nothing was signed: the key did not, or the authority's certificate does not say that it may (cRLSign).
    #[error(transparent)]
    Sign(#[from] SignError<E>),
    /// What was signed is not what was to be signed.
    #[error("the signed list was not released")]
    Reread(#[from] RereadError),
}

impl<S: Signer> Authority<S> {
    /// Makes a list of certificates that are believed no more, in DER: version 2, with number and key identifier
    /// (RFC 5280 §5.2). It is re-read before it is released, as SVIDs are.
    ///
    /// A serial number that this authority gave to no certificate may be among them; it says nothing then.
    ///
    /// # Errors
    /// See [`CrlError`].
    pub fn crl(
        &self,
        entries: &[CrlEntry],
        times: CrlTimes,
    ) -> Result<Vec<u8>, CrlError<S::Error>> {
        check(entries, times)?;
        let identifier = reread::key_identifier(self.certificate())?;
        let der = Adaptor::run(self.key(), |key| {
            let certificate = CertificateDer::from(self.certificate());
            let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
            let list = params(entries, times, identifier)?.signed_by(&issuer)?;
            Ok(list.der().to_vec())
        })?;
        reread::list(&der, entries, times, (self.certificate(), self.key()))?;
        Ok(der)
    }
}

fn check<E>(entries: &[CrlEntry], times: CrlTimes) -> Result<(), CrlError<E>> {
    let count = entries.len();
    if count > MAX_CRL_ENTRIES {
        return Err(CrlError::TooMany { count });
    }
    let CrlTimes {
        this_update,
        next_update,
        ..
    } = times;
    if this_update < 0 || next_update <= this_update || next_update > MAX_NOT_AFTER {
        return Err(CrlError::Times {
            this_update,
            next_update,
        });
    }
    if let Some(at) = entries.iter().position(|one| !is_serial(&one.serial)) {
        return Err(CrlError::Serial { at });
    }
    let mut seen: Vec<_> = entries.iter().enumerate().collect();
    seen.sort_by_key(|(at, one)| (&one.serial, *at));
    match seen
        .windows(2)
        .find(|two| two[0].1.serial == two[1].1.serial)
    {
        Some(two) => Err(CrlError::Twice { at: two[1].0 }),
        None => Ok(()),
    }
}

/// Contents of an INTEGER in DER that is positive (RFC 5280 §4.1.2.2).
fn is_serial(bytes: &[u8]) -> bool {
    match bytes {
        [0, second, ..] => *second >= 0x80 && bytes.len() <= MAX_SERIAL_BYTES,
        [first, ..] => (1..0x80).contains(first) && bytes.len() <= MAX_SERIAL_BYTES,
        [] => false,
    }
}

fn params(
    entries: &[CrlEntry],
    times: CrlTimes,
    identifier: &[u8],
) -> Result<CertificateRevocationListParams, rcgen::Error> {
    let entry = |one: &CrlEntry| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&one.serial),
            revocation_time: time(one.revoked)?,
            reason_code: None,
            invalidity_date: None,
        })
    };
    Ok(CertificateRevocationListParams {
        this_update: time(times.this_update)?,
        next_update: time(times.next_update)?,
        crl_number: SerialNumber::from_slice(&number(times.number)),
        issuing_distribution_point: None,
        revoked_certs: entries
            .iter()
            .map(entry)
            .collect::<Result<_, rcgen::Error>>()?,
        key_identifier_method: KeyIdMethod::PreSpecified(identifier.to_vec()),
    })
}

/// A number as the contents of an INTEGER.
fn number(number: u128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let sign = digits.first().is_none_or(|first| *first >= 0x80);
    let sign = sign.then_some(0);
    sign.into_iter().chain(digits.iter().copied()).collect()
}
