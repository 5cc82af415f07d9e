//! What each call needs. A call that is not in the table is refused, whoever asks.

use crate::document::Role;

/// What a call needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    /// Any role. What is answered is only what lies under the caller's prefixes.
    Read,
    /// Any role, with the prefix `/`: what is answered is of no one path.
    ReadEverything,
    /// This role. What is changed is judged by the call itself.
    Role(Role),
    /// This role, with the prefix `/`.
    RoleEverywhere(Role),
}

/// Every call, and what it needs.
pub(super) const NEEDS: [(&str, Need); 28] = [
    ("Apply", Need::Role(Role::Editor)),
    ("Plan", Need::Role(Role::Editor)),
    ("Delete", Need::Role(Role::Editor)),
    ("GetIdentities", Need::Read),
    ("GetServices", Need::Read),
    ("GetPolicies", Need::ReadEverything),
    ("GetNodes", Need::ReadEverything),
    ("GetNodeGroups", Need::ReadEverything),
    ("GetTrustDomains", Need::Read),
    ("GetFlows", Need::Read),
    ("CreateToken", Need::RoleEverywhere(Role::Issuer)),
    ("AllowCertificate", Need::RoleEverywhere(Role::Issuer)),
    ("GetStatus", Need::Read),
    ("Events", Need::ReadEverything),
    ("ListAuthorities", Need::ReadEverything),
    ("PrepareAuthority", Need::Role(Role::Admin)),
    ("ActivateAuthority", Need::Role(Role::Admin)),
    ("TaintAuthority", Need::Role(Role::Admin)),
    ("RevokeAuthority", Need::Role(Role::Admin)),
    ("GetBundle", Need::Read),
    ("MintJwt", Need::Role(Role::Issuer)),
    ("GetCrl", Need::ReadEverything),
    ("Revoke", Need::Role(Role::Revoker)),
    ("GetRevoked", Need::Read),
    ("ListAudit", Need::ReadEverything),
    ("VerifyAudit", Need::ReadEverything),
    ("GetOperators", Need::Read),
    ("IssueOperator", Need::Role(Role::Admin)),
];

/// Paths of server reflection. It tells what the protobuf files say; but who is nobody here is told nothing at all.
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The call of this HTTP path, and what it needs.
pub(super) fn of(path: &str) -> Option<(&'static str, Need)> {
    if REFLECTION.contains(&path) {
        return Some(("ServerReflectionInfo", Need::Read));
    }
    let call = path.strip_prefix("/tidelock.v1.Admin/")?;
    NEEDS.into_iter().find(|(name, _)| *name == call)
}

impl Need {
    /// What would do, for people.
    pub(crate) fn told(self) -> String {
        match self {
            Self::Read => "any role".into(),
            Self::ReadEverything => "any role with the prefix `/`".into(),
            Self::Role(role) => format!("the role `{role}`"),
            Self::RoleEverywhere(role) => format!("the role `{role}` with the prefix `/`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::ADMIN_CALLS;

    use super::*;

    #[test]
    fn every_call_of_the_service_is_in_the_table_once_and_nothing_else_is() {
        let mut table = NEEDS.map(|(call, _)| call).to_vec();
        let mut calls = ADMIN_CALLS.to_vec();
        table.sort_unstable();
        calls.sort_unstable();
        assert_eq!(table, calls);
    }

    #[test]
    fn what_is_not_in_the_table_needs_what_nobody_has() {
        assert_eq!(
            of("/tidelock.v1.Admin/GetNodes"),
            Some(("GetNodes", Need::ReadEverything))
        );
        for path in [
            "/tidelock.v1.Admin/Later",
            "/tidelock.v1.Admin/apply",
            "/tidelock.v1.Admin/",
            "/tidelock.v1.Admin/GetNodes/",
            "/tidelock.v1.Node/Sign",
            "/tidelock.v1.Admin/ServerReflectionInfo",
            "/grpc.reflection.v1.ServerReflection/Later",
            "/grpc.reflection.v2.ServerReflection/ServerReflectionInfo",
            "GetNodes",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
