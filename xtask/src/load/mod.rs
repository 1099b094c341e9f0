//! `cargo xtask load`: loads an echo server over real sockets, and verifies every byte and the order of every reply.

mod connection;
mod fault;
mod generator;
mod pattern;
mod pin;
mod process;
mod report;
mod server;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unstick::framing::{Encoder, Format, FormatError, Header, Layout};

use generator::Progress;
pub(crate) use generator::{Greeting, Plan, Wish, run as generate};
pub(crate) use pattern::Pattern;
use pin::Cores;
use process::Cpu;
pub(crate) use process::{peak_memory, resident_memory};
pub(crate) use report::count;
use report::{Report, ServerUse, Verdict};
use server::Server;

/// Load an echo server over real sockets, and verify every byte and the order of every reply
///
/// Builds the program `unstick` in release, runs it as an echo server, and keeps frames in flight on many connections. Each
/// payload is a function of connection, sequence and position, so that what is altered, swapped, repeated, lost or cut
/// off shows. Ends with 0 only if all that was asked for happened and every byte was right, 1 otherwise, 2 for wrong flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Connections
    #[arg(long, value_name = "N", default_value = "64")]
    connections: NonZeroUsize,

    /// Frames in flight on each connection: the next one is sent when a reply has come (closed loop)
    #[arg(long, value_name = "D", default_value = "16")]
    in_flight: NonZeroUsize,

    /// Bytes of each payload, as in 0, 64, 16KiB or 1MiB
    #[arg(long, value_name = "LENGTH", default_value = "64", value_parser = parse_length)]
    payload: usize,

    /// How long frames are sent
    #[arg(long, value_name = "T", default_value = "5", value_parser = parse_seconds)]
    seconds: Duration,

    /// Frames in all: the load ends when they are answered, and fails if that takes longer than --seconds
    #[arg(long, value_name = "N")]
    frames: Option<u64>,

    /// How long to wait for replies that are in flight at the end
    #[arg(long, value_name = "T", default_value = "10", value_parser = parse_seconds)]
    drain: Duration,

    /// Threads of the server
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "addr")]
    threads: NonZeroUsize,

    /// The frame format, as the program takes it: u32le, u16be, varint, offset=2,width=2,endian=be,adjustment=-4
    #[arg(long, value_name = "FORMAT", default_value = "u32le")]
    format: Layout,

    /// Run this build of the program instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "addr")]
    program: Option<PathBuf>,

    /// Load the echo server that runs there, in whatever language it is written
    #[arg(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,

    /// What the server at --addr says first: frame, none, or raw:N for N bytes without framing
    #[arg(long, value_name = "KIND", default_value = "none", requires = "addr", value_parser = parse_greeting)]
    greeting: Greeting,

    /// Keep the server on the first cores and the load on the last one
    #[arg(long)]
    pin: bool,

    /// Write the numbers as JSON to this file; - is standard output, and the text goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the load and reports it.
///
/// # Errors
/// Where the run could not begin: the flags do not fit together, the program does not build or listen, a connection
/// cannot be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let plan = args.plan()?;
    raise_open_files();
    let cores = args.pin.then(|| Cores::share_out(args.threads.get())).transpose()?;
    let server = match args.addr {
        Some(_) => None,
        None => {
            let program = args.program.clone().map_or_else(server::build, Ok)?;
            cores.as_ref().map_or(Ok(()), Cores::go_to_servers)?;
            Some(Server::start(&program, &args.server_flags(&plan))?)
        }
    };
    cores.as_ref().map_or(Ok(()), Cores::go_to_loads)?;
    let plan = Plan { addr: server.as_ref().map_or(plan.addr, |server| server.addr().into()), ..plan };
    let report = measure(plan, server, args.threads.get())?;
    args.publish(&report)?;
    Ok(if report.verdict() == Verdict::Verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads the server and takes stock of it before it ends.
fn measure(plan: Plan, server: Option<Server>, threads: usize) -> Result<Report, Box<dyn Error>> {
    let mut watcher = Watcher::new(&plan)?;
    let load = std::process::id();
    let cpu = |pid| Cpu::of(pid).zip(Some(pid));
    let (server_before, load_before) = (server.as_ref().and_then(|server| cpu(server.pid())), cpu(load));
    let begin = Instant::now();
    let outcome = generator::run(&plan, &mut |progress| watcher.watch(progress))?;
    let wall = begin.elapsed();
    let since = |before: Option<(Cpu, u32)>| before.and_then(|(before, pid)| Some(Cpu::of(pid)? - before));
    let (server_cpu, load_cpu) = (since(server_before), since(load_before));
    let server = server.map(|server| stop(server, threads, server_cpu)).transpose()?;
    Ok(Report { plan, outcome, server, load_cpu, wall })
}

fn stop(server: Server, threads: usize, cpu: Option<Cpu>) -> Result<ServerUse, Box<dyn Error>> {
    let peak_memory = peak_memory(server.pid());
    let ended = server.stop()?;
    let failure = (!ended.status.success()).then(|| format!("the server ended with {}", ended.status));
    Ok(ServerUse { threads, cpu, peak_memory, failure, said: ended.said.into() })
}

impl Args {
    fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let in_all = self.connections.get() as u64;
        if let Some(frames) = self.frames.filter(|frames| *frames < in_all) {
            return Err(format!("--frames {frames} are fewer than --connections {in_all}: each needs one").into());
        }
        Ok(Plan {
            addr: self.addr.unwrap_or(([127, 0, 0, 1], 0).into()).into(),
            connections: self.connections.get(),
            in_flight: self.in_flight.get() as u64,
            payload_len: self.payload,
            duration: self.seconds,
            frames: self.frames,
            drain: self.drain,
            format: self.format()?,
            greeting: self.greeting,
        })
    }

    /// The format, with a limit that the payload keeps.
    fn format(&self) -> Result<Format, Box<dyn Error>> {
        let fails = |error: FormatError| format!("--format {} with --payload {}: {error}", self.format, self.payload);
        let format = Format::with_default_limit(self.format).map_err(fails)?;
        let format = match self.payload > format.max_payload_len() {
            true => format.with_max_payload_len(self.payload).map_err(fails)?,
            false => format,
        };
        let prefix = vec![0; usize::from(self.format.offset)];
        let header = Encoder::new(format).header(&prefix, self.payload, &mut Vec::new());
        header.map_err(|error| format!("--format {} with --payload {}: {error}", self.format, self.payload))?;
        Ok(format)
    }

    fn server_flags(&self, plan: &Plan) -> Vec<String> {
        let limit = plan.format.max_payload_len().to_string();
        let (format, threads) = (self.format.to_string(), self.threads.to_string());
        let flags = ["--threads", &threads, "--format", &format, "--max-payload", &limit];
        flags.map(String::from).into()
    }

    fn publish(&self, report: &Report) -> Result<(), Box<dyn Error>> {
        let text = match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                eprintln!("{report}");
                format!("{:#}\n", report.json())
            }
            Some(path) => {
                fs::write(path, format!("{:#}\n", report.json()))
                    .map_err(|error| format!("--json {}: {error}", path.display()))?;
                format!("{report}\n")
            }
            None => format!("{report}\n"),
        };
        io::stdout().write_all(text.as_bytes()).map_err(|error| format!("standard output: {error}").into())
    }
}

/// Shows how far a run is, and listens for signals: the first one ends it early, the second one at once.
struct Watcher {
    bar: ProgressBar,
    signals: Signals,
    wish: Wish,
    /// Without a terminal: when the next line is due.
    next_line: Duration,
}

/// Without a terminal a line is printed so often: only long runs show any.
const LINE_EVERY: Duration = Duration::from_secs(30);

impl Watcher {
    fn new(plan: &Plan) -> Result<Watcher, Box<dyn Error>> {
        let bar = ProgressBar::with_draw_target(Some(plan.duration.as_millis() as u64), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("  {bar:24} {msg}")?);
        let wish = Wish::GoOn;
        Ok(Watcher { bar, signals: Signals::new([SIGINT, SIGTERM])?, wish, next_line: LINE_EVERY })
    }

    fn watch(&mut self, Progress { elapsed, answered, connections }: Progress) -> Wish {
        for _ in self.signals.pending() {
            self.wish = if self.wish == Wish::GoOn { Wish::Stop } else { Wish::Abort };
        }
        let rate = report::count((answered as f64 / elapsed.as_secs_f64()) as u64);
        let line = || format!("{:.1} s, {connections} connections, {rate} frames/s", elapsed.as_secs_f64());
        if io::stderr().is_terminal() {
            self.bar.set_message(line());
            self.bar.set_position(elapsed.as_millis() as u64);
        } else if elapsed >= self.next_line {
            self.next_line += LINE_EVERY;
            eprintln!("{}", line());
        }
        self.wish
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Allows as many open files as the system lets us: a connection is one, here and in the server. Where that is not
/// enough, the connect that fails says so.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

pub(crate) fn parse_length(text: &str) -> Result<usize, String> {
    let (number, factor) = match text {
        _ if text.ends_with("KiB") => (&text[..text.len() - 3], 1 << 10),
        _ if text.ends_with("MiB") => (&text[..text.len() - 3], 1 << 20),
        _ => (text, 1),
    };
    let length = number.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    length.ok_or_else(|| "write a number of bytes, as in 64, 16KiB or 1MiB".into())
}

pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "write a number of seconds, as in 5 or 0.5".into())
}

fn parse_greeting(text: &str) -> Result<Greeting, String> {
    match (text, text.strip_prefix("raw:").map(str::parse)) {
        ("none", _) => Ok(Greeting::None),
        ("frame", _) => Ok(Greeting::Frame),
        (_, Some(Ok(len))) => Ok(Greeting::Raw(len)),
        _ => Err("write frame, none, or raw:N for N bytes without framing".into()),
    }
}
