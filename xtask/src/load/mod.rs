//! `cargo xtask load`: loads the crate's own echo server over real sockets, and verifies every byte and the order of every reply.

mod compare;
mod server;
mod watch;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use unstick::framing::{Format, Layout};
use unstick::load::{
    self, Comparison, Curve, Outcome, Pacing, Plan, Results, RunError, Search, Sizes, Target, Verdict,
};

use crate::child::{Cores, raise_open_files, stay_on};
use crate::text::{count, parse_seconds};
use server::Server;
use watch::Watcher;

pub(crate) use server::build;

/// How long each rate is tried in the search, and warmed up before.
const TRY: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_millis(200);
/// How late the generator may be with 1 % of the frames for a rate to count as healthy.
const GREATEST_LAG: Duration = Duration::from_millis(5);
/// Where the search looks, but for the greatest rate: a closed loop shows that. Roughly, as it is to be short.
const SEARCH: Search =
    Search { first: 8_000.0, least: 500.0, most: 1e9, step: 4.0, precision: 1.2, tries: 2, confirm: 2 };

/// Load our own echo server over real sockets, and verify every byte and the order of every reply
///
/// Builds the program `unstick` in release and runs it as an echo server. Without flags, in about 15 s: how many frames it answers
/// as fast as it can (closed loop); the greatest steady rate that this machine keeps up with (open loop); and how long a reply takes
/// at half of that. With flags, one run. With --compare, five runs of it and five of tokio's echo server in turn. Exits with 0 if all that was asked for happened and every byte was right, with 8 for wrong
/// bytes or lost frames, 10 where a rate that was asked for was not measured as asked, 2 for wrong flags, 130 after Ctrl-C. A server
/// elsewhere, and more: `unstick load`.
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
/// Where the run could not begin: the flags do not fit together, the program does not build or listen, no connection can be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let payload = args.payload.clone().unwrap_or(Sizes::Fixed(64));
    let format = Plan::fit(args.format.unwrap_or(Format::U32_LE.layout()), &payload)?;
    raise_open_files();
    let program = args.program.clone().map_or_else(server::build, Ok)?;
    let mut output = Output::open(args)?;
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
    let mut plan = Plan::new(Target::Tcp(vec![server.addr]));
    (plan.format, plan.payload, plan.warm_up) = (format, payload, WARM_UP);
    let session = Session { server, watcher: Watcher::new()?, output: &mut output };
    let code = match peer {
        Some(peer) => session.compare(peer, args, plan)?,
        None if args.is_plain() => session.tour(plan)?,
        None => session.one(args, plan)?,
    };
    output.finish()?;
    Ok(code)
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
    fn is_plain(&self) -> bool {
        let numbers = self.connections.is_none() && self.in_flight.is_none() && self.seconds.is_none();
        numbers && self.payload.is_none() && self.rate.is_none() && self.format.is_none()
    }
}

/// A server, and what is done with it.
struct Session<'a> {
    server: Server,
    watcher: Watcher,
    output: &'a mut Output,
}

impl Session<'_> {
    /// One run, as the flags say.
    fn one(mut self, args: &Args, plan: Plan) -> Result<ExitCode, Box<dyn Error>> {
        let outcome = self.measure(&args.plan(plan))?;
        let outcome = self.server.stop(outcome)?;
        self.output.say(&load::text(&outcome));
        self.output.html = load::html(&outcome);
        self.output.json = serde_json::to_value(&outcome)?;
        Ok(code(outcome.verdict))
    }

    /// What a newcomer wants to know: three runs, and what they say.
    fn tour(mut self, mut plan: Plan) -> Result<ExitCode, Box<dyn Error>> {
        self.output.say("1. As fast as it answers: 16 frames in flight on each of 64 connections, the next when a reply has come (closed loop)");
        plan.duration = Duration::from_secs(4);
        let peak = self.measure(&plan)?;
        self.output.say(&load::text(&peak));
        let most = peak.frames_per_second.max(1.0);
        let is_over = self.watcher.is_interrupted() || peak.verdict == Verdict::Wrong;
        let curve = if is_over { None } else { Some(self.search(&plan, most)?) };
        let rate = curve.as_ref().and_then(|curve| curve.knee);
        let last = match rate.filter(|_| !self.watcher.is_interrupted()) {
            Some(rate) => Some(self.half(&plan, rate)?),
            None => None,
        };
        let json = json!({ "peak": peak, "curve": curve, "greatest_healthy_rate": rate, "half": last });
        let verdicts: Vec<Verdict> = [Some(&peak), last.as_ref()].into_iter().flatten().map(|it| it.verdict).collect();
        let ended = self.server.stop(last.unwrap_or(peak))?;
        self.output.html = load::results_html(&together(curve, &ended));
        let server_failed = ended.server.and_then(|server| server.failure);
        if let Some(failure) = &server_failed {
            self.output.say(&format!("  ! {failure}"));
        }
        self.output.json = json;
        let is_wrong = verdicts.contains(&Verdict::Wrong) || server_failed.is_some();
        Ok(match is_wrong {
            true => code(Verdict::Wrong),
            false if self.watcher.is_interrupted() => code(Verdict::Incomplete),
            // No rate was asked for, so none is missed.
            false => ExitCode::SUCCESS,
        })
    }

    /// The greatest steady rate that is healthy.
    fn search(&mut self, plan: &Plan, most: f64) -> Result<Curve, Box<dyn Error>> {
        self.output.say(
            "\n2. At a steady rate, whatever the server does (open loop): which does this machine, server and generator together, keep up with?",
        );
        let plan = Plan { duration: TRY, greatest_lag: GREATEST_LAG, ..plan.clone() };
        let curve = load::find_knee(&plan, &Search { most, ..SEARCH }, |plan| {
            let outcome = self.measure(plan)?;
            let rate = outcome.rate_asked.unwrap_or_default();
            self.output.say(&format!("  {:>9} frames/s   {}", count(rate as u64), judge(&outcome)));
            Ok::<Outcome, RunError>(outcome)
        })?;
        if curve.knee.is_none() && !self.watcher.is_interrupted() {
            self.output.say(
                "  No rate is healthy on this machine as it is now: other programs may have its cores. So there is no third part; \
                 `unstick load --rate` measures a rate of your choice.",
            );
        }
        Ok(curve)
    }

    /// How long a reply takes at half of this rate.
    fn half(&mut self, plan: &Plan, rate: f64) -> Result<Outcome, Box<dyn Error>> {
        let half = (rate / 2.0).round();
        self.output.say(&format!(
            "\n3. At half of the greatest healthy rate, {} frames/s: how long does a reply take?",
            count(half as u64)
        ));
        let pacing = Pacing::Open { rate: half, poisson: false };
        let plan = Plan { pacing, duration: Duration::from_secs(3), greatest_lag: GREATEST_LAG, ..plan.clone() };
        let outcome = self.measure(&plan)?;
        self.output.say(&load::text(&outcome));
        Ok(outcome)
    }

    fn measure(&mut self, plan: &Plan) -> Result<Outcome, RunError> {
        let Session { server, watcher, .. } = self;
        server.measure(plan, |plan| load::run(plan, &mut watcher.watch(plan)))
    }
}

/// What the page of the tour shows: the curve that was found, and the last run in detail.
fn together(curve: Option<Curve>, last: &Outcome) -> Results {
    match curve.filter(|curve| curve.knee.is_some()) {
        Some(curve) => {
            let mut results = Results::of_curve(curve);
            results.runs = vec![last.clone()];
            results
        }
        None => Results::of_runs(vec![last.clone()]),
    }
}

/// Whether a rate is healthy, and why.
fn judge(outcome: &Outcome) -> String {
    let p99 = outcome.response_ns.quantile(0.99).map_or(0.0, |nanoseconds| nanoseconds as f64 / 1e6);
    match outcome.failures.first() {
        None => format!("kept up: 99 % of the replies within {p99:.2} ms of when their frame was to be sent"),
        Some(failure) => format!("not kept up: {failure}"),
    }
}

/// The exit code of a verdict, as `unstick load` has it.
fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Verified => 0,
        Verdict::Incomplete => 130,
        Verdict::ExpectationMissed => 9,
        Verdict::NotAsAsked => 10,
        _ => 8,
    })
}

/// Where text and numbers go. Opened before the run, so that a mistake is not told after it.
struct Output {
    json: serde_json::Value,
    html: String,
    to: To,
    /// Where the page goes.
    page: Option<(PathBuf, File)>,
    /// The first that could not be written.
    lost: Option<String>,
}

enum To {
    Stdout,
    /// JSON goes to standard output, text to standard error.
    JsonStdout,
    File(PathBuf, File),
}

impl Output {
    fn open(args: &Args) -> Result<Output, String> {
        let to = match &args.json {
            None => To::Stdout,
            Some(path) if path.as_os_str() == "-" => To::JsonStdout,
            Some(path) => {
                let file = File::create(path).map_err(|error| format!("--json {}: {error}", path.display()))?;
                To::File(path.clone(), file)
            }
        };
        Ok(Output { json: serde_json::Value::Null, html: String::new(), to, page: Output::page(args)?, lost: None })
    }

    /// Where nobody asked for a page, one that cannot be written is left out.
    fn page(args: &Args) -> Result<Option<(PathBuf, File)>, String> {
        let is_tour = args.is_plain() && args.compare.is_none();
        match &args.html {
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Some((path.clone(), file))),
                Err(error) => Err(format!("--html {}: {error}", path.display())),
            },
            None if is_tour => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("load.html");
                Ok(File::create(&path).ok().map(|file| (path, file)))
            }
            None => Ok(None),
        }
    }

    fn say(&mut self, text: &str) {
        if let To::JsonStdout = self.to {
            eprintln!("{text}");
        } else if let Err(error) = writeln!(io::stdout(), "{text}") {
            self.lost.get_or_insert(format!("standard output: {error}"));
        }
    }

    fn finish(mut self) -> Result<(), Box<dyn Error>> {
        if let Some((path, mut file)) = self.page.take() {
            match file.write_all(self.html.as_bytes()) {
                Ok(()) => self.say(&format!("\nA page with charts, for a browser: {}", path.display())),
                Err(error) => _ = self.lost.get_or_insert(format!("{}: {error}", path.display())),
            }
        }
        let text = format!("{}\n", self.json);
        let written = match self.to {
            To::Stdout => Ok(()),
            To::JsonStdout => {
                io::stdout().write_all(text.as_bytes()).map_err(|error| format!("standard output: {error}"))
            }
            To::File(path, mut file) => {
                file.write_all(text.as_bytes()).map_err(|error| format!("--json {}: {error}", path.display()))
            }
        };
        Ok(written.and(self.lost.map_or(Ok(()), Err))?)
    }
}
