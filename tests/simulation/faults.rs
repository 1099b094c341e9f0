//! What the first design of the server got wrong.

use bytes::Bytes;
use unstick::CloseKind;

use super::*;

/// One segment with a frame and a half, and the handler of the first one blocks its thread for 11 s: the peer did
/// nothing wrong.
#[test]
fn a_handler_that_blocks_makes_no_peer_late() {
    let world = World::new(ServerConfig::default(), |sim| {
        let sim = Rc::clone(sim);
        move |_| {
            let sim = Rc::clone(&sim);
            async move |frame: Frame<'_>, responder: &mut Responder| {
                if frame.payload() == b"block" {
                    sim.block(seconds(11));
                }
                responder.send(frame.payload()).await
            }
        }
    });
    let client = world.connect("a");
    world.run(async {
        client.write(b"\x05\0\0\0block\x05\0\0\0ha").await;
        assert_eq!(client.text().await, "block");
        world.sim.sleep(seconds(5)).await;
        client.write(b"lf!").await;
        assert_eq!(client.text().await, "half!");
    });
    assert!(world.sim.now() >= seconds(16));
    let (stats, _) = world.stop();
    assert_eq!(stats.traffic.frames_out, 2);
}

/// 2,500 clients with a frame of 5 bytes each, whose handlers wait 3 s: all are served, and take nothing of the budget.
#[test]
fn handlers_that_wait_are_not_ended_for_memory() {
    let (seen, most) = (Rc::new(RefCell::new(0)), 2500);
    let counted = Rc::clone(&seen);
    let world = World::new(ServerConfig::default().max_connections(Some(most)), move |_| {
        move |peer: Peer| {
            let counted = Rc::clone(&counted);
            async move |frame: Frame<'_>, responder: &mut Responder| {
                *counted.borrow_mut() += 1;
                peer.sleep(seconds(3)).await;
                responder.send(frame.payload()).await
            }
        }
    });
    let clients: Vec<Client> = (0..most).map(|_| world.connect("a")).collect();
    world.run(async {
        for client in &clients {
            client.send(b"hello").await;
        }
    });
    world.pass(seconds(2));
    assert_eq!(*seen.borrow(), most);
    world.run(async {
        for client in &clients {
            assert_eq!(client.text().await, "hello");
        }
    });
    let (stats, _) = world.stop();
    assert_eq!(stats.closes(CloseKind::Stopped), most as u64);
}

/// Peers that hold all memory they can get with unfinished frames, beside handlers that wait: those are not ended.
#[test]
fn hoarders_do_not_end_handlers_that_wait() {
    let config = ServerConfig::default().memory_budget(Some(8 << 20)).frame_timeout(Some(seconds(600))).min_rate(None);
    let world = World::new(config, |_| {
        |peer: Peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                peer.sleep(seconds(100)).await;
                responder.send(frame.payload()).await
            }
        }
    });
    let waiting: Vec<Client> = (0..100).map(|_| world.connect("waits")).collect();
    let hoarding: Vec<Client> = (0..1000).map(|_| world.connect("hoards")).collect();
    world.run(async {
        for client in &hoarding {
            client.write(&(1u32 << 20).to_le_bytes()).await;
            client.write(&[7; 17 * 1024]).await;
        }
        for client in &waiting {
            client.send(b"hello").await;
        }
    });
    world.pass(seconds(50));
    assert!(world.closes().iter().all(|close| close.starts_with("hoards")), "{:?}", world.closes());
    world.run(async {
        for client in &waiting {
            assert_eq!(client.text().await, "hello");
        }
    });
    world.stop();
}

/// A full server says nothing that no handler wrote.
#[test]
fn a_full_server_just_closes() {
    let world = World::echo(ServerConfig::default().max_connections(Some(1)));
    let [served, refused] = ["served", "refused"].map(|name| world.connect(name));
    world.run(async {
        served.send(b"hello").await;
        assert_eq!(served.text().await, "hello");
        assert_eq!(refused.recv().await, None);
    });
    assert_eq!(
        world.closes(),
        [
            "refused closed: refused: 1 connections are served already (0 frames and 0 bytes in, 0 frames and 0 bytes out)"
        ]
    );
    world.stop();
}

/// A client that has not read what was pushed may still ask: replies and pushes wait, and it is read from.
#[test]
fn what_a_peer_has_not_taken_does_not_stop_it_from_asking() {
    let (sender, outboxes) = std::sync::mpsc::channel();
    let world = World::new(ServerConfig::default(), |_| {
        move |peer: Peer| {
            sender.send(peer.outbox()).expect("the test");
            async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await
        }
    });
    let client = world.connect("a");
    world.pass(seconds(1));
    let outbox = outboxes.recv().expect("an outbox");
    outbox.try_send(Bytes::from(vec![7; WAY + 10_000])).expect("it waits alone");
    world.pass(seconds(1));
    world.run(client.write(&vec![0; WAY]));
    world.pass(seconds(1));
    world.run(async {
        // All of it was read: there is room for as much again.
        client.write(&vec![0; WAY]).await;
        assert_eq!(client.recv().await.expect("a frame").len(), WAY + 10_000);
    });
    world.stop();
}

/// After a finished frame of 1 MiB, one of 200 KiB comes in small pieces: it stays where it is, and is not copied to
/// other memory at every piece.
#[test]
fn a_long_frame_in_small_pieces_stays_where_it_is() {
    let world = World::new(ServerConfig::default(), |_| {
        |_| async |_: Frame<'_>, _: &mut Responder| Ok::<(), std::convert::Infallible>(())
    });
    let client = world.connect("a");
    let send = |bytes: &[u8]| {
        world.run(client.write(bytes));
        world.pass(Duration::from_millis(1));
    };
    let frame = |len: usize| [&(len as u32).to_le_bytes()[..], &vec![7; len]].concat();
    send(&frame(1 << 20));
    let long = frame(200_000);
    let (begin, rest) = long.split_at(100_000);
    send(begin);
    let allocated = allocation_counter::measure(|| rest.chunks(1000).for_each(send)).bytes_total;
    // Its memory grows now and then; a copy at each piece would be 15 MB in all.
    assert!(allocated < 4 << 20, "{allocated} bytes were allocated for 100 pieces of 1,000");
    let (stats, _) = world.stop();
    assert_eq!(stats.traffic.frames_in, 2);
}

/// A header that is refused ends its connection, also after frames so large that their memory is shared.
#[test]
fn a_bad_header_after_a_large_frame_is_refused() {
    let world = World::echo(ServerConfig::default());
    let client = world.connect("a");
    world.run(async {
        client.send(&[7; 100_000]).await;
        assert_eq!(client.recv().await.expect("a frame").len(), 100_000);
        client.write(b"\xFF\xFF\xFF\xFF").await;
        assert_eq!(client.recv().await, None);
        client.close().await;
    });
    let (_, closes) = world.stop();
    assert!(closes[0].starts_with("a closed: oversize: at byte 100004"), "{closes:?}");
}
