//! Documents as people write them: block YAML, with texts of several lines as they are.

use std::fmt::Write as _;

use serde_json::Value;

/// A document as YAML; nothing for none. What it says is the same document.
pub(crate) fn text(document: Option<&Value>) -> String {
    let mut text = String::new();
    if let Some(document) = document {
        block(&mut text, document, 0);
    }
    text
}

/// Writes a value on lines of its own.
fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let _ = write!(text, "{:depth$}{name}:", "");
                member(text, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(text, "{:depth$}-", "");
                member(text, item, depth);
            }
        }
        leaf => {
            let _ = writeln!(text, "{:depth$}{leaf}", "");
        }
    }
}

/// Writes what stands behind a name or a dash.
fn member(text: &mut String, value: &Value, depth: usize) {
    let nested = depth + 2;
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('\n');
            block(text, value, nested);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, nested);
        }
        Value::String(lines) if literal(lines) => {
            text.push_str(if lines.ends_with('\n') {
                " |\n"
            } else {
                " |-\n"
            });
            for line in lines.lines() {
                let _ = match line.is_empty() {
                    true => writeln!(text),
                    false => writeln!(text, "{:nested$}{line}", ""),
                };
            }
        }
        leaf => {
            let _ = writeln!(text, " {leaf}");
        }
    }
}

/// Whether a text can stand as it is: several lines, none of which would be read otherwise, or reach a terminal as more
/// than text.
fn literal(text: &str) -> bool {
    let printable = |c: char| c == '\n' || !c.is_control();
    text.contains('\n')
        && text.chars().all(printable)
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_written_as_people_write_it() {
        let document = json!({
            "kind": "Policy",
            "metadata": {"name": "web"},
            "spec": {"cedar": "permit (\n\n  principal\n);\n", "list": ["a: b", 1], "none": [], "other": "x"},
        });
        assert_eq!(
            text(Some(&document)),
            "kind: \"Policy\"\nmetadata:\n  name: \"web\"\nspec:\n  cedar: |\n    permit (\n\n      principal\n    );\n  \
             list:\n    - \"a: b\"\n    - 1\n  none: []\n  other: \"x\"\n"
        );
        assert_eq!(text(None), "");
    }

    #[test]
    fn nothing_but_text_reaches_a_terminal() {
        let text = text(Some(&json!({"a": "x\n\u{1b}[31m"})));
        assert_eq!(text, "a: \"x\\n\\u001b[31m\"\n");
    }
}
