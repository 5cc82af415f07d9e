//! Bytes → config: one pass over every row, so that later reads need no checks.

use super::*;
use crate::bounds::*;
use crate::header::BODY_AT;
use crate::read::required;
use crate::refused::RefusedReason;

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

/// Counts and lengths of the fixed part.
struct Sizes {
    prefilter: usize,
    services: usize,
    servers: usize,
    bundles: usize,
    authorities: usize,
    text: usize,
    bytes: usize,
    policy: usize,
}

impl Sizes {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let list = RefusedReason::ListTooLong;
        Ok(Self {
            prefilter: r.len(MAX_PREFILTER, list)?,
            services: r.len(MAX_SERVICES, list)?,
            servers: r.len(MAX_RECORD_BYTES, list)?,
            bundles: r.len(MAX_BUNDLES, list)?,
            authorities: r.len(MAX_RECORD_BYTES, list)?,
            text: r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?,
            bytes: r.len(MAX_RECORD_BYTES, RefusedReason::TooLong)?,
            policy: r.len(MAX_POLICY_BYTES, RefusedReason::FieldTooLong)?,
        })
    }
}

/// Takes `count` rows: their bytes, and a reader that stands at the first.
fn rows<'a>(r: &mut Reader<'a>, count: usize, row: usize) -> Result<(&'a [u8], Reader<'a>), Fault> {
    let (at, fault) = (r.at(), r.fault(RefusedReason::Truncated));
    let bytes = r.take(count.checked_mul(row).ok_or(fault)?)?;
    Ok((bytes, Reader::new(bytes, at)))
}

pub(super) fn config(body: &[u8]) -> Result<Config<'_>, Fault> {
    let mut r = Reader::new(body, BODY_AT);
    let generation = r.id64()?;
    let limits = Limits::read(&mut r)?;
    let sizes = Sizes::read(&mut r)?;
    let (prefilter, mut prefilter_r) = rows(&mut r, sizes.prefilter, PREFILTER_BYTES)?;
    let (services, mut service_r) = rows(&mut r, sizes.services, SERVICE_BYTES)?;
    let (servers, mut server_r) = rows(&mut r, sizes.servers, SPAN_BYTES)?;
    let (bundles, mut bundle_r) = rows(&mut r, sizes.bundles, BUNDLE_BYTES)?;
    let (authorities, mut authority_r) = rows(&mut r, sizes.authorities, SPAN_BYTES)?;
    let text_at = r.at();
    let text = core::str::from_utf8(r.take(sizes.text)?).map_err(|_| Fault {
        why: RefusedReason::NotUtf8,
        at: text_at,
    })?;
    let bytes_at = r.at();
    let bytes = r.take(sizes.bytes)?;
    let policy = r.take(sizes.policy)?;
    r.end()?;

    let (mut texts, mut ders) = (Section { next: 0 }, Section { next: 0 });
    check_prefilter(&mut prefilter_r, sizes.prefilter, &mut texts, text)?;
    check_services(&mut service_r, &mut server_r, &sizes, &mut texts, text)?;
    check_bundles(
        &mut bundle_r,
        &mut authority_r,
        &sizes,
        &mut texts,
        &mut ders,
        text,
    )?;
    texts.end(text.len(), text_at)?;
    ders.end(bytes.len(), bytes_at)?;

    let all = Rows {
        rows: &[],
        inner: &[],
        text,
        bytes,
    };
    Ok(Config {
        generation,
        limits,
        prefilter: List::over(
            Rows {
                rows: prefilter,
                ..all
            },
            sizes.prefilter,
        ),
        services: List::over(
            Rows {
                rows: services,
                inner: servers,
                ..all
            },
            sizes.services,
        ),
        bundles: List::over(
            Rows {
                rows: bundles,
                inner: authorities,
                ..all
            },
            sizes.bundles,
        ),
        policy,
    })
}

fn check_prefilter(
    r: &mut Reader<'_>,
    count: usize,
    texts: &mut Section,
    text: &str,
) -> Result<(), Fault> {
    for _ in 0..count {
        let at = r.at();
        let exe = texts.text(r, MAX_PATH_BYTES, text)?;
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

fn check_services(
    r: &mut Reader<'_>,
    server_r: &mut Reader<'_>,
    sizes: &Sizes,
    texts: &mut Section,
    text: &str,
) -> Result<(), Fault> {
    let mut servers = Section { next: 0 };
    for _ in 0..sizes.services {
        let at = r.at();
        required(texts.text(r, MAX_SERVICE_NAME_BYTES, text)?.is_empty(), at)?;
        let bad_cidr = r.fault(RefusedReason::BadCidr);
        let ip = r.array()?;
        let prefix_len = r.u8()?;
        Cidr::from_mapped(ip, prefix_len).map_err(|_| bad_cidr)?;
        let reserved = r.fault(RefusedReason::Reserved);
        if r.u8()? != 0 {
            return Err(reserved);
        }
        let no_port = r.fault(RefusedReason::OutOfRange);
        if r.u16()? == 0 {
            return Err(no_port);
        }
        let _netns = r.u32()?;
        servers.span(r, MAX_SERVERS_PER_SERVICE, RefusedReason::ListTooLong)?;
    }
    servers.end(sizes.servers, r.at())?;
    for _ in 0..sizes.servers {
        let at = server_r.at();
        let id = texts.text(server_r, MAX_SPIFFE_ID_BYTES, text)?;
        check_spiffe_id(id).map_err(|why| Fault { why, at })?;
    }
    Ok(())
}

fn check_bundles(
    r: &mut Reader<'_>,
    authority_r: &mut Reader<'_>,
    sizes: &Sizes,
    texts: &mut Section,
    ders: &mut Section,
    text: &str,
) -> Result<(), Fault> {
    let mut authorities = Section { next: 0 };
    for _ in 0..sizes.bundles {
        let at = r.at();
        let domain = texts.text(r, MAX_TRUST_DOMAIN_BYTES, text)?;
        check_trust_domain(domain).map_err(|why| Fault { why, at })?;
        authorities.span(r, MAX_AUTHORITIES_PER_BUNDLE, RefusedReason::ListTooLong)?;
    }
    authorities.end(sizes.authorities, r.at())?;
    for _ in 0..sizes.authorities {
        let at = authority_r.at();
        let len = ders.span(authority_r, MAX_CERT_BYTES, RefusedReason::FieldTooLong)?;
        required(len == 0, at)?;
    }
    Ok(())
}
