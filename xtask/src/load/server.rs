//! The server under load: the program, built and run as a process of its own.

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What the server may take to end after it was asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Lines of what the server said that are kept: the last ones.
const LINES_KEPT: usize = 5;

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

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    /// Kept open, so that the server can go on writing.
    _stdout: BufReader<ChildStdout>,
    said: Option<JoinHandle<VecDeque<String>>>,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last of what it said, but for what it says when all is well.
    pub(crate) said: VecDeque<String>,
}

impl Server {
    /// Starts `program` as an echo server at a free port of the loopback.
    ///
    /// # Errors
    /// Where it cannot be run, or its first line is not `listening on IP:PORT`.
    pub(crate) fn start(program: &Path, flags: &[String]) -> Result<Server, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.args(["serve", "127.0.0.1:0", "--echo", "--print", "none"]).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C is for us: we end the server once what is in flight is answered.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| format!("running {}: {error}", program.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut stdout, stderr) = (BufReader::new(stdout.ok_or("no stdout")?), stderr.ok_or("no stderr")?);
        let said = Some(thread::spawn(|| listen(stderr)));
        let mut first = String::new();
        let read = stdout.read_line(&mut first);
        let addr = first.trim_end().strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        let mut server = Server { child, addr: ([0, 0, 0, 0], 0).into(), _stdout: stdout, said };
        match (read, addr) {
            (Ok(_), Some(addr)) => {
                server.addr = addr;
                Ok(server)
            }
            _ => {
                let Ended { status, said } = server.stop()?;
                let said = Vec::from(said).join("; ");
                Err(format!("the server did not start to listen: {first:?}, {status}: {said}").into())
            }
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end, and kills it where it does not.
    pub(crate) fn stop(mut self) -> io::Result<Ended> {
        terminate(&mut self.child)?;
        let deadline = Instant::now() + STOP_DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                break self.child.wait()?;
            }
            thread::sleep(Duration::from_millis(5));
        };
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Ok(Ended { status, said })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` it has ended already, and there is nothing to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn terminate(child: &mut Child) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    Ok(kill_process(Pid::from_child(child), Signal::TERM)?)
}

/// Reads what the server says to its end, so that it never waits for us, and keeps the last lines that are of interest.
fn listen(stderr: ChildStderr) -> VecDeque<String> {
    let mut kept = VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.ends_with(" connected") || line.contains(" closed: clean") || line.starts_with("stopping: ") {
            continue;
        }
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept
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

    #[test]
    fn a_program_that_does_not_listen_is_an_error_with_what_it_said() {
        let error = Server::start(Path::new("/bin/ls"), &[]).expect_err("ls is no server").to_string();
        assert!(error.contains("did not start to listen") && error.contains("ls"), "{error}");
        let error = Server::start(Path::new("/nowhere/unstick"), &[]).expect_err("nothing is there").to_string();
        assert!(error.contains("/nowhere/unstick"), "{error}");
    }
}
