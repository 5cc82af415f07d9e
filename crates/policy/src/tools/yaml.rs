//! The small part of YAML that test files and documents are written in, as a tree that knows where everything stands:
//! mappings with string keys, sequences and scalars. Anchors, aliases, tags and keys given twice are refused.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::Value as Json;

/// Deepest nesting of a document.
const MAX_DEPTH: usize = 24;

/// A place in a file: line and column, from 1.
pub(super) type Pos = (u32, u32);

/// What is wrong, and where.
pub(super) type Failure = (Pos, String);

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) pos: Pos,
    pub(super) value: Yaml,
}

#[derive(Clone, Debug)]
pub(super) enum Yaml {
    Scalar { text: String, style: ScalarStyle },
    Seq(Vec<Node>),
    Map(Vec<(Pos, String, Node)>),
}

/// All documents of a file.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Failure> {
    let mut loader = Loader(Parser::new_from_str(text));
    let mut documents = Vec::new();
    loop {
        match loader.next()? {
            (Event::DocumentStart(_), _) => {
                let next = loader.next()?;
                let node = loader.node(next, 0)?;
                if !matches!(&node.value, Yaml::Scalar { text, .. } if text.is_empty()) {
                    documents.push(node);
                }
            }
            (Event::StreamEnd, _) => return Ok(documents),
            _ => {}
        }
    }
}

struct Loader<'t>(Parser<'t, StrInput<'t>>);

impl<'t> Loader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Failure> {
        match self.0.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = pos(&Span::empty(*error.marker()));
                Err((at, format!("is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, span): (Event<'t>, Span), depth: usize) -> Result<Node, Failure> {
        let pos = pos(&span);
        let refused = |what: &str| Err((pos, what.to_string()));
        if depth > MAX_DEPTH {
            return refused("is nested too deep");
        }
        let deeper = depth.saturating_add(1);
        let value = match event {
            Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) => {
                return refused("anchors are not supported: write the value out");
            }
            Event::MappingStart(1.., _) | Event::Alias(_) => {
                return refused("anchors and aliases are not supported: write the value out");
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return refused("tags are not supported");
            }
            Event::Scalar(text, style, ..) => Yaml::Scalar {
                text: text.into_owned(),
                style,
            },
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Yaml::Seq(items),
                        next => items.push(self.node(next, deeper)?),
                    }
                }
            }
            Event::MappingStart(_, None) => self.mapping(deeper)?,
            _ => return refused("a value is missing"),
        };
        Ok(Node { pos, value })
    }

    fn mapping(&mut self, depth: usize) -> Result<Yaml, Failure> {
        let mut entries: Vec<(Pos, String, Node)> = Vec::new();
        let mut names = BTreeSet::new();
        loop {
            let next = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Yaml::Map(entries)),
                next => next,
            };
            let key = self.node(next, depth)?;
            let Yaml::Scalar { text, .. } = key.value else {
                return Err((key.pos, "a key has to be a string".to_string()));
            };
            if !names.insert(text.clone()) {
                return Err((key.pos, format!("`{text}` is given twice")));
            }
            let next = self.next()?;
            entries.push((key.pos, text, self.node(next, depth)?));
        }
    }
}

fn pos(span: &Span) -> Pos {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (
        small(span.start.line()),
        small(span.start.col()).saturating_add(1),
    )
}

impl Node {
    /// The fields of a mapping, all of which are known.
    pub(super) fn fields(&self, known: &[&str]) -> Result<Fields<'_>, Failure> {
        let Yaml::Map(entries) = &self.value else {
            return Err((
                self.pos,
                format!("has to be a mapping of {}", known.join(", ")),
            ));
        };
        match entries
            .iter()
            .find(|(_, key, _)| !known.contains(&key.as_str()))
        {
            Some((pos, key, _)) => Err((
                *pos,
                format!(
                    "`{key}` is not a known field; known are {}",
                    known.join(", ")
                ),
            )),
            None => Ok(Fields { of: self, entries }),
        }
    }

    /// A field of a mapping of which not all fields are known.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Yaml::Map(entries) => entries
                .iter()
                .find(|(_, key, _)| key == name)
                .map(|(.., node)| node),
            _ => None,
        }
    }

    /// A scalar, as written.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        match &self.value {
            Yaml::Scalar { text, .. } => Ok(text),
            _ => Err((self.pos, "has to be a string".to_string())),
        }
    }

    pub(super) fn list(&self) -> Result<&[Self], Failure> {
        match &self.value {
            Yaml::Seq(items) => Ok(items),
            _ => Err((self.pos, "has to be a list".to_string())),
        }
    }

    /// The same as JSON: plain scalars may be numbers, truth values or null.
    pub(super) fn json(&self) -> Json {
        match &self.value {
            Yaml::Scalar { text, style } => match style {
                ScalarStyle::Plain => plain(text),
                _ => Json::from(text.as_str()),
            },
            Yaml::Seq(items) => items.iter().map(Self::json).collect(),
            Yaml::Map(entries) => {
                let entry = |(_, key, value): &(Pos, String, Self)| (key.clone(), value.json());
                Json::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

/// YAML 1.2 §10.3.2; an address such as `10.0.0.1` is a string.
fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Json::from(text), Json::from),
    }
}

/// The fields of a mapping.
pub(super) struct Fields<'n> {
    of: &'n Node,
    entries: &'n [(Pos, String, Node)],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(_, key, _)| key == name);
        found.map(|(.., node)| node)
    }

    /// A field that has to be there.
    pub(super) fn must(&self, name: &str) -> Result<&'n Node, Failure> {
        self.get(name)
            .ok_or_else(|| (self.of.pos, format!("`{name}` is missing")))
    }
}
