//! What `cedar-policy` answers, in our terms.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Effect, Entities, EntityId, EntityTypeName,
    EntityUid, PolicyId, PolicySet, RestrictedExpression, Schema, SlotId,
};
use tidelock_policy::Outcome;

use crate::generate::{Case, Datum, Question};

/// What either side answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) determining: BTreeSet<String>,
    pub(crate) errors: usize,
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).unwrap(), EntityId::new(id))
}

fn value(datum: &Datum) -> RestrictedExpression {
    match datum {
        Datum::Bool(value) => RestrictedExpression::new_bool(*value),
        Datum::Long(value) => RestrictedExpression::new_long(*value),
        Datum::Str(value) => RestrictedExpression::new_string((*value).into()),
        Datum::Entity(kind, id) => RestrictedExpression::new_entity_uid(uid(kind, id)),
        Datum::Ip(text, _) => RestrictedExpression::new_ip(text),
        Datum::Decimal(text, _) => RestrictedExpression::new_decimal(text),
        Datum::Datetime(text, _) => RestrictedExpression::new_datetime(text),
        Datum::Duration(text, _) => RestrictedExpression::new_duration(text),
        Datum::Set(members) => RestrictedExpression::new_set(members.iter().map(value)),
        Datum::Record(fields) => RestrictedExpression::new_record(named(fields)).unwrap(),
    }
}

fn named(fields: &[(&'static str, Datum)]) -> impl Iterator<Item = (String, RestrictedExpression)> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, datum)| ((*name).to_string(), value(datum)))
        .collect();
    fields.into_iter()
}

/// A case as Cedar holds it.
pub(crate) struct Oracle {
    policies: PolicySet,
    /// Our names of Cedar's policies.
    names: BTreeMap<PolicyId, String>,
    entities: Entities,
    authorizer: Authorizer,
}

impl Oracle {
    /// The case's policies as given, of which some may have been left out, and its links.
    pub(crate) fn new(case: &Case, schema: &Schema, text: &str) -> Self {
        let mut policies = PolicySet::from_str(text).unwrap();
        let mut names: BTreeMap<PolicyId, String> = policies
            .policies()
            .map(|policy| (policy.id().clone(), policy.annotation("id").unwrap().into()))
            .collect();
        let templates: BTreeMap<String, PolicyId> = policies
            .templates()
            .map(|template| {
                let name = template.annotation("id").unwrap().to_string();
                (name, template.id().clone())
            })
            .collect();
        for link in &case.links {
            let Some(template) = templates.get(&link.template) else {
                continue;
            };
            let slots = [
                (SlotId::principal(), link.principal),
                (SlotId::resource(), link.resource),
            ];
            let filled = slots
                .into_iter()
                .filter_map(|(slot, entity)| entity.map(|(kind, id)| (slot, uid(kind, id))));
            let id = PolicyId::new(&link.name);
            names.insert(id.clone(), link.name.clone());
            policies
                .link(template.clone(), id, filled.collect())
                .unwrap();
        }
        let entities = case.beings.iter().map(|being| {
            let attributes: HashMap<_, _> = named(&being.attributes).collect();
            let parents: HashSet<_> = being
                .ancestors
                .iter()
                .map(|(kind, id)| uid(kind, id))
                .collect();
            let own = uid(being.kind, being.id);
            cedar_policy::Entity::new_with_tags(own, attributes, parents, named(&being.tags))
                .unwrap()
        });
        Self {
            policies,
            names,
            entities: Entities::from_entities(entities, Some(schema)).unwrap(),
            authorizer: Authorizer::new(),
        }
    }

    pub(crate) fn ask(&self, question: &Question) -> Answer {
        let context = cedar_policy::Context::from_pairs(named(&question.context)).unwrap();
        let request = cedar_policy::Request::new(
            uid("User", question.principal),
            uid("Action", question.action),
            uid("Doc", question.resource),
            context,
            None,
        )
        .unwrap();
        self.answer(
            &self
                .authorizer
                .is_authorized(&request, &self.policies, &self.entities),
        )
    }

    /// Cedar's response in our terms, the documented difference included: a `forbid` that cannot be evaluated denies.
    fn answer(&self, response: &cedar_policy::Response) -> Answer {
        let name = |id: &PolicyId| self.names[id].clone();
        let reasons: BTreeSet<String> = response.diagnostics().reason().map(name).collect();
        let failed: Vec<_> = response
            .diagnostics()
            .errors()
            .map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            })
            .collect();
        let forbids =
            |id: &&&PolicyId| self.policies.policy(id).unwrap().effect() == Effect::Forbid;
        let failed_forbids: BTreeSet<String> =
            failed.iter().filter(forbids).map(|id| name(id)).collect();
        let allows = response.decision() == Decision::Allow;
        let (outcome, determining) = match (failed_forbids.is_empty(), allows, reasons.is_empty()) {
            (false, true, _) => (Outcome::Forbidden, failed_forbids),
            (false, false, _) => (Outcome::Forbidden, &failed_forbids | &reasons),
            (true, true, _) => (Outcome::Permitted, reasons),
            (true, false, true) => (Outcome::NoPermit, reasons),
            (true, false, false) => (Outcome::Forbidden, reasons),
        };
        Answer {
            outcome,
            determining,
            errors: failed.len(),
        }
    }
}
