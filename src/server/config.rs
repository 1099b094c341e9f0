//! The configuration of a server: its format, what it sends first, and every limit on its peers.

use std::time::Duration;

use super::greeting::Greeting;
use crate::framing::{Format, Header};

/// A greeting to try things with: 23 bytes in UTF-8, the one of the C# tutorial that this crate grew from.
pub const TUTORIAL_GREETING: &str = "Hello client! 你好...";

/// Descriptors left to the process if [`ServerConfig::max_connections`] is derived from its limit.
const RESERVE: usize = 32;

/// Server settings. By default: frames of u32 little-endian with up to 1 MiB of payload, one thread, no greeting, and
/// limits on all that peers can cost.
///
/// If a limit ends a connection, the [`CloseReason`](crate::CloseReason) names it, with its numbers. All limits but
/// [`idle_timeout`](ServerConfig::idle_timeout) are on by default. With a limit of 0,
/// [`Server::bind`](crate::Server::bind) fails.
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
/// Whatever the peers do, the server holds for them at most
/// `memory_budget + connections × 6 KiB + threads × (12 MiB + longest payload)`,
/// besides what handlers hold and what the system buffers in its sockets. Of the 6 KiB, 2 KiB are a connection's own
/// state and 4 KiB what it may hold without a lease from the budget; 12 MiB are the buffers that a thread keeps for
/// reuse; the longest payload is the reply being encoded. Over TLS a
/// connection may hold 4 KiB more, and a thread 1 MiB more; a session's own memory is leased from the budget.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig<H = Format> {
    /// The format, in both directions: a [`Format`], or any other [`Header`]. By default [`Format::U32_LE`], with
    /// payloads of at most 1 MiB. A longer payload ends the connection as *oversize*.
    pub format: H,
    /// The greeting sent first on every connection; none by default.
    pub greeting: Greeting,
    /// What a refused connection is sent before it is closed; nothing by default.
    pub refusal: Greeting,
    /// The most connections that wait to be accepted; the system may allow fewer. 1024 by default.
    pub backlog: usize,
    /// The number of threads that serve connections. 1 by default.
    pub threads: usize,
    /// The most connections served at a time. One more is accepted, sent the [`refusal`](ServerConfig::refusal), and
    /// ended as *refused*. `None` by default: the process's limit of open files, less 32 and three for each thread.
    pub max_connections: Option<usize>,
    /// The most bytes that all connections together may hold beyond 4 KiB each: unfinished frames, frames that a
    /// handler works on, and unwritten replies and pushes. `None` by default: 256 MiB, or eight times the longest
    /// payload if that is more, but at most [`memory_allowed`](ServerConfig::memory_allowed). Less than four times the
    /// longest payload, or less than 16 KiB, is an error: a handler that waits to send could wait forever.
    ///
    /// When it is used up, nothing more is read and handlers wait to send until memory is free again: backpressure. A
    /// connection ends as *over budget* only if another one waits for memory and this one holds more than the fair
    /// share because of its own peer; if several do, the one that holds the most ends.
    ///
    /// `fair share = (¾ × memory_budget − bytes in use for other reasons) ÷ (holders + 1)`, at least 4 KiB. The holders
    /// are the connections that hold memory because of their peers.
    /// - Because of the peer: an unfinished frame; bytes that the peer does not read, and what it sent meanwhile.
    /// - For other reasons: whole frames that a handler works on, and replies and pushes that the peer is reading.
    pub memory_budget: Option<usize>,
    /// The longest time from accepting a connection to the end of its first frame; after it, the connection ends as
    /// *silent*. 60 s by default. `None` for no limit: for clients that only listen.
    pub first_frame_timeout: Option<Duration>,
    /// The longest time from a frame's first byte to its last one, extended by [`min_rate`](ServerConfig::min_rate);
    /// after it, the connection ends as *slow frame*. Time for which the connection waits for memory counts, so that
    /// unfinished frames cannot hold all memory for ever. 10 s by default; `None` for no limit.
    pub frame_timeout: Option<Duration>,
    /// The least rate of a long frame, in bytes a second: each time this many bytes are received, the
    /// [`frame_timeout`](ServerConfig::frame_timeout) is extended by 1 s. 64 KiB by default, so a frame of 1 MiB has at
    /// most 26 s. `None` for the same timeout for all frames.
    pub min_rate: Option<usize>,
    /// The longest time between frames in which a peer sends and reads nothing; after it, the connection ends as
    /// *idle*. `None`, no limit, by default.
    pub idle_timeout: Option<Duration>,
    /// The longest time in which a peer reads nothing while bytes are queued for it; after it, the connection ends as
    /// *slow reader*. 10 s by default; `None` for no limit.
    pub write_timeout: Option<Duration>,
    /// The time without traffic after which the system sends three keepalive probes to a TCP peer, 10 s apart; if none
    /// is answered, the connection ends as *unreachable*. 60 s by default; `None` for no probes. On Linux
    /// `TCP_USER_TIMEOUT` is set accordingly, if there is a [`write_timeout`](ServerConfig::write_timeout) (tcp(7)).
    pub keepalive: Option<Duration>,
    /// While this many bytes or more are queued for a peer, its handler waits to send, and nothing is read from it. 64
    /// KiB by default. Exception: if frames of 16 KiB or more arrived together, their replies may queue up to the number
    /// of bytes that arrived.
    pub high_water: usize,
    /// The most bytes queued in a connection's [`Outbox`](crate::Outbox), or one frame if that is longer; then the
    /// outbox is full. 256 KiB by default.
    pub outbox_limit: usize,
    /// The most frames of one connection, including empty ones, that are handled in a row before other connections of
    /// its thread are served. 1024 by default.
    pub max_frames_per_turn: usize,
    /// The longest time for a TLS handshake; after it, the connection ends as *handshake*. 10 s by default. A
    /// connection that must wait to begin, because of [`max_handshakes`](ServerConfig::max_handshakes), waits for as
    /// long at most.
    pub handshake_timeout: Duration,
    /// The most TLS handshakes at a time; further connections wait to begin theirs. 256 by default. While connections
    /// wait, a handshake that has taken longer than a second ends as *handshake*: so clients that never finish theirs
    /// keep others out for a short time only.
    pub max_handshakes: usize,
    /// How long a stop waits for frames that have arrived, their handlers and their replies; then the remaining
    /// connections are ended. 10 s by default.
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

/// A setter for each field but the format, and a way to change the format's type.
macro_rules! fields {
    ($($field:ident: $type:ty,)*) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](ServerConfig#structfield.", stringify!($field), ").")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> ServerConfig<H> {
                self.$field = $field;
                self
            }
        )*

        /// The format, and the same configuration with another one.
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

    /// Sets the [`format`](ServerConfig#structfield.format).
    #[must_use]
    pub fn format<G: Header>(self, format: G) -> ServerConfig<G> {
        self.split(format).1
    }

    /// The name of a limit that is 0 and must not be.
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

    /// The most connections served at a time: [`max_connections`](ServerConfig::max_connections), set or derived.
    pub fn connections_allowed(&self) -> usize {
        let derived = || descriptors_allowed().saturating_sub(RESERVE + 3 * self.threads).max(1);
        self.max_connections.unwrap_or_else(derived)
    }
}

impl ServerConfig {
    /// The most bytes of the default [`memory_budget`](ServerConfig::memory_budget): a quarter of the memory of this
    /// process's control group (version 2), and an eighth of its address space (`RLIMIT_AS`), if these are limited;
    /// `None` if neither is. With a greater budget the process may run out of memory, and end.
    ///
    /// ```
    /// use unstick::ServerConfig;
    /// let wanted = 512 * 1024 * 1024;
    /// let budget = ServerConfig::memory_allowed().map_or(wanted, |allowed| wanted.min(allowed));
    /// let config = ServerConfig::default().memory_budget(Some(budget));
    /// # assert!(config.memory_budget.is_some_and(|budget| budget > 0));
    /// ```
    pub fn memory_allowed() -> Option<usize> {
        memory_allowed()
    }
}

impl<H: Header> ServerConfig<H> {
    /// The most bytes that all connections may hold, set or derived.
    pub(super) fn bytes_allowed(&self) -> usize {
        let derived = || (256 * 1024 * 1024).max(self.format.max_payload_len().saturating_mul(8));
        let most = ServerConfig::memory_allowed().unwrap_or(usize::MAX);
        self.memory_budget.unwrap_or_else(|| derived().min(most).max(self.least_budget()))
    }

    /// The least memory budget: one in which every frame can be read, answered and pushed.
    pub(super) fn least_budget(&self) -> usize {
        self.format.max_payload_len().saturating_mul(4).max(16 * 1024)
    }
}

/// The most descriptors that this process may open.
#[cfg(unix)]
fn descriptors_allowed() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Not on Unix there is no such limit to ask for.
#[cfg(not(unix))]
fn descriptors_allowed() -> usize {
    16 * 1024
}

/// A quarter of the memory of this process's control group, or an eighth of its address space, if these are limited. An
/// allocator takes more of the address space than is used: glibc 64 MiB for each thread.
#[cfg(unix)]
fn memory_allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let address_space = limit.and_then(|limit| usize::try_from(limit).ok());
    [address_space.map(|space| space / 8), group_allowed().map(|memory| memory / 4)].into_iter().flatten().min()
}

/// Not on Unix there is no such limit to ask for.
#[cfg(not(unix))]
fn memory_allowed() -> Option<usize> {
    None
}

/// The smallest limit of the control groups (version 2) that this process is in, if there is one.
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
