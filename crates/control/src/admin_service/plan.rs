//! What a change would do.

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::plan_response::{Planned, Result as Outcome};
use tonic::Status;

use super::apply::{failed, not_permitted, refused, source_files, warning};
use crate::access::{self, View};
use crate::core::{ChangeError, Core, document_change};
use crate::document::{Document, Key};
use crate::roles::Permit;
use crate::world::{Plan, World};

pub(super) async fn plan(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::PlanRequest,
) -> Result<v1::PlanResponse, Status> {
    let files = source_files(request.files)?;
    let (worker, by) = (Arc::clone(core), permit.clone());
    let planned = tokio::task::spawn_blocking(move || {
        let world = worker.world();
        let by = by.again(&world).map_err(ChangeError::Permit)?;
        let plan = match request.deletion {
            true => worker.plan_deletion(&by, &world, Vec::new(), &files, true),
            false => worker.plan_application(&by, &world, &files),
        }?;
        let warnings = plan.compiled.warnings.iter().map(warning).collect();
        Ok((planned(&worker, &world, &plan), warnings))
    });
    match planned.await.unwrap_or(Err(ChangeError::Broken)) {
        Ok((planned, warnings)) => Ok(v1::PlanResponse {
            result: Some(Outcome::Planned(planned)),
            warnings,
        }),
        Err(ChangeError::Refused(errors)) => Ok(v1::PlanResponse {
            result: Some(Outcome::Refused(refused(&errors))),
            warnings: Vec::new(),
        }),
        Err(ChangeError::NotPermitted(errors)) => Ok(v1::PlanResponse {
            result: Some(Outcome::Refused(
                not_permitted(core, &permit, &errors).await,
            )),
            warnings: Vec::new(),
        }),
        Err(error) => Err(failed(core, &permit, error).await),
    }
}

fn planned(core: &Core, world: &World, plan: &Plan) -> Planned {
    let mut nodes = Vec::new();
    core.nodes.visit(|name, _| nodes.push(name.clone()));
    let before = View::new(&world.documents, &world.compiled, &nodes);
    let after = View::new(&plan.documents, &plan.compiled, &nodes);
    let access = access::difference(&before, &after);
    let document = |(key, change): &(Key, v1::Change)| v1::PlannedDocument {
        change: Some(document_change(key, *change)),
        before: json(world.documents.get(key)),
        after: json(plan.documents.get(key)),
    };
    Planned {
        generation: world.generation,
        documents: plan.changes.iter().map(document).collect(),
        lost: access.lost,
        gained: access.gained,
        identities: access::identities(&core.nodes, &before, &after),
        flows_cut: access::flows_cut(&core.nodes, &before, &after),
        access_left_out: access.left_out,
    }
}

fn json(document: Option<&Document>) -> String {
    document
        .map(|one| one.to_json().to_string())
        .unwrap_or_default()
}
