//! Handlers that wait.

use bytes::Bytes;
use unstick::CloseKind;

use super::*;

/// A world whose handlers wait for as many seconds as the first byte says, and then answer.
fn waiters(config: ServerConfig) -> World {
    World::new(config, |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                peer.sleep(seconds(frame.payload()[0].into())).await;
                responder.send(frame.payload()).await
            }
        }
    })
}

#[test]
fn a_handler_waits_for_as_long_as_it_likes() {
    let config = ServerConfig::default().idle_timeout(Some(seconds(5))).first_frame_timeout(Some(seconds(7)));
    let world = waiters(config);
    let client = world.connect("a");
    world.run(async {
        client.send(&[200]).await;
        assert_eq!(client.recv().await.expect("a frame"), [200]);
    });
    assert!(world.sim.now() >= seconds(200));
    assert!(world.closes().is_empty());
    world.stop();
}

#[test]
fn a_flush_sends_now_and_pushes_go_while_a_handler_waits() {
    let world = World::new(ServerConfig::default(), |_| {
        |peer: Peer| {
            async move |_: Frame<'_>, responder: &mut Responder| {
                responder.send(b"begun").await?;
                responder.flush().await;
                let outbox = peer.outbox();
                for _ in 0..3 {
                    peer.sleep(seconds(10)).await;
                    outbox.try_send(Bytes::from("progress"))?;
                }
                peer.sleep(seconds(10)).await;
                responder.send(b"done").await?;
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.send(b"go").await;
        for (text, at) in [("begun", 0), ("progress", 10), ("progress", 20), ("progress", 30), ("done", 40)] {
            assert_eq!(client.text().await, text);
            assert_eq!(world.sim.now().as_secs(), at, "{text}");
        }
    });
    world.stop();
}

#[test]
fn a_reset_drops_a_handler_that_waits_and_a_fin_does_not() {
    let world = waiters(ServerConfig::default());
    let [resets, ends] = ["resets", "ends"].map(|name| world.connect(name));
    world.run(async {
        resets.send(&[100]).await;
        ends.send(&[100]).await;
        ends.close().await;
    });
    world.pass(seconds(1));
    resets.reset();
    world.pass(seconds(1));
    let closes = world.closes();
    assert!(closes.len() == 1 && closes[0].starts_with("resets closed: reset"), "{closes:?}");
    assert_eq!(world.run(ends.recv()), Some(vec![100]), "who has ended its stream has its answer");
    assert_eq!(world.run(ends.recv()), None);
    world.pass(seconds(1));
    assert!(world.closes()[1].starts_with("ends closed: clean"), "{:?}", world.closes());
    world.stop();
}

/// The frames after the current one wait.
#[test]
fn one_frame_of_a_connection_is_handled_at_a_time() {
    let world = waiters(ServerConfig::default());
    let client = world.connect("a");
    world.run(async {
        for number in [3, 1, 2] {
            client.send(&[number]).await;
        }
        for (number, at) in [(3, 3), (1, 4), (2, 6)] {
            assert_eq!(client.recv().await, Some(vec![number]));
            assert_eq!(world.sim.now().as_secs(), at);
        }
    });
    world.stop();
}

#[test]
fn a_close_finishes_the_frame_that_a_handler_is_at() {
    let world = World::new(ServerConfig::default(), |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                peer.outbox().close();
                peer.sleep(seconds(5)).await;
                responder.send(frame.payload()).await
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.send(b"one").await;
        client.send(b"two").await;
        assert_eq!(client.text().await, "one");
        assert_eq!(client.recv().await, None);
    });
    client.reset();
    world.pass(seconds(2));
    assert!(world.closes()[0].contains("ended"), "{:?}", world.closes());
    world.stop();
}

#[test]
fn a_stop_waits_for_handlers_until_the_drain_timeout() {
    for (wait, kind, answered) in [(5, CloseKind::Stopped, true), (50, CloseKind::Stopped, false)] {
        let world = waiters(ServerConfig::default().drain_timeout(seconds(10)));
        let client = world.connect("a");
        world.run(client.send(&[wait]));
        world.pass(seconds(1));
        let reading = world.sim.spawn({
            let client = client.clone();
            async move { client.recv().await }
        });
        let sim = Rc::clone(&world.sim);
        let (stats, _) = world.stop();
        assert_eq!((stats.closes(kind), sim.run(reading).is_some()), (1, answered), "{wait}");
    }
}

/// A peer whose deadline passes while its handler works is not late, before or after a stop, and gets its reply.
#[test]
fn a_stop_ends_no_connection_whose_handler_works() {
    for passes_before in [true, false] {
        let (open, gate) = channel::unbounded::<()>();
        let (arrived, has_arrived) = channel::unbounded();
        let world = World::new(ServerConfig::default().first_frame_timeout(Some(seconds(1))), |sim| {
            let sim = Rc::clone(sim);
            move |_| {
                let (sim, arrived, gate) = (Rc::clone(&sim), arrived.clone(), gate.clone());
                async move |frame: Frame<'_>, responder: &mut Responder| {
                    arrived.try_send(()).expect("a test");
                    if frame.payload() == b"block" {
                        sim.block(seconds(2));
                    }
                    _ = gate.recv().await;
                    responder.send(frame.payload()).await
                }
            }
        });
        // The thread is blocked before it first looks at the second one's frame.
        let clients = ["block", "at once"].map(|text| (text, world.connect(text)));
        world.run(async {
            for (text, client) in &clients {
                client.send(text.as_bytes()).await;
            }
            for _ in 0..2 {
                has_arrived.recv().await.expect("a handler");
            }
        });
        let World { sim, stop, serving, .. } = world;
        let pass = || sim.run(sim.sleep(seconds(2)));
        if passes_before {
            pass();
        }
        drop(stop);
        if !passes_before {
            pass();
        }
        for (text, client) in clients {
            open.try_send(()).expect("it is open");
            sim.run(async {
                assert_eq!(client.text().await, text);
                assert!(client.recv().await.is_none());
            });
        }
        let stats = sim.run(serving);
        assert_eq!((stats.closes(CloseKind::Stopped), stats.traffic.frames_out), (2, 2), "{stats}");
    }
}

/// Replies count while they are queued, not for as long as the queue is not empty; and a handler that alone waits for memory
/// waits for its own queue only. The payloads are copied, or not.
#[test]
fn a_handler_streams_more_than_the_memory_budget_to_a_peer_that_reads() {
    for (payload_len, memory_budget) in [(50_000, 200_000), (4000, 16 * 1024)] {
        let format = Format::U32_LE.with_max_payload_len(payload_len).expect("a format");
        let config = ServerConfig::default().format(format).memory_budget(Some(memory_budget));
        let world = World::new(config, |_| {
            move |_| {
                async move |_: Frame<'_>, responder: &mut Responder| {
                    let payload = Bytes::from(vec![7; payload_len]);
                    for _ in 0..200 {
                        responder.send_bytes(payload.clone()).await?;
                    }
                    Ok::<(), Box<dyn Error + Send + Sync>>(())
                }
            }
        });
        let client = world.connect("a");
        world.run(async {
            client.send(b"go").await;
            for _ in 0..200 {
                assert_eq!(client.recv().await.expect("a frame").len(), payload_len);
            }
        });
        assert!(world.closes().is_empty(), "{:?}", world.closes());
        world.stop();
    }
}

/// What the peer has read of long replies is not held any more, though the queue was never empty.
#[test]
fn replies_that_were_read_hold_no_memory() {
    let format = Format::U32_LE.with_max_payload_len(50_000).expect("a format");
    let world = World::new(ServerConfig::default().format(format), |_| {
        |_| {
            async |_: Frame<'_>, responder: &mut Responder| {
                let payload = Bytes::from(vec![7; 50_000]);
                for _ in 0..200 {
                    responder.send_bytes(payload.clone()).await?;
                }
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.send(b"go").await;
        for _ in 0..200 {
            assert_eq!(client.recv().await.expect("a frame").len(), 50_000);
            // As much as may be queued, and the reply that goes over it.
            let buffered = world.account.stats().buffered;
            assert!(buffered <= 64 * 1024 + 2 * 50_000, "{buffered} bytes are held");
        }
    });
    world.stop();
}

/// A connection waited for memory, was woken and has read its frame; its handler waits until the peer has read the replies.
/// Meanwhile it kept a processor busy: that it had been woken was never forgotten.
#[test]
fn a_handler_that_flushes_after_its_connection_waited_for_memory_sleeps() {
    let format = Format::U32_LE.with_max_payload_len(200_000).expect("a format");
    let config = ServerConfig::default().format(format).memory_budget(Some(800_000));
    let world = World::new(config, |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                match frame.payload()[0] {
                    b'w' => peer.sleep(seconds(1)).await,
                    _ => {
                        responder.send(frame.payload()).await?;
                        responder.send(frame.payload()).await?;
                        responder.flush().await;
                    }
                }
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            }
        }
    });
    let working = [190_000, 190_000, 130_000, 4000].map(|len| (world.connect("works"), len));
    let flushes = world.connect("flushes");
    for (works, len) in &working {
        world.run(works.send(&vec![b'w'; *len]));
    }
    let sends = flushes.clone();
    let sent = world.sim.spawn(async move { sends.send(&[b'f'; 60_000]).await });
    world.pass(seconds(5));
    world.run(async {
        sent.await;
        for _ in 0..2 {
            assert_eq!(flushes.recv().await.expect("a frame").len(), 60_000);
        }
    });
    assert!(world.closes().is_empty(), "{:?}", world.closes());
    world.stop();
}
