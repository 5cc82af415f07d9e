//! Whom to believe: authorities of trust domains, and those of servers outside.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidelock_datapath::{External, Roots, TrustStore};
use tidelock_kabi::{Config, Fault, List, RefusedReason};
use tidelock_spiffe_core::TrustDomain;

use super::{NO_MEMORY, fault};

/// The authorities of every bundle.
pub(super) fn trust(view: &Config<'static>, body: &[u8]) -> Result<TrustStore, Fault> {
    let mut trust = TrustStore::new();
    for bundle in view.bundles {
        let domain = TrustDomain::parse(bundle.trust_domain).map_err(|_| {
            fault(
                RefusedReason::BadSpiffeId,
                body,
                bundle.trust_domain.as_bytes(),
            )
        })?;
        for der in bundle.authorities {
            trust
                .add(domain, der)
                .map_err(|_| fault(RefusedReason::BadChain, body, der))?;
        }
    }
    Ok(trust)
}

/// The servers outside, by their Services, each with its authorities: those that were written for it, or else the system's, which
/// all others share.
pub(super) fn externals(
    view: &Config<'static>,
    body: &[u8],
) -> Result<Vec<(&'static str, Arc<External>)>, Fault> {
    let system = roots(view.system_roots, body)?;
    let mut all = Vec::new();
    all.try_reserve_exact(view.externals.len())
        .map_err(|_| NO_MEMORY)?;
    for of in view.externals {
        let name = of.server_name;
        let roots = if of.roots.is_empty() {
            Arc::clone(&system)
        } else {
            roots(of.roots, body)?
        };
        let external = External::new(name, roots)
            .map_err(|_| fault(RefusedReason::BadServerName, body, name.as_bytes()))?;
        all.push((of.service, Arc::new(external)));
    }
    Ok(all)
}

fn roots(ders: List<'static, &'static [u8]>, body: &[u8]) -> Result<Arc<Roots>, Fault> {
    let mut roots = Roots::new();
    for der in ders {
        roots
            .add(der)
            .map_err(|_| fault(RefusedReason::BadChain, body, der))?;
    }
    Ok(Arc::new(roots))
}
