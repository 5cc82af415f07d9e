//! `selectors` of a WorkloadIdentity: a list of texts, and of mappings with an operator.

use tidelock_attest::{Expression, OPERATORS, SelectorBuf, Selectors, SelectorsError};

use super::Reason;
use crate::yaml::{Cursor, Reader};

/// What was read, in the order in which [`SelectorsError`] counts.
#[derive(Default)]
struct Nodes<'n> {
    at: Vec<(Cursor<'n>, String)>,
}

/// Every selector that is wrong is reported; what is wrong with them together, once they are all right.
pub(super) fn selectors(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Selectors> {
    let mut nodes = Nodes::default();
    let items = list(reader, at, &mut nodes)?;
    let refuse = |error: SelectorsError| {
        let node = |index: usize| nodes.at.get(index);
        let place = error.index().and_then(node).map_or(at, |(at, _)| at);
        let reason = match error {
            SelectorsError::Contradiction { index, other } => match (node(index), node(other)) {
                (Some((_, text)), Some((at, other))) => Reason::Contradiction {
                    text: text.clone(),
                    other: other.clone(),
                    line: at.pos().line,
                },
                _ => Reason::Selectors(error),
            },
            error => Reason::Selectors(error),
        };
        reader.refuse(place, reason);
    };
    Selectors::new(items).map_err(refuse).ok()
}

/// Recursion is bounded by how deep documents may be nested.
fn list<'n>(
    reader: &mut Reader<'_>,
    at: &Cursor<'n>,
    nodes: &mut Nodes<'n>,
) -> Option<Vec<Expression>> {
    let items = reader.list(at)?;
    let read: Vec<_> = items
        .iter()
        .map(|item| expression(reader, item, nodes))
        .collect();
    read.into_iter().collect()
}

fn expression<'n>(
    reader: &mut Reader<'_>,
    at: &Cursor<'n>,
    nodes: &mut Nodes<'n>,
) -> Option<Expression> {
    if at.is_mapping() {
        nodes.at.push((at.clone(), String::new()));
        return operator(reader, at, nodes);
    }
    let text = &reader
        .text_or(
            at,
            "a selector, or a mapping with `allOf`, `anyOf` or `not`",
        )?
        .text;
    nodes.at.push((at.clone(), text.clone()));
    match text.parse::<SelectorBuf>() {
        Ok(selector) => Some(Expression::Selector(selector)),
        Err(error) => {
            let text = text.clone();
            reader.refuse(at, Reason::Selector { text, error });
            None
        }
    }
}

fn operator<'n>(
    reader: &mut Reader<'_>,
    at: &Cursor<'n>,
    nodes: &mut Nodes<'n>,
) -> Option<Expression> {
    let fields = reader.fields(at.clone(), &OPERATORS)?;
    let mut found = OPERATORS
        .into_iter()
        .filter_map(|key| Some((key, fields.optional(key)?)));
    let (Some((key, of)), None) = (found.next(), found.next()) else {
        reader.refuse(at, Reason::OneOperator);
        return None;
    };
    match key {
        "allOf" => list(reader, &of, nodes).map(Expression::AllOf),
        "anyOf" => list(reader, &of, nodes).map(Expression::AnyOf),
        _ => expression(reader, &of, nodes).map(Expression::negate),
    }
}
