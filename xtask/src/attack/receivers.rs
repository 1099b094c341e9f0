//! Well-behaved clients that receive what the server pushes, and verify it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use unstick::FrameReader;
use unstick::framing::Format;

use super::healthy::{CLIENTS, Seen};
use super::peer::Peer;
use super::{push, server};
use crate::socket::Addr;

/// Clients that receive.
pub(super) struct Receivers {
    phase: Arc<Phase>,
    threads: Vec<JoinHandle<Seen>>,
}

#[derive(Default)]
struct Phase {
    is_attacked: AtomicBool,
    is_ending: AtomicBool,
}

impl Receivers {
    /// Subscribes them to pushes with payloads of this length.
    pub(super) fn start(addr: &Addr, len: usize) -> io::Result<Receivers> {
        let phase = Arc::new(Phase::default());
        let subscribe = |_| {
            let mut peer = Peer::connect(addr)?;
            peer.echo(server::SUBSCRIBE)?;
            Ok(peer)
        };
        let peers = (0..CLIENTS).map(subscribe).collect::<io::Result<Vec<_>>>()?;
        let threads = peers.into_iter().enumerate().map(|(index, peer)| {
            let phase = Arc::clone(&phase);
            thread::spawn(move || {
                let mut seen = Seen::default();
                if let Err(error) = receive(&peer, len, &phase, &mut seen) {
                    seen.faults.push(format!("client {index}, push {}: {error}", seen.verified));
                }
                seen
            })
        });
        Ok(Receivers { threads: threads.collect(), phase })
    }

    pub(super) fn attacked(&self) {
        self.phase.is_attacked.store(true, Relaxed);
    }

    pub(super) fn end(self) -> Seen {
        self.phase.is_ending.store(true, Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            let Ok(seen) = thread.join() else {
                all.faults.push("a client panicked".into());
                continue;
            };
            all.verified += seen.verified;
            all.faults.extend(seen.faults);
            all.times.iter_mut().zip(&seen.times).for_each(|(all, one)| all.add_all(one));
        }
        all
    }
}

/// Receives until it is to end; then ends our stream, and receives to the end of the server's.
fn receive(peer: &Peer, len: usize, phase: &Phase, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    let mut frames = FrameReader::new(peer.stream(), Format::U32_LE);
    let (mut next, mut is_ending) = (None, false);
    while let Some(frame) = frames.next_frame()? {
        let push = push::verify(frame.payload(), len, next)?;
        next = Some(push.number + 1);
        if !is_ending {
            seen.verified += 1;
            // What was begun before the attack and came during it is the attack's.
            let during = usize::from(phase.is_attacked.load(Relaxed));
            seen.times[during].add(push.age().as_nanos() as u64, 1);
            if phase.is_ending.load(Relaxed) {
                is_ending = true;
                peer.half_close()?;
            }
        }
    }
    if is_ending { Ok(()) } else { Err("the server ended the stream".into()) }
}
