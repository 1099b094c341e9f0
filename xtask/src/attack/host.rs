//! The attacked server as its attacker sees it: its address, its statistics, its memory and its CPU time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde::Deserialize;

use super::scene::Over;
use crate::certificate::Certificate;
use crate::child::{Listening, cpu_of, peak_memory, resident_memory};
use crate::socket::Addr;

/// The server's statistics, at one moment or at its end.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Stats {
    pub(super) accepted: u64,
    pub(super) active: u64,
    pub(super) accept_failures: u64,
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    pub(super) frames_out: u64,
    pub(super) bytes_out: u64,
    pub(super) buffered: u64,
    pub(super) closes: BTreeMap<String, u64>,
    /// Close reasons as text, by kind: the first few different ones.
    pub(super) said: BTreeMap<String, Vec<String>>,
}

impl Stats {
    pub(super) fn closes(&self, reason: &str) -> u64 {
        self.closes.get(reason).copied().unwrap_or(0)
    }

    pub(super) fn closed(&self) -> u64 {
        self.closes.values().sum()
    }

    pub(super) fn balance(&self) -> bool {
        self.accepted == self.active + self.closed()
    }

    /// The texts of this kind of close reason.
    pub(super) fn said(&self, reason: &str) -> String {
        self.said.get(reason).map(|texts| texts.join("; ")).unwrap_or_default()
    }
}

/// A running server. Dropping it closes its standard input, which ends it.
#[derive(Debug)]
pub(super) struct Host {
    child: Listening,
    pub(super) addr: Addr,
}

impl Host {
    /// Starts a server with these flags at a free port of the loopback, or at a Unix socket.
    ///
    /// # Errors
    /// If it cannot be run or does not listen.
    pub(super) fn start(flags: &[String], over: Over) -> Result<Host, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("attack-server").args(flags);
        if over == Over::Unix {
            command.arg("--unix").arg(free_path());
        }
        if over == Over::Tls {
            command.arg("--tls");
            Certificate::give(&mut command);
        }
        let child = Listening::start(command)?;
        Ok(Host { addr: child.addr().parse()?, child })
    }

    /// The server's account as of now.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn stats(&mut self) -> Result<Stats, Box<dyn Error>> {
        self.child.tell("account")?;
        let line = self.child.line()?;
        Ok(serde_json::from_str(&line).map_err(|error| format!("the server's account: {error}: {line:?}"))?)
    }

    /// Handlers that sleep or block continue, and none sleeps or blocks from now on.
    pub(super) fn open_gate(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.tell("open")?;
        self.stats().map(drop)
    }

    /// Handlers that are asked to sleep or block do so again.
    pub(super) fn shut_gate(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.tell("shut")?;
        self.stats().map(drop)
    }

    /// Asks it to end by closing its standard input, and waits for the end.
    ///
    /// # Errors
    /// As [`ended`](Host::ended).
    pub(super) fn end(&mut self) -> Result<(Stats, ExitStatus), Box<dyn Error>> {
        self.child.end_input();
        self.ended()
    }

    /// Waits for the end of a server that was asked to.
    ///
    /// # Errors
    /// If it does not print its statistics.
    pub(super) fn ended(&mut self) -> Result<(Stats, ExitStatus), Box<dyn Error>> {
        let line = self.child.line()?;
        let status = self.child.wait()?;
        let stats = serde_json::from_str(&line).map_err(|_| format!("the server ended with {status}: {line:?}"))?;
        Ok((stats, status))
    }

    /// Waits for the end of a server that has no time to print its statistics.
    pub(super) fn wait(&mut self) -> Result<ExitStatus, Box<dyn Error>> {
        Ok(self.child.wait()?)
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        Ok(self.child.signal(signal)?)
    }

    /// CPU time so far.
    pub(super) fn cpu(&self) -> Duration {
        cpu_of(self.child.pid())
    }

    /// The share of one core that it uses within this time.
    pub(super) fn cpu_share(&self, span: Duration) -> f64 {
        let (before, begin) = (self.cpu(), Instant::now());
        std::thread::sleep(span);
        (self.cpu() - before).as_secs_f64() / begin.elapsed().as_secs_f64()
    }

    /// The most resident memory so far, in bytes.
    pub(super) fn peak(&self) -> u64 {
        peak_memory(self.child.pid()).unwrap_or(0)
    }

    /// The resident memory now, in bytes.
    pub(super) fn resident(&self) -> u64 {
        resident_memory(self.child.pid()).unwrap_or(0)
    }

    /// The number of open descriptors.
    pub(super) fn descriptors(&self) -> Result<u64, Box<dyn Error>> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.pid()))?.count() as u64)
    }

    /// Limits its descriptors to this number.
    pub(super) fn limit_descriptors(&self, most: u64) -> Result<(), Box<dyn Error>> {
        let pid = Pid::from_raw(self.child.pid() as i32);
        let limit = rustix::process::getrlimit(Resource::Nofile);
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(most), ..limit })?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Addr::Unix(path) = &self.addr {
            // It exists only if the server had no time to remove it.
            _ = fs::remove_file(path);
        }
    }
}

/// A path for a Unix socket, which no other server of this process has.
fn free_path() -> PathBuf {
    static SERVERS: AtomicU32 = AtomicU32::new(0);
    let number = SERVERS.fetch_add(1, Relaxed);
    std::env::temp_dir().join(format!("unstick-attack-{}-{number}", std::process::id()))
}
