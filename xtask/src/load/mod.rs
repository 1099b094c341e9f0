//! `cargo xtask load`: loads the crate's own echo server over real sockets, and verifies every byte and the order of every reply.

mod output;
mod server;
mod session;

use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use unstick::framing::{Format, Layout};
use unstick::load::{Comparison, Pacing, Plan, Sizes, Target};

use crate::child::{Cores, raise_open_files, stay_on};
use crate::evidence;
use crate::text::parse_seconds;
use output::Output;
use server::Server;
use session::{Session, compared};

pub(crate) use server::build;

/// What is sent before a run is measured.
const WARM_UP: Duration = Duration::from_millis(200);

/// Load our own echo server over real sockets, and verify every byte and the order of every reply
///
/// Builds the program `unstick` in release and runs it as an echo server. Without flags, in about 15 s: how many frames it answers
/// as fast as it can (closed loop); the greatest steady rate that this machine keeps up with (open loop); and how long a reply takes
/// at half of that. With flags, one run. With --compare, runs of it and of tokio's echo server in turn. Exits with 0 if all that was
/// asked for happened and every byte was right, with 8 for wrong bytes or lost frames, 10 where a rate that was asked for was not
/// measured as asked, 2 for wrong flags, 130 after Ctrl-C. A server elsewhere, and more: `unstick load`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Connections [default: 64]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroUsize>,

    /// Frames in flight on each connection at most [default: 16, and with --rate no bound]
    #[arg(long, value_name = "D")]
    in_flight: Option<NonZeroU32>,

    /// Bytes of each payload: 64, uniform:16..4KiB, or list:64=0.9,64KiB=0.1 [default: 64]
    #[arg(long, value_name = "SIZES")]
    payload: Option<Sizes>,

    /// How long is measured [default: 5]
    #[arg(long, value_name = "T", value_parser = parse_seconds)]
    seconds: Option<Duration>,

    /// Frames a second, whatever the server does (open loop); without it, the next frame when a reply has come (closed loop)
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,

    /// The frame format, as the program takes it: u32le, u16be, varint, offset=2,width=2,endian=be,adjustment=-4 [default: u32le]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Layout>,

    /// Threads of the server
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,

    /// Compare with another echo server, each on one thread: tokio's, which flushes when it has nothing more to send or 128 KiB wait
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["format", "threads"])]
    compare: Option<Against>,

    /// With --compare: runs of each server, in turn: A B B A; each measures 2 s, unless --seconds says else
    #[arg(long, value_name = "N", requires = "compare", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=Comparison::MOST_RUNS as i64))]
    runs: u16,

    /// Run this build of the program instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Keep the server on the first cores and the load on the last one
    #[arg(long)]
    pin: bool,

    /// Write the numbers as JSON to this file; - is standard output, and the text goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a page with charts, for a browser, to this file [default: target/load.html without other flags of a run]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What ours is compared with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Against {
    Tokio,
}

/// Runs the load and reports it.
///
/// # Errors
/// Where a run could not begin: the flags do not fit together, the program does not build or listen, no connection can be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let payload = args.payload.clone().unwrap_or(Sizes::Fixed(64));
    let format = Plan::fit(args.format.unwrap_or(Format::U32_LE.layout()), &payload)?;
    raise_open_files();
    let program = args.program.clone().map_or_else(build, Ok)?;
    let page = args.is_tour().then(|| evidence::root().join("target/load.html"));
    let mut output = Output::open(args.json.as_deref(), args.html.as_deref(), page)?;
    let (cores, threads) = (Cores::allowed()?, args.threads.get());
    let servers = match args.pin {
        true => cores.servers(threads).ok_or_else(|| {
            let number = cores.all.len();
            format!("--pin with --threads {threads} needs a core for each and one for the load, and there are {number}")
        })?,
        false => &cores.all,
    };
    stay_on(servers)?;
    let server = Server::start(&program, format, threads)?;
    let peer = match args.compare {
        Some(Against::Tokio) => Some(Server::tokio(servers)?),
        None => None,
    };
    stay_on(if args.pin { cores.load() } else { &cores.all })?;
    let plan = Plan { format, payload, warm_up: WARM_UP, ..Plan::new(Target::Tcp(vec![server.addr])) };
    let session = Session::new(&mut output)?;
    let ended = match peer {
        Some(peer) => session.compare(server, peer, args.runs, &args.plan(compared(plan))),
        None if args.is_tour() => session.tour(server, plan),
        None => session.one(server, &args.plan(plan)),
    };
    output.finish()?;
    ended
}

impl Args {
    /// The plan, as the flags say.
    fn plan(&self, mut plan: Plan) -> Plan {
        plan.connections = self.connections.map_or(plan.connections, NonZeroUsize::get);
        plan.in_flight = self.in_flight.map(NonZeroU32::get);
        plan.duration = self.seconds.unwrap_or(plan.duration);
        if let Some(rate) = self.rate {
            plan.pacing = Pacing::Open { rate, poisson: false };
        }
        plan
    }

    /// Whether nothing of a single run is asked for.
    fn is_tour(&self) -> bool {
        let numbers = self.connections.is_none() && self.in_flight.is_none() && self.seconds.is_none();
        let kind = self.payload.is_none() && self.rate.is_none() && self.format.is_none();
        numbers && kind && self.compare.is_none()
    }
}
