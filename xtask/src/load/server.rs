//! The server under load: the program, built, and run as a process of its own.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use unstick::framing::{Format, Header};
use unstick::load::{Outcome, Plan, RunError};

use crate::child::{Ended, Listening};

/// Builds the program in release, and returns where it is.
pub(crate) fn build() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no folder above it")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--package", "unstick", "--features", "cli", "--bin", "unstick"]);
    cargo.args(["--release", "--message-format", "json-render-diagnostics"]);
    let built = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(format!("building the program: cargo ended with {}", built.status).into());
    }
    executable(&built.stdout).ok_or_else(|| "cargo built the program, but does not say where it is".into())
}

/// The executable in cargo's account of a build, a JSON object a line.
fn executable(account: &[u8]) -> Option<PathBuf> {
    let mut lines = account.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let line: serde_json::Value = serde_json::from_slice(line).ok()?;
        let of_program = line["target"]["name"] == "unstick";
        line["executable"].as_str().filter(|_| of_program).map(PathBuf::from)
    })
}

/// A running echo server.
pub(super) struct Server {
    child: Listening,
    threads: usize,
    pub(super) addr: SocketAddr,
}

impl Server {
    /// Starts `program` as an echo server at a free port of the loopback.
    ///
    /// # Errors
    /// Where it cannot be run or does not listen.
    pub(super) fn start(program: &Path, format: Format, threads: usize) -> Result<Server, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.args(["serve", "127.0.0.1:0", "--echo", "--print", "none", "--threads", &threads.to_string()]);
        command.args([
            "--format",
            &format.layout().to_string(),
            "--max-payload",
            &format.max_payload_len().to_string(),
        ]);
        // A Ctrl-C is for us: we end the server once what is in flight is answered.
        command.stderr(Stdio::piped()).process_group(0);
        let child = Listening::start(command)?;
        Ok(Server { addr: child.addr().parse()?, child, threads })
    }

    /// Carries out a plan, with what the server takes meanwhile.
    ///
    /// # Errors
    /// As [`unstick::load::run`].
    pub(super) fn measure(
        &self,
        plan: &Plan,
        run: impl FnOnce(&Plan) -> Result<Outcome, RunError>,
    ) -> Result<Outcome, RunError> {
        let outcome = run(&Plan { server_pid: Some(self.child.pid()), ..plan.clone() })?;
        let mut server = outcome.server.clone().unwrap_or_default();
        server.threads = Some(self.threads);
        Ok(outcome.with_server(server))
    }

    /// Ends it. What is wrong with how it ended goes into the last outcome.
    ///
    /// # Errors
    /// Where it cannot be asked or waited for.
    pub(super) fn stop(self, outcome: Outcome) -> Result<Outcome, Box<dyn Error>> {
        let Ended { status, said } = self.child.stop()?;
        let mut server = outcome.server.clone().unwrap_or_default();
        server.failure = (!status.success()).then(|| format!("the server ended with {status}"));
        server.said = said.into();
        Ok(outcome.with_server(server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_programs() {
        let account = br#"
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/a/other"}
{"reason":"compiler-artifact","target":{"name":"unstick"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"unstick"},"executable":"/a/unstick"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(account), Some(PathBuf::from("/a/unstick")));
        assert_eq!(executable(b"{}\nno json"), None);
    }
}
