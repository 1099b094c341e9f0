//! A worker's connections are made, until the run begins.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use super::{Common, MS, SHORT_TICK, Stage, TICK, Worker, role};
use crate::load::connection::Connection;
use crate::load::control::Wish;
use crate::load::fault::Fault;
use crate::load::meter::Meter;
use crate::load::plan::Plan;
use crate::load::shards::part;
use crate::load::socket::{Address, Stream};
use crate::load::transport::Transport;

/// How long one connection may take until it is greeted.
const CONNECT_TIMEOUT: u64 = 10_000 * MS;
/// Connections that are being made at a time.
const CONNECTING: usize = 128;
/// Connections from one address of the loopback: the system has 28,000 ports for each.
const FROM_ONE_ADDRESS: u64 = 20_000;

impl Worker<'_> {
    pub(super) fn connect(&mut self) -> io::Result<()> {
        let Common { plan, control, .. } = self.common;
        let begin = self.now();
        let gap = plan.connect_rate.map_or(0.0, |rate| 1e9 / rate);
        let mut waiting: VecDeque<usize> = (0..self.slots.len()).collect();
        let mut last_look = begin;
        loop {
            let now = self.now();
            let mut making = self.making() - waiting.len();
            let mut next = now + SHORT_TICK;
            while let Some(key) = waiting.front().copied()
                && making < CONNECTING
            {
                let due = begin + (self.slots[key].index as f64 * gap) as u64;
                if due > now {
                    next = next.min(due);
                    break;
                }
                waiting.pop_front();
                self.begin_connecting(key, 0, now);
                making += 1;
            }
            if self.making() == 0 || control.wish() == Wish::Abort {
                return Ok(());
            }
            self.wait_until(next, now)?;
            if now - last_look >= TICK {
                last_look = now;
                self.give_up_on_late_ones(now);
                self.report_progress(0);
            }
        }
    }

    pub(super) fn ready(&self) -> usize {
        self.slots.iter().filter(|slot| slot.stage == Stage::Ready).count()
    }

    /// How many are not yet ready.
    fn making(&self) -> usize {
        self.slots.iter().filter(|slot| !matches!(slot.stage, Stage::Ready | Stage::Gone)).count()
    }

    fn begin_connecting(&mut self, key: usize, address: usize, now: u64) {
        let Common { plan, addresses, .. } = self.common;
        let index = self.slots[key].index;
        let stream = Stream::connect(&addresses[address], local(plan, &addresses[address], index));
        let made = stream.and_then(|stream| {
            self.poller.register(&stream, key)?;
            Transport::new(stream, plan.tls.as_ref())
        });
        match made {
            Ok(transport) => {
                let (quota, bound) = (plan.quota(index), self.bound(key));
                let slot = &mut self.slots[key];
                slot.stage = Stage::Connecting { address, until: now + CONNECT_TIMEOUT };
                slot.connection = Some(Connection::new(transport, index, (quota, bound), plan));
            }
            Err(error) => self.try_the_next_address(key, address, error, now),
        }
    }

    /// Frames that the connection may have in flight when it begins.
    fn bound(&self, key: usize) -> u64 {
        match self.common.in_flight(self.number) {
            Some(of_all) => part(of_all, self.slots.len() as u64, key as u64),
            None => self.common.plan.bound().map_or(u64::MAX, u64::from),
        }
    }

    pub(super) fn go_on_connecting(&mut self, key: usize, address: usize, now: u64) {
        let Some(connection) = &mut self.slots[key].connection else { return };
        match connection.establish() {
            Ok(false) => {}
            Ok(true) => {
                self.slots[key].stage = Stage::Greeting { until: now + CONNECT_TIMEOUT };
                self.act(key, now, |connection, context| connection.exchange(context, false));
            }
            Err(error) => self.try_the_next_address(key, address, error, now),
        }
    }

    fn try_the_next_address(&mut self, key: usize, address: usize, error: io::Error, now: u64) {
        self.slots[key].connection = None;
        if address + 1 < self.common.addresses.len() {
            self.begin_connecting(key, address + 1, now);
        } else {
            self.leave(key, Some(Fault::Unconnected(error)));
        }
    }

    fn give_up_on_late_ones(&mut self, now: u64) {
        for key in 0..self.slots.len() {
            match self.slots[key].stage {
                Stage::Connecting { address, until } if until < now => {
                    self.try_the_next_address(key, address, io::ErrorKind::TimedOut.into(), now);
                }
                Stage::Greeting { until } if until < now => self.leave(key, Some(Fault::NoGreeting)),
                _ => {}
            }
        }
    }

    /// Waits until the run begins; whether it does.
    pub(super) fn await_start(&mut self) -> io::Result<bool> {
        let Common { plan, control, .. } = self.common;
        loop {
            let now = self.now();
            if control.wish() == Wish::Abort {
                return Ok(false);
            }
            if let Some(start) = control.start() {
                let from = start + plan.warm_up.as_nanos() as u64;
                self.meter = Meter::new(from..from + plan.duration.as_nanos() as u64);
                self.start = Some(start);
                self.give_parts(plan, start);
                return Ok(true);
            }
            self.wait_until(now + SHORT_TICK, now)?;
        }
    }

    /// Tells each connection what it is for, and when it begins.
    fn give_parts(&mut self, plan: &Plan, start: u64) {
        for key in 0..self.slots.len() {
            let role = role(plan, self.slots[key].index, start);
            if let Some(connection) = &mut self.slots[key].connection {
                connection.start(plan, start, role);
                connection.alarm = Some(start);
                self.timers.push(Reverse((start, key)));
            }
        }
    }
}

/// The address that a connection is made from, where the system is not to choose.
fn local(plan: &Plan, to: &Address, index: u64) -> Option<IpAddr> {
    match (&plan.local_addrs[..], to) {
        ([], Address::Tcp(to)) if to.ip().is_loopback() && to.is_ipv4() && index >= FROM_ONE_ADDRESS => {
            let own = u32::from(Ipv4Addr::LOCALHOST) + (index / FROM_ONE_ADDRESS) as u32;
            Some(Ipv4Addr::from(own).into())
        }
        ([], _) => None,
        (given, _) => Some(given[index as usize % given.len()]),
    }
}
