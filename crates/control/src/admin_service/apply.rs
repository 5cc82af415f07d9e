//! Applying and deleting documents.

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::apply_response::{Applied, Refused, Result as Outcome};
use tonic::Status;

use crate::convert::kind_of;
use crate::core::{ChangeError, Core};
use crate::document::{DocumentError, Format, SourceFile};
use crate::name::Name;

pub(super) async fn apply(
    core: &Arc<Core>,
    request: v1::ApplyRequest,
) -> Result<v1::ApplyResponse, Status> {
    let files = request
        .files
        .into_iter()
        .map(source_file)
        .collect::<Result<Vec<_>, _>>()?;
    let mut warnings = Vec::new();
    let outcome = match core.apply(files).await {
        Ok(changed) => {
            warnings = changed.warnings.iter().map(error).collect();
            let (generation, documents) = (changed.generation, changed.documents);
            Outcome::Applied(Applied {
                generation,
                documents,
            })
        }
        Err(ChangeError::Refused(errors)) => {
            let errors = errors.iter().map(error).collect::<Vec<_>>();
            tracing::info!(errors = errors.len(), "documents refused");
            Outcome::Refused(Refused { errors })
        }
        Err(error) => return Err(failed(error)),
    };
    Ok(v1::ApplyResponse {
        result: Some(outcome),
        warnings,
    })
}

pub(super) async fn delete(
    core: &Arc<Core>,
    request: &v1::DeleteRequest,
) -> Result<v1::DeleteResponse, Status> {
    let kind = kind_of(request.kind())
        .ok_or_else(|| Status::invalid_argument("there is no such kind of document"))?;
    let name = Name::parse(&request.name)
        .map_err(|error| Status::invalid_argument(format!("`{}` {error}", request.name)))?;
    match core.delete((kind, name.clone())).await {
        Ok(changed) => Ok(v1::DeleteResponse {
            generation: changed.generation,
        }),
        Err(ChangeError::NotFound) => {
            Err(Status::not_found(format!("there is no {kind} `{name}`")))
        }
        Err(error) => Err(failed(error)),
    }
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

fn error(error: &DocumentError) -> v1::DocumentError {
    v1::DocumentError {
        file: error.file.clone(),
        line: error.pos.map_or(0, |pos| pos.line),
        column: error.pos.map_or(0, |pos| pos.column),
        field: error.field.clone(),
        reason: error.reason.to_string(),
    }
}

fn failed(error: ChangeError) -> Status {
    match error {
        ChangeError::Refused(errors) => {
            let reasons: Vec<_> = errors.iter().map(DocumentError::to_string).collect();
            Status::failed_precondition(reasons.join("\n"))
        }
        ChangeError::NotFound => Status::not_found("there is no such document"),
        ChangeError::Store(error) => {
            tracing::error!(%error, "a change cannot be stored");
            Status::internal(format!("nothing was changed: {error}"))
        }
        ChangeError::Broken => Status::internal("the change failed; see the control plane's log"),
    }
}
