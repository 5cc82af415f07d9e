//! Two engines in memory, byte by byte, on a virtual clock.

use std::sync::{Arc, Mutex};

use tidelock_datapath::{
    Answer, Authorize, Engine, Established, Failure, Identity, Mono, Output, Params, Peer, Role,
    TrustStore,
};

use crate::{SeededEntropy, VirtualClock, Wire};

/// How a handshake ended for one end.
#[derive(Debug)]
pub enum Verdict {
    /// Connected.
    Established(Box<Established>),
    /// Not connected.
    Failed(Failure),
}

impl Verdict {
    /// The connection.
    ///
    /// # Panics
    /// If there is none.
    pub fn established(&self) -> &Established {
        match self {
            Self::Established(end) => end,
            Self::Failed(why) => panic!("not established: {why}"),
        }
    }

    /// The failure.
    ///
    /// # Panics
    /// If there is none.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Established(_) => panic!("established, and must not be"),
            Self::Failed(why) => why,
        }
    }
}

/// An [`Authorize`] that remembers what it was asked.
pub struct Allowing {
    deny: Option<u32>,
    asked: Mutex<Vec<(Role, String)>>,
}

impl Allowing {
    /// Says yes.
    #[must_use]
    pub fn everyone() -> Arc<Self> {
        Arc::new(Self {
            deny: None,
            asked: Mutex::default(),
        })
    }

    /// Says no, with `code`.
    #[must_use]
    pub fn nobody(code: u32) -> Arc<Self> {
        Arc::new(Self {
            deny: Some(code),
            asked: Mutex::default(),
        })
    }

    /// Every question so far.
    #[must_use]
    pub fn asked(&self) -> Vec<(Role, String)> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

impl Authorize for Allowing {
    fn authorize(&self, role: Role, peer: &Peer) -> Answer {
        self.asked
            .lock()
            .expect("not poisoned")
            .push((role, peer.id().as_str().into()));
        match self.deny {
            None => Answer::Allow {
                detail: "policy0".into(),
            },
            Some(code) => Answer::Deny {
                code,
                detail: "no permit matched".into(),
            },
        }
    }
}

/// One end of a [`Pair`].
pub struct End {
    /// Its engine.
    pub engine: Engine,
    /// How it ended, once it has.
    pub verdict: Option<Verdict>,
}

impl End {
    /// Wraps an engine that was just started.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            verdict: None,
        }
    }

    /// Empties the engine's outputs: bytes go to `wire`, the verdict stays here.
    ///
    /// # Panics
    /// If there is output after a verdict.
    pub fn poll(&mut self, wire: &mut Wire) {
        while let Some(output) = self.engine.poll() {
            assert!(
                self.verdict.is_none(),
                "output after the verdict: {output:?}"
            );
            match output {
                Output::Send(bytes) => wire.send(&bytes),
                Output::Established(end) => self.verdict = Some(Verdict::Established(end)),
                Output::Failed(why) => self.verdict = Some(Verdict::Failed(why)),
            }
        }
    }
}

/// A client and a server, and the wire between them.
pub struct Pair {
    /// The end that connects.
    pub client: End,
    /// The end that accepts.
    pub server: End,
    /// Client to server.
    pub to_server: Wire,
    /// Server to client.
    pub to_client: Wire,
    /// Time, for both.
    pub clock: VirtualClock,
}

/// What the two ends of a [`Pair`] are made of.
pub struct PairBuilder {
    /// The client's identity.
    pub client: Identity,
    /// The server's identity.
    pub server: Identity,
    /// Whom the client believes.
    pub client_trust: Arc<TrustStore>,
    /// Whom the server believes.
    pub server_trust: Arc<TrustStore>,
    /// Whom the client allows.
    pub client_allows: Arc<Allowing>,
    /// Whom the server allows.
    pub server_allows: Arc<Allowing>,
    /// When both give up.
    pub deadline: Option<Mono>,
}

impl PairBuilder {
    /// Two identities, each of which believes `trust` and allows everyone.
    #[must_use]
    pub fn new(client: Identity, server: Identity, trust: TrustStore) -> Self {
        let trust = Arc::new(trust);
        Self {
            client,
            server,
            client_trust: Arc::clone(&trust),
            server_trust: trust,
            client_allows: Allowing::everyone(),
            server_allows: Allowing::everyone(),
            deadline: None,
        }
    }

    /// What the client's engine is made of.
    #[must_use]
    pub fn client_params(&self) -> Params<'_> {
        Params {
            identity: &self.client,
            trust: Arc::clone(&self.client_trust),
            authorize: self.client_allows.clone(),
            deadline: self.deadline,
        }
    }

    /// What the server's engine is made of.
    #[must_use]
    pub fn server_params(&self) -> Params<'_> {
        Params {
            identity: &self.server,
            trust: Arc::clone(&self.server_trust),
            authorize: self.server_allows.clone(),
            deadline: self.deadline,
        }
    }

    /// Starts both ends; the first bytes are in flight.
    #[must_use]
    pub fn start(&self) -> Pair {
        let clock = VirtualClock::new();
        let client = Engine::client::<SeededEntropy>(clock.now(), self.client_params());
        let server = Engine::server::<SeededEntropy>(clock.now(), self.server_params());
        let mut pair = Pair {
            client: End::new(client),
            server: End::new(server),
            to_server: Wire::default(),
            to_client: Wire::default(),
            clock,
        };
        pair.poll();
        pair
    }
}

impl Pair {
    /// Delivers at most `max` bytes to `role` and lets it handle what records they complete. Gives
    /// how many bytes there were.
    pub fn deliver(&mut self, role: Role, max: usize) -> usize {
        let (end, incoming, outgoing) = match role {
            Role::Client => (&mut self.client, &mut self.to_client, &mut self.to_server),
            Role::Server => (&mut self.server, &mut self.to_server, &mut self.to_client),
        };
        let count = incoming.deliver(max);
        // After its verdict an end leaves the stream to kernel TLS.
        while end.verdict.is_none()
            && let Some(mut record) = incoming.record()
        {
            end.engine
                .handle(self.clock.now(), &mut record)
                .expect("a whole record before the verdict");
            end.poll(outgoing);
        }
        count
    }

    /// Delivers everything, `chunk` bytes at a time, until nothing moves.
    pub fn run_by(&mut self, chunk: usize) {
        while self.deliver(Role::Server, chunk) + self.deliver(Role::Client, chunk) > 0 {}
    }

    /// Delivers everything until nothing moves.
    pub fn run(&mut self) {
        self.run_by(usize::MAX);
    }

    /// Lets `nanos` pass and fires deadlines.
    pub fn wait_nanos(&mut self, nanos: u64) {
        self.clock.advance_nanos(nanos);
        let now = self.clock.now().mono;
        self.client.engine.handle_timeout(now);
        self.server.engine.handle_timeout(now);
        self.poll();
    }

    /// Both verdicts, client first.
    ///
    /// # Panics
    /// If an end has none.
    #[must_use]
    pub fn verdicts(&self) -> (&Verdict, &Verdict) {
        let client = self
            .client
            .verdict
            .as_ref()
            .expect("the client has a verdict");
        (
            client,
            self.server
                .verdict
                .as_ref()
                .expect("the server has a verdict"),
        )
    }

    fn poll(&mut self) {
        self.client.poll(&mut self.to_server);
        self.server.poll(&mut self.to_client);
    }
}
