//! How evenly the connections were served.

use super::chart::{Axis, Chart, LOW, Line, Scale, Stroke, Unit};
use super::figure::figure as framed;
use crate::load::outcome::Outcome;
use crate::load::show::count;

pub(super) fn figure(outcome: &Outcome) -> String {
    let (Some(fairness), 2..) = (outcome.fairness, outcome.shares.len()) else { return String::new() };
    let last = (outcome.shares.len() - 1) as f64;
    let points = outcome.shares.iter().enumerate().map(|(rank, share)| (rank as f64 / last, Some(*share as f64)));
    let middle = vec![(0.0, Some(fairness.median as f64)), (1.0, Some(fairness.median as f64))];
    let chart = Chart {
        x: Axis {
            name: "connections, those with the fewest replies first",
            scale: Scale::up_to(1.0),
            unit: Unit::Part,
        },
        y: Axis { name: "replies", scale: Scale::from_zero(fairness.max as f64), unit: Unit::Count },
        height: LOW,
        lines: vec![
            Line::new("median", 3, Stroke::Dotted, middle),
            Line::new("replies", 1, Stroke::Solid, points.collect()),
        ],
        marks: Vec::new(),
        described: "Replies of each connection, in order.".into(),
    };
    let [min, max] = [fairness.min, fairness.max].map(count);
    let explained = format!(
        "A flat line: each connection got as many replies as the others. Here {min} to {max}; Jain's index is {:.3}, where 1 is \
         even.",
        fairness.jain
    );
    framed("Were connections served alike?", &chart, &explained)
}
