//! What a schema says of the types of attributes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::SchemaFragment;
use serde_json::{Map, Value};

use super::source;
use crate::build::Types;

/// Types of Cedar that are neither sets nor records nor entities.
const PLAIN: [&str; 9] = [
    "Boolean",
    "Bool",
    "Long",
    "String",
    "Extension",
    "ipaddr",
    "decimal",
    "datetime",
    "duration",
];
/// How many types may be named by one another.
const MAX_NAMES: usize = 64;

/// What an attribute may hold.
#[derive(Clone, Copy, Debug, Default)]
struct Holds {
    nested: bool,
    entity: bool,
}

impl Holds {
    const ANYTHING: Self = Self {
        nested: true,
        entity: true,
    };
}

/// Types that a schema names.
#[derive(Debug, Default)]
struct Names<'j> {
    common: BTreeMap<&'j str, Vec<&'j Value>>,
    entities: Vec<&'j str>,
}

/// The types of a schema's attributes; the error is in Cedar's words, but for what Cedar does not say.
pub(super) fn types(schema: &str) -> Result<Types, String> {
    let (fragment, _) =
        SchemaFragment::from_cedarschema_str(schema).map_err(|error| error.to_string())?;
    if let Some(name) = twice(schema) {
        return Err(format!("`{name}` is declared twice"));
    }
    let json = fragment
        .to_json_value()
        .map_err(|error| error.to_string())?;
    let mut names = Names::default();
    for space in json.as_object().into_iter().flat_map(Map::values) {
        for (name, of) in members(space, "commonTypes") {
            names.common.entry(name).or_default().push(of);
        }
        let entities = members(space, "entityTypes").map(|(name, _)| name);
        names.entities.extend(entities);
    }
    let mut types = Types::default();
    let mut rest = Vec::from([&json]);
    while let Some(value) = rest.pop() {
        for (name, of) in members(value, "attributes") {
            let holds = names.holds(of);
            if holds.nested {
                types.nested.insert(name.to_string());
            }
            if holds.entity {
                types.entities.insert(name.to_string());
            }
        }
        if let Some(tags) = value.get("tags") {
            types.nested_tags |= names.holds(tags).nested;
        }
        match value {
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    Ok(types)
}

/// The first name that is given a type twice in one record: Cedar takes the last and does not say so.
fn twice(schema: &str) -> Option<&str> {
    let mut open: Vec<BTreeSet<&str>> = Vec::new();
    let mut before = ["", ""];
    for token in source::tokens(schema) {
        match (token.text, before) {
            ("{", _) => open.push(BTreeSet::new()),
            ("}", _) => drop(open.pop()),
            (":", [name, "?"] | [_, name]) => {
                let name = name.trim_matches('"');
                if open.last_mut().is_some_and(|names| !names.insert(name)) {
                    return Some(name);
                }
            }
            _ => {}
        }
        let [_, last] = before;
        before = [last, token.text];
    }
    None
}

/// The members of an object within an object; none if there is no such.
fn members<'j>(value: &'j Value, name: &str) -> impl Iterator<Item = (&'j str, &'j Value)> {
    let inner = value.get(name).and_then(Value::as_object);
    inner
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

impl Names<'_> {
    /// What a type may hold. A type that is not known may hold anything: what is slower is right too.
    fn holds(&self, of: &Value) -> Holds {
        let mut holds = Holds::default();
        let mut rest = Vec::from([of]);
        for _ in 0..MAX_NAMES {
            let Some(of) = rest.pop() else {
                return holds;
            };
            let text = |key| of.get(key).and_then(Value::as_str);
            let name = match (text("type"), text("name")) {
                (Some("Set" | "Record"), _) => {
                    holds.nested = true;
                    continue;
                }
                (Some("Entity"), _) => {
                    holds.entity = true;
                    continue;
                }
                (Some("EntityOrCommon"), Some(name)) | (Some(name), _) => name,
                _ => return Holds::ANYTHING,
            };
            let base = name.rsplit("::").next().unwrap_or(name);
            let common = self.common.get(base);
            let entity = self.entities.contains(&base);
            if !PLAIN.contains(&base) && common.is_none() && !entity {
                return Holds::ANYTHING;
            }
            holds.entity |= entity;
            rest.extend(common.into_iter().flatten());
        }
        Holds::ANYTHING
    }
}
