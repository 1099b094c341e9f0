//! An outcome as a few aligned lines.

use std::fmt::Write;

use crate::load::outcome::{Fairness, Outcome, ServerUse, Verdict};
use crate::load::plan::{Pacing, Reply};
use crate::load::show::{count, duration, plural};
use crate::load::times::Times;

/// The quantiles that are shown, by name.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
/// A thread of the generator that has more of its core than this may be the limit.
const NEARLY_BUSY: f64 = 0.9;

/// The outcome as text: the verdict, what is wrong, and the numbers.
pub fn text(outcome: &Outcome) -> String {
    let mut lines = vec![verdict(outcome)];
    lines.extend(outcome.failures.iter().map(|failure| format!("  ! {failure}")));
    lines.extend(shards(outcome).map(|shards| labelled("shards", &shards)));
    lines.push(labelled("load", &load(outcome)));
    lines.extend(outcome.rate_asked.map(|asked| labelled("rate", &rate(outcome, asked))));
    if outcome.plan.reply != Reply::None {
        lines.push(labelled("throughput", &throughput(outcome)));
    }
    lines.extend(times(outcome));
    lines.extend(outcome.fairness.map(|shares| labelled("fairness", &fairness(shares))));
    lines.extend(chaos(outcome).map(|ends| labelled("chaos", &ends)));
    lines.extend(outcome.server.as_ref().map(|server| labelled("server", &server_use(outcome, server))));
    lines.push(labelled("generator", &generator(outcome)));
    lines.extend(notes(outcome).iter().map(|note| format!("  * {note}")));
    lines.join("\n")
}

pub(super) fn labelled(label: &str, text: &str) -> String {
    format!("  {label:<12}{text}")
}

fn verdict(outcome: &Outcome) -> String {
    let right = right(outcome);
    match outcome.verdict {
        Verdict::Incomplete => {
            format!("INCOMPLETE: interrupted after {}; {right}", duration((outcome.seconds * 1e9) as u64))
        }
        verdict => format!("{}{right}", shout(verdict)),
    }
}

/// What stands before all else where a verdict is not *verified*.
pub(super) fn shout(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "",
        Verdict::Incomplete => "INCOMPLETE: interrupted; ",
        Verdict::ExpectationMissed => "EXPECTATION MISSED; ",
        Verdict::NotAsAsked => "NOT MEASURED AS ASKED; ",
        Verdict::Wrong => "WRONG; ",
    }
}

/// What was right.
pub(super) fn right(outcome: &Outcome) -> String {
    let frames = count(outcome.frames_verified);
    let connections = plural(outcome.connections_held, "connection");
    if outcome.verdict == Verdict::Wrong {
        return format!("{frames} replies were right");
    }
    match outcome.plan.reply {
        Reply::None => format!("{} frames sent, no reply expected, on {connections}", count(outcome.frames_sent)),
        Reply::Count => format!("{frames} replies counted, whatever is in them, on {connections}"),
        Reply::Push => format!("every byte of {frames} deliveries verified, in order, on {connections}"),
        Reply::Echo if outcome.plan.payload.greatest() == 0 => {
            format!("{frames} replies counted on {connections}; an empty payload has no byte to verify")
        }
        Reply::Echo => format!("every byte of {frames} frames verified, in order, on {connections}"),
    }
}

/// Which part of a run it is, or of which parts it is made.
pub(super) fn shards(outcome: &Outcome) -> Option<String> {
    if let Some(part) = &outcome.part {
        let judged = match &outcome.plan.expectations[..] {
            [] => "",
            _ => "; what is expected is judged when all are merged",
        };
        return Some(format!("only {} of run {}{judged}", part.shard, part.run_id));
    }
    let merged = outcome.merged.as_ref()?;
    let within =
        merged.began_within.map(|within| format!(", begun within {} of each other", duration((within * 1e9) as u64)));
    let clipped = match merged.is_whole {
        true => String::new(),
        false => format!("; the times are of the {} in which all measured", duration((outcome.seconds * 1e9) as u64)),
    };
    let shards = plural(merged.shards as usize, "shard");
    Some(format!("{shards} of run {}{}{clipped}", merged.run_id, within.unwrap_or_default()))
}

pub(super) fn load(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let loops = match plan.pacing {
        Pacing::Closed => "closed loop".into(),
        Pacing::Open { poisson, .. } => format!("open loop, {}", if poisson { "at random times" } else { "evenly" }),
    };
    let bound = plan.bound().map_or("any number".into(), |bound| count(bound.into()));
    let in_flight = match plan.in_flight_in_all {
        Some(frames) => format!(", {} in flight in all", count(frames.into())),
        None => format!(" × {bound} in flight"),
    };
    let tls = if outcome.over_tls { ", over TLS" } else { "" };
    format!(
        "{}{in_flight}{tls}, payloads of {} B, {}, {}, {loops}",
        plural(plan.own_connections(), "connection"),
        plan.payload,
        plan.format.layout(),
        duration((outcome.seconds * 1e9) as u64),
    )
}

fn rate(outcome: &Outcome, asked: f64) -> String {
    let part = outcome.sent_in_time().map_or(String::new(), |part| format!(", {:.1} % of those due", 100.0 * part));
    let backlog = match (outcome.backlog_greatest, outcome.backlog_end) {
        (0, 0) => "never any left to send".into(),
        (greatest, end) => format!("at most {} were due and not sent, {} in the end", count(greatest), count(end)),
    };
    let reached = count(outcome.rate_reached.round() as u64);
    format!("{} frames/s asked for, {reached} sent{part}; {backlog}", count(asked as u64))
}

fn throughput(outcome: &Outcome) -> String {
    let frames = count(outcome.frames_per_second as u64);
    match outcome.plan.payload {
        crate::load::sizes::Sizes::Fixed(len) if outcome.plan.reply != Reply::Count => {
            let megabytes = outcome.frames_per_second * len as f64 / 1e6;
            format!("{frames} frames/s, {megabytes:.1} MB/s of payload each way")
        }
        _ => format!("{frames} frames/s"),
    }
}

fn times(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.reply == Reply::None {
        return Vec::new();
    }
    let closed = outcome.plan.pacing == Pacing::Closed;
    if outcome.is_round_trip() {
        return vec![labelled("round trip", &spread(&outcome.response_ns))];
    }
    let mut lines = vec![
        labelled("response", &format!("{}   (from when a frame was to be sent)", spread(&outcome.response_ns))),
        labelled("service", &format!("{}   (from when it was sent)", spread(&outcome.service_ns))),
    ];
    if !closed {
        lines.push(labelled("send lag", &spread(&outcome.send_lag_ns)));
        lines.push(labelled("  our own", &spread(&outcome.own_lag_ns)));
    }
    lines
}

fn spread(times: &Times) -> String {
    let Some(max) = times.max() else { return "nothing was measured".into() };
    let quantile = |(name, quantile): &(&str, f64)| Some(format!("{name} {}   ", duration(times.quantile(*quantile)?)));
    let quantiles: String = QUANTILES.iter().filter_map(quantile).collect();
    format!("{quantiles}max {}", duration(max))
}

fn fairness(Fairness { min, median, max, jain }: Fairness) -> String {
    let [min, median, max] = [min, median, max].map(count);
    format!("{min} to {max} replies a connection, {median} in the middle; Jain's index {jain:.3} (1 is even)")
}

fn chaos(outcome: &Outcome) -> Option<String> {
    let ends = [
        (outcome.ended_by_reset, "broken off by us"),
        (outcome.ended_by_half_close, "half-closed by us"),
        (outcome.ended_as_slow_readers, "slow readers"),
    ];
    let ends: Vec<String> =
        ends.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    (!ends.is_empty()).then(|| format!("{}, as asked", ends.join(", ")))
}

pub(super) fn server_use(outcome: &Outcome, server: &ServerUse) -> String {
    let mut text = String::new();
    match (server.user_seconds, server.system_seconds) {
        (Some(user), Some(system)) if server.seconds > 0.0 => {
            let percent = |time: f64| 100.0 * time / server.seconds;
            let (user_percent, system_percent) = (percent(user), percent(system));
            let all = user_percent + system_percent;
            _ = write!(text, "{all:.0} % of a core (user {user_percent:.0}, system {system_percent:.0})");
            if let Some(nanoseconds) = outcome.server_ns_a_frame() {
                _ = write!(text, ", {} a frame", duration(nanoseconds as u64));
            }
        }
        _ => text.push_str("CPU not known"),
    }
    if let Some(threads) = server.threads {
        _ = write!(text, ", {}", plural(threads, "thread"));
    }
    let memory = server.peak_memory.map(|bytes| format!(", {:.1} MiB of memory at most", bytes as f64 / 1_048_576.0));
    text + &memory.unwrap_or_default()
}

pub(super) fn generator(outcome: &Outcome) -> String {
    let percent: Vec<String> = outcome.generator_busy.iter().map(|busy| format!("{:.0}", 100.0 * busy)).collect();
    match &percent[..] {
        [] => "nothing was measured".into(),
        [one] => format!("{one} % of a core, 1 thread"),
        several => format!("{} % of a core, {} threads", several.join(", "), several.len()),
    }
}

/// What helps to read the numbers.
pub(super) fn notes(outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    let plan = &outcome.plan;
    let greatest = plan.payload.greatest();
    if plan.reply == Reply::Echo && (1..8).contains(&greatest) {
        let apart = 1u64 << (8 * greatest);
        notes.push(format!(
            "payloads of up to {} tell {} frames in a row of a connection apart, not more, and not always whose they are",
            plural(greatest, "byte"),
            count(apart)
        ));
    }
    let busiest = outcome.generator_busy.iter().copied().fold(0.0, f64::max);
    if plan.pacing == Pacing::Closed && busiest > NEARLY_BUSY {
        notes.push("the generator had nearly all of its core: it may be the limit, and not the server".into());
    }
    notes.extend(response_beside_service(outcome));
    notes
}

/// Why the response time of an open loop is what it is beside the service time.
fn response_beside_service(outcome: &Outcome) -> Option<String> {
    let Pacing::Open { .. } = outcome.plan.pacing else { return None };
    let (response, service) = (outcome.response_ns.quantile(0.99)?, outcome.service_ns.quantile(0.99)?);
    let [response_text, service_text] = [response, service].map(duration);
    let own = outcome.own_lag_ns.quantile(0.99).filter(|own| *own > response / 2).map(duration);
    if let Some(own) = own {
        return Some(format!(
            "the generator itself was late: by {own} or more with 1 % of the frames. So the response time is in part its own, and \
             the service time is nearer to the server's"
        ));
    }
    if response > service.saturating_mul(2) {
        let held = match outcome.plan.in_flight {
            Some(_) => "for a place in flight",
            None => "for its socket",
        };
        return Some(format!(
            "1 % of the frames took {response_text} or more from when they were to be sent, but {service_text} from when they \
             were, as they waited, while the server was slow, {held}: users feel the response time, and the service time hides \
             the wait"
        ));
    }
    Some(
        "response and service time agree: frames were sent when they were to be, and whatever waited, waited in flight"
            .into(),
    )
}
