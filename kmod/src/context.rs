//! What a request tells of its circumstances: the port, and as far as policies ask for it the addresses, the time, this node,
//! and the process whose end asks.
//!
//! Who listens is asked of its own process alone, as `process`: there is no other end.
//!
//! What is not known when an end asks is absent: a client has no address of its own before it connects.

use core::net::Ipv6Addr;

use tidelock_datapath::transform::HttpRequest;
use tidelock_kabi::{Posture, Role};
use tidelock_policy::{Attribute, EntityRef, Image, Ip, Value};

use crate::facts::{CLIENT, Facts, PROCESS, SERVER};
use crate::ffi::Addr;

/// How often live flows are decided anew while a policy asks for the time, in milliseconds: so much later than it says a
/// flow may end.
pub const REDECIDE_MS: u32 = 5_000;

/// The entity type of a node.
const NODE: &str = "Node";
/// The attributes of the context.
const CLIENT_ADDRESS: &str = "clientAddress";
const SERVER_ADDRESS: &str = "serverAddress";
const ADDRESS: &str = "address";
const TIME: &str = "time";
const POSTURE: &str = "posture";

/// What the policies of a configuration ask for: the rest is not told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Asks {
    /// Facts of processes.
    pub facts: bool,
    /// Addresses of the ends.
    pub addresses: bool,
    /// The time.
    pub time: bool,
    /// What is known of the node.
    pub posture: bool,
}

impl Asks {
    /// What an image asks for.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        Self {
            facts: Facts::are_read(image),
            addresses: [CLIENT_ADDRESS, SERVER_ADDRESS, ADDRESS]
                .iter()
                .any(|name| image.reads(name)),
            time: image.reads(TIME),
            posture: image.reads(POSTURE),
        }
    }

    /// What either asks for.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            facts: self.facts || other.facts,
            addresses: self.addresses || other.addresses,
            time: self.time || other.time,
            posture: self.posture || other.posture,
        }
    }
}

/// What is known of a node, as policies are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// What the agent says.
    pub posture: Posture<'a>,
    /// The release of the running kernel, as `uname -r` prints it.
    pub kernel: &'a str,
}

/// The circumstances of one question. What is `None` is not known, or not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The server's port.
    pub port: u16,
    /// The client's address.
    pub client: Option<Ip>,
    /// The server's address.
    pub server: Option<Ip>,
    /// Milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The node whose kernel asks.
    pub node: Option<Node<'a>>,
    /// The process whose end asks.
    pub process: Option<Facts<'a>>,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'r> {
    /// A connection, at this end of it.
    Connection(Role),
    /// Accepting connections.
    Listening,
    /// A request, at the server's end.
    Request(&'r HttpRequest<'r>),
}

impl Circumstances<'_> {
    /// Whether it is known what the process executes.
    pub(crate) fn is_measured(&self) -> bool {
        self.process.is_some_and(|facts| facts.is_measured())
    }

    /// Calls `ask` with the context of a question.
    pub(crate) fn told<T>(&self, about: About<'_>, ask: impl FnOnce(&[Attribute<'_>]) -> T) -> T {
        match &self.process {
            Some(facts) => facts.told(|facts| self.told_with(about, Some(facts), ask)),
            None => self.told_with(about, None, ask),
        }
    }

    fn told_with<T>(
        &self,
        about: About<'_>,
        process: Option<Value<'_>>,
        ask: impl FnOnce(&[Attribute<'_>]) -> T,
    ) -> T {
        let mut posture = Room::<4>::new();
        if let Some(node) = &self.node {
            let name = EntityRef::new(NODE, node.posture.node);
            posture.put("node", Value::Entity(name));
            posture.put("attested", Value::Bool(true));
            let at = node.posture.attested_at_ms;
            posture.put_some("attestedAt", at.map(Value::Datetime));
            posture.put("kernel", Value::Str(node.kernel));
        }
        let mut context = Room::<9>::new();
        context.put("port", Value::Long(i64::from(self.port)));
        let host = match about {
            About::Request(request) => request.host.as_ref(),
            _ => None,
        };
        match about {
            About::Request(request) => {
                context.put("method", Value::Str(request.method));
                context.put("path", Value::Str(request.path));
                context.put_some("host", host.map(|host| Value::Str(host.as_str())));
                context.put_some(PROCESS, process);
                context.put_some(CLIENT_ADDRESS, self.client.map(Value::Ip));
                context.put_some(SERVER_ADDRESS, self.server.map(Value::Ip));
            }
            About::Connection(role) => {
                let end = match role {
                    Role::Client => CLIENT,
                    Role::Server => SERVER,
                };
                context.put_some(end, process);
                context.put_some(CLIENT_ADDRESS, self.client.map(Value::Ip));
                context.put_some(SERVER_ADDRESS, self.server.map(Value::Ip));
            }
            About::Listening => {
                context.put_some(PROCESS, process);
                context.put_some(ADDRESS, self.server.map(Value::Ip));
            }
        }
        context.put_some(TIME, self.time_ms.map(Value::Datetime));
        let posture = self.node.map(|_| Value::Record(posture.all()));
        context.put_some(POSTURE, posture);
        ask(context.all())
    }
}

/// Up to `N` attributes. What is put where there is no room is left out: give it as much as there can be.
pub(crate) struct Room<'a, const N: usize> {
    all: [Attribute<'a>; N],
    len: usize,
}

impl<'a, const N: usize> Room<'a, N> {
    pub(crate) const fn new() -> Self {
        Self {
            all: [Attribute::new("", Value::Bool(false)); N],
            len: 0,
        }
    }

    pub(crate) fn put(&mut self, name: &'a str, value: Value<'a>) {
        if let Some(place) = self.all.get_mut(self.len) {
            *place = Attribute::new(name, value);
            self.len = self.len.saturating_add(1);
        }
    }

    pub(crate) fn put_some(&mut self, name: &'a str, value: Option<Value<'a>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    pub(crate) fn all(&self) -> &[Attribute<'a>] {
        self.all.get(..self.len).unwrap_or(&[])
    }
}

/// The address of an endpoint, as policies compare it; `None` if none is known: the one that stands for any.
pub(crate) fn ip(addr: &Addr) -> Option<Ip> {
    let address = Ipv6Addr::from(addr.ip).to_canonical();
    Some(address)
        .filter(|address| !address.is_unspecified())
        .map(Ip::from)
}

#[cfg(test)]
mod tests;
