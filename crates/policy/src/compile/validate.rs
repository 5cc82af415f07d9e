//! Validation by a schema.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use cedar_policy::{PolicyId, PolicySet, PolicySetError, Schema, ValidationMode, Validator};

use super::words::{label, validation_text, with_help};
use super::{Body, Compilation, CompileError, Parsed, Reason, default_name, error};

impl Reason {
    /// What Cedar takes into no set of policies.
    fn refused(error: PolicySetError) -> Self {
        Self::Invalid(with_help(&error))
    }
}

impl Compilation<'_> {
    /// Validates what was parsed, all together.
    pub(super) fn validate(&mut self, schema: Schema) {
        let mut set = PolicySet::new();
        for parsed in &self.parsed {
            let added = match &parsed.body {
                Body::Policy(policy) => set.add(policy.clone()).map_err(Reason::refused),
                Body::Template(template) => {
                    set.add_template(template.clone()).map_err(Reason::refused)
                }
                Body::Link(template, link) => link
                    .add(
                        &mut set,
                        default_name(*template),
                        default_name(parsed.number),
                    )
                    .map_err(Reason::Link),
            };
            if let Err(reason) = added {
                let place = self.place(parsed, parsed.chunk.at);
                self.errors.push((parsed.number, error(place, reason)));
            }
        }
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let by_id: BTreeMap<String, &Parsed<'_>> = self
            .parsed
            .iter()
            .map(|parsed| (default_name(parsed.number), parsed))
            .collect();
        let place = |id: &PolicyId, (from, len): (usize, usize)| {
            let parsed = by_id.get(AsRef::<str>::as_ref(id))?;
            let at = parsed
                .chunk
                .at
                .saturating_add(from.saturating_sub(parsed.lies));
            let name = self.places.get(parsed.number)?.policy.as_str();
            Some((parsed.number, parsed.lines.span(at, len, name)))
        };
        let errors = result.validation_errors().map(|invalid| {
            let reason = Reason::Invalid(validation_text(invalid, invalid.policy_id()));
            match place(invalid.policy_id(), label(invalid)) {
                Some((number, place)) => (number, error(place, reason)),
                None => (
                    usize::MAX,
                    CompileError {
                        place: None,
                        reason,
                    },
                ),
            }
        });
        let warnings = result.validation_warnings().map(|odd| CompileError {
            place: place(odd.policy_id(), label(odd)).map(|(_, place)| place),
            reason: Reason::Warning(validation_text(odd, odd.policy_id())),
        });
        let (errors, warnings): (Vec<_>, Vec<_>) = (errors.collect(), warnings.collect());
        self.errors.extend(errors);
        self.warnings.extend(warnings);
    }
}
