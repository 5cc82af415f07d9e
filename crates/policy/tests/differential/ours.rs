//! What an image answers.

use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Value};

use crate::generate::{Being, Case, Datum, Question};
use crate::oracle::Answer;

/// Lends what lives as long as the process: a test's strings outlive nothing.
fn keep<T: Clone>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

fn value(datum: &Datum) -> Value<'static> {
    match datum {
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Long(value) => Value::Long(*value),
        Datum::Str(value) => Value::Str(value),
        Datum::Entity(kind, id) => Value::Entity(EntityRef::new(kind, id)),
        Datum::Ip(_, ip) => Value::Ip(*ip),
        Datum::Decimal(_, value) => Value::Decimal(*value),
        Datum::Datetime(_, value) => Value::Datetime(*value),
        Datum::Duration(_, value) => Value::Duration(*value),
        Datum::Set(members) => Value::Set(keep(members.iter().map(value).collect())),
        Datum::Record(fields) => Value::Record(attributes(fields)),
    }
}

fn attributes(fields: &[(&'static str, Datum)]) -> &'static [Attribute<'static>] {
    keep(
        fields
            .iter()
            .map(|(name, datum)| Attribute::new(name, value(datum)))
            .collect(),
    )
}

fn entity(being: &Being) -> Entity<'static> {
    let ancestors = being
        .ancestors
        .iter()
        .map(|(kind, id)| EntityRef::new(kind, id));
    Entity::new(being.kind, being.id, keep(ancestors.collect()))
        .with_attributes(attributes(&being.attributes))
        .with_tags(attributes(&being.tags))
}

/// A case's questions as an image is asked them.
pub(crate) struct Asked {
    requests: Vec<Request<'static>>,
}

impl Asked {
    pub(crate) fn new(case: &Case) -> Self {
        let entities: Vec<_> = case.beings.iter().map(entity).collect();
        let entities = keep(entities);
        let find = |kind: &'static str, id: &'static str| {
            let found = entities.iter().find(|one| one.kind == kind && one.id == id);
            found.copied().unwrap_or(Entity::new(kind, id, &[]))
        };
        let request = |question: &Question| Request {
            principal: find("User", question.principal),
            action: question.action,
            resource: find("Doc", question.resource),
            context: Context::new(attributes(&question.context)).with_entities(entities),
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
