//! What a run of a load against a server is measured by.

use std::error::Error;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::host::Host;
use crate::child::cpu_of;

/// The longest time that is told apart, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

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

/// Looks at server and load while frames are counted.
pub(super) struct Watch<'a> {
    host: &'a Host,
    begin: Instant,
    server: Duration,
    load: Duration,
    round_trips: Histogram<u64>,
}

impl Watch<'_> {
    pub(super) fn start(host: &Host) -> Result<Watch<'_>, Box<dyn Error>> {
        let round_trips = Histogram::new_with_max(LONGEST, 3)?;
        Ok(Watch { host, server: host.cpu(), load: cpu_of(std::process::id()), begin: Instant::now(), round_trips })
    }

    /// So many frames took so many nanoseconds each.
    pub(super) fn record(&mut self, round_trip: u64, frames: u64) {
        self.round_trips.saturating_record_n(round_trip, frames);
    }

    /// So many frames were counted in all.
    pub(super) fn stop(self, frames: u64) -> Result<Outcome, Box<dyn Error>> {
        let (server, load) = (self.host.cpu() - self.server, cpu_of(std::process::id()) - self.load);
        let took = self.begin.elapsed().as_secs_f64();
        let microseconds = |quantile| self.round_trips.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Outcome {
            replies_in_all: frames,
            frames_per_second: frames as f64 / took,
            cpu_per_frame: server.as_nanos() as f64 / frames as f64,
            server_busy: server.as_secs_f64() / took,
            load_busy: load.as_secs_f64() / took,
            p50: microseconds(0.5),
            p99: microseconds(0.99),
            peak: self.host.peak()? as f64 / 1_048_576.0,
        })
    }
}
