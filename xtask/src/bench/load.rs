//! Goal 12, the load engine's own speed: verified beside unverified, and a second thread.

use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use rustix::net::{RecvFlags, recv};
use unstick::load::{Plan, Reply, Wish};

use super::drive;
use super::host::Host;
use super::peers::{Kind, Setup};
use super::table::{Row, Wanted, ratios};
use super::{Findings, Pace};
use crate::child;

/// Connections, frames in flight on each, payload.
const SHAPE: (usize, u32, usize) = (50, 64, 64);
/// Cores that two threads of the load and a peer of two threads need.
const CORES: usize = 4;

/// Measures both.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn measure(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    findings.rows.extend(verified(pace)?);
    match pace.cores.all.len() {
        CORES.. => findings.rows.push(threads(pace)?),
        cores => eprintln!("skipped: a second thread of the load needs {CORES} cores, and there are {cores}"),
    }
    Ok(())
}

/// Echoes whose every byte is verified, beside replies that are only counted.
fn verified(pace: &Pace) -> Result<[Row; 2], Box<dyn Error>> {
    pace.say("the load engine, verified beside counted");
    let host = Host::start(&Setup::echo(Kind::Ours, pace.cores.server()), None)?;
    let counting = plan(host.addr, pace);
    let plans = [Plan { reply: Reply::Echo, ..counting.clone() }, counting];
    // Frames a second, and seconds of CPU a frame.
    let (mut rates, mut costs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for (index, plan) in (0..pace.rounds).flat_map(|_| plans.iter().enumerate()) {
        let outcome = drive::run(&host, plan)?;
        rates[index].push(outcome.frames_per_second);
        costs[index].push(outcome.load_busy / outcome.frames_per_second);
    }
    let (connections, in_flight, payload_len) = SHAPE;
    let row = |what: &str, [verified, counted]: &[Vec<f64>; 2], wanted| Row {
        goal: 12,
        what: format!("{connections} × {in_flight} × {payload_len} B"),
        measure: format!("{what}, every byte verified ÷ none"),
        wanted,
        samples: ratios(verified, counted),
    };
    Ok([row("frames/s", &rates, Wanted::AtLeast(1.0)), row("the load's CPU a frame", &costs, Wanted::Nothing)])
}

/// Two threads of the engine beside one, to a peer that costs as little as can be: it throws away what comes.
fn threads(pace: &Pace) -> Result<Row, Box<dyn Error>> {
    pace.say("a second thread of the load engine");
    child::stay_on(&pace.cores.all)?;
    let one = Plan { reply: Reply::None, ..plan(null_peer()?, pace) };
    let two = Plan { threads: 2, ..one.clone() };
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..pace.rounds {
        for (plan, rates) in [&one, &two].into_iter().zip(&mut rates) {
            rates.push(drive::engine(plan, &mut |_| Wish::GoOn)?.rate_reached);
        }
    }
    child::stay_on(pace.cores.load())?;
    Ok(Row {
        goal: 12,
        what: "to a peer that throws all away".into(),
        measure: "frames/s, two threads ÷ one".into(),
        wanted: Wanted::AtLeast(1.7),
        samples: ratios(&rates[1], &rates[0]),
    })
}

fn plan(addr: SocketAddr, pace: &Pace) -> Plan {
    let (connections, in_flight, payload_len) = SHAPE;
    Plan { in_flight: Some(in_flight), ..drive::plan(addr, connections, payload_len, pace.span) }
}

/// Listens on the loopback until this process ends; a thread for each connection throws away what comes.
fn null_peer() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|socket| drop(thread::spawn(move || discard(&socket))));
    });
    Ok(addr)
}

fn discard(socket: &TcpStream) {
    let mut nothing = vec![0; 1 << 20];
    while matches!(recv(socket, &mut nothing[..], RecvFlags::TRUNC), Ok((_, 1..))) {}
}
