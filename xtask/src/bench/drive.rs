//! Servers under a load, in turn: each a process of its own on the first core, the load on the last one.
//!
//! The server is to be the limit. So replies are counted and not looked at ([`Reply::Count`]), after [`verify`] has looked at some.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use unstick::framing::Format;
use unstick::load::{self, Plan, Reply, Sizes, Target, Tls, Wish};

use super::figures::Figures;
use super::goals::{CPU, LOAD_CPU, OURS, P99, PEAK, RATE};
use super::peers::{LIMIT, OWN, Service, Setup};
use super::{Group, Pace, order};
use crate::certificate::{self, Certificate};
use crate::child::{Listening, cpu_of, peak_memory};
use crate::evidence::Done;

/// Before anything is counted in a round, and what is.
pub(super) const WARM_UP: Duration = Duration::from_millis(200);
pub(super) const COUNTED: Duration = Duration::from_millis(700);
/// A server that answers nothing for so long has failed.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Connections and frames on which replies are looked at before a server is measured.
const LOOKED_AT: (usize, u64) = (4, 40);
/// What is measured in each round.
const MEASURES: [&str; 8] = [RATE, CPU, "p50, µs", P99, "server busy", "load busy", LOAD_CPU, PEAK];

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Host {
    child: Listening,
    pub(super) addr: SocketAddr,
}

impl Host {
    /// Starts a server; with `counts`, under strace, which writes its counts to that file in the end.
    pub(super) fn start(setup: &Setup, counts: Option<&Path>) -> Done<Host> {
        let this = setup.program.clone().map_or_else(std::env::current_exe, Ok)?;
        let mut command = Command::new(if counts.is_some() { "strace".as_ref() } else { this.as_path() });
        if let Some(counts) = counts {
            command.args(["-c", "-f", "-o"]).arg(counts).arg(&this);
        }
        command.args(["bench-peer", &serde_json::to_string(setup)?]);
        Certificate::give(&mut command);
        let child = Listening::start(command)?;
        let addr = child.addr().parse()?;
        Ok(Host { child, addr })
    }

    /// Ends the server, which ends with its standard input, and waits for its end.
    pub(super) fn stop(mut self) -> std::io::Result<()> {
        self.child.end_input();
        self.child.wait().map(drop)
    }

    /// Resident memory, in bytes. Of `status` it would be what the kernel knows by and by.
    pub(super) fn resident(&self) -> Done<f64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.pid()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
        Ok(1024.0 * line.ok_or("the server's memory is not known")?.parse::<f64>()?)
    }
}

/// A server and its load, by a name. The load's target is where the server listens.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) who: String,
    pub(super) setup: Setup,
    pub(super) plan: Plan,
}

/// A closed loop with so many frames in flight on so many connections, of payloads of such a length.
pub(super) fn plan(connections: usize, in_flight: u32, payload_len: usize) -> Plan {
    Plan {
        connections,
        in_flight: Some(in_flight),
        payload: Sizes::Fixed(payload_len),
        format: Format::U32_LE.with_max_payload_len(LIMIT).expect("four bytes hold it"),
        reply: Reply::Count,
        warm_up: WARM_UP,
        duration: COUNTED,
        drain: SILENCE,
        ..Plan::new(Target::Tcp(Vec::new()))
    }
}

/// Runs the loads in turn, and says where one fails.
pub(super) fn contest(group: Group, what: &str, mut entrants: Vec<Entrant>, pace: &Pace, figures: &mut Figures) {
    if !pace.begins(what) {
        return;
    }
    if let (Some(program), Some(ours)) = (&pace.before, entrants.iter().find(|entrant| entrant.who == OURS)) {
        let setup = Setup { program: Some(program.clone()), ..ours.setup.clone() };
        entrants.push(Entrant { who: format!("{OURS}, before"), setup, plan: ours.plan.clone() });
    }
    match in_turn(&entrants, pace.rounds) {
        Err(error) => figures.failed(what, &error),
        Ok(outcomes) => {
            for (entrant, outcomes) in entrants.iter().zip(outcomes) {
                for (index, measure) in MEASURES.into_iter().enumerate() {
                    let samples: Vec<f64> = outcomes.iter().map(|outcome| outcome[index]).collect();
                    figures.add(group, (what, &entrant.who), measure, &samples);
                }
            }
        }
    }
}

/// What [`MEASURES`] names.
type Outcome = [f64; MEASURES.len()];

/// The outcomes of each entrant, round by round. Every server is verified before. The order turns with every round. A first
/// round is not counted: what the kernel copies frames into may then be memory that the machine has to get first.
fn in_turn(entrants: &[Entrant], rounds: usize) -> Done<Vec<Vec<Outcome>>> {
    let mut ready = Vec::new();
    for Entrant { setup, plan, .. } in entrants {
        let host = Host::start(setup, None)?;
        let tls =
            (setup.service == Service::Sealed).then(|| Tls::new(Certificate::own().client(), certificate::name()));
        let plan = Plan { target: Target::Tcp(vec![host.addr]), tls, ..plan.clone() };
        ready.push((host, plan));
    }
    let mut outcomes = vec![Vec::new(); entrants.len()];
    for round in 0..=rounds {
        for index in order(round, entrants.len()) {
            let ((host, plan), Entrant { who, setup, .. }) = (&ready[index], &entrants[index]);
            let failed = |error| format!("{who}: {error}");
            if round == 0 {
                verify(setup.service, plan, host.addr).map_err(failed)?;
            }
            let (outcome, _) = run(host, plan).map_err(failed)?;
            outcomes[index].extend((round > 0).then_some(outcome));
        }
    }
    Ok(outcomes)
}

/// Has a few frames answered, every byte of which is verified.
fn verify(service: Service, plan: &Plan, addr: SocketAddr) -> Done<()> {
    match service {
        // No reply; every byte of every push is verified when it is measured.
        Service::Nothing | Service::Push { .. } => Ok(()),
        Service::Own => {
            let (mut socket, mut reply) = (TcpStream::connect(addr)?, [0; 7]);
            socket.write_all(&[3, 0, 0, 0, 1, 2, 3])?;
            socket.read_exact(&mut reply)?;
            if reply == [3, 0, 0, 0, OWN, OWN, OWN] { Ok(()) } else { Err("it does not send its own bytes".into()) }
        }
        _ => {
            let few = Plan {
                connections: plan.connections.min(LOOKED_AT.0),
                frames: Some(LOOKED_AT.1),
                in_flight: Some(4),
                in_flight_in_all: None,
                reply: Reply::Echo,
                warm_up: Duration::ZERO,
                duration: SILENCE,
                ..plan.clone()
            };
            no_failure(load::run(&few, &mut |_| Wish::GoOn)?).map(drop)
        }
    }
}

/// Carries out a plan; what is measured, and all the replies.
pub(super) fn run(host: &Host, plan: &Plan) -> Done<(Outcome, u64)> {
    // When the measured time begins and ends: the time, and what the server had of its cores.
    let mut looks = Vec::with_capacity(2);
    let marks = [plan.warm_up, plan.warm_up + plan.duration];
    let ran = no_failure(load::run(plan, &mut |progress| {
        if progress.elapsed.is_some_and(|elapsed| marks.get(looks.len()).is_some_and(|mark| elapsed >= *mark)) {
            looks.push((Instant::now(), cpu_of(host.child.pid())));
        }
        Wish::GoOn
    })?)?;
    let [(begin, before), (end, after)] = looks[..] else { return Err("the load ended before its time".into()) };
    // Where a frame has a reply, as many come as are sent; a push goes to many.
    let rate = if plan.reply == Reply::Push { ran.frames_per_second } else { ran.rate_reached };
    let busy = [(after - before).as_secs_f64() / (end - begin).as_secs_f64(), ran.generator_busy.iter().sum()];
    let [cpu, load_cpu] = busy.map(|busy| busy * 1e9 / rate);
    let [p50, p99] = [0.5, 0.99].map(|quantile| ran.service_ns.quantile(quantile).unwrap_or(0) as f64 / 1e3);
    let peak = peak_memory(host.child.pid()).ok_or("the server's memory is not known")? as f64 / 1_048_576.0;
    Ok(([rate, cpu, p50, p99, busy[0], busy[1], load_cpu, peak], ran.frames_verified))
}

fn no_failure(outcome: load::Outcome) -> Done<load::Outcome> {
    // tokio's servers end their streams without TLS's close_notify, after all is answered.
    let is_cut_off = outcome.frames_lost == 0 && outcome.faults.iter().all(|fault| fault.kind == "cut off");
    match &outcome.failures[..] {
        [] => Ok(outcome),
        [_] if is_cut_off && outcome.fault_count > 0 => Ok(outcome),
        [failure, ..] => Err(format!("the load: {failure}").into()),
    }
}
