//! Policies that decide nothing at an end of a connection, since what they ask for is never known there.
//!
//! It is asked of the image, with what each end tells: [`prospect`] runs the condition on what may be. So `has`, `&&`, `!`
//! and `if` count for what they mean, and a policy that can be true in any other way is not warned of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::actions::ActionNames;
use super::lower;
use super::parts::{ConditionKind, clauses, text};
use super::source::Token;
use super::unasked::unasked;
use super::{Body, Compilation, CompileError, Parsed, Reason, error};
use crate::build::{Effect, ImageBuilder, Rule, Types};
use crate::eval::partial::{Told, prospect};
use crate::image::Image;
use crate::image::layout::PORT;

/// What both ends of a connection ask about, by the published schema.
pub(super) const CONNECT: &str = "connect";
/// What the server's end asks about besides: of itself, and of each request.
pub(super) const LISTEN: &str = "listen";
pub(super) const HTTP: &str = "http";

/// Warnings of one compilation that say by the policy's own words what to write instead, which takes parsing parts of it again.
const MAX_REWRITTEN: usize = 100;

/// What the client's end first knows when TCP has connected: it asks before that too.
const CLIENT_ADDRESS: &str = "clientAddress";
/// The process of who is asked about, where there is one end only.
const PROCESS: &str = "process";

/// A question of an end.
#[derive(Clone, Copy)]
pub(super) struct Question {
    action: &'static str,
    end: &'static str,
    /// The attribute of the context that has the end's own process.
    process: &'static str,
    /// What the end knows besides the port and its own process whenever it asks, as far as it is told.
    circumstances: &'static [&'static str],
}

const OF_CONNECTION: [&str; 3] = ["serverAddress", "time", "posture"];

/// About a connection, at either end.
const ENDS: [Question; 2] = [
    Question {
        action: CONNECT,
        end: "client",
        process: "client",
        circumstances: &OF_CONNECTION,
    },
    Question {
        action: CONNECT,
        end: "server",
        process: "server",
        circumstances: &OF_CONNECTION,
    },
];

const LISTENING: Question = Question {
    action: LISTEN,
    end: "server",
    process: PROCESS,
    circumstances: &["address", "time", "posture"],
};

const REQUEST: Question = Question {
    action: HTTP,
    end: "server",
    process: PROCESS,
    circumstances: &["method", "path", "host", "serverAddress", "time", "posture"],
};

impl Question {
    /// Whether what is asked has an attribute, were `also` told too. An end asks more than once: a `permit` has to hold
    /// each time, the first included, and a `forbid` once.
    fn tells(self, name: &str, effect: Effect, also: Option<&str>) -> Told {
        let first = effect == Effect::Permit && self.end == "client";
        match name {
            PORT => Told::Always,
            name if name == self.process || Some(name) == also => Told::Sometimes,
            CLIENT_ADDRESS if !first && self.action != LISTEN => Told::Sometimes,
            name if self.circumstances.contains(&name) => Told::Sometimes,
            _ => Told::Never,
        }
    }
}

/// Where nothing is known of what is told.
fn anything(name: &str) -> Told {
    match name {
        PORT => Told::Always,
        _ => Told::Sometimes,
    }
}

/// Of a policy alone, what it can decide.
pub(super) struct Alone<'i> {
    image: Image<'i>,
    pub(super) effect: Effect,
}

impl Alone<'_> {
    /// Whether it may decide about an action, whatever is told.
    pub(super) fn is_about(&self, action: &str) -> bool {
        self.may_decide(action, &anything)
    }

    /// Whether it may decide what an end asks.
    fn answers(&self, question: Question) -> bool {
        let told = |name: &str| question.tells(name, self.effect, None);
        self.may_decide(question.action, &told)
    }

    /// Whether it may forbid to listen, which no permit is needed for.
    fn forbids_listening(&self) -> bool {
        self.effect == Effect::Forbid && self.answers(LISTENING)
    }

    /// Whether it may decide anything where the context is as told: a `permit` if it may hold, a `forbid` also if it may be that
    /// it cannot be evaluated. What cannot be said may.
    fn may_decide(&self, action: &str, told: &dyn Fn(&str) -> Told) -> bool {
        prospect(&self.image, 0, action, told).is_none_or(|prospect| match self.effect {
            Effect::Permit => prospect.holds,
            Effect::Forbid => prospect.holds || prospect.fails,
        })
    }

    /// What it lacks to decide what an end asks; nothing if it may. If any one of several would do, or if it takes several, all.
    fn lacks(&self, question: Question) -> Vec<&str> {
        if self.answers(question) {
            return Vec::new();
        }
        let absent = |name: &&str| question.tells(name, self.effect, None) == Told::Never;
        let absent: Vec<&str> = self.image.attribute_names().filter(absent).collect();
        let enough = |also: &&str| {
            let told = |name: &str| question.tells(name, self.effect, Some(also));
            self.may_decide(question.action, &told)
        };
        match absent.iter().copied().filter(enough).collect::<Vec<_>>() {
            none if none.is_empty() => absent,
            some => some,
        }
    }
}

impl Compilation<'_> {
    /// What to warn of, in the order of the sources, when the policies are compiled to these images.
    pub(super) fn idle_at_ends(
        &self,
        names: &ActionNames,
        types: &Types,
        images: [&[u8]; 2],
    ) -> Vec<CompileError> {
        let untold = |bytes: &&[u8]| {
            let image = Image::reopen(bytes).ok();
            image.is_some_and(|image| image.attribute_names().any(|name| name != PORT))
        };
        let untold = images.iter().any(untold);
        let mut warnings = Vec::new();
        for parsed in &self.parsed {
            if untold || parsed.may_be_unasked() {
                let rewrite = warnings.len() < MAX_REWRITTEN;
                warnings.extend(self.idle(parsed, names, types, rewrite));
            }
        }
        warnings
    }

    fn idle(
        &self,
        parsed: &Parsed<'_>,
        names: &ActionNames,
        types: &Types,
        rewrite: bool,
    ) -> Option<CompileError> {
        let body = self.evaluated(parsed)?;
        let lowered = lower::lower(&body, parsed.body.slots()?, names, &parsed.chunk).ok()?;
        // Its own scope does not matter, and would be looked up.
        let bytes = lowered.with_rule("", |rule| {
            let rule = Rule {
                actions: rule.actions,
                condition: rule.condition,
                effect: rule.effect,
                ..Rule::permit("")
            };
            let mut alone = ImageBuilder::of(types.clone());
            alone.push(&rule).ok()?;
            alone.build().ok()
        })?;
        let alone = Alone {
            image: Image::reopen(&bytes).ok()?,
            effect: lowered.effect(),
        };
        if let Some((about, reason)) = lowered.with_rule("", |rule| unasked(rule, &alone)) {
            return Some(self.warning(parsed, &parsed.chunk.tokens, &[about], reason));
        }
        // What nothing makes true is said by Cedar, or is about something that no end asks.
        if alone.is_about(CONNECT) {
            self.idle_at_both_ends(parsed, &alone, |process| {
                let process = Some(process).filter(|_| rewrite)?;
                self.instead(parsed, process, names, types)
            })
        } else if alone.is_about(HTTP) && !alone.forbids_listening() {
            let lacks = alone.lacks(REQUEST);
            let lacking = Some(listed(&lacks)).filter(|lacking| !lacking.is_empty())?;
            let word = effect_word(alone.effect);
            let reason = format!("{word} nothing: {lacking} is never known of a request");
            Some(self.warning(parsed, &parsed.chunk.conditions(), &lacks, reason))
        } else {
            None
        }
    }

    /// Of a policy about connections, at which end it decides nothing.
    fn idle_at_both_ends(
        &self,
        parsed: &Parsed<'_>,
        alone: &Alone<'_>,
        instead: impl FnOnce(&str) -> Option<String>,
    ) -> Option<CompileError> {
        let asked = parsed.chunk.conditions();
        let [client, server] = ENDS.map(|end| alone.lacks(end));
        let request = alone.answers(REQUEST);
        match alone.effect {
            // Where one end knows what is forbidden, it is.
            Effect::Forbid if client.is_empty() || server.is_empty() => return None,
            Effect::Forbid if request || alone.forbids_listening() => return None,
            Effect::Permit if client.is_empty() && server.is_empty() => return None,
            _ => {}
        }
        let nothing = if request { "no connection" } else { "nothing" };
        let [at_client, at_server] = ENDS;
        let one = match (client.is_empty(), server.is_empty()) {
            (false, true) => Some((at_client, &client)),
            (true, false) => Some((at_server, &server)),
            _ => None,
        };
        if let Some((end, lacks)) = one {
            let instead = match lacks.as_slice() {
                [process] => instead(process),
                _ => None,
            };
            let reason = permits_at_one_end(nothing, end, lacks, instead);
            return Some(self.warning(parsed, &asked, lacks, reason));
        }
        let lacking = if client == server {
            format!("{} is known at neither end", listed(&client))
        } else {
            let (client, server) = (listed(&client), listed(&server));
            format!("{client} is never known at the client's end, nor {server} at the server's")
        };
        let reason = format!(
            "{} {nothing}: {lacking}; an end knows port, addresses, time, its own process and its node's posture",
            effect_word(alone.effect)
        );
        Some(self.warning(parsed, &asked, &client, reason))
    }

    /// What could stand in place of the terms that ask for a process: they count where it is known. `None` if that cannot be said
    /// of the terms as they stand: they are not in one `when`, or ask for something else too, which would no longer count.
    fn instead(
        &self,
        parsed: &Parsed<'_>,
        process: &str,
        names: &ActionNames,
        types: &Types,
    ) -> Option<String> {
        let (_, clauses) = clauses(&parsed.chunk.tokens);
        let mut asking = Vec::new();
        for (kind, terms) in &clauses {
            let mut here = Vec::new();
            for term in terms {
                let term = text(parsed, term)?;
                let image = self.asked(&format!("{kind} {{ {term} }}"), names, types)?;
                let image = Image::reopen(&image).ok()?;
                let mut asked = image.attribute_names();
                if !asked.any(|name| name == process) {
                    continue;
                }
                let alone = image.attribute_names().all(|name| name == process);
                if *kind != ConditionKind::When || !alone {
                    return None;
                }
                here.push(term.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            if !here.is_empty() && !asking.is_empty() {
                return None;
            }
            asking.extend(here);
        }
        let written = asking.join(" && ");
        let guard = format!("context has {process}");
        asking.retain(|term| *term != guard);
        let then = asking.join(" && ");
        let then = Some(then.as_str()).filter(|then| !then.is_empty())?;
        Some(format!(
            "`(if {guard} then {then} else true)` in place of `{written}`"
        ))
    }

    /// Where what is warned of first stands among some tokens.
    fn warning(
        &self,
        parsed: &Parsed<'_>,
        among: &[Token<'_>],
        about: &[&str],
        reason: String,
    ) -> CompileError {
        let first = among.iter().find(|token| about.contains(&token.text));
        let place = match (&parsed.body, first) {
            (Body::Policy(_), Some(token)) => {
                let name = self.name(parsed);
                parsed.lines.span(token.at, token.text.len(), name)
            }
            _ => self.place(parsed, parsed.chunk.at),
        };
        error(place, Reason::Warning(reason))
    }
}

pub(super) fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Permit => "permits",
        Effect::Forbid => "forbids",
    }
}

/// What is told of a permit that an end cannot decide by, with what to write if that is known.
fn permits_at_one_end(
    nothing: &str,
    question: Question,
    lacks: &[&str],
    instead: Option<String>,
) -> String {
    let process = lacks.first().copied().unwrap_or_default();
    let instead = instead.unwrap_or_else(|| {
        format!(
            "`if context has {process} then … else true` around what asks for it, or \
             `unless {{ context has {process} && … }}` with what is wrong"
        )
    });
    let known = match lacks {
        [CLIENT_ADDRESS] => "not known before it connects",
        _ => "never known",
    };
    format!(
        "permits {nothing} at the {}'s end, where {} is {known}. Both ends have to permit: unless another policy \
         permits it there, nothing is permitted. To let that end decide by the rest, write {instead}",
        question.end,
        listed(lacks),
    )
}

/// Attributes of the context, as people read them.
fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`context.{name}`"))
        .collect();
    names.join(" or ")
}
