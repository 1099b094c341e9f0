//! The program `unstick`, spawned as a process and spoken to as a user would.

// Helpers outside of test functions are tests, too.
#![allow(clippy::unwrap_used)]

mod broadcast;
#[path = "../support/certificates.rs"]
mod certificates;
mod connect;
mod encode_decode;
mod harness;
mod limits;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod load;
mod observers;
#[cfg(target_os = "linux")]
mod outputs;
mod readme;
mod serve;
mod starting;
mod terminal;
mod tls;
#[path = "../support/tools.rs"]
mod tools;
mod trace;
mod unix;
mod usage;
#[path = "../trace/wire.rs"]
#[allow(dead_code, reason = "the tests of the library use the rest")]
mod wire;
