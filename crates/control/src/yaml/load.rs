//! From parser events to the tree.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{Entry, MAX_DEPTH, MAX_NODES, Node, Origin, Pos, Text, Value};

/// Why a file is no YAML that we read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The parser's word for it.
    #[error("is not YAML: {info}")]
    Malformed {
        /// What the parser found.
        info: String,
    },
    /// `&name` or `*name`.
    #[error("anchors and aliases are not supported: write the value out")]
    Alias,
    /// `!tag`.
    #[error("tags are not supported")]
    Tag,
    /// A key that is a list, a mapping, or nothing.
    #[error("a key has to be a plain string")]
    KeyNotText,
    /// The same key twice in one mapping.
    #[error("`{key}` stands here already, at line {}", first.line)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stands first.
        first: Pos,
    },
    /// More levels than any of our documents needs.
    #[error("is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More values than any set of documents needs.
    #[error("has more than {MAX_NODES} values")]
    TooLarge,
}

/// Everything that stands in a file: the documents that could be read, and the error at which reading ended.
pub(crate) struct Loaded {
    pub(crate) documents: Vec<Node>,
    pub(crate) error: Option<(Pos, SyntaxError)>,
}

/// Reads all documents of a file. Empty ones are left out.
pub(crate) fn documents(text: &str) -> Loaded {
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        nodes: 0,
    };
    let mut documents = Vec::new();
    let error = loader.stream(&mut documents).err();
    Loaded { documents, error }
}

type Failure = (Pos, SyntaxError);

struct Loader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
}

impl<'t> Loader<'t> {
    fn stream(&mut self, documents: &mut Vec<Node>) -> Result<(), Failure> {
        loop {
            match self.next()? {
                Some((Event::DocumentStart(_), _)) => {
                    let (event, span) = self.must()?;
                    let node = self.node(event, span, 0)?;
                    if node.value != Value::Null {
                        documents.push(node);
                    }
                }
                None | Some((Event::StreamEnd, _)) => return Ok(()),
                Some(_) => {}
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Failure> {
        let pos = position(span);
        self.nodes += 1;
        if depth >= MAX_DEPTH {
            return Err((pos, SyntaxError::TooDeep));
        }
        if self.nodes > MAX_NODES {
            return Err((pos, SyntaxError::TooLarge));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if tag {
            return Err((pos, SyntaxError::Tag));
        }
        if anchor != 0 {
            return Err((pos, SyntaxError::Alias));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style, span),
            Event::SequenceStart(..) => self.sequence(depth)?,
            Event::MappingStart(..) => self.mapping(depth)?,
            Event::Alias(_) => return Err((pos, SyntaxError::Alias)),
            _ => {
                return Err((
                    pos,
                    SyntaxError::Malformed {
                        info: "a value is missing".to_owned(),
                    },
                ));
            }
        };
        Ok(Node { pos, value })
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Failure> {
        let mut items = Vec::new();
        loop {
            match self.must()? {
                (Event::SequenceEnd, _) => return Ok(Value::Seq(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Failure> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (event, span) = match self.must()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                next => next,
            };
            let key = self.node(event, span, depth + 1)?;
            let (Value::Text(Text { text: name, .. }) | Value::NotText(name)) = key.value else {
                return Err((key.pos, SyntaxError::KeyNotText));
            };
            if !keys.insert(name.clone()) {
                let first = entries
                    .iter()
                    .find(|e| e.key == name)
                    .map_or(key.pos, |e| e.key_pos);
                return Err((key.pos, SyntaxError::DuplicateKey { key: name, first }));
            }
            let (event, span) = self.must()?;
            let mut value = self.node(event, span, depth + 1)?;
            if value.value == Value::Null {
                value.pos = key.pos;
            }
            entries.push(Entry {
                key: name,
                key_pos: key.pos,
                value,
            });
        }
    }

    fn must(&mut self) -> Result<(Event<'t>, Span), Failure> {
        let end = || SyntaxError::Malformed {
            info: "ends too early".to_owned(),
        };
        self.next()?
            .ok_or_else(|| (Pos { line: 1, column: 1 }, end()))
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Failure> {
        self.parser
            .next_event()
            .transpose()
            .map_err(|error| malformed(&error))
    }
}

fn scalar(text: String, style: ScalarStyle, span: Span) -> Value {
    if style == ScalarStyle::Plain && is_null(&text) {
        return Value::Null;
    }
    if style == ScalarStyle::Plain && is_number_or_truth(&text) {
        return Value::NotText(text);
    }
    let pos = position(span);
    let chars = text.chars().count();
    let one_line = span.start.line() == span.end.line();
    let origin = match style {
        // The span begins at the first line of the block that is not blank, after the indentation.
        ScalarStyle::Literal => {
            let blank = text.bytes().take_while(|&b| b == b'\n').count();
            let line = pos
                .line
                .saturating_sub(u32::try_from(blank).unwrap_or(u32::MAX))
                .max(1);
            let column = if blank == 0 { pos.column } else { 1 };
            Origin::Verbatim {
                start: Pos { line, column },
                indent: pos.column,
            }
        }
        ScalarStyle::Plain if one_line && span.len() == chars => Origin::Verbatim {
            start: pos,
            indent: pos.column,
        },
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
            if one_line && span.len() == chars + 2 =>
        {
            let start = Pos {
                line: pos.line,
                column: pos.column.saturating_add(1),
            };
            Origin::Verbatim {
                start,
                indent: pos.column,
            }
        }
        _ => Origin::Start(pos),
    };
    Value::Text(Text { text, origin })
}

fn malformed(error: &ScanError) -> Failure {
    let span = Span::empty(*error.marker());
    (
        position(span),
        SyntaxError::Malformed {
            info: error.info().to_owned(),
        },
    )
}

fn position(span: Span) -> Pos {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Pos {
        line: small(span.start.line()),
        column: small(span.start.col()).saturating_add(1),
    }
}

/// YAML 1.2 §10.3.2, `null`.
fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.2 §10.3.2, `bool`, `int` and `float`.
fn is_number_or_truth(plain: &str) -> bool {
    let digits = plain.trim_start_matches(['+', '-']);
    let based = |prefix: &str, radix: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    matches!(
        plain,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | ".nan" | ".NaN" | ".NAN"
    ) || matches!(digits, ".inf" | ".Inf" | ".INF")
        || based("0x", 16)
        || based("0o", 8)
        || (digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && plain.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> (Pos, SyntaxError) {
        documents(text).error.expect(text)
    }

    #[test]
    fn documents_keep_order_and_places() {
        let loaded = documents("a: x\n---\n---\nb:\n  - c: 'd'\n");
        assert_eq!(loaded.error, None);
        let [first, second] = &loaded.documents[..] else {
            panic!("{:?}", loaded.documents)
        };
        assert_eq!(first.pos, Pos { line: 1, column: 1 });
        let Value::Map(entries) = &second.value else {
            panic!()
        };
        let Value::Seq(items) = &entries[0].value.value else {
            panic!()
        };
        let Value::Map(inner) = &items[0].value else {
            panic!()
        };
        assert_eq!(
            (inner[0].key_pos, inner[0].value.pos),
            (Pos { line: 5, column: 5 }, Pos { line: 5, column: 8 })
        );
    }

    #[test]
    fn documents_before_a_syntax_error_are_kept() {
        let loaded = documents("a: x\n---\nb: [\n");
        assert_eq!(loaded.documents.len(), 1);
        assert!(loaded.error.is_some());
    }

    #[test]
    fn what_is_not_our_yaml_is_refused_with_its_place() {
        let at = |line, column| Pos { line, column };
        assert_eq!(failure("a: &x b\nc: *x\n"), (at(1, 4), SyntaxError::Alias));
        assert_eq!(failure("a: !!str b\n").1, SyntaxError::Tag);
        assert_eq!(failure("? [a]\n: b\n").1, SyntaxError::KeyNotText);
        let twice = SyntaxError::DuplicateKey {
            key: "a".to_owned(),
            first: at(1, 1),
        };
        assert_eq!(failure("a: b\nc: d\na: e\n"), (at(3, 1), twice));
        assert_eq!(failure(&"- ".repeat(40)).1, SyntaxError::TooDeep);
        assert_eq!(failure(&"[".repeat(40)).1, SyntaxError::TooDeep);
        assert!(documents(&"[".repeat(100_000)).error.is_some());
        assert!(matches!(
            failure("a: b: c\n"),
            (Pos { line: 1, .. }, SyntaxError::Malformed { .. })
        ));
        assert!(matches!(
            failure("a:\n\t- b\n"),
            (Pos { line: 2, .. }, SyntaxError::Malformed { .. })
        ));
    }

    #[test]
    fn plain_scalars_that_are_no_text_are_told_apart() {
        for text in [
            "1", "-1", "1.5", "1e3", "0x1f", "0o7", "true", "FALSE", ".inf", "-.inf", ".nan", "+1",
        ] {
            assert!(
                matches!(documents(text).documents[0].value, Value::NotText(_)),
                "{text}"
            );
        }
        for text in [
            "10.0.0.1:80",
            "1h",
            "0x",
            "yes",
            "no",
            "inf",
            "nan",
            "'1'",
            "\"true\"",
            "::1",
        ] {
            assert!(
                matches!(documents(text).documents[0].value, Value::Text(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_place_in_a_block_is_found_in_the_file() {
        let text = "spec:\n  cedar: |   # why\n\n    permit(\n      x);\n";
        let Value::Map(top) = &documents(text).documents[0].value else {
            panic!()
        };
        let Value::Map(spec) = &top[0].value.value else {
            panic!()
        };
        let Value::Text(cedar) = &spec[0].value.value else {
            panic!()
        };
        assert_eq!(cedar.text, "\npermit(\n  x);\n");
        assert_eq!(cedar.origin.locate(2, 1), Pos { line: 4, column: 5 });
        assert_eq!(cedar.origin.locate(3, 3), Pos { line: 5, column: 7 });
    }

    #[test]
    fn a_place_in_a_one_line_scalar_is_found_in_the_file() {
        for (text, column) in [
            ("a: xyz", 6),
            ("a: 'xyz'", 7),
            ("a: \"xyz\"", 7),
            ("a: \"x\\tyz\"", 4),
        ] {
            let Value::Map(top) = &documents(text).documents[0].value else {
                panic!()
            };
            let Value::Text(found) = &top[0].value.value else {
                panic!()
            };
            let expected = if text.contains('\\') { 4 } else { column };
            assert_eq!(
                found.origin.locate(1, 3),
                Pos {
                    line: 1,
                    column: expected
                },
                "{text}"
            );
        }
    }
}
