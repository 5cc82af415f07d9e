//! `kind: WorkloadIdentity`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidelock_attest::{Selectors, Variable};
use tidelock_ca::{MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS};
use tidelock_proto::MAX_JWT_TTL_SECS;
use tidelock_spiffe_core::TrustDomain;

use super::Reason;
use super::node_group::{MAX_GROUPS_PER_IDENTITY, NodeGroups, Placed, names};
use super::selectors::selectors;
use super::spiffe_id::{WorkloadId, workload_id_or_template};
use crate::duration::{parse_secs, print_secs};
use crate::name::Name;
use crate::yaml::{Cursor, Pos, Reader};

/// Life of an X509-SVID for which a document says nothing.
pub const DEFAULT_SVID_TTL_SECS: u32 = 3_600;

pub(super) const FIELDS: &[&str] = &["spiffeID", "selectors", "svid", "nodes", "nodeGroups"];
pub(super) const SVID_FIELDS: &[&str] = &["ttl", "jwtTTL"];

/// Who gets which SPIFFE ID.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkloadIdentity {
    /// Unique among WorkloadIdentities.
    pub name: Name,
    /// The ID that its SVIDs bear.
    pub spiffe_id: WorkloadId,
    /// What a process has to be. Every way to fit names a path or a digest.
    pub selectors: Selectors,
    /// Life of its X509-SVIDs.
    pub svid_ttl_secs: u32,
    /// Longest life of its JWT-SVIDs; without: that of its X509-SVIDs. Never more than [`tidelock_proto::MAX_JWT_TTL_SECS`].
    pub jwt_ttl_secs: Option<u32>,
    /// The nodes it is for. Without these and groups: all.
    pub nodes: Option<BTreeSet<Name>>,
    /// NodeGroups whose nodes it is for too.
    pub node_groups: Option<BTreeSet<Name>>,
}

impl WorkloadIdentity {
    /// Whether every node is given this identity.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.nodes.is_none() && self.node_groups.is_none()
    }

    /// Longest life that it gives JWT-SVIDs, in seconds.
    #[must_use]
    pub fn max_jwt_ttl_secs(&self) -> u32 {
        let most = self.jwt_ttl_secs.unwrap_or(self.svid_ttl_secs);
        most.min(MAX_JWT_TTL_SECS)
    }

    /// The node, if it is given this identity, and the group that is why.
    #[must_use]
    pub fn placed<'a>(&'a self, node: &'a Name, groups: &NodeGroups) -> Option<Placed<'a>> {
        let named = self.node_groups.as_ref();
        let group = named.and_then(|named| groups.first(named, node));
        let by_name = self.nodes.as_ref().is_some_and(|of| of.contains(node));
        let is_for = self.is_everywhere() || by_name || group.is_some();
        is_for.then_some(Placed { node, group })
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
        ours: TrustDomain<'_>,
    ) -> Option<(Self, Pos)> {
        let fields = reader.fields(spec, FIELDS)?;
        let id_at = reader.required(&fields, "spiffeID");
        let spiffe_id = id_at
            .as_ref()
            .and_then(|at| workload_id_or_template(reader, at, ours));
        let selectors = reader
            .required(&fields, "selectors")
            .and_then(|at| selectors(reader, &at));
        let lives = fields
            .optional("svid")
            .map_or(Some((DEFAULT_SVID_TTL_SECS, None)), |at| lives(reader, at));
        let nodes = fields.optional("nodes").map(|at| names(reader, &at));
        let groups_at = fields.optional("nodeGroups");
        let node_groups = groups_at.map(|at| groups(reader, &at));
        let (id_at, spiffe_id, selectors) = (id_at?, spiffe_id?, selectors?);
        if spiffe_id.has(Variable::ExeName) && selectors.branches().any(|way| way.path().is_none())
        {
            let text = spiffe_id.to_string();
            reader.refuse(&id_at, Reason::ExeName { text });
            return None;
        }
        if spiffe_id.has(Variable::NodeGroup) && (node_groups.is_none() || nodes.is_some()) {
            let text = spiffe_id.to_string();
            reader.refuse(&id_at, Reason::GroupName { text });
            return None;
        }
        let (svid_ttl_secs, jwt_ttl_secs) = lives?;
        let identity = Self {
            name: name?,
            spiffe_id,
            selectors,
            svid_ttl_secs,
            jwt_ttl_secs,
            nodes,
            node_groups,
        };
        Some((identity, id_at.pos()))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({
            "spiffeID": self.spiffe_id.to_string(),
            "selectors": self.selectors,
            "svid": { "ttl": print_secs(self.svid_ttl_secs) },
        });
        if let Some(secs) = self.jwt_ttl_secs {
            spec["svid"]["jwtTTL"] = print_secs(secs).into();
        }
        if let Some(nodes) = &self.nodes {
            spec["nodes"] = nodes.iter().map(Name::as_str).collect();
        }
        if let Some(groups) = &self.node_groups {
            spec["nodeGroups"] = groups.iter().map(Name::as_str).collect();
        }
        spec
    }
}

/// Lives of X509-SVIDs and of JWT-SVIDs.
fn lives(reader: &mut Reader<'_>, svid: Cursor<'_>) -> Option<(u32, Option<u32>)> {
    let fields = reader.fields(svid, SVID_FIELDS)?;
    let x509 = match fields.optional("ttl") {
        Some(at) => secs(reader, &at, MAX_SVID_TTL_SECS),
        None => Some(DEFAULT_SVID_TTL_SECS),
    };
    let jwt = match fields.optional("jwtTTL") {
        Some(at) => secs(reader, &at, MAX_JWT_TTL_SECS).map(Some),
        None => Some(None),
    };
    x509.zip(jwt)
}

fn secs(reader: &mut Reader<'_>, at: &Cursor<'_>, most: u32) -> Option<u32> {
    let text = &reader.text(at)?.text;
    parse_secs(text, MIN_SVID_TTL_SECS, most)
        .map_err(|error| {
            let text = text.clone();
            reader.refuse(at, Reason::Duration { text, error });
        })
        .ok()
}

fn groups(reader: &mut Reader<'_>, at: &Cursor<'_>) -> BTreeSet<Name> {
    let read = names(reader, at);
    if read.len() > MAX_GROUPS_PER_IDENTITY {
        let (what, found, max) = (
            "NodeGroups of one WorkloadIdentity",
            read.len(),
            MAX_GROUPS_PER_IDENTITY,
        );
        reader.refuse(at, Reason::Bound { what, found, max });
    }
    read
}
