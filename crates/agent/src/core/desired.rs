//! What the control plane wants of this node, read once from a snapshot.

use std::collections::BTreeSet;

use tidelock_kabi::bounds::{MAX_PREFILTER, MAX_SERVICES};
use tidelock_kabi::{Bundle, Cidr, CidrError, Config, Limits, List, PrefilterEntry, Service};
use tidelock_proto::v1 as proto;
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
    prefilter: Vec<Rule>,
    services: Vec<ServiceRange>,
    bundles: Vec<Authorities>,
    policy: Vec<u8>,
    limits: Limits,
}

/// One address range of a Service.
#[derive(Debug, PartialEq)]
struct ServiceRange {
    name: String,
    cidr: Cidr,
    port: u16,
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
        Ok(Self {
            generation: snapshot.generation,
            entries,
            skipped,
            prefilter,
            services,
            bundles: snapshot.bundles.into_iter().map(authorities).collect(),
            policy: policy.image,
            limits: Limits {
                grant_wait_ms: limits.grant_wait_ms,
                handshake_ms: limits.handshake_ms,
                max_handshakes: limits.max_handshakes,
                max_handshakes_per_listener: limits.max_handshakes_per_listener,
            },
        })
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
        })
    }
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
