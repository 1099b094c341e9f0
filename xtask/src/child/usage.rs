//! What a process took: its time on the cores and its memory. Known on Linux, from `/proc`.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// Time on the cores, all threads together, as far as the system counts it: mostly in steps of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Cpu {
    /// What a process took so far; `None` where the system does not say.
    pub(crate) fn of(pid: u32) -> Option<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(&stat, rustix::param::clock_ticks_per_second())
    }

    #[cfg(test)]
    fn total(self) -> Duration {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, earlier: Cpu) -> Cpu {
        Cpu { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// Time on the cores of a process's threads that still run, as the scheduler counts it: to the nanosecond.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = |text: String| text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
    Duration::from_nanos(texts.filter_map(nanoseconds).sum())
}

/// The most memory that a process ever had resident, in bytes; `None` where the system does not say.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    parse_line("VmHWM:", &fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The memory that a process has resident now, in bytes; `None` where the system does not say.
pub(crate) fn resident_memory(pid: u32) -> Option<u64> {
    parse_line("VmRSS:", &fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn parse_stat(stat: &str, ticks_per_second: u64) -> Option<Cpu> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut next = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
    };
    Some(Cpu { user: next()?, system: next()? })
}

fn parse_line(name: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_passed_over() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 1 0 100 0 0";
        let cpu = Cpu { user: Duration::from_millis(2500), system: Duration::from_millis(750) };
        assert_eq!(parse_stat(stat, 100), Some(cpu));
        assert_eq!(cpu.total(), Duration::from_millis(3250));
        assert_eq!(parse_stat("42 (cut", 100), None);
        assert_eq!(parse_stat("42 (cut) S 1 2 3", 100), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(parse_line("VmHWM:", status), Some(1234 * 1024));
        assert_eq!(parse_line("VmRSS:", status), Some(7 * 1024));
        assert_eq!(parse_line("VmSwap:", status), None);
    }

    #[test]
    fn a_process_that_runs_has_taken_time_and_one_that_is_not_has_none() {
        assert!(cpu_of(std::process::id()) > Duration::ZERO);
        assert_eq!(cpu_of(0), Duration::ZERO);
    }

    #[test]
    fn this_process_takes_time_and_memory() {
        let pid = std::process::id();
        let before = Cpu::of(pid).expect("/proc is there");
        let begin = Instant::now();
        while (Cpu::of(pid).expect("/proc is there") - before).total() < Duration::from_millis(20) {
            assert!(begin.elapsed() < Duration::from_secs(60), "a busy loop takes no time");
        }
        assert!(peak_memory(pid).is_some_and(|bytes| bytes > 100 * 1024));
        assert!(resident_memory(pid) <= peak_memory(pid));
    }
}
