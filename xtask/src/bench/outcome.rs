//! What a run of a load against a server is measured by.

use std::time::Duration;

/// For how long a load runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Before anything is counted.
    pub(super) warm_up: Duration,
    pub(super) counted: Duration,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Replies, those that are not counted too.
    pub(super) replies_in_all: u64,
    pub(super) frames_per_second: f64,
    /// The server's time on its cores for each frame, in nanoseconds.
    pub(super) cpu_per_frame: f64,
    /// The server's time on its cores over the time that passed; more than 1 with several threads.
    pub(super) server_busy: f64,
    pub(super) load_busy: f64,
    /// Round trips, in microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The server's most resident memory so far, in MiB.
    pub(super) peak: f64,
}
