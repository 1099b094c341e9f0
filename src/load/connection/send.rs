//! The sending side of a connection.

use std::io;

use super::{Connection, Context, Role};
use crate::framing::Envelope;
use crate::load::check::{self, PIECE_LEN, Push};
use crate::load::fault::Fault;
use crate::load::meter::Meter;
use crate::load::pace::Schedule;
use crate::load::pattern::Pattern;
use crate::load::plan::{Plan, Reply};

/// Nanoseconds in which frames gather that are to be sent at once.
const MERGED: u64 = 1_000_000;
/// Pieces that are written before other connections have their turn.
const PIECES: usize = 8;

impl Connection {
    /// Writes until the socket takes no more or nothing is to be sent. Once all is answered and nothing more is to be
    /// sent, our stream is ended, and the server's is read on (half-close).
    pub(in crate::load) fn send(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        if !context.begun || self.ended {
            return Ok(());
        }
        if self.held {
            (self.held, self.possible) = (false, context.now);
        }
        if context.scratch.wire.is_some() {
            return self.repeat(context);
        }
        for _ in 0..PIECES {
            if !self.write_made(context)? {
                self.held = true;
                return Ok(());
            }
            let Context { plan, scratch, meter, now, .. } = context;
            self.make(plan, &mut scratch.output, *now, meter)?;
            if scratch.output.is_empty() {
                return self.pause(context);
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
        // There may be more, and others have their turn first.
        self.has_more = true;
        Ok(())
    }

    /// Nothing is to be sent now: what is waited for, or is it the end?
    pub(super) fn pause(&mut self, context: &Context<'_>) -> Result<(), Fault> {
        self.has_more = false;
        self.held = self.begun >= self.limit(context.plan);
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
        if self.quota > 0 || self.unmade > 0 || self.unsent > 0 {
            return false;
        }
        match (self.role, context.plan.reply, context.pushed) {
            (Role::HalfClose { .. }, ..) | (_, Reply::None, _) => true,
            (_, Reply::Push, None) => false,
            (_, Reply::Push, Some(pushed)) => self.received() >= pushed - self.begun,
            _ => self.flight.frames() == 0,
        }
    }

    /// Makes the next bytes to send, about `PIECE_LEN`, in the place of what is in `out`.
    fn make(&mut self, plan: &Plan, out: &mut Vec<u8>, now: u64, meter: &mut Meter) -> Result<(), Fault> {
        let before = self.begun;
        let mut limit = self.limit(plan);
        if self.merges && self.schedule.is_none() && self.flight.frames() > 0 {
            limit = before;
        }
        limit = limit.min(before.saturating_add(self.quota));
        match &self.whole {
            Some(whole) => {
                let frames = limit.saturating_sub(before).min(PIECE_LEN.div_ceil(whole.frame_len()) as u64);
                whole.make(self.index, before, frames, out);
                self.begun += frames;
            }
            None => self.make_pieces(plan, limit, out, now, meter)?,
        }
        let frames = self.begun - before;
        self.quota -= frames;
        if self.schedule.is_none() && frames > 0 {
            meter.sent(now, frames);
            if plan.reply.is_one_for_each() {
                self.flight.push(now, now, frames);
            }
        }
        Ok(())
    }

    /// Makes frames of any length, piece by piece.
    fn make_pieces(
        &mut self,
        plan: &Plan,
        limit: u64,
        out: &mut Vec<u8>,
        now: u64,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        out.clear();
        while out.len() < PIECE_LEN {
            if self.unmade == 0 {
                if self.begun >= limit || !self.is_due(now) {
                    break;
                }
                self.begin(plan, out, now, meter)?;
            }
            self.make_payload(plan, out);
        }
        Ok(())
    }

    /// How many frames may be begun in all, as things are: so many are in flight at most. With pushes in a closed loop,
    /// where nobody sees its own, receipts set the pace, or what came from the others.
    pub(super) fn limit(&self, plan: &Plan) -> u64 {
        match plan.reply {
            Reply::Push if plan.awaits_receipts() => self.bound,
            Reply::Push => self.bound.saturating_add(self.received() / plan.others().max(1)),
            _ => self.begun.saturating_add(self.bound.saturating_sub(self.flight.frames())),
        }
    }

    /// When the next frame is to be sent, with those that are gathered.
    #[inline]
    pub(super) fn gathered(&self, schedule: &Schedule) -> u64 {
        if self.merges { schedule.next().next_multiple_of(MERGED) } else { schedule.next() }
    }

    #[inline]
    fn is_due(&self, now: u64) -> bool {
        self.schedule.as_ref().is_none_or(|schedule| self.gathered(schedule) <= now)
    }

    /// Begins a frame: its header is made.
    #[inline]
    fn begin(&mut self, plan: &Plan, out: &mut Vec<u8>, now: u64, meter: &mut Meter) -> Result<(), Fault> {
        let len = plan.payload.len(plan.run, self.index, self.begun);
        match self.is_bare {
            true => self.encoder.header(Envelope::default(), len, out).map_err(Fault::Unencodable)?,
            false => self.begin_with_envelope(plan, len, out)?,
        }
        let intended = match self.schedule {
            None => now,
            Some(_) => self.keep_to_the_schedule(plan, now, meter),
        };
        self.begun += 1;
        (self.unmade, self.payload_len) = (len, len);
        if plan.reply == Reply::Push {
            let push = Push { sender: self.index, sequence: self.begun - 1, intended, sent: now };
            self.make_push(plan, out, push);
        } else if len == 0 {
            self.make_trailer(plan, out);
        }
        Ok(())
    }

    fn begin_with_envelope(&mut self, plan: &Plan, len: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        let layout = plan.format.layout();
        let pattern = Pattern::new(plan.run, self.index, self.begun);
        let (mut prefix, mut trailer) = (Vec::new(), Vec::new());
        pattern.append_prefix(layout.offset.into(), &mut prefix);
        pattern.append_trailer(layout.trailer.into(), &mut trailer);
        self.encoder.header(Envelope { prefix: &prefix, trailer: &trailer }, len, out).map_err(Fault::Unencodable)
    }

    /// The next frame of the schedule is sent now; when it was to be.
    fn keep_to_the_schedule(&mut self, plan: &Plan, now: u64, meter: &mut Meter) -> u64 {
        let Some(schedule) = &mut self.schedule else { return now };
        let intended = schedule.next();
        schedule.advance();
        let gathered = if self.merges { intended.next_multiple_of(MERGED) } else { intended };
        // A slow reader holds itself up.
        if self.role != Role::SlowReader {
            meter.sent_late(intended, self.possible.max(gathered), now);
        }
        if plan.reply.is_one_for_each() {
            self.flight.push(intended, now, 1);
        }
        intended
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
}
