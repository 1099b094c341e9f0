//! Servers under load in turn, and what comes of it: ratios, and a table of figures.

use std::error::Error;

use super::Pace;
use super::host::Host;
use super::outcome::Outcome;
use super::peers::{Kind, Service, Setup};
use super::table::{Row, Table, Wanted, median, number, ratios};

/// A figure that servers are compared by.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    name: &'static str,
    take: fn(&Outcome) -> f64,
    more_is_better: bool,
}

pub(super) const RATE: Measure =
    Measure { name: "frames/s", take: |outcome| outcome.frames_per_second, more_is_better: true };
pub(super) const P99: Measure = Measure { name: "p99", take: |outcome| outcome.p99, more_is_better: false };
pub(super) const CPU: Measure =
    Measure { name: "CPU a frame", take: |outcome| outcome.cpu_per_frame, more_is_better: false };
pub(super) const PEAK: Measure = Measure { name: "peak memory", take: |outcome| outcome.peak, more_is_better: false };

/// For each server its outcomes, round by round.
pub(super) struct Rounds {
    goal: u8,
    what: String,
    outcomes: Vec<(Kind, Vec<Outcome>)>,
}

impl Rounds {
    /// Runs a load against servers of each kind, each a process of its own and verified before. The order turns with every round. A first round is
    /// not counted: what the kernel copies frames into may then be memory that the machine has to get first, which takes the
    /// load three times as long.
    ///
    /// # Errors
    /// Where a server cannot be run, or the load fails.
    pub(super) fn run(
        (goal, what): (u8, String),
        kinds: &[Kind],
        service: Service,
        pace: &Pace,
        verify: impl Fn(&Host) -> Result<(), Box<dyn Error>>,
        mut load: impl FnMut(&Host) -> Result<Outcome, Box<dyn Error>>,
    ) -> Result<Rounds, Box<dyn Error>> {
        pace.say(&what);
        let mut kinds = kinds.to_vec();
        kinds.extend(pace.before.as_ref().map(|_| Kind::Before));
        let hosts = kinds.iter().map(|kind| match (kind, &pace.before) {
            (Kind::Before, Some(program)) => {
                let setup = Setup::new(Kind::Ours, service, pace.cores.server());
                Host::start(&Setup { program: Some(program.clone()), ..setup }, None)
            }
            _ => Host::start(&Setup::new(*kind, service, pace.cores.server()), None),
        });
        let mut hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let mut outcomes: Vec<_> = kinds.iter().map(|kind| (*kind, Vec::new())).collect();
        for (host, kind) in hosts.iter().zip(&kinds) {
            verify(host).map_err(|error| format!("{what}, {}: {error}", kind.name()))?;
        }
        for round in 0..=pace.rounds {
            for (host, (kind, outcomes)) in hosts.iter().zip(&mut outcomes) {
                let outcome = load(host).map_err(|error| format!("{what}, {}: {error}", kind.name()))?;
                outcomes.extend((round > 0).then_some(outcome));
            }
            hosts.reverse();
            outcomes.reverse();
        }
        outcomes.sort_by_key(|(kind, _)| kinds.iter().position(|known| known == kind));
        Ok(Rounds { goal, what, outcomes })
    }

    /// Ours over the best of these peers: the one with the best median.
    ///
    /// # Panics
    /// Where ours or none of the peers was measured.
    pub(super) fn ratio(&self, measure: Measure, (whose, peers): (&str, &[Kind]), wanted: Wanted) -> Row {
        let of = |kinds: &[Kind]| {
            let of = self.outcomes.iter().filter(|(kind, _)| kinds.contains(kind));
            let mut of: Vec<Vec<f64>> = of.map(|(_, all)| all.iter().map(measure.take).collect()).collect();
            of.sort_by(|a, b| median(a).total_cmp(&median(b)));
            let best = if measure.more_is_better { of.pop() } else { of.into_iter().next() };
            best.expect("one of them was measured")
        };
        let samples = ratios(&of(&[Kind::Ours]), &of(peers));
        Row {
            goal: self.goal,
            what: self.what.clone(),
            measure: format!("{} ÷ {whose}", measure.name),
            wanted,
            samples,
        }
    }

    /// The medians of all figures, a line for each server, below those of `table`.
    pub(super) fn add_to(&self, table: &mut Table) {
        for (kind, outcomes) in &self.outcomes {
            let takes: [fn(&Outcome) -> f64; 7] = [
                RATE.take,
                CPU.take,
                |outcome| outcome.p50,
                P99.take,
                |outcome| outcome.server_busy,
                |outcome| outcome.load_busy,
                PEAK.take,
            ];
            let figures = takes.map(|take| number(median(&outcomes.iter().map(take).collect::<Vec<_>>())));
            table.rows.push([self.what.clone(), kind.name().into()].into_iter().chain(figures).collect());
        }
    }
}

/// A table for [`Rounds::add_to`].
pub(super) fn figures() -> Table {
    let header = vec![
        "what",
        "server",
        "frames/s",
        "CPU/frame, ns",
        "p50, µs",
        "p99, µs",
        "server busy",
        "load busy",
        "peak MiB",
    ];
    Table { header, text_columns: 2, rows: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_peer_is_the_one_of_the_measure() {
        let outcome = |frames_per_second, p99| vec![Outcome { frames_per_second, p99, ..Outcome::default() }];
        let (ours, send, feed) = (outcome(30.0, 4.0), outcome(20.0, 2.0), outcome(10.0, 1.0));
        let outcomes = vec![(Kind::TokioSend, send), (Kind::Ours, ours), (Kind::TokioFeed, feed)];
        let rounds = Rounds { goal: 6, what: String::new(), outcomes };
        let both = [Kind::TokioSend, Kind::TokioFeed];
        let sample = |measure, peers: &[Kind]| rounds.ratio(measure, ("", peers), Wanted::Nothing).samples[0];
        assert_eq!((sample(RATE, &both), sample(P99, &both)), (1.5, 4.0));
        assert_eq!((sample(RATE, &both[1..]), sample(P99, &both[..1])), (3.0, 2.0));
    }
}
