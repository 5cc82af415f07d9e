//! Authorisation policy: Cedar in, a checked flat image out, a bounded evaluator over it.
//!
//! Policies are written in [Cedar](https://www.cedarpolicy.com) and compiled in userspace, by the feature `compile`, to a flat,
//! versioned, position-independent image. What enforces them, a kernel for one, checks an image once and then decides by
//! it: without allocation, recursion or panic, in a number of steps that was proven when the image was made and again when
//! it was checked. The crate knows nothing of SPIFFE, kernels or I/O: principals, actions and resources are opaque names with
//! ancestors (`examples/doors.rs` embeds it in something else entirely).
//!
//! ```
//! # #[cfg(feature = "compile")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Source, compile};
//!
//! // Where policy is managed.
//! let text = r#"
//!     @id("shop to db")
//!     permit(
//!         principal in Workload::"spiffe://example.org/shop",
//!         action == Action::"connect",
//!         resource == Service::"db"
//!     ) when { [5432, 5433].contains(context.port) };
//! "#;
//! let compiled = compile(&[Source { name: "shop.cedar", text }]).map_err(|errors| errors[0].to_string())?;
//!
//! // Where policy is enforced.
//! let image = Image::check(&compiled.image)?;
//! let ancestors = [EntityRef::new("Workload", "spiffe://example.org/shop"), EntityRef::new("TrustDomain", "example.org")];
//! let attributes = [Attribute::port(5432)];
//! let request = Request {
//!     principal: Entity::new("Workload", "spiffe://example.org/shop/web", &ancestors),
//!     action: "connect",
//!     resource: Entity::new("Service", "db", &[]),
//!     context: Context::new(&attributes),
//! };
//! let decision = image.decide(&request);
//! assert!(decision.allow());
//! assert!(decision.policies().eq(["shop to db"]));
//!
//! let listen = image.decide(&Request { action: "listen", ..request });
//! assert_eq!(listen.outcome(), Outcome::NoPermit);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "compile"))]
//! # fn main() {}
//! ```
//!
//! # What decides
//!
//! As in Cedar: a request is denied unless a `permit` matches, and whatever `permit` matches, a matching `forbid` denies. In
//! one thing this crate is stricter: **a `forbid` that cannot be evaluated denies**, where Cedar skips it. A `permit` that cannot
//! be evaluated does not count, in both. A request beyond the bounds of [`bounds`] is denied ([`Outcome::Undecided`]).
//!
//! # What may be written
//!
//! All of Cedar but for two things, which are refused when compiled, by name and place: an action as a value of its own (it
//! can be compared with `action`, by `==`, `!=`, `in` and `is`), and what passes a bound of [`bounds`], such as a set of more
//! computed members than there are registers. Templates are linked when they are compiled, by `compile::compile_linked`.
//! Policies are validated strictly by the schema in `schema/tidelock.cedarschema`, or by one's own.
//!
//! A request tells of its principal, its resource and, in its [`Context`], of as many other entities as policies may need:
//! ancestors, attributes and tags, all borrowed. What it does not tell is not there, as in Cedar's own store of entities.
//! Where a value of the request passes a bound (a string, a record, the depth of what is compared, the work of one
//! operation), the condition cannot be evaluated; nor if it compares two sets, or two records, where the schema has neither.
//!
//! # Features
//!
//! None: checking and deciding. `alloc`: `ImageBuilder`, which makes images of rules without Cedar. `compile`: the function
//! `compile`, of Cedar text, and the module `tools` for those who write it; it needs `std`.
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
#[cfg(feature = "compile")]
pub mod tools;
mod value;

#[cfg(feature = "alloc")]
pub use build::{Actions, Binary, BuildError, Effect, Expr, ImageBuilder, Rule, Scope, Unary};
#[cfg(feature = "compile")]
pub use compile::{CompileError, Compiled, Source, compile};
pub use decision::{Decision, Outcome};
pub use image::layout::VERSION as IMAGE_VERSION;
pub use image::{Image, ImageError};
pub use request::{Context, Entity, EntityRef, Request, Undecided};
pub use value::{Attribute, Ip, Value};
