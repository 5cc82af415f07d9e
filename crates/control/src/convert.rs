//! From documents to messages.

use std::sync::Arc;

use tidelock_proto::v1;

use crate::document::{Kind, Netns, Service, WorkloadIdentity};
use crate::name::Name;
use crate::world::{LIMITS, World};

/// The full state of one node.
pub(crate) fn snapshot(world: &Arc<World>, node: &Name, bundle: v1::Bundle) -> v1::Snapshot {
    let sources = world.policies().map(|p| v1::Policy {
        name: p.name.to_string(),
        cedar: p.cedar.clone(),
    });
    v1::Snapshot {
        generation: world.generation,
        entries: world
            .identities()
            .filter(|identity| identity.is_for(node))
            .map(entry)
            .collect(),
        services: world.services().map(service).collect(),
        bundles: vec![bundle],
        policy: Some(v1::PolicySet {
            image: world.compiled.image.clone(),
            sources: sources.collect(),
        }),
        limits: Some(LIMITS),
    }
}

pub(crate) fn entry(identity: &WorkloadIdentity) -> v1::Entry {
    v1::Entry {
        id: identity.name.to_string(),
        spiffe_id: identity.spiffe_id.as_str().to_owned(),
        selectors: identity.selector_texts(),
        x509_ttl_secs: identity.svid_ttl_secs,
    }
}

fn service(service: &Service) -> v1::Service {
    let address = |address: &crate::document::Address| v1::ServiceAddress {
        ip: address.octets().to_vec(),
        prefix_len: address.prefix_len().into(),
        port: address.port().into(),
    };
    v1::Service {
        name: service.name.to_string(),
        addresses: service.addresses.iter().map(address).collect(),
        servers: service
            .servers
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        netns: netns(service.netns).into(),
    }
}

pub(crate) fn netns(netns: Netns) -> v1::Netns {
    match netns {
        Netns::Host => v1::Netns::Host,
    }
}

pub(crate) fn kind(kind: Kind) -> v1::DocumentKind {
    match kind {
        Kind::WorkloadIdentity => v1::DocumentKind::WorkloadIdentity,
        Kind::Service => v1::DocumentKind::Service,
        Kind::Policy => v1::DocumentKind::Policy,
    }
}

/// The other way round; `None` for what no document is.
pub(crate) fn kind_of(message: v1::DocumentKind) -> Option<Kind> {
    Kind::ALL.into_iter().find(|&k| kind(k) == message)
}
