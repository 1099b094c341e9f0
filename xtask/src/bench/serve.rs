//! Goal 6, end to end: our server beside the two of tokio, in turn, on every shape.

use std::error::Error;

use super::generator::{Generator, InFlight, Outcome};
use super::host::Host;
use super::peers::Kind;
use super::table::{Row, Table, Wanted, bytes, median, number, ratios};
use super::{Findings, Pace};

/// Connections, frames in flight on each, payload.
const SHAPES: [(usize, usize, usize); 7] =
    [(50, 64, 64), (50, 1, 64), (50, 16, 1 << 10), (10, 4, 64 << 10), (2, 2, 1 << 20), (1, 1, 64), (1000, 4, 64)];

/// The shapes, by number, on which more is wanted.
const FASTER_ON: [usize; 2] = [0, 2];

/// Measures every shape.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn measure(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let kinds = [Kind::Ours, Kind::TokioSend, Kind::TokioFeed];
    let hosts = kinds.map(|kind| Host::start(kind, pace.cores.server()));
    let hosts = hosts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut figures = figures();
    let wanted = |index: usize| pace.shapes.is_empty() || pace.shapes.contains(&(index + 1));
    for (index, shape) in SHAPES.into_iter().enumerate().filter(|(index, _)| wanted(*index)) {
        pace.say(&format!("end to end, {}", name(shape)));
        let outcomes = measure_shape(&hosts, shape, pace)?;
        findings.rows.extend(rows_of(shape, FASTER_ON.contains(&index), &outcomes));
        let lines = hosts.iter().zip(&outcomes).map(|(host, outcomes)| line(host.kind, shape, outcomes));
        figures.rows.extend(lines);
    }
    findings.figures.push(("End to end, medians".into(), figures));
    Ok(())
}

fn name((connections, in_flight, payload_len): (usize, usize, usize)) -> String {
    format!("{connections} × {in_flight} × {}", bytes(payload_len))
}

/// For each host its outcomes, round by round. The order turns with every round. A first round is not counted: what the kernel
/// copies frames into may then be memory that the machine has to get first, which takes the load three times as long.
fn measure_shape(
    hosts: &[Host],
    (connections, in_flight, payload_len): (usize, usize, usize),
    pace: &Pace,
) -> Result<Vec<Vec<Outcome>>, Box<dyn Error>> {
    let mut outcomes = vec![Vec::new(); hosts.len()];
    for round in 0..=pace.rounds {
        for turn in 0..hosts.len() {
            let which = if round % 2 == 0 { turn } else { hosts.len() - 1 - turn };
            let mut generator = Generator::connect(hosts[which].addr, connections, payload_len)?;
            let outcome = generator.run(&hosts[which], InFlight::Each(in_flight), pace.span)?;
            if round > 0 {
                outcomes[which].push(outcome);
            }
        }
    }
    Ok(outcomes)
}

/// Ours against the peer that is better, measure by measure: the one with the better median.
fn rows_of(shape: (usize, usize, usize), faster: bool, outcomes: &[Vec<Outcome>]) -> Vec<Row> {
    let of = |outcomes: &[Outcome], take: fn(&Outcome) -> f64| outcomes.iter().map(take).collect::<Vec<f64>>();
    let (ours, peers) = (&outcomes[0], &outcomes[1..]);
    let row = |measure: &str, wanted, take: fn(&Outcome) -> f64, more_is_better: bool| {
        let mut peers: Vec<Vec<f64>> = peers.iter().map(|outcomes| of(outcomes, take)).collect();
        peers.sort_by(|a, b| median(a).total_cmp(&median(b)));
        let best = if more_is_better { &peers[peers.len() - 1] } else { &peers[0] };
        Row { goal: 6, what: name(shape), measure: measure.into(), wanted, samples: ratios(&of(ours, take), best) }
    };
    let throughput = Wanted::AtLeast(if faster { 1.5 } else { 1.0 });
    vec![
        row("frames/s ÷ better tokio's", throughput, |outcome| outcome.frames_per_second, true),
        row("p99 ÷ better tokio's", Wanted::AtMost(1.0), |outcome| outcome.p99, false),
        row("CPU a frame ÷ better tokio's", Wanted::Nothing, |outcome| outcome.cpu_per_frame, false),
    ]
}

fn figures() -> Table {
    let header = vec!["shape", "server", "frames/s", "CPU/frame, ns", "p50, µs", "p99, µs", "server busy", "load busy"];
    Table { header, text_columns: 2, rows: Vec::new() }
}

fn line(kind: Kind, shape: (usize, usize, usize), outcomes: &[Outcome]) -> Vec<String> {
    let takes: [fn(&Outcome) -> f64; 6] = [
        |outcome| outcome.frames_per_second,
        |outcome| outcome.cpu_per_frame,
        |outcome| outcome.p50,
        |outcome| outcome.p99,
        |outcome| outcome.server_busy,
        |outcome| outcome.load_busy,
    ];
    let figures = takes.map(|take| number(median(&outcomes.iter().map(take).collect::<Vec<_>>())));
    [name(shape), kind.name().into()].into_iter().chain(figures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_peer_is_the_one_of_the_measure() {
        let outcome = |frames_per_second, p99| Outcome {
            replies_in_all: 1,
            frames_per_second,
            cpu_per_frame: 1.0,
            server_busy: 1.0,
            load_busy: 1.0,
            p50: 1.0,
            p99,
        };
        let outcomes = [vec![outcome(30.0, 4.0)], vec![outcome(20.0, 2.0)], vec![outcome(10.0, 1.0)]];
        let rows = rows_of((1, 1, 1), true, &outcomes);
        let samples: Vec<_> = rows.iter().map(|row| (row.samples[0], row.met())).collect();
        assert_eq!(samples, [(1.5, Some(true)), (4.0, Some(false)), (1.0, None)]);
    }
}
