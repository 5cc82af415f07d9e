//! Services, as the kernel takes them: a row for each range of addresses.

use tidelock_kabi::{Cidr, CidrError, Mode, OnUnavailable, Transform};
use tidelock_proto::v1 as proto;
use tidelock_spiffe_core::{SpiffeIdBuf, SpiffeIdError};

use super::DesiredError;

/// One address range of a Service.
#[derive(Debug, PartialEq)]
pub(super) struct ServiceRange {
    pub(super) name: String,
    pub(super) cidr: Cidr,
    pub(super) port: u16,
    pub(super) transform: Option<Transform>,
    pub(super) mode: Mode,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) max_flow_age_s: Option<u32>,
    pub(super) servers: Vec<String>,
}

/// The server outside that a Service is.
#[derive(Debug, PartialEq)]
pub(super) struct Outside {
    pub(super) service: String,
    pub(super) server_name: String,
    /// None: those of the system.
    pub(super) roots: Vec<Vec<u8>>,
}

/// Those among Services. What they say is the kernel's to check; without it, nobody is believed to be the server.
pub(super) fn outside(services: &[proto::Service]) -> Vec<Outside> {
    let tls = services
        .iter()
        .filter_map(|service| Some((service, service.tls.as_ref()?)));
    tls.map(|(service, tls)| Outside {
        service: service.name.clone(),
        server_name: tls.server_name.clone(),
        roots: tls.roots.clone(),
    })
    .collect()
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
    /// A mode that this agent does not know. Some other would be a guess, so the snapshot is refused.
    #[error("{what} of kind {kind} is not known to this agent: upgrade it")]
    Mode {
        /// Which field.
        what: &'static str,
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

pub(super) fn services(services: Vec<proto::Service>) -> Result<Vec<ServiceRange>, DesiredError> {
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
            Ok(proto::Transform::AuthorizeRequests) => Some(Transform::AuthorizeRequests),
            Err(_) => {
                return Err(refuse(ServiceProblem::Transform {
                    kind: service.transform,
                }));
            }
        };
        let max_flow_age_s = Some(service.max_flow_age_secs).filter(|&secs| secs != 0);
        let (mode, on_unavailable) = modes(&service).map_err(refuse)?;
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
                mode,
                on_unavailable,
                max_flow_age_s,
                servers: servers.clone(),
            });
        }
    }
    Ok(ranges)
}

fn modes(service: &proto::Service) -> Result<(Mode, OnUnavailable), ServiceProblem> {
    let unknown = |what, kind| ServiceProblem::Mode { what, kind };
    let mode = match service.mode.try_into() {
        Ok(proto::ServiceMode::Unspecified | proto::ServiceMode::Strict) => Mode::Strict,
        Ok(proto::ServiceMode::Permissive) => Mode::Permissive,
        Ok(proto::ServiceMode::Plain) => Mode::Plain,
        Ok(proto::ServiceMode::Deny) => Mode::Deny,
        Ok(proto::ServiceMode::Originate) => Mode::Originate,
        Err(_) => return Err(unknown("a mode", service.mode)),
    };
    let on_unavailable = match service.on_unavailable.try_into() {
        Ok(proto::OnUnavailable::Unspecified | proto::OnUnavailable::Deny) => OnUnavailable::Deny,
        Ok(proto::OnUnavailable::Allow) => OnUnavailable::Allow,
        Err(_) => return Err(unknown("onUnavailable", service.on_unavailable)),
    };
    Ok((mode, on_unavailable))
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
