//! Config → bytes: fixed part, rows of each list, then what the rows point into.

use super::rows::HAS_UID;
use super::{Config, Posture, Transform};
use crate::bounds::*;
use crate::refused::{EncodeError, RefusedReason};
use crate::write::Writer;

type Done = Result<(), EncodeError>;

/// Hands out consecutive spans of a section.
struct Section {
    next: usize,
}

impl Section {
    /// Writes the span of the next `len` bytes or rows.
    fn span(&mut self, w: &mut Writer<'_>, len: usize, max: usize, above: RefusedReason) -> Done {
        w.count(self.next, MAX_RECORD_BYTES, RefusedReason::TooLong)?;
        w.count(len, max, above)?;
        self.next = self
            .next
            .checked_add(len)
            .ok_or(w.fault(RefusedReason::TooLong))?;
        Ok(())
    }

    fn field(&mut self, w: &mut Writer<'_>, len: usize, max: usize) -> Done {
        if len == 0 {
            return Err(w.fault(RefusedReason::Empty));
        }
        self.span(w, len, max, RefusedReason::FieldTooLong)
    }
}

pub(super) fn config(config: &Config<'_>, w: &mut Writer<'_>) -> Done {
    fixed(config, w)?;
    let (mut text, mut bytes) = (Section { next: 0 }, Section { next: 0 });
    prefilter_rows(config, w, &mut text)?;
    service_rows(config, w, &mut text)?;
    bundle_rows(config, w, &mut text, &mut bytes)?;
    let exes = config.prefilter.iter().filter_map(|entry| entry.exe);
    let names = config.services.iter().map(|service| service.name);
    let servers = config.services.iter().flat_map(|service| service.servers);
    let domains = config.bundles.iter().map(|bundle| bundle.trust_domain);
    for text in exes.chain(names).chain(servers).chain(domains) {
        w.put(text.as_bytes())?;
    }
    for der in config.bundles.iter().flat_map(|bundle| bundle.authorities) {
        w.put(der)?;
    }
    w.put(config.policy)?;
    w.put(config.observed)?;
    externals(config, w)?;
    system_roots(config, w)?;
    revoked_rows(config, w)?;
    Posture::write(config.posture, w)
}

fn fixed(config: &Config<'_>, w: &mut Writer<'_>) -> Done {
    w.id64(config.generation)?;
    config.limits.write(w)?;
    let list = RefusedReason::ListTooLong;
    w.count(config.prefilter.len(), MAX_PREFILTER, list)?;
    w.count(config.services.len(), MAX_SERVICES, list)?;
    let servers = config.services.iter().map(|service| service.servers.len());
    w.count(sum(servers), MAX_RECORD_BYTES, list)?;
    w.count(config.bundles.len(), MAX_BUNDLES, list)?;
    let authorities = config.bundles.iter().map(|bundle| bundle.authorities.len());
    w.count(sum(authorities), MAX_RECORD_BYTES, list)?;
    let exes = config
        .prefilter
        .iter()
        .filter_map(|entry| entry.exe)
        .map(str::len);
    let names = config.services.iter().map(|service| service.name.len());
    let ids = config
        .services
        .iter()
        .flat_map(|service| service.servers)
        .map(str::len);
    let domains = config
        .bundles
        .iter()
        .map(|bundle| bundle.trust_domain.len());
    w.count(
        sum(exes.chain(names).chain(ids).chain(domains)),
        MAX_RECORD_BYTES,
        RefusedReason::TooLong,
    )?;
    let ders = config
        .bundles
        .iter()
        .flat_map(|bundle| bundle.authorities)
        .map(<[u8]>::len);
    w.count(sum(ders), MAX_RECORD_BYTES, RefusedReason::TooLong)?;
    for image in [config.policy, config.observed] {
        w.count(image.len(), MAX_POLICY_BYTES, RefusedReason::FieldTooLong)?;
    }
    w.count(config.revoked.len(), MAX_REVOKED, list)
}

/// The sum of lengths; an overflow is above every bound anyway.
fn sum(lens: impl Iterator<Item = usize>) -> usize {
    lens.fold(0, usize::saturating_add)
}

fn prefilter_rows(config: &Config<'_>, w: &mut Writer<'_>, text: &mut Section) -> Done {
    for entry in config.prefilter {
        match entry.exe {
            Some(exe) => text.field(w, exe.len(), MAX_PATH_BYTES)?,
            None if entry.uid.is_none() => return Err(w.fault(RefusedReason::GovernsAll)),
            None => text.span(w, 0, 0, RefusedReason::FieldTooLong)?,
        }
        w.u32(entry.uid.unwrap_or(0))?;
        w.u32(entry.uid.map_or(0, |_| HAS_UID))?;
    }
    Ok(())
}

fn service_rows(config: &Config<'_>, w: &mut Writer<'_>, text: &mut Section) -> Done {
    let mut servers = Section { next: 0 };
    for service in config.services {
        text.field(w, service.name.len(), MAX_SERVICE_NAME_BYTES)?;
        w.put(&service.cidr.ip())?;
        w.u8(service.cidr.prefix_len())?;
        w.u8(service.transform.map_or(0, Transform::number))?;
        if service.port == 0 {
            return Err(w.fault(RefusedReason::OutOfRange));
        }
        w.u16(service.port)?;
        match service.netns {
            Some(netns) => w.id32(netns)?,
            None => w.u32(0)?,
        }
        w.put(&[service.mode.number(), service.on_unavailable.number(), 0, 0])?;
        match service.max_flow_age_s {
            Some(seconds) => w.id32(seconds)?,
            None => w.u32(0)?,
        }
        let len = service.servers.len();
        servers.span(w, len, MAX_SERVERS_PER_SERVICE, RefusedReason::ListTooLong)?;
    }
    for server in config.services.iter().flat_map(|service| service.servers) {
        super::check_spiffe_id(server).map_err(|why| w.fault(why))?;
        text.field(w, server.len(), MAX_SPIFFE_ID_BYTES)?;
    }
    Ok(())
}

fn bundle_rows(
    config: &Config<'_>,
    w: &mut Writer<'_>,
    text: &mut Section,
    bytes: &mut Section,
) -> Done {
    let mut authorities = Section { next: 0 };
    super::check_distinct(config.bundles).map_err(|why| w.fault(why))?;
    for bundle in config.bundles {
        super::check_trust_domain(bundle.trust_domain).map_err(|why| w.fault(why))?;
        text.field(w, bundle.trust_domain.len(), MAX_TRUST_DOMAIN_BYTES)?;
        let len = bundle.authorities.len();
        authorities.span(
            w,
            len,
            MAX_AUTHORITIES_PER_BUNDLE,
            RefusedReason::ListTooLong,
        )?;
    }
    for der in config.bundles.iter().flat_map(|bundle| bundle.authorities) {
        bytes.field(w, der.len(), MAX_CERT_BYTES)?;
    }
    Ok(())
}

fn externals(config: &Config<'_>, w: &mut Writer<'_>) -> Done {
    let list = RefusedReason::ListTooLong;
    let all = config.externals;
    let texts = || {
        all.iter()
            .flat_map(|external| [external.service, external.server_name])
    };
    let ders = || all.iter().flat_map(|external| external.roots);
    w.count(all.len(), MAX_SERVICES, list)?;
    w.count(ders().count(), MAX_RECORD_BYTES, list)?;
    w.count(
        sum(texts().map(str::len)),
        MAX_RECORD_BYTES,
        RefusedReason::TooLong,
    )?;
    w.count(
        sum(ders().map(<[u8]>::len)),
        MAX_RECORD_BYTES,
        RefusedReason::TooLong,
    )?;
    let (mut text, mut roots) = (Section { next: 0 }, Section { next: 0 });
    for external in all {
        text.field(w, external.service.len(), MAX_SERVICE_NAME_BYTES)?;
        super::check_server_name(external.server_name).map_err(|why| w.fault(why))?;
        text.field(w, external.server_name.len(), MAX_SERVER_NAME_BYTES)?;
        roots.span(w, external.roots.len(), MAX_ROOTS, list)?;
    }
    let mut bytes = Section { next: 0 };
    for der in ders() {
        bytes.field(w, der.len(), MAX_CERT_BYTES)?;
    }
    for text in texts() {
        w.put(text.as_bytes())?;
    }
    for der in ders() {
        w.put(der)?;
    }
    Ok(())
}

fn system_roots(config: &Config<'_>, w: &mut Writer<'_>) -> Done {
    let roots = config.system_roots;
    w.count(roots.len(), MAX_ROOTS, RefusedReason::ListTooLong)?;
    let bytes = sum(roots.iter().map(<[u8]>::len));
    w.count(bytes, MAX_RECORD_BYTES, RefusedReason::TooLong)?;
    let mut spans = Section { next: 0 };
    for der in roots {
        spans.field(w, der.len(), MAX_CERT_BYTES)?;
    }
    for der in roots {
        w.put(der)?;
    }
    Ok(())
}

fn revoked_rows(config: &Config<'_>, w: &mut Writer<'_>) -> Done {
    let mut before = None;
    for serial in config.revoked {
        if before >= Some(serial) {
            return Err(w.fault(RefusedReason::Unsorted));
        }
        before = Some(serial);
        serial.write(w)?;
    }
    Ok(())
}
