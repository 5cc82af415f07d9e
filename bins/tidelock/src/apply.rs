//! `apply` and `delete`: what changes documents.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;
use tidelock_proto::MAX_MESSAGE_BYTES;
use tidelock_proto::v1::{
    ApplyRequest, DeleteRequest, DocumentError, DocumentKind, DocumentName, SourceFile,
    SourceFormat, apply_response, delete_response,
};

use crate::args::{Kind, Output};
use crate::connect::{Admin, refusal};
use crate::view::documents::{change_name, kind_name};

pub(crate) const NO_ANSWER: &str =
    "the control plane answered neither yes nor no: is it newer than this `tidelock`?";

/// The name under which standard input appears in errors.
const STDIN: &str = "<stdin>";

/// Sends all files in one request. Errors go to standard error, each as `file:line:column: reason`.
pub(crate) async fn apply(
    admin: &mut Admin,
    files: &[impl AsRef<Path>],
    output: Output,
) -> anyhow::Result<ExitCode> {
    let files = read_all(files)?;
    let answer = admin
        .apply(ApplyRequest { files })
        .await
        .map_err(refusal)?
        .into_inner();
    match answer.result {
        Some(apply_response::Result::Applied(applied)) => {
            tell_applied(&applied, &answer.warnings, output)
        }
        Some(apply_response::Result::Refused(refused)) => tell_refused(&refused, output),
        None => bail!(NO_ANSWER),
    }
}

/// What is to be removed: documents by kind and name, and those that the files hold.
pub(crate) fn deletion(
    documents: Vec<(Kind, String)>,
    files: &[impl AsRef<Path>],
    ignore_not_found: bool,
) -> anyhow::Result<DeleteRequest> {
    let documents = documents.into_iter().map(|(kind, name)| DocumentName {
        kind: DocumentKind::from(kind).into(),
        name,
    });
    Ok(DeleteRequest {
        documents: documents.collect(),
        files: read_all(files)?,
        ignore_not_found,
    })
}

/// Removes documents in one request.
pub(crate) async fn delete(
    admin: &mut Admin,
    request: DeleteRequest,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let answer = admin.delete(request).await.map_err(refusal)?.into_inner();
    match answer.result {
        Some(delete_response::Result::Deleted(deleted)) => tell_applied(&deleted, &[], output),
        Some(delete_response::Result::Refused(refused)) => tell_refused(&refused, output),
        None => bail!(NO_ANSWER),
    }
}

fn tell_applied(
    applied: &apply_response::Applied,
    warnings: &[DocumentError],
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            tell_warnings(warnings);
            write!(out, "{}", applied_text(applied))?;
        }
        Output::Json => writeln!(out, "{}", applied_json(applied, warnings))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells people what is odd about files that are not refused, on standard error.
pub(crate) fn tell_warnings(warnings: &[DocumentError]) {
    for line in refused_text(warnings).lines() {
        eprintln!("warning: {line}");
    }
}

fn tell_refused(refused: &apply_response::Refused, output: Output) -> anyhow::Result<ExitCode> {
    tell_errors(&refused.errors, output)?;
    Ok(ExitCode::FAILURE)
}

/// Tells what is wrong with files.
pub(crate) fn tell_errors(errors: &[DocumentError], output: Output) -> anyhow::Result<()> {
    match output {
        Output::Table => eprint!("{}", refused_text(errors)),
        Output::Json => writeln!(std::io::stdout(), "{}", refused_json(errors))?,
    }
    Ok(())
}

/// Reads files as one request holds them.
pub(crate) fn read_all(files: &[impl AsRef<Path>]) -> anyhow::Result<Vec<SourceFile>> {
    let mut total_bytes = 0;
    files
        .iter()
        .map(|file| {
            let file = read(file.as_ref())?;
            total_bytes += file.text.len();
            if total_bytes > MAX_MESSAGE_BYTES {
                bail!("more than {MAX_MESSAGE_BYTES} bytes in one request");
            }
            Ok(file)
        })
        .collect()
}

/// Reads one file; its name's ending says what it is.
pub(crate) fn read(path: &Path) -> anyhow::Result<SourceFile> {
    let (name, text) = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context(STDIN)?;
        (STDIN.to_owned(), text)
    } else {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
        (name, text)
    };
    let format = match path.extension().and_then(|ending| ending.to_str()) {
        Some("cedar") => SourceFormat::Cedar,
        _ => SourceFormat::Yaml,
    };
    Ok(SourceFile {
        name,
        text,
        format: format.into(),
    })
}

fn applied_text(applied: &apply_response::Applied) -> String {
    let mut text = String::new();
    for document in &applied.documents {
        let (kind, change) = (kind_name(document.kind), change_name(document.change));
        let _ = writeln!(text, "{kind} {} {change}", document.name);
    }
    let _ = writeln!(text, "generation {}", applied.generation);
    text
}

fn applied_json(
    applied: &apply_response::Applied,
    warnings: &[DocumentError],
) -> serde_json::Value {
    let documents: Vec<_> = applied
        .documents
        .iter()
        .map(|document| {
            json!({
                "kind": kind_name(document.kind),
                "name": document.name,
                "change": change_name(document.change),
            })
        })
        .collect();
    json!({
        "generation": applied.generation,
        "documents": documents,
        "warnings": errors_json(warnings),
    })
}

/// `file:line:column: field: reason`, a line each; parts that are not known are left out.
fn refused_text(errors: &[DocumentError]) -> String {
    let mut text = String::new();
    for error in errors {
        text.push_str(&error.file);
        for position in [error.line, error.column] {
            if position == 0 {
                break;
            }
            let _ = write!(text, ":{position}");
        }
        if !error.field.is_empty() {
            let _ = write!(text, ": {}", error.field);
        }
        let reason = error.reason.replace('\n', " ");
        let _ = writeln!(text, ": {reason}");
    }
    text
}

fn refused_json(errors: &[DocumentError]) -> serde_json::Value {
    json!({"errors": errors_json(errors)})
}

/// What is wrong or odd, a value each; positions that are not known are null.
pub(crate) fn errors_json(errors: &[DocumentError]) -> serde_json::Value {
    errors
        .iter()
        .map(|error| {
            json!({
                "file": error.file,
                "line": (error.line > 0).then_some(error.line),
                "column": (error.column > 0).then_some(error.column),
                "field": error.field,
                "reason": error.reason,
                "code": error.code,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::{Change, DocumentChange};

    use super::*;

    fn error(line: u32, column: u32, field: &str) -> DocumentError {
        DocumentError {
            file: "a.yaml".into(),
            line,
            column,
            field: field.into(),
            reason: "unknown\nselector".into(),
            code: "SELECTORS_INVALID".into(),
        }
    }

    #[test]
    fn errors_are_a_line_each_with_position_and_reason() {
        let errors = [
            error(3, 7, "spec.selectors[0]"),
            error(3, 7, ""),
            error(3, 0, ""),
            error(0, 0, ""),
        ];
        assert_eq!(
            refused_text(&errors),
            "a.yaml:3:7: spec.selectors[0]: unknown selector\n\
             a.yaml:3:7: unknown selector\n\
             a.yaml:3: unknown selector\n\
             a.yaml: unknown selector\n"
        );
    }

    #[test]
    fn json_errors_have_null_for_positions_not_known() {
        let value = refused_json(&[error(3, 0, "f")]);
        assert_eq!(value["errors"][0]["line"], 3);
        assert!(value["errors"][0]["column"].is_null());
        assert_eq!(value["errors"][0]["code"], "SELECTORS_INVALID");
    }

    #[test]
    fn every_document_is_named_with_what_became_of_it() {
        let applied = apply_response::Applied {
            generation: 4,
            documents: vec![DocumentChange {
                kind: DocumentKind::WorkloadIdentity.into(),
                name: "web".into(),
                change: Change::Updated.into(),
            }],
        };
        assert_eq!(
            applied_text(&applied),
            "WorkloadIdentity web updated\ngeneration 4\n"
        );
        let told = applied_json(&applied, &[error(3, 7, "spec.cedar")]);
        assert_eq!(told["documents"][0]["change"], "updated");
        assert_eq!(told["warnings"][0]["line"], 3);
    }

    #[test]
    fn the_ending_tells_cedar_from_yaml() {
        let dir = std::env::temp_dir().join(format!("tidelock-apply-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (name, format) in [
            ("a.cedar", SourceFormat::Cedar),
            ("a.yml", SourceFormat::Yaml),
        ] {
            let path = dir.join(name);
            std::fs::write(&path, "x").unwrap();
            assert_eq!(read(&path).unwrap().format, i32::from(format));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
