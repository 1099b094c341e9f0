//! The program `unstick`, spawned as a process and spoken to as a user would.

// Helpers outside of test functions are tests, too.
#![allow(clippy::unwrap_used)]

mod broadcast;
mod connect;
mod encode_decode;
mod harness;
mod limits;
#[cfg(target_os = "linux")]
mod load;
mod observers;
mod serve;
mod starting;
mod terminal;
mod unix;
mod usage;
