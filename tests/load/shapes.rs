//! What may be asked of the engine: payloads, formats, greetings, replies, Unix sockets, connections.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use unstick::framing::{Format, Frame, Layout};
use unstick::load::{self, Greeting, Outcome, Pacing, Plan, PlanError, Reply, RunError, Sizes, Target, Verdict, Wish};
use unstick::{Responder, Server, ServerConfig};

use super::liar::{frame, read_frame, serve};
use super::{plan, run, said};

const OPEN: Pacing = Pacing::Open { rate: 5000.0, poisson: false };

/// However busy this machine is, nobody is broken off for being late.
fn echo_server(config: ServerConfig) -> SocketAddr {
    let config = config.first_frame_timeout(None).frame_timeout(None).write_timeout(None);
    serve_echo(Server::bind("127.0.0.1:0", config).unwrap())
}

pub(crate) fn serve_echo(server: Server) -> SocketAddr {
    let addr = server.local_addr().unwrap();
    let echo = |_| {
        async |frame: Frame<'_>, responder: &mut Responder| responder.send_with(frame.envelope(), frame.payload()).await
    };
    thread::spawn(move || smol::block_on(server.serve(echo, std::future::pending())));
    addr
}

/// Every frame is answered and right. A busy machine may be late for the rate of an open loop, which is told, and is no fault.
#[track_caller]
pub(crate) fn is_verified(plan: &Plan) -> Outcome {
    let outcome = run(plan);
    let is_late = plan.pacing != Pacing::Closed && outcome.verdict == Verdict::NotAsAsked;
    assert!(outcome.verdict == Verdict::Verified || is_late, "{}", said(&outcome));
    assert_eq!((outcome.errors(), outcome.fault_count), (0, 0), "{}", said(&outcome));
    outcome
}

#[test]
fn any_length_of_payload_comes_back() {
    // Below, at and above a word, a piece, a read; no payload at all; and mixtures.
    let fixed = ["0", "1", "7", "8", "9", "4096", "8191", "131068", "131072", "131073", "1MiB"];
    for sizes in fixed.into_iter().chain(["uniform:0..20000", "list:64=0.9,300KiB=0.1"]) {
        let payload: Sizes = sizes.parse().unwrap();
        let mut plan = plan(echo_server(ServerConfig::default()), 40);
        plan.payload = payload;
        plan.in_flight = Some(3);
        assert_eq!(is_verified(&plan).frames_verified, 40, "{sizes}");
    }
}

/// Also long ones, which nobody reads.
#[test]
fn replies_of_any_length_are_counted() {
    for sizes in ["0", "64", "9000", "65536", "131073", "1MiB", "list:64=0.5,300KiB=0.5"] {
        for (in_flight, pacing) in [(1, Pacing::Closed), (5, Pacing::Closed), (5, OPEN)] {
            let mut plan = plan(echo_server(ServerConfig::default()), 60);
            (plan.payload, plan.reply) = (sizes.parse().unwrap(), Reply::Count);
            (plan.in_flight, plan.pacing) = (Some(in_flight), pacing);
            let outcome = is_verified(&plan);
            assert_eq!((outcome.frames_sent, outcome.frames_verified), (60, 60), "{sizes}, {pacing:?}");
        }
    }
}

#[test]
fn a_reply_too_many_is_no_reply() {
    let twice = serve(|mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            if stream.write_all(&[frame(&payload), frame(b"")].concat()).is_err() {
                return;
            }
        }
    });
    let plan = Plan { reply: Reply::Count, payload: Sizes::Fixed(70_000), in_flight: Some(1), ..plan(twice, 40) };
    let outcome = run(&plan);
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{}", said(&outcome));
    assert!(outcome.faults.iter().all(|fault| fault.kind == "surplus"), "{}", said(&outcome));
}

/// Each has its turn.
#[test]
fn frames_in_flight_may_be_bounded_over_all_connections() {
    let (there, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let addr = serve(move |mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            most.fetch_max(there.fetch_add(1, SeqCst) + 1, SeqCst);
            thread::sleep(Duration::from_millis(1));
            there.fetch_sub(1, SeqCst);
            stream.write_all(&frame(&payload)).unwrap();
        }
    });
    for (in_all, threads) in [(1, 1), (5, 1), (5, 2), (40, 2)] {
        let frames = 200;
        let mut plan = plan(addr, frames);
        (plan.connections, plan.in_flight, plan.in_flight_in_all, plan.threads) = (8, None, Some(in_all), threads);
        seen.store(0, SeqCst);
        let outcome = is_verified(&plan);
        assert_eq!(outcome.frames_verified, frames);
        assert!(seen.load(SeqCst) <= in_all as usize, "{} of {in_all}", seen.load(SeqCst));
        let shares = outcome.fairness.unwrap();
        assert_eq!((shares.min, shares.max), (frames / 8, frames / 8), "{in_all} in all, {threads} threads");
        assert!(said(&outcome).contains(&format!("8 connections, {in_all} in flight in all")), "{}", said(&outcome));
    }
}

#[test]
fn connections_are_made_from_each_local_address() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&peers);
    let addr = serve(move |mut stream| {
        peers.lock().unwrap().push(stream.peer_addr().unwrap().ip().to_string());
        while let Some(payload) = read_frame(&mut stream) {
            stream.write_all(&frame(&payload)).unwrap();
        }
    });
    let local_addrs = ["127.0.0.2", "127.0.0.3"].map(|addr| addr.parse().unwrap()).to_vec();
    is_verified(&Plan { local_addrs, ..plan(addr, 40) });
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
}

#[test]
fn eight_mebibytes_come_back() {
    let format = Format::U32_LE.with_max_payload_len(8 << 20).unwrap();
    let mut plan = plan(echo_server(ServerConfig::default().format(format)), 2);
    (plan.payload, plan.format, plan.connections, plan.in_flight) = (Sizes::Fixed(8 << 20), format, 1, Some(1));
    assert_eq!(is_verified(&plan).frames_verified, 2);
}

/// Also formats with a prefix, with a trailer, and with both.
#[test]
fn any_format_is_spoken() {
    let both = "offset=3,width=2,endian=be,adjustment=-5,trailer=2";
    for layout in ["u32le", "varint", "u16be-inclusive", "offset=2,width=4", "width=4,trailer=1", both] {
        let layout: Layout = layout.parse().unwrap();
        let payload = Sizes::Uniform { least: 8, greatest: 9000 };
        let format = Plan::fit(layout, &payload).unwrap();
        let mut plan = plan(echo_server(ServerConfig::default().format(format)), 200);
        (plan.format, plan.payload) = (format, payload);
        assert_eq!(is_verified(&plan).frames_verified, 200, "{layout}");
    }
}

#[test]
fn greetings_are_awaited() {
    let framed = unstick::Greeting::Frame("hello".into());
    let mut plan = plan(echo_server(ServerConfig::default().greeting(framed)), 100);
    plan.greeting = Greeting::Frame;
    is_verified(&plan);

    let raw = unstick::Greeting::Raw(vec![b'x'; 300]);
    plan = Plan { target: Target::Tcp(vec![echo_server(ServerConfig::default().greeting(raw))]), ..plan };
    plan.greeting = Greeting::Raw(300);
    is_verified(&plan);
}

#[test]
fn a_greeting_that_is_not_expected_is_told_before_anything_is_sent() {
    let framed = unstick::Greeting::Frame("hello".into());
    let plan = plan(echo_server(ServerConfig::default().greeting(framed)), 100);
    let error = load::run(&plan, &mut |_| Wish::GoOn).unwrap_err();
    assert!(matches!(&error, RunError::Refused { text } if text == "hello"), "{error:?}");
}

#[test]
fn a_server_that_is_full_refuses_and_that_is_told() {
    let refusal = unstick::Greeting::Frame("no room".into());
    let config = || ServerConfig::default().max_connections(Some(3)).refusal(refusal.clone());
    let outcome = run(&plan(echo_server(config()), 100));
    assert_eq!((outcome.verdict, outcome.connections_held), (Verdict::NotAsAsked, 3), "{}", said(&outcome));
    assert!(said(&outcome).contains("refused") && said(&outcome).contains("no room"), "{}", said(&outcome));

    let addr = echo_server(config());
    let occupied: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
    let error = load::run(&plan(addr, 100), &mut |_| Wish::GoOn).unwrap_err();
    assert!(matches!(&error, RunError::Refused { text } if text == "no room"), "{error:?}");
    drop(occupied);
}

#[test]
fn nobody_who_listens_is_told_with_how_many_were_asked_for() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = load::run(&plan(free, 100), &mut |_| Wish::GoOn).unwrap_err();
    assert!(matches!(&error, RunError::NotConnected { asked: 4, .. }), "{error:?}");
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plan = plan(echo_server(ServerConfig::default()), 100);
    let Target::Tcp(addrs) = &mut plan.target else { unreachable!() };
    addrs.insert(0, free);
    is_verified(&plan);
}

#[test]
fn a_unix_socket_is_loaded_as_well() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}", std::process::id()));
    let server = Server::bind_unix(&path, ServerConfig::default()).unwrap();
    let echo = |_| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
    thread::spawn(move || smol::block_on(server.serve(echo, std::future::pending())));
    let plan = Plan { target: Target::Unix(path), ..plan(([127, 0, 0, 1], 1).into(), 400) };
    assert_eq!(is_verified(&plan).frames_verified, 400);
}

#[test]
fn replies_of_any_bytes_are_counted_or_none_are_awaited() {
    let other =
        serve(
            |mut stream| {
                while read_frame(&mut stream).is_some() && stream.write_all(&frame(b"something else")).is_ok() {}
            },
        );
    let mut plan = plan(other, 400);
    plan.reply = Reply::Count;
    assert_eq!(is_verified(&plan).frames_verified, 400);

    let sink = serve(|mut stream| while read_frame(&mut stream).is_some() {});
    plan = Plan { target: Target::Tcp(vec![sink]), reply: Reply::None, ..plan };
    let outcome = is_verified(&plan);
    assert_eq!((outcome.frames_sent, outcome.response_ns.count()), (400, 0));
    assert!(said(&outcome).starts_with("400 frames sent, no reply expected"), "{}", said(&outcome));
    plan.pacing = Pacing::Open { rate: 10_000.0, poisson: true };
    assert_eq!(is_verified(&plan).frames_sent, 400);
}

/// A server that sends each frame to all others, as `unstick serve --broadcast` does. It may lose one.
fn broadcaster(loses: bool) -> SocketAddr {
    use std::sync::{Arc, Mutex};
    use unstick::Outbox;

    let config = ServerConfig::default().first_frame_timeout(None).frame_timeout(None).write_timeout(None);
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let addr = server.local_addr().unwrap();
    let room = Arc::new(Mutex::new(Vec::<(u64, Outbox)>::new()));
    thread::spawn(move || {
        let serve = move |peer: unstick::Peer| {
            let room = Arc::clone(&room);
            let number = room.lock().unwrap().len() as u64;
            room.lock().unwrap().push((number, peer.outbox()));
            let mut frames = 0;
            async move |frame: Frame<'_>, _: &mut Responder| -> Result<(), unstick::PushError> {
                frames += 1;
                let payload = bytes::Bytes::copy_from_slice(frame.payload());
                for (other, outbox) in room.lock().unwrap().iter().filter(|(other, _)| *other != number) {
                    if loses && frames == 20 && *other == (number + 1) % 4 {
                        continue;
                    }
                    match outbox.try_send(&payload) {
                        Ok(()) | Err(unstick::PushError::Closed) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        };
        smol::block_on(server.serve(serve, std::future::pending()))
    });
    addr
}

fn push_plan(addr: SocketAddr) -> Plan {
    let mut plan = plan(addr, 200);
    (plan.reply, plan.payload, plan.threads) = (Reply::Push, Sizes::Uniform { least: 32, greatest: 9000 }, 2);
    plan.pacing = Pacing::Open { rate: 1000.0, poisson: false };
    plan
}

#[test]
fn what_is_pushed_to_every_other_connection_is_verified_and_timed() {
    let outcome = is_verified(&push_plan(broadcaster(false)));
    assert_eq!((outcome.frames_sent, outcome.frames_verified), (200, 600), "{}", said(&outcome));
    assert_eq!(outcome.response_ns.count(), 600);
    assert!(said(&outcome).starts_with("every byte of 600 deliveries verified"), "{}", said(&outcome));
    // What comes from the others sets the pace, and who reads slowly only listens.
    let mut closed = push_plan(broadcaster(false));
    (closed.pacing, closed.chaos.slow_readers) = (Pacing::Closed, 1);
    let outcome = is_verified(&closed);
    assert_eq!((outcome.frames_sent, outcome.frames_verified), (200, 600), "{}", said(&outcome));
}

/// One publisher or two, at a rate or as fast as all others receive.
#[test]
fn a_few_may_send_and_the_others_receive() {
    for (senders, in_flight, pacing) in [(1, 1, Pacing::Closed), (2, 5, Pacing::Closed), (1, 50, OPEN), (2, 50, OPEN)] {
        let mut plan = push_plan(broadcaster(false));
        (plan.senders, plan.threads, plan.connections) = (Some(senders), 1, 6);
        (plan.in_flight, plan.pacing) = (Some(in_flight), pacing);
        let outcome = is_verified(&plan);
        assert_eq!((outcome.frames_sent, outcome.frames_verified), (200, 1000), "{senders}: {}", said(&outcome));
    }
}

#[test]
fn a_push_that_does_not_arrive_is_told() {
    let mut plan = push_plan(broadcaster(true));
    // Who is at fault sends no more, and the others may wait for it until the run's end.
    (plan.duration, plan.drain) = (Duration::from_secs(2), Duration::from_secs(2));
    let outcome = run(&plan);
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{}", said(&outcome));
    let is_known = |fault: &load::FaultSeen| fault.kind == "lost or overtaken" || fault.kind == "lost";
    assert!(outcome.faults.iter().all(is_known), "{}", said(&outcome));
}

#[test]
fn plans_that_do_not_fit_together_are_refused_with_their_numbers() {
    type Spoil = fn(&mut Plan);
    let cases: [(Spoil, &str); 14] = [
        (|plan| plan.connections = 0, "a run needs connections"),
        (|plan| plan.frames = Some(3), "3 frames are too few for 4 connections"),
        (|plan| plan.pacing = Pacing::Open { rate: 0.0, poisson: false }, "a run needs a rate"),
        (|plan| plan.duration = Duration::ZERO, "a run needs time to measure"),
        (|plan| plan.chaos.reset = 4, "4 connections are to read slowly or to end early, of 4 in all"),
        (|plan| plan.reply = Reply::Push, ""),
        (
            |plan| (plan.reply, plan.payload) = (Reply::Push, Sizes::Fixed(31)),
            "32 bytes are needed, and 31 are asked for",
        ),
        (|plan| plan.payload = Sizes::Fixed(1 << 33), "format u32le: "),
        (|plan| plan.senders = Some(1), "a number of senders needs pushes as replies"),
        (|plan| (plan.reply, plan.senders) = (Reply::Push, Some(5)), "5 senders are too many: 4 at most"),
        (|plan| plan.in_flight_in_all = Some(3), "in all and one on those of each connection do not go together"),
        (|plan| (plan.in_flight, plan.in_flight_in_all, plan.pacing) = (None, Some(3), OPEN), "in all and a rate"),
        (|plan| (plan.in_flight, plan.in_flight_in_all) = (None, Some(0)), "a frame in flight for each thread"),
        (|plan| plan.expectations = vec!["rate>=1".parse().unwrap()], "an expectation of the rate"),
    ];
    for (spoil, expected) in cases {
        let mut plan = plan(([127, 0, 0, 1], 1).into(), 100);
        spoil(&mut plan);
        match plan.check() {
            Ok(()) => assert_eq!(expected, "", "{plan:?}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}"),
        }
    }
    assert!(matches!("uniform:9".parse::<Sizes>(), Err(PlanError::Payload { .. })));
}

/// A plan is plain data.
#[test]
fn a_plan_is_written_down_and_read_back() {
    let mut plan = push_plan(([127, 0, 0, 1], 1).into());
    plan.format = Format::with_default_limit("offset=1,width=3,trailer=1".parse().unwrap()).unwrap();
    plan.expectations = vec!["p99<5ms".parse().unwrap()];
    let text = serde_json::to_string(&plan).unwrap();
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{read:?}"), format!("{plan:?}"));
}
