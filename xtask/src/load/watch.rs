//! Shows how far a run is, and listens for signals.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unstick::load::{Plan, Progress, Wish};

use crate::text::count;

/// Without a terminal a line is printed so often: only long runs show any.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Listens for signals: the first one ends a run early, the second one at once.
pub(super) struct Watcher {
    signals: Signals,
    wish: Wish,
}

impl Watcher {
    pub(super) fn new() -> io::Result<Watcher> {
        Ok(Watcher { signals: Signals::new([SIGINT, SIGTERM])?, wish: Wish::GoOn })
    }

    /// Whether a signal came.
    pub(super) fn is_interrupted(&self) -> bool {
        self.wish > Wish::GoOn
    }

    /// What a run with this plan calls to be watched.
    pub(super) fn watch<'a>(&'a mut self, plan: &Plan) -> impl FnMut(Progress) -> Wish + use<'a> {
        let whole = plan.warm_up + plan.duration;
        let bar = Bar(ProgressBar::with_draw_target(Some(whole.as_millis() as u64), ProgressDrawTarget::stderr()));
        if let Ok(style) = ProgressStyle::with_template("  {bar:24} {msg}") {
            bar.0.set_style(style);
        }
        let mut next_line = LINE_EVERY;
        move |progress| {
            for _ in self.signals.pending() {
                self.wish = if self.wish == Wish::GoOn { Wish::Stop } else { Wish::Abort };
            }
            let elapsed = progress.elapsed.unwrap_or_default();
            if io::stderr().is_terminal() {
                bar.0.set_message(line(progress, elapsed));
                bar.0.set_position(elapsed.as_millis() as u64);
            } else if elapsed >= next_line {
                next_line += LINE_EVERY;
                eprintln!("{}", line(progress, elapsed));
            }
            self.wish
        }
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let rate = count((progress.received as f64 / elapsed.as_secs_f64().max(1e-3)) as u64);
    format!("{:.1} s, {} connections, {rate} frames/s", elapsed.as_secs_f64(), progress.connections)
}

/// It goes when the run is over.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
