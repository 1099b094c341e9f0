//! Captures as traces: packets written by hand, and planned connections.

// Helpers outside of test functions are tests, too.
#![allow(clippy::unwrap_used)]

mod connections;
mod files;
mod frames;
mod marks;
mod planned;
mod schema;
mod wire;
