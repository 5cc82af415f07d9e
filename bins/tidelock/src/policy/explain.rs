//! `policy explain`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tidelock_policy::tools::{Account, Explanation, Question, Standing, Written};
use tidelock_policy::{Effect, Outcome};

use super::files;
use crate::args::{Asked, Output};

/// Tells why a request is decided as it is, and what would change it. A decision is an answer, whichever it is: the exit
/// status is that of a question that could be asked.
pub(super) fn explain(
    paths: &[PathBuf],
    asked: &Asked,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let policies = match files::compile(paths, output)? {
        Ok(policies) => policies,
        Err(status) => return Ok(status),
    };
    let context = context(asked)?;
    let written = Written {
        principal: &entity(&asked.principal, "Workload"),
        action: &asked.action,
        resource: &entity(&asked.resource, "Service"),
        context: &context,
    };
    let question = Question::read(&files::facts(), &written)?;
    let explanation = policies.explain(&question)?;
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => write!(out, "{explanation}")?,
        Output::Json => writeln!(out, "{}", row(&explanation))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The entity that is meant: a bare name is one of the usual kind.
fn entity(text: &str, kind: &str) -> String {
    if text.ends_with('"') && text.contains("::\"") {
        text.to_owned()
    } else {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{kind}::\"{escaped}\"")
    }
}

fn context(asked: &Asked) -> anyhow::Result<String> {
    let mut context: Value =
        serde_json::from_str(&asked.context).context("`--context` is no JSON object")?;
    let Some(fields) = context.as_object_mut() else {
        bail!("`--context` is no JSON object: write it as '{{\"port\": 443}}'");
    };
    if let Some(port) = asked.port {
        fields.insert("port".into(), json!(port));
    }
    Ok(context.to_string())
}

fn row(explanation: &Explanation) -> Value {
    let outcome = match explanation.outcome {
        Outcome::Permitted => "permitted",
        Outcome::Forbidden => "forbidden",
        Outcome::NoPermit => "no_permit",
        _ => "undecided",
    };
    json!({
        "question": explanation.question,
        "decision": if explanation.allow() { "allow" } else { "deny" },
        "outcome": outcome,
        "policies": explanation.determining,
        "changes": explanation.changes(),
        "accounts": explanation.accounts.iter().map(account).collect::<Vec<_>>(),
    })
}

fn account(account: &Account) -> Value {
    let (standing, wanted) = match &account.standing {
        Standing::Matches => ("matches", None),
        Standing::Fails(wanted) => ("fails", Some(wanted)),
        Standing::Unevaluable(wanted) => ("unevaluable", Some(wanted)),
        _ => ("unknown", None),
    };
    json!({
        "policy": account.place.policy,
        "file": account.place.file,
        "line": account.place.line,
        "effect": if account.effect == Effect::Permit { "permit" } else { "forbid" },
        "standing": standing,
        "about": wanted.map(|wanted| wanted.about),
        "text": wanted.map(|wanted| &wanted.text),
        "at": wanted.map(|wanted| json!({"line": wanted.place.line, "column": wanted.place.column})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names_are_of_the_usual_kind() {
        assert_eq!(entity("db", "Service"), "Service::\"db\"");
        assert_eq!(entity("a\"b", "Service"), "Service::\"a\\\"b\"");
        assert_eq!(entity("External::\"h\"", "Service"), "External::\"h\"");
    }
}
