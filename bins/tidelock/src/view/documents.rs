//! Names of document kinds and of what became of documents.

use tidelock_proto::v1::{Change, DocumentKind};

/// A document's kind as documents write it.
pub(crate) fn kind_name(kind: i32) -> &'static str {
    match DocumentKind::try_from(kind) {
        Ok(DocumentKind::WorkloadIdentity) => "WorkloadIdentity",
        Ok(DocumentKind::Service) => "Service",
        Ok(DocumentKind::Policy) => "Policy",
        Ok(DocumentKind::Operator) => "Operator",
        Ok(DocumentKind::NodeGroup) => "NodeGroup",
        Ok(DocumentKind::TrustDomain) => "TrustDomain",
        Ok(DocumentKind::Unspecified) | Err(_) => "Document",
    }
}

/// What became of a document.
pub(crate) fn change_name(change: i32) -> &'static str {
    match Change::try_from(change) {
        Ok(Change::Created) => "created",
        Ok(Change::Updated) => "updated",
        Ok(Change::Unchanged) => "unchanged",
        Ok(Change::Deleted) => "deleted",
        Ok(Change::Unspecified) | Err(_) => "changed",
    }
}
