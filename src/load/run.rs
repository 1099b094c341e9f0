//! A run, from its first connect to its outcome: the thread that starts the workers, watches them, and adds up what
//! they found.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::control::{Control, Report, Snapshot, Wish};
use super::error::PlanError;
use super::fault::Fault;
use super::outcome::{Origin, Outcome};
use super::plan::{Plan, Reply, Target};
use super::process::Process;
use super::recent::{Recent, Second};
use super::socket::Address;
use super::worker::{Common, Found, Worker};

/// How often the watcher is asked.
const TICK: Duration = Duration::from_millis(100);
/// Nanoseconds from when all connections are made to the begin of the run: what a server that is full says comes until
/// then.
const SETTLE: u64 = 50_000_000;
/// The same where nothing says that the server has taken in each connection, and each has to get what the others send.
const SETTLE_PUSH: u64 = 500_000_000;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// From the begin of the run, warm-up included; `None` while connections are made.
    pub elapsed: Option<Duration>,
    /// Until the run begins, where its connections are made and it waits for its time.
    pub waits: Option<Duration>,
    /// Connections that are there, made or being made.
    pub connections: usize,
    /// Frames sent.
    pub sent: u64,
    /// Replies, or pushes, that came and are right.
    pub received: u64,
    /// Frames in flight.
    pub in_flight: u64,
    /// Frames that are due and not sent.
    pub backlog: u64,
    /// Connections at fault.
    pub faults: usize,
    /// What the last second showed whose replies had a second to come; `None` until there is one.
    pub recent: Option<Recent>,
}

/// Carries out a plan: connects, loads the server, awaits what is in flight, and ends every connection by a half-close.
///
/// `watch` is called ten times a second, and when the measured time begins and ends, on this thread, which measures
/// nothing; what it wishes is done.
///
/// # Errors
/// Where the plan cannot be carried out, no connection can be made, the connections are made too late for the time at
/// which the plan starts, or the system has no threads or epolls for it. What goes wrong later is in the outcome.
pub fn run(plan: &Plan, watch: &mut dyn FnMut(Progress) -> Wish) -> Result<Outcome, RunError> {
    plan.check().map_err(RunError::Plan)?;
    let addresses = addresses(&plan.target);
    if addresses.is_empty() {
        return Err(RunError::Nowhere);
    }
    let (control, origin) = (Control::new(), Origin::now());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // The server may need as many as we do.
    let common = Common { plan, addresses: &addresses, control: &control, spins: cores > 2 * plan.threads };
    let (sender, receiver) = mpsc::channel();
    let mut found = Found::default();
    let mut server = plan.server_pid.map(Process::new);
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(plan.threads);
        for number in 0..plan.threads {
            let reports = sender.clone();
            let body = move || Worker::new(common, number, &reports)?.run();
            let thread = thread::Builder::new().name(format!("load {number}")).spawn_scoped(scope, body);
            threads.push(thread.inspect_err(|_| control.ask(Wish::Abort)).map_err(RunError::System)?);
        }
        drop(sender);
        let workers = vec![Snapshot::default(); plan.threads];
        let server = server.as_mut();
        let recent = Second::default();
        let mut watcher = Watcher { plan, control: &control, workers, ready: 0, held: 0, late: None, recent, server };
        watcher.watch(&receiver, watch);
        for thread in threads {
            match thread.join() {
                Ok(one) => found.add(one.map_err(RunError::System)?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        watcher.late.map_or(Ok(()), |by| Err(RunError::TooLate { by }))
    })?;
    let interrupted = control.wish() > Wish::GoOn;
    match found.held {
        0 if !found.faults.is_empty() => Err(not_connected(found)),
        _ => {
            let from = control.start().unwrap_or_else(|| control.now()) + plan.warm_up.as_nanos() as u64;
            let outcome = Outcome::new(plan, origin, from, interrupted, found);
            Ok(match server {
                Some(server) => outcome.with_server(server.taken()),
                None => outcome,
            })
        }
    }
}

fn addresses(target: &Target) -> Vec<Address> {
    match target {
        Target::Tcp(addresses) => addresses.iter().copied().map(Address::Tcp).collect(),
        Target::Unix(path) => vec![Address::Unix(path.clone())],
    }
}

fn not_connected(found: Found) -> RunError {
    let asked = found.faults.len();
    match found.faults.into_iter().next().map(|found| found.fault) {
        Some(Fault::Unconnected(error) | Fault::Died { error, .. }) => RunError::NotConnected { asked, error },
        Some(Fault::Refused { text }) => RunError::Refused { text },
        Some(fault) => RunError::Unfit { why: fault.to_string() },
        None => RunError::Nowhere,
    }
}

/// Watches the workers, and has somebody watch it.
struct Watcher<'a> {
    plan: &'a Plan,
    control: &'a Control,
    workers: Vec<Snapshot>,
    /// Shards whose connections are made, and how many those are.
    ready: usize,
    held: usize,
    /// The run was to begin so long before it could.
    late: Option<Duration>,
    /// What the workers said last of one second.
    recent: Second,
    /// The server's process, until sending has ended.
    server: Option<&'a mut Process>,
}

impl Watcher<'_> {
    /// Until all workers have ended.
    fn watch(&mut self, reports: &Receiver<Report>, watch: &mut dyn FnMut(Progress) -> Wish) {
        let (mut last, mut next_tick) = (0, 0);
        let mut all_ended = false;
        while !all_ended {
            let look = self.marks().into_iter().filter(|mark| *mark > last).fold(next_tick, u64::min);
            let wait = Duration::from_nanos(look.saturating_sub(self.control.now()));
            match reports.recv_timeout(wait) {
                Ok(report) => self.note(report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => all_ended = true,
            }
            let now = self.control.now();
            if now >= look {
                (last, next_tick) = (now, now + TICK.as_nanos() as u64);
                self.look_at_the_server(now);
                let wish = watch(self.progress(now));
                // Before the begin there is nothing in flight to be awaited.
                let has_begun = self.control.start().is_some_and(|start| start <= now);
                self.control.ask(if wish > Wish::GoOn && !has_begun { Wish::Abort } else { wish });
                if self.control.start().is_none() && self.control.wish() == Wish::GoOn {
                    self.give_up_if_late(Duration::ZERO);
                }
            }
        }
    }

    fn look_at_the_server(&mut self, now: u64) {
        let (Some(server), Some(start)) = (self.server.as_mut(), self.control.start()) else { return };
        let Some(at) = now.checked_sub(start + self.plan.warm_up.as_nanos() as u64) else { return };
        if at < self.plan.duration.as_nanos() as u64 && self.control.sent(self.plan.threads).is_none() {
            return server.look(at);
        }
        server.sample(at);
        self.server = None;
    }

    /// When the measured time begins and ends, once that is known.
    fn marks(&self) -> Vec<u64> {
        let [warm_up, duration] = [self.plan.warm_up, self.plan.duration].map(|time| time.as_nanos() as u64);
        let begin = self.control.start().map(|start| start + warm_up);
        begin.map_or(Vec::new(), |begin| vec![begin, begin.saturating_add(duration)])
    }

    fn note(&mut self, report: Report) {
        match report {
            Report::Progress { worker, snapshot } => self.workers[worker] = snapshot,
            Report::Second { second, response_ns, send_lag_ns } => {
                self.recent.add(second, &response_ns, &send_lag_ns);
            }
            Report::Ready { held } => {
                self.ready += 1;
                self.held += held;
                if self.ready == self.plan.threads {
                    self.begin();
                }
            }
        }
    }

    /// All connections are made, or failed.
    fn begin(&mut self) {
        if self.held == 0 {
            return self.control.ask(Wish::Abort);
        }
        let settle = Duration::from_nanos(if self.plan.reply == Reply::Push { SETTLE_PUSH } else { SETTLE });
        let wait = self.give_up_if_late(settle);
        self.control.start_at(self.control.now() + (settle + wait).as_nanos() as u64);
    }

    /// How long it is, from so much later on, to when the run is to begin. If that is over, this part of it ends.
    fn give_up_if_late(&mut self, later: Duration) -> Duration {
        let Some(start_at) = self.plan.start_at else { return Duration::ZERO };
        let begin = Duration::from_secs_f64(start_at).saturating_sub(self.plan.warm_up);
        let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + later;
        if then > begin {
            self.late = Some(then - begin);
            self.control.ask(Wish::Abort);
        }
        begin.saturating_sub(then)
    }

    fn progress(&self, now: u64) -> Progress {
        let start = self.control.start();
        let elapsed = start.map(|start| Duration::from_nanos(now.saturating_sub(start)));
        let waits = start.filter(|start| *start > now).map(|start| Duration::from_nanos(start - now));
        let mut all = Progress { elapsed, waits, recent: self.recent.recent(), ..Progress::default() };
        for worker in &self.workers {
            all.connections += worker.connections;
            all.sent += worker.sent;
            all.received += worker.received;
            all.in_flight += worker.in_flight;
            all.backlog += worker.backlog;
            all.faults += worker.faults;
        }
        all
    }
}

/// Why a run did not begin, or could not go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The plan cannot be carried out.
    Plan(PlanError),
    /// The target has no address.
    Nowhere,
    /// Not one connection could be made.
    NotConnected {
        /// Connections that were asked for.
        asked: usize,
        /// Why the first one could not.
        error: io::Error,
    },
    /// The server ended every connection before anything was sent.
    Refused {
        /// What it said before that; may be empty.
        text: String,
    },
    /// What the server says first is not what the plan says.
    Unfit {
        /// What is wrong with it.
        why: String,
    },
    /// The plan says when measuring begins, and the connections were not made when the warm-up before it was to begin:
    /// 50 ms before that, so that a server that is full has said so.
    TooLate {
        /// How much too late.
        by: Duration,
    },
    /// The system has no thread or epoll for it, or its wait failed.
    System(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Plan(_) => f.write_str("the run cannot be carried out"),
            RunError::Nowhere => f.write_str("the target has no address"),
            RunError::NotConnected { asked, .. } => write!(f, "not one of {asked} connections could be made"),
            RunError::Refused { text } if text.is_empty() => {
                f.write_str("the server ended every connection before anything was sent")
            }
            RunError::Refused { text } => write!(f, "the server said {text:?} before anything was sent"),
            RunError::Unfit { why } => write!(f, "no connection can be used: {why}"),
            RunError::TooLate { by } => write!(f, "ready {by:.1?} too late for the start"),
            RunError::System(_) => f.write_str("the system does not let the load run"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RunError::Plan(error) => Some(error),
            RunError::NotConnected { error, .. } | RunError::System(error) => Some(error),
            RunError::Nowhere | RunError::Refused { .. } | RunError::Unfit { .. } | RunError::TooLate { .. } => None,
        }
    }
}
