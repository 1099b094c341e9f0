//! A network namespace of our own, whose loopback no other process uses, so that we may cut and shape it.

use std::error::Error;
use std::process::Command;

/// A command that runs another one in a network namespace of its own, or why there cannot be one.
pub(crate) fn own() -> Result<Command, String> {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net"]);
        unshare
    };
    let tried = unshare().args(["ip", "link", "set", "lo", "up"]).output();
    match tried {
        Ok(tried) if tried.status.success() => Ok(unshare()),
        Ok(tried) => Err(format!(
            "no network namespace is to be had: {}",
            String::from_utf8_lossy(&tried.stderr).lines().next().unwrap_or_default()
        )),
        Err(error) => Err(format!("unshare cannot be run: {error}")),
    }
}

/// Runs `ip` with these words.
///
/// # Errors
/// If it fails.
pub(crate) fn ip(words: &str) -> Result<(), Box<dyn Error>> {
    let ended = Command::new("ip").args(words.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(format!("ip {words}: {}", String::from_utf8_lossy(&ended.stderr)).into()),
    }
}
