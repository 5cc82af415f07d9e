//! SPIFFE IDs within documents, and templates of them.

use std::fmt;

use tidelock_attest::{FillError, MAX_VALUE_BYTES, Template, Variable};
use tidelock_ca::RESERVED_SEGMENT;
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain};

use super::{PathPrefix, Placed, Reason};
use crate::name::{MAX_NAME_BYTES, Name};
use crate::yaml::{Cursor, Reader};

/// Which SPIFFE ID a workload has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WorkloadId {
    /// The same on every node.
    Fixed(SpiffeIdBuf),
    /// One for each node, or for each process.
    Template(IdTemplate),
}

/// A template of SPIFFE IDs of one trust domain, of which every node or process makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdTemplate {
    written: Template,
    /// The same, with our trust domain.
    ours: Template,
}

impl WorkloadId {
    /// The SPIFFE ID on this node. `None` if the node's name does not make one that a workload may have, or if each process has
    /// its own ([`WorkloadId::is_of_process`]).
    #[must_use]
    pub fn on<'a>(&self, node: impl Into<Placed<'a>>) -> Option<SpiffeIdBuf> {
        match self {
            Self::Fixed(id) => Some(id.clone()),
            Self::Template(template) => of_workload(&template.on(node.into())?.id().ok()?),
        }
    }

    /// The SPIFFE ID that a process of this node asks for, if it may have it: the one of the node, or one that comes of the
    /// template, with this node's name in it.
    #[must_use]
    pub fn admitted<'a>(&self, node: impl Into<Placed<'a>>, asked: &str) -> Option<SpiffeIdBuf> {
        let node = node.into();
        match self {
            Self::Template(template) if self.is_of_process() => {
                let admits = template.on(node)?.admits(asked);
                admits.then(|| of_workload(asked)).flatten()
            }
            _ => self.on(node).filter(|own| own.as_str() == asked),
        }
    }

    /// What the node is told: its SPIFFE ID, or a template of those of its processes. `None`: no workload may have it.
    #[must_use]
    pub fn for_node<'a>(&self, node: impl Into<Placed<'a>>) -> Option<String> {
        self.told(|template| template.on(node.into()))
    }

    /// What every node is told. `None`: that differs from node to node, or no workload may have it.
    pub(crate) fn for_every_node(&self) -> Option<String> {
        if self.has(Variable::NodeName) || self.has(Variable::NodeGroup) {
            return None;
        }
        self.told(|template| template.ours.fill(|_| None).ok())
    }

    fn told(&self, fill: impl FnOnce(&IdTemplate) -> Option<Template>) -> Option<String> {
        let template = match self {
            Self::Fixed(id) => return Some(id.as_str().to_owned()),
            Self::Template(template) => fill(template)?,
        };
        if self.is_of_process() {
            return Some(template.to_string());
        }
        of_workload(&template.id().ok()?).map(|id| id.as_str().to_owned())
    }

    /// Has each process its own, so that only its node can say which?
    #[must_use]
    pub fn is_of_process(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Template(template) => template.ours.variables().any(Variable::is_of_process),
        }
    }

    /// Of which IDs it may be, in our trust domain. `None`: too long for a template.
    pub(crate) fn as_template(&self) -> Option<Template> {
        match self {
            Self::Fixed(id) => Template::parse(id.as_str()).ok(),
            Self::Template(template) => Some(template.ours.clone()),
        }
    }

    /// Does every ID that it may be lie at or below this path?
    pub(crate) fn is_under(&self, prefix: &PathPrefix) -> bool {
        match self {
            Self::Fixed(id) => prefix.contains(id.path()),
            Self::Template(template) => {
                let ours = template.ours.to_string();
                let path = ours
                    .strip_prefix("spiffe://")
                    .and_then(|rest| rest.find('/').map(|at| &rest[at..]));
                path.is_some_and(|path| prefix.contains(path))
            }
        }
    }

    /// Has it this variable?
    pub(crate) fn has(&self, variable: Variable) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Template(template) => template.ours.variables().any(|of| of == variable),
        }
    }
}

impl IdTemplate {
    /// What the control plane knows is filled in; `None` too where that is not all that it has to know.
    fn on(&self, placed: Placed<'_>) -> Option<Template> {
        let filled = self.ours.fill(|variable| match variable {
            Variable::NodeName => Some(placed.node.to_string()),
            Variable::NodeGroup => placed.group.map(Name::to_string),
            _ => None,
        });
        let known = |template: &Template| template.variables().all(Variable::is_of_process);
        filled.ok().filter(known)
    }
}

/// An ID that a workload may have.
fn of_workload(id: &str) -> Option<SpiffeIdBuf> {
    let id = SpiffeIdBuf::parse(id).ok()?;
    (!id.path().is_empty() && !is_reserved(&id)).then_some(id)
}

impl From<SpiffeIdBuf> for WorkloadId {
    fn from(id: SpiffeIdBuf) -> Self {
        Self::Fixed(id)
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(id) => f.write_str(id.as_str()),
            Self::Template(template) => template.written.fmt(f),
        }
    }
}

/// Reads the SPIFFE ID of a workload of our trust domain, or a template of such.
pub(crate) fn workload_id_or_template(
    reader: &mut Reader<'_>,
    at: &Cursor<'_>,
    ours: TrustDomain<'_>,
) -> Option<WorkloadId> {
    let text = &reader.text(at)?.text;
    let read = match Template::is_meant(text) {
        true => template(text, ours).map(WorkloadId::Template),
        false => check(text, ours).map(WorkloadId::Fixed),
    };
    read.map_err(|reason| reader.refuse(at, reason)).ok()
}

/// Reads the SPIFFE ID of a workload of our trust domain.
pub(crate) fn workload_id(
    reader: &mut Reader<'_>,
    at: &Cursor<'_>,
    ours: TrustDomain<'_>,
) -> Option<SpiffeIdBuf> {
    let text = &reader.text(at)?.text;
    check(text, ours)
        .map_err(|reason| reader.refuse(at, reason))
        .ok()
}

fn template(text: &str, ours: TrustDomain<'_>) -> Result<IdTemplate, Reason> {
    let owned = || text.to_owned();
    let written = Template::parse(text).map_err(|error| Reason::Template {
        text: owned(),
        error,
    })?;
    if written
        .trust_domain()
        .is_some_and(|domain| domain != ours.as_str())
    {
        return Err(Reason::ForeignTrustDomain {
            text: owned(),
            trust_domain: ours.as_str().to_owned(),
        });
    }
    let unfilled = |error| Reason::TemplateFill {
        text: owned(),
        error,
    };
    let domain = |variable| (variable == Variable::TrustDomain).then(|| ours.as_str().to_owned());
    let ours = written.fill(domain).map_err(unfilled)?;
    // Whatever a node's name and a process are, an ID has to come of it: the longest, then.
    let longest = ours.fill(longest).and_then(|longest| longest.id());
    let longest = longest.map_err(unfilled)?;
    let id = SpiffeIdBuf::parse(&longest).map_err(|_| unfilled(FillError::NoId))?;
    if is_reserved(&id) {
        return Err(Reason::ReservedPath { text: owned() });
    }
    Ok(IdTemplate { written, ours })
}

/// The longest value that a variable of a path can have.
fn longest(variable: Variable) -> Option<String> {
    const SERVICE: &str = ".service";
    let letters = |len| "a".repeat(len);
    match variable {
        Variable::NodeName | Variable::NodeGroup => Some(letters(MAX_NAME_BYTES)),
        Variable::Uid | Variable::Gid => Some((u32::MAX - 1).to_string()),
        Variable::Unit => Some(letters(MAX_VALUE_BYTES - SERVICE.len()) + SERVICE),
        Variable::ExeName | Variable::User => Some(letters(MAX_VALUE_BYTES)),
        Variable::TrustDomain => None,
    }
}

fn check(text: &str, ours: TrustDomain<'_>) -> Result<SpiffeIdBuf, Reason> {
    let owned = || text.to_owned();
    let id = SpiffeIdBuf::parse(text).map_err(|error| Reason::SpiffeId {
        text: owned(),
        error,
    })?;
    if id.trust_domain() != ours {
        return Err(Reason::ForeignTrustDomain {
            text: owned(),
            trust_domain: ours.as_str().to_owned(),
        });
    }
    if id.path().is_empty() {
        return Err(Reason::NoPath { text: owned() });
    }
    if is_reserved(&id) {
        return Err(Reason::ReservedPath { text: owned() });
    }
    Ok(id)
}

/// Without regard to case, as the authority does: nothing may even look like ours.
fn is_reserved(id: &SpiffeIdBuf) -> bool {
    let first = id.path().split('/').nth(1).unwrap_or_default();
    first.eq_ignore_ascii_case(RESERVED_SEGMENT)
}
