//! What the control plane wants of this node, read once from a snapshot.

use std::collections::BTreeSet;

use tidelock_kabi::bounds::{MAX_PREFILTER, MAX_REVOKED, MAX_SERVICES};
use tidelock_kabi::{
    Bundle, Cidr, CidrError, Config, Limits, List, Posture, PrefilterEntry, Serial, Service,
    Transform,
};
use tidelock_policy::Image;
use tidelock_proto::v1 as proto;
use tidelock_spiffe_core::x509::SigningCert;
use tidelock_spiffe_core::{SpiffeIdBuf, SpiffeIdError};

use super::entry::{Entry, EntryProblem};
use super::prefilter::{self, Rule};

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

/// One address range of a Service.
#[derive(Debug, PartialEq)]
struct ServiceRange {
    name: String,
    cidr: Cidr,
    port: u16,
    transform: Option<Transform>,
    servers: Vec<String>,
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

/// What is wrong with a Service.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceProblem {
    /// Not 16 bytes.
    #[error("an address has {len} bytes")]
    AddressLength {
        /// Bytes given.
        len: usize,
    },
    /// The range is none.
    #[error("{0}")]
    Range(CidrError),
    /// A prefix or port out of range.
    #[error("{what} {value} is out of range")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The number.
        value: u32,
    },
    /// A network namespace that this agent does not know.
    #[error("network namespaces of kind {kind} are not known to this agent")]
    Netns {
        /// The kind's number.
        kind: i32,
    },
    /// Something that bytes cannot go through on this node. The flows would do without, so the snapshot is refused.
    #[error("transforms of kind {kind} are not known to this agent: upgrade it")]
    Transform {
        /// The kind's number.
        kind: i32,
    },
    /// A server that is no SPIFFE ID.
    #[error("`{server}`: {why}")]
    Server {
        /// The text given.
        server: String,
        /// What is wrong with it.
        why: SpiffeIdError,
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
        use_config(Config {
            generation: self.generation,
            limits: self.limits,
            prefilter: List::of(&prefilter),
            services: List::of(&services),
            bundles: List::of(&bundles),
            policy: &self.policy,
            observed: &self.observed,
            revoked: List::of(&self.revoked),
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

fn services(services: Vec<proto::Service>) -> Result<Vec<ServiceRange>, DesiredError> {
    let mut ranges = Vec::new();
    for service in services {
        let refuse = |problem| DesiredError::Service {
            service: service.name.clone(),
            problem,
        };
        if service.netns() != proto::Netns::Host {
            return Err(refuse(ServiceProblem::Netns {
                kind: service.netns,
            }));
        }
        let transform = match service.transform.try_into() {
            Ok(proto::Transform::Unspecified) => None,
            Ok(proto::Transform::Identity) => Some(Transform::Identity),
            Ok(proto::Transform::ForwardClientCert) => Some(Transform::ForwardClientCert),
            Err(_) => {
                return Err(refuse(ServiceProblem::Transform {
                    kind: service.transform,
                }));
            }
        };
        let servers = service
            .servers
            .iter()
            .map(|server| canonical(server))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refuse)?;
        for address in &service.addresses {
            let (cidr, port) = range(address).map_err(refuse)?;
            ranges.push(ServiceRange {
                name: service.name.clone(),
                cidr,
                port,
                transform,
                servers: servers.clone(),
            });
        }
    }
    Ok(ranges)
}

fn canonical(server: &str) -> Result<String, ServiceProblem> {
    match SpiffeIdBuf::parse(server) {
        Ok(id) => Ok(id.as_str().to_owned()),
        Err(why) => Err(ServiceProblem::Server {
            server: server.to_owned(),
            why,
        }),
    }
}

fn range(address: &proto::ServiceAddress) -> Result<(Cidr, u16), ServiceProblem> {
    let ip: [u8; 16] =
        address
            .ip
            .as_slice()
            .try_into()
            .map_err(|_| ServiceProblem::AddressLength {
                len: address.ip.len(),
            })?;
    let out_of_range = |what, value| ServiceProblem::OutOfRange { what, value };
    let prefix_len =
        u8::try_from(address.prefix_len).map_err(|_| out_of_range("prefix", address.prefix_len))?;
    let port = u16::try_from(address.port)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| out_of_range("port", address.port))?;
    let cidr = Cidr::from_mapped(ip, prefix_len).map_err(ServiceProblem::Range)?;
    Ok((cidr, port))
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
