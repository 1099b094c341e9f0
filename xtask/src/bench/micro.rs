//! The loops of `benches/` in turn, A B B A, in one process.
//!
//! Counted is the thread's time on its core, which other processes lengthen less than they lengthen the clock's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::figures::Figures;
use super::goals::TIME;
use super::shared::Contestant;
use super::shared::contests::GROUPS;
use super::{Group, Pace, order};

/// Rounds for each round of servers, and the time that each loop has in one.
pub(super) const ROUNDS: usize = 2;
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// Runs the contests of a group.
pub(super) fn measure(group: Group, pace: &Pace, figures: &mut Figures) {
    let name = format!("{group:?}").to_lowercase();
    let visit = &mut |what: &str, mut contestants: Vec<Contestant<'_>>| {
        if pace.begins(what) {
            for (who, times) in in_turn(&mut contestants, pace) {
                figures.add(group, (what, who), TIME, &times);
            }
        }
    };
    GROUPS.iter().filter(|(known, _)| *known == name).for_each(|(_, contests)| contests(false, visit));
}

/// Each one's times, round by round.
fn in_turn(contestants: &mut [Contestant<'_>], pace: &Pace) -> Vec<(&'static str, Vec<f64>)> {
    let repeats: Vec<u32> = contestants.iter_mut().map(|contestant| repeats(contestant)).collect();
    let mut times: Vec<_> = contestants.iter().map(|it| (it.name, Vec::new())).collect();
    for round in 0..ROUNDS * pace.rounds {
        for which in order(round, contestants.len()) {
            times[which].1.push(time(&mut contestants[which], repeats[which]));
        }
    }
    times
}

/// How often it runs in a slice of time, at least once. It is warm after that.
fn repeats(contestant: &mut Contestant<'_>) -> u32 {
    let begin = on_core();
    let mut runs = 0;
    while runs == 0 || on_core() - begin < SLICE {
        (contestant.run)();
        runs += 1;
    }
    runs
}

/// Nanoseconds a unit of work.
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
