//! Goal 7, memory: what an idle connection keeps, the whole process, and whether a burst's buffers are returned.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::held::Held;
use super::host::Host;
use super::peers::{Kind, Service, Setup};
use super::table::{Row, Wanted, bytes};
use super::{Findings, Pace};

/// Bytes of the payload that each idle connection had echoed.
const PAYLOAD_LEN: usize = 64;
/// Connections of the burst, and the payload of which each one has the server hold all but the last byte.
const BURST: (usize, usize) = (200, 256 << 10);
/// How long a handler waits that is to wait still when memory is looked at.
const WAIT: Duration = Duration::from_secs(15);
/// What a server may take to come to rest.
const REST: Duration = Duration::from_millis(500);

/// Measures each server alone, in a process of its own.
///
/// # Errors
/// Where a peer cannot be run or fails, or 10,000 connections cannot be had.
pub(super) fn measure(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let connections = if pace.quick { 500 } else { 10_000 };
    for (kind, each, all) in [
        (Kind::Ours, Wanted::AtMost(1024.0), Wanted::AtMost(12.0)),
        (Kind::TokioFeed, Wanted::Nothing, Wanted::Nothing),
    ] {
        pace.say(&format!("memory, {}", kind.name()));
        let usages = (0..pace.rounds.min(3)).map(|_| Usage::of(kind, connections, pace));
        let usages = usages.collect::<Result<Vec<_>, _>>()?;
        let mut row = |what: &str, measure: &str, wanted, take: fn(&Usage) -> f64| {
            let what = format!("{}, {what}", kind.name());
            let samples = usages.iter().map(take).collect();
            findings.rows.push(Row { goal: 7, what, measure: measure.into(), wanted, samples });
        };
        row(&format!("{connections} idle"), "resident bytes a connection", each, |usage| usage.each);
        row(&format!("{connections} idle"), "resident MiB in all", all, |usage| usage.idle / MIB);
        let burst = format!("burst of {} × {}", BURST.0, bytes(BURST.1));
        let kept = if kind == Kind::Ours { Wanted::AtMost(0.1) } else { Wanted::Nothing };
        row(&burst, "MiB more while it lasts", Wanted::Nothing, |usage| (usage.burst - usage.idle) / MIB);
        row(&burst, "part of that kept after it", kept, |usage| {
            (usage.after - usage.idle).max(0.0) / (usage.burst - usage.idle)
        });
    }
    Ok(())
}

/// Measures connections whose handlers all wait.
///
/// # Errors
/// Where a peer cannot be run or fails, or the machine is so busy that handlers wait no more when memory is looked at.
pub(super) fn waiting(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let (connections, wait) = if pace.quick { (500, WAIT / 5) } else { (10_000, WAIT) };
    for (kind, wanted) in [(Kind::Ours, Wanted::AtMost(0.0)), (Kind::TokioFeed, Wanted::Nothing)] {
        pace.say(&format!("memory of waiting handlers, {}", kind.name()));
        let host = Host::start(&Setup::new(kind, Service::Wait(wait), pace.cores.server()), None)?;
        let mut first = Held::connect(host.addr, 1, PAYLOAD_LEN)?;
        first.ask()?;
        let before = at_rest(&host)?;
        let mut held = Held::connect(host.addr, connections, PAYLOAD_LEN)?;
        held.ask()?;
        let resident = at_rest(&host)?;
        let waiting = held.waiting();
        let unanswered = connections - held.right_replies();
        if waiting + unanswered < connections {
            return Err(format!("only {waiting} of {connections} handlers waited still").into());
        }
        let mut row = |measure: &str, wanted, value: f64| {
            let what = format!("{}, {connections} × 64 B, handlers wait", kind.name());
            findings.rows.push(Row { goal: 10, what, measure: measure.into(), wanted, samples: vec![value] });
        };
        row("resident bytes a connection", Wanted::Nothing, (resident - before) / connections as f64);
        row("connections without their reply", wanted, unanswered as f64);
    }
    Ok(())
}

const MIB: f64 = 1_048_576.0;

/// Resident memory, in bytes.
struct Usage {
    /// For each idle connection.
    each: f64,
    /// In all, with the idle connections.
    idle: f64,
    /// While the burst's frames are held.
    burst: f64,
    /// Once they are answered and every connection is idle again.
    after: f64,
}

impl Usage {
    fn of(kind: Kind, connections: usize, pace: &Pace) -> Result<Usage, Box<dyn Error>> {
        let host = Host::start(&Setup::echo(kind, pace.cores.server()), None)?;
        // One connection first: what every process pays once is not a connection's.
        let mut first = Held::connect(host.addr, 1, PAYLOAD_LEN)?;
        first.verify()?;
        let before = at_rest(&host)?;
        let mut held = Held::connect(host.addr, connections, PAYLOAD_LEN)?;
        held.verify()?;
        let idle = at_rest(&host)?;
        let mut sockets = begin_burst(&host)?;
        let burst = at_rest(&host)?;
        end_burst(&mut sockets)?;
        let after = at_rest(&host)?;
        Ok(Usage { each: (idle - before) / connections as f64, idle, burst, after })
    }
}

fn at_rest(host: &Host) -> Result<f64, Box<dyn Error>> {
    thread::sleep(REST);
    Ok(host.resident()? as f64)
}

/// Sends on each connection a frame but for its last byte, so that the server holds what came.
fn begin_burst(host: &Host) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let (connections, payload_len) = BURST;
    let mut frame = (payload_len as u32).to_le_bytes().to_vec();
    frame.resize(4 + payload_len - 1, 7);
    let begin = |_| {
        let mut socket = TcpStream::connect(host.addr)?;
        socket.write_all(&frame)?;
        Ok(socket)
    };
    (0..connections).map(begin).collect()
}

/// Sends the last bytes and reads the replies to their ends. The connections stay open.
fn end_burst(sockets: &mut [TcpStream]) -> Result<(), Box<dyn Error>> {
    let mut reply = vec![0; 4 + BURST.1];
    for socket in sockets {
        socket.write_all(&[7])?;
        socket.read_exact(&mut reply)?;
    }
    Ok(())
}
