//! One connection of the load: what it sends and when, and what it makes of what comes back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::check::{self, Check, PIECE_LEN, Push};
use super::fault::Fault;
use super::flight::{Flight, Group};
use super::meter::Meter;
use super::pace::Schedule;
use super::pattern::Pattern;
use super::plan::{Pacing, Plan, Reply};
use super::transport::{Received, Transport};
use crate::framing::{Encoder, Envelope, Format};

/// Nanoseconds between two reads of a slow reader, and the bytes of each.
const SLOW_PAUSE: u64 = 50_000_000;
const SLOW_LEN: usize = 4096;
/// Nanoseconds in which frames gather that are to be sent at once.
const MERGED: u64 = 1_000_000;

/// Memory that the connections of a shard use in turn.
#[derive(Debug)]
pub(super) struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch { input: vec![0; PIECE_LEN], output: Vec::with_capacity(2 * PIECE_LEN) }
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
    /// Bytes that the socket did not take, two pieces and a header at most, of which the first `written` are written by now.
    made: Vec<u8>,
    written: usize,
    flight: Flight,
    check: Check,
    /// Replies to frames that are measured.
    measured: u64,
    /// Since when a frame can be sent, where something else than the schedule held it.
    possible: u64,
    held: bool,
    ended: bool,
    /// Of a slow reader: when it may read again, and whether there is something.
    next_read: u64,
    unread: bool,
    random: fastrand::Rng,
    /// When it is to be looked after next, by the shard's timers.
    pub(super) alarm: Option<u64>,
}

impl Connection {
    pub(super) fn new(transport: Transport, index: u64, quota: u64, plan: &Plan) -> Connection {
        Connection {
            transport,
            index,
            role: Role::Steady,
            merges: plan.chaos.merge,
            encoder: Encoder::new(plan.format),
            schedule: None,
            bound: plan.bound().map_or(u64::MAX, u64::from),
            quota,
            begun: 0,
            unmade: 0,
            payload_len: 0,
            made: Vec::new(),
            written: 0,
            flight: Flight::default(),
            check: Check::new(plan, index),
            measured: 0,
            possible: 0,
            held: false,
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
        if plan.reply == Reply::Push && role == Role::SlowReader {
            self.quota = 0;
        }
        self.schedule = Schedule::new(plan.pacing, plan.run, start, self.index, plan.connections as u64);
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
        [slow, chaos, due].into_iter().flatten().min()
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
}

/// What a connection needs to do something.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) scratch: &'a mut Scratch,
    pub(super) meter: &'a mut Meter,
    /// Nanoseconds of the run's clock.
    pub(super) now: u64,
    /// Whether the run has begun: until then nothing is sent.
    pub(super) begun: bool,
    /// With [`Reply::Push`], once it is known: the frames that all connections sent.
    pub(super) pushed: Option<u64>,
}

/// Sending.
impl Connection {
    /// Writes until the socket takes no more or nothing is to be sent. Once all is answered and nothing more is to be sent, our
    /// stream is ended, and the server's is read on (half-close).
    pub(super) fn send(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        if !context.begun || self.ended {
            return Ok(());
        }
        if self.held {
            (self.held, self.possible) = (false, context.now);
        }
        loop {
            if !self.write_made(context)? {
                self.held = true;
                return Ok(());
            }
            let Context { plan, scratch, meter, now, .. } = context;
            scratch.output.clear();
            self.make(plan, &mut scratch.output, *now, meter)?;
            if scratch.output.is_empty() {
                break;
            }
            let written = self.write(plan, &scratch.output).map_err(|error| self.died(error))?;
            self.made.clear();
            self.written = 0;
            if written < scratch.output.len() {
                self.made.extend_from_slice(&scratch.output[written..]);
                self.held = true;
                return Ok(());
            }
        }
        self.held = self.flight.frames() >= self.bound;
        if self.is_done(context) {
            self.ended = true;
            self.transport.end().map_err(|error| self.died(error))?;
        }
        Ok(())
    }

    /// Writes what the socket did not take; whether it is all written.
    fn write_made(&mut self, context: &Context<'_>) -> Result<bool, Fault> {
        if self.written < self.made.len() {
            let made = std::mem::take(&mut self.made);
            let written = self.write(context.plan, &made[self.written..]);
            self.made = made;
            self.written += written.map_err(|error| self.died(error))?;
        }
        Ok(self.written == self.made.len())
    }

    /// Writes until the socket takes no more; how much it took.
    fn write(&mut self, plan: &Plan, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            let left = bytes.len() - written;
            let len = if plan.chaos.split { self.random.usize(1..=left.min(2 * self.payload_len + 16)) } else { left };
            let took = self.transport.write(&bytes[written..written + len])?;
            written += took;
            if took < len {
                break;
            }
        }
        Ok(written)
    }

    /// Whether all is sent and, unless the end comes on purpose, answered.
    fn is_done(&self, context: &Context<'_>) -> bool {
        if self.quota > 0 || self.unmade > 0 {
            return false;
        }
        match (self.role, context.plan.reply, context.pushed) {
            (Role::HalfClose { .. }, ..) | (_, Reply::None, _) => true,
            (_, Reply::Push, None) => false,
            (_, Reply::Push, Some(pushed)) => self.received() >= pushed - self.begun,
            _ => self.flight.frames() == 0,
        }
    }

    /// Makes the next bytes to send, about `PIECE_LEN`.
    fn make(&mut self, plan: &Plan, out: &mut Vec<u8>, now: u64, meter: &mut Meter) -> Result<(), Fault> {
        let waits = self.merges && plan.pacing == Pacing::Closed && self.flight.frames() > 0 && self.unmade == 0;
        while out.len() < PIECE_LEN {
            if self.unmade == 0 {
                if waits || !self.may_begin(now) {
                    break;
                }
                self.begin(plan, out, now, meter)?;
            }
            self.make_payload(plan, out);
        }
        Ok(())
    }

    /// When the next frame is to be sent, with those that are gathered.
    #[inline]
    fn gathered(&self, schedule: &Schedule) -> u64 {
        if self.merges { schedule.next().next_multiple_of(MERGED) } else { schedule.next() }
    }

    #[inline]
    fn may_begin(&self, now: u64) -> bool {
        let is_due = match &self.schedule {
            None => true,
            Some(schedule) => self.gathered(schedule) <= now,
        };
        is_due && self.quota > 0 && self.flight.frames() < self.bound
    }

    /// Begins a frame: its header is made.
    #[inline]
    fn begin(&mut self, plan: &Plan, out: &mut Vec<u8>, now: u64, meter: &mut Meter) -> Result<(), Fault> {
        let len = plan.payload.len(plan.run, self.index, self.begun);
        let layout = plan.format.layout();
        let header = match (layout.offset, layout.trailer) {
            (0, 0) => self.encoder.header(Envelope::default(), len, out),
            (offset, trailer) => {
                let (mut prefix, mut behind) = (Vec::new(), Vec::new());
                let pattern = Pattern::new(plan.run, self.index, self.begun);
                pattern.append_prefix(offset.into(), &mut prefix);
                pattern.append_trailer(trailer.into(), &mut behind);
                self.encoder.header(Envelope { prefix: &prefix, trailer: &behind }, len, out)
            }
        };
        header.map_err(Fault::Unencodable)?;
        let intended = match &mut self.schedule {
            None => {
                meter.sent(now);
                now
            }
            Some(schedule) => {
                let intended = schedule.next();
                schedule.advance();
                let gathered = if self.merges { intended.next_multiple_of(MERGED) } else { intended };
                // A slow reader holds itself up.
                if self.role != Role::SlowReader {
                    meter.sent_late(intended, self.possible.max(gathered), now);
                }
                intended
            }
        };
        if plan.reply == Reply::Echo || plan.reply == Reply::Count {
            self.flight.push(intended, now);
        }
        self.quota -= 1;
        self.begun += 1;
        (self.unmade, self.payload_len) = (len, len);
        if plan.reply == Reply::Push {
            self.make_push(plan, out, Push { intended, sent: now });
        } else if len == 0 {
            self.make_trailer(plan, out);
        }
        Ok(())
    }

    /// Makes the next piece of the frame's payload and, behind its end, the trailer.
    #[inline]
    fn make_payload(&mut self, plan: &Plan, out: &mut Vec<u8>) {
        if self.unmade == 0 {
            return;
        }
        let len = self.unmade.min(PIECE_LEN);
        let pattern = Pattern::new(plan.run, self.index, self.begun - 1);
        pattern.append(self.payload_len - self.unmade, len, out);
        self.unmade -= len;
        if self.unmade == 0 {
            self.make_trailer(plan, out);
        }
    }

    #[inline]
    fn make_trailer(&self, plan: &Plan, out: &mut Vec<u8>) {
        let trailer = usize::from(plan.format.layout().trailer);
        if trailer > 0 {
            Pattern::new(plan.run, self.index, self.begun - 1).append_trailer(trailer, out);
        }
    }

    /// Makes the first piece of a push, which carries its times.
    fn make_push(&mut self, plan: &Plan, out: &mut Vec<u8>, push: Push) {
        let at = out.len();
        self.make_payload(plan, out);
        check::stamp(&mut out[at..], push);
    }

    fn died(&self, error: io::Error) -> Fault {
        Fault::Died { error, in_flight: self.flight.frames() }
    }
}

/// Receiving.
impl Connection {
    /// Reads all that is there, and compares it.
    ///
    /// Readiness is told once only (edge-triggered): so it is read until a read says that nothing more is there.
    fn receive(&mut self, context: &mut Context<'_>, to_the_end: bool) -> Result<State, Fault> {
        loop {
            let received = match self.check.raw_greeting() {
                0 => self.receive_frames(context)?,
                left => self.receive_greeting(left, context)?,
            };
            match received {
                Received::End => return self.end(),
                Received::Nothing => {
                    self.unread = false;
                    return Ok(State::Open);
                }
                Received::Bytes { .. } if self.role == Role::SlowReader => {
                    (self.unread, self.next_read) = (true, context.now + SLOW_PAUSE);
                    return Ok(State::Open);
                }
                Received::Bytes { more, .. } if more || to_the_end => {}
                Received::Bytes { .. } => return Ok(State::Open),
            }
        }
    }

    fn receive_greeting(&mut self, left: usize, context: &mut Context<'_>) -> Result<Received, Fault> {
        let input = &mut context.scratch.input;
        let room = left.min(input.len());
        let received = self.transport.read(&mut input[..room]).map_err(|error| self.died(error))?;
        if let Received::Bytes { len, .. } = received {
            self.check.take_raw_greeting(len);
            // Behind it frames may be there.
            return Ok(Received::Bytes { len, more: true });
        }
        Ok(received)
    }

    fn receive_frames(&mut self, context: &mut Context<'_>) -> Result<Received, Fault> {
        // The decoder reads into memory that it has only meanwhile; it keeps what is unfinished.
        self.check.lend(std::mem::take(&mut context.scratch.input));
        let received = self.receive_lent(context);
        context.scratch.input = self.check.take_back();
        context.scratch.input.resize(PIECE_LEN, 0);
        received
    }

    fn receive_lent(&mut self, context: &mut Context<'_>) -> Result<Received, Fault> {
        let mut space = self.check.space();
        if self.role == Role::SlowReader {
            let len = space.len().min(SLOW_LEN);
            space = &mut space[..len];
        }
        let received = self.transport.read(space).map_err(|error| self.died(error))?;
        if let Received::Bytes { len, .. } = received {
            let Context { plan, meter, now, .. } = context;
            // A slow reader's time is its own.
            let is_measured = self.role != Role::SlowReader;
            let mut measured = 0;
            let mut pushed = |push: Push| {
                let group = Group { intended: push.intended, sent: push.sent, frames: 1 };
                measured += u64::from(is_measured && meter.answered(group, *now));
            };
            let before = self.check.received();
            let result = self.check.filled(len, plan, self.begun, &mut pushed);
            self.measured += measured;
            let answered = if plan.reply == Reply::Push { 0 } else { self.check.received() - before };
            self.flight.settle(answered, |group| {
                if is_measured && meter.answered(group, *now) {
                    self.measured += group.frames;
                }
            });
            result?;
        }
        Ok(received)
    }

    /// The server's stream ended: may it?
    fn end(&self) -> Result<State, Fault> {
        let expected = self.ended || self.role == Role::SlowReader;
        self.check.finish()?;
        match (expected, self.role, self.flight.frames()) {
            (true, Role::SlowReader, _) | (true, _, 0) => Ok(State::Ended),
            (_, _, in_flight) => Err(Fault::EndedEarly { in_flight }),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}
