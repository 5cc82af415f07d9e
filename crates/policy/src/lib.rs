//! Authorisation policy: Cedar in, a checked flat image out, a bounded evaluator over it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::integer_division,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bounds;
#[cfg(feature = "alloc")]
mod build;
#[cfg(feature = "compile")]
pub mod compile;
mod decision;
mod eval;
mod image;
mod request;

#[cfg(feature = "alloc")]
pub use build::{Actions, BuildError, Effect, Expr, ImageBuilder, Rule, Scope};
#[cfg(feature = "compile")]
pub use compile::{CompileError, Compiled, Source, compile};
pub use decision::{Decision, Outcome};
pub use image::layout::VERSION as IMAGE_VERSION;
pub use image::{Image, ImageError};
pub use request::{Attribute, Context, Entity, EntityRef, Request, Undecided, Value};
