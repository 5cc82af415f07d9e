//! What is asked: who, what, on what, under which circumstances.

use crate::bounds::{MAX_ANCESTORS, MAX_CONTEXT_ATTRIBUTES, MAX_STRING_BYTES};

/// The name of an entity: a kind and an id within it, compared byte for byte.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntityRef<'a> {
    /// The Cedar entity type, such as `Workload`.
    pub kind: &'a str,
    /// The id within the kind, such as `spiffe://example.org/web`.
    pub id: &'a str,
}

impl<'a> EntityRef<'a> {
    /// Names an entity. Any two strings do; a decision refuses those longer than [`MAX_STRING_BYTES`].
    #[must_use]
    pub const fn new(kind: &'a str, id: &'a str) -> Self {
        Self { kind, id }
    }
}

/// An entity and everything it is `in`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entity<'a> {
    /// The Cedar entity type, such as `Workload`.
    pub kind: &'a str,
    /// The id within the kind.
    pub id: &'a str,
    /// All ancestors, not only the parents, in any order. The entity itself need not be among them.
    pub ancestors: &'a [EntityRef<'a>],
}

impl<'a> Entity<'a> {
    /// An entity with its ancestors, of which there may be [`MAX_ANCESTORS`].
    #[must_use]
    pub const fn new(kind: &'a str, id: &'a str, ancestors: &'a [EntityRef<'a>]) -> Self {
        Self {
            kind,
            id,
            ancestors,
        }
    }

    /// The entity's own name.
    #[must_use]
    pub const fn name(&self) -> EntityRef<'a> {
        EntityRef::new(self.kind, self.id)
    }
}

/// A value that a condition can compute with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Cedar's `Bool`.
    Bool(bool),
    /// Cedar's `Long`.
    Long(i64),
    /// Cedar's `String`.
    Str(&'a str),
}

/// One attribute of a context.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'a> {
    /// The attribute's name, such as `port`.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

impl<'a> Attribute<'a> {
    /// An attribute of any type.
    #[must_use]
    pub const fn new(name: &'a str, value: Value<'a>) -> Self {
        Self { name, value }
    }

    /// The attribute `port`, which every action of the published schema has.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Self::new("port", Value::Long(i64::from(port)))
    }
}

/// The circumstances of a request: what Cedar calls `context`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Context<'a> {
    attributes: &'a [Attribute<'a>],
}

impl<'a> Context<'a> {
    /// A context without attributes: a condition that reads one cannot be evaluated.
    pub const EMPTY: Self = Self { attributes: &[] };

    /// A context of these attributes, at most [`MAX_CONTEXT_ATTRIBUTES`]. Of two with one name the first counts.
    #[must_use]
    pub const fn new(attributes: &'a [Attribute<'a>]) -> Self {
        Self { attributes }
    }

    /// The attributes, as given.
    #[must_use]
    pub const fn attributes(&self) -> &'a [Attribute<'a>] {
        self.attributes
    }
}

/// One question. Its answer is a [`Decision`](crate::Decision).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Entity<'a>,
    /// The id of the action, such as `connect`.
    pub action: &'a str,
    /// What it is done to.
    pub resource: Entity<'a>,
    /// Under which circumstances.
    pub context: Context<'a>,
}

/// Why a request has no answer but no. It is a bound of this crate that was passed, never a matter of policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Undecided {
    /// An entity has more than [`MAX_ANCESTORS`] ancestors.
    TooManyAncestors {
        /// How many it has.
        count: usize,
    },
    /// The context has more than [`MAX_CONTEXT_ATTRIBUTES`] attributes.
    TooManyAttributes {
        /// How many it has.
        count: usize,
    },
    /// A string is longer than [`MAX_STRING_BYTES`].
    StringTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The image is not one that [`Image::check`](crate::Image::check) accepted.
    DamagedImage,
}

impl core::fmt::Display for Undecided {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyAncestors { count } => {
                write!(f, "{count} ancestors, at most {MAX_ANCESTORS} are allowed")
            }
            Self::TooManyAttributes { count } => {
                write!(
                    f,
                    "{count} context attributes, at most {MAX_CONTEXT_ATTRIBUTES} are allowed"
                )
            }
            Self::StringTooLong { len } => write!(
                f,
                "a string of {len} bytes, at most {MAX_STRING_BYTES} are allowed"
            ),
            Self::DamagedImage => f.write_str("the policy image is damaged"),
        }
    }
}

impl core::error::Error for Undecided {}

impl Request<'_> {
    /// Checks the request against the crate's bounds.
    pub(crate) fn bounded(&self) -> Result<(), Undecided> {
        self.principal.bounded()?;
        self.resource.bounded()?;
        string(self.action)?;
        let count = self.context.attributes.len();
        if count > MAX_CONTEXT_ATTRIBUTES {
            return Err(Undecided::TooManyAttributes { count });
        }
        self.context.attributes.iter().try_for_each(|attribute| {
            string(attribute.name)?;
            match attribute.value {
                Value::Str(value) => string(value),
                Value::Bool(_) | Value::Long(_) => Ok(()),
            }
        })
    }
}

impl Entity<'_> {
    fn bounded(&self) -> Result<(), Undecided> {
        let count = self.ancestors.len();
        if count > MAX_ANCESTORS {
            return Err(Undecided::TooManyAncestors { count });
        }
        string(self.kind)?;
        string(self.id)?;
        self.ancestors.iter().try_for_each(|ancestor| {
            string(ancestor.kind)?;
            string(ancestor.id)
        })
    }
}

fn string(s: &str) -> Result<(), Undecided> {
    match s.len() {
        len if len > MAX_STRING_BYTES => Err(Undecided::StringTooLong { len }),
        _ => Ok(()),
    }
}
