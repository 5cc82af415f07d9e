//! What the control plane wants of this node, read once from a snapshot.

mod services;

use std::collections::BTreeSet;

use tidelock_kabi::bounds::{MAX_PREFILTER, MAX_REVOKED, MAX_SERVICES};
use tidelock_kabi::{
    Bundle, Config, External, Limits, List, Posture, PrefilterEntry, Serial, Service,
};
use tidelock_policy::Image;
use tidelock_proto::v1 as proto;
use tidelock_spiffe_core::x509::SigningCert;

use super::entry::{Entry, EntryProblem};
use super::prefilter::{self, Rule};
pub use services::ServiceProblem;
use services::{Outside, ServiceRange, outside, services};

/// The full state of one node at one generation. Immutable: changes come as a new one.
#[derive(Debug, PartialEq)]
pub struct Desired {
    /// Grows with each change.
    pub generation: u64,
    /// Who matches and which SVID they get, sorted by name.
    pub entries: Vec<Entry>,
    /// Entries that this agent cannot serve, and why. Nobody is granted them.
    pub skipped: Vec<(String, EntryProblem)>,
    /// The Names, in DER, of our own trust domain's authorities, less those that are tainted: an SVID of another one is to be
    /// renewed at once.
    pub issuers: Vec<Vec<u8>>,
    prefilter: Vec<Rule>,
    services: Vec<ServiceRange>,
    outside: Vec<Outside>,
    system_roots: Vec<Vec<u8>>,
    bundles: Vec<Authorities>,
    policy: Vec<u8>,
    observed: Vec<u8>,
    /// Whether policies ask for the hash of what a process executes: then none is granted before that was tried.
    pub(super) asks_for_digests: bool,
    limits: Limits,
    /// SVIDs that are believed no more, our own among them; sorted, each once.
    pub revoked: Vec<Serial>,
    /// This node's name and when it was attested: what policies are told of it. `None`: nothing.
    posture: Option<(String, Option<i64>)>,
}

/// The authorities of one trust domain.
#[derive(Debug, PartialEq)]
struct Authorities {
    trust_domain: String,
    authorities: Vec<Vec<u8>>,
}

/// Why a snapshot was refused as a whole. What was in force before stays.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DesiredError {
    /// Generation 0 means "none".
    #[error("the snapshot has no generation")]
    NoGeneration,
    /// Two entries with one name.
    #[error("two entries are named `{id}`")]
    DuplicateEntry {
        /// The name.
        id: String,
    },
    /// A message that has to be there.
    #[error("the snapshot has no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// An address of a Service that is none.
    #[error("service `{service}`: {problem}")]
    Service {
        /// The Service's name.
        service: String,
        /// What is wrong with it.
        problem: ServiceProblem,
    },
    /// A revoked SVID whose serial number is none.
    #[error("the serial number of a revoked SVID has {len} bytes")]
    Serial {
        /// Bytes given.
        len: usize,
    },
    /// More than the kernel takes.
    #[error("{count} {what}, at most {max} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The bound.
        max: usize,
    },
}

impl Desired {
    /// Reads a snapshot.
    ///
    /// An entry that this agent cannot serve is skipped, since skipping only ever grants less; anything
    /// else that is wrong refuses the whole snapshot.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn parse(snapshot: proto::Snapshot) -> Result<Self, DesiredError> {
        if snapshot.generation == 0 {
            return Err(DesiredError::NoGeneration);
        }
        let (entries, skipped) = entries(snapshot.entries)?;
        let prefilter = prefilter::compile(&entries);
        bounded("prefilter rules", prefilter.len(), MAX_PREFILTER)?;
        let outside = outside(&snapshot.services);
        let services = services(snapshot.services)?;
        bounded("service addresses", services.len(), MAX_SERVICES)?;
        let policy = snapshot
            .policy
            .ok_or(DesiredError::Missing { what: "policy" })?;
        let limits = snapshot
            .limits
            .ok_or(DesiredError::Missing { what: "limits" })?;
        let asks_for_digests = [&policy.image, &policy.observed_image]
            .into_iter()
            .any(|image| asks_for_digests(image));
        Ok(Self {
            generation: snapshot.generation,
            entries,
            skipped,
            issuers: snapshot.bundles.first().map(issuers).unwrap_or_default(),
            prefilter,
            services,
            outside,
            system_roots: Vec::new(),
            bundles: snapshot.bundles.into_iter().map(authorities).collect(),
            policy: policy.image,
            observed: policy.observed_image,
            asks_for_digests,
            limits: Limits {
                grant_wait_ms: limits.grant_wait_ms,
                handshake_ms: limits.handshake_ms,
                max_handshakes: limits.max_handshakes,
                max_handshakes_per_listener: limits.max_handshakes_per_listener,
            },
            revoked: revoked(&snapshot.revoked_serials)?,
            posture: None,
        })
    }

    /// The state of the node of this name, attested then (milliseconds since 1970), which policies may ask for. It reaches the
    /// kernel with the next generation: a node that was attested anew meanwhile is told of as before until then.
    #[must_use]
    pub fn at_node(self, name: &str, attested_at_ms: Option<i64>) -> Self {
        Self {
            posture: Some((name.to_owned(), attested_at_ms)),
            ..self
        }
    }

    /// Whether the authorities that this node's own system trusts vouch for a server outside.
    #[must_use]
    pub fn wants_system_roots(&self) -> bool {
        self.outside.iter().any(|outside| outside.roots.is_empty())
    }

    /// The authorities that this node's own system trusts, as DER. Without them nobody is believed to be a server for which
    /// [they vouch](Self::wants_system_roots).
    #[must_use]
    pub fn with_system_roots(self, system_roots: Vec<Vec<u8>>) -> Self {
        Self {
            system_roots,
            ..self
        }
    }

    /// How many address ranges of Services there are.
    #[must_use]
    pub fn service_ranges(&self) -> usize {
        self.services.len()
    }

    /// Calls `use_config` with the configuration as the kernel takes it.
    pub fn with_config<T>(&self, use_config: impl FnOnce(Config<'_>) -> T) -> T {
        let prefilter: Vec<PrefilterEntry<'_>> = self.prefilter.iter().map(Rule::entry).collect();
        let servers: Vec<Vec<&str>> = self
            .services
            .iter()
            .map(|service| service.servers.iter().map(String::as_str).collect())
            .collect();
        let services: Vec<Service<'_>> = self
            .services
            .iter()
            .zip(&servers)
            .map(|(service, servers)| Service {
                name: &service.name,
                cidr: service.cidr,
                port: service.port,
                netns: None,
                transform: service.transform,
                mode: service.mode,
                on_unavailable: service.on_unavailable,
                max_flow_age_s: service.max_flow_age_s,
                servers: List::of(servers),
            })
            .collect();
        let authorities: Vec<Vec<&[u8]>> = self
            .bundles
            .iter()
            .map(|bundle| bundle.authorities.iter().map(Vec::as_slice).collect())
            .collect();
        let bundles: Vec<Bundle<'_>> = self
            .bundles
            .iter()
            .zip(&authorities)
            .map(|(bundle, authorities)| Bundle {
                trust_domain: &bundle.trust_domain,
                authorities: List::of(authorities),
            })
            .collect();
        let roots: Vec<Vec<&[u8]>> = self
            .outside
            .iter()
            .map(|outside| outside.roots.iter().map(Vec::as_slice).collect())
            .collect();
        let externals: Vec<External<'_>> = self
            .outside
            .iter()
            .zip(&roots)
            .map(|(outside, roots)| External {
                service: &outside.service,
                server_name: &outside.server_name,
                roots: List::of(roots),
            })
            .collect();
        let system_roots: Vec<&[u8]> = self.system_roots.iter().map(Vec::as_slice).collect();
        use_config(Config {
            generation: self.generation,
            limits: self.limits,
            prefilter: List::of(&prefilter),
            services: List::of(&services),
            bundles: List::of(&bundles),
            policy: &self.policy,
            observed: &self.observed,
            revoked: List::of(&self.revoked),
            externals: List::of(&externals),
            system_roots: List::of(&system_roots),
            posture: self.posture.as_ref().map(|(node, attested_at_ms)| Posture {
                node,
                attested_at_ms: *attested_at_ms,
            }),
        })
    }
}

/// Whether a policy image asks for the hash of what a process executes, at either end or of who listens. What is no image is the kernel's to
/// refuse.
fn asks_for_digests(image: &[u8]) -> bool {
    const FACT: &str = "sha256";
    Image::reopen(image).is_ok_and(|image| {
        ["client", "server", "process"]
            .iter()
            .any(|end| image.reads_field(end, FACT))
    })
}

type Sorted = (Vec<Entry>, Vec<(String, EntryProblem)>);

fn entries(entries: Vec<proto::Entry>) -> Result<Sorted, DesiredError> {
    let mut ids = BTreeSet::new();
    let (mut served, mut skipped) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = entry.id.clone();
        if !ids.insert(id.clone()) {
            return Err(DesiredError::DuplicateEntry { id });
        }
        match Entry::parse(entry) {
            Ok(entry) => served.push(entry),
            Err(problem) => skipped.push((id, problem)),
        }
    }
    served.sort_by(|a, b| a.id.cmp(&b.id));
    Ok((served, skipped))
}

fn issuers(bundle: &proto::Bundle) -> Vec<Vec<u8>> {
    let all = bundle.x509_authorities.iter();
    let sound = all.filter(|der| !bundle.tainted_x509_authorities.contains(der));
    // What is no signing certificate has signed nothing either.
    let names = sound.filter_map(|der| Some(SigningCert::parse(der).ok()?.subject.to_vec()));
    names.collect()
}

/// What the control plane revokes, the kernel takes.
const _: () = assert!(tidelock_proto::MAX_REVOKED_SVIDS <= MAX_REVOKED);

/// One that is none refuses the whole: the kernel would go on believing what it should not.
fn revoked(serials: &[Vec<u8>]) -> Result<Vec<Serial>, DesiredError> {
    bounded("revoked SVIDs", serials.len(), MAX_REVOKED)?;
    let serial =
        |bytes: &Vec<u8>| Serial::new(bytes).ok_or(DesiredError::Serial { len: bytes.len() });
    let mut serials = serials.iter().map(serial).collect::<Result<Vec<_>, _>>()?;
    serials.sort_unstable();
    serials.dedup();
    Ok(serials)
}

fn authorities(bundle: proto::Bundle) -> Authorities {
    Authorities {
        trust_domain: bundle.trust_domain,
        authorities: bundle.x509_authorities,
    }
}

fn bounded(what: &'static str, count: usize, max: usize) -> Result<(), DesiredError> {
    if count > max {
        return Err(DesiredError::TooMany { what, count, max });
    }
    Ok(())
}
