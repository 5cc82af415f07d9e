//! Changes of documents as callers ask for them: planned in thought, or made.

use std::sync::Arc;

use crate::core::{ChangeError, Changed, Core};
use crate::document::{Document, Key, Parsed, SourceFile, in_order, parse, parse_files};
use crate::roles::{self, Permit};
use crate::world::{Plan, World};

impl Core {
    /// Applies files: all of them or none.
    pub(crate) async fn apply(
        self: &Arc<Self>,
        permit: Permit,
        files: Vec<SourceFile>,
    ) -> Result<Changed, ChangeError> {
        let plan =
            move |core: &Self, world: &World, by: &Permit| core.plan_application(by, world, &files);
        self.change(permit, plan).await
    }

    /// What applying files would do.
    pub(crate) fn plan_application(
        &self,
        permit: &Permit,
        world: &World,
        files: &[SourceFile],
    ) -> Result<Plan, ChangeError> {
        // Before anything is compared with what others wrote, which errors tell of.
        let parsed = self.parsed_for(permit, files)?;
        let not_permitted = roles::not_applicable(permit, &world.documents, &parsed);
        if !not_permitted.is_empty() {
            return Err(ChangeError::NotPermitted(in_order(files, not_permitted)));
        }
        let plan = world.plan_apply(files, self.trust_domain.as_trust_domain());
        let plan = plan.map_err(ChangeError::Refused)?;
        leaves_an_admin(permit, world, plan, &parsed)
    }

    /// Removes the documents of these names, and those that the files hold: all of them or none.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        permit: Permit,
        keys: Vec<Key>,
        files: Vec<SourceFile>,
        ignore_not_found: bool,
    ) -> Result<Changed, ChangeError> {
        let plan = move |core: &Self, world: &World, by: &Permit| {
            core.plan_deletion(by, world, keys, &files, ignore_not_found)
        };
        self.change(permit, plan).await
    }

    /// What deleting these documents, and those that the files hold, would do.
    pub(crate) fn plan_deletion(
        &self,
        permit: &Permit,
        world: &World,
        mut keys: Vec<Key>,
        files: &[SourceFile],
        ignore_not_found: bool,
    ) -> Result<Plan, ChangeError> {
        let parsed = self.parsed_for(permit, files)?;
        let not_permitted = roles::not_deletable(permit, &world.documents, &keys, &parsed);
        if !not_permitted.is_empty() {
            return Err(ChangeError::NotPermitted(in_order(files, not_permitted)));
        }
        if !files.is_empty() {
            let held = parse_files(files, self.trust_domain.as_trust_domain());
            let held = held.map_err(ChangeError::Refused)?;
            keys.extend(held.iter().map(Document::key));
        }
        let missing: Vec<Key> = keys.iter().filter(|key| !world.has(key)).cloned().collect();
        if !missing.is_empty() && !ignore_not_found {
            return Err(ChangeError::NotFound(missing));
        }
        let plan = world.plan_delete(&keys).map_err(ChangeError::Refused)?;
        leaves_an_admin(permit, world, plan, &parsed)
    }

    /// The documents that the files hold, where it has to be judged whether the caller may change them.
    fn parsed_for(
        &self,
        permit: &Permit,
        files: &[SourceFile],
    ) -> Result<Vec<Parsed>, ChangeError> {
        if permit.operator().is_none() || files.is_empty() {
            return Ok(Vec::new());
        }
        let mut errors = Vec::new();
        let parsed = parse(files, self.trust_domain.as_trust_domain(), &mut errors);
        match errors.is_empty() {
            true => Ok(parsed),
            false => Err(ChangeError::Refused(in_order(files, errors))),
        }
    }
}

fn leaves_an_admin(
    permit: &Permit,
    world: &World,
    plan: Plan,
    parsed: &[Parsed],
) -> Result<Plan, ChangeError> {
    match roles::no_admin_left(permit, &world.documents, &plan, parsed) {
        None => Ok(plan),
        Some(error) => Err(ChangeError::NotPermitted(vec![error])),
    }
}
