//! Selectors under operators, out of their message.

use tidelock_attest::{Expression, MAX_EXPRESSION_DEPTH, SelectorError};
use tidelock_proto::v1::SelectorExpression;
use tidelock_proto::v1::selector_expression::Is;

/// Why an expression cannot be read. Nobody is granted its entry.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A part of it that says nothing, or something that this agent does not know.
    #[error("a part of its expression is not known to this agent: upgrade it")]
    Unknown,
    /// More operators within each other than there may be.
    #[error("its expression is nested too deep")]
    TooDeep,
    /// A selector of it is wrong, or newer than this agent.
    #[error("`{text}`: {why}")]
    Selector {
        /// The text given.
        text: String,
        /// What is wrong with it.
        why: SelectorError,
    },
    /// A list of selectors beside the expression.
    #[error("it has a list of selectors and an expression, and only one can count")]
    Twice,
}

/// The list that an expression stands for: all of its items have to match.
pub(super) fn expression(of: SelectorExpression) -> Result<Vec<Expression>, Unreadable> {
    match of.is {
        Some(Is::AllOf(items)) => each(items.of, 0),
        _ => Ok(vec![one(of, 0)?]),
    }
}

fn each(items: Vec<SelectorExpression>, depth: usize) -> Result<Vec<Expression>, Unreadable> {
    items.into_iter().map(|item| one(item, depth)).collect()
}

fn one(of: SelectorExpression, depth: usize) -> Result<Expression, Unreadable> {
    if depth > MAX_EXPRESSION_DEPTH {
        return Err(Unreadable::TooDeep);
    }
    let deeper = depth + 1;
    Ok(match of.is.ok_or(Unreadable::Unknown)? {
        Is::Selector(text) => match text.parse() {
            Ok(selector) => Expression::Selector(selector),
            Err(why) => return Err(Unreadable::Selector { text, why }),
        },
        Is::AllOf(items) => Expression::AllOf(each(items.of, deeper)?),
        Is::AnyOf(items) => Expression::AnyOf(each(items.of, deeper)?),
        Is::Not(of) => Expression::negate(one(*of, deeper)?),
    })
}

#[cfg(test)]
mod tests {
    use tidelock_attest::SelectorsError;
    use tidelock_proto::ENTRY_VERSION;
    use tidelock_proto::v1::{Entry as Message, SelectorExpressions};

    use super::*;
    use crate::core::{Entry, EntryProblem};

    fn selector(text: &str) -> SelectorExpression {
        SelectorExpression {
            is: Some(Is::Selector(text.into())),
        }
    }

    fn not(of: SelectorExpression) -> SelectorExpression {
        SelectorExpression {
            is: Some(Is::Not(Box::new(of))),
        }
    }

    fn all(of: Vec<SelectorExpression>) -> SelectorExpression {
        SelectorExpression {
            is: Some(Is::AllOf(SelectorExpressions { of })),
        }
    }

    fn message(expression: SelectorExpression) -> Message {
        Message {
            id: "a".into(),
            spiffe_id: "spiffe://td/a".into(),
            selectors: vec![],
            x509_ttl_secs: 60,
            expression: Some(expression),
            version: ENTRY_VERSION,
        }
    }

    fn curl_but_not_root() -> SelectorExpression {
        all(vec![
            selector("unix:path:/usr/bin/curl"),
            not(selector("unix:uid:0")),
        ])
    }

    #[test]
    fn an_expression_is_read_as_the_control_plane_wrote_it() {
        let entry = Entry::parse(message(curl_but_not_root())).unwrap();
        let text = "unix:path:/usr/bin/curl, not(unix:uid:0)";
        assert_eq!(entry.selectors.to_string(), text);
    }

    /// What an agent reads that is older than expressions: fields that it does not know are not there.
    fn as_read_before_expressions(message: Message) -> Message {
        Message {
            expression: None,
            version: 0,
            ..message
        }
    }

    #[test]
    fn an_agent_older_than_expressions_refuses_the_entry() {
        let refused = Entry::parse(as_read_before_expressions(message(curl_but_not_root())));
        assert_eq!(refused, Err(EntryProblem::Selectors(SelectorsError::Empty)));
    }

    #[test]
    fn an_entry_newer_than_the_agent_is_refused() {
        let version = ENTRY_VERSION + 1;
        let refused = Entry::parse(Message {
            version,
            ..message(curl_but_not_root())
        });
        assert_eq!(refused, Err(EntryProblem::Newer { version }));
    }

    #[test]
    fn nothing_of_an_expression_is_passed_over() {
        let refused = |of| match Entry::parse(message(of)) {
            Err(EntryProblem::Expression(why)) => why,
            other => panic!("{other:?}"),
        };
        let path = || selector("unix:path:/a");
        let newer = SelectorExpression { is: None };
        let deep = (0..=MAX_EXPRESSION_DEPTH).fold(selector("unix:uid:0"), |of, _| not(of));
        assert_eq!(
            refused(all(vec![path(), newer.clone()])),
            Unreadable::Unknown
        );
        assert_eq!(refused(all(vec![path(), not(newer)])), Unreadable::Unknown);
        assert_eq!(refused(all(vec![path(), deep])), Unreadable::TooDeep);
        let unknown = refused(all(vec![path(), not(selector("k8s:ns:a"))]));
        assert!(matches!(unknown, Unreadable::Selector { .. }));
        let both = Message {
            selectors: vec!["unix:path:/a".into()],
            ..message(all(vec![path()]))
        };
        let refused = Entry::parse(both);
        assert_eq!(refused, Err(EntryProblem::Expression(Unreadable::Twice)));
    }
}
