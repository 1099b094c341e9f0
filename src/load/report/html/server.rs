//! What the server took, over time.

use super::chart::{Axis, Chart, LOW, Line, Scale, Shape, Stroke, Unit};
use super::figure::figure as framed;
use crate::load::outcome::{Outcome, ServerSample};

const MIB: f64 = 1_048_576.0;

pub(super) fn figures(outcome: &Outcome) -> String {
    let samples = outcome.server.as_ref().map_or(&[][..], |server| &server.samples);
    if samples.len() < 2 {
        return String::new();
    }
    let cpu = chart(
        samples,
        Axis { name: "part of a core", scale: Scale::from_zero(greatest(samples, |it| it.cores)), unit: Unit::Core },
        "CPU",
        |sample| sample.cores,
    );
    let memory = |sample: &ServerSample| sample.memory as f64 / MIB;
    let memory = chart(
        samples,
        Axis { name: "resident memory", scale: Scale::from_zero(greatest(samples, memory)), unit: Unit::Memory },
        "memory",
        memory,
    );
    let cpu = framed(
        "How busy was the server?",
        &cpu,
        "100 % is one core. A server that has all of its cores answers no more than it does now.",
    );
    let memory = framed(
        "How much memory did the server have?",
        &memory,
        "What it holds in memory. It should level off; what only grows may be a leak.",
    );
    cpu + &memory
}

fn greatest(samples: &[ServerSample], of: impl Fn(&ServerSample) -> f64) -> f64 {
    samples.iter().map(of).fold(0.0, f64::max)
}

fn chart(samples: &[ServerSample], y: Axis, name: &str, of: impl Fn(&ServerSample) -> f64) -> Chart {
    // A sample is of the time since the one before.
    let starts = std::iter::once(0.0).chain(samples.iter().map(|sample| sample.at));
    let end = samples.last().map_or(1.0, |sample| sample.at);
    let points = starts.zip(samples).map(|(start, sample)| (start, Some(of(sample))));
    let points = points.chain(samples.last().map(|last| (end, Some(of(last))))).collect();
    let line = Line { shape: Shape::Steps, ..Line::new("", 1, Stroke::Solid, points) };
    let described = format!("The server's {name} over time.");
    let x = Axis { name: "", scale: Scale::up_to(end), unit: Unit::Clock };
    Chart { x, y, height: LOW, lines: vec![line], marks: Vec::new(), described }
}
