//! The core, run against an in-memory kernel and control plane on a virtual clock.

mod catalogue;
mod control;
mod kernel;
mod posture;
mod prop;
mod scenes;
mod templates;
mod world;
