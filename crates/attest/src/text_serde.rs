//! Selectors in documents: a list of texts, and of mappings with an operator.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::expression::{Expression, OPERATORS};
use crate::selector_buf::SelectorBuf;
use crate::selectors::Selectors;

impl Serialize for SelectorBuf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SelectorBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        selector(&text)
    }
}

fn selector<E: Error>(text: &str) -> Result<SelectorBuf, E> {
    text.parse()
        .map_err(|error| E::custom(alloc::format!("`{text}`: {error}")))
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [all_of, any_of, not] = OPERATORS;
        if let Self::Selector(selector) = self {
            return selector.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Selector(_) => {}
            Self::AllOf(items) => map.serialize_entry(all_of, items)?,
            Self::AnyOf(items) => map.serialize_entry(any_of, items)?,
            Self::Not(of) => map.serialize_entry(not, of)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Item)
    }
}

struct Item;

impl<'de> Visitor<'de> for Item {
    type Value = Expression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a selector, or a mapping with one of `allOf`, `anyOf` and `not`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Expression, E> {
        selector(text).map(Expression::Selector)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expression, A::Error> {
        let [all_of, any_of, not] = OPERATORS;
        let Some(key) = map.next_key::<Cow<'de, str>>()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let of = match &*key {
            key if key == all_of => Expression::AllOf(map.next_value()?),
            key if key == any_of => Expression::AnyOf(map.next_value()?),
            key if key == not => Expression::Not(map.next_value::<Box<Expression>>()?),
            key => return Err(A::Error::unknown_field(key, &OPERATORS)),
        };
        match map.next_key::<Cow<'de, str>>()? {
            None => Ok(of),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
}

impl Serialize for Selectors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.expressions())
    }
}

impl<'de> Deserialize<'de> for Selectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<Expression>::deserialize(deserializer)?;
        Self::new(items).map_err(D::Error::custom)
    }
}
