//! TLS for server, client and load engine, over any byte stream: rustls's state machine, without its I/O.
//!
//! rustls's buffered connections, which `futures-rustls` uses, read 4 KiB at a time into memory of their own. They keep
//! 4 to 18 KiB of it while a connection is idle, and do not say whether a record is unfinished. The unbuffered
//! connections used here read 64 KiB and more at a time, into memory that the connections of a thread share; an idle
//! one keeps nothing. They leave an unfinished record to us, so it counts for timeouts and memory limits.

mod channel;
#[cfg(any(feature = "client", all(feature = "load", target_os = "linux")))]
mod client;
#[cfg(any(feature = "client", feature = "server"))]
mod diagnose;
#[cfg(any(feature = "client", feature = "server"))]
mod peer;
mod scratch;
#[cfg(feature = "server")]
mod server;
mod session;

pub(crate) use self::channel::{Channel, READ_LEN, Received, WRITE_LEN};
#[cfg(any(feature = "client", all(feature = "load", target_os = "linux")))]
pub(crate) use self::client::ClientSide;
#[cfg(feature = "server")]
pub(crate) use self::server::{MAX_RECORD_LEN, ServerSide};
pub(crate) use self::session::Session;
