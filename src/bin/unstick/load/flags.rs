//! The flags of `unstick load`, and the plan that they say.

use std::net::{IpAddr, ToSocketAddrs};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgGroup, Args};
use unstick::framing::Layout;
use unstick::load::{
    self, Comparison, Expectation, Greeting, Pacing, Plan, Reply, Search, Sizes, Sweep, Swept, Target, Tls,
};

use super::Also;
use super::output::Files;
use super::shards::Shards;
use crate::args::{self, Addr, parse_length, parse_threads, parse_time};
use crate::exit::{self, Chain, Failure};
use crate::tls::ConnectTls;

/// With --frames and without --seconds, a run ends after this time at the latest.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const SECONDS: Duration = Duration::from_secs(5);
/// Each run of a search or a sweep, and what is sent before it is measured.
const SECONDS_OF_MANY: Duration = Duration::from_secs(2);
const WARM_UP_OF_MANY: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  unstick load                                  an echo server at 127.0.0.1:4747
  unstick load db:9000 --format u16be --payload uniform:16..4KiB
  unstick load --rate 10k --expect 'p99<5ms' --expect errors=0
  unstick load --find-knee 'p99<5ms'            the greatest rate that keeps it
  unstick load --runs 5 --json old.json         then: --baseline old.json";

const DETAILS: &str = "\
Loops:
  A closed loop, the default, sends the next frame when a reply has come: it
  shows how many frames a server can answer. An open loop, --rate, sends on a
  schedule, as independent clients do: it shows how long they wait.

Times:
  The response time of a frame is from its scheduled time to its reply: what a
  user waits. Its service time is from when it was really sent.

Several runs:
  --find-knee tries rates, each for 2 s: upwards, then between the greatest that
  held and the least that failed twice, and confirms what it finds by a run of
  6 s. A rate holds if it was reached, the generator was in time, every byte was
  right, and every --expect was met. --sweep tries given values and marks the
  greatest up to which all hold.
  --baseline compares the medians of runs with those of earlier ones. A
  difference is seen if chance explains it in 1 of 100 cases or fewer (Mann and
  Whitney's test), which needs 5 runs a side. --expect 'p99<=baseline*1.1' then
  fails what is slower.

Result:
  The run fails if a reply is wrong, missing or extra (exit code 8), if an
  --expect is missed (9), or if less was measured than asked (10). Ctrl-C ends
  it early: what was measured is printed, marked INCOMPLETE.";

/// Load a framed server, verify every reply, and measure
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nMore flags and details: unstick load --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{DETAILS}\n\n{EXAMPLES}\n\n{}", exit::MORE), allow_negative_numbers = true)]
#[command(mut_args(hide_tls), args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(group(ArgGroup::new("paced").args(["rate", "find_knee", "sweep"]).multiple(true)))]
pub(crate) struct Load {
    #[command(subcommand)]
    pub(super) also: Option<Also>,

    /// HOST:PORT or unix:PATH
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:4747", value_parser = args::parse_addr)]
    pub(super) addr: Addr,

    /// The format of the frames
    #[arg(long, value_name = "FORMAT", default_value = "u32le")]
    format: Layout,

    /// The longest payload of a reply [default: 1MiB]
    ///
    /// With longer ones in --payload, the longest of these.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    max_payload: Option<usize>,

    /// What the server sends first: none, frame, or raw:N (N unframed bytes)
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = parse_greeting, hide_short_help = true)]
    greeting: Greeting,

    /// Replies: echo, count, none or push
    ///
    /// echo: each frame comes back, and every byte is verified. count: one frame
    /// of any bytes for each. none: no reply. push: each frame goes to every
    /// other connection.
    #[arg(long, value_name = "KIND", default_value = "echo", value_parser = parse_reply)]
    reply: Reply,

    /// Open loop: frames a second, such as 1000 or 10k
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    rate: Option<f64>,

    /// With --rate: send at random times, as independent clients do
    #[arg(long, requires = "paced", hide_short_help = true)]
    poisson: bool,

    /// Closed loop: send the next frame when a reply has come (the default)
    #[arg(long, conflicts_with = "rate", hide_short_help = true)]
    closed: bool,

    /// Frames in flight on each [default: 16; see --help]
    ///
    /// With --rate, --find-knee and --sweep rate= any number.
    #[arg(long, value_name = "N", value_parser = parse_in_flight)]
    in_flight: Option<NonZeroU32>,

    /// The number of connections
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_connections)]
    connections: NonZeroUsize,

    /// With --reply push: how many connections send; the others only receive
    #[arg(long, value_name = "N", value_parser = parse_connections, hide_short_help = true)]
    senders: Option<NonZeroUsize>,

    /// Connections made in a second [default: as fast as possible]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, hide_short_help = true)]
    connect_rate: Option<f64>,

    /// Connect from this address, or from several in turn; one address has
    /// about 28,000 ports
    #[arg(long, value_name = "IP", value_delimiter = ',', hide_short_help = true)]
    local_address: Vec<IpAddr>,

    /// As in 64 or uniform:16..4KiB
    ///
    /// Or list:64=0.9,64KiB=0.1, with the share of each.
    #[arg(long, value_name = "SIZES", default_value = "64")]
    payload: Sizes,

    /// End after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,

    /// How long to measure [default: 5; see --help]
    ///
    /// With --frames and without this, until they are sent. Each run of
    /// --find-knee and --sweep: 2.
    #[arg(long, value_name = "SECONDS", value_parser = parse_time)]
    seconds: Option<Duration>,

    /// Send for this long before measuring [default: 0]
    ///
    /// Before each run of --find-knee, and of --sweep without --frames: 0.2.
    #[arg(long, value_name = "SECONDS", value_parser = parse_time, hide_short_help = true)]
    warm_up: Option<Duration>,

    /// The longest time to wait at the end for replies that are in flight
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_time, hide_short_help = true)]
    drain: Duration,

    /// Threads that send and receive
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_threads)]
    threads: NonZeroUsize,

    /// Fail unless, for example, p99<5ms or errors=0
    ///
    /// A measure, a sign and a value: also service.max<1s or rate>=0.99. With
    /// --baseline also p99<=baseline*1.1. May be given more than once.
    #[arg(long, value_name = "EXPECTATION")]
    pub(super) expect: Vec<Expectation>,

    /// Find the greatest rate at which p99<5ms holds
    #[arg(long, value_name = "LIMIT", conflicts_with_all = ["rate", "closed", "frames", "sweep", "runs", "baseline"])]
    find_knee: Option<Expectation>,

    /// A run at each value of rate=10k..200k*1.5
    ///
    /// Or of connections=1..1000*2: from the first value to the last by a factor,
    /// or by steps, as in rate=10k..50k+10k.
    #[arg(long, value_name = "VALUES", conflicts_with_all = ["runs", "baseline"])]
    sweep: Option<Sweep>,

    /// Run N times [default: 1; see --help]
    ///
    /// With --baseline as often as that. The first has --seed for its seed, the
    /// next ones the numbers after it.
    #[arg(long, value_name = "N", value_parser = parse_runs)]
    runs: Option<u64>,

    /// Compare with the runs in a file of --json
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,

    /// With --rate: how late the generator may send 1 % of the frames before
    /// the run counts as not measured
    #[arg(long, value_name = "SECONDS", default_value = "10ms", value_parser = parse_time, hide_short_help = true)]
    max_send_lag: Duration,

    /// The seed of payloads, lengths and random times: the same one repeats a run
    #[arg(long, value_name = "N", default_value = "1", hide_short_help = true)]
    seed: u64,

    #[command(flatten)]
    pub(super) files: Files,

    /// The server's process, on this machine: sample its CPU and memory
    #[arg(long, value_name = "PID", value_parser = parse_pid, hide_short_help = true)]
    server_pid: Option<u32>,

    /// Show the run on the whole screen of a terminal
    #[arg(long, hide_short_help = true)]
    pub(super) tui: bool,

    #[command(flatten)]
    tls: ConnectTls,

    #[command(flatten)]
    chaos: Chaos,

    #[command(flatten)]
    shards: Shards,
}

/// The flags of TLS are for the long help: the short one is full.
fn hide_tls(arg: Arg) -> Arg {
    if arg.get_id().as_str().starts_with("tls") { arg.hide_short_help(true) } else { arg }
}

/// What is asked of a plan.
#[derive(Debug)]
pub(super) enum Asked {
    /// So many runs; `None` where as many as the baseline has, or one.
    Runs(Option<u64>),
    Knee,
    Sweep(Sweep),
}

/// What is done to the server on purpose.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Chaos")]
struct Chaos {
    /// Write frames in pieces of random length
    #[arg(long, hide_short_help = true)]
    split: bool,

    /// Write many frames at once
    ///
    /// All that may be in flight; with --rate, those due within a millisecond.
    #[arg(long, conflicts_with = "split", hide_short_help = true)]
    merge: bool,

    /// Read slowly on N connections
    ///
    /// 4 KiB every 50 ms.
    #[arg(long, value_name = "N", default_value = "0", hide_short_help = true)]
    slow_readers: usize,

    /// Reset N connections in mid-run
    #[arg(long, value_name = "N", default_value = "0", hide_short_help = true)]
    reset: usize,

    /// End the sending side of N connections in mid-run
    ///
    /// What is in flight on them must still be answered.
    #[arg(long, value_name = "N", default_value = "0", hide_short_help = true)]
    half_close: usize,
}

impl Load {
    /// What is to be done with the plan.
    pub(super) fn asked(&self) -> Result<Asked, Failure> {
        let held_against = self.expect.iter().find(|expectation| expectation.needs_baseline());
        if let (Some(expectation), None) = (held_against, &self.baseline) {
            return Err(Failure::usage(format_args!("--expect '{expectation}' needs --baseline")));
        }
        if self.find_knee.as_ref().is_some_and(Expectation::needs_baseline) {
            return Err(Failure::usage("--find-knee needs an expectation without baseline"));
        }
        Ok(match (&self.find_knee, &self.sweep) {
            (Some(_), _) => Asked::Knee,
            (None, Some(sweep)) => {
                if sweep.swept() == Swept::Rate && (self.rate.is_some() || self.closed) {
                    let flag = if self.closed { "--closed" } else { "--rate" };
                    return Err(Failure::usage(format_args!("--sweep {sweep} and {flag} do not go together")));
                }
                Asked::Sweep(sweep.clone())
            }
            (None, None) => Asked::Runs(self.runs),
        })
    }

    /// The plan that the flags say; the server's name is resolved.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let mut plan = Plan::new(self.target()?);
        let format = Plan::fit(self.format, &self.payload).map_err(Failure::usage)?;
        plan.format = match self.max_payload {
            Some(len) => format.with_max_payload_len(len).map_err(|error| {
                Failure::usage(format_args!("--max-payload {len} with --format {}: {error}", self.format))
            })?,
            None => format,
        };
        plan.tls = self.tls.config(&self.addr)?.map(|(config, name)| Tls::new(config, name));
        plan.server_pid = self.server_pid;
        plan.run = self.seed;
        plan.greeting = self.greeting;
        plan.reply = self.reply;
        plan.pacing = match self.first_rate() {
            Some(rate) => Pacing::Open { rate, poisson: self.poisson },
            None => Pacing::Closed,
        };
        plan.in_flight = self.in_flight.map(NonZeroU32::get);
        plan.senders = self.senders.map(NonZeroUsize::get);
        plan.payload = self.payload.clone();
        plan.connections = self.connections.get();
        plan.connect_rate = self.connect_rate;
        plan.local_addrs = self.local_address.clone();
        plan.frames = self.frames;
        let of_many = self.frames.is_none() && (self.find_knee.is_some() || self.sweep.is_some());
        plan.warm_up = self.warm_up.unwrap_or(if of_many { WARM_UP_OF_MANY } else { Duration::ZERO });
        plan.duration = self.seconds.unwrap_or(match self.frames {
            Some(_) => LONGEST,
            None if of_many => SECONDS_OF_MANY,
            None => SECONDS,
        });
        plan.drain = self.drain;
        plan.threads = self.threads.get();
        plan.chaos.split = self.chaos.split;
        plan.chaos.merge = self.chaos.merge;
        plan.chaos.slow_readers = self.chaos.slow_readers;
        plan.chaos.reset = self.chaos.reset;
        plan.chaos.half_close = self.chaos.half_close;
        plan.greatest_lag = self.max_send_lag;
        let of_each_run = self.expect.iter().filter(|expectation| !expectation.needs_baseline());
        plan.expectations = self.find_knee.iter().chain(of_each_run).cloned().collect();
        self.shards.complete(&mut plan)?;
        plan.check().map_err(Failure::usage)?;
        Ok(plan)
    }

    /// The rate of the first run, where one is asked for.
    fn first_rate(&self) -> Option<f64> {
        let swept = self
            .sweep
            .iter()
            .filter(|sweep| sweep.swept() == Swept::Rate)
            .find_map(|sweep| sweep.values().first().copied());
        let searched = self.find_knee.as_ref().map(|_| Search::default().first);
        self.rate.or(swept).or(searched)
    }

    fn target(&self) -> Result<Target, Failure> {
        match &self.addr {
            Addr::Unix(path) => {
                args::check_socket_path(path)?;
                Ok(Target::Unix(path.clone()))
            }
            Addr::Tcp(addr) => match addr.host_port().to_socket_addrs() {
                Ok(addrs) => Ok(Target::Tcp(addrs.collect())),
                Err(error) => Err(Failure::other(format_args!("{addr}: the name has no address: {}", Chain(&error)))),
            },
        }
    }
}

/// A number a second.
fn parse_rate(text: &str) -> Result<f64, String> {
    load::number(text)
        .filter(|rate| *rate <= 1e9)
        .ok_or_else(|| "write a number a second, above 0, as in 1000, 10k or 1.5M".into())
}

fn parse_runs(text: &str) -> Result<u64, String> {
    const MOST: usize = Comparison::MOST_RUNS;
    let runs = text.parse().ok().filter(|runs| (1..=MOST as u64).contains(runs));
    runs.ok_or_else(|| format!("write a number of runs, 1 to {MOST}"))
}

fn parse_in_flight(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a number of frames, 1 or more".into())
}

fn parse_connections(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number of connections, 1 or more".into())
}

fn parse_pid(text: &str) -> Result<u32, String> {
    let pid = text.parse().map_err(|_| "write the number of a process".to_owned())?;
    match std::path::Path::new(&format!("/proc/{pid}/stat")).exists() {
        true => Ok(pid),
        false => Err(format!("there is no process {pid}")),
    }
}

fn parse_greeting(text: &str) -> Result<Greeting, String> {
    match (text, text.strip_prefix("raw:").map(str::parse)) {
        ("none", _) => Ok(Greeting::None),
        ("frame", _) => Ok(Greeting::Frame),
        (_, Some(Ok(len))) => Ok(Greeting::Raw(len)),
        _ => Err("write none, frame, or raw:N for N bytes without framing".into()),
    }
}

fn parse_reply(text: &str) -> Result<Reply, String> {
    match text {
        "echo" => Ok(Reply::Echo),
        "count" => Ok(Reply::Count),
        "none" => Ok(Reply::None),
        "push" => Ok(Reply::Push),
        _ => Err("write echo, count, none or push".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        for (text, rate) in [("1", 1.0), ("0.5", 0.5), ("10k", 10_000.0), ("1.5M", 1_500_000.0)] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for wrong in ["", "k", "0", "-1", "nan", "inf", "2G"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
