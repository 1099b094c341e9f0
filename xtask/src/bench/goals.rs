//! The goals, and the verdict on each: ratios of ours to the peers', round by round within one run.

use super::Group::{self, *};
use super::figures::{Figure, Figures, median, number};
use super::peers::Kind;
use super::shared::contests::{ASYNCHRONOUS, ASYNCHRONOUS_STREAM, HAND, PLAIN_FORMAT, TOKIO, TOKIO_STREAM};
use Wanted::{AtLeast, AtMost, Faster, Nothing};

/// The measures.
pub(super) const TIME: &str = "ns";
pub(super) const RATE: &str = "frames/s";
pub(super) const CPU: &str = "CPU a frame, ns";
pub(super) const P99: &str = "p99, µs";
pub(super) const PEAK: &str = "peak MiB";
pub(super) const LOAD_CPU: &str = "the load's CPU a frame, ns";

/// What is wanted of a figure, or of its ratio to the peers'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// The peers' time is so many times ours at least.
    Faster(f64),
    /// The row is for information.
    Nothing,
}

/// Those that ours is compared with, and what they are called. The one with the best median counts. Without any, the figure
/// itself is judged.
type Peers = (&'static str, &'static [&'static str]);

pub(super) const OURS: &str = Kind::Ours.name();
const SEND: &str = Kind::TokioSend.name();
const FEED: &str = Kind::TokioFeed.name();
/// tokio's habits to flush, and its ways to push.
pub(super) const BEST: Peers = ("best tokio", &[SEND, FEED, Kind::TokioWide.name(), Kind::TokioQueues.name()]);
pub(super) const LOOP: Peers = ("plain loop", &[Kind::Plain.name()]);
const DEFAULT: Peers = ("tokio by default", &[SEND, FEED]);
const BEFORE: Peers = ("before", &["unstick, before"]);
const BY_HAND: Peers = (HAND, &[HAND]);
const UTIL: Peers = (TOKIO, &[TOKIO]);
const ONE: Peers = ("one thread", &["one thread"]);
const COUNTED: Peers = ("replies counted", &["replies counted"]);
const NOBODY: Peers = ("", &[]);

/// Small payloads: more is wanted there.
const SMALL: &[&str] = &["0 B", "8 B", "16 B", "64 B"];
const ALL: &[&str] = &[];
const WAYS: &[&str] = &["feed", "cursor", "in place"];
const US: &[&str] = &[OURS];

/// Group, whose figures (all but the peers' where nobody is named), the measures, over whose, in which contests (as they begin;
/// all where none is named), and what is wanted.
#[derive(Debug)]
struct Goal(Group, &'static [&'static str], &'static [&'static str], Peers, &'static [&'static str], Wanted);

/// The first that fits a figure and these peers counts.
const GOALS: &[Goal] = &[
    Goal(Decode, WAYS, &[TIME], BY_HAND, SMALL, AtMost(1.3)),
    Goal(Decode, WAYS, &[TIME], BY_HAND, ALL, AtMost(1.15)),
    Goal(Decode, &["slice"], &[TIME], BY_HAND, ALL, AtMost(1.3)),
    Goal(Decode, WAYS, &[TIME], UTIL, SMALL, Faster(8.0)),
    Goal(Decode, WAYS, &[TIME], UTIL, ALL, Faster(1.0)),
    Goal(Owned, &["decoder"], &[TIME], UTIL, SMALL, Faster(2.5)),
    Goal(Owned, &["stream"], &[TIME], (TOKIO, &[TOKIO_STREAM]), SMALL, Faster(2.5)),
    Goal(Owned, &["decoder"], &[TIME], (ASYNCHRONOUS, &[ASYNCHRONOUS]), ALL, Faster(1.0)),
    Goal(Owned, &["stream"], &[TIME], (ASYNCHRONOUS, &[ASYNCHRONOUS_STREAM]), ALL, Faster(1.0)),
    Goal(Encode, &["encoder"], &[TIME], BY_HAND, ALL, AtMost(1.2)),
    Goal(Encode, &["encoder"], &[TIME], UTIL, SMALL, Faster(2.5)),
    Goal(Formats, ALL, &[TIME], (PLAIN_FORMAT, &[PLAIN_FORMAT]), ALL, AtMost(1.5)),
    Goal(Splits, &["twice", "ten times"], &[TIME], ("once", &["once"]), ALL, AtMost(1.2)),
    Goal(Splits, WAYS, &[TIME], ("memcpy", &["memcpy"]), ALL, AtMost(2.0)),
    Goal(Serve, US, &[RATE], BEST, &["50 × 64 × 64 B"], AtLeast(1.5)),
    Goal(Serve, US, &[RATE], BEST, &["50 × 16 × 1 KiB"], AtLeast(1.35)),
    Goal(Serve, US, &[RATE], BEST, ALL, AtLeast(1.0)),
    Goal(Serve, US, &[P99], BEST, ALL, AtMost(1.0)),
    Goal(Serve, US, &[CPU], BEST, ALL, Nothing),
    Goal(Serve, US, &[RATE], LOOP, &["50 × 64 × 64 B"], AtLeast(0.92)),
    Goal(Serve, US, &[RATE, CPU], LOOP, ALL, Nothing),
    Goal(Serve, US, &[RATE, CPU], BEFORE, ALL, Nothing),
    Goal(Own, US, &[RATE], DEFAULT, ALL, AtLeast(1.3)),
    Goal(Own, US, &[RATE], BEST, ALL, AtLeast(1.0)),
    Goal(Own, US, &[P99, CPU], BEST, ALL, Nothing),
    Goal(Memory, US, &["resident bytes a connection"], NOBODY, ALL, AtMost(1024.0)),
    Goal(Memory, US, &["resident MiB in all"], NOBODY, ALL, AtMost(12.0)),
    Goal(Memory, US, &["part kept after the burst"], NOBODY, ALL, AtMost(0.1)),
    Goal(Connections, &["unstick, 10000"], &[CPU], ("10 connections", &["unstick, 10"]), ALL, AtMost(1.5)),
    Goal(Connections, &["tokio, 10000"], &[CPU], ("10 connections", &["tokio, 10"]), ALL, Nothing),
    Goal(Threads, &["two threads"], &[RATE], ONE, &["handler that works"], AtLeast(1.6)),
    Goal(Threads, &["two threads"], &[RATE], ONE, ALL, Nothing),
    Goal(Calls, US, &["reads a frame", "writes a frame", "waits a frame"], NOBODY, ALL, AtMost(1.01)),
    Goal(Waiting, US, &[RATE], BEST, ALL, AtLeast(1.1)),
    Goal(Waiting, US, &[CPU], BEST, ALL, AtMost(1.0)),
    Goal(Waiting, US, &[P99], BEST, ALL, Nothing),
    Goal(Waiting, US, &["resident bytes a connection"], NOBODY, ALL, AtMost(1536.0)),
    Goal(Waiting, US, &["connections without their reply"], NOBODY, ALL, AtMost(0.0)),
    Goal(Push, US, &[RATE], BEST, &["1 → 1000 × 64 B, 64 ahead"], AtLeast(1.5)),
    Goal(Push, US, &[RATE], BEST, &["1 → 1000 × 64 B, 1 ahead"], AtLeast(1.0)),
    Goal(Push, US, &[CPU], BEST, &["1 → 1000 × 64 B, 1 ahead"], AtMost(1.0)),
    Goal(Push, US, &[RATE], BEST, &["1 → 1000 × 16 KiB, 8 ahead"], AtLeast(1.4)),
    Goal(Push, US, &[PEAK], NOBODY, &["1 → 1000 × 16 KiB, 8 ahead"], AtMost(10.0)),
    Goal(Push, US, &[RATE], BEST, &["100 → 100 × 256 B, 16 ahead"], AtLeast(2.0)),
    Goal(Push, US, &[P99, CPU, PEAK], BEST, ALL, Nothing),
    Goal(Tls, US, &[RATE], BEST, &["50 × 16 × 1 KiB"], AtLeast(1.1)),
    Goal(Tls, US, &[RATE], BEST, ALL, AtLeast(1.05)),
    Goal(Tls, US, &[P99, CPU], BEST, ALL, Nothing),
    Goal(Load, &["every byte verified"], &[RATE], COUNTED, ALL, AtLeast(1.0)),
    Goal(Load, &["every byte verified"], &[LOAD_CPU], COUNTED, ALL, Nothing),
    Goal(Load, &["two threads"], &[RATE], ONE, ALL, AtLeast(1.7)),
    Goal(Codec, &["ours"], &[TIME], ("its codec", &["theirs"]), ALL, Faster(1.0)),
    Goal(Codec, &["ours, Bytes"], &[TIME], ("its codec", &["theirs, Bytes"]), ALL, Faster(1.0)),
];

/// What a run says of a goal in one contest.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) figure: &'a Figure,
    pub(super) peers: &'static str,
    wanted: Wanted,
    /// Of each round.
    samples: Vec<f64>,
}

/// Whether a goal is met: only if every round says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    /// Some rounds meet it, and some do not.
    Level,
    Missed,
}

/// All rows of a run, in the order of the goals.
pub(super) fn rows(figures: &Figures) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for goal in GOALS {
        for figure in &figures.figures {
            let of_it = |row: &Row<'_>| std::ptr::eq(row.figure, figure) && row.peers == goal.3.0;
            if !rows.iter().any(of_it)
                && let Some(samples) = goal.samples(figure, figures)
            {
                rows.push(Row { figure, peers: goal.3.0, wanted: goal.5, samples });
            }
        }
    }
    rows
}

impl Goal {
    /// What is judged by this goal, where it is about such a figure.
    fn samples(&self, Figure { group, what, who, measure, samples }: &Figure, all: &Figures) -> Option<Vec<f64>> {
        let Goal(of, whose, measures, (_, peers), contests, wanted) = self;
        let is_ours = if whose.is_empty() { !peers.contains(&&**who) } else { whose.contains(&&**who) };
        let begins =
            |begin: &&str| what.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with(','));
        let is_one = contests.is_empty() || contests.iter().any(begins);
        if !(is_ours && is_one && of == group && measures.contains(&&**measure)) {
            return None;
        }
        if peers.is_empty() {
            return Some(samples.clone());
        }
        let cost = |samples: &[f64]| if measure == RATE { -median(samples) } else { median(samples) };
        let theirs = peers.iter().filter_map(|who| all.of(*group, what, who, measure));
        let theirs = theirs.min_by(|one, other| cost(one).total_cmp(&cost(other)))?;
        let ratio =
            |(ours, theirs): (&f64, &f64)| if matches!(wanted, Faster(_)) { theirs / ours } else { ours / theirs };
        Some(samples.iter().zip(theirs).map(ratio).collect())
    }
}

impl Row<'_> {
    /// The least, the median and the greatest.
    pub(super) fn spread(&self) -> [f64; 3] {
        let least = self.samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        [least, median(&self.samples), most]
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        let [least, _, most] = self.spread();
        let (worst, best, limit) = match self.wanted {
            AtLeast(limit) | Faster(limit) => (least, most, limit),
            AtMost(limit) => (-most, -least, -limit),
            Nothing => return None,
        };
        Some(match (worst >= limit, best >= limit) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::Level,
            (false, false) => Verdict::Missed,
        })
    }

    /// What is measured, over whose, and what is wanted.
    pub(super) fn title(&self) -> String {
        let measure = self.figure.measure.split(", ").next().unwrap_or_default();
        let measure = if measure == TIME { "time" } else { measure };
        let over = if self.peers.is_empty() { String::new() } else { format!(" ÷ {}'s", self.peers) };
        match self.wanted {
            AtLeast(limit) => format!("{measure}{over} ≥ {limit}"),
            AtMost(limit) => format!("{measure}{over} ≤ {limit}"),
            Faster(limit) => format!("speed{over} ≥ {limit}"),
            Nothing => format!("{measure}{over}"),
        }
    }

    /// Whose figure, and of what.
    pub(super) fn subject(&self) -> String {
        let Figure { what, who, .. } = self.figure;
        if who == OURS { what.clone() } else { format!("{who}, {what}") }
    }

    pub(super) fn range(&self) -> String {
        let [least, _, most] = self.spread().map(number);
        if least == most { least } else { format!("{least}–{most}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(Group, &str, &str, &str, &[f64])]) -> Figures {
        let mut figures = Figures::default();
        all.iter().for_each(|(group, what, who, measure, samples)| figures.add(*group, (what, who), measure, samples));
        figures
    }

    #[test]
    fn a_verdict_needs_all_rounds_and_the_best_peer_is_the_one_of_the_measure() {
        let judged = |rates: &[f64]| {
            let of = |who: &'static str, rates| (Serve, "1 × 1 × 64 B", who, RATE, rates);
            rows(&figures(&[of(OURS, rates), of(SEND, &[0.1; 3]), of(FEED, &[1.0; 3])]))[0].verdict()
        };
        assert_eq!(judged(&[1.0, 1.2, 1.1]), Some(Verdict::Met));
        assert_eq!(judged(&[0.99, 1.2, 1.1]), Some(Verdict::Level));
        assert_eq!(judged(&[0.9, 0.8, 0.99]), Some(Verdict::Missed));
        let late = |who: &'static str, p99: &'static [f64]| (Serve, "1 × 1 × 64 B", who, P99, p99);
        let late = figures(&[late(OURS, &[4.0]), late(SEND, &[2.0]), late(FEED, &[5.0])]);
        assert_eq!((rows(&late)[0].range(), rows(&late)[0].verdict()), ("2.00".into(), Some(Verdict::Missed)));
    }

    #[test]
    fn the_first_goal_that_fits_counts_and_speed_is_the_inverse_of_time() {
        let of = |what| [(Decode, what, "cursor", TIME, &[2.0][..]), (Decode, what, TOKIO, TIME, &[6.0][..])];
        let figures = figures(&[of("64 B, no copy"), of("64 KiB")].concat());
        let found: Vec<_> = rows(&figures).iter().map(|row| (row.wanted, row.range(), row.subject())).collect();
        let row = |wanted, subject: &str| (Faster(wanted), "3.00".into(), subject.into());
        assert_eq!(found, [row(8.0, "cursor, 64 B, no copy"), row(1.0, "cursor, 64 KiB")]);
    }
}
