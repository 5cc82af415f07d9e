//! Opening the data directory, and taking up what it holds.

use std::sync::Arc;

use serde_json::json;
use tidelock_spiffe_core::TrustDomainBuf;

use super::{DATABASE_FILE, Options};
use crate::audit::{Actor, AuditEntry};
use crate::authority::{Authority, Draft, Timings};
use crate::data_dir::DataDir;
use crate::name::Name;
use crate::nodes::Nodes;
use crate::revoked::Revoked;
use crate::start_error::StartError;
use crate::store::{SqliteStore, Store, StoreError, Watched};
use crate::world::{World, fingerprint, stored_lives};
use crate::{clock, lost};

/// How many of the audit log's entries tell at a start when something was last written.
const LAST_ENTRIES: u32 = 1_000;

/// What the data directory holds.
pub(super) struct Held {
    pub(super) data_dir: Arc<DataDir>,
    pub(super) store: Arc<Watched>,
    pub(super) authority: Authority,
    pub(super) world: World,
    pub(super) nodes: Nodes,
}

impl Held {
    pub(super) fn open(options: &Options, now: i64) -> Result<Self, StartError> {
        let data_dir = Arc::new(DataDir::open(&options.data_dir)?);
        if let Some(lost) = lost::refuse_empty(&data_dir, DATABASE_FILE)? {
            return Err(lost.into());
        }
        let store = Arc::new(SqliteStore::open(&data_dir.file(DATABASE_FILE))?);
        if let Some(lost) = lost::refuse_not_set_up(&data_dir, DATABASE_FILE, &*store)? {
            return Err(lost.into());
        }
        match newest(&*store)? {
            Some(last) if !options.accept_clock => clock::believed(now, last)?,
            _ => {}
        }
        let store = Arc::new(Watched::new(store, now));
        let timings = Timings {
            x509: options.timing,
            jwt: options.jwt_timing,
        };
        let (keeping, ours) = ((&options.passphrase, timings), &options.trust_domain);
        let authority = Authority::open(&data_dir, keeping, &*store, ours, now)?;
        pass_time(&*store, &authority, ours, now)?;
        Ok(Self {
            world: load_world(&*store, &authority, ours)?,
            nodes: load_nodes(&*store)?,
            data_dir,
            store,
            authority,
        })
    }
}

/// When the newest entry of the audit log was written, if there is any. Clocks are set back now and then, so the last one need not
/// be it.
fn newest(store: &dyn Store) -> Result<Option<i64>, StoreError> {
    if store.authorities()?.is_none() {
        return Ok(None);
    }
    let after = store.audit_head()?.seq.saturating_sub(LAST_ENTRIES.into());
    let last = store.audit_after(after, LAST_ENTRIES)?;
    let times = last.iter().map(|one| clock::secs(one.entry.time_unix_ns));
    Ok(times.max())
}

/// Does what time has brought since the control plane last ran. The generation moves when the documents are taken up.
fn pass_time(
    store: &dyn Store,
    authority: &Authority,
    ours: &TrustDomainBuf,
    now: i64,
) -> Result<(), StartError> {
    let stored = store.documents()?;
    let generation = stored.generation;
    let said = stored_lives(&stored.documents, ours.as_trust_domain()).authorities;
    let mut draft = Draft::new(authority, now, generation, said);
    draft.pass_time()?;
    if !draft.moved().is_empty() {
        store.put_authorities(
            generation,
            None,
            &draft.stored(),
            &draft.audit(&Actor::Control),
        )?;
        draft.put_in_force();
        authority.publish()?;
    }
    Ok(())
}

/// Takes up the documents; moves the generation if this version makes something else of them than the last one did.
fn load_world(
    store: &dyn Store,
    authority: &Authority,
    trust_domain: &TrustDomainBuf,
) -> Result<World, StartError> {
    let stored = store.documents()?;
    let mut world = World::load(
        stored.generation,
        &stored.documents,
        authority.bundle(&authority.ring()),
        Revoked::new(store.revoked()?),
        trust_domain.as_trust_domain(),
    )
    .map_err(StartError::Documents)?;
    let fingerprint = fingerprint(&world.compiled, &world.bundle, &world.revoked);
    if stored.fingerprint != fingerprint {
        let to = json!({"generation": stored.generation + 1, "version": env!("CARGO_PKG_VERSION")});
        let moved = AuditEntry::now(&Actor::Control, "generation-moved", "", &to);
        world.generation = store.commit(stored.generation, &fingerprint, &[], &[], &[moved])?;
    }
    Ok(world)
}

fn load_nodes(store: &dyn Store) -> Result<Nodes, StartError> {
    let named = |record: crate::store::NodeRecord| match Name::parse(&record.name) {
        Ok(name) => Ok((name, record)),
        Err(error) => Err(StartError::NodeName {
            name: record.name,
            error,
        }),
    };
    Ok(Nodes::new(
        store
            .nodes()?
            .into_iter()
            .map(named)
            .collect::<Result<_, _>>()?,
    ))
}
