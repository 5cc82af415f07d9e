//! From the request to revoke something to the flow that a kernel resets for it, while so many agents are told as well.
//!
//! The control plane, the agents and the flows' other ends are on this machine; the flows' own ends are of a program in a guest
//! whose kernel has the module, and whose node has a real agent. The times are this machine's alone: they end when the program's
//! word of a reset that it has read is here, so the way back is in them.

mod documents;
mod guest;
mod lasting;
mod numbers;
mod peer;

use std::path::Path;
use std::time::{Duration, Instant};

use tidelock_proto::v1;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::revoke_request::What;
use tidelock_spiffe_core::x509::SigningCert;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use crate::fleet::{admin, attest, furnish};
use crate::plane::{Place, Process};
use crate::{Asked, Failure};
use documents::{OTHERS, TARGET, documents};
use guest::Guest;
use lasting::Lasting;
pub(crate) use numbers::Numbers;
use numbers::{Delays, Kind};
use peer::{Peer, Svid, spiffe_id};

/// Flows of the guest besides the one whose SVID, identity or node is revoked. They have to stay as they are.
const OTHER_FLOWS: usize = 5;

/// How often an identity changes under load.
const BETWEEN_CHANGES: Duration = Duration::from_millis(200);

/// How long a step of an authority's life, or what the guest's agent makes of it, may take.
const PATIENCE: Duration = Duration::from_secs(120);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What everything is measured on.
struct Bench {
    place: Place,
    admin: AdminClient<Channel>,
    fleet: Lasting,
    guest: Guest,
    /// The first is the one that is revoked.
    peers: Vec<Peer>,
    /// Nodes that have joined for the peers' SVIDs.
    nodes: usize,
}

/// Measures; the control plane's files and what the guest is given are in this directory.
pub(crate) async fn measure(asked: &Asked, dir: &Path) -> Result<Numbers, Failure> {
    let process = Process::start(dir)?;
    let place = process.place.clone();
    furnish(&place, asked.documents, asked.own).await?;
    let mut peers = Vec::new();
    for n in 0..=OTHER_FLOWS {
        peers.push(Peer::start(asked.load && n > 0).await?);
    }
    let mut admin = admin(&place).await?;
    let ports: Vec<u16> = peers.iter().map(|peer| peer.port).collect();
    crate::fleet::apply(&mut admin, documents(&ports)).await?;
    let nodes = attest(&place, asked.agents).await?;
    let fleet = Lasting::connect(&place, nodes).await?;
    eprintln!("{} agents are connected; the guest starts", asked.agents);
    let guest = Guest::start(&place, dir).await?;
    let mut bench = Bench {
        place,
        admin,
        fleet,
        guest,
        peers,
        nodes: 0,
    };
    let load = asked.load.then(|| load(bench.place.clone()));
    let measured = bench.rounds(asked.rounds).await;
    drop(load);
    let numbers = Numbers {
        agents: asked.agents,
        rounds: asked.rounds,
        load: asked.load,
        delays: measured?,
        round_trips: bench.round_trips(asked.rounds).await?,
    };
    bench.guest.stop().await?;
    drop(bench.fleet);
    process.stop()?;
    Ok(numbers)
}

/// Changes an identity again and again, which every agent is sent; until it is dropped.
fn load(place: Place) -> JoinSet<Result<(), Failure>> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut admin = admin(&place).await?;
        for ttl_secs in (3_600..7_200).cycle() {
            crate::fleet::apply(&mut admin, crate::fleet::changing(ttl_secs)).await?;
            tokio::time::sleep(BETWEEN_CHANGES).await;
        }
        Ok(())
    });
    tasks
}

impl Bench {
    async fn rounds(&mut self, rounds: usize) -> Result<[Delays; 4], Failure> {
        let mut all: [Delays; 4] = Default::default();
        self.open_others().await?;
        for (kind, delays) in Kind::ALL.into_iter().zip(&mut all) {
            for round in 0..rounds {
                match kind {
                    Kind::Authority => self.revoke_authority(delays).await,
                    kind => self.revoke(kind, delays).await,
                }?;
                eprintln!("{kind} {}: {delays}", round + 1);
            }
        }
        Ok(all)
    }

    async fn round_trips(&mut self, rounds: usize) -> Result<Vec<Duration>, Failure> {
        let mut all = Vec::new();
        for _ in 0..rounds {
            all.push(self.guest.round_trip().await?);
        }
        Ok(all)
    }

    /// An SVID of a node that has just joined.
    async fn issue(&mut self, identity: &str) -> Result<Svid, Failure> {
        self.nodes += 1;
        Svid::issue(&self.place, format!("peer-{}", self.nodes), identity).await
    }

    async fn open(&mut self, flow: usize, svid: &Svid) -> Result<(), Failure> {
        let peer = &self.peers[flow];
        peer.show(svid);
        self.guest.open(flow, peer).await
    }

    async fn open_others(&mut self) -> Result<(), Failure> {
        for flow in 1..self.peers.len() {
            let svid = self.issue(OTHERS).await?;
            self.open(flow, &svid).await?;
        }
        Ok(())
    }

    async fn revoke(&mut self, kind: Kind, delays: &mut Delays) -> Result<(), Failure> {
        let svid = self.issue(TARGET).await?;
        self.open(0, &svid).await?;
        self.guest.round_trip().await?;
        let what = match kind {
            Kind::Node => What::Node(svid.node),
            Kind::Identity => What::SpiffeId(spiffe_id(TARGET)),
            Kind::Svid | Kind::Authority => What::Serial(svid.serial),
        };
        let request = v1::RevokeRequest {
            what: Some(what),
            reason: "measured".into(),
        };
        self.fleet.begin();
        let begun = Instant::now();
        let mut admin = self.admin.clone();
        let answer = async {
            let answer = admin.revoke(request).await?.into_inner();
            Ok::<_, Failure>((answer.generation, begun.elapsed()))
        };
        let (answer, reset) = tokio::join!(answer, self.guest.reset());
        let (generation, answered) = answer?;
        match reset? {
            (0, at) => delays.reset.push(at.duration_since(begun)),
            (other, _) => return Err(format!("flow {other} was reset instead").into()),
        }
        delays.answered.push(answered);
        let heard = self.fleet.heard(generation, begun).await?;
        delays.heard.extend(heard);
        // No other was.
        self.guest.round_trip().await.map(drop)
    }

    /// Has every agent move to another authority, and revokes the one before, by whose SVIDs all flows were made.
    async fn revoke_authority(&mut self, delays: &mut Delays) -> Result<(), Failure> {
        let svid = self.issue(TARGET).await?;
        self.open(0, &svid).await?;
        let old = self.move_on().await?;
        self.guest.round_trip().await?;
        let request = v1::RevokeAuthorityRequest { id: old };
        self.fleet.begin();
        let begun = Instant::now();
        let mut admin = self.admin.clone();
        let answer = async {
            let answer = admin.revoke_authority(request).await?.into_inner();
            Ok::<_, Failure>((answer.generation, begun.elapsed()))
        };
        let resets = async {
            let mut last = begun;
            for _ in 0..=OTHER_FLOWS {
                last = self.guest.reset().await?.1;
            }
            Ok::<_, Failure>(last.duration_since(begun))
        };
        let (answer, last) = tokio::join!(answer, resets);
        let (generation, answered) = answer?;
        delays.reset.push(last?);
        delays.answered.push(answered);
        let heard = self.fleet.heard(generation, begun).await?;
        delays.heard.extend(heard);
        self.place.reread()?;
        self.open_others().await
    }

    /// Prepares and activates an authority, and taints the one before; when every agent has renewed what that signed for it, it
    /// gives its name.
    async fn move_on(&mut self) -> Result<String, Failure> {
        let listed = self.admin.list_authorities(v1::ListAuthoritiesRequest {});
        let listed = listed.await?.into_inner().x509;
        let active = i32::from(v1::AuthorityState::Active);
        let old = listed.into_iter().find(|one| one.state == active);
        let old = old.ok_or("no authority signs")?.id;
        let kind = v1::AuthorityKind::X509.into();
        let prepared = self
            .admin
            .prepare_authority(v1::PrepareAuthorityRequest { kind });
        let prepared = prepared.await?.into_inner().authority;
        let new = prepared.ok_or("no authority was prepared")?;
        self.activate(&new.id).await?;
        self.place.reread()?;
        let before = self.guest_node().await?;
        let request = v1::TaintAuthorityRequest { id: old.clone() };
        self.admin.taint_authority(request).await?;
        let name = SigningCert::parse(&new.certificate).map_err(|error| error.to_string())?;
        self.fleet.renewed(name.subject.to_vec()).await?;
        let generation = self.generation().await?;
        let until = Instant::now() + PATIENCE;
        loop {
            let node = self.guest_node().await?;
            let renewed = node.svid_not_after_unix_secs != before.svid_not_after_unix_secs;
            let anew = node.connected && node.remote != before.remote;
            if renewed && anew && node.applied_generation >= generation {
                return Ok(old);
            }
            if Instant::now() > until {
                return Err(format!("the guest's agent does not renew: {node:?}").into());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// As soon as every agent knows it.
    async fn activate(&mut self, id: &str) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let request = v1::ActivateAuthorityRequest {
                id: id.into(),
                despite_nodes: false,
            };
            match self.admin.activate_authority(request).await {
                Err(status)
                    if status.code() == Code::FailedPrecondition && Instant::now() < until =>
                {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                done => return Ok(done.map(drop)?),
            }
        }
    }

    async fn generation(&mut self) -> Result<u64, Failure> {
        let status = self.admin.get_status(v1::GetStatusRequest {}).await?;
        Ok(status.into_inner().generation)
    }

    async fn guest_node(&mut self) -> Result<v1::NodeView, Failure> {
        let nodes = self.admin.get_nodes(v1::GetNodesRequest {}).await?;
        let mut nodes = nodes.into_inner().nodes.into_iter();
        let node = nodes.find(|node| node.name == guest::NODE);
        node.ok_or_else(|| "the guest's node is not known".into())
    }
}
