//! Goal 8, cost as work grows: CPU a frame over connections, and a second thread.

use std::error::Error;

use unstick::load::Plan;

use super::drive;
use super::host::Host;
use super::outcome::Outcome;
use super::peers::{Kind, Service, Setup};
use super::table::{Row, Table, Wanted, bytes, median, number, ratios};
use super::{Findings, Pace};
use crate::child;

const PAYLOAD_LEN: usize = 64;
/// Connections that are compared; the frames in flight are the same in all.
const CONNECTIONS: [usize; 4] = [10, 100, 1000, 10_000];
/// Frames in flight, in all, that are compared; the first is the plot's.
const IN_FLIGHT: [u32; 2] = [10, 100];

/// How often a handler hashes its payload of 64 bytes where two threads are compared: about 20 µs a frame, so that the
/// load, which shares their cores, takes little of them.
const WORK: u32 = 200;

/// Measures CPU a frame over connections.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn connections(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let counts: &[usize] = if pace.quick { &CONNECTIONS[..2] } else { &CONNECTIONS };
    let header = vec!["in flight", "connections", "server", "CPU/frame, ns", "p99, µs", "server busy", "load busy"];
    let mut figures = Table { header, text_columns: 3, rows: Vec::new() };
    for in_flight in IN_FLIGHT {
        for kind in [Kind::Ours, Kind::TokioFeed] {
            pace.say(&format!("CPU over connections, {in_flight} in flight, {}", kind.name()));
            let outcomes = over_connections(kind, counts, in_flight, pace)?;
            let cpu = |which: usize| outcomes[which].iter().map(|outcome| outcome.cpu_per_frame).collect::<Vec<_>>();
            let last = counts.len() - 1;
            findings.rows.push(Row {
                goal: 8,
                what: format!("{}, {in_flight} in flight in all", kind.name()),
                measure: format!("CPU a frame, {} connections ÷ {}", counts[last], counts[0]),
                wanted: if kind == Kind::Ours { Wanted::AtMost(1.5) } else { Wanted::Nothing },
                samples: ratios(&cpu(last), &cpu(0)),
            });
            for (count, outcomes) in counts.iter().zip(&outcomes) {
                let of = |take: fn(&Outcome) -> f64| median(&outcomes.iter().map(take).collect::<Vec<_>>());
                let cpu = of(|outcome| outcome.cpu_per_frame);
                if in_flight == IN_FLIGHT[0] {
                    findings.cost.push((kind, *count, cpu));
                }
                let p99 = of(|outcome| outcome.p99);
                let busy = [of(|outcome| outcome.server_busy), of(|outcome| outcome.load_busy)];
                let numbers = [cpu, p99].into_iter().chain(busy).map(number);
                let names = [in_flight.to_string(), count.to_string(), kind.name().into()];
                figures.rows.push(names.into_iter().chain(numbers).collect());
            }
        }
    }
    findings.figures.push((format!("CPU a frame over connections, {}, medians", bytes(PAYLOAD_LEN)), figures));
    Ok(())
}

/// For each number of connections its outcomes, round by round; each number has a process of its own.
fn over_connections(
    kind: Kind,
    counts: &[usize],
    in_flight: u32,
    pace: &Pace,
) -> Result<Vec<Vec<Outcome>>, Box<dyn Error>> {
    let mut loaded = Vec::new();
    for count in counts {
        let host = Host::start(&Setup::echo(kind, pace.cores.server()), None)?;
        let plan = drive::plan(host.addr, *count, PAYLOAD_LEN, pace.span);
        drive::verify(&plan)?;
        loaded.push((host, Plan { in_flight_in_all: Some(in_flight), ..plan }));
    }
    let mut outcomes = vec![Vec::new(); counts.len()];
    for _ in 0..pace.rounds {
        for ((host, plan), outcomes) in loaded.iter().zip(&mut outcomes) {
            outcomes.push(drive::run(host, plan)?);
        }
    }
    Ok(outcomes)
}

/// Measures one thread of the server against two, with a handler that works; load and server share all the cores.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn threads(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    child::stay_on(&pace.cores.all)?;
    let header = vec!["handler", "threads", "frames/s", "CPU/frame, ns", "server busy", "load busy"];
    let mut figures = Table { header, text_columns: 2, rows: Vec::new() };
    for (handler, work, wanted) in [("works 20 µs", WORK, Wanted::AtLeast(1.6)), ("plain", 0, Wanted::Nothing)] {
        pace.say(&format!("two threads, the handler {handler}"));
        let outcomes = over_threads(work, pace)?;
        let rates = outcomes
            .each_ref()
            .map(|outcomes| outcomes.iter().map(|outcome| outcome.frames_per_second).collect::<Vec<f64>>());
        findings.rows.push(Row {
            goal: 8,
            what: format!("50 × 16 × 64 B, handler {handler}"),
            measure: "frames/s, two threads ÷ one".into(),
            wanted,
            samples: ratios(&rates[1], &rates[0]),
        });
        for (threads, outcomes) in ["1", "2"].into_iter().zip(&outcomes) {
            let takes: [fn(&Outcome) -> f64; 4] = [
                |outcome| outcome.frames_per_second,
                |outcome| outcome.cpu_per_frame,
                |outcome| outcome.server_busy,
                |outcome| outcome.load_busy,
            ];
            let numbers = takes.map(|take| number(median(&outcomes.iter().map(take).collect::<Vec<_>>())));
            figures.rows.push([handler.into(), threads.into()].into_iter().chain(numbers).collect());
        }
    }
    findings.figures.push(("A second thread, server and load on the same cores, medians".into(), figures));
    Ok(child::stay_on(pace.cores.load())?)
}

fn over_threads(hashes: u32, pace: &Pace) -> Result<[Vec<Outcome>; 2], Box<dyn Error>> {
    let one = Setup::new(Kind::Ours, Service::Echo { hashes }, &pace.cores.all);
    let two = Setup { threads: one.threads.saturating_add(1), ..one.clone() };
    let hosts = [Host::start(&one, None)?, Host::start(&two, None)?];
    let mut outcomes = [Vec::new(), Vec::new()];
    for round in 0..pace.rounds {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let plan = drive::plan(hosts[which].addr, 50, PAYLOAD_LEN, pace.span);
            outcomes[which].push(drive::run(&hosts[which], &Plan { in_flight: Some(16), ..plan })?);
        }
    }
    Ok(outcomes)
}
