//! Evidence, selectors and their appraisal, without I/O.
#![no_std]
#![forbid(unsafe_code)]
