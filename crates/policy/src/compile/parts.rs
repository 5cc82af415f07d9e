//! Policies taken apart: what has to hold of each, one thing after the other, each as an image of its own. What tells why a
//! request was decided as it was asks these images, so that it never knows better than what decides.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cedar_policy::Policy;

use super::actions::ActionNames;
use super::error::Place;
use super::lower::{self, Slots};
use super::source::{self, Token};
use super::tree;
use super::{Body, Compilation, CompileError, Compiled, Parsed, Source, compile_and};
use crate::build::{Effect, ImageBuilder, Rule, Types};

/// A policy of which parts can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) place: Place,
    pub(crate) effect: Effect,
    /// What the scope asks of the principal, of the action and of the resource; then every condition, in this order.
    pub(crate) conditions: Vec<Condition>,
}

/// Something that has to hold.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) kind: ConditionKind,
    pub(crate) place: Place,
    /// As it is written.
    pub(crate) text: String,
    /// It permits whatever the condition holds of.
    pub(crate) image: Vec<u8>,
}

/// Where a condition stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ConditionKind {
    Principal,
    Action,
    Resource,
    When,
    Unless,
}

/// Compiles policies, and takes each apart, in the order of the sources.
///
/// # Errors
/// As compiling them has.
pub(crate) fn parts(
    schema: &str,
    sources: &[Source<'_>],
) -> Result<(Compiled, Vec<Part>), Vec<CompileError>> {
    compile_and(
        schema,
        sources,
        &[],
        &|_| false,
        |compilation, names, types| {
            let parsed = compilation.parsed.iter();
            parsed
                .filter_map(|parsed| compilation.part(parsed, names, types))
                .collect()
        },
    )
}

impl Compilation<'_> {
    /// `None` for a template, and for what cannot be lowered, of which compiling tells.
    fn part(&self, parsed: &Parsed<'_>, names: &ActionNames, types: &Types) -> Option<Part> {
        let Body::Policy(policy) = &parsed.body else {
            return None;
        };
        let body = tree::of_policy(policy)?;
        let whole = lower::lower(&body, Slots::default(), names, &parsed.chunk).ok()?;
        let (scopes, clauses) = clauses(&parsed.chunk.tokens);
        let mut conditions = Vec::new();
        whole.with_rule("", |rule| {
            let any = Rule::permit("");
            let rules = [
                Rule {
                    principal: rule.principal,
                    ..any
                },
                Rule {
                    actions: rule.actions,
                    ..any
                },
                Rule {
                    resource: rule.resource,
                    ..any
                },
            ];
            let kinds = [
                ConditionKind::Principal,
                ConditionKind::Action,
                ConditionKind::Resource,
            ];
            for ((rule, kind), scope) in rules.iter().zip(kinds).zip(&scopes) {
                let image = image(types, rule)?;
                conditions.push(self.condition(parsed, kind, scope, image)?);
            }
            Some(())
        })?;
        for (kind, terms) in &clauses {
            for term in terms {
                let text = text(parsed, term)?;
                let image = self.asked(&format!("{kind} {{ {text} }}"), names, types)?;
                conditions.push(self.condition(parsed, *kind, term, image)?);
            }
        }
        Some(Part {
            place: self.place(parsed, parsed.chunk.at),
            effect: whole.effect(),
            conditions,
        })
    }

    fn condition(
        &self,
        parsed: &Parsed<'_>,
        kind: ConditionKind,
        tokens: &[Token<'_>],
        image: Vec<u8>,
    ) -> Option<Condition> {
        let text = text(parsed, tokens)?;
        let at = tokens.first()?.at;
        let name = self.places.get(parsed.number)?.policy.as_str();
        Some(Condition {
            kind,
            place: parsed.lines.span(at, text.len(), name),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            image,
        })
    }

    /// An image that permits what a condition holds of.
    pub(super) fn asked(
        &self,
        condition: &str,
        names: &ActionNames,
        types: &Types,
    ) -> Option<Vec<u8>> {
        let policy = format!("permit(principal, action, resource) {condition};");
        let chunk = source::chunks(&policy).into_iter().next()?;
        chunk.bounded().ok()?;
        let body = tree::of_policy(&Policy::parse(None, &policy).ok()?)?;
        let lowered = lower::lower(&body, Slots::default(), names, &chunk).ok()?;
        lowered.with_rule("", |rule| image(types, rule))
    }
}

fn image(types: &Types, rule: &Rule<'_>) -> Option<Vec<u8>> {
    let mut builder = ImageBuilder::of(types.clone());
    builder.push(rule).ok()?;
    builder.build().ok()
}

/// The text from the first of some tokens to the last.
pub(super) fn text<'s>(parsed: &Parsed<'s>, tokens: &[Token<'s>]) -> Option<&'s str> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let chunk = &parsed.chunk;
    let from = first.at.checked_sub(chunk.at)?;
    let to = last
        .at
        .checked_add(last.text.len())?
        .checked_sub(chunk.at)?;
    chunk.text.get(from..to)
}

/// Tokens of one condition.
pub(super) type Terms<'t, 's> = Vec<&'t [Token<'s>]>;

/// The three parts of the scope, and of each clause its terms.
pub(super) fn clauses<'t, 's>(
    tokens: &'t [Token<'s>],
) -> (Terms<'t, 's>, Vec<(ConditionKind, Terms<'t, 's>)>) {
    let effect = tokens
        .windows(2)
        .position(|two| matches!(two, [effect, open] if is_effect(effect) && open.text == "("));
    let rest = effect.and_then(|at| tokens.get(at.saturating_add(1)..));
    let (scope, mut rest) = block(rest.unwrap_or_default());
    let mut clauses = Vec::new();
    while let Some((word, after)) = rest.split_first() {
        let kind = match word.text {
            "when" => ConditionKind::When,
            "unless" => ConditionKind::Unless,
            _ => break,
        };
        let (body, next) = block(after);
        let terms = match kind {
            // Each of them may be false: it is one condition.
            ConditionKind::Unless => Vec::from([body]),
            _ => conjuncts(body),
        };
        clauses.push((kind, terms));
        rest = next;
    }
    (split(scope, ","), clauses)
}

fn is_effect(token: &Token<'_>) -> bool {
    matches!(token.text, "permit" | "forbid")
}

/// How a token changes the depth of brackets.
fn deeper(depth: usize, token: &Token<'_>) -> usize {
    match token.text {
        "(" | "[" | "{" => depth.saturating_add(1),
        ")" | "]" | "}" => depth.saturating_sub(1),
        _ => depth,
    }
}

/// What stands within the brackets that tokens begin with, and what follows.
fn block<'t, 's>(tokens: &'t [Token<'s>]) -> (&'t [Token<'s>], &'t [Token<'s>]) {
    let mut depth = 0;
    let close = tokens.iter().position(|token| {
        depth = deeper(depth, token);
        depth == 0
    });
    let close = close.unwrap_or(tokens.len());
    (
        tokens.get(1..close).unwrap_or_default(),
        tokens.get(close.saturating_add(1)..).unwrap_or_default(),
    )
}

/// The terms of `a && b && c`, or all of it if it is something else.
fn conjuncts<'t, 's>(body: &'t [Token<'s>]) -> Terms<'t, 's> {
    let mut depth = 0;
    for token in body {
        depth = deeper(depth, token);
        // `if` takes in all that follows; `||` binds less.
        if depth == 0 && matches!(token.text, "||" | "if") {
            return Vec::from([body]);
        }
    }
    split(body, "&&")
}

/// Splits tokens where that one stands outside brackets.
fn split<'t, 's>(tokens: &'t [Token<'s>], at: &str) -> Terms<'t, 's> {
    let mut depth = 0;
    tokens
        .split(|token| {
            depth = deeper(depth, token);
            depth == 0 && token.text == at
        })
        .filter(|terms| !terms.is_empty())
        .collect()
}

impl core::fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Principal => "principal",
            Self::Action => "action",
            Self::Resource => "resource",
            Self::When => "when",
            Self::Unless => "unless",
        })
    }
}
