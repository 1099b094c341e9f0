//! The program `unstick`, spawned as a process and spoken to as a user would.

mod connect;
mod encode_decode;
mod harness;
mod serve;
mod terminal;
mod usage;
