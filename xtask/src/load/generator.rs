//! The event loop: one thread that keeps every connection's frames in flight.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use unstick::framing::Format;

use super::connection::{Connection, Received, Scratch};
use super::fault::Fault;
use crate::socket::Addr;

/// How long one connect may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How often the watcher is asked.
const TICK: Duration = Duration::from_millis(100);
/// The longest round trip that the histogram tells apart: an hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

/// What a run is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) addr: Addr,
    /// At least 1.
    pub(crate) connections: usize,
    /// Frames in flight on each connection, at least 1.
    pub(crate) in_flight: u64,
    /// Bytes of each payload: one that the format can say.
    pub(crate) payload_len: usize,
    /// How long frames are begun.
    pub(crate) duration: Duration,
    /// Frames in all, where they are to end the run before its time: at least one for each connection.
    pub(crate) frames: Option<u64>,
    /// How long replies are awaited after the last one, once no more frames are begun.
    pub(crate) drain: Duration,
    pub(crate) format: Format,
    pub(crate) greeting: Greeting,
}

/// What the server says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    None,
    Frame,
    /// So many bytes without framing.
    Raw(usize),
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    pub(crate) answered: u64,
    pub(crate) connections: usize,
}

/// What the watcher wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    GoOn,
    /// Begin no more frames, and await what is in flight.
    Stop,
    /// End at once.
    Abort,
}

/// What a run was.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the first frame's begin to the last reply.
    pub(crate) elapsed: Duration,
    /// Frames that were begun.
    pub(crate) begun: u64,
    /// Frames whose reply came, in order, every byte as sent.
    pub(crate) answered: u64,
    /// Connections without a single right reply.
    pub(crate) silent: usize,
    pub(crate) faults: Vec<ConnectionFault>,
    /// The watcher ended it before its time.
    pub(crate) interrupted: bool,
    /// In nanoseconds, to three digits.
    pub(crate) round_trips: Histogram<u64>,
    /// The longest one, in nanoseconds, exactly.
    pub(crate) longest: u64,
}

/// A fault and where it was found.
#[derive(Debug)]
pub(crate) struct ConnectionFault {
    pub(crate) connection: usize,
    /// The number of the reply that was due.
    pub(crate) reply: u64,
    pub(crate) fault: Fault,
}

/// Connects, loads the server, awaits what is in flight, and ends every connection by a half-close.
///
/// # Errors
/// Where not all the connections can be made: then no frame is sent. What happens later is in the outcome.
pub(crate) fn run(plan: &Plan, watch: &mut dyn FnMut(Progress) -> Wish) -> Result<Outcome, RunError> {
    let poll = Poll::new().map_err(RunError::Poll)?;
    let connections: Vec<_> = connect(plan, &poll)?.into_iter().map(Some).collect();
    let mut generator =
        Generator { poll, alive: connections.len(), connections, scratch: Scratch::new(), meter: Meter::new() };
    generator.run(plan, watch).map_err(RunError::Poll)?;
    Ok(generator.meter.outcome)
}

fn connect(plan: &Plan, poll: &Poll) -> Result<Vec<Connection>, RunError> {
    let mut made = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let failed =
            |source| RunError::Connect { addr: plan.addr.clone(), made: index, asked: plan.connections, source };
        let socket = plan.addr.connect(CONNECT_DEADLINE).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let quota = plan.frames.map_or(u64::MAX, |frames| share(frames, plan.connections, index));
        // By its type one of TCP, whatever it is: it is only read and written, and shut down.
        let socket = TcpStream::from_std(socket.into());
        let mut connection = Connection::new(socket, index as u64, quota, plan);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(connection.socket(), Token(index), both).map_err(failed)?;
        made.push(connection);
    }
    Ok(made)
}

/// One part of `total` in `parts` that are as equal as can be.
fn share(total: u64, parts: usize, index: usize) -> u64 {
    let (each, over) = (total / parts as u64, total % parts as u64);
    each + u64::from((index as u64) < over)
}

struct Generator {
    poll: Poll,
    /// Those that are neither ended nor at fault.
    connections: Vec<Option<Connection>>,
    alive: usize,
    scratch: Scratch,
    meter: Meter,
}

impl Generator {
    fn run(&mut self, plan: &Plan, watch: &mut dyn FnMut(Progress) -> Wish) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut next_tick = TICK;
        let mut stopped_at = None;
        self.meter.start = Instant::now();
        self.for_each(|connection, scratch, now| connection.send(scratch, now));
        while self.alive > 0 {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
                polled => polled?,
            }
            for event in &events {
                self.serve(event.token().0, event.is_read_closed() || event.is_error());
            }
            let elapsed = self.meter.start.elapsed();
            let mut wish = Wish::GoOn;
            if elapsed >= next_tick {
                next_tick = elapsed + TICK;
                wish = watch(Progress { elapsed, answered: self.meter.answered, connections: self.alive });
                self.meter.outcome.interrupted |= wish == Wish::Abort || wish == Wish::Stop && stopped_at.is_none();
            }
            match stopped_at {
                _ if wish == Wish::Abort => break,
                None if wish == Wish::Stop || elapsed >= plan.duration => {
                    stopped_at = Some(elapsed);
                    self.for_each(|connection, scratch, now| {
                        connection.stop();
                        connection.send(scratch, now)
                    });
                }
                Some(at) if elapsed.saturating_sub(self.meter.last_reply.max(at)) > plan.drain => {
                    self.for_each(|connection, _, _| Err(connection.overdue()));
                }
                _ => {}
            }
        }
        self.finish();
        Ok(())
    }

    /// Does something with every connection that is alive.
    fn for_each(&mut self, mut act: impl FnMut(&mut Connection, &mut Scratch, u64) -> Result<(), Fault>) {
        for index in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[index]
                && let Err(fault) = act(connection, &mut self.scratch, self.meter.now())
            {
                self.end(index, Some(fault));
            }
        }
    }

    /// A socket is ready, for reading or writing or both. `to_the_end` says that its end is there to be read.
    fn serve(&mut self, index: usize, to_the_end: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        match exchange(connection, &mut self.scratch, &mut self.meter, to_the_end) {
            Ok(Open::Yes) => {}
            Ok(Open::No) => self.end(index, None),
            Err(fault) => self.end(index, Some(fault)),
        }
    }

    fn end(&mut self, index: usize, fault: Option<Fault>) {
        if let Some(connection) = self.connections[index].take() {
            self.alive -= 1;
            self.meter.account(&connection, index, fault);
        }
    }

    /// Those that are left were given up on request.
    fn finish(&mut self) {
        for index in 0..self.connections.len() {
            self.end(index, None);
        }
        self.meter.outcome.elapsed = self.meter.last_reply;
    }
}

enum Open {
    Yes,
    No,
}

/// Reads all that is there, and sends as much as was answered.
///
/// Readiness is told once only (edge-triggered): so it is read until a read brought less than there was room for, which
/// says that nothing more is there, except perhaps the end.
fn exchange(
    connection: &mut Connection,
    scratch: &mut Scratch,
    meter: &mut Meter,
    to_the_end: bool,
) -> Result<Open, Fault> {
    loop {
        match connection.receive(scratch)? {
            Received::End => return Ok(Open::No),
            Received::Nothing => break,
            Received::Responder { count, more } => {
                meter.settle(connection, count);
                if !more && !to_the_end {
                    break;
                }
            }
        }
    }
    connection.send(scratch, meter.now())?;
    Ok(Open::Yes)
}

/// The clock, and what was counted so far.
struct Meter {
    start: Instant,
    /// From the start.
    last_reply: Duration,
    /// Replies of all connections, for the watcher.
    answered: u64,
    outcome: Outcome,
}

impl Meter {
    fn new() -> Meter {
        let outcome = Outcome {
            elapsed: Duration::ZERO,
            begun: 0,
            answered: 0,
            silent: 0,
            faults: Vec::new(),
            interrupted: false,
            round_trips: Histogram::new_with_max(LONGEST, 3).expect("an hour in nanoseconds to three digits"),
            longest: 0,
        };
        Meter { start: Instant::now(), last_reply: Duration::ZERO, answered: 0, outcome }
    }

    /// Nanoseconds from the start.
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn settle(&mut self, connection: &mut Connection, count: u64) {
        if count == 0 {
            return;
        }
        let now = self.now();
        self.answered += count;
        self.last_reply = Duration::from_nanos(now);
        connection.settle(count, now, |round_trip, frames| {
            self.outcome.longest = self.outcome.longest.max(round_trip);
            self.outcome.round_trips.saturating_record_n(round_trip, frames);
        });
    }

    fn account(&mut self, connection: &Connection, index: usize, fault: Option<Fault>) {
        let outcome = &mut self.outcome;
        outcome.begun += connection.begun();
        outcome.answered += connection.answered();
        outcome.silent += usize::from(connection.answered() == 0);
        if let Some(fault) = fault {
            outcome.faults.push(ConnectionFault { connection: index, reply: connection.answered(), fault });
        }
    }
}

/// Why a run did not begin, or could not go on.
#[derive(Debug)]
pub(crate) enum RunError {
    /// A connection could not be made.
    Connect { addr: Addr, made: usize, asked: usize, source: io::Error },
    /// The system's readiness queue failed.
    Poll(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Connect { addr, made, asked, source } => {
                write!(f, "connected {made} times to {addr} where {asked} connections were asked for: {source}")
            }
            RunError::Poll(source) => write!(f, "waiting for sockets: {source}"),
        }
    }
}

impl Error for RunError {}
