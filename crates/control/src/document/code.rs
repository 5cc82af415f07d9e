//! The codes of what can be wrong with documents.

use tidelock_proto::ErrorCode;

use super::{ModeError, Reason, TlsError};

impl Reason {
    /// What programs are told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Syntax(_) => ErrorCode::YamlSyntax,
            Self::NoDocument => ErrorCode::NoDocument,
            Self::Missing => ErrorCode::FieldMissing,
            Self::UnknownField { .. } => ErrorCode::FieldUnknown,
            Self::WrongShape { .. } | Self::NotText { .. } | Self::EmptyList => {
                ErrorCode::FieldShape
            }
            Self::RepeatedItem { .. } => ErrorCode::ItemRepeated,
            Self::ApiVersion { .. } => ErrorCode::ApiVersionUnknown,
            Self::UnknownKind { .. } => ErrorCode::KindUnknown,
            Self::Name(_) => ErrorCode::NameInvalid,
            Self::Duplicate { .. } => ErrorCode::DocumentDuplicate,
            Self::SpiffeId { .. } | Self::NoPath { .. } => ErrorCode::SpiffeIdInvalid,
            Self::Template { .. }
            | Self::TemplateFill { .. }
            | Self::ExeName { .. }
            | Self::GroupName { .. } => ErrorCode::TemplateInvalid,
            Self::UnknownGroup { .. } => ErrorCode::NodeGroupUnknown,
            Self::GroupsShared { .. } => ErrorCode::NodeGroupsShared,
            Self::Ambiguous { .. } => ErrorCode::SpiffeIdAmbiguous,
            Self::ForeignTrustDomain { .. } | Self::OtherTrustDomain { .. } => {
                ErrorCode::TrustDomainForeign
            }
            Self::OverMaximum { .. } => ErrorCode::TtlAboveMaximum,
            Self::MaybeDefault { .. } => ErrorCode::TtlMaybeDefault,
            Self::ReservedPath { .. } => ErrorCode::SpiffeIdReserved,
            Self::Selector { .. }
            | Self::OneOperator
            | Self::Contradiction { .. }
            | Self::Selectors(_) => ErrorCode::SelectorsInvalid,
            Self::Duration { .. } => ErrorCode::DurationInvalid,
            Self::Address { .. } => ErrorCode::AddressInvalid,
            Self::Netns { .. }
            | Self::Transform { .. }
            | Self::ServiceMode(ModeError::Mode { .. } | ModeError::OnUnavailable { .. })
            | Self::Mode { .. }
            | Self::Role { .. } => ErrorCode::ValueUnknown,
            Self::ServiceMode(_) => ErrorCode::FieldConflict,
            Self::Tls(TlsError::ServerName { .. }) => ErrorCode::NameInvalid,
            Self::Tls(_) => ErrorCode::CertificateInvalid,
            Self::Prefix { .. } => ErrorCode::PrefixInvalid,
            Self::Unscoped { .. } => ErrorCode::RoleUnscoped,
            Self::NotPermitted(_) => ErrorCode::NotPermitted,
            Self::LastAdmin { .. } => ErrorCode::LastAdmin,
            Self::Bound { .. } | Self::TooMany { .. } => ErrorCode::LimitExceeded,
            Self::Overlap(_) => ErrorCode::AddressOverlap,
            Self::Policy { .. } => ErrorCode::PolicyInvalid,
        }
    }
}
