//! Bytes → config: one pass over every row, so that later reads need no checks.

use super::rows::{
    BUNDLE_BYTES, EXTERNAL_BYTES, HAS_UID, PREFILTER_BYTES, SERVICE_BYTES, SPAN_BYTES, span,
};
use super::*;
use crate::bounds::*;
use crate::header::BODY_AT;
use crate::list::Rows;
use crate::read::required;
use crate::refused::RefusedReason;
use crate::serial::SERIAL_ROW_BYTES;

/// Follows the spans of a section: each must begin where the one before ended.
struct Section {
    next: usize,
}

impl Section {
    fn span(
        &mut self,
        r: &mut Reader<'_>,
        max: usize,
        above: RefusedReason,
    ) -> Result<usize, Fault> {
        let at = r.at();
        let (start, len) = span(r)?;
        let fault = |why| Fault { why, at };
        if start != self.next {
            return Err(fault(RefusedReason::Layout));
        }
        if len > max {
            return Err(fault(above));
        }
        self.next = start.checked_add(len).ok_or(fault(RefusedReason::Layout))?;
        Ok(len)
    }

    /// The text of the next span.
    fn text<'a>(&mut self, r: &mut Reader<'_>, max: usize, all: &'a str) -> Result<&'a str, Fault> {
        let (at, start) = (r.at(), self.next);
        self.span(r, max, RefusedReason::FieldTooLong)?;
        all.get(start..self.next).ok_or(Fault {
            why: RefusedReason::Layout,
            at,
        })
    }

    /// The section must end here.
    fn end(&self, len: usize, at: u32) -> Result<(), Fault> {
        if self.next == len {
            Ok(())
        } else {
            Err(Fault {
                why: RefusedReason::Layout,
                at,
            })
        }
    }
}

/// The rows of one list, not yet checked.
#[derive(Clone, Copy)]
struct Table<'a> {
    bytes: &'a [u8],
    at: u32,
    count: usize,
}

impl<'a> Table<'a> {
    fn take(r: &mut Reader<'a>, count: usize, row_bytes: usize) -> Result<Self, Fault> {
        let (at, fault) = (r.at(), r.fault(RefusedReason::Truncated));
        let bytes = r.take(count.checked_mul(row_bytes).ok_or(fault)?)?;
        Ok(Self { bytes, at, count })
    }

    fn reader(&self) -> Reader<'a> {
        Reader::new(self.bytes, self.at)
    }
}

/// The sections of a configuration, in their order.
struct Parts<'a> {
    prefilter: Table<'a>,
    services: Table<'a>,
    servers: Table<'a>,
    bundles: Table<'a>,
    authorities: Table<'a>,
    text: &'a str,
    text_at: u32,
    ders: &'a [u8],
    ders_at: u32,
    policy: &'a [u8],
    observed: &'a [u8],
    revoked: Table<'a>,
    posture: Option<Posture<'a>>,
    externals: List<'a, External<'a>>,
    system_roots: List<'a, &'a [u8]>,
}

impl<'a> Parts<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Fault> {
        let list = RefusedReason::ListTooLong;
        let prefilter = r.len(MAX_PREFILTER, list)?;
        let services = r.len(MAX_SERVICES, list)?;
        let servers = r.len(MAX_RECORD_BYTES, list)?;
        let bundles = r.len(MAX_BUNDLES, list)?;
        let authorities = r.len(MAX_RECORD_BYTES, list)?;
        let text = r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?;
        let ders = r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?;
        let policy = r.len(MAX_POLICY_BYTES, RefusedReason::FieldTooLong)?;
        let observed = r.len(MAX_POLICY_BYTES, RefusedReason::FieldTooLong)?;
        let revoked = r.len(MAX_REVOKED, list)?;

        let prefilter = Table::take(r, prefilter, PREFILTER_BYTES)?;
        let services = Table::take(r, services, SERVICE_BYTES)?;
        let servers = Table::take(r, servers, SPAN_BYTES)?;
        let bundles = Table::take(r, bundles, BUNDLE_BYTES)?;
        let authorities = Table::take(r, authorities, SPAN_BYTES)?;
        let (text_at, not_text) = (r.at(), r.fault(RefusedReason::NotUtf8));
        let text = core::str::from_utf8(r.take(text)?).map_err(|_| not_text)?;
        let ders_at = r.at();
        let (ders, policy, observed) = (r.take(ders)?, r.take(policy)?, r.take(observed)?);
        let externals = externals(r)?;
        let system_roots = system_roots(r)?;
        let revoked = Table::take(r, revoked, SERIAL_ROW_BYTES)?;
        let posture = Posture::read(r)?;
        r.end()?;
        Ok(Self {
            prefilter,
            services,
            servers,
            bundles,
            authorities,
            text,
            text_at,
            ders,
            ders_at,
            policy,
            observed,
            revoked,
            posture,
            externals,
            system_roots,
        })
    }

    /// Checks every row, in the order of the sections.
    fn check(&self) -> Result<(), Fault> {
        let mut texts = Section { next: 0 };
        self.check_prefilter(&mut texts)?;
        self.check_services(&mut texts)?;
        self.check_servers(&mut texts)?;
        self.check_bundles(&mut texts)?;
        certificates(&self.authorities, self.ders, self.ders_at)?;
        texts.end(self.text.len(), self.text_at)?;
        self.check_revoked()?;
        let at = self.bundles.at;
        super::check_distinct(self.bundles()).map_err(|why| Fault { why, at })
    }

    fn check_prefilter(&self, texts: &mut Section) -> Result<(), Fault> {
        let mut r = self.prefilter.reader();
        for _ in 0..self.prefilter.count {
            let at = r.at();
            let exe = texts.text(&mut r, MAX_PATH_BYTES, self.text)?;
            let fault = r.fault(RefusedReason::OutOfRange);
            match (r.u32()?, r.u32()?) {
                (_, HAS_UID) => {}
                (0, 0) if exe.is_empty() => {
                    return Err(Fault {
                        why: RefusedReason::GovernsAll,
                        at,
                    });
                }
                (0, 0) => {}
                _ => return Err(fault),
            }
        }
        Ok(())
    }

    fn check_services(&self, texts: &mut Section) -> Result<(), Fault> {
        let mut r = self.services.reader();
        let mut servers = Section { next: 0 };
        for _ in 0..self.services.count {
            let at = r.at();
            let name = texts.text(&mut r, MAX_SERVICE_NAME_BYTES, self.text)?;
            required(name.is_empty(), at)?;
            let bad_cidr = r.fault(RefusedReason::BadCidr);
            Cidr::from_mapped(r.array()?, r.u8()?).map_err(|_| bad_cidr)?;
            let unknown = r.fault(RefusedReason::OutOfRange);
            Transform::of_row(r.u8()?).ok_or(unknown)?;
            let no_port = r.fault(RefusedReason::OutOfRange);
            if r.u16()? == 0 {
                return Err(no_port);
            }
            let _netns = r.u32()?;
            check_mode(&mut r)?;
            let _max_flow_age_s = r.u32()?;
            servers.span(&mut r, MAX_SERVERS_PER_SERVICE, RefusedReason::ListTooLong)?;
        }
        servers.end(self.servers.count, r.at())
    }

    fn check_servers(&self, texts: &mut Section) -> Result<(), Fault> {
        let mut r = self.servers.reader();
        for _ in 0..self.servers.count {
            let at = r.at();
            let id = texts.text(&mut r, MAX_SPIFFE_ID_BYTES, self.text)?;
            check_spiffe_id(id).map_err(|why| Fault { why, at })?;
        }
        Ok(())
    }

    fn check_bundles(&self, texts: &mut Section) -> Result<(), Fault> {
        let mut r = self.bundles.reader();
        let mut authorities = Section { next: 0 };
        for _ in 0..self.bundles.count {
            let at = r.at();
            let domain = texts.text(&mut r, MAX_TRUST_DOMAIN_BYTES, self.text)?;
            check_trust_domain(domain).map_err(|why| Fault { why, at })?;
            authorities.span(
                &mut r,
                MAX_AUTHORITIES_PER_BUNDLE,
                RefusedReason::ListTooLong,
            )?;
        }
        authorities.end(self.authorities.count, r.at())
    }

    fn check_revoked(&self) -> Result<(), Fault> {
        let mut r = self.revoked.reader();
        let mut before = None;
        for _ in 0..self.revoked.count {
            let unsorted = r.fault(RefusedReason::Unsorted);
            let serial = Serial::parse(&mut r)?;
            if before >= Some(serial) {
                return Err(unsorted);
            }
            before = Some(serial);
        }
        Ok(())
    }

    fn rows(&self, table: &Table<'a>, inner: &'a [u8]) -> Rows<'a> {
        Rows {
            rows: table.bytes,
            inner,
            text: self.text,
            bytes: self.ders,
        }
    }

    fn prefilter(&self) -> List<'a, PrefilterEntry<'a>> {
        List::over(self.rows(&self.prefilter, &[]), self.prefilter.count)
    }

    fn services(&self) -> List<'a, Service<'a>> {
        List::over(
            self.rows(&self.services, self.servers.bytes),
            self.services.count,
        )
    }

    fn revoked(&self) -> List<'a, Serial> {
        List::over(self.rows(&self.revoked, &[]), self.revoked.count)
    }

    fn bundles(&self) -> List<'a, Bundle<'a>> {
        List::over(
            self.rows(&self.bundles, self.authorities.bytes),
            self.bundles.count,
        )
    }
}

/// Mode, what to do without an identity, and two bytes that are 0.
fn check_mode(r: &mut Reader<'_>) -> Result<(), Fault> {
    let fault = r.fault(RefusedReason::OutOfRange);
    let [mode, on_unavailable, 0, 0] = r.array()? else {
        return Err(fault);
    };
    let known = Mode::from_number(mode).zip(OnUnavailable::from_number(on_unavailable));
    known.map(|_| ()).ok_or(fault)
}

/// A section with texts and certificates of its own.
fn externals<'a>(r: &mut Reader<'a>) -> Result<List<'a, External<'a>>, Fault> {
    let list = RefusedReason::ListTooLong;
    let count = r.len(MAX_SERVICES, list)?;
    let roots = r.len(MAX_RECORD_BYTES, list)?;
    let text = r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?;
    let ders = r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?;
    let externals = Table::take(r, count, EXTERNAL_BYTES)?;
    let roots = Table::take(r, roots, SPAN_BYTES)?;
    let (text_at, not_text) = (r.at(), r.fault(RefusedReason::NotUtf8));
    let text = core::str::from_utf8(r.take(text)?).map_err(|_| not_text)?;
    let ders_at = r.at();
    let ders = r.take(ders)?;

    let (mut texts, mut spans) = (Section { next: 0 }, Section { next: 0 });
    let mut row = externals.reader();
    for _ in 0..externals.count {
        let at = row.at();
        let service = texts.text(&mut row, MAX_SERVICE_NAME_BYTES, text)?;
        required(service.is_empty(), at)?;
        let at = row.at();
        let name = texts.text(&mut row, MAX_SERVER_NAME_BYTES, text)?;
        super::check_server_name(name).map_err(|why| Fault { why, at })?;
        spans.span(&mut row, MAX_ROOTS, RefusedReason::ListTooLong)?;
    }
    spans.end(roots.count, row.at())?;
    texts.end(text.len(), text_at)?;
    certificates(&roots, ders, ders_at)?;
    let rows = Rows {
        rows: externals.bytes,
        inner: roots.bytes,
        text,
        bytes: ders,
    };
    Ok(List::over(rows, externals.count))
}

/// Certificates with no rows but their own.
fn system_roots<'a>(r: &mut Reader<'a>) -> Result<List<'a, &'a [u8]>, Fault> {
    let count = r.len(MAX_ROOTS, RefusedReason::ListTooLong)?;
    let ders = r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?;
    let roots = Table::take(r, count, SPAN_BYTES)?;
    let (ders_at, ders) = (r.at(), r.take(ders)?);
    certificates(&roots, ders, ders_at)?;
    let rows = Rows {
        rows: roots.bytes,
        inner: &[],
        text: "",
        bytes: ders,
    };
    Ok(List::over(rows, count))
}

/// Spans of certificates, and the section that they cover.
fn certificates(spans: &Table<'_>, ders: &[u8], ders_at: u32) -> Result<(), Fault> {
    let (mut certs, mut row) = (Section { next: 0 }, spans.reader());
    for _ in 0..spans.count {
        let at = row.at();
        let len = certs.span(&mut row, MAX_CERT_BYTES, RefusedReason::FieldTooLong)?;
        required(len == 0, at)?;
    }
    certs.end(ders.len(), ders_at)
}

pub(super) fn config(body: &[u8]) -> Result<Config<'_>, Fault> {
    let mut r = Reader::new(body, BODY_AT);
    let generation = r.id64()?;
    let limits = Limits::read(&mut r)?;
    let parts = Parts::read(&mut r)?;
    parts.check()?;
    Ok(Config {
        generation,
        limits,
        prefilter: parts.prefilter(),
        services: parts.services(),
        bundles: parts.bundles(),
        policy: parts.policy,
        observed: parts.observed,
        revoked: parts.revoked(),
        posture: parts.posture,
        externals: parts.externals,
        system_roots: parts.system_roots,
    })
}
