//! What a process took: its time on the cores and its memory. Known on Linux, from `/proc`.

use std::fs;
use std::time::Duration;

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

fn parse_line(name: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn this_process_has_memory() {
        let pid = std::process::id();
        assert!(peak_memory(pid).is_some_and(|bytes| bytes > 100 * 1024));
        assert!(resident_memory(pid) <= peak_memory(pid));
    }
}
