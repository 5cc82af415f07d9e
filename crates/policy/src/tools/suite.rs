//! Tests of policies: requests, and the decisions that are expected.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::explain::{Explanation, Policies};
use super::question::{Facts, Question, Written};
use super::yaml::{self, Failure, Node};

/// The version of test files.
const API_VERSION: &str = "tidelock.dev/v1";
/// The kind of test files.
const KIND: &str = "PolicyTest";

/// What is wrong with a file, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileError {
    /// The file's name, as given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
}

impl FileError {
    pub(super) fn at(file: &str, ((line, column), reason): Failure) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            reason,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            reason,
        } = self;
        write!(f, "{file}:{line}:{column}: {reason}")
    }
}

impl core::error::Error for FileError {}

/// One request and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// Its name.
    pub name: String,
    /// What is asked.
    pub question: Question,
    /// Whether it is to be allowed.
    pub allow: bool,
    /// The names of the policies that are to decide, sorted, if that matters.
    pub policies: Option<Vec<String>>,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Tested<'c> {
    /// The case.
    pub case: &'c Case,
    /// What the image answers, and why.
    pub found: Explanation,
    /// What is not as expected, a sentence each.
    pub wrong: Vec<String>,
}

/// Reads the documents of kind PolicyTest in a YAML file.
///
/// # Errors
/// The first thing wrong in each document, with its line: an unknown field, a request that the schema does not have.
pub fn read_tests(file: &str, text: &str, facts: &Facts<'_>) -> Result<Vec<Case>, Vec<FileError>> {
    let at = |failure| FileError::at(file, failure);
    let documents = yaml::documents(text).map_err(|failure| Vec::from([at(failure)]))?;
    let (mut cases, mut errors) = (Vec::new(), Vec::new());
    for document in &documents {
        match spec(document) {
            Err(failure) => errors.push(at(failure)),
            Ok((entities, nodes)) => {
                let facts = Facts {
                    entities: &entities,
                    ..*facts
                };
                for node in nodes {
                    match case(file, node, &facts) {
                        Ok(case) => cases.push(case),
                        Err(failure) => errors.push(at(failure)),
                    }
                }
            }
        }
    }
    if cases.is_empty() && errors.is_empty() {
        errors.push(at((
            (1, 1),
            format!("there is no case in it: write a document of kind {KIND}"),
        )));
    }
    match errors.is_empty() {
        true => Ok(cases),
        false => Err(errors),
    }
}

/// The entities of a document, as JSON, and its cases.
fn spec(document: &Node) -> Result<(String, &[Node]), Failure> {
    let fields = document.fields(&["apiVersion", "kind", "metadata", "spec"])?;
    for (name, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let node = fields.must(name)?;
        match node.text()? {
            found if found == wanted => {}
            found => {
                return Err((
                    node.pos,
                    format!("`{name}` is `{found}`, and has to be `{wanted}`"),
                ));
            }
        }
    }
    if let Some(metadata) = fields.get("metadata") {
        metadata.fields(&["name"])?;
    }
    let spec = fields.must("spec")?.fields(&["entities", "cases"])?;
    let entities = spec.get("entities").map(|node| node.json().to_string());
    Ok((entities.unwrap_or_default(), spec.must("cases")?.list()?))
}

fn case(file: &str, node: &Node, facts: &Facts<'_>) -> Result<Case, Failure> {
    let fields = node.fields(&["name", "request", "expect"])?;
    let request_node = fields.must("request")?;
    let request = request_node.fields(&["principal", "action", "resource", "context"])?;
    let context = match request.get("context") {
        Some(context) => context.json().to_string(),
        None => "{}".to_owned(),
    };
    let written = Written {
        principal: request.must("principal")?.text()?,
        action: request.must("action")?.text()?,
        resource: request.must("resource")?.text()?,
        context: &context,
    };
    let question =
        Question::read(facts, &written).map_err(|error| (request_node.pos, error.to_string()))?;
    let expect = fields.must("expect")?.fields(&["decision", "policies"])?;
    let decision = expect.must("decision")?;
    let allow = match decision.text()? {
        "allow" => true,
        "deny" => false,
        other => {
            return Err((
                decision.pos,
                format!("`{other}` is neither `allow` nor `deny`"),
            ));
        }
    };
    let policies = match expect.get("policies") {
        None => None,
        Some(list) => {
            let names = list
                .list()?
                .iter()
                .map(|name| name.text().map(ToOwned::to_owned));
            let mut names = names.collect::<Result<Vec<_>, _>>()?;
            names.sort();
            Some(names)
        }
    };
    let name = fields.get("name").map(Node::text).transpose()?;
    Ok(Case {
        file: file.to_owned(),
        line: node.pos.0,
        name: name.map_or_else(|| question.to_string(), ToOwned::to_owned),
        question,
        allow,
        policies,
    })
}

/// Asks every case of the policies.
///
/// # Errors
/// None, of an image that compiling made.
pub fn run_tests<'c>(
    policies: &Policies,
    cases: &'c [Case],
) -> Result<Vec<Tested<'c>>, crate::ImageError> {
    let test = |case: &'c Case| {
        let found = policies.explain(&case.question)?;
        Ok(Tested {
            wrong: wrong(case, &found),
            case,
            found,
        })
    };
    cases.iter().map(test).collect()
}

fn wrong(case: &Case, found: &Explanation) -> Vec<String> {
    let word = |allow| if allow { "allow" } else { "deny" };
    let list = |names: &[String]| match names {
        [] => "no policy".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    };
    let mut wrong = Vec::new();
    let (expected, got) = (word(case.allow), word(found.allow()));
    if expected != got {
        let by = list(&found.determining);
        wrong.push(format!("expected {expected}, got {got} by {by}"));
    }
    if let Some(policies) = &case.policies
        && *policies != found.determining
    {
        let (policies, by) = (list(policies), list(&found.determining));
        wrong.push(format!("expected to be decided by {policies}, was by {by}"));
    }
    wrong
}
