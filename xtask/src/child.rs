//! A child process that listens: spawned, kept on its cores, watched, and ended. What is loaded, attacked and measured is one.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

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
        if let Some(addr) = first.strip_prefix("listening on ") {
            listening.addr = addr.into();
            return Ok(listening);
        }
        let Ended { status, said } = listening.stop()?;
        let said = Vec::from(said).join("; ");
        Err(format!("{program} did not start to listen: {first:?}, {status}: {said}").into())
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
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
        }
        let status = self.child.wait()?;
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
    let is_usual = |line: &String| {
        line.ends_with(" connected") || line.contains(" closed: clean") || line.starts_with("stopping: ")
    };
    let mut kept = VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok).filter(|line| !is_usual(line)) {
        kept.truncate(LINES_KEPT - 1);
        kept.push_front(line);
    }
    kept.into_iter().rev().collect()
}

/// Allows as many open files as the system lets us: a connection is one, here and in the server. Where that is not
/// enough, the connect that fails says so.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The cores that this process may use, as it was started: the server is kept on the first one, the load on the last.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    pub(crate) all: Vec<usize>,
}

impl Cores {
    pub(crate) fn allowed() -> io::Result<Cores> {
        let allowed = sched_getaffinity(None)?;
        Ok(Cores { all: (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect() })
    }

    /// The first core.
    pub(crate) fn server(&self) -> &[usize] {
        &self.all[..1]
    }

    /// The first cores, one for each of so many threads of a server; `None` where none is left for the load.
    pub(crate) fn servers(&self, threads: usize) -> Option<&[usize]> {
        self.all.get(..threads).filter(|_| threads < self.all.len())
    }

    /// The last core: the server's too where there is but one.
    pub(crate) fn load(&self) -> &[usize] {
        &self.all[self.all.len() - 1..]
    }
}

/// Keeps this thread, and those that it starts from now on, on these cores.
pub(crate) fn stay_on(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Time on the cores of a process's threads that still run, as the scheduler counts it: to the nanosecond.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = |text: String| text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
    Duration::from_nanos(texts.filter_map(nanoseconds).sum())
}

/// The most memory that a process ever had resident, in bytes; `None` where the system does not say.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
}

/// The memory that a process has resident now, in bytes; `None` where the system does not say.
pub(crate) fn resident_memory(pid: u32) -> Option<u64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
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
        let says = "for n in 1 2 3 4 5 6; do echo ill $n >&2; echo stopping: all is well >&2; done";
        shell.args(["-c", &format!("echo listening on here; read line; {says}; echo got $line; exec sleep 60")]);
        let mut child = Listening::start({
            shell.stderr(Stdio::piped());
            shell
        })
        .expect("a shell");
        assert_eq!(child.addr(), "here");
        child.tell("this").expect("it reads");
        assert_eq!(child.line().expect("it prints"), "got this");
        let Ended { status, said } = child.stop().expect("it ends");
        assert!(!status.success());
        assert_eq!(said, ["ill 2", "ill 3", "ill 4", "ill 5", "ill 6"]);
    }

    #[test]
    fn a_thread_stays_where_it_is_told_to() {
        let before = Cores::allowed().expect("the system says");
        stay_on(before.load()).expect("the core is ours");
        let now = Cores::allowed().expect("the system says");
        assert_eq!((now.all.as_slice(), now.servers(1)), (before.load(), None));
        stay_on(&before.all).expect("the cores are ours");
    }

    #[test]
    fn a_process_that_runs_has_taken_time_and_memory_and_one_that_is_not_has_none() {
        let pid = std::process::id();
        assert!(cpu_of(pid) > Duration::ZERO);
        assert!(peak_memory(pid).is_some_and(|bytes| bytes > 100 * 1024));
        assert!(resident_memory(pid) <= peak_memory(pid));
        assert_eq!((cpu_of(0), peak_memory(0)), (Duration::ZERO, None));
    }
}
