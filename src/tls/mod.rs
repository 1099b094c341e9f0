//! TLS below the frames, for server, client and load: rustls, driven without I/O of its own, over any stream of bytes.
//!
//! rustls's buffered connections, which `futures-rustls` drives, read 4 KiB at a time into memory of their own, keep 4 to 18 KiB
//! of it while a connection is idle, and do not say whether a record is unfinished. Its unbuffered ones, which are driven here,
//! work on 64 KiB and more of the stream at a time, in memory that the connections of a thread share, keep nothing while a connection is
//! idle, and leave an unfinished record to us: so it counts for timeouts and memory limits.

mod channel;
#[cfg(any(feature = "client", all(feature = "load", target_os = "linux")))]
mod client;
#[cfg(any(feature = "client", feature = "server"))]
mod judge;
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
