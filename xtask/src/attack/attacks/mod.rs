//! The attacks: an entry each, in the list of its kind.

mod crowds;
mod ends;
mod frames;
mod handlers;
mod memory;
mod tls;

use std::error::Error;
use std::io::Read;
use std::thread;
use std::time::Duration;

use unstick::ServerConfig;
use unstick::framing::Format;

pub(crate) use ends::{ClientArgs, be_client};

use super::healthy::CLIENTS;
use super::peer::{PATIENCE, Peer, frame};
use super::scene::{Attack, Beside, Fallible, Scene};
use super::server::{self, Pushes};
use crate::socket::{Addr, Over};

/// All of them, in the order in which they are made.
pub(super) fn all() -> impl Iterator<Item = &'static Attack> {
    [frames::ATTACKS, ends::ATTACKS, crowds::ATTACKS, tls::ATTACKS, handlers::ATTACKS, memory::ATTACKS]
        .into_iter()
        .flatten()
}

fn seconds(seconds: f64) -> Option<Duration> {
    Some(Duration::from_secs_f64(seconds))
}

/// Sets the memory budget; over TLS so many sessions take more: each has 6 KiB of the three quarters for reading.
fn budget(config: &mut ServerConfig, over: Over, mib: usize, sessions: usize) {
    config.memory_budget = Some((mib << 20) + if over == Over::Tls { sessions * (6 << 10) / 3 * 4 } else { 0 });
}

/// Acts on each of them at the same time, a thread each.
fn of_each<T: Send, U: Send>(all: &mut [T], act: impl Fn(&mut T) -> U + Sync) -> Result<Vec<U>, Box<dyn Error>> {
    thread::scope(|scope| {
        let acting: Vec<_> = all.iter_mut().map(|one| scope.spawn(|| act(one))).collect();
        acting.into_iter().map(|acting| Ok(acting.join().map_err(|_| "an attacker panicked")?)).collect()
    })
}
