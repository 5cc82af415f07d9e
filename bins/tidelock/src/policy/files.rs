//! Files of policies, and what names mean.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tidelock_policy::Source;
use tidelock_policy::compile::{CompileError, SCHEMA};
use tidelock_policy::tools::{self, Facts, FileError, Policies};
use tidelock_proto::v1::SourceFormat;
use tidelock_spiffe_core::SpiffeId;

use crate::apply;
use crate::args::Output;
use crate::table::clean;

/// A file's name and the Cedar in it, at the lines at which it stands in the file.
pub(super) struct CedarFile {
    pub(super) name: String,
    pub(super) text: String,
}

/// What was read of files.
#[derive(Default)]
pub(super) struct CedarFiles {
    pub(super) files: Vec<CedarFile>,
    /// What is wrong with YAML files, before anything is said of the Cedar in them.
    pub(super) errors: Vec<FileError>,
    /// YAML files that have no document of kind Policy.
    pub(super) without: Vec<String>,
}

/// Reads policies: Cedar if a name ends in `.cedar`, else YAML documents, of which those of kind Policy count.
pub(super) fn cedar(paths: &[PathBuf]) -> anyhow::Result<CedarFiles> {
    let mut all = CedarFiles::default();
    for path in paths {
        let (name, text, format) = read(path)?;
        let text = match format {
            SourceFormat::Cedar => text,
            _ => {
                let read = tools::cedar_of_yaml(&name, &text);
                if read.documents == 0 && read.errors.is_empty() {
                    all.without.push(name.clone());
                }
                all.errors.extend(read.errors);
                read.cedar
            }
        };
        all.files.push(CedarFile { name, text });
    }
    Ok(all)
}

/// A file's name and text, and what its name says it is.
pub(super) fn read(path: &Path) -> anyhow::Result<(String, String, SourceFormat)> {
    let file = apply::read(path)?;
    let format = file.format();
    Ok((file.name, file.text, format))
}

/// The files as the compiler takes them.
pub(super) fn sources(files: &[CedarFile]) -> Vec<Source<'_>> {
    files
        .iter()
        .map(|file| Source {
            name: &file.name,
            text: &file.text,
        })
        .collect()
}

/// Compiles the policies of files, or tells all that is wrong with them.
pub(super) fn compile(
    files: &[PathBuf],
    output: Output,
) -> anyhow::Result<Result<Policies, ExitCode>> {
    let read = cedar(files)?;
    if !read.errors.is_empty() {
        return Ok(Err(tell_file_errors(&read.errors, output)));
    }
    let sources = sources(&read.files);
    match Policies::compile(SCHEMA, &sources) {
        Ok(policies) => Ok(Ok(policies)),
        Err(errors) => {
            match output {
                Output::Table => eprint!("{}", tools::show(&errors, &sources)),
                Output::Json => println!("{}", json!({ "errors": errors_json(&errors) })),
            }
            Ok(Err(ExitCode::FAILURE))
        }
    }
}

/// The published schema, and the names that SPIFFE IDs are in.
pub(super) fn facts() -> Facts<'static> {
    Facts {
        above,
        ..Facts::new(SCHEMA)
    }
}

/// A workload is in every shorter SPIFFE ID and in its trust domain: the names that the kernel gives with a request.
fn above(kind: &str, id: &str) -> Vec<(String, String)> {
    let Some(id) = Some(id).filter(|_| kind == "Workload") else {
        return Vec::new();
    };
    let Ok(id) = SpiffeId::parse(id) else {
        return Vec::new();
    };
    let domain = ("TrustDomain".into(), id.trust_domain().as_str().into());
    let shorter = id
        .ancestors()
        .map(|shorter| ("Workload".into(), shorter.to_string()));
    std::iter::once(domain).chain(shorter).collect()
}

/// Errors of a file, for people or for programs.
pub(super) fn tell_file_errors(errors: &[FileError], output: Output) -> ExitCode {
    match output {
        Output::Table => errors
            .iter()
            .for_each(|error| eprintln!("{}", clean(&error.to_string()))),
        Output::Json => println!("{}", json!({ "errors": file_errors_json(errors) })),
    }
    ExitCode::FAILURE
}

/// The same as JSON.
pub(super) fn file_errors_json(errors: &[FileError]) -> Vec<Value> {
    let errors = errors.iter().map(|error| {
        json!({
            "file": error.file,
            "line": error.line,
            "column": error.column,
            "reason": error.reason,
        })
    });
    errors.collect()
}

/// Errors or warnings as JSON; what has no place has `null` for it.
pub(super) fn errors_json(errors: &[CompileError]) -> Vec<Value> {
    let error = |error: &CompileError| {
        let place = error.place.as_ref();
        json!({
            "file": place.map(|place| &place.file),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "policy": place.map(|place| &place.policy),
            "reason": error.message(),
        })
    };
    errors.iter().map(error).collect()
}
