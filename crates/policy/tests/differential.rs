//! The `cedar-policy` authorizer as the oracle: random policies of the subset, entities and requests get the same decision
//! from it and from the image, by the same determining policies. There is one difference, and it is on purpose: a `forbid`
//! that cannot be evaluated denies, where Cedar skips it.
//!
//! `TIDELOCK_POLICY_SETS` is the number of policy sets, each asked eight requests.
#![cfg(feature = "compile")]

mod generate;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Effect, EntityId, EntityTypeName, EntityUid,
    PolicySet,
};
use generate::{Case, Port, Question};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidelock_policy::bounds::MAX_DETERMINING;
use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Source, Value, compile,
};

const DEFAULT_SETS: u32 = 1000;

/// What either side answers.
#[derive(Debug, Eq, PartialEq)]
struct Answer {
    outcome: Outcome,
    determining: BTreeSet<String>,
    errors: usize,
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).unwrap(), EntityId::new(id))
}

/// A policy set as Cedar reads it, with our names of its policies.
struct Oracle {
    policies: PolicySet,
    names: BTreeMap<String, String>,
}

impl Oracle {
    fn new(text: &str) -> Self {
        let policies = PolicySet::from_str(text).unwrap();
        let named = |policy: &cedar_policy::Policy| {
            let id = policy.id().to_string();
            (id.clone(), policy.annotation("id").map_or(id, String::from))
        };
        let names = policies.policies().map(named).collect();
        Self { policies, names }
    }

    fn ask(&self, question: &Question) -> Answer {
        let entities = [&question.principal, &question.resource].map(|entity| {
            let parents = entity
                .ancestors
                .iter()
                .map(|(kind, id)| uid(kind, id))
                .collect();
            cedar_policy::Entity::new_no_attrs(uid(&entity.kind, &entity.id), parents)
        });
        // One entity may be both; Cedar refuses it twice.
        let same = entities[0].uid() == entities[1].uid();
        let store = cedar_policy::Entities::from_entities(
            entities.into_iter().skip(usize::from(same)),
            None,
        );
        let context = match question.port {
            Port::Missing => serde_json(""),
            Port::Text => serde_json("\"port\": \"1\""),
            Port::Number(port) => serde_json(&format!("\"port\": {port}")),
        };
        let request = cedar_policy::Request::new(
            uid(&question.principal.kind, &question.principal.id),
            uid("Action", question.action),
            uid(&question.resource.kind, &question.resource.id),
            context,
            None,
        )
        .unwrap();
        self.answer(&Authorizer::new().is_authorized(&request, &self.policies, &store.unwrap()))
    }

    /// Cedar's response in our terms, the documented difference included.
    fn answer(&self, response: &cedar_policy::Response) -> Answer {
        let name = |id: &cedar_policy::PolicyId| self.names[&id.to_string()].clone();
        let reasons: BTreeSet<String> = response.diagnostics().reason().map(name).collect();
        let failed: Vec<_> = response
            .diagnostics()
            .errors()
            .map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            })
            .collect();
        let forbids = |id: &&&cedar_policy::PolicyId| {
            self.policies.policy(id).unwrap().effect() == Effect::Forbid
        };
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

fn serde_json(fields: &str) -> cedar_policy::Context {
    cedar_policy::Context::from_json_str(&format!("{{{fields}}}"), None).unwrap()
}

fn ours(image: &Image<'_>, question: &Question) -> (Answer, u32) {
    let ancestors = [&question.principal, &question.resource].map(|entity| {
        let names = entity
            .ancestors
            .iter()
            .map(|(kind, id)| EntityRef::new(kind, id));
        names.collect::<Vec<_>>()
    });
    let entity = |entity: &'_ generate::Being, ancestors| {
        // Leaked: a test's strings outlive nothing.
        let (kind, id) = (entity.kind.clone().leak(), entity.id.clone().leak());
        Entity::new(kind, id, ancestors)
    };
    let attributes = match question.port {
        Port::Missing => vec![],
        Port::Text => vec![Attribute::new("port", Value::Str("1"))],
        Port::Number(port) => vec![Attribute::new("port", Value::Long(port))],
    };
    let (decision, steps) = image.decide_counted(&Request {
        principal: entity(&question.principal, &ancestors[0]),
        action: question.action,
        resource: entity(&question.resource, &ancestors[1]),
        context: Context::new(&attributes),
    });
    assert!(
        steps <= u64::from(image.cost()),
        "{steps} steps, proven {}",
        image.cost()
    );
    assert_eq!(decision.allow(), decision.outcome() == Outcome::Permitted);
    let determining = decision.policies().map(String::from).collect();
    let errors = usize::try_from(decision.errors()).unwrap();
    (
        Answer {
            outcome: decision.outcome(),
            determining,
            errors,
        },
        decision.policy_count(),
    )
}

/// What the generator reached.
#[derive(Debug, Default)]
struct Reach {
    sets: u32,
    refused: u32,
    requests: u32,
    permitted: u32,
    forbidden: u32,
    no_permit: u32,
    several: u32,
    past_the_list: u32,
    errors: u32,
    failed_forbids: u32,
    op_codes: BTreeMap<u8, u32>,
}

impl Reach {
    fn note(&mut self, expected: &Answer, count: u32) {
        let outcome = match expected.outcome {
            Outcome::Permitted => &mut self.permitted,
            Outcome::Forbidden => &mut self.forbidden,
            _ => &mut self.no_permit,
        };
        *outcome += 1;
        self.requests += 1;
        self.several += u32::from(count > 1);
        self.past_the_list += u32::from(count as usize > MAX_DETERMINING);
        self.errors += u32::from(expected.errors > 0);
        self.failed_forbids +=
            u32::from(expected.errors > 0 && expected.outcome == Outcome::Forbidden);
    }

    /// Counts the op codes of an image: section 6, in instructions of eight bytes.
    fn note_code(&mut self, image: &[u8]) {
        let sections = usize::from(u16::from_le_bytes([image[6], image[7]]));
        let mut at = 16 + 8 * sections;
        for entry in image[16..].chunks(8).take(sections) {
            let len = u32::from_le_bytes(entry[4..].try_into().unwrap()) as usize;
            if entry[0] == 6 {
                let codes = image[at..at + len]
                    .chunks(8)
                    .map(|instruction| instruction[0]);
                codes.for_each(|code| *self.op_codes.entry(code).or_default() += 1);
            }
            at += len;
        }
    }

    fn assert_wide(&self) {
        let percent = |part: u32, of: u32| part * 100 / of;
        let of_requests = |part| percent(part, self.requests);
        println!("{self:#?}");
        assert!(percent(self.refused, self.sets) <= 2, "sets refused");
        assert!(of_requests(self.permitted) >= 30, "allow");
        assert!(of_requests(self.forbidden) >= 10, "forbidden");
        assert!(of_requests(self.no_permit) >= 10, "none matched");
        assert!(
            of_requests(self.several) >= 10,
            "several determining policies"
        );
        assert!(of_requests(self.errors) >= 10, "evaluation errors");
        assert!(of_requests(self.failed_forbids) >= 3, "a failed forbid");
        assert!(
            self.past_the_list >= 1,
            "more determining policies than are named"
        );
        for code in ALL_OP_CODES {
            assert!(
                self.op_codes.get(code).is_some_and(|&count| count >= 100),
                "op code {code:#x}"
            );
        }
        let known: BTreeSet<u8> = ALL_OP_CODES.iter().copied().collect();
        assert!(
            self.op_codes.keys().all(|code| known.contains(code)),
            "an op code not listed"
        );
    }
}

/// Every op code that compiling can emit. `Test` (0x31) is not: strict validation has no condition that needs it.
const ALL_OP_CODES: &[u8] = &[
    0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x18, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x30, 0x50,
    0x70, 0x71,
];

fn run(case: &Case, reach: &mut Reach) -> Result<(), TestCaseError> {
    let text = case.text();
    reach.sets += 1;
    let Ok(compiled) = compile(&[Source {
        name: "generated",
        text: &text,
    }]) else {
        reach.refused += 1;
        return Ok(());
    };
    reach.note_code(&compiled.image);
    let image = Image::check(&compiled.image).unwrap();
    let oracle = Oracle::new(&text);
    for question in &case.questions {
        let expected = oracle.ask(question);
        let (found, count) = ours(&image, question);
        let agree = if expected.determining.len() <= MAX_DETERMINING {
            found == expected && count as usize == expected.determining.len()
        } else {
            found.outcome == expected.outcome
                && found.errors == expected.errors
                && found.determining.is_subset(&expected.determining)
                && found.determining.len() == MAX_DETERMINING
                && count as usize == expected.determining.len()
        };
        prop_assert!(
            agree,
            "{text}\n{question:#?}\nCedar: {expected:#?}\nimage: {found:#?}"
        );
        reach.note(&expected, count);
    }
    Ok(())
}

#[test]
fn the_image_decides_as_cedar_does() {
    let sets = std::env::var("TIDELOCK_POLICY_SETS")
        .ok()
        .and_then(|sets| sets.parse().ok());
    let config = Config {
        cases: sets.unwrap_or(DEFAULT_SETS),
        failure_persistence: None,
        ..Config::default()
    };
    let seed: [u8; 32] = *b"tidelock policy differential #01";
    let rng = match std::env::var_os("TIDELOCK_POLICY_SETS") {
        None => TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
        Some(_) => TestRng::from_seed(RngAlgorithm::ChaCha, &random_seed()),
    };
    let reach = RefCell::new(Reach::default());
    let result = TestRunner::new_with_rng(config, rng).run(&generate::case(), |case| {
        run(&case, &mut reach.borrow_mut())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    reach.into_inner().assert_wide();
}

/// Long runs take another seed each time.
fn random_seed() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    let seed = RandomState::new().hash_one("seed");
    println!("seed {seed:#x}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
