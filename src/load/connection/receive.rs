//! The receiving side of a connection.

use super::{Connection, Context, Role, State};
use crate::load::check::PIECE_LEN;
use crate::load::fault::Fault;
use crate::load::flight::Group;
use crate::load::meter::Meter;
use crate::load::plan::Reply;
use crate::load::socket::Received;

/// Nanoseconds between two reads of a slow reader, and the bytes of each.
const SLOW_PAUSE: u64 = 50_000_000;
const SLOW_LEN: usize = 4096;

impl Connection {
    /// Reads all that is there, and compares it.
    ///
    /// Readiness is told once only (edge-triggered): so it is read until a read says that nothing more is there.
    pub(super) fn receive(&mut self, context: &mut Context<'_>, to_the_end: bool) -> Result<State, Fault> {
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
        let (unseen, read_len) = (self.check.unseen(), self.check.read_len());
        let most = if self.role == Role::SlowReader { SLOW_LEN } else { usize::MAX };
        let space = self.check.space();
        let room = space.len().min(most);
        let read = match unseen {
            0 => self.transport.read(&mut space[..room.min(read_len)]),
            _ => self.transport.discard(&mut space[..room.min(unseen)]),
        };
        let received = read.map_err(|error| self.died(error))?;
        if let Received::Bytes { len, .. } = received {
            let Context { plan, meter, receipts, now, .. } = context;
            let mut arrivals = Arrivals { meter, now: *now, is_measured: self.role != Role::SlowReader, measured: 0 };
            let before = self.check.received();
            // Pushes that were sent together stand together.
            let mut together: Option<Group> = None;
            let result = self.check.filled(len, plan, self.begun, |push| {
                let group = Group { intended: push.intended, sent: push.sent, frames: 1 };
                match &mut together {
                    Some(Group { intended, sent, frames }) if (*intended, *sent) == (push.intended, push.sent) => {
                        *frames += 1;
                    }
                    _ => together.replace(group).into_iter().for_each(|group| arrivals.note(group)),
                }
                if let Some(receipts) = receipts
                    && arrivals.is_measured
                {
                    receipts.note(push.sender, push.sequence);
                }
            });
            together.into_iter().for_each(|group| arrivals.note(group));
            let answered = if plan.reply == Reply::Push { 0 } else { self.check.received() - before };
            if plan.in_flight_in_all.is_some() {
                self.bound -= answered;
            }
            self.flight.settle(answered, |group| arrivals.note(group));
            self.measured += arrivals.measured;
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

/// What comes on a connection now.
struct Arrivals<'a> {
    meter: &'a mut Meter,
    now: u64,
    /// A slow reader's time is its own.
    is_measured: bool,
    measured: u64,
}

impl Arrivals<'_> {
    #[inline]
    fn note(&mut self, group: Group) {
        if self.is_measured && self.meter.answered(group, self.now) {
            self.measured += group.frames;
        }
    }
}
