//! Pushes to a connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::mpsc;

use bytes::Bytes;
use unstick::{CloseKind, Greeting, Outbox, PushError};

use super::*;

/// A world whose handlers give their outboxes away when they are made, and answer each frame with itself.
fn subscribers(config: ServerConfig) -> (World, mpsc::Receiver<Outbox>) {
    let (sender, outboxes) = mpsc::channel();
    let world = World::new(config, |_| {
        move |peer: Peer| {
            sender.send(peer.outbox()).expect("the test");
            async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await
        }
    });
    (world, outboxes)
}

#[test]
fn a_push_arrives_unasked() {
    let (world, outboxes) = subscribers(ServerConfig::default());
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    outbox.try_send(Bytes::from("one")).expect("room");
    outbox.try_send(Bytes::from(vec![7; 100_000])).expect("one frame longer than the limit would wait alone, too");
    world.run(async {
        assert_eq!(client.text().await, "one");
        assert_eq!(client.recv().await.expect("a frame"), [7; 100_000]);
        outbox.send(Bytes::from("two")).await.expect("room");
        client.send(b"asked").await;
        let (one, two) = (client.text().await, client.text().await);
        assert_eq!([one.as_str(), two.as_str()], ["two", "asked"]);
    });
    assert_eq!(outbox.queued(), 0);
    let (stats, _) = world.stop();
    assert_eq!((stats.traffic.frames_out, stats.closes(CloseKind::Stopped)), (4, 1));
    assert_eq!(outbox.try_send(Bytes::from("late")), Err(PushError::Closed));
}

/// A peer that only listens sends no frames.
#[test]
fn what_is_sent_unasked_is_in_the_account_while_the_connection_is_open() {
    for (greeting, frames_out, bytes_out) in
        [(Greeting::None, 0, 0), (Greeting::Frame(b"hello".to_vec()), 1, 9), (Greeting::Raw(b"hello".to_vec()), 0, 5)]
    {
        let (world, outboxes) = subscribers(ServerConfig::default().greeting(greeting));
        let _client = world.connect("a");
        world.pass(seconds(1));
        let sent = || {
            let traffic = world.account.stats().traffic;
            (traffic.frames_out, traffic.bytes_out)
        };
        assert_eq!(sent(), (frames_out, bytes_out));
        outboxes.recv().expect("an outbox").try_send(Bytes::from("news")).expect("room");
        world.pass(seconds(1));
        assert_eq!(sent(), (frames_out + 1, bytes_out + 8));
        world.stop();
    }
}

/// If the memory budget has no room, even an empty outbox waits for it.
#[test]
fn a_push_that_waits_for_the_budget_is_sent_when_memory_is_free() {
    let format = Format::U32_LE.with_max_payload_len(100_000).expect("a format");
    let config = ServerConfig::default().format(format).memory_budget(Some(402_000));
    let config = config.outbox_limit(500_000).write_timeout(None).first_frame_timeout(None);
    let (world, outboxes) = subscribers(config);
    let clients = ["a", "b"].map(|name| world.connect(name));
    world.pass(seconds(1));
    let [one, other] = [(), ()].map(|()| outboxes.recv().expect("an outbox"));
    // The way takes the first part of it, and the rest waits.
    let large = [(), (), (), ()].map(|()| Bytes::from(vec![7; 100_000]));
    for large in &large {
        one.try_send(large).expect("room");
    }
    world.pass(seconds(1));
    assert!(matches!(other.try_send(Bytes::from(vec![1; 5000])), Err(PushError::Full { queued: 0, .. })));
    let waits = world.sim.spawn(async move { other.send(Bytes::from(vec![1; 5000])).await });
    world.pass(seconds(1));
    assert!(!waits.is_finished());
    world.run(async {
        for _ in &large {
            assert_eq!(clients[0].recv().await.expect("a frame").len(), 100_000);
        }
    });
    world.pass(seconds(1));
    assert!(waits.is_finished());
    world.run(async {
        waits.await.expect("there was room");
        assert_eq!(clients[1].recv().await.expect("a frame"), [1; 5000]);
    });
    world.stop();
}

/// Frames of two outboxes and of a handler: each keeps its order, and all are whole.
#[test]
fn frames_keep_the_order_of_sending() {
    let world = World::new(ServerConfig::default(), |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                let outbox = peer.outbox();
                for number in 0..frame.payload()[0] {
                    outbox.try_send(Bytes::from(vec![number, 0])).expect("room");
                    responder.send(&[number, 1]).await?;
                    outbox.try_send(Bytes::from([number, 2].repeat(5000))).expect("room");
                }
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.send(&[20]).await;
        for number in 0..20 {
            for which in 0..3 {
                let frame = client.recv().await.expect("a frame");
                assert_eq!((frame[0], frame[1]), (number, which));
            }
        }
    });
    world.stop();
}

#[test]
fn a_full_outbox_says_so_with_its_numbers_and_a_sender_waits_for_room() {
    let (world, outboxes) =
        subscribers(ServerConfig::default().outbox_limit(1000).write_timeout(None).first_frame_timeout(None));
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    // The way to the client is full first, with what is written at once.
    let mut sent = 0;
    let full = loop {
        match outbox.try_send(Bytes::from(vec![7; 500])) {
            Ok(()) => sent += 1,
            Err(full) => break full,
        }
        world.pass(seconds(1));
    };
    let PushError::Full { queued, limit: 1000, .. } = full else { panic!("{full}") };
    assert!((500..=1000).contains(&queued), "{queued}");
    assert_eq!(outbox.queued(), queued);
    let (waiting, given_up) = (outbox.clone(), outbox.clone());
    let waits = world.sim.spawn(async move { waiting.send(Bytes::from(vec![1; 500])).await });
    let gives_up = world.sim.spawn(async move { given_up.send(Bytes::from(vec![2; 500])).await });
    world.pass(seconds(1));
    assert!(!waits.is_finished() && !gives_up.is_finished());
    drop(gives_up);
    world.run(async {
        for _ in 0..sent {
            assert_eq!(client.recv().await.expect("a frame"), [7; 500]);
        }
        assert_eq!(client.recv().await.expect("a frame"), [1; 500]);
        waits.await.expect("there was room");
    });
    world.stop();
}

/// Those that wait to push go on in order, and one that gives up wakes the next.
#[test]
fn a_dropped_push_lets_the_next_one_continue() {
    let (world, outboxes) =
        subscribers(ServerConfig::default().outbox_limit(100).write_timeout(None).first_frame_timeout(None));
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    while outbox.try_send(Bytes::from(vec![7; 90])).is_ok() {
        world.pass(seconds(1));
    }
    let waiting: Vec<_> = (0..5u8)
        .map(|number| {
            let outbox = outbox.clone();
            world.sim.spawn(async move { outbox.send(Bytes::from(vec![number; 90])).await })
        })
        .collect();
    world.pass(seconds(1));
    let mut waiting = waiting.into_iter();
    drop(waiting.next());
    drop(waiting.next_back());
    world.run(async {
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let frame = client.recv().await.expect("a frame");
            if frame[0] != 7 {
                seen.push(frame[0]);
            }
        }
        assert_eq!(seen, [1, 2, 3]);
    });
    world.stop();
}

#[test]
fn a_handler_may_wait_for_its_own_full_outbox() {
    let world = World::new(ServerConfig::default().outbox_limit(100), |_| {
        |peer: Peer| {
            async move |_: Frame<'_>, responder: &mut Responder| {
                for number in 0..100 {
                    peer.outbox().send(Bytes::from(vec![number; 90])).await?;
                }
                responder.send(b"done").await?;
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.send(b"go").await;
        for number in 0..100 {
            assert_eq!(client.recv().await.expect("a frame"), [number; 90]);
        }
        assert_eq!(client.text().await, "done");
    });
    world.stop();
}

#[test]
fn close_ends_a_connection_after_what_was_pushed() {
    let (world, outboxes) = subscribers(ServerConfig::default());
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    outbox.try_send(Bytes::from("last")).expect("room");
    outbox.close();
    assert_eq!((outbox.try_send(Bytes::from("later")), outbox.is_closed()), (Err(PushError::Closed), true));
    world.run(async {
        assert_eq!(client.text().await, "last");
        assert_eq!(client.recv().await, None);
        client.close().await;
    });
    world.pass(seconds(2));
    assert_eq!(world.closes(), ["a closed: ended (0 frames and 0 bytes in, 1 frames and 8 bytes out)"]);
    world.stop();
}

#[test]
fn a_peer_that_takes_too_little_is_broken_off() {
    let (world, outboxes) = subscribers(ServerConfig::default().outbox_limit(1000));
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    while outbox.try_send(Bytes::from(vec![7; 900])).is_ok() {
        world.pass(Duration::from_millis(1));
    }
    outbox.break_off();
    world.pass(seconds(1));
    let closes = world.closes();
    assert!(closes.len() == 1 && closes[0].contains("overflow: ") && closes[0].contains(" limit 1000"), "{closes:?}");
    assert_eq!(client.unread(), 0, "it is broken off");
    world.stop();
}

/// What comes after the frame whose handler ends the connection is not looked at, be it good or bad.
#[test]
fn a_handler_that_ends_its_connection_decides_its_reason() {
    for (kind, rest) in [CloseKind::Ended, CloseKind::Overflow]
        .into_iter()
        .flat_map(|kind| [&b""[..], b"\x01\0\0\0b", b"\xFF\xFF\xFF\xFF"].map(|rest| (kind, rest)))
    {
        let world = World::new(ServerConfig::default(), |_| {
            move |peer: Peer| {
                async move |_: Frame<'_>, _: &mut Responder| {
                    let outbox = peer.outbox();
                    if kind == CloseKind::Ended {
                        outbox.close();
                    } else {
                        outbox.break_off();
                    }
                    Ok::<(), Box<dyn Error + Send + Sync>>(())
                }
            }
        });
        let client = world.connect("a");
        world.run(client.write(&[b"\x01\0\0\0a", rest].concat()));
        world.pass(seconds(1));
        let (stats, closes) = world.stop();
        assert_eq!((stats.closes(kind), stats.traffic.frames_in), (1, 1), "{closes:?}");
    }
}

/// One read brings more than an outbox may hold. The handler yields, though it awaits nothing, and the receiver takes
/// all.
#[test]
fn a_burst_does_not_fill_the_outbox_of_a_peer_that_reads() {
    let (world, full) = (Rc::new(RefCell::new(None::<Outbox>)), Rc::new(Cell::new(0)));
    let (receiver, refused) = (Rc::clone(&world), Rc::clone(&full));
    let world = World::new(ServerConfig::default().outbox_limit(20_000), |_| {
        move |peer: Peer| {
            let (receiver, refused) = (Rc::clone(&receiver), Rc::clone(&refused));
            let first = receiver.borrow_mut().get_or_insert_with(|| peer.outbox()).clone();
            async move |frame: Frame<'_>, _: &mut Responder| {
                if let Err(PushError::Full { .. }) = first.try_send(Bytes::copy_from_slice(frame.payload())) {
                    refused.set(refused.get() + 1);
                }
                Ok::<(), Infallible>(())
            }
        }
    });
    let [reads, sends] = ["reads", "sends"].map(|name| world.connect(name));
    world.pass(seconds(1));
    let burst = [[232, 3, 0, 0].as_slice(), &[7; 1000]].concat().repeat(60);
    world.run(async {
        sends.write(&burst).await;
        for _ in 0..60 {
            assert_eq!(reads.recv().await.expect("a frame"), [7; 1000]);
        }
    });
    assert_eq!(full.get(), 0);
    world.stop();
}

/// A stop closes outboxes, then drains: what was pushed before arrives.
#[test]
fn a_stop_takes_no_more_pushes_and_writes_what_waits() {
    let (world, outboxes) = subscribers(ServerConfig::default());
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    outbox.try_send(Bytes::from("before")).expect("room");
    let World { stop, serving, sim, .. } = world;
    drop(stop);
    let reading = sim.spawn(async move {
        assert_eq!(client.text().await, "before");
        assert_eq!(client.recv().await, None);
        client.close().await;
    });
    let stats = sim.run(serving);
    sim.run(reading);
    assert_eq!(stats.closes(CloseKind::Stopped), 1);
    assert_eq!(outbox.try_send(Bytes::from("after")), Err(PushError::Closed));
}

/// What a thousand outboxes have in common is in memory once.
#[test]
fn a_payload_that_is_pushed_to_many_counts_once() {
    let (world, outboxes) = subscribers(ServerConfig::default().write_timeout(None));
    let clients: Vec<Client> = (0..100).map(|_| world.connect("a")).collect();
    world.pass(seconds(1));
    let outboxes: Vec<Outbox> = outboxes.try_iter().collect();
    let payload = Bytes::from(vec![7; 200_000]);
    for outbox in &outboxes {
        outbox.try_send(&payload).expect("room");
    }
    world.pass(seconds(1));
    for (client, outbox) in clients.iter().zip(&outboxes) {
        assert!(client.unread() > 0 && outbox.queued() >= 200_000, "the way holds less");
    }
    world.run(async {
        for client in &clients {
            assert_eq!(client.recv().await.expect("a frame").len(), 200_000);
        }
    });
    let (stats, _) = world.stop();
    assert_eq!(stats.traffic.frames_out, 100);
}

#[test]
fn a_peer_that_takes_what_is_pushed_is_not_idle() {
    let (world, outboxes) = subscribers(ServerConfig::default().idle_timeout(Some(seconds(10))));
    let clients = ["taken", "idle"].map(|name| world.connect(name));
    world.pass(seconds(1));
    world.run(async {
        for client in &clients {
            client.send(b"here").await;
            client.text().await;
        }
    });
    let outbox = outboxes.recv().expect("an outbox");
    for _ in 0..20 {
        world.pass(seconds(2));
        outbox.try_send(Bytes::from("news")).expect("room");
        assert_eq!(world.run(clients[0].text()), "news");
    }
    let closes = world.closes();
    assert!(closes.len() == 1 && closes[0].starts_with("idle closed: idle"), "{closes:?}");
    world.stop();
}
