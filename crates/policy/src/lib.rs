//! Authorisation policy: Cedar in, a checked flat image out, a bounded evaluator over it.
#![no_std]
#![forbid(unsafe_code)]
