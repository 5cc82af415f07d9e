//! One engine of ours against one peer of rustls and ring, in memory.

use rustls::{Connection, Error};
use tidelock_datapath::{Engine, Established, Failure, Role};
use tidelock_testkit::{
    End, KernelTls, PairBuilder, SeededEntropy, TestCa, Verdict, VirtualClock, Wire,
};

use super::{Setup, received, send, turn};

pub(crate) const CLIENT: &str = "spiffe://example.org/client";
pub(crate) const SERVER: &str = "spiffe://example.org/server";

/// Our end, the peer, and the wire between.
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) peer: Connection,
    pub(crate) to_us: Wire,
    pub(crate) to_peer: Wire,
    /// What the peer's TLS thinks of it all.
    pub(crate) peer_said: Result<(), Error>,
}

impl Run {
    /// Runs our end, in `our_role` and made of that half of `ours`, against a peer whose
    /// certificates `peer_ca` signs, until nothing moves.
    pub(crate) fn new(our_role: Role, setup: &Setup, peer_ca: &TestCa, ours: &PairBuilder) -> Self {
        let now = VirtualClock::new().now();
        let (engine, peer) = match our_role {
            Role::Client => {
                let engine = Engine::client::<SeededEntropy>(now, ours.client_params());
                (engine, setup.server(peer_ca, SERVER))
            }
            Role::Server => {
                let engine = Engine::server::<SeededEntropy>(now, ours.server_params());
                (engine, setup.client(peer_ca, CLIENT))
            }
        };
        let (to_us, to_peer) = (Wire::default(), Wire::default());
        let mut run = Self {
            end: End::new(engine),
            peer,
            to_us,
            to_peer,
            peer_said: Ok(()),
        };
        run.end.poll(&mut run.to_peer);
        while run.step() {}
        run
    }

    /// Moves what there is to move. False when nothing did.
    pub(crate) fn step(&mut self) -> bool {
        if self.peer_said.is_ok() {
            self.peer_said = turn(&mut self.peer, &mut self.to_peer, &mut self.to_us);
        }
        let moved = self.to_us.deliver(usize::MAX) > 0;
        while self.end.verdict.is_none()
            && let Some(mut record) = self.to_us.record()
        {
            let now = VirtualClock::new().now();
            self.end
                .engine
                .handle(now, &mut record)
                .expect("a whole record");
            self.end.poll(&mut self.to_peer);
        }
        moved || !self.to_peer.in_flight.is_empty() && self.peer_said.is_ok()
    }

    pub(crate) fn established(&self) -> &Established {
        self.end.verdict.as_ref().expect("a verdict").established()
    }

    pub(crate) fn failure(&self) -> &Failure {
        self.end.verdict.as_ref().expect("a verdict").failure()
    }

    /// Records both ways by kernel TLS on our side: they must carry what was sent.
    pub(crate) fn exchange(&mut self) {
        let (tx, rx) = match self.end.verdict.as_ref().expect("a verdict") {
            Verdict::Established(end) => (end.tx.as_bytes().to_vec(), end.rx.as_bytes().to_vec()),
            Verdict::Failed(why) => panic!("{why}"),
        };
        let (mut tx, mut rx) = (KernelTls::new(&tx), KernelTls::new(&rx));
        for text in [&b"first"[..], b"second"] {
            self.to_peer.send(&tx.seal(23, text));
            turn(&mut self.peer, &mut self.to_peer, &mut self.to_us).expect("authentic records");
            assert_eq!(received(&mut self.peer), text);
        }
        send(&mut self.peer, b"answer");
        turn(&mut self.peer, &mut self.to_peer, &mut self.to_us).expect("nothing to refuse");
        self.to_us.deliver(usize::MAX);
        let mut answer = Vec::new();
        while let Some(record) = self.to_us.record() {
            let (content_type, text) = rx.open(&record).expect("an authentic record");
            // Tickets of a peer that is not Tidelock come after the handshake, for kernel TLS to
            // hand over.
            assert!(matches!(content_type, 22 | 23));
            if content_type == 23 {
                answer.extend(text);
            }
        }
        assert_eq!(answer, b"answer");
    }
}
