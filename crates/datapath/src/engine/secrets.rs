//! The application traffic secrets, which rustls tells nobody but its key log.

use alloc::boxed::Box;

use once_cell::race::OnceBox;
use rustls::KeyLog;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::authorize::Role;
use crate::traffic::{MAX_TRAFFIC_SECRET_BYTES, TrafficSecret};

/// What rustls calls them, after the NSS key log.
const OF_CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const OF_SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

/// Both directions' first secrets, once there are any. It is rustls' key log, and the only one: nothing is written anywhere.
#[derive(Default)]
pub(super) struct Secrets {
    client: OnceBox<Secret>,
    server: OnceBox<Secret>,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret {
    bytes: [u8; MAX_TRAFFIC_SECRET_BYTES],
    len: usize,
}

impl Secrets {
    /// What `role` sends with and receives with, in this suite.
    pub(super) fn of(&self, role: Role, suite: u16) -> Option<(TrafficSecret, TrafficSecret)> {
        let secret = |of: &OnceBox<Secret>| {
            let secret = of.get()?;
            TrafficSecret::new(suite, secret.bytes.get(..secret.len)?)
        };
        let (client, server) = (secret(&self.client)?, secret(&self.server)?);
        Some(match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        })
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let slot = match label {
            OF_CLIENT => &self.client,
            OF_SERVER => &self.server,
            _ => return,
        };
        let mut kept = Box::new(Secret {
            bytes: [0; MAX_TRAFFIC_SECRET_BYTES],
            len: secret.len(),
        });
        if let Some(room) = kept.bytes.get_mut(..secret.len()) {
            room.copy_from_slice(secret);
            let _ = slot.set(kept);
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == OF_CLIENT || label == OF_SERVER
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
