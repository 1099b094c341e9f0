//! What the process of a server takes, as the system counts it, sampled by the second. The time is an argument.

use std::fs;

use super::outcome::{ServerSample, ServerUse};

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Samples of a process.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    first: Option<Reading>,
    last: Option<Reading>,
    samples: Vec<ServerSample>,
}

/// What a process took so far.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Nanoseconds of the measured time.
    at: u64,
    /// Seconds on a core.
    user: f64,
    system: f64,
    /// Bytes, resident now and at most.
    memory: u64,
    peak: u64,
}

impl Process {
    pub(super) fn new(pid: u32) -> Process {
        Process { pid, first: None, last: None, samples: Vec::new() }
    }

    /// Takes a sample where the last one is a second old. `at` is in nanoseconds of the measured time.
    pub(super) fn look(&mut self, at: u64) {
        if self.last.is_none_or(|last| at / SECOND > last.at / SECOND) {
            self.sample(at);
        }
    }

    /// Takes a sample: of less than a second, at the end of the measured time.
    pub(super) fn sample(&mut self, at: u64) {
        let Some(now) = Reading::of(self.pid, at) else { return };
        if let Some(last) = self.last.replace(now)
            && now.at > last.at
        {
            let seconds = (now.at - last.at) as f64 / 1e9;
            let cores = (now.user + now.system - last.user - last.system).max(0.0) / seconds;
            self.samples.push(ServerSample { at: now.at as f64 / 1e9, cores, memory: now.memory });
        }
        self.first.get_or_insert(now);
    }

    /// What it took from the first sample to the last; nothing is known where the system did not say.
    pub(super) fn taken(self) -> ServerUse {
        let (Some(first), Some(last)) = (self.first, self.last) else { return ServerUse::default() };
        ServerUse {
            user_seconds: Some((last.user - first.user).max(0.0)),
            system_seconds: Some((last.system - first.system).max(0.0)),
            seconds: (last.at - first.at) as f64 / 1e9,
            peak_memory: Some(last.peak),
            samples: self.samples,
            ..ServerUse::default()
        }
    }
}

impl Reading {
    fn of(pid: u32, at: u64) -> Option<Reading> {
        let (user, system) = cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Reading { at, user, system, memory: bytes(&status, "VmRSS:")?, peak: bytes(&status, "VmHWM:")? })
    }
}

/// Seconds in programs and in the system, of `/proc/PID/stat`.
fn cpu(stat: &str) -> Option<(f64, f64)> {
    // The second field is the program's name in parentheses, in which anything may be.
    let (_, after_the_name) = stat.rsplit_once(')')?;
    let mut ticks = after_the_name.split_whitespace().skip(11).map(str::parse::<u64>);
    let each = rustix::param::clock_ticks_per_second() as f64;
    Some((ticks.next()?.ok()? as f64 / each, ticks.next()?.ok()? as f64 / each))
}

/// A line of `/proc/PID/status`, in bytes.
fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let stat = "12 (a ) name) S 1 12 12 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 1 0 5 1000 300";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu(stat), Some((250.0 / ticks, 150.0 / ticks)));
        assert_eq!(bytes("VmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n", "VmRSS:"), Some(1024 * 1024));
        assert_eq!((cpu("12 (short) S"), bytes("VmRSS: x kB", "VmRSS:")), (None, None));
    }

    #[test]
    fn a_process_is_sampled_once_a_second() {
        let mut own = Process::new(std::process::id());
        for at in [0, SECOND / 2, SECOND, SECOND + 1, 2 * SECOND + 5] {
            own.look(at);
        }
        own.sample(2 * SECOND + SECOND / 2);
        let taken = own.taken();
        let at: Vec<f64> = taken.samples.iter().map(|sample| sample.at).collect();
        assert_eq!((at, taken.seconds), (vec![1.0, 2.000000005, 2.5], 2.5));
        assert!(taken.samples.iter().all(|sample| sample.memory > 0 && sample.cores >= 0.0));
        let mut none = Process::new(u32::MAX);
        none.sample(0);
        assert_eq!(none.taken(), ServerUse::default());
    }
}
