//! The documents that users apply, parsed strictly: WorkloadIdentity, Service, Policy, Operator, NodeGroup, TrustDomain.

mod address;
mod ambiguous;
mod capacity;
mod check;
mod code;
mod conflict;
mod error;
mod groups;
mod identity;
mod lives;
mod mode;
mod node_group;
mod node_index;
mod operator;
mod parse;
mod policy;
mod prefix;
mod schema;
mod selectors;
mod service;
mod spiffe_id;
mod tls;
mod told;
mod trust_domain;

pub use address::{Address, AddressError};
pub(crate) use capacity::fits;
pub use capacity::{
    MAX_ADDRESSES, MAX_CONFIG_BYTES, MAX_IDENTITIES_PER_NODE, MAX_OPERATORS, MAX_POLICY_BYTES,
    MAX_ROOTS_PER_SERVICE, MAX_SERVERS_PER_SERVICE, MAX_STATE_BYTES, MAX_SYSTEM_ROOTS_BYTES,
};
pub(crate) use check::{Compiled, compile, conflicts};
pub use conflict::{NotPermitted, Overlap, Place};
pub use error::{DocumentError, Reason};
pub use identity::{DEFAULT_SVID_TTL_SECS, WorkloadIdentity};
pub use lives::{AuthorityLives, Life, Lives};
pub use mode::{ModeError, OnUnavailable, ServiceMode};
pub use node_group::{
    MAX_GROUP_MEMBERS, MAX_GROUPS_PER_IDENTITY, MAX_NODE_GROUPS, NodeGroup, NodeGroups, Placed,
};
pub use node_index::NodeIndex;
pub use operator::{MAX_PREFIXES, Operator, Role};
pub use parse::{Format, SourceFile, parse_files};
pub(crate) use parse::{Marks, Parsed, in_order, parse};
pub use policy::{Policy, PolicyMode};
pub use prefix::{PathPrefix, PrefixError};
pub use schema::JSON_SCHEMA;
pub use service::{MAX_FLOW_AGE_SECS, MIN_FLOW_AGE_SECS, Netns, Service, Transform};
pub use spiffe_id::{IdTemplate, WorkloadId};
pub use tls::{ServiceTls, TlsError};
pub use trust_domain::{SvidLife, TrustDomainSettings};

use std::fmt;

use serde_json::{Value, json};

use crate::name::{Name, NameError};

/// The version of the documents that this control plane reads and writes.
pub const API_VERSION: &str = "tidelock.dev/v1";

/// The kind of a document.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Who gets which SPIFFE ID.
    WorkloadIdentity,
    /// Where a Service is, and who serves it.
    Service,
    /// Who may do what.
    Policy,
    /// Who may do what at the control plane.
    Operator,
    /// Nodes under one name.
    NodeGroup,
    /// What holds for the whole trust domain.
    TrustDomain,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::WorkloadIdentity,
        Self::Service,
        Self::Policy,
        Self::Operator,
        Self::NodeGroup,
        Self::TrustDomain,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkloadIdentity => "WorkloadIdentity",
            Self::Service => "Service",
            Self::Policy => "Policy",
            Self::Operator => "Operator",
            Self::NodeGroup => "NodeGroup",
            Self::TrustDomain => "TrustDomain",
        }
    }

    /// The kind that documents write so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Reads the name of a document of this kind.
    ///
    /// # Errors
    /// If no such document can have this name.
    pub(crate) fn parse_name(self, text: &str) -> Result<Name, NameError> {
        match self {
            Self::TrustDomain => Name::of_trust_domain(text),
            _ => Name::parse(text),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A document of one of the kinds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Document {
    /// Who gets which SPIFFE ID.
    WorkloadIdentity(WorkloadIdentity),
    /// Where a Service is, and who serves it.
    Service(Service),
    /// Who may do what.
    Policy(Policy),
    /// Who may do what at the control plane.
    Operator(Operator),
    /// Nodes under one name.
    NodeGroup(NodeGroup),
    /// What holds for the whole trust domain.
    TrustDomain(TrustDomainSettings),
}

/// What tells documents apart.
pub type Key = (Kind, Name);

impl Document {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::WorkloadIdentity(_) => Kind::WorkloadIdentity,
            Self::Service(_) => Kind::Service,
            Self::Policy(_) => Kind::Policy,
            Self::Operator(_) => Kind::Operator,
            Self::NodeGroup(_) => Kind::NodeGroup,
            Self::TrustDomain(_) => Kind::TrustDomain,
        }
    }

    /// Its name, unique within the kind.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::WorkloadIdentity(identity) => &identity.name,
            Self::Service(service) => &service.name,
            Self::Policy(policy) => &policy.name,
            Self::Operator(operator) => &operator.name,
            Self::NodeGroup(group) => &group.name,
            Self::TrustDomain(settings) => &settings.name,
        }
    }

    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.kind(), self.name().clone())
    }

    /// The document as JSON, which is YAML too: [`parse_files`] reads the same document again.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let spec = match self {
            Self::WorkloadIdentity(identity) => identity.to_json(),
            Self::Service(service) => service.to_json(),
            Self::Policy(policy) => policy.to_json(),
            Self::Operator(operator) => operator.to_json(),
            Self::NodeGroup(group) => group.to_json(),
            Self::TrustDomain(settings) => settings.to_json(),
        };
        json!({
            "apiVersion": API_VERSION,
            "kind": self.kind().as_str(),
            "metadata": { "name": self.name().as_str() },
            "spec": spec,
        })
    }
}
