//! Who may do what under a set of documents, and what a change of them would take away.
//!
//! The question is put as a node's kernel puts it: the client's name and all names above it, the Service, the port.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_policy::bounds::MAX_ANCESTORS;
use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Request};
use tidelock_proto::v1;
use tidelock_spiffe_core::SpiffeIdBuf;

use crate::document::{
    Compiled, Document, Key, NodeGroups, OnUnavailable, Service, ServiceMode, WorkloadId,
    WorkloadIdentity,
};
use crate::name::Name;
use crate::nodes::Nodes;

/// Most questions that are asked for one comparison: a second's work.
const MAX_QUESTIONS: usize = 500_000;

/// The documents at one moment, and the policies compiled.
pub(crate) struct View<'w> {
    identities: BTreeMap<&'w str, &'w WorkloadIdentity>,
    services: BTreeMap<&'w str, &'w Service>,
    groups: &'w NodeGroups,
    /// The IDs that identities have on the nodes that there are.
    ids: BTreeSet<SpiffeIdBuf>,
    /// `None`: nothing is permitted, as in a kernel that cannot read it.
    image: Option<Image<'w>>,
}

/// Something that an identity may do.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Right {
    spiffe_id: String,
    kind: i32,
    service: String,
}

type Rights = BTreeMap<Right, BTreeSet<u16>>;

/// What a change takes and gives.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) lost: Vec<v1::Access>,
    pub(crate) gained: Vec<v1::Access>,
    /// There are too many identities and services.
    pub(crate) left_out: bool,
}

impl<'w> View<'w> {
    pub(crate) fn new(
        documents: &'w BTreeMap<Key, Document>,
        compiled: &'w Compiled,
        nodes: &[Name],
    ) -> Self {
        let (mut identities, mut services) = (BTreeMap::new(), BTreeMap::new());
        for document in documents.values() {
            match document {
                Document::WorkloadIdentity(one) => drop(identities.insert(one.name.as_str(), one)),
                Document::Service(one) => drop(services.insert(one.name.as_str(), one)),
                Document::Policy(_)
                | Document::Operator(_)
                | Document::NodeGroup(_)
                | Document::TrustDomain(_) => {}
            }
        }
        let ids = identities
            .values()
            .copied()
            .flat_map(|one| ids(one, nodes, &compiled.groups));
        Self {
            ids: ids.collect(),
            identities,
            services,
            groups: &compiled.groups,
            image: Image::check(&compiled.image).ok(),
        }
    }

    /// Everything that identities may do to Services.
    fn rights(&self) -> Rights {
        let mut rights = Rights::new();
        for id in &self.ids {
            for service in self.services.values() {
                let open = ports(service).into_iter();
                let open: BTreeSet<u16> = open.filter(|&p| self.permits(id, service, p)).collect();
                if !open.is_empty() {
                    rights.insert(right(id, v1::AccessKind::Connect, service), open);
                }
                if service.servers.contains(id) {
                    rights.insert(right(id, v1::AccessKind::Serve, service), ports(service));
                }
            }
        }
        rights
    }

    fn questions(&self) -> usize {
        let ports: usize = self.services.values().map(|s| s.addresses.len()).sum();
        self.ids.len().saturating_mul(ports)
    }

    /// Asks the policies as a kernel does.
    fn permits(&self, client: &SpiffeIdBuf, service: &Service, port: u16) -> bool {
        let (Some(image), true) = (&self.image, service.mode != ServiceMode::Deny) else {
            return false;
        };
        let id = client.as_id();
        let domain = EntityRef::new("TrustDomain", id.trust_domain().as_str());
        let above = id.ancestors().map(|id| EntityRef::new("Workload", id));
        let ancestors: Vec<_> = std::iter::once(domain).chain(above).collect();
        if ancestors.len() > MAX_ANCESTORS {
            return false;
        }
        let context = [Attribute::port(port)];
        let outside = service.tls.as_ref();
        let outside = outside.map(|tls| EntityRef::new("External", &tls.server_name));
        let decision = image.decide(&Request {
            principal: Entity::new("Workload", client.as_str(), &ancestors),
            action: "connect",
            resource: Entity::new("Service", service.name.as_str(), outside.as_slice()),
            context: Context::new(&context),
        });
        decision.allow()
    }

    /// Whether a flow that lives on a node could begin now.
    fn keeps(&self, node: &Name, flow: &v1::Flow) -> bool {
        let Some(service) = self.services.get(flow.service.as_str()) else {
            return false;
        };
        if flow.suite.is_empty() && (flow.role() == v1::Role::Server || flow.local_id.is_empty()) {
            return keeps_in_plain(service, flow);
        }
        let (client, server, address) = match flow.role() {
            v1::Role::Server => (&flow.peer_id, &flow.local_id, &flow.local),
            _ => (&flow.local_id, &flow.peer_id, &flow.remote),
        };
        let has = |id: &str| {
            let mut identities = self.identities.values();
            identities.any(|one| {
                let placed = one.placed(node, self.groups);
                placed.is_some_and(|placed| one.spiffe_id.admitted(placed, id).is_some())
            })
        };
        let port = address.parse::<std::net::SocketAddr>().map(|at| at.port());
        let (Ok(port), Ok(client)) = (port, SpiffeIdBuf::parse(client)) else {
            return false;
        };
        let proven = match &service.tls {
            Some(tls) => tls.server_name == *server,
            None => service.servers.iter().any(|id| id.as_str() == server),
        };
        has(&flow.local_id)
            && (proven || (flow.suite.is_empty() && service.mode == ServiceMode::Plain))
            && ports(service).contains(&port)
            && self.permits(&client, service, port)
    }

    /// What becomes of a process that has an identity: `None`: it keeps it; else, whether it is appraised anew.
    fn grant(&self, after: &Self, node: &Name, entry: &str) -> Option<bool> {
        let before = self.identities.get(entry)?;
        // Where it is the same document too: the node may be in another group.
        let told = |one: &WorkloadIdentity, groups: &NodeGroups| {
            let placed = one.placed(node, groups)?;
            one.spiffe_id.for_node(placed)
        };
        let old = told(before, self.groups);
        match after.identities.get(entry) {
            Some(one) if told(one, after.groups).is_none_or(|new| Some(new) != old) => Some(false),
            Some(one) if one.selectors != before.selectors => Some(true),
            Some(_) => None,
            None => Some(false),
        }
    }
}

/// Whether a flow at whose end nobody has an identity could begin now.
fn keeps_in_plain(service: &Service, flow: &v1::Flow) -> bool {
    let permitted = match flow.role() {
        v1::Role::Server => true,
        _ => service.on_unavailable == OnUnavailable::Allow,
    };
    service.mode.takes_plain() && permitted
}

/// The IDs of an identity: of a template, one for each node that it is for. What processes make of one is not known beforehand.
fn ids(identity: &WorkloadIdentity, nodes: &[Name], groups: &NodeGroups) -> Vec<SpiffeIdBuf> {
    match &identity.spiffe_id {
        WorkloadId::Fixed(id) => vec![id.clone()],
        template => {
            let placed = nodes
                .iter()
                .filter_map(|node| identity.placed(node, groups));
            placed.filter_map(|placed| template.on(placed)).collect()
        }
    }
}

/// What changes for whom between two moments.
pub(crate) fn difference(before: &View<'_>, after: &View<'_>) -> Difference {
    if before.questions().saturating_add(after.questions()) > MAX_QUESTIONS {
        return Difference {
            left_out: true,
            ..Difference::default()
        };
    }
    let (old, new) = (before.rights(), after.rights());
    Difference {
        lost: without(&old, &new),
        gained: without(&new, &old),
        left_out: false,
    }
}

/// Live processes that would lose their identity or be appraised anew.
pub(crate) fn identities(
    nodes: &Nodes,
    before: &View<'_>,
    after: &View<'_>,
) -> Vec<v1::PlannedIdentity> {
    let mut found: BTreeMap<(String, String, bool), u32> = BTreeMap::new();
    nodes.visit(|name, node| {
        for grant in node.reported.grants.values() {
            if let Some(anew) = before.grant(after, name, &grant.entry_id) {
                let key = (grant.entry_id.clone(), name.to_string(), anew);
                *found.entry(key).or_default() += 1;
            }
        }
    });
    let planned = found
        .into_iter()
        .map(|((entry_id, node, appraised_anew), processes)| {
            let one = before.identities.get(entry_id.as_str());
            let spiffe_id = one.map(|one| one.spiffe_id.to_string());
            v1::PlannedIdentity {
                spiffe_id: spiffe_id.unwrap_or_default(),
                entry_id,
                node,
                processes,
                appraised_anew,
            }
        });
    planned.collect()
}

/// How many live flows could begin now and could not then.
pub(crate) fn flows_cut(nodes: &Nodes, before: &View<'_>, after: &View<'_>) -> u32 {
    let mut cut = 0_u32;
    nodes.visit(|name, node| {
        let flows = node.reported.flows.values();
        let lost = flows.filter(|flow| before.keeps(name, flow) && !after.keeps(name, flow));
        cut = cut.saturating_add(u32::try_from(lost.count()).unwrap_or(u32::MAX));
    });
    cut
}

fn ports(service: &Service) -> BTreeSet<u16> {
    service
        .addresses
        .iter()
        .map(|address| address.port())
        .collect()
}

fn right(id: &SpiffeIdBuf, kind: v1::AccessKind, service: &Service) -> Right {
    Right {
        spiffe_id: id.as_str().to_owned(),
        kind: kind.into(),
        service: service.name.to_string(),
    }
}

/// What is in `all` and not in `others`.
fn without(all: &Rights, others: &Rights) -> Vec<v1::Access> {
    let none = BTreeSet::new();
    let access = |(right, ports): (&Right, &BTreeSet<u16>)| {
        let kept = others.get(right).unwrap_or(&none);
        let ports: Vec<u32> = ports.difference(kept).map(|&port| port.into()).collect();
        (!ports.is_empty()).then(|| v1::Access {
            spiffe_id: right.spiffe_id.clone(),
            kind: right.kind,
            service: right.service.clone(),
            ports,
        })
    };
    all.iter().filter_map(access).collect()
}
