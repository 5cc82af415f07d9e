//! Policies about what nobody asks, as their scope or their action shows.

use alloc::format;
use alloc::string::String;

use cedar_policy::pst::UnaryOp;

use super::ends::{Alone, CONNECT, HTTP, LISTEN, effect_word};
use super::literal::extension;
use super::{Body, Parsed};
use crate::build::{Effect, Rule, Scope};
use crate::request::EntityRef;

/// What is no workload, by the published schema: a Service whose server is outside is in the one of that server's name.
const EXTERNAL: &str = "External";
/// The literals that a policy about what only a server's end asks is written with.
const LISTEN_WRITTEN: &str = "\"listen\"";
const HTTP_WRITTEN: &str = "\"http\"";
/// For later: nobody asks it yet.
const INJECT: &str = "inject";

impl Parsed<'_> {
    /// Whether [`unasked`] could find anything, by a look at the words alone: most policies are spared the rest.
    pub(super) fn may_be_unasked(&self) -> bool {
        let words = [EXTERNAL, LISTEN_WRITTEN, HTTP_WRITTEN];
        let mut tokens = self.chunk.tokens.iter();
        let linked = match &self.body {
            Body::Link(_, link) => link.resource.is_some_and(|of| of.kind == EXTERNAL),
            Body::Policy(_) | Body::Template(_) => false,
        };
        linked || tokens.any(|token| words.contains(&token.text))
    }
}

/// What is said of a rule by which nothing that is asked is decided, and the word that it is about.
pub(super) fn unasked(rule: &Rule<'_>, alone: &Alone<'_>) -> Option<(&'static str, String)> {
    let [connect, listen, http] = [CONNECT, LISTEN, HTTP].map(|action| alone.is_about(action));
    if alone.effect == Effect::Permit && listen && !connect && !http && !alone.is_about(INJECT) {
        let reason = "permits nothing: to listen takes no permit. Who may is what the Service's `servers` say; a `forbid` \
                      takes it away";
        return Some((LISTEN_WRITTEN, reason.into()));
    }
    if !(connect || listen || http) {
        return None;
    }
    let reason = match rule.resource {
        Scope::Is(EXTERNAL) | Scope::IsIn(EXTERNAL, _) => of_a_service("…"),
        Scope::Eq(EntityRef { kind, id }) if kind == EXTERNAL => of_a_service(id),
        Scope::In(EntityRef { kind, id }) | Scope::IsIn(_, EntityRef { kind, id })
            if kind == EXTERNAL =>
        {
            let address = if connect || http {
                "serverAddress"
            } else {
                "address"
            };
            of_no_address(id, address).or_else(|| (!connect).then(outside))?
        }
        _ => return None,
    };
    Some((
        EXTERNAL,
        format!("{} nothing: {reason}", effect_word(alone.effect)),
    ))
}

fn of_a_service(id: &str) -> String {
    format!(
        "the resource that is asked about is always a Service. One whose server is outside is in the External of that server's \
         name: write `resource in External::{id:?}`"
    )
}

/// What is said of an External that is an address or a range of them.
fn of_no_address(id: &str, address: &str) -> Option<String> {
    extension(UnaryOp::Ip, id)?;
    Some(format!(
        "a Service whose server is outside is in the External of that server's name, and none is in that of an address. Ask \
         for the address: `context has {address} && context.{address}.isInRange(ip({id:?}))`"
    ))
}

fn outside() -> String {
    String::from(
        "a Service that is in an External has its server outside, and only a server here asks about `listen` and `http`",
    )
}
