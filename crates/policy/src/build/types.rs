//! What is known of the types of attributes, by their names.

use alloc::collections::BTreeSet;
use alloc::string::String;

use super::{Binary, Expr};

/// Which attributes may hold what, by their names alone: if two types have an attribute of one name, both count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Types {
    /// Attributes that may hold a set or a record.
    pub(crate) nested: BTreeSet<String>,
    /// Attributes that may hold an entity.
    pub(crate) entities: BTreeSet<String>,
    /// Whether tags may hold a set or a record.
    pub(crate) nested_tags: bool,
}

/// Whether the value may be a set or a record. Without types any attribute may.
pub(super) fn may_nest(types: Option<&Types>, expr: &Expr) -> bool {
    match expr {
        Expr::Set(_) | Expr::Record(_) | Expr::Context => true,
        Expr::Attribute(name) => types.is_none_or(|types| types.nested.contains(name)),
        Expr::Get(of, name) => {
            !declared(of) || types.is_none_or(|types| types.nested.contains(name))
        }
        Expr::If(_, a, b) => may_nest(types, a) || may_nest(types, b),
        Expr::Binary(Binary::GetTag, ..) => types.is_none_or(|types| types.nested_tags),
        _ => false,
    }
}

/// Whether the value, if it has attributes, may be an entity.
pub(super) fn may_be_entity(types: Option<&Types>, expr: &Expr) -> bool {
    match expr {
        Expr::Set(_) | Expr::Record(_) | Expr::Context => false,
        Expr::Attribute(name) => types.is_none_or(|types| types.entities.contains(name)),
        Expr::Get(of, name) => {
            !declared(of) || types.is_none_or(|types| types.entities.contains(name))
        }
        _ => true,
    }
}

/// Whether the attributes of this are those that types declare, and not those of a record written out in the condition.
fn declared(expr: &Expr) -> bool {
    match expr {
        Expr::Principal
        | Expr::Resource
        | Expr::Context
        | Expr::Entity(..)
        | Expr::Attribute(_)
        | Expr::Binary(Binary::GetTag, ..) => true,
        Expr::Get(of, _) => declared(of),
        _ => false,
    }
}
