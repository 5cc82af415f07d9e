//! The question an engine asks once its peer has proved who it is.

use alloc::boxed::Box;

use crate::peer::Peer;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// We connect.
    Client,
    /// We accept.
    Server,
}

/// Decides whether a connection may be. Asked at most once per handshake, after the peer's chain
/// and its proof of possession of the key are verified and before anything of ours that the answer
/// could forbid is sent: a client has not shown its certificate, a server has not confirmed.
pub trait Authorize: Send + Sync {
    /// May we, as `role`, be connected with `peer`?
    fn authorize(&self, role: Role, peer: &Peer) -> Answer;
}

/// The answer to [`Authorize::authorize`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Yes.
    Allow {
        /// Why, for people: such as the determining policies. May be empty.
        detail: Box<str>,
    },
    /// No.
    Deny {
        /// The reason's number; the engine only hands it back, in
        /// [`Failure::Denied`](crate::Failure::Denied).
        code: u32,
        /// Why, for people.
        detail: Box<str>,
    },
}
