//! Rows of a checked configuration, read one at a time.

use super::{Bundle, Cidr, External, Mode, OnUnavailable, PrefilterEntry, Service, Transform};
use crate::list::{List, Rows, sealed};
use crate::read::Reader;
use crate::refused::{Fault, RefusedReason};

pub(super) const SPAN_BYTES: usize = 8;
pub(super) const PREFILTER_BYTES: usize = 16;
pub(super) const SERVICE_BYTES: usize = 48;
pub(super) const BUNDLE_BYTES: usize = 16;
pub(super) const EXTERNAL_BYTES: usize = 24;
/// In a prefilter row: a uid is given.
pub(super) const HAS_UID: u32 = 1;

/// Where something lies in a section: (offset, length), or (first, count) of rows.
pub(super) fn span(r: &mut Reader<'_>) -> Result<(usize, usize), Fault> {
    let fault = r.fault(RefusedReason::OutOfRange);
    let size = |n: u32| usize::try_from(n).map_err(|_| fault);
    Ok((size(r.u32()?)?, size(r.u32()?)?))
}

fn text_at<'a>(r: &mut Reader<'a>, rows: &Rows<'a>) -> Option<&'a str> {
    let (at, len) = span(r).ok()?;
    rows.text.get(at..at.checked_add(len)?)
}

/// The rows of a list inside a row.
fn inner<'a, T>(r: &mut Reader<'a>, rows: &Rows<'a>) -> Option<List<'a, T>> {
    let (first, count) = span(r).ok()?;
    let start = first.checked_mul(SPAN_BYTES)?;
    let end = start.checked_add(count.checked_mul(SPAN_BYTES)?)?;
    Some(List::over(
        Rows {
            rows: rows.inner.get(start..end)?,
            inner: &[],
            ..*rows
        },
        count,
    ))
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for &'a str {
    const BYTES: usize = SPAN_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        text_at(row, rows)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for &'a [u8] {
    const BYTES: usize = SPAN_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        let (at, len) = span(row).ok()?;
        rows.bytes.get(at..at.checked_add(len)?)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for PrefilterEntry<'a> {
    const BYTES: usize = PREFILTER_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        let exe = crate::read::some_text(text_at(row, rows)?);
        let (uid, flags) = (row.u32().ok()?, row.u32().ok()?);
        Some(Self {
            exe,
            uid: Some(uid).filter(|_| flags == HAS_UID),
        })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for Service<'a> {
    const BYTES: usize = SERVICE_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        let name = text_at(row, rows)?;
        let ip = row.array().ok()?;
        let [prefix_len, transform] = row.array().ok()?;
        let cidr = Cidr::from_mapped(ip, prefix_len).ok()?;
        let port = row.u16().ok()?;
        let netns = row.u32().ok().map(|n| Some(n).filter(|&n| n != 0))?;
        let [mode, on_unavailable, _, _] = row.array().ok()?;
        let max_flow_age_s = row.u32().ok().map(|s| Some(s).filter(|&s| s != 0))?;
        Some(Self {
            name,
            cidr,
            port,
            netns,
            transform: Transform::of_row(transform)?,
            mode: Mode::from_number(mode)?,
            on_unavailable: OnUnavailable::from_number(on_unavailable)?,
            max_flow_age_s,
            servers: inner(row, rows)?,
        })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for External<'a> {
    const BYTES: usize = EXTERNAL_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        Some(Self {
            service: text_at(row, rows)?,
            server_name: text_at(row, rows)?,
            roots: inner(row, rows)?,
        })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed")]
impl<'a> sealed::Row<'a> for Bundle<'a> {
    const BYTES: usize = BUNDLE_BYTES;
    fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self> {
        Some(Self {
            trust_domain: text_at(row, rows)?,
            authorities: inner(row, rows)?,
        })
    }
}
