//! Owned requests, lent as requests are asked.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::build::Expr;
use crate::request::{Context, Entity, EntityRef, Request};
use crate::value::{Attribute, Value};

/// An entity that owns what is known of it. Values are literals.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OwnedEntity {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) ancestors: Vec<(String, String)>,
    pub(crate) attributes: Vec<(String, Expr)>,
    pub(crate) tags: Vec<(String, Expr)>,
}

/// A request that owns all it tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OwnedRequest {
    pub(crate) principal: OwnedEntity,
    pub(crate) action: String,
    pub(crate) resource: OwnedEntity,
    pub(crate) context: Vec<(String, Expr)>,
    pub(crate) entities: Vec<OwnedEntity>,
}

impl OwnedRequest {
    /// Lends the request.
    pub(crate) fn with<R>(&self, ask: impl FnOnce(&Request<'_>) -> R) -> R {
        let lent = Lent::default();
        let entities: Vec<Entity<'_>> = self
            .entities
            .iter()
            .map(|entity| lent.entity(entity))
            .collect();
        let context = Context::new(lent.attributes(&self.context));
        ask(&Request {
            principal: lent.entity(&self.principal),
            action: &self.action,
            resource: lent.entity(&self.resource),
            context: context.with_entities(&entities),
        })
    }
}

/// Where what is lent lies while it is: a list that only grows.
#[derive(Default)]
struct Lent<'a> {
    values: Vec<Value<'a>>,
    attributes: Vec<Attribute<'a>>,
    names: Vec<EntityRef<'a>>,
    next: OnceCell<Box<Lent<'a>>>,
}

impl<'a> Lent<'a> {
    fn keep(&'a self, more: Self) -> &'a Self {
        let mut last = self;
        while let Some(next) = last.next.get() {
            last = next;
        }
        last.next.get_or_init(|| Box::new(more))
    }

    fn entity(&'a self, entity: &'a OwnedEntity) -> Entity<'a> {
        let names = entity.ancestors.iter();
        let names = names.map(|(kind, id)| EntityRef::new(kind, id)).collect();
        let more = Self {
            names,
            ..Self::default()
        };
        Entity::new(&entity.kind, &entity.id, &self.keep(more).names)
            .with_attributes(self.attributes(&entity.attributes))
            .with_tags(self.attributes(&entity.tags))
    }

    fn attributes(&'a self, named: &'a [(String, Expr)]) -> &'a [Attribute<'a>] {
        let attributes = named
            .iter()
            .map(|(name, value)| Attribute::new(name, self.value(value)))
            .collect();
        let more = Self {
            attributes,
            ..Self::default()
        };
        &self.keep(more).attributes
    }

    /// The value of a literal; what is none stands for `false`, and nothing makes such.
    fn value(&'a self, literal: &'a Expr) -> Value<'a> {
        match literal {
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Long(value) => Value::Long(*value),
            Expr::Str(value) => Value::Str(value),
            Expr::Entity(kind, id) => Value::Entity(EntityRef::new(kind, id)),
            Expr::Ip(ip) => Value::Ip(*ip),
            Expr::Decimal(value) => Value::Decimal(*value),
            Expr::Datetime(value) => Value::Datetime(*value),
            Expr::Duration(value) => Value::Duration(*value),
            Expr::Record(fields) => Value::Record(self.attributes(fields)),
            Expr::Set(members) => {
                let values = members.iter().map(|member| self.value(member)).collect();
                let more = Self {
                    values,
                    ..Self::default()
                };
                Value::Set(&self.keep(more).values)
            }
            _ => Value::Bool(false),
        }
    }
}
