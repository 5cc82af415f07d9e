//! `kind: WorkloadIdentity`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidelock_attest::{SelectorBuf, Selectors, SelectorsError};
use tidelock_ca::{MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain};

use super::Reason;
use super::spiffe_id::workload_id;
use crate::duration::{parse_secs, print_secs};
use crate::name::Name;
use crate::yaml::{Cursor, Reader};

/// Life of an X509-SVID for which a document says nothing.
pub const DEFAULT_SVID_TTL_SECS: u32 = 3_600;

const FIELDS: &[&str] = &["spiffeID", "selectors", "svid", "nodes"];
const SVID_FIELDS: &[&str] = &["ttl"];

/// Who gets which SPIFFE ID.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkloadIdentity {
    /// Unique among WorkloadIdentities.
    pub name: Name,
    /// The ID that its SVIDs bear.
    pub spiffe_id: SpiffeIdBuf,
    /// All have to match. At least one names a path or a digest.
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

    /// The selectors in text form.
    #[must_use]
    pub fn selector_texts(&self) -> Vec<String> {
        self.selectors
            .iter()
            .map(|selector| selector.to_string())
            .collect()
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
        ours: TrustDomain<'_>,
    ) -> Option<Self> {
        let fields = reader.fields(spec, FIELDS)?;
        let spiffe_id = reader
            .required(&fields, "spiffeID")
            .and_then(|at| workload_id(reader, &at, ours));
        let selectors = reader
            .required(&fields, "selectors")
            .and_then(|at| selectors(reader, &at));
        let svid_ttl_secs = fields
            .optional("svid")
            .map_or(Some(DEFAULT_SVID_TTL_SECS), |at| ttl(reader, at));
        let nodes = fields.optional("nodes").map(|at| nodes(reader, &at));
        Some(Self {
            name: name?,
            spiffe_id: spiffe_id?,
            selectors: selectors?,
            svid_ttl_secs: svid_ttl_secs?,
            nodes,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({
            "spiffeID": self.spiffe_id.as_str(),
            "selectors": self.selector_texts(),
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

/// Every selector that is wrong is reported; what is wrong with the list, once they are all right.
fn selectors(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Selectors> {
    let items = reader.list(at)?;
    let mut texts = Vec::with_capacity(items.len());
    for item in &items {
        let Some(text) = reader.text(item) else {
            continue;
        };
        match text.text.parse::<SelectorBuf>() {
            Ok(_) => texts.push(&text.text),
            Err(error) => {
                reader.refuse(
                    item,
                    Reason::Selector {
                        text: text.text.clone(),
                        error,
                    },
                );
            }
        }
    }
    if texts.len() < items.len() {
        return None;
    }
    let refuse = |error: SelectorsError| {
        let place = error
            .index()
            .and_then(|index| items.get(index))
            .unwrap_or(at);
        reader.refuse(place, Reason::Selectors(error));
    };
    Selectors::parse(texts).map_err(refuse).ok()
}
