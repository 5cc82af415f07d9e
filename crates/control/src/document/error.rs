//! What can be wrong with documents, and where.

use std::fmt;

use tidelock_attest::{FillError, SelectorError, SelectorsError, TemplateError};
use tidelock_spiffe_core::SpiffeIdError;

use super::address::AddressError;
use super::conflict::{NotPermitted, Overlap, Place};
use super::told::{AndAlso, Listed};
use super::{Kind, ModeError, PrefixError, Role, TlsError};
use crate::duration::DurationError;
use crate::name::{Name, NameError};
use crate::yaml::{Pos, SyntaxError};

/// One error in one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentError {
    /// The file's name as the user gave it.
    pub file: String,
    /// Where in the file, if that is known.
    pub pos: Option<Pos>,
    /// The field concerned, for example `spec.selectors[0]`; empty if it concerns the document as a whole.
    pub field: String,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(pos) = self.pos {
            write!(f, ":{pos}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Not YAML that we read.
    #[error(transparent)]
    Syntax(SyntaxError),
    /// Nothing in the whole request.
    #[error("there is no document in it")]
    NoDocument,
    /// A field that the document has to have.
    #[error("is missing")]
    Missing,
    /// A field that no such document has.
    #[error("is not a known field; known are {}", Listed(known))]
    UnknownField {
        /// Those that are known.
        known: &'static [&'static str],
    },
    /// Another shape than the field has.
    #[error("has to be {expected}, but is {found}")]
    WrongShape {
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A plain scalar that YAML reads as a number or truth value.
    #[error("has to be a string: write it in quotes, \"{text}\"")]
    NotText {
        /// As written.
        text: String,
    },
    /// A list without items.
    #[error("is an empty list; at least one item is needed")]
    EmptyList,
    /// The same item twice in one list.
    #[error("`{item}` is named twice")]
    RepeatedItem {
        /// The item.
        item: String,
    },
    /// Another version than ours.
    #[error("is `{found}`; this control plane knows `{}`", super::API_VERSION)]
    ApiVersion {
        /// As written.
        found: String,
    },
    /// No such kind.
    #[error(
        "is `{found}`; known kinds are WorkloadIdentity, Service, Policy, Operator, NodeGroup and TrustDomain"
    )]
    UnknownKind {
        /// As written.
        found: String,
    },
    /// A bad name.
    #[error("{0}")]
    Name(NameError),
    /// Two documents of the same kind and name in one apply.
    #[error("{kind} `{name}` is also given at {other}")]
    Duplicate {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Where else.
        other: Place,
    },
    /// No SPIFFE ID.
    #[error("`{text}` is not a SPIFFE ID: {error}")]
    SpiffeId {
        /// As written.
        text: String,
        /// Why not.
        error: SpiffeIdError,
    },
    /// No template of SPIFFE IDs.
    #[error("`{text}` is not a template of SPIFFE IDs: {error}")]
    Template {
        /// As written.
        text: String,
        /// Why not.
        error: TemplateError,
    },
    /// A template that not every node can make a SPIFFE ID of.
    #[error("`{text}` does not give every node a SPIFFE ID: {error}")]
    TemplateFill {
        /// As written.
        text: String,
        /// Why not.
        error: FillError,
    },
    /// A template with the name of a file that anybody could give it.
    #[error(
        "`{text}`: for `{{{{exe.name}}}}` every way to fit has to name a path: a file that is told by its content can be given \
         any name"
    )]
    ExeName {
        /// As written.
        text: String,
    },
    /// A template with the group of a node, where it is not said which groups.
    #[error(
        "`{text}`: `{{{{node.group}}}}` is the one of `nodeGroups` that a node is in: say which, and no `nodes` beside them"
    )]
    GroupName {
        /// As written.
        text: String,
    },
    /// An identity that names a group which is not there.
    #[error(
        "WorkloadIdentity `{identity}` is for NodeGroup `{group}`, and there is none of that name; apply one, or leave it out"
    )]
    UnknownGroup {
        /// The group.
        group: Name,
        /// The identity.
        identity: Name,
    },
    /// A template that would give a node two SPIFFE IDs.
    #[error(
        "WorkloadIdentity `{identity}` has `{{{{node.group}}}}` in its SPIFFE ID, and node `{node}` is in two of its groups, `{}` and \
         `{}`: a process has one identity, so name groups that share no node", groups[0], groups[1]
    )]
    GroupsShared {
        /// The identity.
        identity: Name,
        /// A node that is in both.
        node: Name,
        /// The groups.
        groups: Box<[Name; 2]>,
    },
    /// Two identities of which one ID could come, and which are not the same.
    #[error(
        "an ID could come of `{text}` and of `{other_text}`, WorkloadIdentity `{other_name}` ({other})"
    )]
    Ambiguous {
        /// As written.
        text: String,
        /// As the other is written.
        other_text: String,
        /// Whose that is.
        other_name: Name,
        /// Where that stands.
        other: Place,
    },
    /// A SPIFFE ID without a path cannot be a workload's.
    #[error("`{text}` has no path; a workload's SPIFFE ID needs one")]
    NoPath {
        /// As written.
        text: String,
    },
    /// Another trust domain's ID.
    #[error("`{text}` is not in the trust domain `{trust_domain}`")]
    ForeignTrustDomain {
        /// As written.
        text: String,
        /// Ours.
        trust_domain: String,
    },
    /// A document about another trust domain.
    #[error(
        "is `{name}`; this control plane's own trust domain is `{ours}`, and it knows no settings of others: federation is not there yet"
    )]
    OtherTrustDomain {
        /// As written.
        name: String,
        /// Ours.
        ours: String,
    },
    /// A life that an identity says, and the trust domain does not allow.
    #[error(
        "WorkloadIdentity `{identity}` says `{field}: {secs}s`{}, and the TrustDomain allows {max_secs} s at most", AndAlso(*others)
    )]
    OverMaximum {
        /// The identity.
        identity: Name,
        /// Its field.
        field: &'static str,
        /// What it says.
        secs: u32,
        /// The most allowed.
        max_secs: u32,
        /// How many identities more say too much.
        others: usize,
    },
    /// Only a warning: lives that may have been written by us.
    #[error(
        "WorkloadIdentity `{identity}`{} has a life of {secs} s of its own and does not follow the default; an earlier version wrote that where a \
         file said nothing: where yours says nothing, apply it again", AndAlso(*others)
    )]
    MaybeDefault {
        /// The first of them.
        identity: Name,
        /// What they say.
        secs: u32,
        /// How many more there are.
        others: usize,
    },
    /// An ID below `/tidelock/`.
    #[error(
        "`{text}`: IDs below `{}` are Tidelock's own",
        tidelock_proto::RESERVED_PATH_PREFIX
    )]
    ReservedPath {
        /// As written.
        text: String,
    },
    /// No selector.
    #[error("`{text}`: {error}")]
    Selector {
        /// As written.
        text: String,
        /// Why not.
        error: SelectorError,
    },
    /// A mapping where a selector could stand, with no operator or several.
    #[error("has to have just one of `allOf`, `anyOf` and `not`")]
    OneOperator,
    /// Two selectors that no process fits together.
    #[error("no process can fit `{text}` as it is asked for here and `{other}` as at line {line}")]
    Contradiction {
        /// As written.
        text: String,
        /// The one that it contradicts.
        other: String,
        /// Where that stands.
        line: u32,
    },
    /// Selectors that do not do together.
    #[error("{0}")]
    Selectors(SelectorsError),
    /// No span of time, or one out of bounds.
    #[error("`{text}` {error}")]
    Duration {
        /// As written.
        text: String,
        /// Why not.
        error: DurationError,
    },
    /// No address.
    #[error("`{text}` {error}")]
    Address {
        /// As written.
        text: String,
        /// Why not.
        error: AddressError,
    },
    /// Not a set of network namespaces that exists.
    #[error("is `{found}`; known is `host`")]
    Netns {
        /// As written.
        found: String,
    },
    /// Nothing that flows can go through.
    #[error("is `{found}`; known are `identity`, `forwardClientCert` and `authorizeRequests`")]
    Transform {
        /// As written.
        found: String,
    },
    /// What a Service says of connections in plain.
    #[error("{0}")]
    ServiceMode(ModeError),
    /// A server outside that cannot be told, or vouched for.
    #[error("{0}")]
    Tls(TlsError),
    /// Nothing that policies can be for.
    #[error("is `{found}`; known are `enforce` and `observe`")]
    Mode {
        /// As written.
        found: String,
    },
    /// Nothing that operators can be.
    #[error("is `{found}`; known are `viewer`, `editor`, `revoker`, `issuer` and `admin`")]
    Role {
        /// As written.
        found: String,
    },
    /// No prefix of paths.
    #[error("`{text}` {error}")]
    Prefix {
        /// As written.
        text: String,
        /// Why not.
        error: PrefixError,
    },
    /// A role that knows no paths, with prefixes.
    #[error(
        "the role `{role}` cannot be bound to paths, so that one of the prefixes has to be `/`: an admin can give itself every prefix"
    )]
    Unscoped {
        /// The role.
        role: Role,
    },
    /// What the caller may not do.
    #[error("{0}")]
    NotPermitted(Box<NotPermitted>),
    /// Nobody could make operators any more but at the control plane's machine.
    #[error(
        "Operator `{name}` is the last one with the role `admin`: make another one first, or ask for this at the \
         administrators' socket"
    )]
    LastAdmin {
        /// The operator.
        name: Name,
    },
    /// More than there may be.
    #[error("{found} {what}; at most {max} are possible")]
    Bound {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two Services claim one address.
    #[error("{0}")]
    Overlap(Box<Overlap>),
    /// A policy that does not compile.
    #[error("{message}")]
    Policy {
        /// The compiler's message.
        message: String,
    },
    /// More than a node's kernel takes.
    #[error("{found} {what}; a node takes {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// How many there may be.
        max: usize,
    },
}
