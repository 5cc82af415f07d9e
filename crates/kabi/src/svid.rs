//! An SVID for a key that the kernel made.

use crate::bounds::{MAX_CERT_BYTES, MAX_CHAIN_BYTES, MAX_CHAIN_CERTS};
use crate::header::BODY_AT;
use crate::list::{List, Rows};
use crate::read::{Reader, required};
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// A certificate chain for a key that never left the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Svid<'a> {
    /// The identity that it is for.
    pub identity: u32,
    /// The key, as the [`Csr`](crate::ToAgent::Csr) record numbered it.
    pub key: u64,
    /// Certificates in DER, leaf first; at least one.
    pub chain: List<'a, &'a [u8]>,
}

/// A row of the chain: the length of a certificate.
const ROW_BYTES: usize = 8;

impl<'a> Svid<'a> {
    /// Reads the body of an SVID record: what follows its header.
    ///
    /// # Errors
    /// The first rule broken; `at` counts from the start of the record.
    pub fn parse(body: &'a [u8]) -> Result<Self, Fault> {
        let mut r = Reader::new(body, BODY_AT);
        let (identity, key) = (r.id32()?, r.id64()?);
        let at = r.at();
        let count = r.len(MAX_CHAIN_CERTS, RefusedReason::ListTooLong)?;
        required(count == 0, at)?;
        let total = r.len(MAX_CHAIN_BYTES, RefusedReason::FieldTooLong)?;
        let rows_at = r.at();
        let too_long = r.fault(RefusedReason::ListTooLong);
        let rows = r.take(count.checked_mul(ROW_BYTES).ok_or(too_long)?)?;
        let bytes = r.take(total)?;
        r.end()?;
        let mut row = Reader::new(rows, rows_at);
        let mut next = 0_usize;
        for _ in 0..count {
            let (fault, layout) = (row.at(), row.fault(RefusedReason::Layout));
            if row.len(MAX_CHAIN_BYTES, RefusedReason::Layout)? != next {
                return Err(layout);
            }
            let len = row.len(MAX_CERT_BYTES, RefusedReason::FieldTooLong)?;
            required(len == 0, fault)?;
            next = next.checked_add(len).ok_or(layout)?;
        }
        if next != total {
            return Err(row.fault(RefusedReason::Layout));
        }
        let rows = Rows {
            rows,
            bytes,
            ..Rows::default()
        };
        Ok(Self {
            identity,
            key,
            chain: List::over(rows, count),
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.id32(self.identity)?;
        w.id64(self.key)?;
        if self.chain.is_empty() {
            return Err(w.fault(RefusedReason::Empty));
        }
        w.count(
            self.chain.len(),
            MAX_CHAIN_CERTS,
            RefusedReason::ListTooLong,
        )?;
        let total = self
            .chain
            .iter()
            .fold(0_usize, |sum, der| sum.saturating_add(der.len()));
        w.count(total, MAX_CHAIN_BYTES, RefusedReason::FieldTooLong)?;
        let mut next = 0_usize;
        for der in self.chain {
            w.count(next, MAX_CHAIN_BYTES, RefusedReason::FieldTooLong)?;
            if der.is_empty() {
                return Err(w.fault(RefusedReason::Empty));
            }
            w.count(der.len(), MAX_CERT_BYTES, RefusedReason::FieldTooLong)?;
            next = next.saturating_add(der.len());
        }
        for der in self.chain {
            w.put(der)?;
        }
        Ok(())
    }
}
