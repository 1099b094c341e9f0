//! The runs of `cargo xtask load`: one, the three that a newcomer sees, or those of two servers in turn. What was measured is
//! reported even where a later run cannot begin.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unstick::load::{self, Curve, Outcome, Pacing, Plan, Progress, Results, RunError, Search, Verdict, Wish};

use super::output::Output;
use super::server::Server;
use crate::text::count;

/// How long the closed loop is measured, each rate of the search, the half of the rate it finds, and each run of a comparison.
const PEAK: Duration = Duration::from_secs(4);
const TRY: Duration = Duration::from_millis(500);
const HALF: Duration = Duration::from_secs(3);
const COMPARED: Duration = Duration::from_secs(2);
/// How late the generator may be with 1 % of the frames for a rate to count as healthy.
const GREATEST_LAG: Duration = Duration::from_millis(5);
/// Where the search looks, but for the greatest rate: a closed loop shows that. Roughly, as it is to be short.
const SEARCH: Search =
    Search { first: 8_000.0, least: 500.0, most: 1e9, step: 4.0, precision: 1.2, tries: 2, confirm: 2 };
/// Without a terminal a line is printed so often: only long runs show any.
const LINE_EVERY: Duration = Duration::from_secs(30);

type Ended = Result<ExitCode, Box<dyn Error>>;

/// What runs have in common.
pub(super) struct Session<'a> {
    signals: Signals,
    /// The first signal ends a run early, the second one at once.
    wish: Wish,
    output: &'a mut Output,
}

impl Session<'_> {
    pub(super) fn new(output: &mut Output) -> io::Result<Session<'_>> {
        Ok(Session { signals: Signals::new([SIGINT, SIGTERM])?, wish: Wish::GoOn, output })
    }

    /// One run, as the plan says.
    pub(super) fn one(mut self, server: Server, plan: &Plan) -> Ended {
        let outcome = self.measure(&server, plan)?;
        let outcome = server.stop(outcome)?;
        self.output.say(&load::text(&outcome));
        self.output.results(load::html(&outcome), serde_json::to_value(&outcome)?);
        Ok(code(outcome.verdict))
    }

    /// What a newcomer wants to know: three runs, and what they say.
    pub(super) fn tour(mut self, server: Server, plan: Plan) -> Ended {
        let plan = Plan { duration: PEAK, ..plan };
        self.output.say(&format!(
            "1. As fast as it answers: {} frames in flight on each of {} connections, the next when a reply has come (closed loop)",
            plan.bound().unwrap_or_default(),
            plan.connections
        ));
        let peak = self.measure(&server, &plan)?;
        self.output.say(&load::text(&peak));
        let (mut curve, mut half) = (None, None);
        let steady = match peak.verdict {
            Verdict::Wrong => Ok(()),
            _ => self.steady(&server, &plan, &peak, &mut curve, &mut half),
        };
        let rate = curve.as_ref().and_then(|curve: &Curve| curve.knee);
        let json = json!({ "peak": peak, "curve": curve, "greatest_healthy_rate": rate, "half": half });
        let mut is_wrong = [Some(&peak), half.as_ref()].into_iter().flatten().any(|run| run.verdict == Verdict::Wrong);
        let last = server.stop(half.unwrap_or(peak))?;
        if let Some(failure) = last.server.as_ref().and_then(|server| server.failure.as_ref()) {
            self.output.say(&format!("  ! {failure}"));
            is_wrong = true;
        }
        // The page shows the curve that was found, and the last run in detail.
        let mut results = match curve.filter(|_| rate.is_some()) {
            Some(curve) => Results::of_curve(curve),
            None => Results::of_runs(Vec::new()),
        };
        results.runs = vec![last];
        self.output.results(load::results_html(&results), json);
        steady?;
        Ok(match is_wrong {
            true => code(Verdict::Wrong),
            false if self.wish > Wish::GoOn => code(Verdict::Incomplete),
            // No rate was asked for, so none is missed.
            false => ExitCode::SUCCESS,
        })
    }

    /// The greatest steady rate that is healthy, and how long a reply takes at half of it.
    fn steady(
        &mut self,
        server: &Server,
        plan: &Plan,
        peak: &Outcome,
        curve: &mut Option<Curve>,
        half: &mut Option<Outcome>,
    ) -> Result<(), RunError> {
        if self.wish > Wish::GoOn {
            return Ok(());
        }
        self.output.say(
            "\n2. At a steady rate, whatever the server does (open loop): which does this machine, server and generator together, keep up with?",
        );
        let plan = Plan { greatest_lag: GREATEST_LAG, ..plan.clone() };
        let search = Search { most: peak.frames_per_second.max(1.0), ..SEARCH };
        let found = load::find_knee(&Plan { duration: TRY, ..plan.clone() }, &search, |plan| {
            let outcome = self.measure(server, plan)?;
            let rate = count(outcome.rate_asked.unwrap_or_default() as u64);
            self.output.say(&format!("  {rate:>9} frames/s   {}", judge(&outcome)));
            Ok::<Outcome, RunError>(outcome)
        })?;
        let knee = found.knee;
        *curve = Some(found);
        let Some(rate) = knee.filter(|_| self.wish == Wish::GoOn) else {
            if self.wish == Wish::GoOn {
                self.output.say(
                    "  No rate is healthy on this machine as it is now: other programs may have its cores. So there is no third part; \
                     `unstick load --rate` measures a rate of your choice.",
                );
            }
            return Ok(());
        };
        let rate = (rate / 2.0).round();
        self.output.say(&format!(
            "\n3. At half of the greatest healthy rate, {} frames/s: how long does a reply take?",
            count(rate as u64)
        ));
        let plan = Plan { pacing: Pacing::Open { rate, poisson: false }, duration: HALF, ..plan };
        let outcome = self.measure(server, &plan)?;
        self.output.say(&load::text(&outcome));
        *half = Some(outcome);
        Ok(())
    }

    /// Runs of ours and of a peer in turn, A B B A, so that what changes with time on the machine affects both, and how ours
    /// differ.
    pub(super) fn compare(mut self, ours: Server, theirs: Server, rounds: u16, plan: &Plan) -> Ended {
        let mut sides = [("unstick", ours, Vec::new()), ("tokio  ", theirs, Vec::new())];
        let mut ended = Ok(());
        for number in 0..2 * rounds {
            let (whose, server, runs) = &mut sides[usize::from(matches!(number % 4, 1 | 2))];
            let plan = Plan { run: u64::from(number / 2) + 1, ..plan.clone() };
            match self.measure(server, &plan) {
                Ok(outcome) => {
                    self.output.say(&format!("  {whose}   {}", load::line(&outcome)));
                    let is_over = outcome.interrupted || outcome.verdict == Verdict::Wrong;
                    runs.push(outcome);
                    if is_over {
                        break;
                    }
                }
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        let mut all = Vec::new();
        for (_, server, mut runs) in sides {
            // How a server ended is in its last run.
            if let Some(last) = runs.pop() {
                runs.push(server.stop(last)?);
            }
            all.push(runs);
        }
        let failed = |run: &Outcome| matches!(run.verdict, Verdict::Wrong | Verdict::Incomplete);
        let results = match ended.is_err() || all.iter().flatten().any(failed) {
            true => Results::of_runs(all.concat()),
            false => Results::of_runs(all.remove(0)).compared_with(all.remove(0), &[])?,
        };
        self.output.say(&format!("\nbefore is tokio, after is unstick\n{}", load::results_text(&results)));
        self.output.results(load::results_html(&results), serde_json::to_value(&results)?);
        ended?;
        Ok(code(results.verdict))
    }

    /// A run against this server, with what the server takes meanwhile. Shows on standard error how far it is.
    fn measure(&mut self, server: &Server, plan: &Plan) -> Result<Outcome, RunError> {
        let (is_seen, mut next_line) = (io::stderr().is_terminal(), LINE_EVERY);
        let outcome = load::run(&server.plan(plan.clone()), &mut |progress| {
            for _ in self.signals.pending() {
                self.wish = if self.wish == Wish::GoOn { Wish::Stop } else { Wish::Abort };
            }
            let elapsed = progress.elapsed.unwrap_or_default();
            if is_seen {
                eprint!("\r  {}\x1b[K", line(progress, elapsed));
            } else if elapsed >= next_line {
                next_line += LINE_EVERY;
                eprintln!("{}", line(progress, elapsed));
            }
            self.wish
        });
        if is_seen {
            eprint!("\r\x1b[K");
        }
        outcome.map(|outcome| server.describe(outcome))
    }
}

/// The plan of each run of a comparison, but for what the flags say.
pub(super) fn compared(plan: Plan) -> Plan {
    Plan { duration: COMPARED, ..plan }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let rate = count((progress.received as f64 / elapsed.as_secs_f64().max(1e-3)) as u64);
    format!("{:.1} s, {} connections, {rate} frames/s", elapsed.as_secs_f64(), progress.connections)
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
