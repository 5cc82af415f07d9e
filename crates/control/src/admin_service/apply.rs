//! Applying and deleting documents.

use std::sync::Arc;

use tidelock_proto::v1::apply_response::{Applied, Refused, Result as Outcome};
use tidelock_proto::v1::delete_response::Result as Deletion;
use tidelock_proto::{ErrorCode, v1};
use tonic::Status;

use crate::convert::kind_of;
use crate::core::{ChangeError, Changed, Core};
use crate::document::{DocumentError, Format, Key, Reason, SourceFile};
use crate::roles::Permit;
use crate::store::StoreError;

/// How many of the documents that a caller may not change are named in the audit log.
const MAX_AUDITED: usize = 8;

pub(super) async fn apply(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::ApplyRequest,
) -> Result<v1::ApplyResponse, Status> {
    let files = source_files(request.files)?;
    let mut warnings = Vec::new();
    let outcome = match core.apply(permit.clone(), files).await {
        Ok(changed) => {
            warnings = changed.warnings.iter().map(warning).collect();
            Outcome::Applied(applied(changed))
        }
        Err(ChangeError::Refused(errors)) => Outcome::Refused(refused(&errors)),
        Err(ChangeError::NotPermitted(errors)) => {
            Outcome::Refused(not_permitted(core, &permit, &errors).await)
        }
        Err(error) => return Err(failed(core, &permit, error).await),
    };
    Ok(v1::ApplyResponse {
        result: Some(outcome),
        warnings,
    })
}

pub(super) async fn delete(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::DeleteRequest,
) -> Result<v1::DeleteResponse, Status> {
    let keys = request
        .documents
        .iter()
        .map(key)
        .collect::<Result<Vec<_>, _>>()?;
    let files = source_files(request.files)?;
    let deleted = core.delete(permit.clone(), keys, files, request.ignore_not_found);
    let outcome = match deleted.await {
        Ok(changed) => Deletion::Deleted(applied(changed)),
        Err(ChangeError::Refused(errors)) => Deletion::Refused(refused(&errors)),
        Err(ChangeError::NotPermitted(errors)) => {
            Deletion::Refused(not_permitted(core, &permit, &errors).await)
        }
        Err(error) => return Err(failed(core, &permit, error).await),
    };
    Ok(v1::DeleteResponse {
        result: Some(outcome),
    })
}

fn key(document: &v1::DocumentName) -> Result<Key, Status> {
    let kind = kind_of(document.kind())
        .ok_or_else(|| Status::invalid_argument("there is no such kind of document"))?;
    let name = kind
        .parse_name(&document.name)
        .map_err(|error| Status::invalid_argument(format!("`{}` {error}", document.name)))?;
    Ok((kind, name))
}

fn applied(changed: Changed) -> Applied {
    Applied {
        generation: changed.generation,
        documents: changed.documents,
    }
}

pub(super) fn refused(errors: &[DocumentError]) -> Refused {
    tracing::info!(errors = errors.len(), "documents refused");
    Refused {
        errors: errors.iter().map(error).collect(),
    }
}

/// Says what the caller may not change, and writes it down.
pub(super) async fn not_permitted(
    core: &Core,
    permit: &Permit,
    errors: &[DocumentError],
) -> Refused {
    if let Some(operator) = permit.operator() {
        let mut why: Vec<String> = errors.iter().map(DocumentError::to_string).collect();
        let more = why.len().saturating_sub(MAX_AUDITED);
        why.truncate(MAX_AUDITED);
        if more > 0 {
            why.push(format!("and {more} more"));
        }
        core.tell_refused(operator, permit.remote(), permit.call(), &why.join("; "))
            .await;
    }
    refused(errors)
}

pub(super) fn source_files(files: Vec<v1::SourceFile>) -> Result<Vec<SourceFile>, Status> {
    files.into_iter().map(source_file).collect()
}

fn source_file(file: v1::SourceFile) -> Result<SourceFile, Status> {
    let format = match file.format() {
        v1::SourceFormat::Yaml => Format::Yaml,
        v1::SourceFormat::Cedar => Format::Cedar,
        v1::SourceFormat::Unspecified => {
            return Err(Status::invalid_argument(format!(
                "`{}` has no format",
                file.name
            )));
        }
    };
    Ok(SourceFile {
        name: file.name,
        text: file.text,
        format,
    })
}

pub(super) fn error(error: &DocumentError) -> v1::DocumentError {
    v1::DocumentError {
        file: error.file.clone(),
        line: error.pos.map_or(0, |pos| pos.line),
        column: error.pos.map_or(0, |pos| pos.column),
        field: error.field.clone(),
        reason: error.reason.to_string(),
        code: error.reason.code().to_string(),
    }
}

/// What is odd, and would be an error if it were wrong.
pub(super) fn warning(odd: &DocumentError) -> v1::DocumentError {
    let code = match odd.reason {
        Reason::Policy { .. } => ErrorCode::PolicyOdd,
        ref other => other.code(),
    };
    let code = code.to_string();
    v1::DocumentError { code, ..error(odd) }
}

pub(super) async fn failed(core: &Core, permit: &Permit, error: ChangeError) -> Status {
    match error {
        ChangeError::Permit(refusal) => core.tell_refusal(permit, refusal).await,
        ChangeError::Refused(errors) | ChangeError::NotPermitted(errors) => {
            let reasons: Vec<_> = errors.iter().map(DocumentError::to_string).collect();
            Status::failed_precondition(reasons.join("\n"))
        }
        ChangeError::NotFound(missing) => {
            let missing: Vec<_> = missing
                .iter()
                .map(|(kind, name)| format!("there is no {kind} `{name}`"))
                .collect();
            ErrorCode::DocumentNotFound.status(missing.join("\n"))
        }
        ChangeError::Store(error) => {
            tracing::error!(%error, "a change cannot be stored");
            let code = match error {
                StoreError::Full => ErrorCode::StoreFull,
                _ => ErrorCode::Internal,
            };
            code.status(format!("nothing was changed: {error}"))
        }
        ChangeError::Broken => Status::internal("the change failed; see the control plane's log"),
    }
}
