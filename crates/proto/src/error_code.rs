//! The codes of errors, for programs. What they say does not change; messages, which are for people, may.

use std::fmt;

use tonic::{Code, Status};

/// The entry of a gRPC status' metadata that has the code.
pub const ERROR_CODE_METADATA: &str = "tidelock-code";

/// Why something was refused or failed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Who calls is not proven, or not believed any more: no certificate, an expired or revoked one, or no Operator or node of that name.
    CallerUnknown,
    /// The caller's roles and prefixes do not give this. Of documents too; nothing is changed then.
    NotPermitted,
    /// Something in the request cannot be; asking again does not help.
    ArgumentInvalid,
    /// A JWT-SVID is asked for without audiences, with too many, or with one that cannot be.
    AudienceInvalid,
    /// A JWT-SVID is asked for that would live longer than its SPIFFE ID is given, or too short to be of use.
    JwtLifeInvalid,
    /// This control plane has no such call.
    CallUnknown,
    /// There is no document of this kind and name.
    DocumentNotFound,
    /// There is no Operator of this name; apply one first.
    OperatorNotFound,
    /// There is no authority of this name.
    AuthorityNotFound,
    /// Nothing of this serial number, or for this SPIFFE ID, was ever issued here.
    SvidNotFound,
    /// No node of this name has ever joined.
    NodeNotFound,
    /// Something else that is not there.
    NotFound,
    /// The authority is not where in its life this step begins.
    AuthorityState,
    /// Not everyone can know the authority yet; the message says when.
    AuthorityTooSoon,
    /// Nodes that are connected do not say yet that they know the authority.
    NodesBehind,
    /// The control plane has no roots for nodes' certificates: start it with `--x509pop-ca-bundle`.
    X509popOff,
    /// A node's certificate, or the proof of its key, does not hold; the message says why.
    NodeCertificateRefused,
    /// The node joined by a token, or was revoked: allow it a certificate first.
    NodeCertificateNotAllowed,
    /// Something else stands in the way; the message says what.
    NotPossible,
    /// Nodes take no further revoked SVID: move to another authority, or ask again when there is room.
    RevokedTooMany,
    /// Too much was asked for; later there is room.
    LimitReached,
    /// The control plane stops, or cannot be reached; ask again.
    Unavailable,
    /// There is no room where the control plane's store is: nothing was issued or changed.
    StoreFull,
    /// The control plane failed and changed nothing; its log says why.
    Internal,
    /// It is not YAML that is read.
    YamlSyntax,
    /// There is no document in it.
    NoDocument,
    /// A field is missing.
    FieldMissing,
    /// No such document has this field.
    FieldUnknown,
    /// A field has another shape than it has to have, or is empty.
    FieldShape,
    /// An item is in a list twice.
    ItemRepeated,
    /// This control plane does not read that version of documents.
    ApiVersionUnknown,
    /// There is no such kind of document.
    KindUnknown,
    /// A field takes one of a few words, and this is none of them.
    ValueUnknown,
    /// Two fields of a document cannot both be as they are.
    FieldConflict,
    /// It is not the name of a document, node or server.
    NameInvalid,
    /// A certificate cannot be read, or is none of an authority.
    CertificateInvalid,
    /// A document is given twice.
    DocumentDuplicate,
    /// It is not the SPIFFE ID of a workload.
    SpiffeIdInvalid,
    /// It is not a template that gives every process a SPIFFE ID.
    TemplateInvalid,
    /// Two identities could have one SPIFFE ID.
    SpiffeIdAmbiguous,
    /// An identity is for a NodeGroup that there is not.
    NodeGroupUnknown,
    /// A node is in two of the NodeGroups that one `{{node.group}}` could stand for.
    NodeGroupsShared,
    /// A SPIFFE ID, or a TrustDomain document, is of another trust domain.
    TrustDomainForeign,
    /// A SPIFFE ID is Tidelock's own.
    SpiffeIdReserved,
    /// Selectors that are none, contradict each other, or would match too much.
    SelectorsInvalid,
    /// A span of time that is none, or out of bounds.
    DurationInvalid,
    /// An identity says a longer life than the TrustDomain allows.
    TtlAboveMaximum,
    /// It is not an address with a port.
    AddressInvalid,
    /// Two Services claim one address.
    AddressOverlap,
    /// A policy does not compile.
    PolicyInvalid,
    /// Only of warnings: a policy decides otherwise than it seems to be meant.
    PolicyOdd,
    /// Only of warnings: identities may not follow the TrustDomain's default, since a version from before wrote a life into them.
    TtlMaybeDefault,
    /// It is not a prefix of paths that can be shared out.
    PrefixInvalid,
    /// A role that cannot be bound to paths is.
    RoleUnscoped,
    /// No operator would be left who is an admin.
    LastAdmin,
    /// More than a node, a document or a control plane takes.
    LimitExceeded,
}

/// Every code: its name, and the gRPC status that it comes with; `None`: it comes with a document.
const NAMES: [(ErrorCode, &str, Option<Code>); 56] = [
    (
        ErrorCode::CallerUnknown,
        "CALLER_UNKNOWN",
        Some(Code::Unauthenticated),
    ),
    (
        ErrorCode::NotPermitted,
        "NOT_PERMITTED",
        Some(Code::PermissionDenied),
    ),
    (
        ErrorCode::ArgumentInvalid,
        "ARGUMENT_INVALID",
        Some(Code::InvalidArgument),
    ),
    (
        ErrorCode::AudienceInvalid,
        "AUDIENCE_INVALID",
        Some(Code::InvalidArgument),
    ),
    (
        ErrorCode::JwtLifeInvalid,
        "JWT_LIFE_INVALID",
        Some(Code::InvalidArgument),
    ),
    (
        ErrorCode::CallUnknown,
        "CALL_UNKNOWN",
        Some(Code::Unimplemented),
    ),
    (
        ErrorCode::DocumentNotFound,
        "DOCUMENT_NOT_FOUND",
        Some(Code::NotFound),
    ),
    (
        ErrorCode::OperatorNotFound,
        "OPERATOR_NOT_FOUND",
        Some(Code::NotFound),
    ),
    (
        ErrorCode::AuthorityNotFound,
        "AUTHORITY_NOT_FOUND",
        Some(Code::NotFound),
    ),
    (
        ErrorCode::SvidNotFound,
        "SVID_NOT_FOUND",
        Some(Code::NotFound),
    ),
    (
        ErrorCode::NodeNotFound,
        "NODE_NOT_FOUND",
        Some(Code::NotFound),
    ),
    (ErrorCode::NotFound, "NOT_FOUND", Some(Code::NotFound)),
    (
        ErrorCode::AuthorityState,
        "AUTHORITY_STATE",
        Some(Code::FailedPrecondition),
    ),
    (
        ErrorCode::AuthorityTooSoon,
        "AUTHORITY_TOO_SOON",
        Some(Code::FailedPrecondition),
    ),
    (
        ErrorCode::NodesBehind,
        "NODES_BEHIND",
        Some(Code::FailedPrecondition),
    ),
    (
        ErrorCode::X509popOff,
        "X509POP_OFF",
        Some(Code::FailedPrecondition),
    ),
    (
        ErrorCode::NodeCertificateRefused,
        "NODE_CERTIFICATE_REFUSED",
        Some(Code::Unauthenticated),
    ),
    (
        ErrorCode::NodeCertificateNotAllowed,
        "NODE_CERTIFICATE_NOT_ALLOWED",
        Some(Code::PermissionDenied),
    ),
    (
        ErrorCode::NotPossible,
        "NOT_POSSIBLE",
        Some(Code::FailedPrecondition),
    ),
    (
        ErrorCode::RevokedTooMany,
        "REVOKED_TOO_MANY",
        Some(Code::ResourceExhausted),
    ),
    (
        ErrorCode::LimitReached,
        "LIMIT_REACHED",
        Some(Code::ResourceExhausted),
    ),
    (
        ErrorCode::Unavailable,
        "UNAVAILABLE",
        Some(Code::Unavailable),
    ),
    (
        ErrorCode::StoreFull,
        "STORE_FULL",
        Some(Code::ResourceExhausted),
    ),
    (ErrorCode::Internal, "INTERNAL", Some(Code::Internal)),
    (ErrorCode::YamlSyntax, "YAML_SYNTAX", None),
    (ErrorCode::NoDocument, "NO_DOCUMENT", None),
    (ErrorCode::FieldMissing, "FIELD_MISSING", None),
    (ErrorCode::FieldUnknown, "FIELD_UNKNOWN", None),
    (ErrorCode::FieldShape, "FIELD_SHAPE", None),
    (ErrorCode::ItemRepeated, "ITEM_REPEATED", None),
    (ErrorCode::ApiVersionUnknown, "API_VERSION_UNKNOWN", None),
    (ErrorCode::KindUnknown, "KIND_UNKNOWN", None),
    (ErrorCode::ValueUnknown, "VALUE_UNKNOWN", None),
    (ErrorCode::FieldConflict, "FIELD_CONFLICT", None),
    (ErrorCode::NameInvalid, "NAME_INVALID", None),
    (ErrorCode::CertificateInvalid, "CERTIFICATE_INVALID", None),
    (ErrorCode::DocumentDuplicate, "DOCUMENT_DUPLICATE", None),
    (ErrorCode::SpiffeIdInvalid, "SPIFFE_ID_INVALID", None),
    (ErrorCode::TemplateInvalid, "TEMPLATE_INVALID", None),
    (ErrorCode::SpiffeIdAmbiguous, "SPIFFE_ID_AMBIGUOUS", None),
    (ErrorCode::NodeGroupUnknown, "NODE_GROUP_UNKNOWN", None),
    (ErrorCode::NodeGroupsShared, "NODE_GROUPS_SHARED", None),
    (ErrorCode::TrustDomainForeign, "TRUST_DOMAIN_FOREIGN", None),
    (ErrorCode::SpiffeIdReserved, "SPIFFE_ID_RESERVED", None),
    (ErrorCode::SelectorsInvalid, "SELECTORS_INVALID", None),
    (ErrorCode::DurationInvalid, "DURATION_INVALID", None),
    (ErrorCode::TtlAboveMaximum, "TTL_ABOVE_MAXIMUM", None),
    (ErrorCode::AddressInvalid, "ADDRESS_INVALID", None),
    (ErrorCode::AddressOverlap, "ADDRESS_OVERLAP", None),
    (ErrorCode::PolicyInvalid, "POLICY_INVALID", None),
    (ErrorCode::PolicyOdd, "POLICY_ODD", None),
    (ErrorCode::TtlMaybeDefault, "TTL_MAYBE_DEFAULT", None),
    (ErrorCode::PrefixInvalid, "PREFIX_INVALID", None),
    (ErrorCode::RoleUnscoped, "ROLE_UNSCOPED", None),
    (ErrorCode::LastAdmin, "LAST_ADMIN", None),
    (ErrorCode::LimitExceeded, "LIMIT_EXCEEDED", None),
];

impl ErrorCode {
    /// Every code, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(code, ..)| *code)
    }

    /// The code of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, own, _)| *own == name);
        found.map(|(code, ..)| *code)
    }

    /// What is said of a gRPC status that nobody said more of.
    #[must_use]
    pub fn of_status(status: Code) -> Self {
        match status {
            Code::Unauthenticated => Self::CallerUnknown,
            Code::PermissionDenied => Self::NotPermitted,
            Code::InvalidArgument | Code::OutOfRange => Self::ArgumentInvalid,
            Code::Unimplemented => Self::CallUnknown,
            Code::NotFound => Self::NotFound,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Self::NotPossible,
            Code::ResourceExhausted => Self::LimitReached,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Unavailable,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }

    /// Its name, which never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The gRPC status that it comes with; `None`: it comes with a document (`DocumentError`).
    #[must_use]
    pub fn grpc(self) -> Option<Code> {
        self.row().2
    }

    /// A status with this code, and a message for people.
    #[must_use]
    pub fn status(self, message: impl Into<String>) -> Status {
        let mut status = Status::new(self.grpc().unwrap_or(Code::Internal), message);
        if let Ok(name) = self.as_str().parse() {
            status.metadata_mut().insert(ERROR_CODE_METADATA, name);
        }
        status
    }

    fn row(self) -> &'static (Self, &'static str, Option<Code>) {
        let row = NAMES.iter().find(|(code, ..)| *code == self);
        // INVARIANT: a test finds every one there.
        row.unwrap_or(&(Self::Internal, "INTERNAL", Some(Code::Internal)))
    }
}

/// The code of a status: the one that it bears, or what is to be said of it without.
impl From<&Status> for ErrorCode {
    fn from(status: &Status) -> Self {
        let borne = status.metadata().get(ERROR_CODE_METADATA);
        let borne = borne.and_then(|name| name.to_str().ok());
        let known = borne.and_then(Self::parse);
        known.unwrap_or_else(|| Self::of_status(status.code()))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_has_every_code_once_with_its_status() {
        let table = include_str!("../ERRORS.md");
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<(&str, &str)> = rows
            .map(|line| {
                let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
                (
                    cells.nth(1).expect("a code"),
                    cells.next().expect("a status"),
                )
            })
            .collect();
        let own = ErrorCode::all().map(|code| {
            let status = code.grpc().map_or("of a document".into(), screaming);
            (code.as_str(), status)
        });
        let own: Vec<_> = own.collect();
        let own: Vec<_> = own
            .iter()
            .map(|(code, status)| (*code, status.as_str()))
            .collect();
        assert_eq!(rows, own);
    }

    fn screaming(code: Code) -> String {
        let mut name = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn every_code_has_a_row_and_a_name_of_its_own() {
        for code in ErrorCode::all() {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        // The last one of the enum: as many as there are rows.
        let last = ErrorCode::LimitExceeded as usize;
        assert_eq!(ErrorCode::all().count(), last + 1);
    }

    #[test]
    fn a_status_bears_its_code_and_others_are_told_by_their_kind() {
        let status = ErrorCode::NodeNotFound.status("no node");
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no node")
        );
        assert_eq!(ErrorCode::from(&status), ErrorCode::NodeNotFound);
        assert_eq!(ErrorCode::from(&Status::not_found("")), ErrorCode::NotFound);
        // A newer control plane's.
        let mut newer = Status::unavailable("");
        let name = "LATER".parse().expect("ASCII");
        newer.metadata_mut().insert(ERROR_CODE_METADATA, name);
        assert_eq!(ErrorCode::from(&newer), ErrorCode::Unavailable);
        for number in 1..=16 {
            let code = ErrorCode::of_status(Code::from_i32(number));
            assert!(code.grpc().is_some(), "{number}");
        }
    }
}
