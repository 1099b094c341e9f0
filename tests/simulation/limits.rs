//! Every limit and every end, with hundreds of clients, twice.

use unstick::{CloseKind, Greeting};

use super::*;

/// Hundreds of clients, of each kind as many: what they see, what is told of them, and when, is the same each time.
#[test]
fn every_end_comes_in_its_time_and_twice_the_same() {
    let (one, two) = (crowd(), crowd());
    assert_eq!(one, two);
    let (stats, ..) = one;
    use CloseKind::{Clean, Ended, Handler, Idle, Malformed, Oversize, Panic, Refused, Reset};
    use CloseKind::{Silent, SlowFrame, SlowReader, Stopped, Truncated};
    for kind in [Clean, Ended, Handler, Idle, Oversize, Panic, Reset, Silent, SlowFrame, SlowReader, Truncated] {
        assert_eq!(stats.closes(kind), EACH as u64, "{kind}");
    }
    assert_eq!(stats.closes(Malformed), 0, "no bytes are none of this format");
    assert_eq!((stats.closes(Refused), stats.closes(Stopped)), (EACH as u64, EACH as u64));
}

const EACH: usize = 30;

/// What a client does, with as many of each.
const KINDS: [&str; 12] =
    ["clean", "fail", "panic", "end", "much", "reset", "truncated", "oversize", "silent", "idle", "slow", "stop"];

/// What a server with a client of each kind, and each `EACH` times, did, told of, and how long it took.
fn crowd() -> (Stats, Vec<String>, Duration) {
    std::panic::set_hook(Box::new(|_| ()));
    let world = crowded();
    let all = |whats: &[&'static str]| {
        let all = (0..EACH).flat_map(|number| whats.iter().map(move |what| (*what, format!("{what} {number}"))));
        all.map(|(what, name)| (what, world.connect(&name))).collect::<Vec<_>>()
    };
    // Those come last that there is no room for.
    let clients = [all(&KINDS), all(&["refused"])].concat();
    world.run(async {
        for (what, client) in &clients {
            begin(what, client).await;
        }
    });
    // Those that are to be there at the stop send something now and then; the slow ones too little.
    for _ in 0..15 {
        world.pass(seconds(10));
        world.run(async {
            for (_, client) in clients.iter().filter(|(what, _)| *what == "stop") {
                client.send(b"here").await;
                assert_eq!(client.text().await, "here");
            }
        });
    }
    let sim = Rc::clone(&world.sim);
    let (stats, closes) = world.stop();
    let _ = std::panic::take_hook();
    (stats, closes, sim.now())
}

/// A server with room for all but those that are to be refused, whose handler does as it is told.
fn crowded() -> World {
    let config = ServerConfig::default()
        .max_connections(Some(KINDS.len() * EACH))
        .idle_timeout(Some(seconds(100)))
        .greeting(Greeting::Frame(b"hello".to_vec()))
        .refusal(Greeting::Frame(b"full".to_vec()));
    World::new(config, |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| match frame.payload() {
                b"fail" => Err("asked to fail".into()),
                b"panic" => panic!("asked to panic"),
                b"end" => {
                    peer.outbox().close();
                    Ok::<(), Box<dyn Error + Send + Sync>>(())
                }
                b"much" => {
                    for _ in 0..1000 {
                        responder.send(&[7; 1000]).await?;
                    }
                    Ok(())
                }
                payload => Ok(responder.send(payload).await?),
            }
        }
    })
}

/// What a client of this kind does first.
async fn begin(what: &str, client: &Client) {
    let greeting = client.recv().await;
    match what {
        // Of many that are refused at a time, some are not told.
        "refused" => assert!(greeting.is_none_or(|text| text == b"full")),
        _ => assert_eq!(greeting.as_deref(), Some(&b"hello"[..])),
    }
    match what {
        "clean" => {
            client.send(b"bye").await;
            client.close().await;
            assert_eq!(client.text().await, "bye");
        }
        "fail" | "panic" | "end" | "much" => client.send(what.as_bytes()).await,
        "reset" => client.reset(),
        "truncated" => {
            client.write(b"\x05\0\0\0he").await;
            client.close().await;
        }
        "oversize" => client.write(&[255; 4]).await,
        "idle" => client.send(b"once").await,
        "slow" => client.write(b"\x05\0\0\0he").await,
        _ => {}
    }
}

/// Many connections hold a little for an unfinished frame, none more than its fair share, and no memory is left for a
/// long read. A connection that needs little is still served at once.
#[test]
fn many_that_hold_little_delay_no_connection_that_needs_little() {
    let config = ServerConfig::default().memory_budget(Some(4 << 20)).frame_timeout(Some(seconds(600))).min_rate(None);
    let world = World::echo(config);
    let hoarding: Vec<Client> = (0..400).map(|_| world.connect("hoards")).collect();
    world.run(async {
        for client in &hoarding {
            client.write(&60_000u32.to_le_bytes()).await;
            client.write(&[7; 9000]).await;
        }
    });
    world.pass(seconds(1));
    let client = world.connect("asks");
    world.run(async {
        client.send(&[7; 4000]).await;
        assert_eq!(client.recv().await.expect("a frame").len(), 4000);
    });
    let waited = world.sim.now();
    assert!(waited < seconds(2), "{waited:?}");
    assert_eq!(world.closes(), [""; 0]);
    world.stop();
}

/// A connection ends for a bad header, and its peer does not read the replies before it. What the peer has got of them must not
/// look like all: its connection is reset.
#[test]
fn a_peer_that_does_not_get_all_replies_before_the_end_is_reset() {
    let world = World::echo(ServerConfig::default().write_timeout(Some(seconds(2))));
    let client = world.connect("a");
    let sends = client.clone();
    world.run(async move {
        for _ in 0..25 {
            sends.send(&[7; 4000]).await;
        }
        sends.write(&[255; 4]).await;
    });
    world.pass(seconds(5));
    let closes = world.closes();
    assert!(closes[0].starts_with("a closed: oversize: "), "{closes:?}");
    let read = world.run(client.read_to_end());
    assert_eq!(read.expect_err("a reset").kind(), std::io::ErrorKind::ConnectionReset);
    world.stop();
}
