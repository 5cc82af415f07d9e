//! Going through the policies whose scopes match.

use super::meter::{Meter, POLICY_STEPS, ROUND_STEPS};
use super::program::{self, Machine};
use super::value::same;
use super::{Fault, Hits, Tally};
use crate::bounds::MAX_ATTRIBUTES;
use crate::image::layout::PORT;
use crate::image::nodes::{Nodes, Side};
use crate::image::{Image, PolicyRecord, read};
use crate::request::Request;
use crate::value::Value;

/// What a request says of the port, as policies are filed by it.
#[derive(Clone, Copy)]
pub(super) enum Port {
    /// The number that policies of this port are filed under.
    Filed(u32),
    /// No policy is filed under it.
    Other,
    /// A condition that reads it cannot be evaluated.
    Fault,
}

/// One decision under way. Its methods return `None` only for an image that no check accepted.
pub(super) struct Run<'x, 't, M> {
    pub(super) image: &'x Image<'x>,
    pub(super) request: &'x Request<'x>,
    /// The bit of the action in action sets.
    pub(super) action: u64,
    /// Made for the first condition.
    pub(super) machine: Option<Machine<'x>>,
    /// Sought for the first policy that wants one.
    pub(super) port: Option<Port>,
    pub(super) tally: &'t mut Tally,
    pub(super) meter: &'t mut M,
}

impl<M: Meter> Run<'_, '_, M> {
    /// By an image without any scope.
    pub(super) fn unscoped(mut self) -> Option<()> {
        let policies = u32::try_from(self.image.policy_count()).ok()?;
        self.bucket(0, policies, &Hits::<0>::NONE)
    }

    /// By an image of which at most so many scopes can match a principal and a resource.
    pub(super) fn scoped<const PRINCIPALS: usize, const RESOURCES: usize>(
        mut self,
        nodes: &Nodes<'_>,
    ) -> Option<()> {
        let (image, request) = (self.image, self.request);
        let principal = (Side::Principal, &request.principal);
        let principals = Hits::<PRINCIPALS>::of(nodes, image, principal, self.meter);
        let resource = (Side::Resource, &request.resource);
        let resources = Hits::<RESOURCES>::of(nodes, image, resource, self.meter);
        self.bucket(0, nodes.unscoped, &resources)?;
        for hit in principals.iter() {
            let slot = nodes.slot(hit)?;
            self.bucket(slot.first, slot.count, &resources)?;
        }
        Some(())
    }

    /// All policies of one principal scope whose resource scope matches.
    fn bucket<const MOST: usize>(
        &mut self,
        first: u32,
        count: u32,
        resources: &Hits<MOST>,
    ) -> Option<()> {
        if count == 0 {
            return Some(());
        }
        let end = first.checked_add(count)?;
        self.run(first, end, 0)?;
        for hit in resources.iter() {
            let node = hit.checked_add(1)?;
            let start = self.lower_bound(first, end, (node, 0))?;
            self.run(start, end, node)?;
        }
        Some(())
    }

    /// The first policy of a sorted range that is filed under that resource node and port or later. At most 32 rounds.
    fn lower_bound(&mut self, first: u32, end: u32, key: (u32, u32)) -> Option<u32> {
        let (mut low, mut high) = (first, end);
        while low < high {
            self.meter.steps(ROUND_STEPS);
            let middle = low.midpoint(high);
            let policy = self.image.policy(middle)?;
            if (policy.resource, policy.port) < key {
                low = middle.checked_add(1)?;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The policies from `start` on that are filed under that resource node: those of any port, then those of the request's.
    fn run(&mut self, start: u32, end: u32, node: u32) -> Option<()> {
        for number in start..end {
            self.meter.steps(POLICY_STEPS);
            let policy = self.image.policy(number)?;
            if policy.resource != node {
                break;
            }
            if policy.port != 0 {
                return self.by_port(number, end, node);
            }
            self.consider(number, &policy)?;
        }
        Some(())
    }

    fn by_port(&mut self, start: u32, end: u32, node: u32) -> Option<()> {
        let (start, wanted) = match self.port() {
            Port::Other => return Some(()),
            Port::Fault => (start, None),
            Port::Filed(port) => (self.lower_bound(start, end, (node, port))?, Some(port)),
        };
        for number in start..end {
            self.meter.steps(POLICY_STEPS);
            let policy = self.image.policy(number)?;
            if policy.resource != node || wanted.is_some_and(|port| policy.port != port) {
                break;
            }
            match wanted {
                Some(_) => self.consider(number, &policy)?,
                None if self.acts(&policy)? => {
                    self.tally.count(number, &policy, Err(Fault::Missing));
                }
                None => {}
            }
        }
        Some(())
    }

    fn port(&mut self) -> Port {
        if let Some(port) = self.port {
            return port;
        }
        let given = self.request.context.attributes();
        let found = given
            .iter()
            .take(MAX_ATTRIBUTES)
            .find(|attribute| same(attribute.name.as_bytes(), PORT.as_bytes(), self.meter));
        let port = match found.map(|attribute| attribute.value) {
            None => Port::Fault,
            // A value that no condition could read.
            Some(Value::Record(fields)) if fields.len() > MAX_ATTRIBUTES => Port::Fault,
            Some(Value::Long(port)) => u32::try_from(port)
                .ok()
                .and_then(|port| port.checked_add(1))
                .map_or(Port::Other, Port::Filed),
            Some(_) => Port::Other,
        };
        self.port = Some(port);
        port
    }

    fn acts(&self, policy: &PolicyRecord) -> Option<bool> {
        let Some(set) = policy.actions.checked_sub(1) else {
            return Some(true);
        };
        read::quad(self.image.action_sets, u32::from(set)).map(|set| set & self.action != 0)
    }

    fn consider(&mut self, number: u32, policy: &PolicyRecord) -> Option<()> {
        if self.acts(policy)? {
            let matched = self.condition(policy);
            self.tally.count(number, policy, matched);
        }
        Some(())
    }

    fn condition(&mut self, policy: &PolicyRecord) -> Result<bool, Fault> {
        let Some(start) = policy.program.checked_sub(1) else {
            return Ok(true);
        };
        let (image, request, action) = (self.image, self.request, self.action);
        let machine = self
            .machine
            .get_or_insert_with(|| Machine::new(image, request, action));
        program::run(machine, start, self.meter)
    }
}
