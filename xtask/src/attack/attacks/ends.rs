//! Connections and processes that end in every way and at every point.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use unstick::load::{self, Plan, Sizes, Wish};

use super::super::healthy::plan;
use super::*;
use crate::certificate::Certificate;
use crate::network::ip;

/// The address of the peers that are cut off.
const AWAY: &str = "127.0.0.2";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "reset",
        about: "RST inside a header, inside a payload, at a boundary, and with replies pending, 100 times each: each ends as \
                reset; over a Unix socket a close with a reply unread",
        act: |scene| {
            let torn = frame(b"torn in the middle");
            let torn = [2, 7, torn.len()].map(|len| [&frame(b"unread")[..], &torn[..len]].concat());
            for wire in torn.iter().chain([&frame(&[7; 1000]).repeat(200)]) {
                for peer in scene.crowd_of(100, wire)? {
                    peer.await_unread()?;
                    peer.reset()?;
                }
            }
            scene.await_closes("reset", 400).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "fin-inside",
        about: "FIN inside a frame, also right after its header, 100 times each: ends as truncated; at a boundary: clean",
        act: |scene| {
            let wire = [frame(b"hello"), frame(b"torn in the middle")].concat();
            for (len, reason) in [(0, "clean"), (2, "truncated"), (4, "truncated"), (7, "truncated")] {
                scene.refuses(100, &wire[..9 + len], true, &[b"hello"], (reason, ""))?;
            }
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "half-close",
        about: "50 × 200 frames of 1,000 bytes and FIN while the first waits: all replies come, in order, and then FIN",
        act: |scene| {
            let payload = |n: u16| [&n.to_le_bytes()[..], &[7; 998]].concat();
            let mut wire = frame(server::SLEEP);
            (0..200).for_each(|n| wire.extend(frame(&payload(n))));
            let mut peers = scene.crowd_of(50, &wire)?;
            peers.iter_mut().try_for_each(Peer::half_close)?;
            // The first handler of each waits until all have half-closed.
            scene.open_gate()?;
            for peer in &mut peers {
                peer.expect(server::SLEEP)?;
                (0..200).try_for_each(|n| peer.expect(&payload(n)))?;
            }
            scene.see_the_end(&mut peers);
            scene.await_closes("clean", 50).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "killed-clients",
        about: "a process with 200 connections is killed (SIGKILL) in the middle of a frame: each ends as truncated",
        act: |scene| {
            let mut command = Command::new(std::env::current_exe()?);
            Certificate::give(&mut command);
            command.args(["attack-client", &scene.addr.to_string(), "200"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let mut line = String::new();
            let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
            child.kill()?;
            child.wait()?;
            scene.check(line == "ready\n", || format!("the client process: {line:?}, {read:?}"));
            scene.await_closes("truncated", 200).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "connect-storm",
        about: "4,000 × connect and close at once, by FIN and by RST (which a Unix socket does not have): each accounted \
                for, and nobody noticed",
        act: |scene| {
            let resets = if scene.over == Over::Unix { 0 } else { 2000 };
            let addr = &scene.addr;
            of_each(&mut [(), ()], |()| {
                (0..2000).try_for_each(|n| {
                    let peer = Peer::connect(addr)?;
                    if resets > 0 && n % 2 == 0 { peer.reset() } else { Ok(()) }
                })
            })?
            .into_iter()
            .collect::<std::io::Result<()>>()?;
            // If the system's queue is full, a connection ended by RST is gone before it is accepted; one ended by FIN is
            // not.
            let healthy = CLIENTS as u64;
            let stats = scene.await_stats("the end of each", |stats| {
                stats.closes("clean") == 4000 - resets && stats.active == healthy
            })?;
            let (reset, gone) = (stats.closes("reset"), 4000 + healthy - stats.accepted);
            scene.check(reset + gone == resets, || format!("{reset} were reset, {gone} were never accepted"));
            scene.check(reset > 0 || resets == 0, || "no connection was reset".into());
            scene.note(format!("{gone} were gone before the system let them be accepted"));
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "sigterm",
        about: "SIGTERM under load: the listener closes, what was received is answered in order, then FIN, exit code 0",
        beside: Beside::Nobody,
        act: sigterm,
        ..Attack::PLAIN
    },
    Attack {
        name: "second-signal",
        about: "a second SIGTERM while the drain waits for a handler: exits at once, with 143",
        limits: |config, _| config.drain_timeout = Duration::from_secs(60),
        beside: Beside::Nobody,
        act: |scene| {
            let _peer = scene.crowd_of(1, &frame(server::SLEEP))?;
            scene.await_stats("the connection", |stats| stats.active == 1)?;
            scene.signal(Signal::TERM)?;
            await_refusal(scene)?;
            let stats = scene.stats()?;
            // Those that asked whether the listener is still there may be among them.
            scene.check(stats.active >= 1, || "the drain does not wait for the handler".into());
            let begin = Instant::now();
            scene.signal(Signal::TERM)?;
            let (status, took) = (scene.await_exit(stats)?, begin.elapsed());
            scene.check(status.code() == Some(143), || format!("it ended with {status}"));
            scene.check(took < PATIENCE, || format!("it took {took:?}"));
            scene.note(format!("gone {took:.1?} after the second signal"));
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "half-open",
        about: "20 peers vanish without FIN or RST: found by keepalive after 31 s (in its own network namespace)",
        limits: |config, _| config.keepalive = seconds(1.0),
        // No peer at a Unix socket vanishes, and below TLS it is TCP that is asked.
        over: &[Over::Tcp],
        cuts: true,
        act: |scene| {
            let Addr::Tcp(addr) = scene.addr else { return Err("only TCP can be cut".into()) };
            // In this network, the peers' address is reached by a route of its own.
            ip("route add local 127.0.0.2/32 dev lo table local")?;
            ip("route del local 127.0.0.0/8 dev lo table local")?;
            let mut peers = Vec::new();
            for _ in 0..20 {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.bind(&std::net::SocketAddr::new(AWAY.parse()?, 0).into())?;
                socket.connect(&addr.into())?;
                let mut peer = Peer::without_tls(socket)?;
                peer.echo(b"hello")?;
                peers.push(peer);
            }
            ip("route replace blackhole 127.0.0.2/32 table local")?;
            // The server asks three times, every 10 s, after a second of silence.
            let said = scene.await_closes("unreachable", 20)?.said("unreachable");
            scene.note(said);
            Ok(())
        },
        ..Attack::PLAIN
    },
];

fn sigterm(scene: &mut Scene) -> Fallible {
    let plan = Plan {
        connections: 16,
        in_flight: Some(16),
        payload: Sizes::Fixed(1000),
        duration: PATIENCE,
        drain: PATIENCE,
        ..plan(&scene.addr)
    };
    let (span, over) = (scene.span, AtomicBool::new(false));
    let outcome = thread::scope(|scope| -> Result<_, Box<dyn Error>> {
        let loading = scope.spawn(|| {
            let mut watch = |_| if over.load(Relaxed) { Wish::Abort } else { Wish::GoOn };
            load::run(&plan, &mut watch).map_err(|error| error.to_string())
        });
        let signalled = scene.await_stats("load", |stats| stats.frames_in > 1000).and_then(|_| {
            thread::sleep(span);
            scene.look();
            scene.signal(Signal::TERM)?;
            await_refusal(scene)
        });
        over.store(signalled.is_err(), Relaxed);
        let outcome = loading.join().map_err(|_| "the load panicked")??;
        signalled.map(|()| outcome)
    })?;
    let (answered, begun) = (outcome.frames_verified, outcome.frames_sent);
    let early = outcome.faults.iter().filter(|fault| fault.kind == "ended early").count();
    scene.check(early == 16 && outcome.fault_count == 16, || {
        let faults: Vec<_> = outcome.faults.iter().map(|fault| fault.text.clone()).collect();
        format!("a stream did not end by FIN between two frames: {faults:?}")
    });
    let stats = scene.await_end()?;
    scene.note(format!("every byte of {answered} replies verified, in order; {} were in flight", begun - answered));
    scene.check(stats.frames_out == answered && stats.frames_in == stats.frames_out, || {
        let (frames_in, frames_out) = (stats.frames_in, stats.frames_out);
        format!("{frames_in} frames received, {frames_out} answered, {answered} replies came")
    });
    scene.check(stats.bytes_out == answered * 1004, || format!("{} bytes were sent", stats.bytes_out));
    scene.check(stats.closes("stopped") >= 16, || format!("16 connections were stopped: {:?}", stats.closes));
    Ok(())
}

/// Waits until the server accepts no connections.
fn await_refusal(scene: &Scene) -> Fallible {
    let begin = Instant::now();
    while scene.addr.connect(PATIENCE).is_ok() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("the listener is open {PATIENCE:?} after the signal").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Be the client that is killed: hold connections in the middle of a frame until standard input ends
#[derive(clap::Args, Debug)]
pub(crate) struct ClientArgs {
    addr: Addr,
    count: usize,
}

/// Says `ready` once each connection had a reply and is in the middle of the next frame.
///
/// # Errors
/// If the server does not answer.
pub(crate) fn be_client(args: &ClientArgs) -> Result<std::process::ExitCode, Box<dyn Error>> {
    let torn = frame(b"torn in the middle");
    let hold = |_| {
        let mut peer = Peer::connect(&args.addr)?;
        peer.echo(b"hello")?;
        peer.send(&torn[..10])?;
        Ok(peer)
    };
    let peers = (0..args.count).map(hold).collect::<std::io::Result<Vec<_>>>()?;
    println!("ready");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(peers);
    Ok(std::process::ExitCode::SUCCESS)
}
