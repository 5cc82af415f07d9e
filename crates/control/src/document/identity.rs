//! `kind: WorkloadIdentity`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidelock_attest::{Selectors, Variable};
use tidelock_ca::{MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS};
use tidelock_spiffe_core::TrustDomain;

use super::Reason;
use super::selectors::selectors;
use super::spiffe_id::{WorkloadId, workload_id_or_template};
use crate::duration::{parse_secs, print_secs};
use crate::name::Name;
use crate::yaml::{Cursor, Pos, Reader};

/// Life of an X509-SVID for which a document says nothing.
pub const DEFAULT_SVID_TTL_SECS: u32 = 3_600;

pub(super) const FIELDS: &[&str] = &["spiffeID", "selectors", "svid", "nodes"];
pub(super) const SVID_FIELDS: &[&str] = &["ttl"];

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
    /// The nodes it is for; `None` means all.
    pub nodes: Option<BTreeSet<Name>>,
}

impl WorkloadIdentity {
    /// Whether the node of this name is given this identity.
    #[must_use]
    pub fn is_for(&self, node: &Name) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
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
        let svid_ttl_secs = fields
            .optional("svid")
            .map_or(Some(DEFAULT_SVID_TTL_SECS), |at| ttl(reader, at));
        let nodes = fields.optional("nodes").map(|at| nodes(reader, &at));
        let (id_at, spiffe_id, selectors) = (id_at?, spiffe_id?, selectors?);
        if spiffe_id.has(Variable::ExeName) && selectors.branches().any(|way| way.path().is_none())
        {
            let text = spiffe_id.to_string();
            reader.refuse(&id_at, Reason::ExeName { text });
            return None;
        }
        let identity = Self {
            name: name?,
            spiffe_id,
            selectors,
            svid_ttl_secs: svid_ttl_secs?,
            nodes,
        };
        Some((identity, id_at.pos()))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({
            "spiffeID": self.spiffe_id.to_string(),
            "selectors": self.selectors,
            "svid": { "ttl": print_secs(self.svid_ttl_secs) },
        });
        if let Some(nodes) = &self.nodes {
            spec["nodes"] = nodes.iter().map(Name::as_str).collect();
        }
        spec
    }
}

fn ttl(reader: &mut Reader<'_>, svid: Cursor<'_>) -> Option<u32> {
    let fields = reader.fields(svid, SVID_FIELDS)?;
    let Some(at) = fields.optional("ttl") else {
        return Some(DEFAULT_SVID_TTL_SECS);
    };
    let text = &reader.text(&at)?.text;
    parse_secs(text, MIN_SVID_TTL_SECS, MAX_SVID_TTL_SECS)
        .map_err(|error| {
            reader.refuse(
                &at,
                Reason::Duration {
                    text: text.clone(),
                    error,
                },
            )
        })
        .ok()
}

fn nodes(reader: &mut Reader<'_>, at: &Cursor<'_>) -> BTreeSet<Name> {
    let mut read = BTreeSet::new();
    for item in reader.filled_list(at) {
        let Some(text) = reader.text(&item) else {
            continue;
        };
        match Name::parse(&text.text) {
            Ok(name) if read.contains(&name) => reader.refuse(
                &item,
                Reason::RepeatedItem {
                    item: text.text.clone(),
                },
            ),
            Ok(name) => drop(read.insert(name)),
            Err(error) => reader.refuse(&item, Reason::Name(error)),
        }
    }
    read
}
