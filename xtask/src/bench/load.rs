//! Goal 12, the load engine's own speed: verified beside unverified, and a second thread.

use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use rustix::net::{RecvFlags, recv};
use unstick::load::{self, Outcome, Plan, Reply, Sizes, Target, Wish};

use super::generator::{Generator, InFlight};
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

/// The engine, which verifies every byte, beside the generator of these benches, whose replies the kernel throws away.
fn verified(pace: &Pace) -> Result<[Row; 2], Box<dyn Error>> {
    let (connections, in_flight, payload_len) = SHAPE;
    pace.say("the load engine, verified beside unverified");
    let host = Host::start(&Setup::echo(Kind::Ours, pace.cores.server()), None)?;
    let plan = plan(host.addr, pace);
    // Frames a second, and seconds of CPU a frame.
    let (mut engine, mut unverified) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..pace.rounds {
        let mut generator = Generator::connect(host.addr, connections, payload_len)?;
        let outcome = generator.run(&host, InFlight::Each(in_flight as usize), pace.span)?;
        unverified[0].push(outcome.frames_per_second);
        unverified[1].push(outcome.load_busy / outcome.frames_per_second);
        let outcome = run(&plan)?;
        engine[0].push(outcome.frames_per_second);
        engine[1].push(outcome.generator_busy.iter().sum::<f64>() / outcome.frames_per_second);
    }
    let row = |what: &str, at: usize, wanted| Row {
        goal: 12,
        what: format!("{connections} × {in_flight} × {payload_len} B"),
        measure: format!("{what}, every byte verified ÷ none"),
        wanted,
        samples: ratios(&engine[at], &unverified[at]),
    };
    Ok([row("frames/s", 0, Wanted::AtLeast(1.0)), row("the load's CPU a frame", 1, Wanted::Nothing)])
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
            rates.push(run(plan)?.rate_reached);
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
    Plan {
        connections,
        in_flight: Some(in_flight),
        payload: Sizes::Fixed(payload_len),
        warm_up: pace.span.warm_up,
        duration: pace.span.counted,
        ..Plan::new(Target::Tcp(vec![addr]))
    }
}

fn run(plan: &Plan) -> Result<Outcome, Box<dyn Error>> {
    let outcome = load::run(plan, &mut |_| Wish::GoOn)?;
    match outcome.failures.first() {
        None => Ok(outcome),
        Some(failure) => Err(format!("the load engine: {failure}").into()),
    }
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
