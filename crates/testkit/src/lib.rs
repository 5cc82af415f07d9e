//! Virtual clock, test CA and two-ended simulation for Tidelock tests.
