//! Receivers of pushes that take too little.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::super::healthy::CLIENTS;
use super::super::{push, server};
use super::*;

pub(super) const PUSH_SMALL: Scenario = Scenario {
    name: "push-small",
    about: "slow and dead receivers of pushes of 64 bytes: the dead ones end as overflow, the slow ones get every frame",
    limits: "--push 64 100 --memory-budget 8MiB --write-timeout 600",
    beside: Beside::Receivers,
    attack: |scene| slow_and_dead(scene, 64),
};

pub(super) const PUSH_LARGE: Scenario = Scenario {
    name: "push-large",
    about: "the same with pushes of 16 KiB, each of which is in memory once",
    limits: "--push 16384 2 --memory-budget 8MiB --write-timeout 600",
    beside: Beside::Receivers,
    attack: |scene| slow_and_dead(scene, 16384),
};

/// The write timeout is never reached: the publisher breaks off connections with a full outbox.
fn slow_and_dead(scene: &mut Scene, len: usize) -> Fallible {
    let (dead, slow) = (2, 3);
    scene.sent = format!("{dead} receivers read nothing, {slow} only every 50 ms; the pushes have {len} bytes");
    let mut dead = scene.crowd(dead)?;
    let mut slow = scene.crowd(slow)?;
    for peer in dead.iter_mut().chain(&mut slow) {
        peer.echo(server::SUBSCRIBE)?;
    }
    let over = AtomicBool::new(false);
    let received = thread::scope(|scope| -> Result<u64, Box<dyn std::error::Error>> {
        let over = &over;
        let slow: Vec<_> = slow.iter_mut().map(|peer| scope.spawn(move || read_slowly(peer, len, over))).collect();
        let overflowed = scene.await_closes("overflow", dead.len());
        over.store(true, Relaxed);
        let mut received = 0;
        for slow in slow {
            received += slow.join().map_err(|_| "a slow receiver panicked")??;
        }
        let said = overflowed?.said("overflow");
        scene.check(said.contains("limit 262144"), || format!("it does not say the limit: {said}"));
        Ok(received)
    })?;
    scene.noted.push(format!("the slow ones received {received} pushes meanwhile, all of them in order"));
    let stats = scene.host.stats()?;
    scene.check(stats.closed() == dead.len() as u64, || format!("others ended, too: {:?}", stats.closes));
    scene.check_formula(8 << 20, dead.len() + slow.len() + CLIENTS, 1);
    Ok(())
}

/// Reads what came, now and then; how many pushes that were.
fn read_slowly(peer: &mut Peer, len: usize, over: &AtomicBool) -> std::io::Result<u64> {
    let (mut next, mut received) = (None, 0);
    while !over.load(Relaxed) {
        thread::sleep(Duration::from_millis(50));
        // One is waited for, and then those that are there already are taken along.
        loop {
            let push = push::verify(&peer.frame()?, len, next)?;
            (next, received) = (Some(push.number + 1), received + 1);
            if push.age() < Duration::from_millis(10) {
                break;
            }
        }
    }
    Ok(received)
}
