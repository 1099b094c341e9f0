//! The memory of all connections together.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::super::healthy::CLIENTS;
use super::super::server;
use super::*;

pub(super) const OVER_BUDGET: Scenario = Scenario {
    name: "over-budget",
    about: "a large unfinished frame ends its connection only when others wait for memory; those within their share are served",
    limits: "--memory-budget 8MiB --frame-timeout 60 --sessions 80",
    beside: Beside::Healthy,
    attack: |scene| {
        let hogs = scene.pace.of(100, 40);
        scene.sent =
            format!("{hogs} connections hold 600 KB of a frame of 1 MB, 10 hold 2 KB of 4; the budget is 8 MiB");
        let small = frame(&[7; 4000]);
        let large = frame(&[7; 1_000_000]);
        let mut modest = scene.crowd(10)?;
        modest.iter_mut().try_for_each(|peer| peer.send(&small[..2000]))?;
        // Each of the four holds more than the fair share of many; but none waits yet.
        let mut peers = scene.crowd(4)?;
        peers.iter_mut().try_for_each(|peer| peer.send(&large[..600_000]))?;
        scene.await_stats("what they sent", |stats| stats.buffered > 4 * 590_000)?;
        thread::sleep(scene.pace.span / 2);
        let over = scene.host.stats()?.closes("over budget");
        scene.check(over == 0, || format!("{over} ended over budget where nobody waited"));
        peers.extend(scene.crowd(hogs - 4)?);
        // One that is ended may fail here.
        peers[4..].iter_mut().for_each(|peer| _ = peer.send(&large[..600_000]));
        let stats = scene.await_closes("over budget", 1)?;
        scene.check_held(&stats, 8 << 20);
        for peer in &mut modest {
            peer.send(&small[2000..])?;
            peer.expect(&small[4..])?;
        }
        // The remaining ones may finish, as there is room again when others are done.
        let mut finished = 0;
        for mut peer in peers {
            finished += usize::from(peer.send(&large[600_000..]).and_then(|()| peer.expect(&large[4..])).is_ok());
        }
        scene.noted.push(format!("10 modest ones and {finished} of {hogs} large ones were served to the end"));
        scene.check(finished > 0, || "none of the large ones was served".into());
        let stats = scene.await_stats("the end of the large ones", |stats| {
            stats.closes("over budget") + stats.closes("clean") == hogs as u64
        })?;
        let over = stats.closes("over budget") as usize;
        scene.check(over + finished == hogs, || format!("{hogs} connections: {over} over budget, {finished} served"));
        scene.check_formula(8 << 20, hogs + 10 + CLIENTS, 1);
        Ok(())
    },
};

pub(super) const HOARDERS: Scenario = Scenario {
    name: "hoarders",
    about: "peers that fill the budget with unfinished frames while handlers wait: no connection with a waiting handler is ended",
    limits: "--memory-budget 8MiB --frame-timeout 60 --max-connections 1000 --sessions 324",
    beside: Beside::Healthy,
    attack: |scene| {
        let waits = scene.pace.of(3000, 500);
        scene.sent = format!("200 connections hold 60 KB each of a frame of 1 MB, where 120 handlers wait {waits} ms");
        let small = [server::SLEEP, &[7; 1500]].concat();
        let large = [server::SLEEP, &[7; 60_000]].concat();
        let mut small = (scene.crowd(100)?, small);
        let mut large = (scene.crowd(20)?, large);
        for (peers, payload) in [&mut small, &mut large] {
            peers.iter_mut().try_for_each(|peer| peer.send(&frame(payload)))?;
        }
        scene.await_stats("the waiting", |stats| stats.buffered > 20 * 58_000)?;
        let unfinished = frame(&vec![7; 1_000_000]);
        let mut hoarders = scene.crowd(200)?;
        // One that is ended may fail here.
        hoarders.iter_mut().for_each(|peer| _ = peer.send(&unfinished[..60_000]));
        thread::sleep(Duration::from_millis(waits as u64));
        let stats = scene.host.stats()?;
        let (over, closed) = (stats.closes("over budget"), stats.closed());
        scene.noted.push(format!("{} KiB held of 8192 when the handlers went on", stats.buffered >> 10));
        scene.check(over > 0 && over == closed, || format!("others than hoarders were ended: {:?}", stats.closes));
        scene.host.open_gate()?;
        for (peers, payload) in [&mut small, &mut large] {
            peers.iter_mut().try_for_each(|peer| peer.expect(payload))?;
        }
        scene.check_formula(8 << 20, 320 + CLIENTS, 1);
        Ok(())
    },
};

pub(super) const MANY_SMALL_HOLDS: Scenario = Scenario {
    name: "many-small-holds",
    about: "many connections each hold a little, hardly any budget is left: one that holds nothing is still served",
    limits: "--memory-budget 8MiB --frame-timeout 60 --sessions 625",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = 600;
        scene.sent = format!("{count} connections hold 15 KB of a frame each; the budget is 8 MiB");
        let part = frame(&[7; 60_000]);
        let mut peers = scene.crowd(count)?;
        peers.iter_mut().for_each(|peer| _ = peer.send(&part[..15_000]));
        // Three quarters of the budget are for reading, and over TLS sessions are among that.
        let much = (5 << 20) + scene.of_sessions / 2;
        let stats = scene.await_stats("what they sent", |stats| stats.buffered > much)?;
        scene.noted.push(format!("{} KiB held of 8192", stats.buffered >> 10));
        scene.check_held(&stats, 8 << 20);
        // The healthy clients, and others that come now.
        for _ in 0..20 {
            let mut peer = scene.connect()?;
            (0..40).try_for_each(|n| peer.echo(&[7; 4000][..n * 100]))?;
        }
        thread::sleep(scene.pace.span);
        scene.check_formula(8 << 20, count + 1 + CLIENTS, 1);
        Ok(())
    },
};

/// The limits of the attack below: what the formula is made of.
const BUDGET: u64 = 32 << 20;
const CONNECTIONS: usize = 1200;

pub(super) const EVERYTHING: Scenario = Scenario {
    name: "everything",
    about: "every limit loaded at once, repeatedly: memory stays within the documented worst case",
    limits: "--memory-budget 32MiB --threads 2 --max-connections 1200 --push 16384 2 --frame-timeout 60 --write-timeout 60 --sessions 1200",
    beside: Beside::Healthy,
    attack: |scene| {
        let rounds = scene.pace.of(4, 2);
        scene.sent =
            format!("{rounds} × 1,196 connections: idle, flooding, not reading, unfinished frames, waiting handlers");
        for round in 0..rounds {
            everything(scene, round)?;
        }
        scene.check_formula(BUDGET, CONNECTIONS, 2);
        Ok(())
    },
};

/// Loads every limit at once. What is held is of other lengths in each round, so that memory given back does not just
/// fit.
fn everything(scene: &mut Scene, round: usize) -> Fallible {
    let mut peers = scene.crowd(CONNECTIONS - CLIENTS)?;
    let (readers, rest) = peers.split_at_mut(30);
    let (large, rest) = rest.split_at_mut(60);
    let (small, rest) = rest.split_at_mut(200);
    let (waiting, rest) = rest.split_at_mut(300);
    let (subscribers, rest) = rest.split_at_mut(10);
    let (floods, idle) = rest.split_at_mut(4);
    idle.iter_mut().try_for_each(|peer| peer.echo(b"hello"))?;
    let whole = frame(&vec![7; 1 << 20]);
    let held = |most: usize| &whole[..most >> (round / 2 % 3)];
    let replies: Vec<u8> = frame(&[7; 1000]).repeat(64);
    let waits = [&replies, &frame(server::SLEEP)[..]].concat();
    // A little more than is copied to memory of its own before a handler sees it.
    let waits_now = frame(&[server::SLEEP, &[7; 1500]].concat());
    let stop = AtomicBool::new(false);
    let addr = scene.addr();
    thread::scope(|scope| -> Fallible {
        for peer in floods {
            scope.spawn(|| again(&stop, || peer.send(&whole).and_then(|()| peer.frame()).is_ok()));
        }
        for peer in readers {
            scope.spawn(|| again(&stop, || peer.send_until_stuck(&replies, STUCK) > 0));
        }
        // They read none of the pushes.
        subscribers.iter_mut().for_each(|peer| _ = peer.send(&frame(server::SUBSCRIBE)));
        // Those that are over budget are ended, and fail.
        if round.is_multiple_of(2) {
            waiting.iter_mut().for_each(|peer| _ = peer.send(&waits));
            small.iter_mut().for_each(|peer| _ = peer.send(held(60_000)));
            large.iter_mut().for_each(|peer| _ = peer.send(held(900_000)));
        } else {
            large.iter_mut().for_each(|peer| _ = peer.send(held(900_000)));
            // So little that it is held in memory of its own length, and the threads' buffers stay with them.
            small.iter_mut().chain(idle).for_each(|peer| _ = peer.send(&whole[..15_500]));
            waiting.iter_mut().for_each(|peer| _ = peer.send(&waits_now));
        }
        for _ in 0..100 {
            // Refused while as many are served as may be, and oversize otherwise.
            _ = Peer::connect(addr).and_then(|mut peer| peer.send(&[0xFF; 4]));
        }
        thread::sleep(scene.pace.span);
        stop.store(true, Relaxed);
        Ok(())
    })?;
    let stats = scene.host.stats()?;
    let (held, active, over) = (stats.buffered >> 10, stats.active, stats.closes("over budget"));
    scene.noted.push(format!("{held} of {} KiB held, {active} connections, {over} over budget", BUDGET >> 10));
    scene.check_held(&stats, BUDGET);
    scene.check(over > 0, || "the budget was not reached".into());
    drop(peers);
    scene.host.open_gate()?;
    scene.host.shut_gate()?;
    scene.await_stats("their end", |stats| stats.active <= CLIENTS as u64).map(drop)
}

/// Does something again and again, until it is told to stop or it fails.
fn again(stop: &AtomicBool, mut act: impl FnMut() -> bool) {
    loop {
        if stop.load(Relaxed) || !act() {
            return;
        }
    }
}

/// What a peer waits for room to write, before it is stuck.
const STUCK: Duration = Duration::from_millis(50);
