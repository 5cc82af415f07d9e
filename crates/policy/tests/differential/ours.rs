//! What an image answers.

use std::cell::OnceCell;

use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Value};

use crate::generate::{Being, Case, Datum, Question};
use crate::oracle::Answer;

/// Where what requests borrow lies: a list that only grows, and goes with the case.
#[derive(Default)]
pub(crate) struct Lent<'a> {
    values: Vec<Value<'a>>,
    attributes: Vec<Attribute<'a>>,
    names: Vec<EntityRef<'a>>,
    entities: Vec<Entity<'a>>,
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

    fn value(&'a self, datum: &'a Datum) -> Value<'a> {
        match datum {
            Datum::Bool(value) => Value::Bool(*value),
            Datum::Long(value) => Value::Long(*value),
            Datum::Str(value) => Value::Str(value),
            Datum::Entity(kind, id) => Value::Entity(EntityRef::new(kind, id)),
            Datum::Ip(_, ip) => Value::Ip(*ip),
            Datum::Decimal(_, value) => Value::Decimal(*value),
            Datum::Datetime(_, value) => Value::Datetime(*value),
            Datum::Duration(_, value) => Value::Duration(*value),
            Datum::Set(members) => {
                let values = members.iter().map(|member| self.value(member)).collect();
                let more = Self {
                    values,
                    ..Self::default()
                };
                Value::Set(&self.keep(more).values)
            }
            Datum::Record(fields) => Value::Record(self.attributes(fields)),
        }
    }

    fn attributes(&'a self, fields: &'a [(&'static str, Datum)]) -> &'a [Attribute<'a>] {
        let attributes = fields
            .iter()
            .map(|(name, datum)| Attribute::new(name, self.value(datum)))
            .collect();
        let more = Self {
            attributes,
            ..Self::default()
        };
        &self.keep(more).attributes
    }

    fn entity(&'a self, being: &'a Being) -> Entity<'a> {
        let names = being.ancestors.iter();
        let names = names.map(|(kind, id)| EntityRef::new(kind, id)).collect();
        let more = Self {
            names,
            ..Self::default()
        };
        Entity::new(being.kind, being.id, &self.keep(more).names)
            .with_attributes(self.attributes(&being.attributes))
            .with_tags(self.attributes(&being.tags))
    }
}

/// A case's questions as an image is asked them.
pub(crate) struct Asked<'a> {
    requests: Vec<Request<'a>>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(case: &'a Case, lent: &'a Lent<'a>) -> Self {
        let entities = case.beings.iter().map(|being| lent.entity(being)).collect();
        let more = Lent {
            entities,
            ..Lent::default()
        };
        let entities = &lent.keep(more).entities;
        let find = |kind: &'static str, id: &'static str| {
            let found = entities.iter().find(|one| one.kind == kind && one.id == id);
            found.copied().unwrap_or(Entity::new(kind, id, &[]))
        };
        let request = |question: &'a Question| Request {
            principal: find("User", question.principal),
            action: question.action,
            resource: find("Doc", question.resource),
            context: Context::new(lent.attributes(&question.context)).with_entities(entities),
        };
        Self {
            requests: case.questions.iter().map(request).collect(),
        }
    }

    /// The answer to a question, and how many policies determined it. A checked image is held to its cost.
    pub(crate) fn ask(&self, image: &Image<'_>, question: usize, checked: bool) -> (Answer, usize) {
        let (decision, steps) = image.decide_counted(&self.requests[question]);
        assert!(
            !checked || steps <= u64::from(image.cost()),
            "{steps} steps, proven {}",
            image.cost()
        );
        assert_eq!(decision.allow(), decision.outcome() == Outcome::Permitted);
        let answer = Answer {
            outcome: decision.outcome(),
            determining: decision.policies().map(String::from).collect(),
            errors: usize::try_from(decision.errors()).unwrap(),
        };
        (answer, usize::try_from(decision.policy_count()).unwrap())
    }
}
