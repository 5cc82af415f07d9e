//! The other implementations that a governed program meets.

use super::machines;
use super::tally::Tally;
use crate::failure::Result;
use crate::kernel::Line;
use crate::places::Places;
use crate::unpacked::Unpacked;

/// The guest's own OpenSSL knows no ML-KEM; this one, 3.5, does.
const OPENSSL: &str = "openssl";

/// What of it the guest needs, in its own tree.
const OPENSSL_FILES: [&str; 7] = [
    "usr/bin/openssl",
    "usr/lib64/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "usr/lib/x86_64-linux-gnu/libssl.so.3",
    "usr/lib/x86_64-linux-gnu/libz.so.1",
    "usr/lib/x86_64-linux-gnu/libzstd.so.1",
];

/// OpenSSL, curl and nginx with an SVID of their own, at one end only of connections whose other end is governed.
///
/// # Errors
/// When the newer OpenSSL cannot be had, or the machine cannot be set up.
pub(crate) fn run(places: &Places, line: Line) -> Result<Tally> {
    let openssl = openssl(places)?;
    let mut copy: Vec<_> = OPENSSL_FILES.map(|file| openssl.inside(file)).into();
    copy.push(places.repo.join("crates/lab/scenes/lib-rogue.sh"));
    machines::script(places, line, "interop.sh", copy, Vec::new())
}

/// Unpacks what [`run`] brings along.
///
/// # Errors
/// As [`run`].
pub(crate) fn openssl(places: &Places) -> Result<Unpacked> {
    Unpacked::ensure(places, "programs", "a newer OpenSSL", OPENSSL)
}
