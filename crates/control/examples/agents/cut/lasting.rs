//! Agents that last: as a real one does, they renew what an authority signed that is tainted, and come back when they are cut off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use tidelock_proto::state::State;
use tidelock_proto::v1;
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::{Leaf, SigningCert};
use tokio::task::JoinSet;

use crate::Failure;
use crate::fleet::{Agent, NodeKeys, for_each};
use crate::plane::Place;

/// How long the real one waits before it renews what it was told to, and before it comes back (`crates/agent`, `control/link.rs`).
const BEFORE_RENEWAL: Duration = Duration::from_millis(500);
const RECONNECT: Duration = Duration::from_millis(250);
const RECONNECT_AT_MOST: Duration = Duration::from_secs(10);

/// Failures in a row after which something is wrong.
const MOST_FAILURES: u32 = 10;

/// How long all of them may take to hear, or to renew.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is known of one.
#[derive(Debug, Default)]
struct Known {
    /// Who signed the SVID that its stream was opened with.
    issuer: Vec<u8>,
    /// When it was sent which generation, since the round began.
    heard: Vec<(u64, Instant)>,
}

type Shared = Arc<Mutex<Vec<Known>>>;

fn lock(known: &Shared) -> MutexGuard<'_, Vec<Known>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Agents that are connected.
#[derive(Debug)]
pub(super) struct Lasting {
    known: Shared,
    /// They end only if something is wrong.
    tasks: JoinSet<Failure>,
}

impl Lasting {
    /// Connects an agent for each of these nodes.
    pub(super) async fn connect(place: &Place, nodes: Vec<NodeKeys>) -> Result<Self, Failure> {
        let nodes: Arc<[NodeKeys]> = nodes.into();
        let open = |n: usize| {
            let (place, keys) = (place.clone(), nodes[n].clone());
            async move {
                let agent = Agent::open(&place, &keys, Some(State::default())).await?;
                Ok((place, keys, agent))
            }
        };
        let agents = for_each(nodes.len(), open).await?;
        let known: Shared = Arc::default();
        lock(&known).resize_with(nodes.len(), Known::default);
        let mut tasks = JoinSet::new();
        for (index, (place, keys, agent)) in agents.into_iter().enumerate() {
            let one = One {
                index,
                place,
                keys,
                state: State::default(),
                issuers: Vec::new(),
                known: Arc::clone(&known),
            };
            tasks.spawn(one.run(agent));
        }
        Ok(Self { known, tasks })
    }

    /// Forgets what was heard: a round begins.
    pub(super) fn begin(&self) {
        lock(&self.known)
            .iter_mut()
            .for_each(|one| one.heard.clear());
    }

    /// Waits until each has been sent this generation; how long after `begun` that was.
    pub(super) async fn heard(
        &mut self,
        generation: u64,
        begun: Instant,
    ) -> Result<Vec<Duration>, Failure> {
        let heard = move |one: &Known| {
            let mut news = one.heard.iter();
            let news = news.find(|(heard, _)| *heard >= generation);
            news.map(|(_, at)| at.duration_since(begun))
        };
        self.all("heard of a revocation", heard).await
    }

    /// Waits until each has a stream that it opened with an SVID of this authority.
    pub(super) async fn renewed(&mut self, issuer: Vec<u8>) -> Result<(), Failure> {
        let renewed = move |one: &Known| (one.issuer == issuer).then_some(());
        self.all("renewed", renewed).await.map(drop)
    }

    /// Waits until this can be told of every one.
    async fn all<T>(
        &mut self,
        what: &str,
        told: impl Fn(&Known) -> Option<T>,
    ) -> Result<Vec<T>, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (told, all): (Vec<T>, usize) = {
                let known = lock(&self.known);
                (known.iter().filter_map(&told).collect(), known.len())
            };
            if told.len() == all {
                return Ok(told);
            }
            if Instant::now() > until {
                let count = told.len();
                return Err(format!("{count} of {all} agents {what} within {PATIENCE:?}").into());
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                Some(ended) = self.tasks.join_next() => return Err(ended?),
            }
        }
    }
}

/// Why an agent's connection is over.
enum Ended {
    Renewed(NodeKeys),
    Lost(Failure),
}

struct One {
    index: usize,
    place: Place,
    keys: NodeKeys,
    state: State,
    /// Whose SVIDs need no renewal; none: everybody's.
    issuers: Vec<Vec<u8>>,
    known: Shared,
}

impl One {
    async fn run(mut self, first: Agent) -> Failure {
        let mut failures = 0;
        let mut opened = Ok(first);
        loop {
            let ended = match opened {
                Ok(agent) => {
                    failures = 0;
                    self.follow(agent).await
                }
                Err(failure) => Ended::Lost(failure),
            };
            match ended {
                Ended::Renewed(keys) => self.keys = keys,
                Ended::Lost(failure) if failures == MOST_FAILURES => return failure,
                Ended::Lost(_) => {
                    tokio::time::sleep(self.pause(failures)).await;
                    failures += 1;
                }
            }
            opened = Agent::open(&self.place, &self.keys, Some(self.state.clone())).await;
        }
    }

    /// Up to a quarter less than twice the time before; who is who says how much less.
    fn pause(&self, failures: u32) -> Duration {
        let full = RECONNECT
            .saturating_mul(1 << failures.min(16))
            .min(RECONNECT_AT_MOST);
        let hundredths = u32::try_from(self.index * 37 % 25).unwrap_or(0);
        full * (100 - hundredths) / 100
    }

    async fn follow(&mut self, mut agent: Agent) -> Ended {
        let ended = self.follow_stream(&mut agent).await;
        self.state = agent.updates.state;
        ended.unwrap_or_else(Ended::Lost)
    }

    async fn follow_stream(&mut self, agent: &mut Agent) -> Result<Ended, Failure> {
        let issuer = self.keys.issuer()?;
        lock(&self.known)[self.index].issuer.clone_from(&issuer);
        let first = std::mem::take(&mut agent.first);
        self.take(first);
        let mut renewal = None;
        loop {
            if renewal.is_none() && !self.issuers.is_empty() && !self.issuers.contains(&issuer) {
                renewal = Some(tokio::time::Instant::now() + BEFORE_RENEWAL);
            }
            let due = renewal.unwrap_or_else(|| tokio::time::Instant::now() + PATIENCE);
            tokio::select! {
                news = agent.updates.next() => {
                    let generation = self.take(news?.snapshot);
                    agent.applied(generation).await?;
                }
                () = tokio::time::sleep_until(due) => if renewal.is_some() {
                    let key = KeyPair::generate()?;
                    let request = v1::RenewRequest { csr: tidelock_ca::request(&key)? };
                    let chain = agent.client.renew(request).await?.into_inner().chain;
                    return Ok(Ended::Renewed(NodeKeys::new(&key, &chain)));
                },
            }
        }
    }

    /// Takes up what is new in this; gives its generation.
    fn take(&mut self, news: v1::Snapshot) -> u64 {
        lock(&self.known)[self.index]
            .heard
            .push((news.generation, Instant::now()));
        if let Some(ours) = news.bundles.first() {
            let all = &ours.x509_authorities;
            let sound = all
                .iter()
                .filter(|der| !ours.tainted_x509_authorities.contains(der));
            self.issuers = sound
                .filter_map(|der| Some(SigningCert::parse(der).ok()?.subject.to_vec()))
                .collect();
            let pem = all.iter().map(|der| pem::encode("CERTIFICATE", der));
            self.place.bundle_pem = pem.collect();
        }
        news.generation
    }
}

impl NodeKeys {
    /// Who signed the SVID, as its Name in DER.
    fn issuer(&self) -> Result<Vec<u8>, Failure> {
        let chain = pem::decode("CERTIFICATE", &self.chain_pem).map_err(|e| e.to_string())?;
        let leaf = chain.first().ok_or("the chain is empty")?;
        let leaf = Leaf::parse(leaf).map_err(|error| error.to_string())?;
        Ok(leaf.issuer.to_vec())
    }
}
