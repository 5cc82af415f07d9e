//! Policies out of files: Cedar, or documents of kind Policy.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use saphyr_parser::ScalarStyle;

use super::suite::FileError;
use super::yaml::{self, Node, Yaml};

/// What a YAML file has of policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CedarOfYaml {
    /// The Cedar text of its documents of kind Policy, at the lines and columns at which it stands in the file: what is said of
    /// it is said of the file.
    pub cedar: String,
    /// How many documents of kind Policy there are.
    pub documents: usize,
    /// What is wrong with the file: it is no YAML, or a Policy has no text. The Cedar of the other documents is there all the same.
    pub errors: Vec<FileError>,
}

/// Takes the Cedar out of the documents of kind Policy in a YAML file. Documents of other kinds are passed over. What a Policy's
/// `mode` says does not matter here: the tools tell what policies mean, enforced or not.
#[must_use]
pub fn cedar_of_yaml(file: &str, text: &str) -> CedarOfYaml {
    let mut read = CedarOfYaml::default();
    let mut note = |failure| read.errors.push(FileError::at(file, failure));
    match yaml::documents(text) {
        Err(failure) => note(failure),
        Ok(documents) => {
            for document in &documents {
                match policy(document) {
                    Err(failure) => note(failure),
                    Ok(None) => {}
                    Ok(Some(text)) => {
                        read.documents = read.documents.saturating_add(1);
                        if let Err(failure) = place(&mut read.cedar, text) {
                            note(failure);
                        }
                    }
                }
            }
        }
    }
    read
}

/// Where a document has its Cedar; nothing if it is of another kind.
fn policy(document: &Node) -> Result<Option<&Node>, yaml::Failure> {
    let kind = document.field("kind").map(Node::text).transpose()?;
    if kind != Some("Policy") {
        return Ok(None);
    }
    let missing = || (document.pos, "`spec.cedar` is missing".to_string());
    let spec = document.field("spec").ok_or_else(missing)?;
    spec.field("cedar").ok_or_else(missing).map(Some)
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
