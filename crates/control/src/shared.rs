//! What nodes are sent of one generation. What is the same for all of them is made and encoded once, by whoever needs it
//! first.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use prost::Message as _;
use prost::bytes::Bytes;
use tidelock_proto::state::{Part, State, sorted};
use tidelock_proto::v1;

use crate::document::{NodeIndex, Policy, Service, WorkloadIdentity};
use crate::name::Name;
use crate::world::{LIMITS, World};
use crate::{clock, convert};

/// What is the same for all nodes, encoded: messages `Snapshot` which each hold one thing. Laid one after the other they are
/// one, as protobuf has it.
#[derive(Debug)]
pub(crate) struct Shared {
    generation: Bytes,
    /// One for each identity, in order of their names.
    entries: Vec<Entry>,
    /// Which of them a node has.
    index: NodeIndex,
    rest: Bytes,
    /// All of it, where no node has less or something of its own.
    whole: Option<Bytes>,
    /// What every node has, as parts.
    common: Arc<[Part]>,
    /// The state of all nodes, where `whole` is.
    state: Option<Arc<State>>,
}

/// An identity, as nodes are sent it.
#[derive(Debug)]
enum Entry {
    /// The same for whoever has it.
    Made { encoded: Bytes, everywhere: bool },
    /// Different from node to node: the identity of this name.
    OfNode(Name),
}

/// Made when it is first needed. A copy begins without: it becomes part of another world.
#[derive(Debug, Default)]
pub(crate) struct Made(OnceLock<Shared>);

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl World {
    /// The full state of one node: an encoded `Snapshot`.
    pub(crate) fn snapshot(&self, node: &Name) -> Bytes {
        let shared = self.shared();
        match &shared.whole {
            Some(whole) => whole.clone(),
            None => shared.snapshot(self, node),
        }
    }

    /// The same in parts. `None`: these are more than agents take, and the snapshot has to do.
    pub(crate) fn state(&self, node: &Name) -> Option<Arc<State>> {
        let shared = self.shared();
        match &shared.whole {
            Some(_) => shared.state.clone(),
            None => shared.state(self, node).map(Arc::new),
        }
    }

    fn shared(&self) -> &Shared {
        self.shared.0.get_or_init(|| Shared::of(self))
    }
}

impl Shared {
    fn of(world: &World) -> Self {
        let mut encoded = Vec::new();
        let mut put = |piece: &v1::Snapshot| {
            let begin = encoded.len();
            // A vector grows.
            let _ = piece.encode(&mut encoded);
            begin..encoded.len()
        };
        let generation = put(&v1::Snapshot {
            generation: world.generation,
            ..v1::Snapshot::default()
        });
        let mut entry = |identity: &WorkloadIdentity| {
            let spiffe_id = identity.spiffe_id.for_every_node()?;
            Some(put(&one_entry(world, identity, spiffe_id)))
        };
        let entries: Vec<Option<Range<usize>>> = world.identities().map(&mut entry).collect();
        let rest: Vec<Range<usize>> = rest(world).map(|piece| put(&piece)).collect();
        let encoded = Bytes::from(encoded);
        let slice = |range: &Range<usize>| encoded.slice(range.clone());
        let everywhere: Vec<_> = world
            .identities()
            .zip(&entries)
            .filter(|(identity, _)| identity.is_everywhere())
            .filter_map(|(_, entry)| entry.as_ref())
            .collect();
        let uniform = everywhere.len() == entries.len();
        let common = everywhere.into_iter().chain(&rest);
        let common: Arc<[Part]> = sorted(common.map(|of| Part::new(slice(of))).collect()).into();
        let state = uniform.then(|| State::new(world.generation, Arc::clone(&common), vec![]));
        let made = |(identity, range): (&WorkloadIdentity, &Option<Range<usize>>)| match range {
            Some(range) => Entry::Made {
                encoded: slice(range),
                everywhere: identity.is_everywhere(),
            },
            None => Entry::OfNode(identity.name.clone()),
        };
        let begin = rest.first().map_or(encoded.len(), |first| first.start);
        Self {
            generation: slice(&generation),
            entries: world.identities().zip(&entries).map(made).collect(),
            index: NodeIndex::new(world.identities(), &world.compiled.groups),
            rest: encoded.slice(begin..),
            whole: uniform.then(|| encoded.clone()),
            common,
            state: state.and_then(Result::ok).map(Arc::new),
        }
    }

    /// The entries of one node, filled in where need be, and whether every node has them just so.
    fn entries<'a>(
        &'a self,
        world: &'a World,
        node: &'a Name,
    ) -> impl Iterator<Item = (Bytes, bool)> {
        let numbers = self.index.of_node(node).into_iter();
        let entries = numbers.filter_map(|number| self.entries.get(usize::try_from(number).ok()?));
        entries.filter_map(|entry| match entry {
            Entry::Made {
                encoded,
                everywhere,
            } => Some((encoded.clone(), *everywhere)),
            Entry::OfNode(name) => {
                let identity = world.identity(name.as_str())?;
                let placed = identity.placed(node, &world.compiled.groups)?;
                let spiffe_id = identity.spiffe_id.for_node(placed)?;
                let own = one_entry(world, identity, spiffe_id).encode_to_vec();
                Some((own.into(), false))
            }
        })
    }

    fn snapshot(&self, world: &World, node: &Name) -> Bytes {
        let mut pieces = vec![self.generation.clone()];
        pieces.extend(self.entries(world, node).map(|(entry, _)| entry));
        pieces.push(self.rest.clone());
        pieces.concat().into()
    }

    fn state(&self, world: &World, node: &Name) -> Option<State> {
        let own = self.entries(world, node).filter(|(_, common)| !common);
        let own = own.map(|(entry, _)| Part::new(entry)).collect();
        State::new(world.generation, Arc::clone(&self.common), own).ok()
    }
}

fn one_entry(world: &World, identity: &WorkloadIdentity, spiffe_id: String) -> v1::Snapshot {
    let entry = v1::Entry {
        spiffe_id,
        ..convert::entry(identity, &world.compiled.lives)
    };
    v1::Snapshot {
        entries: vec![entry],
        ..v1::Snapshot::default()
    }
}

/// All but generation and entries. Every node has all of it.
fn rest(world: &World) -> impl Iterator<Item = v1::Snapshot> {
    let service = |service: &Service| v1::Snapshot {
        services: vec![convert::service(service)],
        ..v1::Snapshot::default()
    };
    let policy = |policy: &Policy| v1::PolicySet {
        sources: vec![convert::policy(policy)],
        ..v1::PolicySet::default()
    };
    let image = v1::PolicySet {
        image: world.compiled.image.clone(),
        ..v1::PolicySet::default()
    };
    let observed_image = v1::PolicySet {
        observed_image: world.compiled.observed.clone(),
        ..v1::PolicySet::default()
    };
    let policies = [image, observed_image].into_iter();
    let policies = policies.chain(world.policies().map(policy));
    let policies = policies.map(|policy| v1::Snapshot {
        policy: Some(policy),
        ..v1::Snapshot::default()
    });
    let bundles = v1::Snapshot {
        bundles: vec![v1::Bundle::clone(&world.bundle)],
        ..v1::Snapshot::default()
    };
    let limits = v1::Snapshot {
        limits: Some(LIMITS),
        ..v1::Snapshot::default()
    };
    let services = world.services().map(service);
    services
        .chain(policies)
        .chain([bundles, limits])
        .chain(revoked(world))
}

/// In groups, so that one more changes a small one.
fn revoked(world: &World) -> Vec<v1::Snapshot> {
    let serials = world.revoked.serials(clock::unix_secs());
    let groups = serials.chunk_by(|a, b| a.first() == b.first());
    let group = |serials: &[Vec<u8>]| v1::Snapshot {
        revoked_serials: serials.to_vec(),
        ..v1::Snapshot::default()
    };
    groups.map(group).collect()
}

#[cfg(test)]
mod tests {
    use tidelock_spiffe_core::TrustDomain;

    use super::*;
    use crate::document::{Format, SourceFile};
    use crate::revoked::Revoked;
    use crate::store::RevokedRecord;

    /// All of it was made for this one node.
    fn made_alone(world: &World, node: &Name) -> v1::Snapshot {
        let entry = |identity: &WorkloadIdentity| {
            let placed = identity.placed(node, &world.compiled.groups)?;
            let spiffe_id = identity.spiffe_id.for_node(placed)?;
            let entry = convert::entry(identity, &world.compiled.lives);
            Some(v1::Entry { spiffe_id, ..entry })
        };
        v1::Snapshot {
            generation: world.generation,
            entries: world.identities().filter_map(entry).collect(),
            services: world.services().map(convert::service).collect(),
            bundles: vec![v1::Bundle::clone(&world.bundle)],
            policy: Some(v1::PolicySet {
                image: world.compiled.image.clone(),
                observed_image: world.compiled.observed.clone(),
                sources: world.policies().map(convert::policy).collect(),
            }),
            limits: Some(LIMITS),
            revoked_serials: world.revoked.serials(clock::unix_secs()),
        }
    }

    fn world(text: &str) -> World {
        let ours = TrustDomain::parse("td").expect("trust domain");
        let bundle = v1::Bundle {
            trust_domain: "td".into(),
            x509_authorities: vec![vec![1]],
            ..v1::Bundle::default()
        };
        let revoked = |serial: &[u8]| RevokedRecord {
            serial: serial.to_vec(),
            spiffe_id: "spiffe://td/a".into(),
            node: "n".into(),
            until: i64::MAX,
        };
        let revoked = Revoked::new([&[64, 2][..], &[64, 1], &[65]].map(revoked).to_vec());
        let empty = World::load(0, &[], bundle, revoked, ours).expect("an empty world");
        let file = SourceFile {
            name: "f".into(),
            text: text.into(),
            format: Format::Yaml,
        };
        let plan = empty.plan_apply(&[file], ours).expect("documents");
        World {
            generation: 3,
            documents: plan.documents,
            compiled: plan.compiled,
            ..empty
        }
    }

    fn identity(name: &str, id: &str, more: &str) -> String {
        format!(
            "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\n\
             spec: {{spiffeID: 'spiffe://{id}', selectors: ['unix:path:/{name}']{more}}}\n"
        )
    }

    fn group(name: &str, node: &str) -> String {
        format!(
            "---\napiVersion: tidelock.dev/v1\nkind: NodeGroup\nmetadata: {{name: {name}}}\nspec: {{nodes: [{node}]}}\n"
        )
    }

    fn others() -> String {
        let meta = |kind: &str, name: &str| {
            format!(
                "---\napiVersion: tidelock.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
            )
        };
        let permit = "permit(principal, action, resource);";
        format!(
            "{}  addresses: ['10.0.0.1:1']\n  servers: ['spiffe://td/a']\n\
             {}  cedar: '{permit}'\n{}  cedar: '{permit}'\n  mode: observe\n",
            meta("Service", "s"),
            meta("Policy", "p"),
            meta("Policy", "q"),
        )
    }

    fn nodes() -> [Name; 3] {
        ["n1", "n2", &"n".repeat(63)].map(|name| Name::parse(name).expect("name"))
    }

    #[test]
    fn a_node_is_sent_what_would_have_been_made_for_it_alone() {
        let of_all = identity("b", "td/b", "")
            + &identity("c", "{{trustDomain}}/user/{{unix.uid}}", "")
            + &others();
        let of_some = identity("a", "{{trustDomain}}/{{node.name}}/a", "")
            + &identity("d", "td/d", ", nodes: [n2]")
            + &identity("e", "td/e", ", nodes: [n1]")
            + &identity("f", "td/{{node.group}}/f", ", nodeGroups: [g1, g2]")
            + &identity(
                "g",
                "td/{{node.group}}/g/{{unix.uid}}",
                ", nodeGroups: [g1]",
            )
            + &identity("h", "td/h", ", nodeGroups: [g1], nodes: [n2]")
            + &group("g1", "n1")
            + &group("g2", "n2");
        for text in [others(), of_all.clone(), of_some + &of_all] {
            let world = world(&text);
            for node in nodes() {
                let sent = v1::Snapshot::decode(world.snapshot(&node)).expect("a snapshot");
                assert_eq!(sent, made_alone(&world, &node), "{node}");
                let delta = world.state(&node).expect("it is small").whole();
                let state = State::default().apply(&delta).expect("a state");
                assert_eq!(state.snapshot(), Ok(sent), "{node}");
            }
        }
    }

    #[test]
    fn what_is_the_same_for_all_is_made_once() {
        let world = world(&(identity("b", "td/b", "") + &others()));
        let [one, another, _] = nodes().map(|node| world.snapshot(&node));
        assert_eq!(one.as_ptr(), another.as_ptr());
        let [one, another, _] = nodes().map(|node| world.state(&node).expect("it is small"));
        assert!(Arc::ptr_eq(&one, &another));
    }

    #[test]
    fn what_was_made_of_one_world_is_not_sent_of_the_next() {
        let world = world(&others());
        let [node, ..] = nodes();
        world.snapshot(&node);
        let next = World {
            generation: 4,
            revoked: Arc::new(Revoked::default()),
            ..world.clone()
        };
        let sent = v1::Snapshot::decode(next.snapshot(&node)).expect("a snapshot");
        assert_eq!(sent, made_alone(&next, &node));
    }
}
