//! TLS for server and client, over any byte stream: rustls's state machine, without its I/O.
//!
//! rustls's buffered connections, which `futures-rustls` uses, read 4 KiB at a time into memory of their own. They keep
//! 4 to 18 KiB of it while a connection is idle, and do not say whether a record is unfinished. The unbuffered
//! connections used here read 64 KiB and more at a time, into memory that the connections of a thread share; an idle
//! one keeps nothing. They leave an unfinished record to us, so it counts for timeouts and memory limits.

mod channel;
#[cfg(feature = "client")]
mod client;
mod diagnose;
mod scratch;
#[cfg(feature = "server")]
mod server;
mod session;

pub(crate) use self::channel::{Channel, READ_LEN, Received, WRITE_LEN};
#[cfg(feature = "client")]
pub(crate) use self::client::ClientSide;
#[cfg(feature = "server")]
pub(crate) use self::server::{MAX_RECORD_LEN, ServerSide};
pub(crate) use self::session::Session;
