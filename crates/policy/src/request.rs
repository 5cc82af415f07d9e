//! What is asked: who, what, on what, under which circumstances.

use crate::bounds::{MAX_ANCESTORS, MAX_ATTRIBUTES, MAX_ENTITIES, MAX_STRING_BYTES};
use crate::value::{Attribute, Value};

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

/// An entity: what it is `in`, and what is known of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entity<'a> {
    /// The Cedar entity type, such as `Workload`.
    pub kind: &'a str,
    /// The id within the kind.
    pub id: &'a str,
    /// All ancestors, not only the parents, in any order. The entity itself need not be among them.
    pub ancestors: &'a [EntityRef<'a>],
    /// Its attributes, at most [`MAX_ATTRIBUTES`]. Of two with one name the first counts.
    pub attributes: &'a [Attribute<'a>],
    /// Its tags, at most [`MAX_ATTRIBUTES`].
    pub tags: &'a [Attribute<'a>],
}

impl<'a> Entity<'a> {
    /// An entity with its ancestors, of which there may be [`MAX_ANCESTORS`].
    #[must_use]
    pub const fn new(kind: &'a str, id: &'a str, ancestors: &'a [EntityRef<'a>]) -> Self {
        Self {
            kind,
            id,
            ancestors,
            attributes: &[],
            tags: &[],
        }
    }

    /// The entity with these attributes.
    #[must_use]
    pub const fn with_attributes(self, attributes: &'a [Attribute<'a>]) -> Self {
        Self { attributes, ..self }
    }

    /// The entity with these tags.
    #[must_use]
    pub const fn with_tags(self, tags: &'a [Attribute<'a>]) -> Self {
        Self { tags, ..self }
    }

    /// The entity's own name.
    #[must_use]
    pub const fn name(&self) -> EntityRef<'a> {
        EntityRef::new(self.kind, self.id)
    }
}

/// The circumstances of a request: what Cedar calls `context`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Context<'a> {
    attributes: &'a [Attribute<'a>],
    entities: &'a [Entity<'a>],
}

impl<'a> Context<'a> {
    /// A context without attributes: a condition that reads one cannot be evaluated.
    pub const EMPTY: Self = Self::new(&[]);

    /// A context of these attributes, at most [`MAX_ATTRIBUTES`]. Of two with one name the first counts.
    #[must_use]
    pub const fn new(attributes: &'a [Attribute<'a>]) -> Self {
        Self {
            attributes,
            entities: &[],
        }
    }

    /// The context with further entities, at most [`MAX_ENTITIES`], to which attributes or policies may refer. The principal
    /// and the resource are known without being among them; an entity that is nowhere has no ancestors and no attributes.
    #[must_use]
    pub const fn with_entities(self, entities: &'a [Entity<'a>]) -> Self {
        Self { entities, ..self }
    }

    /// The further entities, as given.
    #[must_use]
    pub const fn entities(&self) -> &'a [Entity<'a>] {
        self.entities
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
    /// The context has more than [`MAX_ENTITIES`] further entities.
    TooManyEntities {
        /// How many it has.
        count: usize,
    },
    /// The context, or an entity, has more than [`MAX_ATTRIBUTES`] attributes or tags.
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
            Self::TooManyEntities { count } => {
                write!(f, "{count} entities, at most {MAX_ENTITIES} are allowed")
            }
            Self::TooManyAttributes { count } => {
                write!(
                    f,
                    "{count} attributes, at most {MAX_ATTRIBUTES} are allowed"
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
        let count = self.context.entities.len();
        if count > MAX_ENTITIES {
            return Err(Undecided::TooManyEntities { count });
        }
        self.context.entities.iter().try_for_each(Entity::bounded)?;
        attributes(self.context.attributes)
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
        })?;
        attributes(self.attributes)?;
        attributes(self.tags)
    }
}

/// What lies within sets and records is held to its bounds when a condition reads it.
fn attributes(attributes: &[Attribute<'_>]) -> Result<(), Undecided> {
    let count = attributes.len();
    if count > MAX_ATTRIBUTES {
        return Err(Undecided::TooManyAttributes { count });
    }
    attributes.iter().try_for_each(|attribute| {
        string(attribute.name)?;
        match attribute.value {
            Value::Str(value) => string(value),
            Value::Entity(EntityRef { kind, id }) => {
                string(kind)?;
                string(id)
            }
            _ => Ok(()),
        }
    })
}

fn string(s: &str) -> Result<(), Undecided> {
    match s.len() {
        len if len > MAX_STRING_BYTES => Err(Undecided::StringTooLong { len }),
        _ => Ok(()),
    }
}
