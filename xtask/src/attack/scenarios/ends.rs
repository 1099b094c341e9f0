//! Connections that end in every way and at every point.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;

use super::super::healthy::CLIENTS;
use super::super::server;
use super::*;
use crate::certificate::Certificate;
use crate::socket::Addr;

pub(super) const RESET: Scenario = Scenario {
    name: "reset",
    about: "RST inside a header, inside a payload, at a boundary, and with replies pending: each ends as reset; over a \
            Unix socket a close with a reply unread",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let each = scene.pace.of(100, 10);
        scene.sent =
            format!("broken off behind 2 bytes of a header, 3 of a payload, a whole frame, 200 KB; {each} times each");
        let torn = frame(b"torn in the middle");
        for len in [2, 7, torn.len()] {
            for mut peer in scene.crowd(each)? {
                peer.send(&[&frame(b"unread"), &torn[..len]].concat())?;
                peer.await_unread()?;
                peer.reset()?;
            }
        }
        for mut peer in scene.crowd(each)? {
            peer.send(&frame(&[7; 1000]).repeat(200))?;
            peer.await_unread()?;
            peer.reset()?;
        }
        scene.await_closes("reset", 4 * each)?;
        Ok(())
    },
};

pub(super) const FIN_INSIDE: Scenario = Scenario {
    name: "fin-inside",
    about: "FIN inside a frame, also right after its header: ends as truncated; at a boundary: clean",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let each = scene.pace.of(100, 10);
        scene.sent = format!("FIN behind 0, 2, 4 and 7 bytes of a frame; {each} times each");
        let torn = frame(b"torn in the middle");
        for len in [0, 2, 4, 7] {
            let mut peers = scene.crowd(each)?;
            for peer in &mut peers {
                peer.echo(b"hello")?;
                peer.send(&torn[..len])?;
                peer.half_close()?;
            }
            see_the_end(scene, &mut peers);
        }
        scene.await_closes("truncated", 3 * each)?;
        scene.await_closes("clean", each)?;
        Ok(())
    },
};

pub(super) const HALF_CLOSE: Scenario = Scenario {
    name: "half-close",
    about: "FIN while replies are pending: all of them come, in order, and then the server's own FIN",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let (count, frames) = (scene.pace.of(50, 10), 200_u16);
        scene.sent = format!("{count} connections: {frames} frames of 1000 bytes, FIN, and only then the first reply");
        let payload = |n: u16| [&n.to_le_bytes()[..], &[7; 998]].concat();
        let mut wire = frame(server::SLEEP);
        (0..frames).for_each(|n| wire.extend(frame(&payload(n))));
        let mut peers = scene.crowd(count)?;
        for peer in &mut peers {
            peer.send(&wire)?;
            peer.half_close()?;
        }
        // The first handler of each waits until all have half-closed.
        scene.host.open_gate()?;
        for peer in &mut peers {
            peer.expect(server::SLEEP)?;
            (0..frames).try_for_each(|n| peer.expect(&payload(n)))?;
        }
        see_the_end(scene, &mut peers);
        scene.await_closes("clean", count)?;
        Ok(())
    },
};

pub(super) const KILLED_CLIENTS: Scenario = Scenario {
    name: "killed-clients",
    about: "a client process with many connections is killed (SIGKILL) in the middle of a frame: each ends as truncated",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(200, 20);
        scene.sent = format!("{count} connections of one process: a frame and half of the next; then SIGKILL");
        let mut command = Command::new(std::env::current_exe()?);
        Certificate::give(&mut command);
        command.arg("attack-client").args([scene.addr().to_string(), count.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        child.kill()?;
        child.wait()?;
        scene.check(line == "ready\n", || format!("the client process: {line:?}, {read:?}"));
        scene.await_closes("truncated", count)?;
        Ok(())
    },
};

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
pub(crate) fn be_client(args: &ClientArgs) -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
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

pub(super) const CONNECT_STORM: Scenario = Scenario {
    name: "connect-storm",
    about: "connect and close at once, by FIN and by RST (which a Unix socket does not have), again and again: each accounted \
            for, and nobody noticed",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let (threads, each) = (2, scene.pace.of(2000, 200));
        let count = threads * each;
        let resets = if scene.over() == Over::Unix { 0 } else { count / 2 };
        scene.sent = format!("{count} connections, closed at once: {resets} by RST");
        let addr = scene.addr();
        thread::scope(|scope| -> Fallible {
            let storm = || {
                (0..each).try_for_each(|n| {
                    let peer = Peer::connect(addr)?;
                    if resets > 0 && n % 2 == 0 { peer.reset() } else { Ok(()) }
                })
            };
            let storms: Vec<_> = (0..threads).map(|_| scope.spawn(storm)).collect();
            for storm in storms {
                storm.join().map_err(|_| "a storm panicked")??;
            }
            Ok(())
        })?;
        // If the system's queue is full, a connection ended by RST is gone before it is accepted; one ended by FIN is
        // not.
        let stats = scene.await_stats("the end of each", |stats| {
            stats.closes("clean") == (count - resets) as u64 && stats.active == CLIENTS as u64
        })?;
        let (reset, gone) = (stats.closes("reset"), count as u64 + CLIENTS as u64 - stats.accepted);
        scene.check(reset + gone == resets as u64, || format!("{reset} were reset, {gone} were never accepted"));
        scene.check(reset > 0 || resets == 0, || "no connection was reset".into());
        if gone > 0 {
            scene.noted.push(format!("{gone} were gone before the system let them be accepted"));
        }
        Ok(())
    },
};
