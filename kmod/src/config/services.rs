//! Which Service an address belongs to, found without walking every Service at every connect.

use tidelock_kabi::{Config, Endpoint, Fault, Service};

use super::sorted;

/// Numbers of the Services by port, for the life of the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Services {
    by_port: &'static [u32],
}

fn service<'a>(view: &Config<'a>, number: u32) -> Option<Service<'a>> {
    view.services.get(usize::try_from(number).ok()?)
}

fn port(view: &Config<'_>, number: u32) -> u16 {
    service(view, number).map_or(0, |service| service.port)
}

impl Services {
    pub(super) fn new(view: &Config<'static>) -> Result<Self, Fault> {
        let numbers = (0..).zip(view.services).map(|(number, _)| number);
        Ok(Self {
            by_port: sorted(numbers, |number| port(view, number))?,
        })
    }

    /// The Service with the longest prefix that covers the address; of equals, the first. For a
    /// wildcard address, which every Service of its port covers, the first of those.
    ///
    /// The initial namespace has two names: none, which C uses, and its inode number.
    pub(super) fn find(&self, view: &Config<'_>, at: &Endpoint, init_net: u32) -> Option<u32> {
        let named = if at.netns == 0 {
            Endpoint {
                netns: init_net,
                ..*at
            }
        } else {
            *at
        };
        let first = self
            .by_port
            .partition_point(|&number| port(view, number) < at.port);
        let same = self
            .by_port
            .iter()
            .skip(first)
            .map_while(|&n| Some((n, service(view, n)?)));
        let same = same.take_while(|(_, service)| service.port == at.port);
        let mut covering = same.filter(|(_, s)| s.covers(at) || s.covers(&named));
        if at.is_wildcard() {
            return covering.next().map(|(number, _)| number);
        }
        let longest = covering.reduce(|best, next| {
            if next.1.cidr.prefix_len() > best.1.cidr.prefix_len() {
                next
            } else {
                best
            }
        });
        longest.map(|(number, _)| number)
    }
}
