//! `kind: WorkloadIdentity`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidelock_attest::{Selectors, Variable};
use tidelock_ca::{MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS};
use tidelock_proto::MAX_JWT_TTL_SECS;
use tidelock_spiffe_core::TrustDomain;

use super::Reason;
use super::lives::secs;
use super::node_group::{MAX_GROUPS_PER_IDENTITY, NodeGroups, Placed, names};
use super::parse::IdentityMarks;
use super::selectors::selectors;
use super::spiffe_id::{WorkloadId, workload_id_or_template};
use crate::duration::print_secs;
use crate::name::Name;
use crate::yaml::{Cursor, Pos, Reader};

/// Life of an X509-SVID for which no document says another.
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
    /// Life of its X509-SVIDs; without: what [`Lives`](super::Lives) give.
    pub svid_ttl_secs: Option<u32>,
    /// Longest life of its JWT-SVIDs; without: that of its X509-SVIDs, as far as [`Lives`](super::Lives) allow it.
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
    ) -> Option<(Self, IdentityMarks)> {
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
            .map_or(Some(Said::default()), |at| lives(reader, at));
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
        let Said { x509, jwt } = lives?;
        let identity = Self {
            name: name?,
            spiffe_id,
            selectors,
            svid_ttl_secs: x509.map(|(secs, _)| secs),
            jwt_ttl_secs: jwt.map(|(secs, _)| secs),
            nodes,
            node_groups,
        };
        let marks = IdentityMarks {
            id: id_at.pos(),
            ttl: x509.map(|(_, pos)| pos),
            jwt_ttl: jwt.map(|(_, pos)| pos),
        };
        Some((identity, marks))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({
            "spiffeID": self.spiffe_id.to_string(),
            "selectors": self.selectors,
        });
        for (field, secs) in SVID_FIELDS
            .iter()
            .zip([self.svid_ttl_secs, self.jwt_ttl_secs])
        {
            if let Some(secs) = secs {
                spec["svid"][field] = print_secs(secs).into();
            }
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

/// Lives of X509-SVIDs and of JWT-SVIDs as they are said, and where.
#[derive(Clone, Copy, Default)]
struct Said {
    x509: Option<(u32, Pos)>,
    jwt: Option<(u32, Pos)>,
}

fn lives(reader: &mut Reader<'_>, svid: Cursor<'_>) -> Option<Said> {
    let fields = reader.fields(svid, SVID_FIELDS)?;
    let mut read = |field: &str, most| match fields.optional(field) {
        Some(at) => secs(reader, &at, (MIN_SVID_TTL_SECS, most)).map(|secs| Some((secs, at.pos()))),
        None => Some(None),
    };
    let x509 = read("ttl", MAX_SVID_TTL_SECS);
    let jwt = read("jwtTTL", MAX_JWT_TTL_SECS);
    Some(Said {
        x509: x509?,
        jwt: jwt?,
    })
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
