//! The standing connection: joins once, follows the control plane, renews the node's SVID, comes back when cut.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidelock_proto::v1::{Snapshot, SyncRequest, SyncResponse};
use tokio::sync::{mpsc, watch};
use tonic::Code;
use zeroize::Zeroizing;

use super::connect::Server;
use super::join::{self, JoinError, JoinWith};
use super::roots::with_system_roots;
use super::{Client, Kept, words};
use crate::core::{Backoff, Desired, DesiredError, Jitter};
use crate::node::{BundleDigest, NodeSvid, Store, StoreError};
use crate::run::{Notice, Notify};

/// Waits after the connection was lost or refused.
const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(250),
    most: Duration::from_secs(10),
};
/// A connection that held this long ends a row of failures.
const STABLE: Duration = Duration::from_secs(30);
/// The wall clock can be set: whether the SVID has to be renewed is looked at again this often.
const WALL_CHECK: Duration = Duration::from_secs(10);
/// Waits after a renewal that failed.
const RENEW_AGAIN: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(60),
};

/// What the link tells the core.
#[derive(Debug)]
pub(crate) enum FromControl {
    /// The control plane is there.
    Up,
    /// What it wants of this node.
    Desired(Arc<Desired>),
    /// What it wants cannot be understood; what was in force stays.
    Unusable(DesiredError),
}

/// Why there is no use in going on without the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The node cannot join.
    #[error(transparent)]
    Join(JoinError),
    /// What has to survive restarts cannot be read or kept.
    #[error(transparent)]
    Store(StoreError),
}

/// The standing connection.
pub(crate) struct Link {
    pub(crate) server: Server,
    pub(crate) join_with: Option<JoinWith>,
    pub(crate) store: Store,
    /// What this node holds of its state.
    pub(crate) kept: Kept,
    /// What the kernel enforces; `None` until it said so.
    pub(crate) generation: watch::Receiver<Option<u64>>,
    pub(crate) client: watch::Sender<Option<Client>>,
    pub(crate) core: mpsc::Sender<FromControl>,
    pub(crate) notify: Notify,
    pub(crate) jitter: Jitter,
    /// The join token that was used up or refused.
    pub(crate) tried: Option<Zeroizing<String>>,
    /// The operator knows that the control plane is away.
    pub(crate) said_away: bool,
}

/// How following the control plane ended.
enum Ended {
    /// There is a new SVID: connect again, with it.
    Renewed(Box<NodeSvid>),
    /// The connection failed, or the server ended it.
    Lost(String),
    /// The server does not know this node (any more).
    NotKnown(String),
    /// Nobody listens to us any more.
    AgentEnds,
}

impl Link {
    /// Follows the control plane until that makes no sense any more.
    ///
    /// # Errors
    /// The node cannot join, or not keep what it has to.
    pub(crate) async fn run(mut self) -> Result<(), LinkError> {
        let mut svid = self.first_svid().await?;
        let mut failures = 0;
        loop {
            let began = std::time::Instant::now();
            let ended = match self.server.connect(&self.store, Some(&svid)).await {
                Ok((client, bundle)) => self.follow(client, &svid, &bundle).await,
                Err(error) => Ended::Lost(error.to_string()),
            };
            let (why, known) = match ended {
                Ended::Renewed(new) => {
                    svid = new.attested_at(svid.attested_at_ms);
                    self.store.keep_node_svid(&svid).map_err(LinkError::Store)?;
                    continue;
                }
                Ended::AgentEnds => return Ok(()),
                Ended::Lost(why) => (why, true),
                Ended::NotKnown(why) => (why, false),
            };
            self.client.send_replace(None);
            failures = if began.elapsed() > STABLE {
                1
            } else {
                failures + 1
            };
            self.pause(why, failures).await;
            if (!known || !svid.is_current(unix_secs())) && self.join_with.is_some() {
                svid = self.join_again(svid).await?;
            }
        }
    }

    /// The SVID kept from before, or the one that joining gives.
    async fn first_svid(&mut self) -> Result<NodeSvid, LinkError> {
        let kept = self.store.node_svid().map_err(LinkError::Store)?;
        if let Some(svid) = kept.filter(|svid| svid.is_current(unix_secs())) {
            let id = svid.id().to_owned();
            (self.notify)(Notice::Attested { id, now: false });
            return Ok(svid);
        }
        let mut failures = 0;
        loop {
            match self.join().await {
                Err(LinkError::Join(error)) if error.may_pass() => {
                    failures += 1;
                    self.pause(error.to_string(), failures).await;
                }
                done => return done,
            }
        }
    }

    /// Waits after a failure. The operator is told once; the log has every one.
    async fn pause(&mut self, why: String, failures: u32) {
        let wait = RECONNECT.wait(failures, &mut self.jitter);
        if self.said_away {
            tracing::info!("{why}; again in {} ms", wait.as_millis());
        } else {
            self.said_away = true;
            (self.notify)(Notice::Away { why });
        }
        tokio::time::sleep(wait).await;
    }

    /// A node that is no longer known joins with its certificate or a new token, if there is one; a used token changes nothing.
    async fn join_again(&mut self, svid: NodeSvid) -> Result<NodeSvid, LinkError> {
        match self.join().await {
            Err(LinkError::Join(error)) => {
                tracing::error!("this node is not known any more and cannot join again: {error}");
                Ok(svid)
            }
            done => done,
        }
    }

    async fn join(&mut self) -> Result<NodeSvid, LinkError> {
        let to = (&self.server, &self.store);
        let svid = join::join(to, self.join_with.as_ref(), &mut self.tried)
            .await
            .map_err(LinkError::Join)?;
        self.store.keep_node_svid(&svid).map_err(LinkError::Store)?;
        let id = svid.id().to_owned();
        (self.notify)(Notice::Attested { id, now: true });
        Ok(svid)
    }

    /// Follows the control plane over one connection. `bundle` is the digest of the file it was recognised by.
    async fn follow(
        &mut self,
        mut client: Client,
        svid: &NodeSvid,
        bundle: &BundleDigest,
    ) -> Ended {
        let Ok(held) = self
            .generation
            .wait_for(Option::is_some)
            .await
            .map(|held| held.unwrap_or(0))
        else {
            return Ended::AgentEnds;
        };
        let request = SyncRequest {
            held_generation: held,
            held: Some(self.kept.held()),
        };
        let mut stream = match client.sync(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                if status.code() == Code::InvalidArgument {
                    self.kept.forget();
                }
                return ended(&status);
            }
        };
        self.client.send_replace(Some(client.clone()));
        if self.core.send(FromControl::Up).await.is_err() {
            return Ended::AgentEnds;
        }
        self.said_away = false;
        (self.notify)(Notice::Connected {
            server: self.server.address.clone(),
        });
        let mut renewal = Renewal::of(svid, &mut self.jitter);
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => match self.take(message, svid, bundle).await {
                        Ok(issuers) => renewal.believe(svid, &issuers),
                        Err(ended) => return ended,
                    },
                    Ok(None) => return Ended::Lost("the control plane ended the stream".into()),
                    Err(status) => return ended(&status),
                },
                () = tokio::time::sleep(renewal.wait()) => if renewal.is_due() {
                    match join::renew(&mut client).await {
                        Ok(new) => return Ended::Renewed(Box::new(new)),
                        Err(error) => {
                            tracing::warn!("the node's SVID was not renewed: {error}");
                            renewal.failed(&mut self.jitter);
                        }
                    }
                },
            }
        }
    }

    /// Passes on what the control plane wants, and keeps what it is to be recognised by from now on. Gives the authorities
    /// whose SVIDs need no renewal before their time; none: all of them.
    async fn take(
        &mut self,
        message: SyncResponse,
        svid: &NodeSvid,
        bundle: &BundleDigest,
    ) -> Result<Vec<Vec<u8>>, Ended> {
        let snapshot = match self.kept.take(message.update) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => {
                tracing::warn!("the control plane sent an update that this agent is too old for");
                return Ok(Vec::new());
            }
            Err(error) => return Err(Ended::Lost(error.to_string())),
        };
        if let Some(ours) = snapshot.bundles.first() {
            let kept = self.store.keep_bundle(bundle, &ours.x509_authorities);
            if let Err(error) = kept {
                tracing::error!("the control plane's authorities are not kept: {error}");
            }
        }
        let told = read(snapshot, svid).await;
        let issuers = match &told {
            FromControl::Desired(desired) => desired.issuers.clone(),
            _ => Vec::new(),
        };
        let sent = self.core.send(told).await;
        self.kept.keep().await;
        sent.map(|()| issuers).map_err(|_| Ended::AgentEnds)
    }
}

async fn read(snapshot: Snapshot, svid: &NodeSvid) -> FromControl {
    match Desired::parse(snapshot) {
        Ok(desired) => {
            let desired = desired.at_node(svid.node(), svid.attested_at_ms);
            let desired = with_system_roots(desired).await;
            FromControl::Desired(Arc::new(desired))
        }
        Err(error) => FromControl::Unusable(error),
    }
}

fn ended(status: &tonic::Status) -> Ended {
    let why = words(status);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Ended::NotKnown(why),
        _ => Ended::Lost(why),
    }
}

/// When to renew the node's SVID: at half of its life, less up to a tenth; but where it is dated back, or was
/// kept from long ago, not before a quarter of what is left.
#[derive(Debug)]
struct Renewal {
    due_unix_secs: i64,
    failures: u32,
}

impl Renewal {
    fn of(svid: &NodeSvid, jitter: &mut Jitter) -> Self {
        Self {
            due_unix_secs: due(svid.not_before, svid.not_after, unix_secs(), jitter),
            failures: 0,
        }
    }

    /// Renews at once what none of these authorities signed.
    fn believe(&mut self, svid: &NodeSvid, issuers: &[Vec<u8>]) {
        if !issuers.is_empty() && !issuers.iter().any(|issuer| issuer == svid.issuer()) {
            self.due_unix_secs = self.due_unix_secs.min(unix_secs());
        }
    }

    fn is_due(&self) -> bool {
        self.due_unix_secs <= unix_secs()
    }

    fn wait(&self) -> Duration {
        let left = self.due_unix_secs.saturating_sub(unix_secs());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        // Not at once: a fresh connection is not torn down in the same breath.
        left.clamp(Duration::from_millis(500), WALL_CHECK)
    }

    fn failed(&mut self, jitter: &mut Jitter) {
        self.failures += 1;
        let wait = RENEW_AGAIN.wait(self.failures, jitter).as_secs();
        self.due_unix_secs = unix_secs().saturating_add(i64::try_from(wait).unwrap_or(60));
    }
}

fn due(not_before: i64, not_after: i64, now: i64, jitter: &mut Jitter) -> i64 {
    let life = u64::try_from(not_after.saturating_sub(not_before)).unwrap_or(0);
    let early = jitter.up_to(Duration::from_secs(life / 10)).as_secs();
    let after = i64::try_from((life / 2).saturating_sub(early)).unwrap_or(i64::MAX);
    let quarter = not_after.saturating_sub(now).max(0) / 4;
    not_before
        .saturating_add(after)
        .max(now.saturating_add(quarter))
}

fn unix_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_svid_is_renewed_at_half_life_or_a_little_before() {
        let mut jitter = Jitter::new(2);
        for _ in 0..100 {
            let due = due(1000, 4600, 1000, &mut jitter);
            assert!((2440..=2800).contains(&due), "{due}");
        }
    }

    #[test]
    fn a_back_dated_or_old_svid_is_not_renewed_without_pause() {
        let mut jitter = Jitter::new(2);
        assert_eq!(due(0, 1020, 1000, &mut jitter), 1005);
        assert_eq!(due(0, 4000, 3600, &mut jitter), 3700);
        assert_eq!(due(0, 1000, 1000, &mut jitter), 1000);
    }
}
