//! A child process that listens: spawned, kept on its cores, watched, and ended. What is loaded, attacked and measured is one.

mod cores;
mod usage;

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

pub(crate) use cores::{Cores, stay_on};
pub(crate) use usage::{cpu_of, peak_memory, resident_memory};

/// What a child may take to end after it was asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Lines of what it said on standard error that are kept: the last ones.
const LINES_KEPT: usize = 5;

/// A running child, whose first line was `listening on ADDR`. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    /// Children of ours end with their standard input.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    said: Option<JoinHandle<VecDeque<String>>>,
    addr: String,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last of what it said on standard error, but for what it says when all is well.
    pub(crate) said: VecDeque<String>,
}

impl Listening {
    /// Starts a child, on the cores of this thread. Its standard error is ours, unless the command has it piped.
    ///
    /// # Errors
    /// Where it cannot be run, or its first line is not `listening on ADDR`.
    pub(crate) fn start(mut command: Command) -> Result<Listening, Box<dyn Error>> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| format!("running {program}: {error}"))?;
        let said = child.stderr.take().map(|stderr| thread::spawn(|| listen(stderr)));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or("no stdout")?);
        let mut listening = Listening { child, stdin, stdout: BufReader::new(stdout), said, addr: String::new() };
        let first = listening.line()?;
        match first.strip_prefix("listening on ") {
            Some(addr) => {
                listening.addr = addr.into();
                Ok(listening)
            }
            None => {
                let Ended { status, said } = listening.stop()?;
                let said = Vec::from(said).join("; ");
                Err(format!("{program} did not start to listen: {first:?}, {status}: {said}").into())
            }
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints, without its end; empty where it prints no more.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// Where it was told to end, or is gone.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let stdin = self.stdin.as_mut().ok_or("the server was told to end")?;
        Ok(writeln!(stdin, "{line}").map_err(|error| format!("the server is gone: {error}"))?)
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        drop(self.stdin.take());
    }

    /// # Errors
    /// Where it cannot be waited for.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// # Errors
    /// Where it is gone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Asks it to end by SIGTERM, and kills it where it does not.
    ///
    /// # Errors
    /// Where it cannot be asked or waited for.
    pub(crate) fn stop(mut self) -> io::Result<Ended> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::TERM)?;
        }
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

impl Drop for Listening {
    fn drop(&mut self) {
        // What was stopped in the middle need not drain; after `stop` there is nothing left to end.
        self.end_input();
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Reads what a server says to its end, so that it never waits for us, and keeps the last lines that are of interest.
fn listen(stderr: impl Read) -> VecDeque<String> {
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

/// Allows as many open files as the system lets us: a connection is one, here and in the server. Where that is not
/// enough, the connect that fails says so.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_listen_is_an_error_with_what_it_said() {
        let mut ls = Command::new("/bin/ls");
        ls.arg("/nowhere").stderr(Stdio::piped());
        let error = Listening::start(ls).expect_err("ls is no server").to_string();
        assert!(error.contains("did not start to listen") && error.contains("nowhere"), "{error}");
        let error = Listening::start(Command::new("/nowhere/unstick")).expect_err("nothing is there").to_string();
        assert!(error.contains("/nowhere/unstick"), "{error}");
    }

    #[test]
    fn what_it_says_is_read_and_it_ends_when_it_is_asked_to() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo listening on here; read line; echo got $line; echo ill >&2; exec sleep 60"]);
        shell.stderr(Stdio::piped());
        let mut child = Listening::start(shell).expect("a shell");
        assert_eq!(child.addr(), "here");
        child.tell("this").expect("it reads");
        assert_eq!(child.line().expect("it prints"), "got this");
        let Ended { status, said } = child.stop().expect("it ends");
        assert!(!status.success());
        assert_eq!(said, ["ill"]);
    }
}
