//! What a server does unless told otherwise, and every limit it holds.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::greeting::Greeting;
use crate::framing::{Format, Header};

/// The greeting of the C# tutorial that this crate grew from (*the seed*): 23 bytes of UTF-8.
pub const TUTORIAL_GREETING: &str = "Hello client! 你好...";

/// Descriptors that are left to the process when [`ServerConfig::max_connections`] is derived from its limit.
const RESERVE: usize = 32;

/// What a server does unless told otherwise: the seed's format, no byte but what handlers write, one thread, and bounds on what
/// peers can cost.
///
/// A limit that ends a connection does so for a named reason: see [`CloseReason`](crate::CloseReason). All but
/// [`idle_timeout`](ServerConfig::idle_timeout) are on by default.
///
/// # The worst case
/// Whatever the peers do, what the server holds for them is at most
/// `memory_budget + connections × 2 KiB + threads × (12 MiB + 3 × longest payload + 2 × max_queued)`, where the last part is
/// 23 MiB a thread by default; besides what handlers hold and what the system buffers in its sockets.
///
/// 12 MiB are the buffers that a thread keeps to use again. The rest of that part is for the one connection that has its turn
/// on the thread, as the [`memory_budget`](ServerConfig::memory_budget) is asked when a connection waits: until then it may
/// receive one frame more, and queue replies up to [`max_queued`](ServerConfig::max_queued) and one more, in memory that
/// doubles as it grows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The format, in both directions, with the longest payload. [`Format::U32_LE`] with 1 MiB by default; a longer one
    /// ends as *oversize*.
    pub format: Format,
    /// What is said first. [`Greeting::None`] by default, nothing: [`TUTORIAL_GREETING`] is what the tutorial's clients wait for.
    pub greeting: Greeting,
    /// What a peer is told that there is no place for. [`Greeting::None`] by default: its connection is closed at once.
    /// Otherwise it is told, has a second to read it, and then its connection ends, too. A `Client` that expects
    /// a greeting of the same kind knows a text by its first nine bytes, `refused: `, which is how
    /// [`CloseReason::Refused`](crate::CloseReason::Refused) shows itself.
    pub refusal: Greeting,
    /// Connections that the system completes before they are accepted; the system has a limit of its own. 1024 by
    /// default.
    pub backlog: u32,
    /// Threads that serve connections. 1 by default.
    pub threads: NonZeroUsize,
    /// Connections served at a time. A further one is accepted, told why where [`refusal`](ServerConfig::refusal) says so, and
    /// ended as *refused*. By default, `None`, what the process's limit of open files allows, less 32 and three for each
    /// thread: see [`connections_allowed`](ServerConfig::connections_allowed).
    pub max_connections: Option<NonZeroUsize>,
    /// Bytes of memory that all connections together may hold while they wait: unfinished frames, replies that are not
    /// written, and what a handler that waits was lent. By default, `None`, 256 MiB, or eight times the longest payload where
    /// that is more.
    ///
    /// A connection may hold as much as it would leave free for others: alone half of the budget, and less the more is held
    /// by all, so that one peer cannot starve the rest (the *dynamic threshold* of Choudhury and Hahne, 1998). One that
    /// holds more ends as *over budget*.
    pub memory_budget: Option<NonZeroUsize>,
    /// How long a peer may take to its first whole frame. 60 s by default; then it ends as *silent*. `None`: for ever.
    pub first_frame_timeout: Option<Duration>,
    /// How long a frame may take from its first byte to its last one. 10 s by default, and what
    /// [`min_rate`](ServerConfig::min_rate) adds; then it ends as *slow frame*. `None`: for ever.
    pub frame_timeout: Option<Duration>,
    /// Bytes a second at which a frame may exceed its deadline: each second's worth of them that has come gives it one more
    /// second. 64 KiB by default, so that a frame of 1 MiB has 26 s at most. `None`: the deadline stands.
    pub min_rate: Option<NonZeroU32>,
    /// How long a peer may send nothing between frames. `None`, for ever, by default; otherwise it ends as *idle*.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may take no byte of what is to be written. 10 s by default; then it ends as *slow reader*. `None`:
    /// for ever.
    pub write_timeout: Option<Duration>,
    /// After so long without a byte the system asks the peer's whether it is still there (TCP keepalive), every 10 s and
    /// three times; and where it is not, the connection ends as *unreachable*. 60 s by default. `None`: it never asks.
    pub keepalive: Option<Duration>,
    /// Bytes of replies from which on a handler waits until they are written, and nothing is read. 64 KiB by default.
    pub high_water: NonZeroU32,
    /// Bytes of replies that may wait at most, which only a handler exceeds that gives up sending before it is done; it ends
    /// as *overflow*. [`high_water`](ServerConfig::high_water) at least, also where less is said; 4 MiB by default.
    pub max_queued: NonZeroUsize,
    /// Frames of one connection that are handled before others have their turn, empty ones included. 1024 by default.
    pub max_frames_per_turn: NonZeroU32,
    /// How long a stop waits for what is in flight. 10 s by default; then what is left ends as *stopped*.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        let seconds = |n| Some(Duration::from_secs(n));
        ServerConfig {
            format: Format::U32_LE,
            greeting: Greeting::None,
            refusal: Greeting::None,
            backlog: 1024,
            threads: NonZeroUsize::MIN,
            max_connections: None,
            memory_budget: None,
            first_frame_timeout: seconds(60),
            frame_timeout: seconds(10),
            min_rate: NonZeroU32::new(64 * 1024),
            idle_timeout: None,
            write_timeout: seconds(10),
            keepalive: seconds(60),
            high_water: const { NonZeroU32::new(64 * 1024).unwrap() },
            max_queued: const { NonZeroUsize::new(4 * 1024 * 1024).unwrap() },
            max_frames_per_turn: const { NonZeroU32::new(1024).unwrap() },
            drain_timeout: Duration::from_secs(10),
        }
    }
}

macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {$(
        #[doc = concat!("The same with another [`", stringify!($field), "`](ServerConfig#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> ServerConfig {
            self.$field = $field;
            self
        }
    )*};
}

impl ServerConfig {
    setters! {
        format: Format,
        greeting: Greeting,
        refusal: Greeting,
        backlog: u32,
        threads: NonZeroUsize,
        max_connections: Option<NonZeroUsize>,
        memory_budget: Option<NonZeroUsize>,
        first_frame_timeout: Option<Duration>,
        frame_timeout: Option<Duration>,
        min_rate: Option<NonZeroU32>,
        idle_timeout: Option<Duration>,
        write_timeout: Option<Duration>,
        keepalive: Option<Duration>,
        high_water: NonZeroU32,
        max_queued: NonZeroUsize,
        max_frames_per_turn: NonZeroU32,
        drain_timeout: Duration,
    }

    /// Connections served at a time, whether set or derived.
    pub fn connections_allowed(&self) -> usize {
        let derived = || descriptors_allowed().saturating_sub(RESERVE + 3 * self.threads.get()).max(1);
        self.max_connections.map_or_else(derived, NonZeroUsize::get)
    }

    /// Bytes that all connections may hold, whether set or derived.
    pub(super) fn bytes_allowed(&self) -> usize {
        let derived = || (256 * 1024 * 1024).max(self.format.max_payload_len().saturating_mul(8));
        self.memory_budget.map_or_else(derived, NonZeroUsize::get)
    }
}

/// How many descriptors this process may have open.
#[cfg(unix)]
fn descriptors_allowed() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// There is no such limit that could be asked for.
#[cfg(not(unix))]
fn descriptors_allowed() -> usize {
    16 * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_leaves_room() {
        let config = ServerConfig::default();
        assert_eq!(config.bytes_allowed(), 256 << 20);
        let large = Format::new(config.format.layout(), 1 << 30).expect("a format");
        assert_eq!(config.clone().format(large).bytes_allowed(), 8 << 30);
        assert_eq!(config.connections_allowed(), descriptors_allowed().saturating_sub(35).max(1));
        assert_eq!(config.max_connections(NonZeroUsize::new(7)).connections_allowed(), 7);
    }
}
