//! Goal 6, end to end, goal 10, handlers that wait, and goal 12, TLS: our server beside tokio's and the plain loop, on every shape.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use unstick::load::{Plan, Tls};

use super::drive;
use super::host::Host;
use super::peers::{Kind, OWN, Service, TOKIO};
use super::rounds::{CPU, P99, RATE, Rounds, figures};
use super::table::{Wanted, bytes};
use super::{Findings, Pace};
use crate::certificate::{self, Certificate};

/// Connections, frames in flight on each, payload.
type Shape = (usize, u32, usize);

const SHAPES: [Shape; 7] =
    [(50, 64, 64), (50, 1, 64), (50, 16, 1 << 10), (10, 4, 64 << 10), (2, 2, 1 << 20), (1, 1, 64), (1000, 4, 64)];
/// The shapes on which more is wanted.
const FASTER_ON: [Shape; 2] = [SHAPES[0], SHAPES[2]];
/// The shapes where a server's own payloads are measured, too: many bytes in flight.
const LARGE: [Shape; 4] = [SHAPES[0], SHAPES[2], SHAPES[3], SHAPES[4]];
/// The shapes over TLS, and how many times the best tokio's rate is wanted.
const SEALED: [(Shape, f64); 2] = [(SHAPES[2], 1.1), (SHAPES[3], 1.05)];
const WAITING: Shape = (1000, 1, 64);
/// How long a handler waits.
const WAIT: Duration = Duration::from_millis(10);

const BEST: (&str, &[Kind]) = ("best tokio's", &TOKIO);
const BEST_TLS: (&str, &[Kind]) = ("best tokio-rustls's", &TOKIO);
const DEFAULT: (&str, &[Kind]) = ("tokio's by default", &[Kind::TokioSend, Kind::TokioFeed]);
const BEFORE: (&str, &[Kind]) = ("before", &[Kind::Before]);
const PLAIN: (&str, &[Kind]) = ("plain loop's", &[Kind::Plain]);

/// Measures echoes on every shape.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn echo(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let mut figures = figures();
    for shape in pace.chosen(&SHAPES) {
        let kinds = [&[Kind::Ours, Kind::Plain], &TOKIO[..]].concat();
        let rounds = run((6, name(shape)), &kinds, Service::Echo { hashes: 0 }, shape, pace)?;
        let rate = Wanted::AtLeast(if FASTER_ON.contains(&shape) { 1.5 } else { 1.0 });
        findings.rows.extend([
            rounds.ratio(RATE, BEST, rate),
            rounds.ratio(P99, BEST, Wanted::AtMost(1.0)),
            rounds.ratio(CPU, BEST, Wanted::Nothing),
            rounds.ratio(RATE, PLAIN, Wanted::Nothing),
            rounds.ratio(CPU, PLAIN, Wanted::Nothing),
        ]);
        findings.rows.extend(
            pace.before.iter().flat_map(|_| [RATE, CPU].map(|measure| rounds.ratio(measure, BEFORE, Wanted::Nothing))),
        );
        rounds.add_to(&mut figures);
    }
    findings.figures.push(("End to end, medians".into(), figures));
    Ok(())
}

/// Measures answers with a payload of the server's own.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn own(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let mut figures = figures();
    for shape in pace.chosen(&LARGE) {
        let kinds = [&[Kind::Ours], &TOKIO[..]].concat();
        let rounds = run((6, format!("{}, own payload", name(shape))), &kinds, Service::Own, shape, pace)?;
        findings.rows.extend([
            rounds.ratio(RATE, DEFAULT, Wanted::AtLeast(1.3)),
            rounds.ratio(RATE, BEST, Wanted::AtLeast(1.0)),
            rounds.ratio(CPU, BEST, Wanted::Nothing),
        ]);
        rounds.add_to(&mut figures);
    }
    findings.figures.push(("Own payloads, medians".into(), figures));
    Ok(())
}

/// Measures echoes over TLS.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn sealed(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let mut figures = figures();
    for (shape, wanted) in pace.chosen(&SEALED) {
        let kinds = [&[Kind::Ours], &TOKIO[..]].concat();
        let rounds = run((12, format!("{}, over TLS", name(shape))), &kinds, Service::Sealed, shape, pace)?;
        findings.rows.extend([
            rounds.ratio(RATE, BEST_TLS, Wanted::AtLeast(wanted)),
            rounds.ratio(P99, BEST_TLS, Wanted::Nothing),
            rounds.ratio(CPU, BEST_TLS, Wanted::Nothing),
        ]);
        rounds.add_to(&mut figures);
    }
    findings.figures.push(("Over TLS, medians".into(), figures));
    Ok(())
}

/// Measures handlers that wait.
///
/// # Errors
/// Where a peer cannot be run or fails.
pub(super) fn waiting(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    let mut figures = figures();
    let kinds = [&[Kind::Ours], &TOKIO[..]].concat();
    let what = format!("{}, handler waits 10 ms", name(WAITING));
    let rounds = run((10, what), &kinds, Service::Wait(WAIT), WAITING, pace)?;
    findings.rows.extend([rounds.ratio(RATE, BEST, Wanted::Nothing), rounds.ratio(CPU, BEST, Wanted::Nothing)]);
    rounds.add_to(&mut figures);
    findings.figures.push(("Handlers that wait, medians".into(), figures));
    Ok(())
}

fn run(
    what: (u8, String),
    kinds: &[Kind],
    service: Service,
    (connections, in_flight, payload_len): Shape,
    pace: &Pace,
) -> Result<Rounds, Box<dyn Error>> {
    let plan = |addr| {
        let tls = (service == Service::Sealed).then(|| Tls::new(Certificate::own().client(), certificate::name()));
        Plan { in_flight: Some(in_flight), tls, ..drive::plan(addr, connections, payload_len, pace.span) }
    };
    let verify = |host: &Host| match service {
        Service::Own => verify_own(host.addr, payload_len),
        _ => drive::verify(&plan(host.addr)),
    };
    Rounds::run(what, kinds, service, pace, verify, |host| drive::run(host, &plan(host.addr)))
}

/// Has one frame answered, by a payload of the peer's own.
fn verify_own(addr: SocketAddr, payload_len: usize) -> Result<(), Box<dyn Error>> {
    let mut socket = TcpStream::connect(addr)?;
    let mut frame = (payload_len as u32).to_le_bytes().to_vec();
    frame.resize(4 + payload_len, 0);
    socket.write_all(&frame)?;
    let mut reply = vec![0; frame.len()];
    socket.read_exact(&mut reply)?;
    frame[4..].fill(OWN);
    if reply == frame { Ok(()) } else { Err("the reply is not of the peer's own bytes".into()) }
}

fn name((connections, in_flight, payload_len): Shape) -> String {
    format!("{connections} × {in_flight} × {}", bytes(payload_len))
}
