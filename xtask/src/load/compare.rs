//! Ours beside another echo server: runs in turn, A B B A, so that what changes with time on the machine affects both.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use unstick::load::{self, Outcome, Plan, Results, Verdict};

use super::server::Server;
use super::{Args, Session, code};

/// How long each run is measured.
const SECONDS: Duration = Duration::from_secs(2);

impl Session<'_> {
    /// Runs of ours and of a peer in turn, and how ours differ.
    pub(super) fn compare(mut self, peer: Server, args: &Args, plan: Plan) -> Result<ExitCode, Box<dyn Error>> {
        let plan = args.plan(Plan { duration: SECONDS, ..plan });
        let (mut ours, mut theirs): (Vec<Outcome>, Vec<Outcome>) = (Vec::new(), Vec::new());
        for number in 0..2 * args.runs {
            let is_ours = matches!(number % 4, 0 | 3);
            let (server, whose) = if is_ours { (&self.server, "unstick") } else { (&peer, "tokio  ") };
            let plan = Plan { run: u64::from(number / 2) + 1, ..server.at(&plan) };
            let watcher = &mut self.watcher;
            let outcome = server.measure(&plan, |plan| load::run(plan, &mut watcher.watch(plan)))?;
            self.output.say(&format!("  {whose}   {}", load::line(&outcome)));
            let is_over = outcome.interrupted || outcome.verdict == Verdict::Wrong;
            let runs = if is_ours { &mut ours } else { &mut theirs };
            runs.push(outcome);
            if is_over {
                break;
            }
        }
        // How a server ended is in its last run.
        for (server, runs) in [(self.server, &mut ours), (peer, &mut theirs)] {
            if let Some(last) = runs.pop() {
                runs.push(server.stop(last)?);
            }
        }
        let results = match ours.iter().chain(&theirs).any(|run| run.verdict.is_unusable()) {
            true => Results::of_runs([ours, theirs].concat()),
            false => Results::of_runs(ours).compared_with(theirs, &[])?,
        };
        self.output.say(&format!("\nbefore is tokio, after is unstick\n{}", load::results_text(&results)));
        self.output.html = load::results_html(&results);
        self.output.json = serde_json::to_value(&results)?;
        Ok(code(results.verdict))
    }
}
