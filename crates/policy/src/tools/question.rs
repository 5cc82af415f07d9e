//! Requests as people write them, read by the schema.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use cedar_policy::pst::UnaryOp;
use cedar_policy::{Entities, EntityUid, EvalResult, RequestValidationError, Schema};

use super::lend::{OwnedEntity, OwnedRequest};
use crate::build::Expr;
use crate::compile::literal;
use crate::request::Request;

/// A request as people write it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'w> {
    /// An entity, as Cedar writes it: `Workload::"spiffe://example.org/web"`.
    pub principal: &'w str,
    /// An action, as Cedar writes it, or its id alone: `connect`.
    pub action: &'w str,
    /// An entity, as Cedar writes it.
    pub resource: &'w str,
    /// A JSON object, typed by the schema as Cedar types it: `{"port": 443, "clientAddress": "10.0.0.1"}`.
    pub context: &'w str,
}

/// What a request is read by.
#[derive(Clone, Copy)]
pub struct Facts<'f> {
    /// The schema, in Cedar's schema syntax.
    pub schema: &'f str,
    /// Entities, as Cedar's JSON has them: a list, or nothing.
    pub entities: &'f str,
    /// The ancestors that an entity has by its name alone, given its kind and its id.
    pub above: fn(&str, &str) -> Vec<(String, String)>,
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

impl<'f> Facts<'f> {
    /// A schema, and no entities: names have no ancestors.
    #[must_use]
    pub const fn new(schema: &'f str) -> Self {
        Self {
            schema,
            entities: "",
            above: |_, _| Vec::new(),
        }
    }
}

/// A request that is valid by a schema, with what is known of its entities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    pub(crate) request: OwnedRequest,
    /// What it asks, in words: `Workload::"web" connect Service::"db"`.
    pub(crate) text: String,
}

/// Which part of a request cannot be read, and why, in Cedar's words.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum QuestionError {
    /// The schema.
    Schema(String),
    /// The entities.
    Entities(String),
    /// The principal.
    Principal(String),
    /// The action.
    Action(String),
    /// The resource.
    Resource(String),
    /// The context.
    Context(String),
    /// All is well formed, but the schema has no such request.
    Request(String),
}

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, why) = match self {
            Self::Schema(why) => ("schema", why),
            Self::Entities(why) => ("entities", why),
            Self::Principal(why) => ("principal", why),
            Self::Action(why) => ("action", why),
            Self::Resource(why) => ("resource", why),
            Self::Context(why) => ("context", why),
            Self::Request(why) => ("request", why),
        };
        write!(f, "{part}: {why}")
    }
}

impl core::error::Error for QuestionError {}

impl Question {
    /// Reads a request.
    ///
    /// # Errors
    /// Names the first part that cannot be read, or what the schema has against the request.
    pub fn read(facts: &Facts<'_>, written: &Written<'_>) -> Result<Self, QuestionError> {
        let (schema, _) = Schema::from_cedarschema_str(facts.schema)
            .map_err(|error| QuestionError::Schema(error.to_string()))?;
        let entities = match facts.entities {
            "" => Entities::empty(),
            json => Entities::from_json_str(json, Some(&schema))
                .map_err(|error| QuestionError::Entities(whole(&error)))?,
        };
        let uid = |text: &str| EntityUid::from_str(text).map_err(|error| error.to_string());
        let principal = uid(written.principal)
            .map_err(|error| QuestionError::Principal(entity_help(written.principal, &error)))?;
        let resource = uid(written.resource)
            .map_err(|error| QuestionError::Resource(entity_help(written.resource, &error)))?;
        let action = if written.action.contains("::") {
            uid(written.action)
        } else {
            uid(&format!("Action::{:?}", written.action))
        };
        let action = action.map_err(QuestionError::Action)?;
        if !schema.actions().any(|known| *known == action) {
            let known: Vec<String> = schema.actions().map(ToString::to_string).collect();
            let why = format!("there is no `{action}`; there are {}", known.join(", "));
            return Err(QuestionError::Action(why));
        }
        let context =
            cedar_policy::Context::from_json_str(written.context, Some((&schema, &action)))
                .map_err(|error| QuestionError::Context(whole(&error)))?;
        let names: Vec<String> = serde_json::from_str::<serde_json::Value>(written.context)
            .ok()
            .and_then(|json| {
                json.as_object()
                    .map(|fields| fields.keys().cloned().collect())
            })
            .unwrap_or_default();
        let read = |name: String| {
            let value = context.get(&name).as_ref().and_then(literal_of);
            let why = || format!("`{name}` is no value that a request can have");
            match value {
                Some(value) => Ok((name, value)),
                None => Err(QuestionError::Context(why())),
            }
        };
        let attributes = names.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        cedar_policy::Request::new(
            principal.clone(),
            action.clone(),
            resource.clone(),
            context,
            Some(&schema),
        )
        .map_err(|error| match error {
            RequestValidationError::InvalidContext(error) => QuestionError::Context(format!(
                "{error}: it takes the attributes that the schema gives this action, of their types"
            )),
            error => QuestionError::Request(whole(&error)),
        })?;
        let known = |uid: &EntityUid| owned(facts, &entities, uid);
        Ok(Self {
            request: OwnedRequest {
                principal: known(&principal),
                action: name_of(&action),
                resource: known(&resource),
                context: attributes,
                entities: entities.iter().map(|entity| known(&entity.uid())).collect(),
            },
            text: format!("{principal} {} {resource}", written.action),
        })
    }

    /// Lends the request to what asks it.
    pub fn with<R>(&self, ask: impl FnOnce(&Request<'_>) -> R) -> R {
        self.request.with(ask)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Cedar's words with those of what they stem from.
fn whole(error: &dyn core::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn entity_help(text: &str, error: &impl fmt::Display) -> String {
    format!("`{text}` is no entity ({error}): write it as `Kind::\"id\"`")
}

/// An action as images name it.
fn name_of(action: &EntityUid) -> String {
    match action.type_name().to_string().as_str() {
        "Action" => action.id().unescaped().to_owned(),
        kind => format!("{kind}::\"{}\"", action.id().unescaped()),
    }
}

fn pair(uid: &EntityUid) -> (String, String) {
    (uid.type_name().to_string(), uid.id().unescaped().to_owned())
}

/// What is known of an entity: by the store, and by its name.
fn owned(facts: &Facts<'_>, entities: &Entities, uid: &EntityUid) -> OwnedEntity {
    let (kind, id) = pair(uid);
    let mut ancestors = (facts.above)(&kind, &id);
    ancestors.extend(entities.ancestors(uid).into_iter().flatten().map(pair));
    ancestors.sort();
    ancestors.dedup();
    let entity = entities.get(uid);
    let attributes = entity.map(|entity| entity.attrs().filter_map(named).collect());
    let tags = entity.map(|entity| entity.tags().filter_map(named).collect());
    OwnedEntity {
        kind,
        id,
        ancestors,
        attributes: attributes.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
    }
}

fn named<N: AsRef<str>, E>((name, value): (N, Result<EvalResult, E>)) -> Option<(String, Expr)> {
    let value = value.ok().as_ref().and_then(literal_of)?;
    Some((name.as_ref().to_owned(), value))
}

/// A value of Cedar's as a literal.
fn literal_of(value: &EvalResult) -> Option<Expr> {
    Some(match value {
        EvalResult::Bool(value) => Expr::Bool(*value),
        EvalResult::Long(value) => Expr::Long(*value),
        EvalResult::String(value) => Expr::Str(value.clone()),
        EvalResult::EntityUid(uid) => {
            let (kind, id) = pair(uid);
            Expr::Entity(kind, id)
        }
        EvalResult::Set(members) => {
            Expr::Set(members.iter().map(literal_of).collect::<Option<_>>()?)
        }
        EvalResult::Record(fields) => {
            let field = |(name, value): (&String, _)| Some((name.clone(), literal_of(value)?));
            Expr::Record(fields.iter().map(field).collect::<Option<_>>()?)
        }
        EvalResult::ExtensionValue(text) => extension(text)?,
    })
}

/// A value of an extension, as Cedar prints it: a constructor of one literal, or, of a datetime, an offset from one.
fn extension(text: &str) -> Option<Expr> {
    let mut parts = text.split('"');
    let constructor = match parts.next()?.trim_start_matches('(') {
        "ip(" => UnaryOp::Ip,
        "decimal(" => UnaryOp::Decimal,
        "datetime(" => UnaryOp::Datetime,
        "duration(" => UnaryOp::Duration,
        _ => return None,
    };
    let value = literal::extension(constructor, parts.next()?)?;
    match (value, parts.next()?) {
        (Expr::Datetime(at), after) if after.contains("offset(") => {
            match literal::extension(UnaryOp::Duration, parts.next()?)? {
                Expr::Duration(by) => at.checked_add(by).map(Expr::Datetime),
                _ => None,
            }
        }
        (value, _) => Some(value),
    }
}
