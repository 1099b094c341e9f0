//! A running peer: a process, where it listens, and what it takes.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::peers::Setup;
use crate::child::{Listening, cpu_of};

/// A running peer. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Host {
    child: Listening,
    pub(super) addr: SocketAddr,
}

impl Host {
    /// Starts a peer; with `counts`, under strace, which writes its counts to that file in the end.
    ///
    /// # Errors
    /// Where it cannot be run or does not listen.
    pub(super) fn start(setup: &Setup, counts: Option<&Path>) -> Result<Host, Box<dyn Error>> {
        let this = setup.program.clone().map_or_else(std::env::current_exe, Ok)?;
        let mut command = Command::new(if counts.is_some() { "strace".as_ref() } else { this.as_path() });
        if let Some(counts) = counts {
            command.args(["-c", "-f", "-o"]).arg(counts).arg(&this);
        }
        command.args(["bench-peer", &serde_json::to_string(setup)?]);
        let child = Listening::start(command)?;
        let addr = child.addr().parse().map_err(|error| format!("{}: {error}", setup.kind.name()))?;
        Ok(Host { child, addr })
    }

    /// Ends the peer, which ends with its standard input, and waits for its end.
    pub(super) fn stop(mut self) -> std::io::Result<()> {
        self.child.end_input();
        self.child.wait().map(drop)
    }

    /// Time on the cores so far, all threads together.
    pub(super) fn cpu(&self) -> Duration {
        cpu_of(self.child.pid())
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(super) fn resident(&self) -> Result<u64, Box<dyn Error>> {
        self.memory("smaps_rollup", "Rss:")
    }

    /// The most resident memory there was so far, in bytes.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(super) fn peak(&self) -> Result<u64, Box<dyn Error>> {
        self.memory("status", "VmHWM:")
    }

    fn memory(&self, file: &str, name: &str) -> Result<u64, Box<dyn Error>> {
        let path = format!("/proc/{}/{file}", self.child.pid());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        memory_in(&text, name).ok_or_else(|| format!("{path} says nothing of {name}").into())
    }
}

fn memory_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line() {
        let text = "5580-7ffd ---p 0 0 [rollup]\nRss:                1234 kB\nPss:    7 kB\n";
        assert_eq!(memory_in(text, "Rss:"), Some(1234 * 1024));
        assert_eq!(memory_in("Pss: 7 kB\n", "Rss:"), None);
    }
}
