//! Random schemas, and policies, entities and requests that are valid by them, dense enough to meet one another. All is
//! drawn from a string of bytes: what proptest or a fuzzer shrinks stays a case.

mod draw;
mod expression;
mod policy;
mod schema;
mod world;

pub(crate) use draw::Draw;
pub(crate) use policy::{Linked, Written};
pub(crate) use schema::Schema;
pub(crate) use world::{Being, Datum, Question};

/// A schema, a policy set, a world of entities, and what is asked.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) schema: Schema,
    pub(crate) policies: Vec<Written>,
    pub(crate) links: Vec<Linked>,
    pub(crate) beings: Vec<Being>,
    pub(crate) questions: Vec<Question>,
}

/// Requests of a case.
const QUESTIONS: usize = 8;

impl Case {
    /// The case that the bytes mean. Any do.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let draw = &mut Draw::new(bytes);
        let schema = Schema::draw(draw);
        let beings = world::beings(draw, &schema);
        let questions = (0..QUESTIONS)
            .map(|_| Question::draw(draw, &schema))
            .collect();
        // Now and then more policies than a decision names.
        let count = match draw.below(24) {
            0 => 0,
            23 => 20 + draw.below(40),
            _ => 1 + draw.below(9),
        };
        let plain = count > 9;
        let policies: Vec<Written> = (0..count)
            .map(|at| Written::draw(draw, &schema, at, plain))
            .collect();
        let links = policy::links(draw, &policies);
        Self {
            schema,
            policies,
            links,
            beings,
            questions,
        }
    }

    /// The policies as Cedar text, but for those left out.
    pub(crate) fn text(&self, without: &dyn Fn(&str) -> bool) -> String {
        self.policies
            .iter()
            .filter(|policy| !without(&policy.name))
            .map(|policy| format!("@id(\"{}\")\n{}\n", policy.name, policy.text))
            .collect()
    }
}
