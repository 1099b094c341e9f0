//! A worker loads the server, and awaits what is in flight.

use std::cmp::Reverse;
use std::io;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::{Common, SHORT_TICK, Slot, TICK, Worker, role};
use crate::load::connection::{Connection, Role};
use crate::load::control::{Report, Snapshot, Wish};
use crate::load::fault::Fault;
use crate::load::pace::Schedule;
use crate::load::plan::{Pacing, Reply};

impl Worker<'_> {
    pub(super) fn load(&mut self) -> io::Result<()> {
        let Common { plan, control, .. } = self.common;
        let start = self.start.unwrap_or_default();
        let from = start + plan.warm_up.as_nanos() as u64;
        let until = from + plan.duration.as_nanos() as u64;
        while self.now() < start {
            if control.wish() == Wish::Abort {
                return Ok(());
            }
            let now = self.now();
            self.wait_until(start.min(now + TICK), now)?;
        }
        self.found.began = Some(SystemTime::now());
        self.found.held = self.ready();
        let goal = self.goal();
        let (mut usage, mut next_tick, mut spent) = (None, start, false);
        while self.alive > 0 && self.found.sent < goal && !spent && control.wish() == Wish::GoOn {
            let now = self.now();
            if now >= until {
                break;
            }
            if now >= from && usage.is_none() {
                usage = Some((now, on_core()));
            }
            if now >= next_tick {
                next_tick = tick_after(now, from);
                self.look(now);
                spent = self.is_spent();
            }
            self.fire_timers(now);
            let next = self.timers.peek().map_or(u64::MAX, |Reverse((time, _))| *time);
            self.wait_until(next.min(next_tick).min(until), now)?;
        }
        let now = self.now();
        let busy =
            usage.filter(|(since, _)| *since < now).map(|(since, cpu)| (on_core() - cpu) as f64 / (now - since) as f64);
        self.found.busy.extend(busy);
        self.stop(from, now.min(until));
        self.drain(now)
    }

    /// Frames that end the run, if a number of frames does.
    fn goal(&self) -> u64 {
        let Common { plan, .. } = self.common;
        plan.frames.map_or(u64::MAX, |_| self.slots.iter().map(|slot| plan.quota(slot.index)).sum())
    }

    /// Whether no connection that is left has a frame to send.
    fn is_spent(&self) -> bool {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()).all(Connection::is_spent)
    }

    fn fire_timers(&mut self, now: u64) {
        while let Some(Reverse((time, key))) = self.timers.peek().copied()
            && time <= now
        {
            self.timers.pop();
            if let Some(connection) = &mut self.slots[key].connection
                && connection.alarm == Some(time)
            {
                connection.alarm = None;
                self.act(key, now, Connection::look_after);
            }
        }
    }

    /// No more frames are begun.
    fn stop(&mut self, from: u64, now: u64) {
        self.look(now);
        self.found.stopped = now;
        self.found.due = self.due(from..now.max(from));
        self.found.backlog = self.backlog(now);
        self.found.greatest_backlog = self.found.greatest_backlog.max(self.found.backlog);
        for slot in &mut self.slots {
            if let Some(connection) = &mut slot.connection {
                connection.stop();
            }
        }
        self.common.control.fall_silent(self.found.sent);
        self.look_after_all();
    }

    fn look_after_all(&mut self) {
        let now = self.now();
        for key in 0..self.slots.len() {
            self.act(key, now, Connection::look_after);
        }
    }

    /// Frames that were to be sent in this time.
    fn due(&self, time: Range<u64>) -> u64 {
        let Common { plan, .. } = self.common;
        if plan.pacing == Pacing::Closed {
            return 0;
        }
        let start = self.start.unwrap_or_default();
        let of = |slot: &Slot| {
            let end = match role(plan, slot.index, start) {
                Role::Steady => time.end,
                Role::SlowReader => return None,
                Role::Reset { at } | Role::HalfClose { at } => time.end.min(at),
            };
            let (quota, schedule) = (plan.quota(slot.index), Schedule::new(plan, start, slot.index)?);
            Some(schedule.due(end, quota).saturating_sub(schedule.due(time.start, quota)))
        };
        self.slots.iter().filter_map(of).sum()
    }

    fn backlog(&self, now: u64) -> u64 {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()).map(|connection| connection.backlog(now)).sum()
    }

    /// Awaits what is in flight, and the end of each connection.
    fn drain(&mut self, stopped: u64) -> io::Result<()> {
        let Common { plan, control, .. } = self.common;
        let patience = plan.drain.as_nanos() as u64;
        let mut next_tick = stopped;
        while self.alive > 0 && control.wish() < Wish::Abort {
            let now = self.now();
            if plan.reply == Reply::Push && self.pushed.is_none() {
                self.pushed = control.sent(plan.threads);
                if self.pushed.is_some() {
                    self.look_after_all();
                }
            }
            if now.saturating_sub(self.found.last_reply.max(stopped)) > patience {
                self.give_up();
            }
            if now >= next_tick {
                next_tick = now + TICK;
                self.report_progress(now);
            }
            self.fire_timers(now);
            let next = self.timers.peek().map_or(u64::MAX, |Reverse((time, _))| *time);
            let tick = if plan.reply == Reply::Push { SHORT_TICK } else { TICK };
            self.wait_until(next.min(now + tick), now)?;
        }
        Ok(())
    }

    /// Those that are left have not done what they should. A slow reader may.
    fn give_up(&mut self) {
        for key in 0..self.slots.len() {
            let Some(connection) = &self.slots[key].connection else { continue };
            let expected = match self.pushed {
                Some(pushed) => pushed - connection.begun(),
                None => connection.begun(),
            };
            let fault = match connection.role() {
                Role::SlowReader | Role::Reset { .. } => None,
                _ if self.common.plan.reply == Reply::None => Some(Fault::NoEnd),
                _ => Some(connection.overdue(expected)),
            };
            self.leave(key, fault);
        }
    }

    /// Looks at how far it is, for the measurements of this second and for who watches.
    fn look(&mut self, now: u64) {
        let snapshot = self.report_progress(now);
        self.meter.look(now, snapshot);
        if let Some((second, interval)) = self.meter.settled(now) {
            let (response_ns, send_lag_ns) = (interval.response_ns.clone(), interval.send_lag_ns.clone());
            _ = self.reports.send(Report::Second { second, response_ns, send_lag_ns });
        }
    }

    pub(super) fn report_progress(&mut self, now: u64) -> Snapshot {
        let backlog = if self.common.plan.pacing == Pacing::Closed { 0 } else { self.backlog(now) };
        self.found.greatest_backlog = self.found.greatest_backlog.max(backlog);
        let snapshot = Snapshot {
            sent: self.found.sent,
            received: self.found.right,
            in_flight: self.in_flight,
            backlog,
            connections: self.alive,
            faults: self.found.faults.len(),
        };
        _ = self.reports.send(Report::Progress { worker: self.number, snapshot });
        snapshot
    }
}

/// The next of the times that are whole ticks from `from` on, or before it.
fn tick_after(now: u64, from: u64) -> u64 {
    let phase = from % TICK;
    now.saturating_sub(phase) / TICK * TICK + TICK + phase
}

/// Nanoseconds that this thread was on a core.
fn on_core() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32).as_nanos() as u64
}
