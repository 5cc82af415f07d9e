//! `kind: Operator`.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::Reason;
use super::prefix::PathPrefix;
use crate::name::Name;
use crate::yaml::{Cursor, Reader};

pub(super) const FIELDS: &[&str] = &["roles", "prefixes"];

/// Most prefixes of one operator.
pub const MAX_PREFIXES: usize = 64;

/// Who may do what at the control plane, over mutual TLS and by the SVID of `spiffe://<trust domain>/tidelock/operator/<name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operator {
    /// Unique among Operators, and the last segment of its SPIFFE ID.
    pub name: Name,
    /// At least one.
    pub roles: BTreeSet<Role>,
    /// Where it may; all different. Empty only for [`Role::Admin`], who is bound to none.
    pub prefixes: Vec<PathPrefix>,
}

/// What an operator may do, under its prefixes. Whoever has any may read there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Role {
    /// Read, and nothing else.
    Viewer,
    /// Apply and delete documents.
    Editor,
    /// Revoke SVIDs.
    Revoker,
    /// Mint JWT-SVIDs; with the prefix `/` also make join tokens, with which nodes join.
    Issuer,
    /// Everything, authorities and operators among it.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Editor,
        Self::Revoker,
        Self::Issuer,
        Self::Admin,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Revoker => "revoker",
            Self::Issuer => "issuer",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Operator {
    /// May it do everything?
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
    ) -> Option<Self> {
        let fields = reader.fields(spec, FIELDS)?;
        let roles_at = reader.required(&fields, "roles");
        let roles = roles_at.as_ref().map(|at| roles(reader, at));
        let admin = roles.as_ref().is_some_and(|of| of.contains(&Role::Admin));
        let prefixes_at = match admin {
            true => fields.optional("prefixes"),
            false => reader.required(&fields, "prefixes"),
        };
        let prefixes = prefixes_at.as_ref().map(|at| prefixes(reader, at));
        let roles = roles?;
        let scoped = |of: &Vec<PathPrefix>| !of.iter().any(PathPrefix::is_everything);
        if let (Some(at), Some(read)) = (&prefixes_at, &prefixes)
            && admin
            && scoped(read)
        {
            let role = Role::Admin;
            reader.refuse(at, Reason::Unscoped { role });
        }
        if !admin {
            prefixes_at?;
        }
        Some(Self {
            name: name?,
            roles,
            prefixes: prefixes.unwrap_or_default(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let roles: Vec<_> = self.roles.iter().map(|role| role.as_str()).collect();
        let mut spec = json!({ "roles": roles });
        if !self.prefixes.is_empty() {
            spec["prefixes"] = self.prefixes.iter().map(PathPrefix::as_str).collect();
        }
        spec
    }
}

fn roles(reader: &mut Reader<'_>, at: &Cursor<'_>) -> BTreeSet<Role> {
    let mut read = BTreeSet::new();
    for item in reader.filled_list(at) {
        let Some(text) = reader.text(&item).map(|text| &text.text) else {
            continue;
        };
        match Role::ALL.into_iter().find(|role| role.as_str() == text) {
            None => {
                let found = text.clone();
                reader.refuse(&item, Reason::Role { found });
            }
            Some(role) if !read.insert(role) => {
                let item_text = text.clone();
                reader.refuse(&item, Reason::RepeatedItem { item: item_text });
            }
            Some(_) => {}
        }
    }
    read
}

fn prefixes(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Vec<PathPrefix> {
    let items = reader.filled_list(at);
    if items.len() > MAX_PREFIXES {
        let (what, found, max) = ("prefixes of one Operator", items.len(), MAX_PREFIXES);
        reader.refuse(at, Reason::Bound { what, found, max });
        return Vec::new();
    }
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = reader.text(&item).map(|text| &text.text) else {
            continue;
        };
        let refused = match PathPrefix::parse(text) {
            Ok(prefix) if read.contains(&prefix) => Reason::RepeatedItem { item: text.clone() },
            Ok(prefix) => {
                read.push(prefix);
                continue;
            }
            Err(error) => Reason::Prefix {
                text: text.clone(),
                error,
            },
        };
        reader.refuse(&item, refused);
    }
    read
}
