//! Length-prefixed framing for TCP: a sans-io core, adapters for blocking and async I/O, a server and a client.
//!
//! TCP carries a stream of bytes, not messages. Send three frames, and the peer may read them in one piece, or one of
//! them in several pieces (粘包 / 分包). This crate puts frames into such a stream and takes them out again, however the
//! stream is cut.
//!
//! ```
//! use unstick::framing::{Decoder, Encoder, Format};
//!
//! let format = Format::U32_LE; // a length of four bytes, little-endian; payloads of up to 1 MiB
//! let mut wire = Vec::new();
//! Encoder::new(format).encode("你好".as_bytes(), &mut wire)?;
//!
//! let mut decoder = Decoder::new(format);
//! for byte in wire {
//!     decoder.feed(&[byte]); // the worst case: one byte a read
//! }
//! assert_eq!(decoder.next_frame()?.unwrap().text()?, "你好");
//! decoder.finish()?; // the stream did not end inside a frame
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Take what you need
//!
//! | you have | take | feature |
//! |---|---|---|
//! | bytes, and your own I/O | [`Decoder`](framing::Decoder), [`Encoder`](framing::Encoder) | none: `no_std + alloc`, no dependency |
//! | all the bytes, such as a mapped file | [`Format::frames`](framing::Format::frames), [`split_first`](framing::split_first): no copy, no allocation | none |
//! | a `std` `Read` or `Write`: a socket, a file, standard input | [`FrameReader`], [`FrameWriter`] | `std`: no dependency |
//! | a `futures` `AsyncRead` or `AsyncWrite`, on any runtime | [`FramedRead`], [`FramedWrite`]; as a stream and a sink, [`FrameStream`] and [`FrameSink`] | `futures` |
//! | tokio | [`codec`]: a codec for `tokio_util::codec::Framed`, instead of `LengthDelimitedCodec` | `tokio-codec` |
//! | an address to listen on, TCP or Unix | [`Server`]: an async handler gets each frame and replies through a [`Responder`]; any thread pushes frames through an [`Outbox`] | `server` |
//! | connections of another kind | [`Server::with_listener`] and [`serve_connection`]; the traits [`Listener`] and [`Transport`] | `server` |
//! | a server to talk to, over TCP or Unix | [`Client`] | `client` |
//! | certificates | TLS for both, by rustls: [`Server::tls`], [`Client::connect_tls`] | `tls` |
//! | a header that no format describes, or a checksum | the traits [`Header`](framing::Header) and [`Check`](framing::Check) | none |
//! | a captured connection | [`trace`]: its segments, and the frames that stuck in them or were split over them | `trace` |
//! | a handler of [`Server`] to test | [`testing::Simulation`]: the whole server in memory, with a simulated clock | `server`, `testing` |
//! | your own decoder to test | [`testing`]: the property suite that this crate's decoder passes | `testing` |
//!
//! # Features
//! Without any feature the crate is the core alone. Each feature adds only the dependencies that it needs.
//! - `std`: adapters for blocking I/O; no dependency.
//! - `futures`: adapters for `futures` I/O, on any runtime.
//! - `tokio-codec`: a codec for tokio-util.
//! - `client`: the client, on smol.
//! - `server`: the server, on smol.
//! - `net` (default): `client` and `server`.
//! - `load`: the load engine, on Linux: it drives any framed server, verifies every byte, and measures.
//! - `tls`: TLS for `server`, `client` and `load`, by rustls. You bring the rustls configuration; no provider is chosen for you.
//! - `testing`: the property suite, for your decoder or header; `no_std`, no dependency. With `std` or `futures` it adds
//!   readers and writers that do what a network may do; with `server` it adds the simulation.
//! - `tracing`: the server's events, for any subscriber of the crate `tracing`, with the target `unstick::server`:
//!   `listening`, `opened`, `refused`, `closed` (with its reason and numbers), `accept failed`, `stopping` and `drained`.
//!   There is no event for a frame.
//! - `trace`: reads pcap and pcapng, and shows a TCP connection as segments and frames; a Wireshark dissector for any
//!   format.
//! - `live`: records lessons of TCP between our own server and a client, on Linux.
//! - `cli`: the program `unstick`.
//!
//! # Errors
//! An error says what failed, and leaves the reason to its [`source`](core::error::Error::source). This prints both:
//!
//! ```
//! fn print(error: &(dyn std::error::Error + 'static)) {
//!     let errors = std::iter::successors(Some(error), |error| error.source());
//!     eprintln!("{}", errors.map(ToString::to_string).collect::<Vec<_>>().join(": "));
//! }
//! # print(&unstick::framing::EncodeError::Custom("no"));
//! ```
//!
//! # Coming from tokio-util, Netty or asynchronous-codec
//! The columns compare tokio-util's `LengthDelimitedCodec`, Netty's `LengthFieldBasedFrameDecoder` and
//! `LengthFieldPrepender`, and asynchronous-codec's `LengthCodec`, which is [`Format::U64_BE`](framing::Format::U64_BE).
//!
//! | concept | here | tokio-util | Netty | asynchronous-codec |
//! |---|---|---|---|---|
//! | bytes before the length field | [`Layout::offset`](framing::Layout::offset) | `length_field_offset` | `lengthFieldOffset` | none |
//! | the length field | [`Layout::fixed`](framing::Layout::fixed), [`varint`](framing::Layout::varint) | `length_field_length`, `little_endian` | `lengthFieldLength` | 8 bytes |
//! | what the field counts | [`adjustment`](framing::Layout::adjustment): payload length = field + adjustment | `length_adjustment`, `num_skip` | `lengthAdjustment`: the same | the payload |
//! | the header in a frame | [`payload`](framing::Frame::payload), [`as_bytes`](framing::Frame::as_bytes) | `num_skip` | `initialBytesToStrip` | left out |
//! | the limit | on the payload: 1 MiB | on the field: 8 MiB | on the frame: you set it | none |
//! | a frame over the limit | final error, or [`Skip`](framing::Oversize::Skip) | error | exception, skipped | – |
//! | an end inside a frame | [`Truncated`](framing::DecodeErrorKind::Truncated), also right after a header | I/O error, but not right after a header | ignored | I/O error |
//! | frames from a socket | [`FramedRead`], [`FrameStream`]; on tokio [`codec`] | `FramedRead` | a handler | `FramedRead` |
//! | frames to a socket | [`FramedWrite`], [`FrameSink`]; on tokio [`codec`] | `FramedWrite` | `writeAndFlush` | `FramedWrite` |
//! | bytes queued before `feed` waits | [`FramedWrite::high_water`]: 64 KiB | 8 KiB | 64 KiB | 128 KiB |
//! | timeouts and limits | [`ServerConfig`] | your own | `IdleStateHandler` | your own |
//!
//! For each setting of `LengthDelimitedCodec`, [`codec`] says what to write instead.
//!
// Without a feature, what it adds is not there to be linked: such names of this page lead to its list of features.
#![cfg_attr(not(feature = "std"), doc = "[`FrameReader`]: #features\n[`FrameWriter`]: #features")]
#![cfg_attr(
    not(feature = "futures"),
    doc = "[`FramedRead`]: #features\n[`FramedWrite`]: #features\n[`FrameStream`]: #features\n[`FrameSink`]: #features\n\
           [`FramedWrite::high_water`]: #features"
)]
#![cfg_attr(not(feature = "tokio-codec"), doc = "[`codec`]: #features")]
#![cfg_attr(
    not(feature = "server"),
    doc = "[`Server`]: #features\n[`Responder`]: #features\n[`Outbox`]: #features\n[`Server::with_listener`]: #features\n\
           [`serve_connection`]: #features\n[`Listener`]: #features\n[`Transport`]: #features\n[`ServerConfig`]: #features"
)]
#![cfg_attr(not(feature = "client"), doc = "[`Client`]: #features")]
#![cfg_attr(not(all(feature = "server", feature = "tls")), doc = "[`Server::tls`]: #features")]
#![cfg_attr(not(all(feature = "client", feature = "tls")), doc = "[`Client::connect_tls`]: #features")]
#![cfg_attr(not(feature = "trace"), doc = "[`trace`]: #features")]
#![cfg_attr(not(feature = "testing"), doc = "[`testing`]: #features")]
#![cfg_attr(not(all(feature = "server", feature = "testing")), doc = "[`testing::Simulation`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

/// Runs the examples of README.md as tests.
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
#[cfg(any(feature = "client", feature = "server", all(feature = "load", feature = "tls", target_os = "linux")))]
mod handshake;
#[cfg(all(feature = "load", target_os = "linux"))]
pub mod load;
#[cfg(any(feature = "client", feature = "server"))]
mod peer;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(all(feature = "tls", any(feature = "client", feature = "server", all(feature = "load", target_os = "linux"))))]
mod tls;
#[cfg(feature = "trace")]
pub mod trace;

#[cfg(feature = "tokio-codec")]
pub use adapters::codec;
#[cfg(feature = "std")]
pub use adapters::{FrameIter, FrameReader, FrameWriter, NO_COPY_LEN, ReadError, WriteError};
#[cfg(feature = "futures")]
pub use adapters::{FrameSink, FrameStream, FramedRead, FramedWrite};
#[cfg(feature = "client")]
pub use client::{CallError, Client, ClientConfig, ClientStream, ConnectError, ExpectedGreeting, RecvError, TlsStream};
#[cfg(any(feature = "client", feature = "server"))]
pub use close::{CloseKind, CloseReason, Closed, Traffic};
#[cfg(any(feature = "client", feature = "server", all(feature = "load", feature = "tls", target_os = "linux")))]
pub use handshake::HandshakeError;
#[cfg(any(feature = "client", feature = "server"))]
pub use peer::{Credentials, PeerName, TlsPeer};
#[cfg(feature = "server")]
pub use server::{
    Account, Greeting, Halves, Listener, Outbox, Peer, PushError, Responder, Server, ServerConfig, Sleep, Stats,
    TUTORIAL_GREETING, Transport, serve_connection,
};
