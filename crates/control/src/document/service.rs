//! `kind: Service`.

use std::collections::HashSet;

use serde_json::{Value, json};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain};

use super::mode::modes;
use super::spiffe_id::workload_id;
use super::{Address, MAX_SERVERS_PER_SERVICE, OnUnavailable, Reason, ServiceMode, ServiceTls};
use crate::duration::{parse_secs, print_secs};
use crate::name::Name;
use crate::yaml::{Cursor, Pos, Reader};

pub(super) const FIELDS: &[&str] = &[
    "addresses",
    "servers",
    "netns",
    "transform",
    "mode",
    "onUnavailable",
    "maxFlowAge",
    "tls",
];

/// The least that a flow may live: a handshake has to be worth its while.
pub const MIN_FLOW_AGE_SECS: u32 = 1;
/// The most: more is no bound.
pub const MAX_FLOW_AGE_SECS: u32 = 365 * 24 * 3600;

/// A list item's length in the kernel contract.
const BYTES_PER_ITEM: usize = 4;

/// An address record of the kernel contract without its strings, generously.
const BYTES_PER_ADDRESS: usize = 64;

/// Where a Service is, and who may serve it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Unique among Services.
    pub name: Name,
    /// At least one; they overlap neither one another nor another Service's.
    pub addresses: Vec<Address>,
    /// All different; at least one where servers prove who they are.
    pub servers: Vec<SpiffeIdBuf>,
    /// The network namespaces in which the addresses mean this Service.
    pub netns: Netns,
    /// What the bytes of its flows go through; `None`: nothing.
    pub transform: Option<Transform>,
    /// Which connections there may be.
    pub mode: ServiceMode,
    /// What becomes of a client that gets no identity in time.
    pub on_unavailable: OnUnavailable,
    /// How old its flows may become, in seconds; `None`: as old as they like.
    pub max_flow_age_secs: Option<u32>,
    /// Who the server has to be, in [`ServiceMode::Originate`] and no other.
    pub tls: Option<ServiceTls>,
}

/// What the bytes of a mediated flow go through on their way between program and wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transform {
    /// Queues, and no change.
    Identity,
    /// At the server, HTTP/1.1 requests are told who calls: `X-Forwarded-Client-Cert`.
    ForwardClientCert,
    /// The same, and each request is asked of policy, as the action `http`, before it reaches the server.
    AuthorizeRequests,
}

impl Transform {
    pub(super) const ALL: [Self; 3] = [
        Self::Identity,
        Self::ForwardClientCert,
        Self::AuthorizeRequests,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ForwardClientCert => "forwardClientCert",
            Self::AuthorizeRequests => "authorizeRequests",
        }
    }
}

/// A set of network namespaces.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Netns {
    /// The host's own.
    #[default]
    Host,
}

impl Netns {
    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
        }
    }
}

impl Service {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
        ours: TrustDomain<'_>,
    ) -> Option<(Self, Vec<Pos>)> {
        let fields = reader.fields(spec, FIELDS)?;
        let addresses = reader
            .required(&fields, "addresses")
            .map(|at| addresses(reader, &at));
        let netns = fields
            .optional("netns")
            .map_or(Some(Netns::Host), |at| netns(reader, &at));
        let transform = fields
            .optional("transform")
            .map_or(Some(None), |at| transform(reader, &at).map(Some));
        let max_flow_age_secs = fields
            .optional("maxFlowAge")
            .map_or(Some(None), |at| flow_age(reader, &at).map(Some));
        let modes = modes(reader, &fields, transform.flatten());
        let tls = fields
            .optional("tls")
            .map_or(Some(None), |at| ServiceTls::read(reader, at).map(Some));
        let needed = modes.is_some_and(|(mode, _)| mode.proves_servers());
        let servers = match fields.optional("servers") {
            None if !needed => Some(Vec::new()),
            _ => reader
                .required(&fields, "servers")
                .map(|at| servers(reader, &at, ours)),
        };
        let (mode, on_unavailable) = modes?;
        let (places, addresses) = addresses?.into_iter().unzip();
        Some((
            Self {
                name: name?,
                addresses,
                servers: servers?,
                netns: netns?,
                transform: transform?,
                mode,
                on_unavailable,
                max_flow_age_secs: max_flow_age_secs?,
                tls: tls?,
            },
            places,
        ))
    }

    /// Whether the authorities that a node's own system trusts vouch for its server.
    pub(super) fn wants_system_roots(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.roots.is_empty())
    }

    /// What it takes in a node's kernel configuration, roughly.
    pub(super) fn config_bytes(&self) -> usize {
        let servers: usize = self
            .servers
            .iter()
            .map(|id| id.as_str().len() + BYTES_PER_ITEM)
            .sum();
        let tls = self.tls.as_ref().map_or(0, ServiceTls::config_bytes);
        tls + self.addresses.len() * (self.name.as_str().len() + servers + BYTES_PER_ADDRESS)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({
            "addresses": self.addresses.iter().map(Address::to_string).collect::<Vec<_>>(),
            "netns": self.netns.as_str(),
        });
        if !self.servers.is_empty() {
            let servers: Vec<_> = self.servers.iter().map(SpiffeIdBuf::as_str).collect();
            spec["servers"] = servers.into();
        }
        if self.mode != ServiceMode::default() {
            spec["mode"] = self.mode.as_str().into();
        }
        if self.on_unavailable != OnUnavailable::default() {
            spec["onUnavailable"] = self.on_unavailable.as_str().into();
        }
        if let Some(secs) = self.max_flow_age_secs {
            spec["maxFlowAge"] = print_secs(secs).into();
        }
        if let Some(tls) = &self.tls {
            spec["tls"] = tls.to_json();
        }
        if let Some(transform) = self.transform {
            spec["transform"] = transform.as_str().into();
        }
        spec
    }
}

fn addresses(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Vec<(Pos, Address)> {
    let mut read = Vec::new();
    for item in reader.filled_list(at) {
        let Some(text) = reader.text(&item) else {
            continue;
        };
        match Address::parse(&text.text) {
            Ok(address) => read.push((item.pos(), address)),
            Err(error) => reader.refuse(
                &item,
                Reason::Address {
                    text: text.text.clone(),
                    error,
                },
            ),
        }
    }
    read
}

fn servers(reader: &mut Reader<'_>, at: &Cursor<'_>, ours: TrustDomain<'_>) -> Vec<SpiffeIdBuf> {
    let mut read = Vec::new();
    let mut seen = HashSet::new();
    let items = reader.filled_list(at);
    if items.len() > MAX_SERVERS_PER_SERVICE {
        let (what, found) = ("servers of one Service", items.len());
        reader.refuse(
            at,
            Reason::TooMany {
                what,
                found,
                max: MAX_SERVERS_PER_SERVICE,
            },
        );
    }
    for item in items {
        let Some(id) = workload_id(reader, &item, ours) else {
            continue;
        };
        if seen.insert(id.clone()) {
            read.push(id);
        } else {
            reader.refuse(
                &item,
                Reason::RepeatedItem {
                    item: id.as_str().to_owned(),
                },
            );
        }
    }
    read
}

fn flow_age(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<u32> {
    let text = &reader.text(at)?.text;
    parse_secs(text, MIN_FLOW_AGE_SECS, MAX_FLOW_AGE_SECS)
        .map_err(|error| {
            let text = text.clone();
            reader.refuse(at, Reason::Duration { text, error });
        })
        .ok()
}

fn netns(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Netns> {
    let text = &reader.text(at)?.text;
    if text == Netns::Host.as_str() {
        return Some(Netns::Host);
    }
    reader.refuse(
        at,
        Reason::Netns {
            found: text.clone(),
        },
    );
    None
}

fn transform(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Transform> {
    let text = &reader.text(at)?.text;
    let known = Transform::ALL
        .into_iter()
        .find(|transform| text == transform.as_str());
    if known.is_none() {
        reader.refuse(
            at,
            Reason::Transform {
                found: text.clone(),
            },
        );
    }
    known
}
