//! The memory of all connections together.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;

/// The most connections where every limit is loaded.
const MOST: usize = 1200;
/// Connections with a large frame. With 100 of them over TLS, glibc's malloc keeps so much between its blocks that the process has
/// up to 3 MiB more resident than the server holds by the formula; with `MALLOC_MMAP_THRESHOLD_=65536` it has 6 MiB less.
const LARGE: usize = 40;
/// What a peer waits for room to write, before it is stuck.
const STUCK: Duration = Duration::from_millis(50);

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "over-budget",
        about: "40 × 600 KB of a frame of 1 MB, where the budget is 8 MiB: ended only when others wait for memory; those within \
                their share are served",
        limits: |config, over| {
            budget(config, over, 8, 80);
            config.frame_timeout = seconds(60.0);
        },
        act: over_budget,
        ..Attack::PLAIN
    },
    Attack {
        name: "hoarders",
        about: "200 × 60 KB of a frame of 1 MB fill the budget while 120 handlers wait: no connection whose handler waits is ended",
        limits: |config, over| {
            budget(config, over, 8, 324);
            config.frame_timeout = seconds(60.0);
            config.max_connections = Some(1000);
        },
        act: hoarders,
        ..Attack::PLAIN
    },
    Attack {
        name: "many-small-holds",
        about: "600 × 15 KB of a frame, so that hardly any of 8 MiB is left: one that holds nothing is still served",
        limits: |config, over| {
            budget(config, over, 8, 625);
            config.frame_timeout = seconds(60.0);
        },
        act: |scene| {
            let part = frame(&[7; 60_000]);
            let mut peers = scene.crowd(600)?;
            peers.iter_mut().for_each(|peer| _ = peer.send(&part[..15_000]));
            // Three quarters of the budget are for reading, and over TLS sessions are among that.
            let of_sessions = scene.config.memory_budget.unwrap_or(0) as u64 - (8 << 20);
            let much = (5 << 20) + of_sessions / 2;
            let stats = scene.await_stats("what they sent", |stats| stats.buffered > much)?;
            scene.note(format!("{} KiB held of 8192", stats.buffered >> 10));
            scene.check_held(&stats);
            // The healthy clients, and others that come now.
            for _ in 0..20 {
                let mut peer = scene.connect()?;
                (0..40).try_for_each(|n| peer.echo(&[7; 4000][..n * 100]))?;
            }
            thread::sleep(scene.span);
            scene.check_formula(601);
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "everything",
        about: "every limit loaded at once by 1,196 connections (idle, flooding, not reading, unfinished frames, waiting \
                handlers), four times: memory stays within the documented worst case",
        limits: |config, over| {
            budget(config, over, 32, MOST);
            config.threads = 2;
            config.max_connections = Some(MOST);
            config.frame_timeout = seconds(60.0);
            config.write_timeout = seconds(60.0);
        },
        pushes: Some(Pushes { len: 16 << 10, burst: 2 }),
        act: |scene| {
            (0..4).try_for_each(|round| everything(scene, round))?;
            scene.check_formula(MOST - CLIENTS);
            Ok(())
        },
        ..Attack::PLAIN
    },
];

fn over_budget(scene: &mut Scene) -> Fallible {
    let (small, large) = (frame(&[7; 4000]), frame(&[7; 1_000_000]));
    let mut modest = scene.crowd_of(10, &small[..2000])?;
    // Each of the four holds more than the fair share of many; but none waits yet.
    let mut peers = scene.crowd_of(4, &large[..600_000])?;
    scene.await_stats("what they sent", |stats| stats.buffered > 4 * 590_000)?;
    thread::sleep(scene.span);
    let over = scene.stats()?.closes("over budget");
    scene.check(over == 0, || format!("{over} ended over budget where nobody waited"));
    peers.extend(scene.crowd(LARGE - 4)?);
    // One that is ended may fail here.
    peers[4..].iter_mut().for_each(|peer| _ = peer.send(&large[..600_000]));
    let stats = scene.await_closes("over budget", 1)?;
    scene.check_held(&stats);
    for peer in &mut modest {
        peer.send(&small[2000..])?;
        peer.expect(&small[4..])?;
    }
    // The remaining ones may finish, as there is room again when others are done.
    let finish = |mut peer: Peer| peer.send(&large[600_000..]).and_then(|()| peer.expect(&large[4..])).is_ok();
    let finished = peers.into_iter().map(finish).filter(|finished| *finished).count();
    scene.note(format!("10 modest ones and {finished} of {LARGE} large ones were served to the end"));
    scene.check(finished > 0, || "none of the large ones was served".into());
    let stats = scene.await_stats("the end of the large ones", |stats| {
        stats.closes("over budget") + stats.closes("clean") == LARGE as u64
    })?;
    let over = stats.closes("over budget") as usize;
    scene.check(over + finished == LARGE, || format!("{LARGE} connections: {over} over budget, {finished} served"));
    scene.check_formula(LARGE + 10);
    Ok(())
}

fn hoarders(scene: &mut Scene) -> Fallible {
    let [small, large] = [1500, 60_000].map(|len| [server::SLEEP, &vec![7; len]].concat());
    let mut waiting = [(scene.crowd_of(100, &frame(&small))?, small), (scene.crowd_of(20, &frame(&large))?, large)];
    scene.await_stats("the waiting", |stats| stats.buffered > 20 * 58_000)?;
    let unfinished = frame(&vec![7; 1_000_000]);
    let mut hoarders = scene.crowd(200)?;
    // One that is ended may fail here.
    hoarders.iter_mut().for_each(|peer| _ = peer.send(&unfinished[..60_000]));
    thread::sleep(scene.span);
    let stats = scene.stats()?;
    scene.note(format!("{} KiB held of 8192 when the handlers went on", stats.buffered >> 10));
    let over = stats.closes("over budget");
    scene.check(over > 0 && over == stats.closed(), || format!("others than hoarders were ended: {:?}", stats.closes));
    scene.open_gate()?;
    for (peers, payload) in &mut waiting {
        peers.iter_mut().try_for_each(|peer| peer.expect(payload))?;
    }
    scene.check_formula(320);
    Ok(())
}

/// Loads every limit at once. What is held is of other lengths in each round, so that memory given back does not just
/// fit.
fn everything(scene: &mut Scene, round: usize) -> Fallible {
    let mut peers = scene.crowd(MOST - CLIENTS)?;
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
    thread::scope(|scope| {
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
            _ = scene.connect().map(|mut peer| peer.send(&[0xFF; 4]));
        }
        thread::sleep(scene.span);
        stop.store(true, Relaxed);
    });
    let stats = scene.stats()?;
    let (held, active, over) = (stats.buffered >> 10, stats.active, stats.closes("over budget"));
    scene.note(format!("{held} KiB held, {active} connections, {over} over budget"));
    scene.check_held(&stats);
    scene.check(over > 0, || "the budget was not reached".into());
    drop(peers);
    scene.open_gate()?;
    scene.shut_gate()?;
    scene.await_stats("their end", |stats| stats.active <= CLIENTS as u64).map(drop)
}

/// Does something again and again, until it is told to stop or it fails.
fn again(stop: &AtomicBool, mut act: impl FnMut() -> bool) {
    while !stop.load(Relaxed) && act() {}
}
