//! JSON (RFC 8259) in the strict form that JOSE asks for: no name twice in an object.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Why bytes are not the JSON expected. Lines and columns count from 1, columns in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8 (RFC 8259 §8.1).
    NotUtf8 {
        /// The first byte that is not, counted from 0.
        at: usize,
    },
    /// Not JSON, or values nested more than 127 deep.
    Syntax {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A name that is in an object twice (RFC 7515 §4, RFC 7519 §4): readers would disagree.
    Duplicate {
        /// The line of the second.
        line: usize,
        /// The column of the second.
        column: usize,
    },
}

/// One value. Its size is bounded by its text: 16 bytes and less for each byte, and no deeper than serde_json recurses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

/// The members of an object, by name.
pub(crate) type Object = BTreeMap<String, Json>;

/// Reads one value and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    let text = core::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The only error that the visitor below makes itself.
        if error.classify() == Category::Data {
            JsonError::Duplicate { line, column }
        } else {
            JsonError::Syntax { line, column }
        }
    })
}

/// Writes a string, quotes included (RFC 8259 §7).
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => out.push_str(&alloc::format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

impl Number {
    /// The whole seconds of a NumericDate (RFC 7519 §2), and whether there is a fraction of one more. What lies beyond
    /// all calendars is the nearest that an `i64` holds.
    pub(crate) fn seconds(self) -> (i64, bool) {
        match self {
            Self::Unsigned(seconds) => (i64::try_from(seconds).unwrap_or(i64::MAX), false),
            Self::Negative(seconds) => (seconds, false),
            Self::Float(seconds) => {
                let whole = truncated(seconds);
                (whole, seconds % 1.0 != 0.0)
            }
        }
    }
}

#[expect(
    clippy::as_conversions,
    reason = "the one conversion from a float, and it saturates"
)]
fn truncated(number: f64) -> i64 {
    number as i64
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(Number::Unsigned(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(Number::Negative(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(Number::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(String::from(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Object::new();
        while let Some(name) = map.next_key::<String>()? {
            match members.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a name is there twice")),
                Entry::Vacant(place) => place.insert(map.next_value()?),
            };
        }
        Ok(Json::Object(members))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotUtf8 { at } => write!(f, "JSON is not UTF-8 at byte {at}"),
            Self::Syntax { line, column } => {
                write!(f, "JSON malformed at line {line}, column {column}")
            }
            Self::Duplicate { line, column } => {
                write!(
                    f,
                    "JSON repeats a member's name at line {line}, column {column}"
                )
            }
        }
    }
}

impl core::error::Error for JsonError {}

#[cfg(test)]
mod tests;
