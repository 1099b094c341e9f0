//! Well-behaved clients beside an attack, which verify every byte of every frame: they send at a steady pace, or receive what the
//! server pushes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use unstick::framing::{Format, Header};
use unstick::load::{self, Outcome, Pacing, Plan, Progress, RunError, Sizes, Target, Times, Tls, Wish};

use super::receivers::Receivers;
use super::scene::PATIENCE;
use super::server::locked;
use crate::certificate::{self, Certificate};
use crate::socket::Addr;

/// How many there are.
pub(super) const CLIENTS: usize = 4;
/// Frames a second of all clients together. Times are measured from when a frame was to be sent.
const RATE: f64 = 1000.0;
/// Bytes of their payloads, all equally often.
const LENGTHS: [usize; 5] = [64, 0, 1000, 7, 4000];
/// Replies after which the clients are there.
const FIRST: u64 = 4 * CLIENTS as u64;
/// Longer than any attack.
const ENDLESS: Duration = Duration::from_secs(3600);

/// Clients at work.
pub(super) enum Healthy {
    Echo(Echo),
    Receive(Receivers),
}

/// What they do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Send frames of this format, and expect them back.
    Echo(Format),
    /// Receive pushes with payloads of this length.
    Receive(usize),
}

/// What they saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Replies, or pushes, that were verified.
    pub(super) verified: u64,
    /// What was wrong, a line each.
    pub(super) faults: Vec<String>,
    /// From when a frame was to be sent to its reply, or from the push to here, without and with the attack.
    pub(super) times: [Times; 2],
}

impl Seen {
    /// The 99th percentile in milliseconds, without and with the attack.
    pub(super) fn p99(&self) -> [Option<f64>; 2] {
        self.times.each_ref().map(|times| times.quantile(0.99).map(|nanoseconds| nanoseconds as f64 / 1e6))
    }

    /// What came during the attack.
    pub(super) fn during(&self) -> u64 {
        self.times[1].count()
    }

    /// The longest time during the attack.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.times[1].max().unwrap_or(0))
    }
}

impl Healthy {
    /// Connects them; each has its first reply before this returns.
    ///
    /// # Errors
    /// If the server does not serve them.
    pub(super) fn start(addr: &Addr, work: Work) -> io::Result<Healthy> {
        match work {
            Work::Echo(format) => Echo::start(addr, format).map(Healthy::Echo),
            Work::Receive(len) => Receivers::start(addr, len).map(Healthy::Receive),
        }
    }

    /// From now on they are beside an attack.
    pub(super) fn attacked(&mut self) {
        match self {
            Healthy::Echo(echo) => echo.attacked(),
            Healthy::Receive(receivers) => receivers.attacked(),
        }
    }

    /// Ends them, each by a half-close.
    pub(super) fn end(self) -> Seen {
        match self {
            Healthy::Echo(echo) => echo.end(),
            Healthy::Receive(receivers) => receivers.end(),
        }
    }
}

/// The load engine, which runs until it is told to end.
pub(super) struct Echo {
    thread: JoinHandle<Result<Outcome, RunError>>,
    shared: Arc<Shared>,
    /// The seconds of the run that were over when the attack began.
    calm: usize,
}

#[derive(Default)]
struct Shared {
    /// How far the engine was, and when that was so.
    progress: Mutex<Option<(Instant, Progress)>>,
    is_ending: AtomicBool,
}

impl Echo {
    fn start(addr: &Addr, format: Format) -> io::Result<Echo> {
        let (plan, shared) = (plan(addr, format), Arc::new(Shared::default()));
        let watched = Arc::clone(&shared);
        let thread = thread::spawn(move || load::run(&plan, &mut |progress| watched.watch(progress)));
        let begin = Instant::now();
        while shared.replies() < FIRST {
            if thread.is_finished() || begin.elapsed() > PATIENCE {
                shared.is_ending.store(true, Relaxed);
                let ended = thread.join().map_err(|_| io::Error::other("the load panicked"))?;
                return Err(ended.map_or_else(io::Error::other, |outcome| io::Error::other(load::text(&outcome))));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Echo { thread, shared, calm: 0 })
    }

    fn attacked(&mut self) {
        self.calm = self.shared.elapsed().as_secs() as usize;
    }

    fn end(self) -> Seen {
        self.shared.is_ending.store(true, Relaxed);
        let mut seen = Seen::default();
        let outcome = match self.thread.join() {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                seen.faults.push(error.to_string());
                return seen;
            }
            Err(_) => {
                seen.faults.push("the load panicked".into());
                return seen;
            }
        };
        seen.verified = outcome.frames_verified;
        let fault = |it: &load::FaultSeen| format!("client {}, frame {}: {}", it.connection, it.sequence, it.text);
        seen.faults = outcome.faults.iter().map(fault).collect();
        for (second, interval) in outcome.intervals.iter().enumerate() {
            // A second in which the attack began is the attack's.
            seen.times[usize::from(second >= self.calm)].add_all(&interval.response_ns);
        }
        seen
    }
}

impl Shared {
    fn watch(&self, progress: Progress) -> Wish {
        *locked(&self.progress) = Some((Instant::now(), progress));
        if self.is_ending.load(Relaxed) { Wish::Stop } else { Wish::GoOn }
    }

    fn replies(&self) -> u64 {
        locked(&self.progress).map_or(0, |(_, progress)| progress.received)
    }

    /// For how long the engine has been sending.
    fn elapsed(&self) -> Duration {
        let elapsed = |(at, progress): (Instant, Progress)| Some(progress.elapsed? + at.elapsed());
        locked(&self.progress).and_then(elapsed).unwrap_or_default()
    }
}

fn plan(addr: &Addr, format: Format) -> Plan {
    let target = match addr {
        Addr::Tcp(addr) | Addr::Tls(addr) => Target::Tcp(vec![*addr]),
        Addr::Unix(path) => Target::Unix(path.clone()),
    };
    let is_tls = matches!(addr, Addr::Tls(_));
    let share = 1.0 / LENGTHS.len() as f64;
    Plan {
        tls: is_tls.then(|| Tls::new(Certificate::own().client(), certificate::name())),
        format,
        payload: Sizes::List(LENGTHS.map(|len| (len.min(format.max_payload_len()), share)).into()),
        connections: CLIENTS,
        pacing: Pacing::Open { rate: RATE, poisson: false },
        in_flight: Some(1),
        duration: ENDLESS,
        drain: PATIENCE,
        ..Plan::new(target)
    }
}
