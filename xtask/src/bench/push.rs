//! Goal 11, push: each sender's frames go to every receiver.

mod load;

use std::error::Error;

use super::peers::{Kind, Service};
use super::rounds::{CPU, PEAK, RATE, Rounds, figures};
use super::table::{Wanted, bytes};
use super::{Findings, Pace};

use load::{Load, Shape};

const SHAPES: [Shape; 4] = [
    Shape { senders: 1, receivers: 1000, connections: 1001, payload_len: 64, ahead: 64 },
    Shape { senders: 1, receivers: 1000, connections: 1001, payload_len: 64, ahead: 1 },
    Shape { senders: 1, receivers: 1000, connections: 1001, payload_len: 16 << 10, ahead: 8 },
    Shape { senders: 100, receivers: 100, connections: 100, payload_len: 256, ahead: 16 },
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
        let service = Service::Push { ahead: shape.senders * shape.ahead };
        let rounds = Rounds::run(
            (11, name(shape)),
            &KINDS,
            service,
            pace,
            |_| Ok(()),
            |host| Load::run(shape, host, pace.span),
        )?;
        let best = ("best tokio's", &KINDS[1..]);
        findings.rows.extend([RATE, CPU, PEAK].map(|measure| rounds.ratio(measure, best, Wanted::Nothing)));
        rounds.add_to(&mut figures);
    }
    let title = "Push, medians: frames delivered; p50 and p99 are until the slowest receiver has a frame";
    findings.figures.push((title.into(), figures));
    Ok(())
}

fn name(shape: Shape) -> String {
    let Shape { senders, receivers, payload_len, ahead, .. } = shape;
    format!("{senders} → {receivers} × {}, {ahead} ahead", bytes(payload_len))
}
