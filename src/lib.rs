//! Length-prefixed framing for TCP.

#![cfg_attr(not(any(feature = "net", feature = "testing")), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

#[cfg(feature = "net")]
mod client;
#[cfg(feature = "net")]
mod close;
pub mod framing;
#[cfg(feature = "net")]
mod queue;
#[cfg(feature = "net")]
mod read;
#[cfg(feature = "net")]
mod server;
#[cfg(feature = "net")]
mod write;

#[cfg(feature = "net")]
pub use {
    client::{Awaited, CallError, Client, ClientConfig, ConnectError},
    close::{CloseReason, Closed, Traffic},
    read::{FrameStream, FramedRead, ReadError},
    server::{Greeting, Replies, SEED_GREETING, Served, Server, ServerConfig},
    write::{FramedWrite, NO_COPY_LEN, WriteError},
};
