//! `kind: Policy`.

use crate::name::Name;
use crate::yaml::{Cursor, Origin, Reader};

const FIELDS: &[&str] = &["cedar"];

/// Cedar policies under one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Unique among Policies.
    pub name: Name,
    /// The source text.
    pub cedar: String,
}

impl Policy {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
    ) -> Option<(Self, Origin)> {
        let fields = reader.fields(spec, FIELDS)?;
        let cedar = reader.required(&fields, "cedar")?;
        let text = reader.text(&cedar)?;
        Some((
            Self {
                name: name?,
                cedar: text.text.clone(),
            },
            text.origin,
        ))
    }
}
