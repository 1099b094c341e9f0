//! When the frames of a connection are to be sent: the intended times of an open loop, out of a time that is an
//! argument.

use super::plan::{Pacing, Plan, Reply};

const SECOND: f64 = 1e9;

/// The intended times of one connection, in nanoseconds of the run's clock, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    start: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Number `n` at `(first + n × every) × gap`: the connections take the slots of one even schedule in turn. Of
    /// several shards, each takes the slots that its number is, modulo their number.
    Even { gap: f64, first: u64, every: u64, number: u64 },
    /// At random, `mean` apart: so the connections together make one Poisson process.
    Poisson { mean: f64, next: f64, random: fastrand::Rng },
}

impl Schedule {
    /// The part that the connection of this number has in the run's schedule, which begins at `start`; `None` in a
    /// closed loop.
    pub(super) fn new(plan: &Plan, start: u64, index: u64) -> Option<Schedule> {
        let Pacing::Open { rate, poisson } = plan.pacing else { return None };
        let gap = SECOND / rate;
        let (first, every) = match plan.reply {
            Reply::Push => plan.sender(index)?,
            _ => (index, plan.shard().slots_apart(plan.connections)),
        };
        let kind = match poisson {
            false => Kind::Even { gap, first, every, number: 0 },
            true => {
                let mut random = fastrand::Rng::with_seed(plan.run.rotate_left(32) ^ index);
                let mean = gap * every as f64;
                Kind::Poisson { mean, next: exponential(mean, &mut random), random }
            }
        };
        Some(Schedule { start, kind })
    }

    /// When the next frame is to be sent.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.start
            + match &self.kind {
                Kind::Even { gap, first, every, number } => ((first + every * number) as f64 * gap) as u64,
                Kind::Poisson { next, .. } => *next as u64,
            }
    }

    /// The next frame is sent.
    #[inline]
    pub(super) fn advance(&mut self) {
        match &mut self.kind {
            Kind::Even { number, .. } => *number += 1,
            Kind::Poisson { mean, next, random } => *next += exponential(*mean, random),
        }
    }

    /// How many frames are to be sent before `until` from the next one on, `most` at most.
    pub(super) fn due(&self, until: u64, most: u64) -> u64 {
        let mut ahead = self.clone();
        if let Kind::Even { gap, first, every, number } = &mut ahead.kind {
            // About so many; the steps below make it exact.
            let slots = (until.saturating_sub(self.start) as f64 / *gap) as u64;
            *number = (*number).max((slots.saturating_sub(*first) / *every).saturating_sub(1));
        }
        let mut due = ahead.number() - self.number();
        while due < most && ahead.next() < until {
            ahead.advance();
            due += 1;
        }
        due.min(most)
    }

    fn number(&self) -> u64 {
        match self.kind {
            Kind::Even { number, .. } => number,
            Kind::Poisson { .. } => 0,
        }
    }
}

/// A time from one event to the next of a process without memory.
fn exponential(mean: f64, random: &mut fastrand::Rng) -> f64 {
    // Never the logarithm of 0.
    -mean * (1.0 - random.f64()).ln()
}

#[cfg(test)]
mod tests {
    use super::super::plan::Target;
    use super::super::shards::Shard;
    use super::*;

    const MS: u64 = 1_000_000;

    fn plan(rate: f64, poisson: bool, connections: usize) -> Plan {
        let mut plan = Plan::new(Target::Tcp(Vec::new()));
        (plan.pacing, plan.connections) = (Pacing::Open { rate, poisson }, connections);
        plan
    }

    fn schedule(plan: &Plan, start: u64, index: u64) -> Schedule {
        Schedule::new(plan, start, index).expect("an open loop")
    }

    fn times(mut schedule: Schedule, count: usize) -> Vec<u64> {
        let mut next = || {
            let next = schedule.next();
            schedule.advance();
            next
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn connections_take_the_slots_of_an_even_schedule_in_turn() {
        let mut plan = plan(1000.0, false, 3);
        let of = |index| times(schedule(&plan, 5 * MS, index), 3);
        assert_eq!(of(0), [5, 8, 11].map(|ms| ms * MS));
        assert_eq!(of(2), [7, 10, 13].map(|ms| ms * MS));
        plan.pacing = Pacing::Closed;
        assert!(Schedule::new(&plan, 0, 0).is_none());
    }

    /// Whatever the numbers: shard i of N has the slots i, i + N, …, and all shards together have each slot once.
    #[test]
    fn the_slots_of_all_shards_are_the_whole_even_schedule() {
        for (shards, connections) in [(1, 5), (2, 5), (3, 64), (4, 4), (5, 13)] {
            let whole = plan(1000.0, false, connections);
            let mut all = Vec::new();
            for number in 0..shards {
                let shard = Shard::new(number, shards).expect("a shard");
                let part = Plan { shard: Some(shard), ..whole.clone() };
                let mut own: Vec<u64> = shard
                    .connections(connections)
                    .flat_map(|index| {
                        let schedule = schedule(&part, 0, index);
                        let due = schedule.due(1000 * MS, u64::MAX) as usize;
                        times(schedule, due)
                    })
                    .collect();
                own.sort_unstable();
                let slots = (u64::from(number)..1000).step_by(shards as usize);
                assert_eq!(own, slots.map(|slot| slot * MS).collect::<Vec<_>>(), "{number} of {shards}, {connections}");
                all.extend(own);
            }
            all.sort_unstable();
            assert_eq!(all, (0..1000).map(|slot| slot * MS).collect::<Vec<_>>());
        }
    }

    /// Each shard has its part of the rate, whatever connections it has, and no two connections have the same times.
    #[test]
    fn the_random_times_of_shards_have_their_part_of_the_rate() {
        let whole = plan(1000.0, true, 5);
        let mut firsts = Vec::new();
        for number in 0..3 {
            let shard = Shard::new(number, 3).expect("a shard");
            let part = Plan { shard: Some(shard), ..whole.clone() };
            let due = |index| schedule(&part, 0, index).due(300_000 * MS, u64::MAX);
            let sum: u64 = shard.connections(5).map(due).sum();
            assert!((98_500..101_500).contains(&sum), "{sum} of 100,000 in 300 s");
            firsts.extend(shard.connections(5).map(|index| schedule(&part, 0, index).next()));
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 5);
    }

    #[test]
    fn an_even_schedule_does_not_drift() {
        let mut schedule = schedule(&plan(3.0, false, 1), 0, 0);
        for _ in 0..3_000_000 {
            schedule.advance();
        }
        assert_eq!(schedule.next(), 1_000_000_000_000_000);
    }

    #[test]
    fn random_times_have_the_rate_and_are_the_runs() {
        let schedule = |run, index| schedule(&Plan { run, ..plan(1000.0, true, 4) }, 0, index);
        let all: usize = (0..4).map(|index| schedule(1, index).due(100_000 * MS, u64::MAX) as usize).sum();
        assert!((99_000..101_000).contains(&all), "{all} frames in 100 s");
        assert_eq!(times(schedule(1, 0), 100), times(schedule(1, 0), 100));
        assert_ne!(times(schedule(1, 0), 100), times(schedule(2, 0), 100));
        assert_ne!(times(schedule(1, 0), 100), times(schedule(1, 1), 100));
        assert!(times(schedule(1, 0), 100).is_sorted());
    }

    #[test]
    fn what_is_due_is_counted_without_being_kept() {
        for poisson in [false, true] {
            let mut schedule = schedule(&plan(1234.5, poisson, 5), 7 * MS, 2);
            for _ in 0..10 {
                schedule.advance();
            }
            let later = times(schedule.clone(), 1000);
            for until in [0, 7 * MS, 100 * MS, later[0], later[500] + 1, later[999]] {
                let due = later.iter().filter(|time| **time < until).count() as u64;
                assert_eq!(schedule.due(until, u64::MAX), due, "{poisson}, until {until}");
                assert_eq!(schedule.due(until, 3), due.min(3));
            }
        }
    }
}
