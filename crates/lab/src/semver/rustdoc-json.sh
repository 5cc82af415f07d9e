#!/bin/sh
# rustdoc for `cargo lab semver`: what a crate offers, for machines to read. The form is not stable, so a stable rustdoc has to be
# told that it may; only rustdoc is, since crates whose build scripts see it too would be compiled another way.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@" -Z unstable-options --output-format json \
    --document-private-items --document-hidden-items --cap-lints allow
