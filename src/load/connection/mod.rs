//! One connection of the load: what it sends and when, and what it makes of what comes back.

mod receive;
mod repeat;
mod send;

use std::io;

use self::repeat::Wire;
use super::check::{Check, PIECE_LEN};
use super::fault::Fault;
use super::flight::Flight;
use super::meter::Meter;
use super::pace::Schedule;
use super::plan::{Pacing, Plan, Reply};
use super::receipts::Receipts;
use super::transport::Transport;
use super::whole::Whole;
use crate::framing::{Encoder, Format};

/// Memory that the connections of a shard use in turn.
#[derive(Debug)]
pub(super) struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
    /// What is sent again and again, where nobody looks at it.
    wire: Option<Wire>,
}

impl Scratch {
    pub(super) fn new(plan: &Plan) -> Scratch {
        let (input, output) = (vec![0; PIECE_LEN], Vec::with_capacity(2 * PIECE_LEN));
        Scratch { input, output, wire: Wire::new(plan) }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To be measured.
    Steady,
    /// To read slowly.
    SlowReader,
    /// To be broken off at this time.
    Reset { at: u64 },
    /// To end its sending side at this time.
    HalfClose { at: u64 },
}

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It goes on.
    Open,
    /// It ended as it should: on our side, or for what was done to it on purpose.
    Ended,
}

/// One connection. `received ≤ begun` but for pushes, and what is between is in flight.
#[derive(Debug)]
pub(super) struct Connection {
    transport: Transport,
    index: u64,
    role: Role,
    /// Frames are gathered, to be sent at once.
    merges: bool,
    /// Frames have neither prefix nor trailer.
    is_bare: bool,
    /// Where frames are made many at a time: none waits for its time, or has something to carry.
    whole: Option<Whole>,
    encoder: Encoder<Format>,
    /// `None` in a closed loop.
    schedule: Option<Schedule>,
    /// Frames in flight at most.
    bound: u64,
    /// Frames that may still be begun.
    quota: u64,
    begun: u64,
    /// Bytes of the payload of the frame begun last that are not made yet, and its length.
    unmade: usize,
    payload_len: usize,
    /// Bytes that the socket did not take, two pieces and a header at most, of which the first `written` are written by
    /// now.
    made: Vec<u8>,
    written: usize,
    /// Bytes of the shard's wire that are still to be written, and where the next of them is.
    unsent: usize,
    position: usize,
    flight: Flight,
    check: Check,
    /// Replies to frames that are measured.
    measured: u64,
    /// Since when a frame can be sent, where something else than the schedule held it.
    possible: u64,
    held: bool,
    /// There may be more to send at once: others had their turn first.
    has_more: bool,
    ended: bool,
    /// Of a slow reader: when it may read again, and whether there is something.
    next_read: u64,
    unread: bool,
    random: fastrand::Rng,
    /// When it is to be looked after next, by the shard's timers.
    pub(super) alarm: Option<u64>,
}

impl Connection {
    /// A connection that may begin `quota` frames, and have `bound` in flight.
    pub(super) fn new(transport: Transport, index: u64, (quota, bound): (u64, u64), plan: &Plan) -> Connection {
        Connection {
            transport,
            index,
            role: Role::Steady,
            merges: plan.chaos.merge,
            is_bare: plan.is_bare(),
            whole: Whole::new(plan).filter(|_| plan.pacing == Pacing::Closed && plan.reply != Reply::Push),
            encoder: Encoder::new(plan.format),
            schedule: None,
            bound,
            quota,
            begun: 0,
            unmade: 0,
            payload_len: plan.payload.least(),
            made: Vec::new(),
            written: 0,
            unsent: 0,
            position: 0,
            flight: Flight::default(),
            check: Check::new(plan, index),
            measured: 0,
            possible: 0,
            held: false,
            has_more: false,
            ended: false,
            next_read: 0,
            unread: false,
            random: fastrand::Rng::with_seed(plan.run ^ index.rotate_left(20)),
            alarm: None,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Frames that came and are right.
    pub(super) fn received(&self) -> u64 {
        self.check.received()
    }

    /// Replies to frames that are measured.
    pub(super) fn measured(&self) -> u64 {
        self.measured
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.flight.frames()
    }

    /// The offset in the server's stream of what comes next.
    pub(super) fn offset(&self) -> u64 {
        self.check.offset()
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.check.is_greeted()
    }

    /// Frames that are due at `now` and were not sent.
    pub(super) fn backlog(&self, now: u64) -> u64 {
        self.schedule.as_ref().map_or(0, |schedule| schedule.due(now, self.quota))
    }

    /// Goes on with connecting; whether it is done.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn establish(&mut self) -> io::Result<bool> {
        self.transport.establish()
    }

    /// The run begins at `start`.
    pub(super) fn start(&mut self, plan: &Plan, start: u64, role: Role) {
        self.role = role;
        self.schedule = Schedule::new(plan, start, self.index);
    }

    /// So many frames more may be sent.
    pub(super) fn allow(&mut self, frames: u64) {
        self.bound += frames;
    }

    /// Begins no more frames.
    pub(super) fn stop(&mut self) {
        self.quota = 0;
    }

    /// Whether it has no frame to send.
    pub(super) fn is_spent(&self) -> bool {
        self.quota == 0
    }

    /// When it has to be looked after, where no event says so.
    pub(super) fn next_alarm(&self) -> Option<u64> {
        let slow = (self.unread && self.role == Role::SlowReader).then_some(self.next_read);
        let chaos = match self.role {
            Role::Reset { at } | Role::HalfClose { at } if !self.ended && at < u64::MAX => Some(at),
            _ => None,
        };
        let due =
            self.schedule.as_ref().filter(|_| self.quota > 0 && !self.held).map(|schedule| self.gathered(schedule));
        let more = self.has_more.then_some(0);
        [slow, chaos, due, more].into_iter().flatten().min()
    }

    /// Does what is to be done at this time.
    pub(super) fn look_after(&mut self, context: &mut Context<'_>) -> Result<State, Fault> {
        match self.role {
            Role::Reset { at } if at <= context.now => return Ok(State::Ended),
            Role::HalfClose { at } if at <= context.now => {
                self.stop();
                self.role = Role::HalfClose { at: u64::MAX };
            }
            Role::SlowReader if self.unread && self.next_read <= context.now => {
                let state = self.receive(context, false)?;
                if state == State::Ended {
                    return Ok(state);
                }
            }
            _ => {}
        }
        self.send(context)?;
        Ok(State::Open)
    }

    /// Its socket is ready. `to_the_end` says that the end of the server's stream is there to be read.
    pub(super) fn exchange(&mut self, context: &mut Context<'_>, to_the_end: bool) -> Result<State, Fault> {
        if self.role == Role::SlowReader && self.next_read > context.now {
            self.unread = true;
        } else if self.receive(context, to_the_end)? == State::Ended {
            return Ok(State::Ended);
        }
        self.send(context)?;
        Ok(State::Open)
    }

    /// Breaks it off.
    pub(super) fn break_off(self) {
        self.transport.break_off();
    }

    /// What is wrong with a connection that is still there when the drain is over.
    pub(super) fn overdue(&self, expected: u64) -> Fault {
        match expected.saturating_sub(self.received()) {
            0 => Fault::NoEnd,
            missing => Fault::Lost { missing },
        }
    }

    fn died(&self, error: io::Error) -> Fault {
        let in_flight = self.flight.frames();
        // A socket's own end is none of its errors: so this is TLS's.
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::CutOff { in_flight },
            _ => Fault::Died { error, in_flight },
        }
    }
}

/// What a connection needs to do something.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) scratch: &'a mut Scratch,
    pub(super) meter: &'a mut Meter,
    pub(super) receipts: Option<&'a mut Receipts>,
    /// Nanoseconds of the run's clock.
    pub(super) now: u64,
    /// Whether the run has begun: until then nothing is sent.
    pub(super) begun: bool,
    /// With [`Reply::Push`], once it is known: the frames that all connections sent.
    pub(super) pushed: Option<u64>,
}
