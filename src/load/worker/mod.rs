//! One thread of the load: its connections over one readiness loop, from the first connect to the last end.

mod connect;
mod drive;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use super::connection::{Connection, Context, Role, Scratch, State};
use super::control::{ConnectionFault, Control, Report};
use super::fault::Fault;
use super::meter::{Interval, Meter};
use super::plan::Plan;
use super::poller::{Poller, Ready};
use super::receipts::Receipts;
use super::shards::part;
use super::socket::Address;

const MS: u64 = 1_000_000;
/// Between two looks at the wishes and at what is overdue.
const TICK: u64 = 100 * MS;
/// The same, where others are waited for.
const SHORT_TICK: u64 = 2 * MS;
/// With a core to spare, the last part of a wait is spent looking.
const SPIN: u64 = 60_000;

/// What all workers of a run know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'a> {
    pub(super) plan: &'a Plan,
    /// The addresses of the server's name, in order.
    pub(super) addresses: &'a [Address],
    pub(super) control: &'a Control,
    /// There are more than two cores for each thread: the server may need as many as we do.
    pub(super) spins: bool,
}

impl Common<'_> {
    /// The frames that all connections of a worker have in flight together, where that is bounded.
    fn in_flight(&self, worker: usize) -> Option<u64> {
        let own = self.plan.in_flight_in_all.map(|frames| self.plan.shard().part(frames.into()));
        own.map(|frames| part(frames, self.plan.threads as u64, worker as u64))
    }
}

/// What a worker found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) seconds: Vec<Interval>,
    /// Frames that were to be sent in the measured time, and those that were sent in it.
    pub(super) due: u64,
    pub(super) in_time: u64,
    /// Frames in all, warm-up included.
    pub(super) sent: u64,
    /// Replies, or pushes, that are right; frames that came and are wrong; frames that did not come.
    pub(super) right: u64,
    pub(super) wrong: u64,
    pub(super) lost: u64,
    /// Frames that were due and not sent when sending ended, and the most there were at any look.
    pub(super) backlog: u64,
    pub(super) greatest_backlog: u64,
    /// Frames in flight on connections that ended before they were answered.
    pub(super) in_flight: u64,
    /// Wrong frames that came when nothing was in flight.
    pub(super) unasked: u64,
    pub(super) faults: Vec<ConnectionFault>,
    /// Connections that were made and greeted, and those of them that were there until they ended as they should.
    pub(super) held: usize,
    pub(super) left: usize,
    /// Replies that are measured, of each connection that has no part in chaos.
    pub(super) shares: Vec<u64>,
    /// Those of them without a single right reply.
    pub(super) silent: usize,
    /// Ends that were brought about on purpose.
    pub(super) resets: u64,
    pub(super) half_closes: u64,
    pub(super) slow_ends: u64,
    /// When sending ended and when the last reply came, by the run's clock.
    pub(super) stopped: u64,
    pub(super) last_reply: u64,
    /// For each worker, the part of a core that it had while it was measured.
    pub(super) busy: Vec<f64>,
    /// When sending began, by the system's clock; `None` where it did not.
    pub(super) began: Option<SystemTime>,
}

/// One thread of the load.
pub(super) struct Worker<'a> {
    common: Common<'a>,
    number: usize,
    reports: &'a Sender<Report>,
    poller: Poller,
    slots: Vec<Slot>,
    /// Connections that are neither ended nor at fault.
    alive: usize,
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    /// Where frames in flight are bounded in all, the slot that may send the next one.
    turn: usize,
    scratch: Scratch,
    meter: Meter,
    /// Where it sets the pace, how many connections have which push.
    receipts: Option<Receipts>,
    /// Frames in flight now.
    in_flight: u64,
    start: Option<u64>,
    pushed: Option<u64>,
    found: Found,
}

/// The place of one connection.
struct Slot {
    index: u64,
    stage: Stage,
    connection: Option<Connection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Being made, to the address of this number, by this time at the latest.
    Connecting {
        address: usize,
        until: u64,
    },
    /// Made, and the greeting is to come by this time.
    Greeting {
        until: u64,
    },
    Ready,
    /// Ended, or at fault.
    Gone,
}

impl<'a> Worker<'a> {
    /// # Errors
    /// Where the system has no epoll for it.
    pub(super) fn new(common: Common<'a>, number: usize, reports: &'a Sender<Report>) -> io::Result<Worker<'a>> {
        let plan = common.plan;
        let own = plan.shard().connections(plan.connections).skip(number).step_by(plan.threads);
        let stage = Stage::Connecting { address: 0, until: u64::MAX };
        let slots: Vec<_> = own.map(|index| Slot { index, stage, connection: None }).collect();
        let in_flight = common.in_flight(number).unwrap_or(0);
        Ok(Worker {
            common,
            number,
            reports,
            poller: Poller::new()?,
            alive: slots.len(),
            timers: BinaryHeap::new(),
            turn: in_flight as usize % slots.len().max(1),
            slots,
            scratch: Scratch::new(common.plan),
            meter: Meter::new(0..0),
            receipts: Receipts::new(common.plan),
            in_flight: 0,
            start: None,
            pushed: None,
            found: Found::default(),
        })
    }

    /// Connects, loads the server, awaits what is in flight, and ends every connection by a half-close.
    ///
    /// # Errors
    /// Where the system's wait fails.
    pub(super) fn run(mut self) -> io::Result<Found> {
        self.connect()?;
        // Who does not listen any more has no use for it.
        _ = self.reports.send(Report::Ready { held: self.ready() });
        if self.await_start()? {
            self.load()?;
        }
        for slot in 0..self.slots.len() {
            self.leave(slot, None);
        }
        self.found.in_time = self.meter.in_time();
        self.found.seconds = self.meter.finish();
        Ok(self.found)
    }

    fn now(&self) -> u64 {
        self.common.control.now()
    }

    /// Waits until this time at most, and does what the events ask for.
    fn wait_until(&mut self, time: u64, now: u64) -> io::Result<()> {
        let spins = self.common.spins && self.start.is_some();
        self.poller.wait(if spins { time.saturating_sub(SPIN) } else { time }, now)?;
        let now = self.now();
        for event in 0..self.poller.len() {
            if let Some(ready) = self.poller.ready(event) {
                self.answer_event(ready, now);
            }
        }
        Ok(())
    }

    fn answer_event(&mut self, Ready { key, to_the_end }: Ready, now: u64) {
        match self.slots[key].stage {
            Stage::Connecting { address, .. } => self.go_on_connecting(key, address, now),
            Stage::Gone => {}
            _ => self.act(key, now, |connection, context| connection.exchange(context, to_the_end)),
        }
    }

    /// Has a connection do something, and sees to what comes of it.
    fn act(
        &mut self,
        key: usize,
        now: u64,
        act: impl FnOnce(&mut Connection, &mut Context<'_>) -> Result<State, Fault>,
    ) {
        let Some(connection) = &mut self.slots[key].connection else { return };
        let begun = self.start.is_some_and(|start| start <= now);
        let before = (connection.begun(), connection.received(), connection.in_flight());
        let Worker { common, scratch, meter, receipts, pushed, .. } = self;
        let receipts = receipts.as_mut();
        let mut context = Context { plan: common.plan, scratch, meter, receipts, now, begun, pushed: *pushed };
        let acted = act(connection, &mut context);
        self.found.sent += connection.begun() - before.0;
        self.in_flight = self.in_flight + connection.in_flight() - before.2;
        let received = connection.received() - before.1;
        if received > 0 {
            self.found.right += received;
            self.found.last_reply = now;
        }
        match acted {
            Ok(State::Ended) => self.leave(key, None),
            Ok(State::Open) => self.set_alarm(key, now),
            Err(fault) => self.leave(key, Some(fault)),
        }
        if received > 0 && self.common.plan.in_flight_in_all.is_some() {
            self.pass_on(received, now);
        }
        // With receipts there is one thread, and the slots are those of all connections.
        while let Some((sender, frames)) = self.receipts.as_mut().and_then(Receipts::settle) {
            self.allow(sender as usize, frames, now);
        }
    }

    /// A connection may send so many frames more.
    fn allow(&mut self, key: usize, frames: u64, now: u64) {
        self.act(key, now, |connection, context| {
            connection.allow(frames);
            connection.look_after(context)
        });
    }

    /// For each of so many replies, the connection whose turn it is sends a frame.
    fn pass_on(&mut self, replies: u64, now: u64) {
        for _ in 0..replies {
            let there = |key: &usize| self.slots[*key].connection.is_some();
            let Some(key) = (self.turn..self.slots.len()).chain(0..self.turn).find(there) else { return };
            self.turn = (key + 1) % self.slots.len();
            self.allow(key, 1, now);
        }
    }

    fn set_alarm(&mut self, key: usize, now: u64) {
        let Slot { stage, connection: Some(connection), .. } = &mut self.slots[key] else { return };
        if matches!(stage, Stage::Greeting { .. }) && connection.is_greeted() {
            *stage = Stage::Ready;
        }
        // What comes before the run begins, as tickets of TLS do, leaves the alarm for that as it is.
        let next = match self.start {
            Some(start) if now < start => Some(start),
            _ => connection.next_alarm(),
        };
        if next != connection.alarm {
            connection.alarm = next;
            self.timers.extend(next.map(|time| Reverse((time, key))));
        }
    }

    /// A connection ends, and is counted.
    fn leave(&mut self, key: usize, fault: Option<Fault>) {
        let slot = &mut self.slots[key];
        let was = std::mem::replace(&mut slot.stage, Stage::Gone);
        if was == Stage::Gone {
            return;
        }
        self.alive -= 1;
        let begun = self.start.is_some_and(|start| start <= self.common.control.now());
        let (sequence, offset) =
            slot.connection.as_ref().map_or((0, 0), |connection| (connection.received(), connection.offset()));
        let fault = fault.map(|fault| if begun { fault } else { before_the_start(fault) });
        let (lost, wrong) =
            fault.as_ref().map_or((0, 0), |fault| (fault.lost(), u64::from(begun && fault.is_of_a_frame())));
        self.found.lost += lost;
        self.found.wrong += wrong;
        let fault = fault.map(|fault| ConnectionFault { connection: slot.index, sequence, offset, fault });
        self.found.faults.extend(fault);
        self.found.left += usize::from(
            lost + wrong == 0 && self.found.faults.last().is_none_or(|fault| fault.connection != slot.index),
        );
        if let Some(connection) = slot.connection.take() {
            self.in_flight -= connection.in_flight();
            self.found.in_flight += connection.in_flight().saturating_sub(lost + wrong);
            self.found.unasked += (lost + wrong).saturating_sub(connection.in_flight());
            self.found.account(&connection, self.common.plan.hears(slot.index));
            if let Role::Reset { .. } = connection.role() {
                connection.break_off();
            }
        }
    }
}

/// What is wrong before the run has begun is that the server does not want us.
fn before_the_start(fault: Fault) -> Fault {
    match fault {
        Fault::Surplus { text, .. } => Fault::Refused { text },
        Fault::EndedEarly { .. } | Fault::CutOff { .. } => Fault::Refused { text: String::new() },
        other => other,
    }
}

impl Found {
    /// A connection has ended. Where it `hears` nothing, it has no share in what came.
    fn account(&mut self, connection: &Connection, hears: bool) {
        match connection.role() {
            Role::Steady if !hears => {}
            Role::Steady => {
                self.shares.push(connection.measured());
                self.silent += usize::from(connection.received() == 0);
            }
            Role::SlowReader => self.slow_ends += 1,
            Role::Reset { .. } => self.resets += 1,
            Role::HalfClose { .. } => self.half_closes += 1,
        }
    }

    /// Adds what another worker found.
    pub(super) fn add(&mut self, other: Found) {
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize_with(other.seconds.len(), Interval::default);
        }
        self.seconds.iter_mut().zip(&other.seconds).for_each(|(all, one)| all.add(one));
        self.due += other.due;
        self.in_time += other.in_time;
        self.sent += other.sent;
        self.right += other.right;
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.in_flight += other.in_flight;
        self.unasked += other.unasked;
        self.backlog += other.backlog;
        self.greatest_backlog += other.greatest_backlog;
        self.faults.extend(other.faults);
        self.held += other.held;
        self.left += other.left;
        self.shares.extend(other.shares);
        self.silent += other.silent;
        self.resets += other.resets;
        self.half_closes += other.half_closes;
        self.slow_ends += other.slow_ends;
        self.stopped = self.stopped.max(other.stopped);
        self.last_reply = self.last_reply.max(other.last_reply);
        self.busy.extend(other.busy);
        self.began = [self.began, other.began].into_iter().flatten().min();
    }
}

/// What a connection is for: the first ones have their part in chaos, at times of the measured part of the run.
fn role(plan: &Plan, index: u64, start: u64) -> Role {
    let chaos = plan.chaos;
    let [slow, reset, half_close] = [chaos.slow_readers, chaos.reset, chaos.half_close].map(|count| count as u64);
    let mut random = fastrand::Rng::with_seed(plan.run ^ index.rotate_left(40));
    let middle = 0.2 + 0.6 * random.f64();
    let at = start + (plan.warm_up + plan.duration.mul_f64(middle)).as_nanos() as u64;
    match index {
        _ if index < slow => Role::SlowReader,
        _ if index < slow + reset => Role::Reset { at },
        _ if index < slow + reset + half_close => Role::HalfClose { at },
        _ => Role::Steady,
    }
}
