//! Runs the program. Nothing here waits for ever: a program that hangs fails its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{self, Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process};

/// After so long a program hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The tutorial's greeting as a frame.
pub(crate) const GREETING: &[u8] = b"\x17\0\0\0Hello client! \xE4\xBD\xA0\xE5\xA5\xBD...";

pub(crate) fn command(args: &[&str]) -> Command {
    piped(Command::new(env!("CARGO_BIN_EXE_unstick")), args)
}

/// The program, run by a shell's script in which it is `"$@"`.
pub(crate) fn command_of_shell(script: &str, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_unstick")]);
    piped(shell, args)
}

fn piped(mut command: Command, args: &[&str]) -> Command {
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a program that ran to its end said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

/// Runs to the end with this standard input.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Ran {
    let mut program = Program::start(args);
    let (mut stdin, input) = (program.stdin.take().unwrap(), input.to_vec());
    // A program may end before it has read all.
    thread::spawn(move || _ = stdin.write_all(&input));
    program.end()
}

/// A program that runs. It is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    out: Output,
    err: Output,
}

impl Program {
    pub(crate) fn start(args: &[&str]) -> Program {
        Program::spawn(command(args))
    }

    pub(crate) fn spawn(mut command: Command) -> Program {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Output::of(child.stdout.take().unwrap()), Output::of(child.stderr.take().unwrap()));
        Program { stdin: child.stdin.take(), child, out, err }
    }

    /// The next line of standard output, without its end.
    pub(crate) fn out_line(&self) -> String {
        self.out.line()
    }

    /// The next line of standard error, without its end.
    pub(crate) fn err_line(&self) -> String {
        self.err.line()
    }

    /// The next line of standard error, if it has come.
    pub(crate) fn err_line_at_hand(&self) -> Option<String> {
        self.err.lines.try_recv().ok().map(text)
    }

    /// The first line of standard error with this in it; those before it are passed over.
    pub(crate) fn err_line_with(&self, part: &str) -> String {
        loop {
            let line = self.err_line();
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end. Standard input stays as it is.
    pub(crate) fn end(mut self) -> Ran {
        let status = wait(&mut self.child);
        Ran {
            code: status.code().unwrap_or(-1),
            out: self.out.rest(),
            err: String::from_utf8(self.err.rest()).unwrap(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "the program hangs");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The lines of a pipe, read by a thread, so that the program never waits for us.
struct Output {
    lines: Receiver<Vec<u8>>,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Output {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            loop {
                let mut line = Vec::new();
                if pipe.read_until(b'\n', &mut line).unwrap() == 0 || sender.send(line).is_err() {
                    return;
                }
            }
        });
        Output { lines }
    }

    fn line(&self) -> String {
        text(self.lines.recv_timeout(PATIENCE).expect("a line of output"))
    }

    fn rest(&self) -> Vec<u8> {
        let start = Instant::now();
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
            rest.extend_from_slice(&line);
        }
        rest
    }
}

/// A line without its end.
fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).unwrap().strip_suffix('\n').unwrap().to_owned()
}

/// `unstick serve` at a free port.
pub(crate) struct Serve {
    pub(crate) program: Program,
    pub(crate) addr: SocketAddr,
}

impl Serve {
    /// With the tutorial's greeting, by which a client knows that it is served, unless the flags say how it is greeted.
    pub(crate) fn start(flags: &[&str]) -> Serve {
        let says = flags.iter().any(|flag| flag.starts_with("--greeting") || flag.starts_with("--raw-greeting"));
        let greeting = if says { &[][..] } else { &["--greeting"] };
        Serve::start_as_it_is(&[greeting, flags].concat())
    }

    /// With these flags and no others.
    pub(crate) fn start_as_it_is(flags: &[&str]) -> Serve {
        Serve::announced(Program::start(&[&["serve", "127.0.0.1:0"], flags].concat()))
    }

    /// One that a shell's script runs as `"$@"`.
    pub(crate) fn start_by_shell(script: &str, flags: &[&str]) -> Serve {
        let args = [&["serve", "127.0.0.1:0"], flags].concat();
        Serve::announced(Program::spawn(command_of_shell(script, &args)))
    }

    fn announced(program: Program) -> Serve {
        let line = program.out_line();
        let addr = line.strip_prefix("listening on ").expect("the address").parse().unwrap();
        Serve { program, addr }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection that has been greeted by a frame.
    pub(crate) fn greeted(&self) -> TcpStream {
        let mut stream = self.connect();
        assert_eq!(read(&mut stream, GREETING.len()), GREETING);
        stream
    }

    /// Stops it as a user would, and checks that it ends well.
    pub(crate) fn stop(self) -> Ran {
        self.program.signal(Signal::TERM);
        let ran = self.program.end();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }
}

/// A folder of its own, which is removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let folder = env::temp_dir().join(format!("unstick-program-{}-{name}", process::id()));
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    /// The address of a Unix socket in it.
    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.0.join("socket").display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A frame of the tutorial's format.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_le_bytes()[..], payload].concat()
}

pub(crate) fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Ends our side and gives what still came.
pub(crate) fn finish(mut stream: TcpStream) -> Vec<u8> {
    stream.shutdown(Shutdown::Write).unwrap();
    rest(&mut stream)
}

/// What comes until the peer ends its side.
pub(crate) fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}
