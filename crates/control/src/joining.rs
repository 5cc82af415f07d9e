//! Writing down which SVID a node has: in the store and in memory alike, one node at a time, and to the end even if the caller
//! goes away in between.

use std::sync::Arc;

use tidelock_proto::MAX_REVOKED_SVIDS;

use crate::audit::AuditEntry;
use crate::clock;
use crate::core::{Core, StoreFailure};
use crate::name::Name;
use crate::store::{IssuedRecord, IssuedTo, NodeRecord};
use crate::token::TokenId;
use crate::traced;

impl Core {
    /// Looks up what a node was given before this control plane ran, once.
    pub(crate) async fn learn_budget(&self, node: &Name) -> Result<(), StoreFailure> {
        if self.budgets.knows(node) {
            return Ok(());
        }
        let to = IssuedTo::Node(node.to_string());
        let now = clock::unix_secs();
        let found = self.with_store(move |store| store.issued(&to, now, MAX_REVOKED_SVIDS));
        let (found, world) = (found.await?, self.world());
        let counts = |one: &&IssuedRecord| !world.revoked.tells_of(&one.serial, now);
        self.budgets.learn(node, found.iter().filter(counts));
        Ok(())
    }

    /// Uses a token up for a node. `false`, and nothing written, if it is used or expired by now.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        token: TokenId,
        now: i64,
        node: Name,
        record: NodeRecord,
        audit: AuditEntry,
    ) -> Result<bool, StoreFailure> {
        let core = Arc::clone(self);
        let task = async move {
            let _alone = core.joining.lock().await;
            let row = record.clone();
            let admitted = core
                .with_store(move |store| store.redeem(&token, now, &row, &[audit]))
                .await?;
            crash_point!(AttestStored);
            if admitted {
                core.nodes.attested(&node, record);
            }
            Ok(admitted)
        };
        traced::spawn(task)
            .await
            .unwrap_or(Err(StoreFailure::Panicked))
    }

    /// Takes a node up that attested by its certificate. `false`, and nothing written, if none is allowed for it.
    pub(crate) async fn admit_certificate(
        self: &Arc<Self>,
        node: Name,
        record: NodeRecord,
        audit: AuditEntry,
    ) -> Result<bool, StoreFailure> {
        let core = Arc::clone(self);
        let task = async move {
            let _alone = core.joining.lock().await;
            let row = record.clone();
            let admitted = core
                .with_store(move |store| store.attest_node(&row, &[audit]))
                .await?;
            if admitted {
                core.nodes.attested(&node, record);
            }
            Ok(admitted)
        };
        traced::spawn(task)
            .await
            .unwrap_or(Err(StoreFailure::Panicked))
    }

    /// Lets a certificate attest as a node that is known. `false`, and nothing written, if it may already.
    pub(crate) async fn allow_certificate(
        self: &Arc<Self>,
        node: Name,
        audit: AuditEntry,
    ) -> Result<bool, StoreFailure> {
        let core = Arc::clone(self);
        let task = async move {
            let _alone = core.joining.lock().await;
            let name = node.as_str().to_owned();
            let changed = core
                .with_store(move |store| store.set_certificate_allowed(&name, true, &[audit]))
                .await?;
            core.nodes.set_certificate_allowed(&node, true);
            Ok(changed)
        };
        traced::spawn(task)
            .await
            .unwrap_or(Err(StoreFailure::Panicked))
    }

    /// Gives a node a new SVID, if it still stands by the one that it was asked for with. `false`, and nothing written, if the
    /// node attested anew or is gone.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        node: Name,
        presented: Vec<u8>,
        serial: Vec<u8>,
        not_after: i64,
        audit: AuditEntry,
    ) -> Result<bool, StoreFailure> {
        let core = Arc::clone(self);
        let task = async move {
            let _alone = core.joining.lock().await;
            let Some(old) = core
                .nodes
                .record(&node)
                .filter(|old| old.stands_by(&presented))
            else {
                return Ok(false);
            };
            let record = NodeRecord {
                serial,
                previous_serial: Some(presented),
                not_after,
                ..old
            };
            let row = record.clone();
            core.with_store(move |store| store.update_node(&row, &[audit]))
                .await?;
            crash_point!(RenewStored);
            core.nodes.renewed(&node, record);
            Ok(true)
        };
        traced::spawn(task)
            .await
            .unwrap_or(Err(StoreFailure::Panicked))
    }
}
