//! Policies out of files: Cedar, or documents of kind Policy.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use saphyr_parser::ScalarStyle;

use super::suite::FileError;
use super::yaml::{self, Node, Yaml};

/// The Cedar text of the documents of kind Policy in a YAML file, at the lines and columns at which it stands in the file:
/// what is said of it is said of the file. Documents of other kinds are passed over. What a Policy's `mode` says does not matter here: the
/// tools tell what policies mean, enforced or not.
///
/// # Errors
/// Where the file is no YAML, or a Policy has no text.
pub fn cedar_of_yaml(file: &str, text: &str) -> Result<String, FileError> {
    cedar(text).map_err(|failure| FileError::at(file, failure))
}

fn cedar(text: &str) -> Result<String, yaml::Failure> {
    let mut cedar = String::new();
    for document in yaml::documents(text)? {
        let kind = document.field("kind").map(Node::text).transpose()?;
        if kind != Some("Policy") {
            continue;
        }
        let missing = || (document.pos, "`spec.cedar` is missing".to_string());
        let spec = document.field("spec").ok_or_else(missing)?;
        place(&mut cedar, spec.field("cedar").ok_or_else(missing)?)?;
    }
    Ok(cedar)
}

/// Appends a scalar's text at the place at which it stands.
fn place(cedar: &mut String, node: &Node) -> Result<(), yaml::Failure> {
    let text = node.text()?;
    let (line, column) = node.pos;
    let style = match &node.value {
        Yaml::Scalar { style, .. } => *style,
        _ => ScalarStyle::Plain,
    };
    let blank = match style {
        ScalarStyle::Literal => text.bytes().take_while(|&byte| byte == b'\n').count(),
        _ => 0,
    };
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let here = cedar.matches('\n').count().saturating_add(1);
    let down = line.saturating_sub(blank).saturating_sub(here);
    cedar.push_str(&"\n".repeat(down));
    // What quotes open begins one column later.
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let column = column.saturating_sub(u32::from(!quoted));
    let indent = " ".repeat(usize::try_from(column).unwrap_or(0));
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| match line {
            "" => String::new(),
            line => [indent.as_str(), line].concat(),
        })
        .collect();
    cedar.push_str(&lines.join("\n"));
    Ok(())
}
