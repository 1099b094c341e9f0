//! Handlers that do what they must not, and receivers of pushes that take too little.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "handler-panics",
        about: "200 × a handler that panics: only its connection ends, after the earlier replies",
        act: |scene| misbehaves(scene, server::PANIC, ("handler panic", "asked to panic")),
        ..Attack::PLAIN
    },
    Attack {
        name: "handler-errs",
        about: "200 × a handler that fails: only its connection ends, after the earlier replies",
        act: |scene| misbehaves(scene, server::FAIL, ("handler error", "asked to fail")),
        ..Attack::PLAIN
    },
    Attack {
        name: "handler-sleeps",
        about: "200 handlers that wait: 200 other connections of the thread are served, and the waiting ones get their replies",
        act: |scene| {
            let mut asleep = scene.crowd_of(200, &frame(server::SLEEP))?;
            let mut others = scene.crowd(200)?;
            others.iter_mut().try_for_each(|peer| peer.echo(b"awake"))?;
            scene.open_gate()?;
            Ok(asleep.iter_mut().try_for_each(|peer| peer.expect(server::SLEEP))?)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "waiting-crowd",
        about: "2,500 clients whose handlers wait, each with a frame of 100 to 2,000 bytes: none is ended, all get a reply",
        limits: |config, over| {
            config.max_connections = Some(3000);
            budget(config, over, 4, 2504);
        },
        act: |scene| {
            let payload = |n: usize| [server::SLEEP, &vec![7; 100 + n % 20 * 100]].concat();
            let mut peers = scene.crowd(2500)?;
            peers.iter_mut().enumerate().try_for_each(|(n, peer)| peer.send(&frame(&payload(n))))?;
            thread::sleep(scene.span);
            let stats = scene.stats()?;
            scene.check(stats.closed() == 0, || format!("ended while they waited: {:?}", stats.closes));
            scene.open_gate()?;
            peers.iter_mut().enumerate().try_for_each(|(n, peer)| peer.expect(&payload(n)))?;
            scene.check_formula(peers.len());
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "handler-blocks",
        about: "a handler that blocks its thread: connections on the other thread are served, and a stop ends the server",
        limits: |config, _| {
            config.threads = 2;
            config.drain_timeout = Duration::from_millis(300);
        },
        beside: Beside::Nobody,
        act: blocks,
        ..Attack::PLAIN
    },
    Attack {
        name: "push-small",
        about: "slow and dead receivers of pushes of 64 bytes: the dead ones end as overflow, the slow ones get every frame",
        limits: pushing,
        pushes: Some(Pushes { len: 64, burst: 100 }),
        beside: Beside::Receivers,
        act: slow_and_dead,
        ..Attack::PLAIN
    },
    Attack {
        name: "push-large",
        about: "the same with pushes of 16 KiB, each of which is in memory once",
        limits: pushing,
        pushes: Some(Pushes { len: 16 << 10, burst: 2 }),
        beside: Beside::Receivers,
        act: slow_and_dead,
        ..Attack::PLAIN
    },
];

fn misbehaves(scene: &mut Scene, how: &[u8], said: (&str, &str)) -> Fallible {
    let wire = [frame(b"before"), frame(how), frame(b"after")].concat();
    scene.refuses(200, &wire, false, &[b"before"], said)
}

fn blocks(scene: &mut Scene) -> Fallible {
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
    scene.open_gate()?;
    blocking.expect(server::BLOCK)?;
    behind.expect(b"behind it")?;

    scene.shut_gate()?;
    blocking.send(&frame(server::BLOCK))?;
    other.echo(b"on the other thread")?;
    scene.look();
    let stats = scene.end()?;
    scene.check((stats.active, stats.closes("stopped")) == (2, 2), || {
        format!("of four connections, two on a blocked thread, {} are active: {:?}", stats.active, stats.closes)
    });
    for peer in [other, another] {
        scene.see_the_end(std::slice::from_mut(peer));
    }
    Ok(())
}

/// The write timeout is never reached: the publisher breaks off connections with a full outbox.
fn pushing(config: &mut ServerConfig, over: Over) {
    budget(config, over, 8, 0);
    config.write_timeout = seconds(600.0);
}

/// Two receivers read nothing, three only every 50 ms.
fn slow_and_dead(scene: &mut Scene) -> Fallible {
    let len = scene.pushes.ok_or("the server pushes")?.len;
    let (mut dead, mut slow) = (scene.crowd(2)?, scene.crowd(3)?);
    dead.iter_mut().chain(&mut slow).try_for_each(|peer| peer.echo(server::SUBSCRIBE))?;
    let over = AtomicBool::new(false);
    let received = thread::scope(|scope| -> Result<u64, Box<dyn Error>> {
        let reading = scope.spawn(|| {
            let read = of_each(&mut slow, |peer| read_slowly(peer, len, &over).map_err(|error| error.to_string()));
            read.map_err(|error| error.to_string())?.into_iter().sum::<Result<u64, String>>()
        });
        let overflowed = scene.await_closes("overflow", 2);
        over.store(true, Relaxed);
        let received = reading.join().map_err(|_| "a slow receiver panicked")??;
        scene.check_said(&overflowed?, "overflow", "limit 262144");
        Ok(received)
    })?;
    scene.note(format!("the slow ones received {received} pushes meanwhile, all of them in order"));
    let stats = scene.stats()?;
    scene.check(stats.closed() == 2, || format!("others ended, too: {:?}", stats.closes));
    scene.check_formula(5);
    Ok(())
}

/// Reads what came, now and then; how many pushes that were.
fn read_slowly(peer: &mut Peer, len: usize, over: &AtomicBool) -> std::io::Result<u64> {
    let (mut next, mut received) = (None, 0);
    while !over.load(Relaxed) {
        thread::sleep(Duration::from_millis(50));
        // One is waited for, and then those that are there already are taken along.
        loop {
            let (number, age) = server::verify_push(&peer.frame()?, len, next)?;
            (next, received) = (Some(number + 1), received + 1);
            if age < Duration::from_millis(10) {
                break;
            }
        }
    }
    Ok(received)
}
