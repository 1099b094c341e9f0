//! Length-prefixed framing for TCP, which no split and no merge can break.
//!
//! TCP carries a stream of bytes. Send three frames, and the peer may read them stuck together, or one of them torn over
//! several reads (粘包 / 分包). This crate puts frames into such a stream and takes them out again, whatever way it was cut.
//!
//! | you have | take |
//! |---|---|
//! | bytes, and your own I/O | [`framing`]: [`Decoder`](framing::Decoder) and [`Encoder`](framing::Encoder), `no_std + alloc`, no dependency |
//! | bytes that are all there, such as a mapped file | [`Format::frames`](framing::Format::frames) and [`framing::split_first`]: nothing is copied or allocated |
//! | any `std` `Read` or `Write`: a socket, a file, standard input | `FrameReader`, `FrameWriter`, feature `std` |
//! | any `futures` `AsyncRead` or `AsyncWrite`, on any runtime | `FramedRead`, `FramedWrite`; `into_stream`, `into_sink` |
//! | a `tokio_util::codec::Framed` | `codec::FrameCodec`, feature `tokio-codec` |
//! | a socket to listen on, TCP or Unix | `Server`, feature `server`: an async handler gets each frame, replies, waits; `Outbox` pushes |
//! | connections of any other kind: TLS, a pipe, memory | `Server::with_listener`, `serve_connection`; the traits `Listener`, `Transport` |
//! | a server to talk to, TCP or Unix | `Client`, feature `client` |
//! | a server of yours to test | `testing::Simulation`, features `server` and `testing`: the whole server in memory, by a simulated clock |
//! | a framed server in any language to load | the module `load`, feature `load`; `unstick load` |
//! | a decoder of your own to test | the module `testing`, feature `testing` |
//!
//! ```
//! use unstick::framing::{Decoder, Encoder, Format};
//!
//! let format = Format::U32_LE; // four bytes of length, little-endian; up to 1 MiB of payload
//! let mut wire = Vec::new();
//! Encoder::new(format).encode("你好".as_bytes(), &mut wire)?;
//!
//! let mut decoder = Decoder::new(format);
//! for byte in wire {
//!     decoder.feed(&[byte]); // torn as much as can be
//! }
//! assert_eq!(decoder.next_frame()?.unwrap().text()?, "你好");
//! decoder.finish()?; // the stream may end here
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! Without any: the core alone, `no_std + alloc`, no dependency. Each feature pulls in what it needs and no more.
//! - `std`: the adapters for blocking I/O; no dependency.
//! - `futures`: the adapters for any `futures` I/O, on any runtime.
//! - `tokio-codec`: a codec for tokio-util, on tokio.
//! - `client`: the client, on smol.
//! - `server`: the server, on smol.
//! - `net` (default): `client` and `server`.
//! - `load`: the load engine, on Linux: drives any framed server, verifies every byte, and measures.
//! - `testing`: the property kit, to put any decoder under the suite that this one is under; `no_std`, no dependency. Its
//!   readers and writers that do what a network may do come with `std` (blocking) and with `futures`, its sessions and its `Simulation` with `server`.
//! - `tracing`: the server's events, structured, for any subscriber of the crate of that name: `listening`, `opened`, `refused`,
//!   `closed` with its reason and numbers, `accept failed`, `stopping`, `drained`; none for a frame. The target is
//!   `unstick::server`.
//! - `cli`: the program `unstick`.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

/// The README's examples are tests.
#[cfg(all(doctest, feature = "client", feature = "server"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

#[cfg(feature = "std")]
mod adapters;
#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "server"))]
mod close;
pub mod framing;
#[cfg(all(feature = "load", target_os = "linux"))]
pub mod load;
#[cfg(any(feature = "client", feature = "server"))]
mod peer;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "tokio-codec")]
pub use adapters::codec;
#[cfg(feature = "std")]
pub use adapters::{FrameIter, FrameReader, FrameWriter, NO_COPY_LEN, ReadError, WriteError};
#[cfg(feature = "futures")]
pub use adapters::{FrameSink, FrameStream, FramedRead, FramedWrite};
#[cfg(feature = "client")]
pub use client::{CallError, Client, ClientConfig, ClientStream, ConnectError, ExpectedGreeting, RecvError};
#[cfg(any(feature = "client", feature = "server"))]
pub use close::{CloseKind, CloseReason, Closed, Traffic};
#[cfg(any(feature = "client", feature = "server"))]
pub use peer::{Credentials, PeerName};
#[cfg(feature = "server")]
pub use server::{
    Account, Greeting, Halves, Listener, Outbox, Peer, PushError, Responder, Server, ServerConfig, Sleep, Stats,
    TUTORIAL_GREETING, Transport, serve_connection,
};
