//! What a server does unless told otherwise, and every limit it holds.

use std::time::Duration;

use super::greeting::Greeting;
use crate::framing::{Format, Header};

/// The greeting of the C# tutorial that this crate grew from: 23 bytes of UTF-8.
pub const TUTORIAL_GREETING: &str = "Hello client! 你好...";

/// Descriptors that are left to the process when [`ServerConfig::max_connections`] is derived from its limit.
const RESERVE: usize = 32;

/// What a server does unless told otherwise: the tutorial's format, one thread, and bounds on what peers can cost.
///
/// A limit that ends a connection does so for a named reason: see [`CloseReason`](crate::CloseReason). All but
/// [`idle_timeout`](ServerConfig::idle_timeout) are on by default. A limit of 0 is refused when the server is made.
///
/// # The worst case
/// Whatever the peers do, what the server holds for them is at most
/// `memory_budget + connections × 6 KiB + threads × (12 MiB + longest payload)`; besides what handlers hold and what the system
/// buffers in its sockets. 2 KiB are a connection's own, 4 KiB what it may hold without asking; 12 MiB are the buffers that a
/// thread keeps to use again, and the rest is for the reply that is just being made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig<H = Format> {
    /// The format, in both directions, with the longest payload: a [`Format`], or any other [`Header`]. [`Format::U32_LE`] with
    /// 1 MiB by default; a longer payload ends as *oversize*.
    pub format: H,
    /// What is said first. Nothing by default.
    pub greeting: Greeting,
    /// What a peer is told that there is no place for. Nothing by default: its connection is just closed.
    pub refusal: Greeting,
    /// Connections that the system completes before they are accepted; the system has a limit of its own. 1024 by
    /// default.
    pub backlog: usize,
    /// Threads that serve connections. 1 by default.
    pub threads: usize,
    /// Connections served at a time. A further one is accepted, told the [`refusal`](ServerConfig::refusal), and ended as
    /// *refused*. By default, `None`, what the process's limit of open files allows, less 32 and three for each thread.
    pub max_connections: Option<usize>,
    /// Bytes of memory that all connections together may hold above 4 KiB each: unfinished frames, frames that a handler is at,
    /// replies and pushes that are not written. By default, `None`, 256 MiB, or eight times the longest payload where that is
    /// more; but no more than a quarter of what the process may have.
    ///
    /// Where nothing is left, nothing more is read and handlers wait to send, until something is given back: so pressure slows.
    /// Only if somebody waits so, and a connection holds more than its fair share (three quarters of the budget, divided by one
    /// more than there are that hold some) in an unfinished frame, or in what its peer does not take and what came behind it
    /// meanwhile, the largest of these ends as *over budget*. What whole frames hold whose handler is at work ends nothing.
    pub memory_budget: Option<usize>,
    /// How long a peer may take to its first whole frame. 60 s by default; then it ends as *silent*. `None`: for ever.
    pub first_frame_timeout: Option<Duration>,
    /// How long a frame may take from its first byte to its last one. 10 s by default, and what
    /// [`min_rate`](ServerConfig::min_rate) adds; then it ends as *slow frame*. `None`: for ever.
    pub frame_timeout: Option<Duration>,
    /// Bytes a second at which a frame may exceed its timeout: each second's worth of them that has come gives it one more
    /// second. 64 KiB by default, so that a frame of 1 MiB has 26 s at most. `None`: the timeout stands.
    pub min_rate: Option<usize>,
    /// How long a peer may neither send anything between frames nor take anything. `None`, for ever, by default; otherwise it
    /// ends as *idle*.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may take no byte of what is to be written. 10 s by default; then it ends as *slow reader*. `None`:
    /// for ever.
    pub write_timeout: Option<Duration>,
    /// After so long without a byte the system asks a TCP peer's whether it is still there (keepalive), every 10 s and
    /// three times; and where it is not, the connection ends as *unreachable*. 60 s by default. `None`: it never asks.
    pub keepalive: Option<Duration>,
    /// Bytes that wait to be written from which on a handler waits to send, and nothing is read. 64 KiB by default.
    pub high_water: usize,
    /// Bytes that may wait in a connection's [`Outbox`](crate::Outbox), or one frame where that is longer. 256 KiB by default;
    /// then it is full.
    pub outbox_limit: usize,
    /// Frames of one connection that are handled before others have their turn, empty ones included. 1024 by default.
    pub max_frames_per_turn: usize,
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
            drain_timeout: Duration::from_secs(10),
        }
    }
}

macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {$(
        #[doc = concat!("The same with another [`", stringify!($field), "`](ServerConfig#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> ServerConfig<H> {
            self.$field = $field;
            self
        }
    )*};
}

impl<H> ServerConfig<H> {
    setters! {
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
        drain_timeout: Duration,
    }

    /// The same with another [`format`](ServerConfig#structfield.format).
    #[must_use]
    pub fn format<G: Header>(self, format: G) -> ServerConfig<G> {
        self.split(format).1
    }

    /// The format, and the same with another one in its place.
    pub(super) fn split<G>(self, format: G) -> (H, ServerConfig<G>) {
        let ServerConfig {
            format: before,
            greeting,
            refusal,
            backlog,
            threads,
            max_connections,
            memory_budget,
            first_frame_timeout,
            frame_timeout,
            min_rate,
            idle_timeout,
            write_timeout,
            keepalive,
            high_water,
            outbox_limit,
            max_frames_per_turn,
            drain_timeout,
        } = self;
        let config = ServerConfig {
            format,
            greeting,
            refusal,
            backlog,
            threads,
            max_connections,
            memory_budget,
            first_frame_timeout,
            frame_timeout,
            min_rate,
            idle_timeout,
            write_timeout,
            keepalive,
            high_water,
            outbox_limit,
            max_frames_per_turn,
            drain_timeout,
        };
        (before, config)
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
        self.memory_budget.unwrap_or_else(|| derived().min(ServerConfig::memory_allowed().unwrap_or(usize::MAX)))
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
