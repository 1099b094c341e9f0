//! The configuration of a server: its format, what it sends first, and every limit.

use std::time::Duration;

use super::greeting::Greeting;
use crate::framing::{Format, Header};

/// The greeting of the C# tutorial that this crate grew from: 23 bytes in UTF-8.
pub const TUTORIAL_GREETING: &str = "Hello client! 你好...";

/// Descriptors that are left to the process when [`ServerConfig::max_connections`] is derived from its limit.
const RESERVE: usize = 32;

/// The configuration of a server: its format, its threads, what it sends first, and the limits on what peers can cost.
///
/// If a limit ends a connection, the [`CloseReason`](crate::CloseReason) has its name and numbers. All limits but
/// [`idle_timeout`](ServerConfig::idle_timeout) are on by default. A limit of 0 is an error of [`Server::bind`](crate::Server::bind).
///
/// ```
/// use std::time::Duration;
/// use unstick::ServerConfig;
/// use unstick::framing::Format;
///
/// let config = ServerConfig::default()
///     .format(Format::U16_BE)
///     .threads(4)
///     .max_connections(Some(10_000))
///     .idle_timeout(Some(Duration::from_secs(300)));
/// assert_eq!(config.outbox_limit, 256 * 1024);
/// ```
///
/// # The worst case
/// Whatever the peers do, what the server holds for them is at most
/// `memory_budget + connections × 6 KiB + threads × (12 MiB + longest payload)`; besides what handlers hold and what the system
/// buffers in its sockets. 2 KiB are a connection's own, 4 KiB what it may hold without asking; 12 MiB are the buffers that a
/// thread keeps to use again, and the rest is for the reply that is just being made. Over TLS a connection may hold 4 KiB more,
/// and a thread keeps 1 MiB more; what a session takes is part of the budget.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig<H = Format> {
    /// The format, in both directions, with the longest payload: a [`Format`], or any other [`Header`]. [`Format::U32_LE`] with
    /// 1 MiB by default; a longer payload ends as *oversize*.
    pub format: H,
    /// What is sent first on every connection. Nothing by default.
    pub greeting: Greeting,
    /// What is sent on a connection that is refused. Nothing by default: it is just closed.
    pub refusal: Greeting,
    /// Connections that may wait to be accepted; the system has a limit of its own. 1024 by default.
    pub backlog: usize,
    /// Threads that serve connections. 1 by default.
    pub threads: usize,
    /// Connections served at a time. A further one is accepted, sent the [`refusal`](ServerConfig::refusal), and ended as
    /// *refused*. `None`, by default: the process's limit of open files, less 32 and three for each thread.
    pub max_connections: Option<usize>,
    /// Bytes of memory that all connections together may hold, beyond 4 KiB each: unfinished frames, frames that a handler works
    /// on, replies and pushes that are not written. `None`, by default: 256 MiB, or eight times the longest payload if that is
    /// more, but at most a quarter of the memory that the process may have. Less than four of the longest payload is refused: a
    /// handler that holds one and waits to send another could wait for ever.
    ///
    /// When it is used up, nothing more is read and handlers wait to send, until memory is given back: backpressure, and no
    /// connection ends. Only if a connection waits for memory, and another one holds more than its fair share because of its own
    /// peer, the one that holds the most ends as *over budget*. Held because of the peer is an unfinished frame, and what the
    /// peer does not read, with what it sent meanwhile; not a whole frame that a handler works on. The fair share is three
    /// quarters of the budget, without what handlers work on, divided by the number of connections that hold memory because of
    /// their peers plus one; it is 4 KiB at least.
    pub memory_budget: Option<usize>,
    /// The time from accepting a connection to its first whole frame; after it, the connection ends as *silent*. 60 s by default.
    /// `None`: no limit, as for clients that only listen.
    pub first_frame_timeout: Option<Duration>,
    /// The time from a frame's first byte to its last one; after it, the connection ends as *slow frame*. 10 s by default, and
    /// what [`min_rate`](ServerConfig::min_rate) adds. `None`: no limit.
    pub frame_timeout: Option<Duration>,
    /// Bytes a second that a long frame must arrive with: for each that many bytes received, the
    /// [`frame_timeout`](ServerConfig::frame_timeout) is one second longer. 64 KiB by default, so a frame of 1 MiB has 26 s at
    /// most. `None`: the timeout is the same for all frames.
    pub min_rate: Option<usize>,
    /// The time between frames in which a peer may send nothing and read nothing; after it, the connection ends as *idle*. `None`,
    /// no limit, by default.
    pub idle_timeout: Option<Duration>,
    /// The time in which a peer may read nothing while bytes wait to be written to it; after it, the connection ends as *slow
    /// reader*. 10 s by default. `None`: no limit.
    pub write_timeout: Option<Duration>,
    /// The time without a byte after which the system sends keepalive probes to a TCP peer, three of them, 10 s apart; if none is
    /// answered, the connection ends as *unreachable*. 60 s by default. `None`: no probes.
    pub keepalive: Option<Duration>,
    /// Bytes that wait to be written to a peer; from this many on, its handler waits to send, and nothing more is read from it.
    /// 64 KiB by default.
    pub high_water: usize,
    /// Bytes that may be queued in a connection's [`Outbox`](crate::Outbox), or one frame if that is longer; beyond it the outbox
    /// is full. 256 KiB by default.
    pub outbox_limit: usize,
    /// Frames of one connection, empty ones included, that are handled before it yields to the other connections of its thread.
    /// 1024 by default.
    pub max_frames_per_turn: usize,
    /// The time that a TLS handshake has; after it, the connection ends as *handshake*. 10 s by default. One that waits to begin,
    /// because of [`max_handshakes`](ServerConfig::max_handshakes), has as much time for that.
    pub handshake_timeout: Duration,
    /// TLS handshakes that go on at a time; a further one waits. If one waits and another has gone on for a second, that one ends as
    /// *handshake*: so clients that never finish theirs keep others out for a short time only. 256 by default.
    pub max_handshakes: usize,
    /// How long a stop waits for frames that have arrived, their handlers and their replies; after it, what is left is cut off. 10
    /// s by default.
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
            threads: 1,
            max_connections: None,
            memory_budget: None,
            first_frame_timeout: seconds(60),
            frame_timeout: seconds(10),
            min_rate: Some(64 * 1024),
            idle_timeout: None,
            write_timeout: seconds(10),
            keepalive: seconds(60),
            high_water: 64 * 1024,
            outbox_limit: 256 * 1024,
            max_frames_per_turn: 1024,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 256,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// A setter for each field but the format, and how all of them go to a configuration with another format.
macro_rules! fields {
    ($($field:ident: $type:ty,)*) => {
        $(
            #[doc = concat!("The same with another [`", stringify!($field), "`](ServerConfig#structfield.", stringify!($field), ").")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> ServerConfig<H> {
                self.$field = $field;
                self
            }
        )*

        /// The format, and the same with another one in its place.
        pub(super) fn split<G>(self, format: G) -> (H, ServerConfig<G>) {
            (self.format, ServerConfig { format, $($field: self.$field),* })
        }
    };
}

impl<H> ServerConfig<H> {
    fields! {
        greeting: Greeting,
        refusal: Greeting,
        backlog: usize,
        threads: usize,
        max_connections: Option<usize>,
        memory_budget: Option<usize>,
        first_frame_timeout: Option<Duration>,
        frame_timeout: Option<Duration>,
        min_rate: Option<usize>,
        idle_timeout: Option<Duration>,
        write_timeout: Option<Duration>,
        keepalive: Option<Duration>,
        high_water: usize,
        outbox_limit: usize,
        max_frames_per_turn: usize,
        handshake_timeout: Duration,
        max_handshakes: usize,
        drain_timeout: Duration,
    }

    /// The same with another [`format`](ServerConfig#structfield.format).
    #[must_use]
    pub fn format<G: Header>(self, format: G) -> ServerConfig<G> {
        self.split(format).1
    }

    /// The name of a limit that is 0, where that would let nothing happen.
    pub(super) fn zero(&self) -> Option<&'static str> {
        let limits = [
            ("threads", Some(self.threads)),
            ("max_connections", self.max_connections),
            ("memory_budget", self.memory_budget),
            ("min_rate", self.min_rate),
            ("high_water", Some(self.high_water)),
            ("outbox_limit", Some(self.outbox_limit)),
            ("max_frames_per_turn", Some(self.max_frames_per_turn)),
            ("max_handshakes", Some(self.max_handshakes)),
        ];
        limits.into_iter().find_map(|(name, limit)| (limit == Some(0)).then_some(name))
    }

    /// Connections served at a time: [`max_connections`](ServerConfig::max_connections), whether set or derived.
    pub fn connections_allowed(&self) -> usize {
        let derived = || descriptors_allowed().saturating_sub(RESERVE + 3 * self.threads).max(1);
        self.max_connections.unwrap_or_else(derived)
    }
}

impl ServerConfig {
    /// Bytes that [`memory_budget`](ServerConfig::memory_budget) is at most by default: a quarter of what this process may have, by
    /// its limit of address space and by that of its control group. `None` where neither limits it. A budget above that may be
    /// more than there is, and a process that has no memory left ends.
    ///
    /// ```
    /// use unstick::ServerConfig;
    /// let wanted = 512 * 1024 * 1024;
    /// let budget = ServerConfig::memory_allowed().map_or(wanted, |allowed| wanted.min(allowed));
    /// let config = ServerConfig::default().memory_budget(Some(budget));
    /// # assert!(config.memory_budget.is_some_and(|budget| budget > 0));
    /// ```
    pub fn memory_allowed() -> Option<usize> {
        memory_allowed().map(|allowed| allowed / 4)
    }
}

impl<H: Header> ServerConfig<H> {
    /// Bytes that all connections may hold, whether set or derived.
    pub(super) fn bytes_allowed(&self) -> usize {
        let derived = || (256 * 1024 * 1024).max(self.format.max_payload_len().saturating_mul(8));
        let least = self.format.max_payload_len().saturating_mul(4);
        let most = ServerConfig::memory_allowed().unwrap_or(usize::MAX);
        self.memory_budget.unwrap_or_else(|| derived().min(most).max(least))
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

/// How many bytes of memory this process may have: by its limit of address space, and by that of its control group.
#[cfg(unix)]
fn memory_allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let address_space = limit.and_then(|limit| usize::try_from(limit).ok());
    [address_space, group_allowed()].into_iter().flatten().min()
}

/// There is no such limit that could be asked for.
#[cfg(not(unix))]
fn memory_allowed() -> Option<usize> {
    None
}

/// The smallest limit of the control groups (version 2) that this process is in; `None` where there is none.
#[cfg(unix)]
fn group_allowed() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = std::path::Path::new("/sys/fs/cgroup");
    let limit = |group: &std::path::Path| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok();
    root.join(group).ancestors().take_while(|group| group.starts_with(root)).filter_map(limit).min()
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
        assert_eq!(config.max_connections(Some(7)).connections_allowed(), 7);
    }
}
