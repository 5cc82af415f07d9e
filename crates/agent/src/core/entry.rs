//! Entries: who matches, and which SPIFFE ID they get.

use tidelock_attest::{Need, Selectors, SelectorsError, Template, TemplateError, Variable};
use tidelock_proto::{ENTRY_VERSION, v1 as proto};
use tidelock_spiffe_core::{SpiffeIdBuf, SpiffeIdError};

use super::expression::{Unreadable, expression};
use super::prefilter::Rule;

/// Longest life of an X509-SVID that is sensible to renew by timer: a year, in seconds.
const MAX_TTL_SECS: u32 = 366 * 86_400;

/// What the authority made of a WorkloadIdentity.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name, unique.
    pub id: String,
    /// What has to match.
    pub selectors: Selectors,
    /// Life of its certificates.
    pub ttl_secs: u32,
    pub(super) spiffe_id: EntryId,
}

/// Which SPIFFE ID an entry gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum EntryId {
    /// The same to every process.
    Fixed(SpiffeIdBuf),
    /// To each process what comes of this; see [`super::filled`].
    Template(Template),
}

/// Why this agent cannot serve an entry.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// It has no name.
    #[error("it has no name")]
    NoName,
    /// It is of a kind that this agent does not know.
    #[error("it needs version {version} of entries, this agent knows {ENTRY_VERSION}: upgrade it")]
    Newer {
        /// The version that it needs.
        version: u32,
    },
    /// Its expression of selectors cannot be read.
    #[error("{0}")]
    Expression(Unreadable),
    /// Its selectors are wrong, or newer than this agent.
    #[error("{0}")]
    Selectors(SelectorsError),
    /// Its SPIFFE ID is none.
    #[error("`{id}`: {why}")]
    SpiffeId {
        /// The text given.
        id: String,
        /// What is wrong with it.
        why: SpiffeIdError,
    },
    /// Its template of SPIFFE IDs is none.
    #[error("`{id}`: {why}")]
    Template {
        /// The text given.
        id: String,
        /// What is wrong with it.
        why: TemplateError,
    },
    /// Its template has a variable that is not an agent's to fill in.
    #[error("`{id}`: this agent does not fill in `{variable}`")]
    Variable {
        /// The template.
        id: String,
        /// The variable.
        variable: Variable,
    },
    /// Its template has the name of a file that anybody could give it.
    #[error(
        "`{id}`: for `{}` every way to fit has to name a path",
        Variable::ExeName
    )]
    ExeName {
        /// The template.
        id: String,
    },
    /// A SPIFFE ID of a trust domain, not of a workload.
    #[error("`{id}` has no path")]
    Pathless {
        /// The SPIFFE ID.
        id: String,
    },
    /// A life that is no life.
    #[error("a life of {ttl_secs} s is out of range")]
    Ttl {
        /// The life given.
        ttl_secs: u32,
    },
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn parse(entry: proto::Entry) -> Result<Self, EntryProblem> {
        if entry.id.is_empty() {
            return Err(EntryProblem::NoName);
        }
        if entry.version > ENTRY_VERSION {
            let version = entry.version;
            return Err(EntryProblem::Newer { version });
        }
        let selectors = match (entry.expression, entry.selectors.as_slice()) {
            (None, texts) => Selectors::parse(texts),
            (Some(of), []) => Selectors::new(expression(of).map_err(EntryProblem::Expression)?),
            (Some(_), _) => return Err(EntryProblem::Expression(Unreadable::Twice)),
        };
        let selectors = selectors.map_err(EntryProblem::Selectors)?;
        let spiffe_id = match Template::is_meant(&entry.spiffe_id) {
            true => EntryId::Template(template(&entry.spiffe_id, &selectors)?),
            false => EntryId::Fixed(fixed(&entry.spiffe_id)?),
        };
        if !(1..=MAX_TTL_SECS).contains(&entry.x509_ttl_secs) {
            let ttl_secs = entry.x509_ttl_secs;
            return Err(EntryProblem::Ttl { ttl_secs });
        }
        Ok(Self {
            id: entry.id,
            selectors,
            ttl_secs: entry.x509_ttl_secs,
            spiffe_id,
        })
    }

    /// The SPIFFE ID of its certificates; `None`: it differs from process to process.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        match &self.spiffe_id {
            EntryId::Fixed(id) => Some(id.as_str()),
            EntryId::Template(_) => None,
        }
    }

    /// Does the SPIFFE ID of a process depend on this, beside what the kernel says?
    pub(super) fn fills_from(&self, need: Need) -> bool {
        match &self.spiffe_id {
            EntryId::Fixed(_) => false,
            EntryId::Template(template) => {
                let mut variables = template.variables();
                let looked_up = |of| matches!(of, Variable::Unit | Variable::User);
                need == Need::Surroundings && variables.any(looked_up)
            }
        }
    }

    /// Which processes the kernel has to ask about for this entry's sake.
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> {
        self.selectors.branches().map(|branch| Rule {
            exe: branch.path().map(str::to_owned),
            uid: branch.uid(),
        })
    }
}

fn fixed(id: &str) -> Result<SpiffeIdBuf, EntryProblem> {
    let id = SpiffeIdBuf::parse(id).map_err(|why| {
        let id = id.to_owned();
        EntryProblem::SpiffeId { id, why }
    })?;
    if id.path().is_empty() {
        let id = id.as_str().to_owned();
        return Err(EntryProblem::Pathless { id });
    }
    Ok(id)
}

/// What the control plane knows has to be filled in already.
fn template(text: &str, selectors: &Selectors) -> Result<Template, EntryProblem> {
    let id = || text.to_owned();
    let template = Template::parse(text).map_err(|why| EntryProblem::Template { id: id(), why })?;
    let unknown = |of: &Variable| !of.is_of_process();
    if let Some(variable) = template.variables().find(unknown) {
        return Err(EntryProblem::Variable { id: id(), variable });
    }
    let named = template.variables().any(|of| of == Variable::ExeName);
    if named && selectors.branches().any(|way| way.path().is_none()) {
        return Err(EntryProblem::ExeName { id: id() });
    }
    Ok(template)
}
