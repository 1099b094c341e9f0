//! A running peer: a process, where it listens, and what it takes.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::peers::Kind;

/// How a peer is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    pub(super) kind: Kind,
    pub(super) cores: &'a [usize],
    pub(super) threads: usize,
    pub(super) work: u32,
}

/// A running peer. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    pub(super) addr: SocketAddr,
    pub(super) kind: Kind,
}

impl Host {
    /// Starts a peer with one thread.
    pub(super) fn start(kind: Kind, cores: &[usize]) -> Result<Host, Box<dyn Error>> {
        Host::start_as(Setup { kind, cores, threads: 1, work: 0 }, None)
    }

    /// Starts a peer; with `counts`, under strace, which writes its counts to that file in the end.
    ///
    /// # Errors
    /// Where it cannot be run or does not listen.
    pub(super) fn start_as(setup: Setup<'_>, counts: Option<&Path>) -> Result<Host, Box<dyn Error>> {
        let this = std::env::current_exe()?;
        let mut command = Command::new(if counts.is_some() { "strace".as_ref() } else { this.as_path() });
        if let Some(counts) = counts {
            command.args(["-c", "-f", "-o"]).arg(counts).arg(&this);
        }
        let kind = clap::ValueEnum::to_possible_value(&setup.kind).ok_or("a kind has a name")?;
        let cores: Vec<String> = setup.cores.iter().map(usize::to_string).collect();
        command.args(["bench-peer", kind.get_name(), "--cores", &cores.join(",")]);
        command.args(["--threads", &setup.threads.to_string(), "--work", &setup.work.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut first = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut first)?;
        let addr = first.trim_end().strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        let mut host = Host { child, addr: ([0, 0, 0, 0], 0).into(), kind: setup.kind };
        host.addr = addr.ok_or_else(|| format!("{} did not start to listen: {first:?}", setup.kind.name()))?;
        Ok(host)
    }

    /// Ends the peer and waits for its end.
    pub(super) fn stop(mut self) -> std::io::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().map(drop)
    }

    /// Time on the cores so far, all threads together.
    pub(super) fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(super) fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        resident_in(&text).ok_or_else(|| format!("{path} says nothing about resident memory").into())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A peer ends with its standard input. After `stop` there is nothing left to end.
        drop(self.child.stdin.take());
        _ = self.child.wait();
    }
}

/// Time on the cores of a process's threads that still run, as the scheduler counts it: to the nanosecond.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = |text: String| text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
    Duration::from_nanos(texts.filter_map(nanoseconds).sum())
}

fn resident_in(smaps_rollup: &str) -> Option<u64> {
    let line = smaps_rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line() {
        let text = "5580-7ffd ---p 0 0 [rollup]\nRss:                1234 kB\nPss:    7 kB\n";
        assert_eq!(resident_in(text), Some(1234 * 1024));
        assert_eq!(resident_in("Pss: 7 kB\n"), None);
    }

    #[test]
    fn a_process_that_runs_has_taken_time_and_one_that_is_not_has_none() {
        assert!(cpu_of(std::process::id()) > Duration::ZERO);
        assert_eq!(cpu_of(0), Duration::ZERO);
    }
}
