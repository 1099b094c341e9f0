//! The memory of all connections together.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::super::healthy::CLIENTS;
use super::super::server;
use super::*;

pub(super) const OVER_BUDGET: Scenario = Scenario {
    name: "over-budget",
    about: "many hold large unfinished frames: those over their share are ended, those within it are served on",
    limits: "--memory-budget 8MiB --frame-timeout 60",
    beside: Beside::Healthy,
    attack: |scene| {
        let hogs = scene.pace.of(100, 40);
        scene.sent =
            format!("{hogs} connections hold 600 KB of a frame of 1 MB, 10 hold 2 KB of 4; the budget is 8 MiB");
        let small = frame(&[7; 4000]);
        let large = frame(&[7; 1_000_000]);
        let mut modest = scene.crowd(10)?;
        modest.iter_mut().try_for_each(|peer| peer.send(&small[..2000]))?;
        let mut peers = scene.crowd(hogs)?;
        // One that is ended may fail here.
        peers.iter_mut().for_each(|peer| _ = peer.send(&large[..600_000]));
        let books = scene.await_closes("over budget", 1)?;
        scene.check(books.buffered <= 8 << 20, || format!("{} bytes are held, of a budget of 8 MiB", books.buffered));
        for peer in &mut modest {
            peer.send(&small[2000..])?;
            peer.expect(&small[4..])?;
        }
        // Who is left may finish, as there is room again when others are done.
        let mut finished = 0;
        for mut peer in peers {
            finished += usize::from(peer.send(&large[600_000..]).and_then(|()| peer.expect(&large[4..])).is_ok());
        }
        scene.noted.push(format!("10 modest ones and {finished} of {hogs} large ones were served to the end"));
        scene.check(finished > 0, || "none of the large ones was served".into());
        let books = scene.await_books("the end of the large ones", |books| {
            books.closes("over budget") + books.closes("clean") == hogs as u64
        })?;
        let over = books.closes("over budget") as usize;
        scene.check(over + finished == hogs, || format!("{hogs} connections: {over} over budget, {finished} served"));
        scene.check_memory((8 << 20) + (12 << 20));
        Ok(())
    },
};

pub(super) const MANY_SMALL_HOLDS: Scenario = Scenario {
    name: "many-small-holds",
    about: "so many hold a little that hardly anything of the budget is left: who holds nothing is served on all the same",
    limits: "--memory-budget 8MiB --frame-timeout 60",
    beside: Beside::Healthy,
    attack: |scene| {
        scene.sent = "400 connections hold 30 KB of a frame each; the budget is 8 MiB".into();
        let part = frame(&[7; 60_000]);
        let mut peers = scene.crowd(400)?;
        peers.iter_mut().for_each(|peer| _ = peer.send(&part[..30_000]));
        let books = scene
            .await_books("what they sent", |books| books.closes("over budget") + books.buffered / 29_000 >= 250)?;
        scene.noted.push(format!("{} KiB held of 8192", books.buffered >> 10));
        scene.check(books.buffered <= 8 << 20, || format!("{} bytes are held, of a budget of 8 MiB", books.buffered));
        // The healthy clients, and others that come now.
        for _ in 0..20 {
            let mut peer = scene.connect()?;
            (0..40).try_for_each(|_| peer.echo(b"modest"))?;
        }
        std::thread::sleep(scene.pace.span);
        Ok(())
    },
};

/// The limits of the attack below: what the formula is made of.
const BUDGET: u64 = 32 << 20;
const CONNECTIONS: usize = 1200;
const THREADS: u64 = 2;
/// What a thread keeps to use again, and what the connection that has its turn may hold besides.
const EACH_THREAD: u64 = (12 << 20) + 3 * (1 << 20) + 2 * (512 << 10);

pub(super) const EVERYTHING: Scenario = Scenario {
    name: "everything",
    about: "every limit loaded at once, again and again: memory stays within the documented worst case",
    limits: "--memory-budget 32MiB --threads 2 --max-connections 1200 --max-queued 524288 \
             --frame-timeout 60 --write-timeout 60",
    beside: Beside::Healthy,
    attack: |scene| {
        let rounds = scene.pace.of(4, 2);
        scene.sent =
            format!("{rounds} × 1,196 connections: idle, flooding, not reading, unfinished frames, waiting handlers");
        for round in 0..rounds {
            everything(scene, round)?;
        }
        let most = BUDGET + CONNECTIONS as u64 * 2048 + THREADS * EACH_THREAD;
        let grown = scene.host.peak() - scene.base;
        scene.noted.push(format!("{} MiB more at most, and {} MiB by the formula", grown >> 20, most >> 20));
        scene.check_memory(most);
        Ok(())
    },
};

/// Loads every limit at once. What is held is of other lengths in each round, so that memory given back does not just fit.
fn everything(scene: &mut Scene, round: usize) -> Fallible {
    let mut peers = scene.crowd(CONNECTIONS - CLIENTS)?;
    let (readers, rest) = peers.split_at_mut(30);
    let (large, rest) = rest.split_at_mut(60);
    let (small, rest) = rest.split_at_mut(200);
    let (waiting, rest) = rest.split_at_mut(300);
    let (given_up, rest) = rest.split_at_mut(10);
    let (floods, idle) = rest.split_at_mut(4);
    idle.iter_mut().try_for_each(|peer| peer.echo(b"hello"))?;
    let whole = frame(&vec![7; 1 << 20]);
    let held = |most: usize| &whole[..most >> (round / 2 % 3)];
    let replies: Vec<u8> = frame(&[7; 1000]).repeat(64);
    let waits = [&replies, &frame(server::SLEEP)[..]].concat();
    let stop = AtomicBool::new(false);
    let addr = scene.addr();
    thread::scope(|scope| -> Fallible {
        for peer in floods {
            scope.spawn(|| again(&stop, || peer.send(&whole).and_then(|()| peer.frame()).is_ok()));
        }
        for peer in readers {
            scope.spawn(|| again(&stop, || peer.send_until_stuck(&replies, STUCK) > 0));
        }
        // Those that are over budget are ended, and fail.
        if round.is_multiple_of(2) {
            waiting.iter_mut().for_each(|peer| _ = peer.send(&waits));
            small.iter_mut().for_each(|peer| _ = peer.send(held(60_000)));
        } else {
            // So little that it is held in memory of its own length, and the threads' buffers stay with them.
            let many = waiting.iter_mut().chain(small).chain(idle);
            many.for_each(|peer| _ = peer.send(&whole[..15_500]));
        }
        large.iter_mut().for_each(|peer| _ = peer.send(held(900_000)));
        given_up.iter_mut().for_each(|peer| _ = peer.send(&frame(server::GIVE_UP)));
        for _ in 0..100 {
            // Refused while all places are taken, and oversize where one is free.
            _ = Peer::connect(addr).and_then(|mut peer| peer.send(&[0xFF; 4]));
        }
        thread::sleep(scene.pace.span);
        stop.store(true, Relaxed);
        Ok(())
    })?;
    let books = scene.host.books()?;
    let (held, active, over) = (books.buffered >> 10, books.active, books.closes("over budget"));
    scene.noted.push(format!("{held} of {} KiB held, {active} connections, {over} over budget", BUDGET >> 10));
    scene.check(books.buffered <= BUDGET, || format!("{held} KiB are held"));
    scene.check(over > 0, || "the budget was not reached".into());
    drop(peers);
    scene.host.open_gate()?;
    scene.host.shut_gate()?;
    scene.await_books("their end", |books| books.active <= CLIENTS as u64).map(drop)
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
