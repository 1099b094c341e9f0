//! The network that servers are measured in: loopback of our own, with a congestion control that does not pace.
//!
//! Some machines have BBR for all connections. It sends when its clock says so, on loopback too, and large frames wait for
//! that: the same server has rounds of half the rate, and tokio's as well. What is to be measured here is the server.

use std::error::Error;
use std::process::ExitCode;

use crate::network::{ip, own};

/// The congestion control that every kernel has. It sends what the window allows.
const WITHOUT_PACING: &str = "reno";

/// Runs this program with its arguments once more, in a network of its own; `None` where there can be none.
pub(super) fn run_inside() -> Result<Option<ExitCode>, Box<dyn Error>> {
    let mut command = match own() {
        Ok(command) => command,
        Err(why) => {
            eprintln!("measuring on the machine's own loopback: {why}");
            return Ok(None);
        }
    };
    let status = command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).arg("--inside").status()?;
    Ok(Some(ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))))
}

/// Makes this namespace's loopback fit.
pub(super) fn prepare() -> Result<(), Box<dyn Error>> {
    ip("link set lo up")?;
    for addrs in ["127.0.0.0/8", "127.0.0.1"] {
        let route = format!("route replace table local local {addrs} dev lo proto kernel scope host src 127.0.0.1");
        ip(&format!("{route} congctl lock {WITHOUT_PACING}"))?;
    }
    Ok(())
}

/// What BENCHMARKS.md says of it.
pub(super) fn describe(inside: bool) -> String {
    let default = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    match inside {
        true => format!("loopback in a namespace of its own, congestion control {WITHOUT_PACING}"),
        false => format!("the machine's loopback, congestion control {}", default.trim()),
    }
}
