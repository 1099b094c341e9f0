//! A load on a peer: a run of the engine, and what both take meanwhile.
//!
//! Here the peer is to be the limit. So replies are counted and not looked at ([`Reply::Count`]), once [`verify`] has looked at some.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use unstick::framing::Format;
use unstick::load::{self, Plan, Reply, Sizes, Target, Wish};

use super::host::Host;
use super::outcome::{Outcome, Span};
use super::peers::LIMIT;

/// A server that answers nothing for so long has failed.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Connections and frames on which replies are looked at before a peer is measured.
const LOOKED_AT: (usize, u64) = (4, 40);

/// A closed loop on so many connections.
pub(super) fn plan(addr: SocketAddr, connections: usize, payload_len: usize, span: Span) -> Plan {
    Plan {
        connections,
        payload: Sizes::Fixed(payload_len),
        format: Format::U32_LE.with_max_payload_len(LIMIT).expect("four bytes hold it"),
        reply: Reply::Count,
        warm_up: span.warm_up,
        duration: span.counted,
        drain: SILENCE,
        ..Plan::new(Target::Tcp(vec![addr]))
    }
}

/// Has a few frames answered, every byte of which is verified.
///
/// # Errors
/// Where the peer does not send back what it got.
pub(super) fn verify(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let (connections, frames) = LOOKED_AT;
    let span = Span { warm_up: Duration::ZERO, counted: SILENCE };
    let of =
        Plan { reply: Reply::Echo, in_flight: Some(4), in_flight_in_all: None, frames: Some(frames), ..plan.clone() };
    let plan =
        Plan { connections: plan.connections.min(connections), warm_up: span.warm_up, duration: span.counted, ..of };
    engine(&plan, &mut |_| Wish::GoOn).map(drop)
}

/// Carries out a plan; counts what `host` takes in the measured time.
///
/// # Errors
/// Where a connection fails, a frame is not answered, or the peer falls silent.
pub(super) fn run(host: &Host, plan: &Plan) -> Result<Outcome, Box<dyn Error>> {
    // When the measured time begins and ends: the time, and what the host had of its cores.
    let mut looks = Vec::with_capacity(2);
    let marks = [plan.warm_up, plan.warm_up + plan.duration];
    let ran = engine(plan, &mut |progress| {
        if progress.elapsed.is_some_and(|elapsed| marks.get(looks.len()).is_some_and(|mark| elapsed >= *mark)) {
            looks.push((Instant::now(), host.cpu()));
        }
        Wish::GoOn
    })?;
    let [(begin, before), (end, after)] = looks[..] else { return Err("the load ended before its time".into()) };
    // Where a frame has a reply, as many come as are sent; a push goes to many.
    let frames_per_second = if plan.reply == Reply::Push { ran.frames_per_second } else { ran.rate_reached };
    let server_busy = (after - before).as_secs_f64() / (end - begin).as_secs_f64();
    let microseconds = |quantile| ran.service_ns.quantile(quantile).unwrap_or(0) as f64 / 1e3;
    Ok(Outcome {
        replies_in_all: ran.frames_verified,
        frames_per_second,
        cpu_per_frame: server_busy * 1e9 / frames_per_second,
        server_busy,
        load_busy: ran.generator_busy.iter().sum(),
        p50: microseconds(0.5),
        p99: microseconds(0.99),
        peak: host.peak()? as f64 / 1_048_576.0,
    })
}

/// Runs the engine.
///
/// # Errors
/// Whatever is wrong with the run.
pub(super) fn engine(
    plan: &Plan,
    watch: &mut dyn FnMut(load::Progress) -> Wish,
) -> Result<load::Outcome, Box<dyn Error>> {
    let outcome = load::run(plan, watch)?;
    // tokio's servers end their streams without TLS's close_notify, once all is answered.
    let is_cut_off = outcome.frames_lost == 0 && outcome.faults.iter().all(|fault| fault.kind == "cut off");
    match &outcome.failures[..] {
        [] => Ok(outcome),
        [_] if is_cut_off && outcome.fault_count > 0 => Ok(outcome),
        [failure, ..] => Err(format!("the load: {failure}").into()),
    }
}
