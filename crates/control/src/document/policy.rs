//! `kind: Policy`.

use std::fmt;

use serde_json::{Value, json};

use super::error::Reason;
use crate::name::Name;
use crate::yaml::{Cursor, Origin, Reader};

pub(super) const FIELDS: &[&str] = &["cedar", "mode"];

/// Cedar policies under one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Unique among Policies.
    pub name: Name,
    /// The source text.
    pub cedar: String,
    /// Whether they decide.
    pub mode: PolicyMode,
}

/// What the policies of a document are for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum PolicyMode {
    /// They decide.
    #[default]
    Enforce,
    /// They change no decision: a `forbid` does not deny, a `permit` does not permit. Kernels tell of each connection that they
    /// would have decided otherwise, with what is enforced taken into account.
    Observe,
}

impl PolicyMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Observe];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

impl fmt::Display for PolicyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Policy {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
    ) -> Option<(Self, Origin)> {
        let fields = reader.fields(spec, FIELDS)?;
        let mode = fields
            .optional("mode")
            .map_or(Some(PolicyMode::Enforce), |at| mode(reader, &at));
        let cedar = reader.required(&fields, "cedar")?;
        let text = reader.text(&cedar)?;
        Some((
            Self {
                name: name?,
                cedar: text.text.clone(),
                mode: mode?,
            },
            text.origin,
        ))
    }

    /// Without `mode` where it is what it is by default: documents from before have none.
    pub(super) fn to_json(&self) -> Value {
        let mut spec = json!({ "cedar": self.cedar });
        if self.mode != PolicyMode::default() {
            spec["mode"] = self.mode.as_str().into();
        }
        spec
    }
}

fn mode(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<PolicyMode> {
    let text = &reader.text(at)?.text;
    let known = PolicyMode::ALL
        .into_iter()
        .find(|mode| text == mode.as_str());
    if known.is_none() {
        let found = text.clone();
        reader.refuse(at, Reason::Mode { found });
    }
    known
}
