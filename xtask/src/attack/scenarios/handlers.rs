//! Handlers that do what they must not.

use std::thread;

use super::super::healthy::CLIENTS;
use super::super::server;
use super::*;

pub(super) const PANICS: Scenario = Scenario {
    name: "handler-panics",
    about: "a handler that panics: only its connection ends, after the earlier replies",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| misbehave(scene, server::PANIC, "handler panic", "asked to panic"),
};

pub(super) const ERRS: Scenario = Scenario {
    name: "handler-errs",
    about: "a handler that fails: only its connection ends, after the earlier replies",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| misbehave(scene, server::FAIL, "handler error", "asked to fail"),
};

fn misbehave(scene: &mut Scene, how: &[u8], reason: &str, says: &str) -> Fallible {
    let count = scene.pace.of(200, 20);
    scene.sent = format!("{count} connections: a frame, one at which the handler ends as {reason}, another one");
    let wire = [frame(b"before"), frame(how), frame(b"after")].concat();
    let mut peers = scene.crowd(count)?;
    for peer in &mut peers {
        peer.send(&wire)?;
        peer.expect(b"before")?;
    }
    see_the_end(scene, &mut peers);
    drop(peers);
    let stats = scene.await_closes(reason, count)?;
    let said = stats.said(reason);
    scene.check(said.contains(says), || format!("it does not say why: {said}"));
    Ok(())
}

pub(super) const SLEEPS: Scenario = Scenario {
    name: "handler-sleeps",
    about: "handlers that wait: other connections of the thread are served, and the waiting ones get their replies",
    limits: "--threads 1",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(200, 20);
        scene.sent = format!("{count} connections whose handlers wait, on the only thread; {count} others meanwhile");
        let mut asleep = scene.crowd(count)?;
        asleep.iter_mut().try_for_each(|peer| peer.send(&frame(server::SLEEP)))?;
        let mut others = scene.crowd(count)?;
        others.iter_mut().try_for_each(|peer| peer.echo(b"awake"))?;
        scene.host.open_gate()?;
        asleep.iter_mut().try_for_each(|peer| peer.expect(server::SLEEP))?;
        Ok(())
    },
};

pub(super) const WAITING_CROWD: Scenario = Scenario {
    name: "waiting-crowd",
    about: "2,500 clients whose handlers wait, each with a frame of 1 or 2 KB: none is ended, all get a reply",
    limits: "--max-connections 3000 --memory-budget 4MiB --sessions 2504",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = 2500;
        scene.sent = format!("{count} connections whose handlers wait with a frame of 100 to 2,000 bytes");
        let payload = |n: usize| [server::SLEEP, &vec![7; 100 + n % 20 * 100]].concat();
        let mut peers = scene.crowd(count)?;
        peers.iter_mut().enumerate().try_for_each(|(n, peer)| peer.send(&frame(&payload(n))))?;
        thread::sleep(scene.pace.span);
        let stats = scene.host.stats()?;
        scene.check(stats.closed() == 0, || format!("ended while they waited: {:?}", stats.closes));
        scene.host.open_gate()?;
        peers.iter_mut().enumerate().try_for_each(|(n, peer)| peer.expect(&payload(n)))?;
        scene.check_formula(4 << 20, count + CLIENTS, 1);
        Ok(())
    },
};

pub(super) const BLOCKS: Scenario = Scenario {
    name: "handler-blocks",
    about: "a handler that blocks its thread: connections on the other thread are served, and a stop ends the server",
    limits: "--threads 2 --drain-timeout 0.3",
    beside: Beside::Nobody,
    attack: |scene| {
        scene.sent = "a handler that blocks one of two threads, for a while; then for ever, and a stop".into();
        // Connections go to the threads in turn.
        let mut peers = scene.crowd(4)?;
        peers.iter_mut().try_for_each(|peer| peer.echo(b"hello"))?;
        let [blocking, other, behind, another] = &mut peers[..] else { return Err("four connections".into()) };
        blocking.send(&frame(server::BLOCK))?;
        behind.send(&frame(b"behind it"))?;
        for _ in 0..100 {
            other.echo(b"on the other thread")?;
            another.echo(b"on the other thread")?;
        }
        scene.host.open_gate()?;
        blocking.expect(server::BLOCK)?;
        behind.expect(b"behind it")?;

        scene.host.shut_gate()?;
        blocking.send(&frame(server::BLOCK))?;
        other.echo(b"on the other thread")?;
        scene.look();
        let ended = scene.host.end()?;
        let stats = scene.ended_by(ended);
        scene.check((stats.active, stats.closes("stopped")) == (2, 2), || {
            format!("of four connections, two on a blocked thread, {} are active: {:?}", stats.active, stats.closes)
        });
        for peer in [other, another] {
            see_the_end(scene, std::slice::from_mut(peer));
        }
        Ok(())
    },
};
