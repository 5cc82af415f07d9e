//! Why a request was decided as it was, by which policies, and what would change it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::question::Question;
use crate::bounds::MAX_DETERMINING;
use crate::build::Effect;
use crate::compile::words::plain;
use crate::compile::{CompileError, Compiled, ConditionKind, Part, Place, Source, parts};
use crate::decision::Outcome;
use crate::image::{Image, ImageError};
use crate::request::Request;

/// Policies that can be asked, and asked why. What answers is the image, the same that a kernel decides by.
#[derive(Clone, Debug)]
pub struct Policies {
    compiled: Compiled,
    parts: Vec<Part>,
}

/// How a policy stands to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// All of it holds.
    Matches,
    /// The first thing that does not hold.
    Fails(Wanted),
    /// The first thing that cannot be evaluated: a `permit` does not count, a `forbid` denies.
    Unevaluable(Wanted),
}

/// Something that a policy wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Where it stands.
    pub place: Place,
    /// What it is about: `principal`, `action`, `resource`, `when` or `unless`.
    pub about: &'static str,
    /// As it is written, on one line.
    pub text: String,
    /// How many of the policy's wishes held before it: the more, the closer the policy was.
    pub held: usize,
}

/// One policy and a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Where the policy stands.
    pub place: Place,
    /// What it says.
    pub effect: Effect,
    /// How it stands to the request.
    pub standing: Standing,
}

impl Account {
    /// Whether the policy counts: it matches, or is a `forbid` that cannot be evaluated.
    #[must_use]
    pub fn counts(&self) -> bool {
        match (&self.standing, self.effect) {
            (Standing::Matches, _) | (Standing::Unevaluable(_), Effect::Forbid) => true,
            (Standing::Unevaluable(_), Effect::Permit) | (Standing::Fails(_), _) => false,
        }
    }
}

/// A decision and what every policy had to do with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// What was asked.
    pub question: String,
    /// What the image answers.
    pub outcome: Outcome,
    /// The names of all policies that decided, sorted.
    pub determining: Vec<String>,
    /// Every policy, in the order of the sources.
    pub accounts: Vec<Account>,
}

impl Policies {
    /// Compiles policies, valid by a schema.
    ///
    /// # Errors
    /// All that is wrong with any policy.
    pub fn compile(schema: &str, sources: &[Source<'_>]) -> Result<Self, Vec<CompileError>> {
        let (compiled, parts) = parts(schema, sources)?;
        Ok(Self { compiled, parts })
    }

    /// What was compiled.
    #[must_use]
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// What the image answers, and the names of the policies that decided, at most [`MAX_DETERMINING`] of them, sorted.
    ///
    /// # Errors
    /// None, of an image that compiling made.
    pub fn decide(&self, question: &Question) -> Result<(Outcome, Vec<String>), ImageError> {
        let image = Image::check(&self.compiled.image)?;
        Ok(question.with(|request| {
            let decision = image.decide(request);
            let mut names: Vec<String> = decision.policies().map(ToOwned::to_owned).collect();
            names.sort();
            (decision.outcome(), names)
        }))
    }

    /// Why the image answers as it does.
    ///
    /// # Errors
    /// None, of an image that compiling made.
    pub fn explain(&self, question: &Question) -> Result<Explanation, ImageError> {
        let (outcome, mut determining) = self.decide(question)?;
        let accounts: Vec<Account> = question.with(|request| {
            let account = |part: &Part| {
                Ok(Account {
                    place: part.place.clone(),
                    effect: part.effect,
                    standing: standing(part, request)?,
                })
            };
            self.parts.iter().map(account).collect::<Result<_, _>>()
        })?;
        if determining.len() == MAX_DETERMINING {
            let effect = effect_of(outcome);
            let of = accounts
                .iter()
                .filter(|of| of.counts() && of.effect == effect);
            determining = of.map(|account| account.place.policy.clone()).collect();
            determining.sort();
        }
        Ok(Explanation {
            question: question.to_string(),
            outcome,
            determining,
            accounts,
        })
    }
}

/// The effect of the policies that decide so.
fn effect_of(outcome: Outcome) -> Effect {
    match outcome {
        Outcome::Forbidden => Effect::Forbid,
        _ => Effect::Permit,
    }
}

/// Asks the image of one condition after the other, as a decision would go through them.
fn standing(part: &Part, request: &Request<'_>) -> Result<Standing, ImageError> {
    for (held, condition) in part.conditions.iter().enumerate() {
        let decision = Image::check(&condition.image)?.decide(request);
        if decision.allow() {
            continue;
        }
        let wanted = Wanted {
            place: condition.place.clone(),
            about: match condition.kind {
                ConditionKind::Principal => "principal",
                ConditionKind::Action => "action",
                ConditionKind::Resource => "resource",
                ConditionKind::When => "when",
                ConditionKind::Unless => "unless",
            },
            text: condition.text.clone(),
            held,
        };
        return Ok(match decision.errors() {
            0 => Standing::Fails(wanted),
            _ => Standing::Unevaluable(wanted),
        });
    }
    Ok(Standing::Matches)
}

/// Policies of which people are told when nothing matched: those that came closest.
const MOST_TOLD: usize = 10;

impl Explanation {
    /// Whether the action may be done.
    #[must_use]
    pub fn allow(&self) -> bool {
        self.outcome == Outcome::Permitted
    }

    /// The policies that count, of one effect.
    pub fn counting(&self, effect: Effect) -> impl Iterator<Item = &Account> {
        let accounts = self.accounts.iter();
        accounts.filter(move |account| account.effect == effect && account.counts())
    }

    /// The permits that do not count, those first that were closest to it.
    #[must_use]
    pub fn closest(&self) -> Vec<&Account> {
        let permits = |account: &&Account| account.effect == Effect::Permit && !account.counts();
        let mut missed: Vec<_> = self.accounts.iter().filter(permits).collect();
        missed.sort_by_key(|account| match &account.standing {
            Standing::Matches => 0,
            Standing::Fails(wanted) | Standing::Unevaluable(wanted) => {
                usize::MAX.saturating_sub(wanted.held)
            }
        });
        missed
    }

    /// What would have to be otherwise for the other decision, a sentence each.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let names = |effect| {
            let of = |account: &Account| format!("`{}`", plain(&account.place.policy));
            self.counting(effect).map(of).collect::<Vec<_>>()
        };
        let (permits, forbids) = (names(Effect::Permit), names(Effect::Forbid));
        match self.outcome {
            Outcome::Permitted if permits.len() == 1 => {
                Vec::from([format!("without {} it is denied", permits.concat())])
            }
            Outcome::Permitted => Vec::from([format!(
                "it is denied only without all of {}",
                permits.join(", ")
            )]),
            Outcome::Forbidden => {
                let all = if forbids.len() == 1 { "" } else { "all of " };
                let then = match permits.as_slice() {
                    [] => "still nothing permits it".to_string(),
                    some => format!("it is permitted by {}", some.join(", ")),
                };
                Vec::from([format!("without {all}{} {then}", forbids.join(", "))])
            }
            Outcome::NoPermit => {
                let closest = self.closest();
                let told = closest
                    .iter()
                    .take(MOST_TOLD)
                    .map(|account| missed(account));
                let mut told: Vec<String> = told.collect();
                match closest.len().checked_sub(MOST_TOLD) {
                    Some(more @ 1..) => {
                        told.push(format!("and {more} permits that are further off"))
                    }
                    _ if told.is_empty() => told.push("there is no permit".to_string()),
                    _ => {}
                }
                told
            }
            Outcome::Undecided(why) => Vec::from([why.to_string()]),
        }
    }
}

fn missed(account: &Account) -> String {
    let policy = plain(&account.place.policy);
    match &account.standing {
        Standing::Matches => format!("`{policy}` matches"),
        Standing::Fails(Wanted {
            place, about, text, ..
        }) => {
            let (file, line, column) = (&place.file, place.line, place.column);
            let wants = match *about {
                "when" => format!("when {{ {text} }}"),
                "unless" => format!("unless {{ {text} }}"),
                _ => text.clone(),
            };
            let wants = plain(&wants);
            format!("{file}:{line}:{column}: `{policy}` permits it only with `{wants}`")
        }
        Standing::Unevaluable(Wanted { place, text, .. }) => {
            let (file, line, column) = (&place.file, place.line, place.column);
            format!(
                "{file}:{line}:{column}: `{policy}` cannot evaluate `{}`",
                plain(text)
            )
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, why) = match self.outcome {
            Outcome::Permitted => ("allow", "permitted by"),
            Outcome::Forbidden => ("deny", "forbidden by"),
            Outcome::NoPermit => ("deny", "no permit matched"),
            Outcome::Undecided(_) => ("deny", "it cannot be decided"),
        };
        writeln!(f, "{word}: {}", plain(&self.question))?;
        writeln!(f, "{why}")?;
        for account in self.counting(effect_of(self.outcome)) {
            let Place {
                file,
                line,
                column,
                policy,
                ..
            } = &account.place;
            let policy = plain(policy);
            write!(f, "  {file}:{line}:{column}: `{policy}`")?;
            match &account.standing {
                Standing::Unevaluable(wanted) => {
                    writeln!(
                        f,
                        ", which cannot evaluate `{}` and so denies",
                        plain(&wanted.text)
                    )?;
                }
                _ => writeln!(f)?,
            }
        }
        writeln!(f, "what would change it")?;
        self.changes()
            .iter()
            .try_for_each(|change| writeln!(f, "  {change}"))
    }
}
