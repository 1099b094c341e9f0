//! Well-behaved clients beside an attack, which verify every byte of every frame: they send at a steady pace, or receive
//! what the server pushes.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use unstick::FrameReader;
use unstick::framing::Format;
use unstick::load::{self, Pacing, Plan, Sizes, Target, Times, Tls, Wish};

use super::peer::{PATIENCE, Peer};
use super::server::{self, verify_push};
use crate::certificate::{self, Certificate};
use crate::socket::Addr;

/// How many there are.
pub(super) const CLIENTS: usize = 4;
/// Frames a second of all clients together. Times are measured from when a frame was to be sent.
const RATE: f64 = 1000.0;
/// Bytes of their payloads, all equally often.
const LENGTHS: [usize; 5] = [64, 0, 1000, 7, 4000];
/// Frames after which the clients are there.
const FIRST: u64 = 4 * CLIENTS as u64;
/// Longer than any attack.
const ENDLESS: Duration = Duration::from_secs(3600);

/// Clients at work, until they are told to end.
pub(super) struct Healthy {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Seen>>,
}

#[derive(Default)]
struct Shared {
    /// Frames that came, of all clients.
    came: AtomicU64,
    is_ending: AtomicBool,
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
    /// From when a frame was to be sent to its reply, or from the push to here.
    times: Times,
}

impl Seen {
    /// The 99th percentile in milliseconds.
    pub(super) fn p99(&self) -> f64 {
        self.times.quantile(0.99).map_or(0.0, |nanoseconds| nanoseconds as f64 / 1e6)
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.times.max().unwrap_or(0))
    }
}

impl Healthy {
    /// Connects them; they have their first frames before this returns.
    ///
    /// # Errors
    /// If the server does not serve them.
    pub(super) fn start(addr: &Addr, work: Work) -> Result<Healthy, Box<dyn Error>> {
        let shared = Arc::new(Shared::default());
        let spawn = |index: usize| {
            let (addr, shared) = (addr.clone(), Arc::clone(&shared));
            thread::spawn(move || {
                let mut seen = Seen::default();
                let ended = match work {
                    Work::Echo(format) => echo(&addr, format, &shared, &mut seen),
                    Work::Receive(len) => receive(&addr, len, &shared, &mut seen),
                };
                seen.faults.extend(ended.err().map(|error| format!("client {index}: {error}")));
                seen
            })
        };
        // The load engine makes its connections itself.
        let threads = if let Work::Echo(_) = work { 1 } else { CLIENTS };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        let healthy = Healthy { shared, threads };
        let begin = Instant::now();
        while healthy.came() < FIRST {
            if begin.elapsed() > PATIENCE || healthy.threads.iter().any(JoinHandle::is_finished) {
                return Err(format!("healthy clients are not served: {:?}", healthy.end().faults).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(healthy)
    }

    /// Frames that came so far.
    pub(super) fn came(&self) -> u64 {
        self.shared.came.load(Relaxed)
    }

    /// Ends them, each by a half-close.
    pub(super) fn end(self) -> Seen {
        self.shared.is_ending.store(true, Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            match thread.join() {
                Ok(seen) => {
                    all.verified += seen.verified;
                    all.faults.extend(seen.faults);
                    all.times.add_all(&seen.times);
                }
                Err(_) => all.faults.push("a client panicked".into()),
            }
        }
        all
    }
}

/// Sends by the load engine, until it is to end.
fn echo(addr: &Addr, format: Format, shared: &Shared, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    let share = 1.0 / LENGTHS.len() as f64;
    let plan = Plan {
        format,
        payload: Sizes::List(LENGTHS.map(|len| (len, share)).into()),
        connections: CLIENTS,
        pacing: Pacing::Open { rate: RATE, poisson: false },
        in_flight: Some(1),
        duration: ENDLESS,
        drain: PATIENCE,
        ..plan(addr)
    };
    let outcome = load::run(&plan, &mut |progress| {
        shared.came.store(progress.received, Relaxed);
        if shared.is_ending.load(Relaxed) { Wish::Stop } else { Wish::GoOn }
    })?;
    seen.verified = outcome.frames_verified;
    let fault = |it: &load::FaultSeen| format!("client {}, frame {}: {}", it.connection, it.sequence, it.text);
    seen.faults = outcome.faults.iter().map(fault).collect();
    seen.times = outcome.response_ns;
    Ok(())
}

/// A load of the server at this address.
pub(super) fn plan(addr: &Addr) -> Plan {
    let target = match addr {
        Addr::Tcp(addr) | Addr::Tls(addr) => Target::Tcp(vec![*addr]),
        Addr::Unix(path) => Target::Unix(path.clone()),
    };
    let is_tls = matches!(addr, Addr::Tls(_));
    let tls = is_tls.then(|| Tls::new(Certificate::own().client(), certificate::name()));
    Plan { tls, ..Plan::new(target) }
}

/// Receives until it is to end; then ends our stream, and receives to the end of the server's.
fn receive(addr: &Addr, len: usize, shared: &Shared, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    let mut peer = Peer::connect(addr)?;
    peer.echo(server::SUBSCRIBE)?;
    let mut frames = FrameReader::new(peer, Format::U32_LE);
    let (mut next, mut is_ending) = (None, false);
    while let Some(frame) = frames.next_frame()? {
        let (number, age) = verify_push(frame.payload(), len, next)?;
        next = Some(number + 1);
        if is_ending {
            continue;
        }
        seen.verified += 1;
        seen.times.add(age.as_nanos() as u64, 1);
        shared.came.fetch_add(1, Relaxed);
        if shared.is_ending.load(Relaxed) {
            is_ending = true;
            frames.get_mut().half_close()?;
        }
    }
    if is_ending { Ok(()) } else { Err(io::Error::other("the server ended the stream").into()) }
}
