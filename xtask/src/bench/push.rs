//! Goal 11, push: each sender's frames go to every other connection.

use std::error::Error;

use unstick::load::{Plan, Reply};

use super::drive;
use super::host::Host;
use super::peers::{Kind, Service};
use super::rounds::{CPU, PEAK, RATE, Rounds, figures};
use super::table::{Wanted, bytes};
use super::{Findings, Pace};

/// Who sends how much to whom: each sender's frames go to every other connection.
#[derive(Clone, Copy)]
struct Shape {
    senders: usize,
    connections: usize,
    payload_len: usize,
    /// Frames of a sender that not every other connection has, at most.
    ahead: u32,
}

const SHAPES: [Shape; 4] = [
    Shape { senders: 1, connections: 1001, payload_len: 64, ahead: 64 },
    Shape { senders: 1, connections: 1001, payload_len: 64, ahead: 1 },
    Shape { senders: 1, connections: 1001, payload_len: 16 << 10, ahead: 8 },
    Shape { senders: 100, connections: 100, payload_len: 256, ahead: 16 },
];

/// The servers that push.
const KINDS: [Kind; 5] = [Kind::Ours, Kind::TokioSend, Kind::TokioFeed, Kind::TokioWide, Kind::TokioQueues];

/// Measures every shape.
///
/// # Errors
/// Where a peer cannot be run or fails, or a frame is lost.
pub(super) fn measure(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let mut figures = figures();
    for shape in pace.chosen(&SHAPES) {
        let service = Service::Push { ahead: shape.senders * shape.ahead as usize };
        let load = |host: &Host| {
            let plan = drive::plan(host.addr, shape.connections, shape.payload_len, pace.span);
            let (senders, in_flight) = (Some(shape.senders), Some(shape.ahead));
            // Every byte of every delivery is verified.
            drive::run(host, &Plan { reply: Reply::Push, senders, in_flight, ..plan })
        };
        let rounds = Rounds::run((11, name(shape)), &KINDS, service, pace, |_| Ok(()), load)?;
        let best = ("best tokio's", &KINDS[1..]);
        findings.rows.extend([RATE, CPU, PEAK].map(|measure| rounds.ratio(measure, best, Wanted::Nothing)));
        rounds.add_to(&mut figures);
    }
    findings.figures.push(("Push, medians: frames delivered".into(), figures));
    Ok(())
}

fn name(Shape { senders, connections, payload_len, ahead }: Shape) -> String {
    let receivers = if senders > 1 { connections } else { connections - 1 };
    format!("{senders} → {receivers} × {}, {ahead} ahead", bytes(payload_len))
}
