//! Pieces of code in turn: A B A B, in one process.
//!
//! Counted is the thread's time on its core, which other processes lengthen less than they lengthen the clock's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Pace;
use super::table::{Row, Wanted, ratios};

/// A piece of code with its name. It returns how many units of work it did: frames, mostly.
pub(super) struct Contestant<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> usize + 'a>,
}

pub(super) fn contestant<'a>(name: &'static str, run: impl FnMut() -> usize + 'a) -> Contestant<'a> {
    Contestant { name, run: Box::new(run) }
}

/// Nanoseconds a unit, for each contestant round by round.
#[derive(Debug)]
pub(super) struct Times {
    times: Vec<(&'static str, Vec<f64>)>,
}

/// Runs all of them in turn, as often as the pace says. The order turns with every round.
pub(super) fn contest(pace: &Pace, mut contestants: Vec<Contestant<'_>>) -> Times {
    let repeats: Vec<u32> = contestants.iter_mut().map(|contestant| repeats(contestant, pace.slice)).collect();
    let mut times: Vec<(&str, Vec<f64>)> = contestants.iter().map(|it| (it.name, Vec::new())).collect();
    for round in 0..pace.slices {
        for turn in 0..contestants.len() {
            let which = if round % 2 == 0 { turn } else { contestants.len() - 1 - turn };
            times[which].1.push(time(&mut contestants[which], repeats[which]));
        }
    }
    Times { times }
}

/// How often it runs in a slice of time, at least once. It is warm after that.
fn repeats(contestant: &mut Contestant<'_>, slice: Duration) -> u32 {
    let begin = on_core();
    let mut runs = 0;
    while runs == 0 || on_core() - begin < slice {
        (contestant.run)();
        runs += 1;
    }
    runs
}

fn time(contestant: &mut Contestant<'_>, repeats: u32) -> f64 {
    let begin = on_core();
    let units: usize = (0..repeats).map(|_| (contestant.run)()).sum();
    (on_core() - begin).as_nanos() as f64 / units as f64
}

/// How long this thread was on a core so far.
fn on_core() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Times {
    /// Round by round, of the one with this name.
    pub(super) fn of(&self, name: &str) -> &[f64] {
        let known = self.times.iter().find(|(known, _)| *known == name);
        &known.unwrap_or_else(|| panic!("no contestant is named {name}")).1
    }

    /// How many times the other's time this one takes.
    pub(super) fn time(&self, goal: u8, what: String, name: &str, other: &str, limit: f64) -> Row {
        let samples = ratios(self.of(name), self.of(other));
        Row { goal, what, measure: measure("time", other), wanted: Wanted::AtMost(limit), samples }
    }

    /// How many times as fast as the other this one is.
    pub(super) fn speed(&self, goal: u8, what: String, name: &str, other: &str, limit: f64) -> Row {
        let samples = ratios(self.of(other), self.of(name));
        Row { goal, what, measure: measure("speed", other), wanted: Wanted::AtLeast(limit), samples }
    }
}

fn measure(what: &str, other: &str) -> String {
    format!("{what} ÷ {other}'s")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn contestants_run_in_turn_and_the_order_turns() {
        let order = RefCell::new(String::new());
        let mut pace = Pace::quick().expect("the cores are known");
        (pace.slice, pace.slices) = (Duration::ZERO, 3);
        let contestants = ["a", "b"].map(|name| {
            contestant(name, || {
                order.borrow_mut().push_str(name);
                1
            })
        });
        let times = contest(&pace, contestants.into());
        assert_eq!(*order.borrow(), "ababbaab");
        assert_eq!((times.of("a").len(), times.of("b").len()), (3, 3));
    }

    #[test]
    fn speed_is_the_inverse_of_time() {
        let times = Times { times: vec![("ours", vec![2.0]), ("theirs", vec![6.0])] };
        assert_eq!(times.speed(1, String::new(), "ours", "theirs", 1.0).samples, [3.0]);
        assert_eq!(times.time(1, String::new(), "theirs", "ours", 1.0).samples, [3.0]);
    }
}
