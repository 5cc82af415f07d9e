//! Reading typed values out of the tree. Nothing here stops at an error: each is noted with its place, and reading goes on.

use super::{Entry, Node, Pos, Text, Value};
use crate::document::{DocumentError, Reason};

/// Reads one file, and gathers its errors.
pub(crate) struct Reader<'e> {
    file: &'e str,
    errors: &'e mut Vec<DocumentError>,
}

/// A node and the name of the field that holds it.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'n> {
    node: &'n Node,
    field: String,
}

/// A mapping of which only known fields are left.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    at: Cursor<'n>,
}

impl<'n> Cursor<'n> {
    /// The document itself.
    pub(crate) fn document(node: &'n Node) -> Self {
        Self {
            node,
            field: String::new(),
        }
    }

    /// Where the value begins.
    pub(crate) fn pos(&self) -> Pos {
        self.node.pos
    }

    /// Whether it is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }
}

impl<'e> Reader<'e> {
    /// A reader for the file of this name.
    pub(crate) fn new(file: &'e str, errors: &'e mut Vec<DocumentError>) -> Self {
        Self { file, errors }
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &str {
        self.file
    }

    /// Notes an error at a value.
    pub(crate) fn refuse(&mut self, at: &Cursor<'_>, reason: Reason) {
        self.refuse_at(at.node.pos, at.field.clone(), reason);
    }

    /// Notes an error at a place.
    pub(crate) fn refuse_at(&mut self, pos: Pos, field: String, reason: Reason) {
        self.errors.push(DocumentError {
            file: self.file.to_owned(),
            pos: Some(pos),
            field,
            reason,
        });
    }

    /// The value is a mapping with no other fields than these.
    pub(crate) fn fields<'n>(
        &mut self,
        at: Cursor<'n>,
        known: &'static [&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &at.node.value else {
            self.wrong_shape(&at, "a mapping");
            return None;
        };
        for entry in entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            self.refuse_at(
                entry.key_pos,
                join(&at.field, &entry.key),
                Reason::UnknownField { known },
            );
        }
        Some(Fields { entries, at })
    }

    /// A field that has to be there.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Option<Cursor<'n>> {
        let found = fields.optional(key);
        if found.is_none() {
            self.refuse_at(
                fields.at.pos(),
                join(&fields.at.field, key),
                Reason::Missing,
            );
        }
        found
    }

    /// The value is a string.
    pub(crate) fn text<'n>(&mut self, at: &Cursor<'n>) -> Option<&'n Text> {
        self.text_or(at, "a string")
    }

    /// The value is a string, where something else could have stood too.
    pub(crate) fn text_or<'n>(
        &mut self,
        at: &Cursor<'n>,
        expected: &'static str,
    ) -> Option<&'n Text> {
        match &at.node.value {
            Value::Text(text) => return Some(text),
            Value::NotText(text) => self.refuse(at, Reason::NotText { text: text.clone() }),
            _ => self.wrong_shape(at, expected),
        }
        None
    }

    /// The value is a list.
    pub(crate) fn list<'n>(&mut self, at: &Cursor<'n>) -> Option<Vec<Cursor<'n>>> {
        let Value::Seq(items) = &at.node.value else {
            self.wrong_shape(at, "a list");
            return None;
        };
        let item = |(n, node)| Cursor {
            node,
            field: format!("{}[{n}]", at.field),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The value is a list with at least one item; no items are given if it is not.
    pub(crate) fn filled_list<'n>(&mut self, at: &Cursor<'n>) -> Vec<Cursor<'n>> {
        let items = self.list(at);
        if items.as_ref().is_some_and(Vec::is_empty) {
            self.refuse(at, Reason::EmptyList);
        }
        items.unwrap_or_default()
    }

    fn wrong_shape(&mut self, at: &Cursor<'_>, expected: &'static str) {
        let found = match at.node.value {
            Value::Null => "empty",
            Value::NotText(_) => "a number or truth value",
            Value::Text(_) => "a string",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        self.refuse(at, Reason::WrongShape { expected, found });
    }
}

impl<'n> Fields<'n> {
    /// A field that may be absent.
    pub(crate) fn optional(&self, key: &str) -> Option<Cursor<'n>> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        Some(Cursor {
            node: &entry.value,
            field: join(&self.at.field, key),
        })
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
