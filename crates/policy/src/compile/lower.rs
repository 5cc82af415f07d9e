//! Cedar's policies into rules.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::pst::{self, Clause, EntityOrSlot, SlotId};
use cedar_policy::pst::{ActionConstraint, PrincipalConstraint, ResourceConstraint};

use super::actions::ActionNames;
use super::error::Unsupported;
use super::expression::Lowering;
use super::source::Chunk;
use crate::build::{Actions, Effect, Expr, Rule, Scope};
use crate::request::EntityRef;

/// What a template's slots stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slots<'s> {
    pub(super) principal: Option<EntityRef<'s>>,
    pub(super) resource: Option<EntityRef<'s>>,
}

/// A rule that owns its names.
#[derive(Debug)]
pub(super) struct Lowered {
    effect: Effect,
    principal: OwnedScope,
    actions: Option<Vec<String>>,
    resource: OwnedScope,
    condition: Option<Expr>,
}

#[derive(Debug)]
enum OwnedScope {
    Any,
    Is(String),
    Eq(String, String),
    In(String, String),
    IsIn(String, String, String),
}

impl OwnedScope {
    fn lend(&self) -> Scope<'_> {
        match self {
            Self::Any => Scope::Any,
            Self::Is(kind) => Scope::Is(kind),
            Self::Eq(kind, id) => Scope::Eq(EntityRef::new(kind, id)),
            Self::In(kind, id) => Scope::In(EntityRef::new(kind, id)),
            Self::IsIn(is, kind, id) => Scope::IsIn(is, EntityRef::new(kind, id)),
        }
    }

    /// Of what is in an entity, that of a kind.
    fn of_kind(self, is: String) -> Self {
        match self {
            Self::In(kind, id) => Self::IsIn(is, kind, id),
            other => other,
        }
    }
}

impl Lowered {
    /// What it says.
    pub(super) fn effect(&self) -> Effect {
        self.effect
    }

    /// Lends the rule, under a name.
    pub(super) fn with_rule<R>(&self, name: &str, then: impl FnOnce(&Rule<'_>) -> R) -> R {
        let actions: Option<Vec<&str>> = self
            .actions
            .as_ref()
            .map(|actions| actions.iter().map(String::as_str).collect());
        then(&Rule {
            name,
            effect: self.effect,
            principal: self.principal.lend(),
            actions: actions.as_deref().map_or(Actions::Any, Actions::OneOf),
            resource: self.resource.lend(),
            condition: self.condition.as_ref(),
        })
    }
}

/// Something refused, and the byte of the source where it stands.
pub(super) type Refusal = (usize, Unsupported);

/// Lowers one policy, or a link of a template, or names everything in it that cannot be.
pub(super) fn lower(
    body: &pst::Template,
    slots: Slots<'_>,
    names: &ActionNames,
    chunk: &Chunk<'_>,
) -> Result<Lowered, Vec<Refusal>> {
    let mut lowering = Lowering::new(chunk, names);
    let mut scope = |entity: &EntityOrSlot, scope: fn(String, String) -> OwnedScope| {
        let slot = match entity {
            EntityOrSlot::Entity(entity) => {
                return scope(entity.ty.to_string(), entity.eid.to_string());
            }
            EntityOrSlot::Slot(SlotId::Principal) => slots.principal,
            EntityOrSlot::Slot(SlotId::Resource) => slots.resource,
            EntityOrSlot::Slot(_) => None,
        };
        match slot {
            Some(EntityRef { kind, id }) => scope(kind.to_string(), id.to_string()),
            None => {
                lowering.refuse(Unsupported::Slot, "?");
                OwnedScope::Any
            }
        }
    };
    let principal = match &body.principal {
        PrincipalConstraint::Any => OwnedScope::Any,
        PrincipalConstraint::Is(kind) => OwnedScope::Is(kind.to_string()),
        PrincipalConstraint::Eq(entity) => scope(entity, OwnedScope::Eq),
        PrincipalConstraint::In(entity) => scope(entity, OwnedScope::In),
        PrincipalConstraint::IsIn(kind, entity) => {
            scope(entity, OwnedScope::In).of_kind(kind.to_string())
        }
    };
    let resource = match &body.resource {
        ResourceConstraint::Any => OwnedScope::Any,
        ResourceConstraint::Is(kind) => OwnedScope::Is(kind.to_string()),
        ResourceConstraint::Eq(entity) => scope(entity, OwnedScope::Eq),
        ResourceConstraint::In(entity) => scope(entity, OwnedScope::In),
        ResourceConstraint::IsIn(kind, entity) => {
            scope(entity, OwnedScope::In).of_kind(kind.to_string())
        }
    };
    let actions = match &body.action {
        ActionConstraint::Any => None,
        ActionConstraint::Eq(action) => Some(Vec::from([names.exact(action)])),
        ActionConstraint::In(actions) => Some(names.within(actions)),
    };
    let clauses: Vec<Expr> = body
        .clauses()
        .iter()
        .map(|clause| match clause {
            Clause::When(expr) => lowering.expr(expr),
            Clause::Unless(expr) => Expr::Not(Box::new(lowering.expr(expr))),
        })
        .collect();
    let condition = match <[Expr; 1]>::try_from(clauses) {
        Ok([only]) => Some(only),
        Err(none) if none.is_empty() => None,
        Err(several) => Some(Expr::All(several)),
    };
    let effect = match body.effect {
        pst::Effect::Permit => Effect::Permit,
        pst::Effect::Forbid => Effect::Forbid,
    };
    match lowering.into_refusals() {
        none if none.is_empty() => Ok(Lowered {
            effect,
            principal,
            actions,
            resource,
            condition,
        }),
        refusals => Err(refusals),
    }
}
