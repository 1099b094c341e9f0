//! `cargo xtask attack`: attacks a server in every known way, beside well-behaved clients, and reports whether it held.
//!
//! Each attack has its own server, a process of this program ([`server`]). Its statistics, memory and CPU time are
//! measured from outside ([`host`]).

mod healthy;
mod host;
mod peer;
mod push;
mod receivers;
mod report;
mod scenarios;
mod scene;
mod server;
mod stream;

use std::error::Error;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

pub(crate) use scenarios::{ClientArgs, be_client};
pub(crate) use server::{ServerArgs, serve};

use crate::child::raise_open_files;
use crate::text::parse_seconds;
use scene::{Over, Pace, Row, Scenario, Verdict};

/// The longest time for one attack: more than all timeouts in it together.
const LONGEST: Duration = Duration::from_secs(180);

/// Attack a server in every known way, and check that it holds
///
/// Each attack has its own server process, and well-behaved clients beside it, which verify every byte of their
/// replies. For each attack it prints: what was sent; the reasons for which the server ended those connections; its
/// memory before, at most and after; its CPU time; and the 99th percentile of the well-behaved clients' round trips
/// without and with the attack. Exits with 0 only if every attack was held, with 1 otherwise, and with 2 for wrong
/// flags. Uses only the loopback.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only these attacks; see --list
    #[arg(value_name = "NAME", value_parser = parse_name)]
    names: Vec<&'static Scenario>,

    /// List the attacks, and exit
    #[arg(long)]
    list: bool,

    /// Attack over tcp, unix, tls, or all
    #[arg(long, value_name = "TRANSPORT", default_value = "all", value_parser = parse_over)]
    over: Transports,

    /// How long a flood lasts [default: 2; with --quick 0.3]
    #[arg(long, value_name = "T", value_parser = parse_seconds)]
    seconds: Option<Duration>,

    /// Fewer connections and shorter floods: checks each attack, but its figures mean little
    #[arg(long)]
    quick: bool,

    /// Print each attack as a line of JSON; the table goes to standard error
    #[arg(long)]
    json: bool,

    /// This process is in its own network namespace: print only the row
    #[arg(long, hide = true)]
    inside: bool,
}

/// Makes the attacks and reports the results.
///
/// # Errors
/// If the output fails.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.list {
        return list();
    }
    raise_open_files();
    let span = if args.quick { Duration::from_millis(300) } else { Duration::from_secs(2) };
    let pace = Pace { quick: args.quick, span: args.seconds.unwrap_or(span) };
    let all: Vec<_> = scenarios::ALL.iter().collect();
    let chosen = if args.names.is_empty() { &all } else { &args.names };
    match args.inside {
        true => scenarios::prepare()?,
        false => args.tell(&report::header())?,
    }
    let mut verdicts = Vec::new();
    for scenario in chosen {
        for over in args.over.0 {
            let verdict = match (scenarios::not_over(*over, scenario.name), scenario.name == scenarios::HALF_OPEN.name)
            {
                (Some(why), _) => args.publish(&Row::skipped(scenario.name, *over, why.into()))?,
                (None, true) if !args.inside => args.elsewhere(scenario)?,
                _ => args.publish(&in_time(scenario, *over, pace))?,
            };
            verdicts.push((scenario.name, *over, verdict));
        }
    }
    if !args.inside {
        args.tell(&report::summary(&verdicts))?;
    }
    let held = verdicts.iter().all(|(.., verdict)| *verdict != Verdict::NotHeld);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes an attack; exits the process, and with it its server, if that takes too long.
fn in_time(scenario: &Scenario, over: Over, pace: Pace) -> Row {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let (name, longest) = (scenario.name, LONGEST + pace.span * 4);
    thread::spawn(move || {
        if is_done.recv_timeout(longest) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("NOT HELD  {name}: it did not end within {longest:?}");
            process::exit(1);
        }
    });
    let row = scene::play(scenario, over, pace);
    drop(done);
    row
}

fn list() -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for scenario in scenarios::ALL {
        writeln!(out, "{:18} {}", scenario.name, scenario.about)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn publish(&self, row: &Row) -> io::Result<Verdict> {
        self.tell(&report::lines(row))?;
        if self.json {
            writeln!(io::stdout(), "{}", report::json(row))?;
        }
        Ok(row.verdict())
    }

    /// Makes an attack in its own network namespace, if that is possible, by starting this program again.
    fn elsewhere(&self, scenario: &Scenario) -> Result<Verdict, Box<dyn Error>> {
        let skip = |why| self.publish(&Row::skipped(scenario.name, Over::Tcp, why));
        if self.quick {
            return Ok(skip("keepalive takes 31 s to notice; it runs without --quick".into())?);
        }
        let mut command = match crate::network::own() {
            Ok(command) => command,
            Err(why) => return Ok(skip(why)?),
        };
        command.arg(std::env::current_exe()?).args(["attack", "--inside", "--over", "tcp", scenario.name]);
        let status = command.args(self.json.then_some("--json")).status()?;
        Ok(if status.success() { Verdict::Held } else { Verdict::NotHeld })
    }

    fn tell(&self, text: &str) -> io::Result<()> {
        match self.json {
            true => io::stderr().write_all(text.as_bytes()),
            false => io::stdout().write_all(text.as_bytes()),
        }
    }
}

/// The transports to attack over.
#[derive(Clone, Copy, Debug)]
struct Transports(&'static [Over]);

fn parse_over(text: &str) -> Result<Transports, String> {
    match text {
        "tcp" => Ok(Transports(&[Over::Tcp])),
        "unix" => Ok(Transports(&[Over::Unix])),
        "tls" => Ok(Transports(&[Over::Tls])),
        "all" => Ok(Transports(&[Over::Tcp, Over::Unix, Over::Tls])),
        _ => Err("write tcp, unix, tls, or all".into()),
    }
}

fn parse_name(text: &str) -> Result<&'static Scenario, String> {
    let found = scenarios::ALL.iter().find(|scenario| scenario.name == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
        format!("no attack has this name; there are {}", names.join(", "))
    })
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
