//! The server under load: the program, built, and run as a process of its own.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use unstick::framing::{Format, Header};
use unstick::load::{Outcome, Plan, Target};

use crate::bench::tokio_echo;
use crate::child::{Ended, Listening};
use crate::evidence;

/// Builds the program in release, and returns where it is. Built together with this package, which has the program's features
/// on, it has all its libraries in common with this process: none is compiled twice.
pub(crate) fn build() -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(evidence::root()).args(["build", "--release", "--package", "xtask", "--package", "unstick"]);
    cargo.args(["--features", "unstick/cli", "--bin", "unstick", "--message-format", "json-render-diagnostics"]);
    let built = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(format!("building the program: cargo ended with {}", built.status).into());
    }
    // Cargo's account of the build is a JSON object a line.
    let executable = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let of_program = line["target"]["name"] == "unstick";
        line["executable"].as_str().filter(|_| of_program).map(PathBuf::from)
    };
    let account = String::from_utf8_lossy(&built.stdout);
    account.lines().find_map(executable).ok_or_else(|| "cargo built the program, but does not say where it is".into())
}

/// A running echo server.
pub(super) struct Server {
    child: Listening,
    /// It ends with its standard input, and not by a signal.
    ends_with_input: bool,
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
        let (layout, longest) = (format.layout().to_string(), format.max_payload_len().to_string());
        command.args(["--format", &layout, "--max-payload", &longest]);
        Server::of(command, false, threads)
    }

    /// Starts tokio's echo server for u32 little-endian, on these cores.
    ///
    /// # Errors
    /// Where it cannot be run or does not listen.
    pub(super) fn tokio(cores: &[usize]) -> Result<Server, Box<dyn Error>> {
        Server::of(tokio_echo(cores)?, true, 1)
    }

    fn of(mut command: Command, ends_with_input: bool, threads: usize) -> Result<Server, Box<dyn Error>> {
        // A Ctrl-C is for us: we end the server once what is in flight is answered.
        command.stderr(Stdio::piped()).process_group(0);
        let child = Listening::start(command)?;
        Ok(Server { addr: child.addr().parse()?, child, ends_with_input, threads })
    }

    /// The plan for this server, whose use of the machine is measured.
    pub(super) fn plan(&self, plan: Plan) -> Plan {
        Plan { target: Target::Tcp(vec![self.addr]), server_pid: Some(self.child.pid()), ..plan }
    }

    /// What is known of the server goes into the outcome of a run.
    pub(super) fn describe(&self, mut outcome: Outcome) -> Outcome {
        // As it is repeated, and not as cargo calls us.
        outcome.origin.command.splice(..1, ["cargo".into(), "xtask".into()]);
        let mut server = outcome.server.clone().unwrap_or_default();
        server.threads = Some(self.threads);
        outcome.with_server(server)
    }

    /// Ends it. What is wrong with how it ended goes into the last outcome.
    ///
    /// # Errors
    /// Where it cannot be asked or waited for.
    pub(super) fn stop(mut self, last: Outcome) -> Result<Outcome, Box<dyn Error>> {
        if self.ends_with_input {
            self.child.end_input();
            self.child.wait()?;
        }
        let Ended { status, said } = self.child.stop()?;
        let mut server = last.server.clone().unwrap_or_default();
        server.failure = (!status.success()).then(|| format!("the server ended with {status}"));
        server.said = said.into();
        Ok(last.with_server(server))
    }
}
