//! Which Service an address belongs to, found without walking every Service at every connect.

use alloc::vec::Vec;

use tidelock_kabi::{Config, Endpoint, Fault, Service};

use super::NO_MEMORY;

/// A Service's port and number.
type Row = (u16, u32);

/// The Services by port, for the life of the arena. Every connect looks here, also an ungoverned
/// one, so the ports lie side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Services {
    by_port: &'static [Row],
}

fn service<'a>(view: &Config<'a>, number: u32) -> Option<Service<'a>> {
    view.services.get(usize::try_from(number).ok()?)
}

impl Services {
    pub(super) fn new(view: &Config<'_>) -> Result<Self, Fault> {
        let mut rows = Vec::new();
        rows.try_reserve_exact(view.services.len())
            .map_err(|_| NO_MEMORY)?;
        rows.extend(
            (0..)
                .zip(view.services)
                .map(|(number, service)| (service.port, number)),
        );
        rows.sort_unstable();
        Ok(Self {
            by_port: Vec::leak(rows),
        })
    }

    /// The Services of a port: most ports have none, and whoever asks is done.
    fn of_port(&self, port: u16) -> &[Row] {
        let first = self.by_port.partition_point(|&(other, _)| other < port);
        let rest = self.by_port.get(first..).unwrap_or_default();
        let len = rest.partition_point(|&(other, _)| other == port);
        rest.get(..len).unwrap_or_default()
    }

    /// The Service with the longest prefix that covers the address; of equals, the first. For a
    /// wildcard address, which every Service of its port covers, the first of those.
    ///
    /// The initial namespace has two names: none, which C uses, and its inode number.
    pub(super) fn find(&self, view: &Config<'_>, at: &Endpoint, init_net: u32) -> Option<u32> {
        let same = self.of_port(at.port);
        if same.is_empty() {
            return None;
        }
        let named = if at.netns == 0 {
            Endpoint {
                netns: init_net,
                ..*at
            }
        } else {
            *at
        };
        let same = same
            .iter()
            .filter_map(|&(_, number)| Some((number, service(view, number)?)));
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
