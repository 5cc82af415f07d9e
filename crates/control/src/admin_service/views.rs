//! What is in force, and what nodes report of it.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_proto::{AGENT_PATH_PREFIX, v1};

use crate::authority;
use crate::convert;
use crate::core::Core;
use crate::document::{Kind, Life, WorkloadIdentity};
use crate::name::Name;
use crate::roles::Permit;

/// Those whose SPIFFE IDs are the caller's.
pub(super) fn identities(core: &Arc<Core>, permit: &Permit) -> v1::GetIdentitiesResponse {
    let (mut svids, mut grants) = (
        HashMap::<String, Vec<_>>::new(),
        HashMap::<String, Vec<_>>::new(),
    );
    core.nodes.visit(|name, node| {
        for svid in node.reported.svids.values() {
            let held = v1::NodeSvid {
                node: name.to_string(),
                svid: Some(svid.clone()),
            };
            svids.entry(svid.entry_id.clone()).or_default().push(held);
        }
        for grant in node.reported.grants.values() {
            let held = v1::NodeGrant {
                node: name.to_string(),
                grant: Some(grant.clone()),
            };
            grants.entry(grant.entry_id.clone()).or_default().push(held);
        }
    });
    let world = core.world();
    let seen = world.identities().filter(|one| permit.covers_identity(one));
    let identities = seen.map(|identity| v1::Identity {
        entry: Some(convert::entry(identity, &world.compiled.lives)),
        nodes: identity
            .nodes
            .iter()
            .flatten()
            .map(Name::to_string)
            .collect(),
        node_groups: identity
            .node_groups
            .iter()
            .flatten()
            .map(Name::to_string)
            .collect(),
        svids: svids.remove(identity.name.as_str()).unwrap_or_default(),
        grants: grants.remove(identity.name.as_str()).unwrap_or_default(),
    });
    v1::GetIdentitiesResponse {
        identities: identities.collect(),
    }
}

/// Those that only SPIFFE IDs serve which are the caller's.
pub(super) fn services(core: &Arc<Core>, permit: &Permit) -> v1::GetServicesResponse {
    let world = core.world();
    let seen = world.services().filter(|service| {
        let mut servers = service.servers.iter();
        let covered = servers.all(|id| permit.covers(id.as_str()));
        covered && (!service.servers.is_empty() || permit.is_everywhere())
    });
    let services = seen.map(|service| v1::ServiceView {
        name: service.name.to_string(),
        addresses: service.addresses.iter().map(ToString::to_string).collect(),
        servers: service
            .servers
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        netns: convert::netns(service.netns).into(),
        transform: convert::transform(service.transform).into(),
        mode: convert::service_mode(service.mode).into(),
        on_unavailable: convert::on_unavailable(service.on_unavailable).into(),
        max_flow_age_secs: service.max_flow_age_secs.unwrap_or(0),
        server_name: service
            .tls
            .as_ref()
            .map(|tls| tls.server_name.clone())
            .unwrap_or_default(),
    });
    v1::GetServicesResponse {
        services: services.collect(),
    }
}

pub(super) fn policies(core: &Arc<Core>) -> v1::GetPoliciesResponse {
    let world = core.world();
    let policies = world.policies().map(convert::policy);
    v1::GetPoliciesResponse {
        policies: policies.collect(),
    }
}

pub(super) fn nodes(core: &Arc<Core>) -> v1::GetNodesResponse {
    let mut nodes = Vec::new();
    core.nodes.visit(|name, node| {
        nodes.push(v1::NodeView {
            name: name.to_string(),
            spiffe_id: format!(
                "spiffe://{}{AGENT_PATH_PREFIX}{name}",
                core.trust_domain.as_str()
            ),
            attested_unix_secs: node.record.attested,
            svid_not_after_unix_secs: node.record.not_after,
            connected: node.connected(),
            remote: node
                .remote
                .map(|remote| remote.to_string())
                .unwrap_or_default(),
            sent_generation: node.sent_generation,
            applied_generation: node.reported.applied_generation,
            agent_version: node.reported.agent_version.clone(),
            module_version: node.reported.module_version.clone(),
            kernel_release: node.reported.kernel_release.clone(),
            grants: count(node.reported.grants.len()),
            flows: count(node.reported.flows.len()),
            joined_by: convert::joined_by(node.record.joined_by).into(),
            certificate_allowed: node.record.certificate_allowed,
        });
    });
    v1::GetNodesResponse { nodes }
}

pub(super) fn node_groups(core: &Arc<Core>) -> v1::GetNodeGroupsResponse {
    let world = core.world();
    let named_by = |group: &Name| {
        let names = |one: &&WorkloadIdentity| {
            let mut named = one.node_groups.iter().flatten();
            named.any(|name| name == group)
        };
        let identities = world.identities().filter(names);
        identities.map(|one| one.name.to_string()).collect()
    };
    let groups = world.node_groups().map(|group| v1::NodeGroupView {
        name: group.name.to_string(),
        nodes: group.nodes.iter().map(Name::to_string).collect(),
        identities: named_by(&group.name),
    });
    v1::GetNodeGroupsResponse {
        groups: groups.collect(),
    }
}

pub(super) fn trust_domains(core: &Arc<Core>) -> v1::GetTrustDomainsResponse {
    let world = core.world();
    let by_default = world.identities().filter(|one| one.svid_ttl_secs.is_none());
    let life = |life: Life| v1::SvidLife {
        default_secs: life.default_secs,
        max_secs: life.max_secs,
    };
    let said = world.compiled.lives.authorities;
    let authority_secs = |kind| core.authority.life_secs(kind, said);
    let mut kinds = world.documents.keys().map(|(kind, _)| *kind);
    let ours = v1::TrustDomainView {
        name: core.trust_domain.as_str().to_owned(),
        has_document: kinds.any(|kind| kind == Kind::TrustDomain),
        x509: Some(life(world.compiled.lives.x509)),
        jwt: Some(life(world.compiled.lives.jwt)),
        identities_by_default: count(by_default.count()),
        x509_authority_secs: authority_secs(authority::Kind::X509),
        jwt_authority_secs: authority_secs(authority::Kind::Jwt),
    };
    v1::GetTrustDomainsResponse {
        trust_domains: vec![ours],
    }
}

/// Those of which the node's own end is the caller's; each end of a connection tells for itself.
pub(super) fn flows(core: &Arc<Core>, permit: &Permit) -> v1::GetFlowsResponse {
    let mut flows = Vec::new();
    core.nodes.visit(|name, node| {
        let all = node.reported.flows.values();
        let of_node = all.filter(|flow| permit.covers(&flow.local_id));
        flows.extend(of_node.map(|flow| v1::NodeFlow {
            node: name.to_string(),
            flow: Some(flow.clone()),
        }));
    });
    v1::GetFlowsResponse { flows }
}

pub(super) fn status(core: &Arc<Core>) -> v1::GetStatusResponse {
    let world = core.world();
    let mut status = v1::GetStatusResponse {
        trust_domain: core.trust_domain.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: world.generation,
        started_unix_secs: core.started,
        authority_not_after_unix_secs: core.authority.not_after(authority::Kind::X509),
        identities: count(world.identities().count()),
        services: count(world.services().count()),
        policies: count(world.policies().count()),
        policies_observed: count(world.policies_observed()),
        listening: core.listening.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    core.nodes.visit(|_, node| {
        status.nodes += 1;
        status.nodes_connected += u32::from(node.connected());
        status.grants = status
            .grants
            .saturating_add(count(node.reported.grants.len()));
        status.flows = status
            .flows
            .saturating_add(count(node.reported.flows.len()));
    });
    status
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
