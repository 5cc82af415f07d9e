//! Making images without Cedar: rules in, image out.

mod choose;
mod condition;
mod constants;
mod encode;
mod error;
mod lower;
mod operation;
mod table;
mod types;

pub use condition::{Binary, Expr, Unary};
pub use error::BuildError;
#[cfg(feature = "compile")]
pub(crate) use types::Types;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::bounds::MAX_STRING_BYTES;
use crate::image::layout::{EFFECT_FORBID, EFFECT_PERMIT};
use crate::image::nodes::Class;
use crate::request::EntityRef;
use encode::{Filed, Pool};

/// What a matching rule says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// The action may be done, unless a `forbid` matches.
    Permit,
    /// The action may not be done.
    Forbid,
}

/// Which principals or resources a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope<'s> {
    /// All.
    Any,
    /// Those of a kind.
    Is(&'s str),
    /// One.
    Eq(EntityRef<'s>),
    /// One, and all it is an ancestor of.
    In(EntityRef<'s>),
    /// Those of a kind among one and all it is an ancestor of.
    IsIn(&'s str, EntityRef<'s>),
}

/// Which actions a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Actions<'s> {
    /// All, those no rule names included.
    Any,
    /// These.
    OneOf(&'s [&'s str]),
}

/// One rule of a policy image.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'s> {
    /// The name that decisions give.
    pub name: &'s str,
    /// What it says.
    pub effect: Effect,
    /// About whom.
    pub principal: Scope<'s>,
    /// Doing what.
    pub actions: Actions<'s>,
    /// To what.
    pub resource: Scope<'s>,
    /// When; `None` is always.
    pub condition: Option<&'s Expr>,
}

impl<'s> Rule<'s> {
    /// A permit of everything, to be narrowed.
    #[must_use]
    pub const fn permit(name: &'s str) -> Self {
        Self {
            name,
            effect: Effect::Permit,
            principal: Scope::Any,
            actions: Actions::Any,
            resource: Scope::Any,
            condition: None,
        }
    }

    /// A forbid of everything, to be narrowed.
    #[must_use]
    pub const fn forbid(name: &'s str) -> Self {
        Self {
            effect: Effect::Forbid,
            ..Self::permit(name)
        }
    }

    /// The rule about these principals only.
    #[must_use]
    pub const fn principal(self, principal: Scope<'s>) -> Self {
        Self { principal, ..self }
    }

    /// The rule about these actions only.
    #[must_use]
    pub const fn actions(self, actions: &'s [&'s str]) -> Self {
        Self {
            actions: Actions::OneOf(actions),
            ..self
        }
    }

    /// The rule about these resources only.
    #[must_use]
    pub const fn resource(self, resource: Scope<'s>) -> Self {
        Self { resource, ..self }
    }

    /// The rule under this condition only.
    #[must_use]
    pub const fn when(self, condition: &'s Expr) -> Self {
        Self {
            condition: Some(condition),
            ..self
        }
    }
}

/// Collects rules and makes an image of them. Equal rules in equal order make equal bytes.
#[derive(Debug, Default)]
pub struct ImageBuilder {
    pool: Pool,
    filed: Vec<Filed>,
    types: Option<types::Types>,
}

/// The name a scope is filed under.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Node {
    class: Class,
    kind: String,
    id: String,
}

impl ImageBuilder {
    /// No rules yet: an image of none denies everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No rules yet; the attributes of those to come are of these types.
    #[cfg(feature = "compile")]
    pub(crate) fn of(types: Types) -> Self {
        Self {
            types: Some(types),
            ..Self::default()
        }
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// If the rule passes a bound of the crate. The builder is then of no further use.
    pub fn push(&mut self, rule: &Rule<'_>) -> Result<(), BuildError> {
        let name = self.pool.string(rule.name)?;
        let actions = match rule.actions {
            Actions::Any => 0,
            Actions::OneOf(actions) => self.pool.actions(actions)?,
        };
        let kinds =
            [(rule.principal, true), (rule.resource, false)].map(
                |(scope, principal)| match scope {
                    Scope::IsIn(kind, _) => Some((kind, principal)),
                    _ => None,
                },
            );
        // Where a kind is tested before, a request without a port might not get as far as the port.
        let port = match kinds {
            [None, None] => rule.condition.and_then(Expr::first_port),
            _ => None,
        };
        let after_port = port.and_then(|_| rule.condition.and_then(Expr::after_port));
        let condition = match port {
            Some(_) => after_port.as_ref(),
            None => rule.condition,
        };
        let program = lower::program(&mut self.pool, self.types.as_ref(), kinds, condition)?;
        let effect = match rule.effect {
            Effect::Permit => EFFECT_PERMIT,
            Effect::Forbid => EFFECT_FORBID,
        };
        let (principal, resource) = (self.node(rule.principal)?, self.node(rule.resource)?);
        self.filed.push(Filed {
            principal,
            resource,
            port: port.map_or(0, |port| port.saturating_add(1)),
            name,
            program,
            actions,
            effect,
        });
        Ok(())
    }

    fn node(&mut self, scope: Scope<'_>) -> Result<Option<Node>, BuildError> {
        let (class, EntityRef { kind, id }) = match scope {
            Scope::Any => return Ok(None),
            Scope::Is(kind) => (Class::Is, EntityRef::new(kind, "")),
            Scope::Eq(entity) => (Class::Eq, entity),
            Scope::In(entity) | Scope::IsIn(_, entity) => (Class::In, entity),
        };
        self.pool.string(kind)?;
        self.pool.string(id)?;
        Ok(Some(Node {
            class,
            kind: kind.into(),
            id: id.into(),
        }))
    }

    /// Makes the image. [`Image::check`](crate::Image::check) accepts what this returns.
    ///
    /// # Errors
    /// If the rules together pass a bound of the crate: too many bytes, or a decision may cost too much.
    pub fn build(self) -> Result<Vec<u8>, BuildError> {
        encode::image(self.pool, self.filed)
    }
}

/// The number of a thing in its table, counted from one; 0 stands for none.
fn numbered<K: Ord>(table: &BTreeMap<K, u32>, key: Option<&K>) -> u32 {
    key.and_then(|key| table.get(key))
        .map_or(0, |at| at.saturating_add(1))
}

/// A string within its bound.
fn bounded(string: &[u8]) -> Result<u16, BuildError> {
    let too_long = BuildError::StringTooLong { len: string.len() };
    u16::try_from(string.len())
        .ok()
        .filter(|_| string.len() <= MAX_STRING_BYTES)
        .ok_or(too_long)
}
