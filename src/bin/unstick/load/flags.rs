//! The flags of `unstick load`, and the plan that they say.

use std::net::{IpAddr, ToSocketAddrs};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use unstick::framing::Layout;
use unstick::load::{Expectation, Greeting, Pacing, Plan, Reply, Sizes, Target};

use crate::args::{self, Addr, parse_length, parse_threads, parse_time};
use crate::exit::{self, Chain, Failure};

/// With --frames and without --seconds, a run ends after this time at the latest.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const SECONDS: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
A closed loop (the default) sends the next frame when a reply has come: it shows how many frames a server can answer. An open
loop (--rate) sends at its own pace, as many clients do that know nothing of each other: it shows how long they wait.
*Response time* is from when a frame was to be sent to its reply: what a user waits. *Service time* is from when it was sent.

Examples:
  unstick load                                     the echo server at 127.0.0.1:4747, as fast as it answers
  unstick load db:9000 --format u16be --payload uniform:16..4KiB
  unstick load --rate 10k --expect 'p99<5ms' --expect errors=0
  unstick load --rate 1000 --poisson --seconds 60 --json run.json
  unstick load --reply push --connections 10       a server that broadcasts: unstick serve --broadcast
  unstick load --split --reset 5 --half-close 5    a server should not mind";

/// Load a server, verify every byte that comes back, and measure: frames a second, and how long each reply took
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(), allow_negative_numbers = true)]
pub(crate) struct Load {
    /// The server, as HOST:PORT, or as unix:PATH for a Unix socket
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:4747", value_parser = args::parse_addr)]
    pub(super) addr: Addr,

    /// How frames say their length: u32le, u32be, u16be, varint, ... or offset=2,width=2,endian=be,adjustment=-4 (--help lists all)
    #[arg(long, value_name = "FORMAT", default_value = "u32le")]
    format: Layout,

    /// The longest payload that may come, as in 64KiB or 8MiB [default: 1MiB, or the longest of --payload]
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    max_payload: Option<usize>,

    /// What the server says first: none, frame, or raw:N for N bytes without framing
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = parse_greeting)]
    greeting: Greeting,

    /// What the server answers: echo (every byte is verified), count (one frame of any bytes), none, or push (it sends each frame
    /// to every other connection)
    #[arg(long, value_name = "KIND", default_value = "echo", value_parser = parse_reply)]
    reply: Reply,

    /// Frames a second, all connections together, whatever the server does (open loop), as in 1000, 10k or 1.5M
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    rate: Option<f64>,

    /// With --rate: at random times, as from many clients that know nothing of each other, and not evenly
    #[arg(long, requires = "rate")]
    poisson: bool,

    /// The next frame when a reply has come (closed loop): the default without --rate
    #[arg(long, conflicts_with = "rate")]
    closed: bool,

    /// Frames in flight on each connection at most [default: 16, and with --rate no bound]
    #[arg(long, value_name = "N", value_parser = parse_in_flight)]
    in_flight: Option<NonZeroU32>,

    /// Connections
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_connections)]
    connections: NonZeroUsize,

    /// Connections made a second [default: as fast as they can be]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    connect_rate: Option<f64>,

    /// Make connections from this address, or from these in turn: one has about 28,000 ports
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    local_address: Vec<IpAddr>,

    /// Bytes of each payload: 64, uniform:16..4KiB, or list:64=0.9,64KiB=0.1 with the share of each
    #[arg(long, value_name = "SIZES", default_value = "64")]
    payload: Sizes,

    /// End when so many frames are sent, all connections together
    #[arg(long, value_name = "N")]
    frames: Option<u64>,

    /// How long is measured, as in 5, 0.5 or 500ms [default: 5, and with --frames as long as they take]
    #[arg(long, value_name = "SECONDS", value_parser = parse_time)]
    seconds: Option<Duration>,

    /// Send for so long before anything is measured
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_time)]
    warm_up: Duration,

    /// How long to wait at the end for replies that are in flight
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_time)]
    drain: Duration,

    /// Threads that send and receive
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_threads)]
    threads: NonZeroUsize,

    /// What the run has to show, else it exits with 9: a measure, a sign and a value, as in p99<5ms, service.max<1s, rate>=0.99,
    /// errors=0; may be given more than once
    #[arg(long, value_name = "EXPECTATION")]
    expect: Vec<Expectation>,

    /// With --rate: how late the generator itself may be with 1 % of the frames, else it exits with 10
    #[arg(long, value_name = "SECONDS", default_value = "10ms", value_parser = parse_time)]
    max_send_lag: Duration,

    /// Makes payloads, lengths and random times: the same number makes the same run
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,

    /// Write the numbers as JSON to this file; - is standard output, and the text goes to standard error
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,

    #[command(flatten)]
    chaos: Chaos,
}

/// What is done to the server on purpose.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Chaos (how such connections end is expected; their frames are verified all the same)")]
struct Chaos {
    /// Write frames in pieces of random length
    #[arg(long)]
    split: bool,

    /// Write many frames at once: all that may be in flight, or with --rate those of a millisecond
    #[arg(long, conflicts_with = "split")]
    merge: bool,

    /// So many connections read slowly: 4 KiB every 50 ms
    #[arg(long, value_name = "N", default_value = "0")]
    slow_readers: usize,

    /// So many connections are broken off in the middle of the run
    #[arg(long, value_name = "N", default_value = "0")]
    reset: usize,

    /// So many connections end their sending side in the middle of the run; what is in flight must be answered
    #[arg(long, value_name = "N", default_value = "0")]
    half_close: usize,
}

fn long_help() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{}", args::formats_help(), exit::HELP)
}

impl Load {
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
        plan.run = self.seed;
        plan.greeting = self.greeting;
        plan.reply = self.reply;
        plan.pacing = match self.rate {
            Some(rate) => Pacing::Open { rate, poisson: self.poisson },
            None => Pacing::Closed,
        };
        plan.in_flight = self.in_flight.map(NonZeroU32::get);
        plan.payload = self.payload.clone();
        plan.connections = self.connections.get();
        plan.connect_rate = self.connect_rate;
        plan.local_addrs = self.local_address.clone();
        plan.frames = self.frames;
        plan.warm_up = self.warm_up;
        plan.duration = self.seconds.unwrap_or(if self.frames.is_some() { LONGEST } else { SECONDS });
        plan.drain = self.drain;
        plan.threads = self.threads.get();
        plan.chaos.split = self.chaos.split;
        plan.chaos.merge = self.chaos.merge;
        plan.chaos.slow_readers = self.chaos.slow_readers;
        plan.chaos.reset = self.chaos.reset;
        plan.chaos.half_close = self.chaos.half_close;
        plan.greatest_lag = self.max_send_lag;
        plan.expectations = self.expect.clone();
        plan.check().map_err(Failure::usage)?;
        Ok(plan)
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
    let (number, factor) = match (text.strip_suffix(['k', 'K']), text.strip_suffix(['m', 'M'])) {
        (Some(number), _) => (number, 1e3),
        (_, Some(number)) => (number, 1e6),
        _ => (text, 1.0),
    };
    let rate = number.trim_end().parse::<f64>().ok().map(|number| number * factor);
    rate.filter(|rate| *rate > 0.0 && *rate <= 1e9)
        .ok_or_else(|| "write a number a second, above 0, as in 1000, 10k or 1.5M".into())
}

fn parse_in_flight(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a number of frames, 1 or more".into())
}

fn parse_connections(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number of connections, 1 or more".into())
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
