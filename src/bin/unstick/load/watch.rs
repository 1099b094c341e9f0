//! A load that runs: how far it is, for who waits, and Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unstick::load::{Plan, Progress, Wish};

use super::screen::Screen;
use crate::exit::log;

/// On a terminal the line is drawn anew so often.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Without a terminal a line is printed so often: only long runs show any.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Shows how far a run is, and listens for signals: the first one ends it early, the second one at once.
pub(super) struct Watcher {
    signals: Signals,
    wish: Wish,
    whole: Duration,
    on_terminal: bool,
    /// The whole screen, where that is asked for and there is one.
    screen: Option<Screen>,
    /// When the next line is due.
    next_line: Duration,
    /// What was there when the last one was shown.
    last: (Duration, Progress),
}

impl Watcher {
    /// With `screen`, its title: on a terminal the run has all of it.
    pub(super) fn new(plan: &Plan, screen: Option<String>) -> io::Result<Watcher> {
        let screen = screen.filter(|_| io::stderr().is_terminal()).map(|title| Screen::new(plan, title)).transpose()?;
        Ok(Watcher {
            signals: Signals::new([SIGINT, SIGTERM])?,
            wish: Wish::GoOn,
            whole: plan.warm_up + plan.duration,
            on_terminal: io::stderr().is_terminal(),
            screen,
            next_line: if io::stderr().is_terminal() { Duration::ZERO } else { LINE_EVERY },
            last: (Duration::ZERO, Progress::default()),
        })
    }

    pub(super) fn watch(&mut self, progress: Progress) -> Wish {
        for _ in self.signals.pending() {
            if self.wish == Wish::GoOn {
                self.tell_stopping();
                self.wish = Wish::Stop;
            } else {
                self.wish = Wish::Abort;
            }
        }
        match &mut self.screen {
            // A terminal that is gone is no reason to end a run.
            Some(screen) => _ = screen.draw(progress),
            None => self.show_line(progress),
        }
        self.wish
    }

    fn tell_stopping(&mut self) {
        match &mut self.screen {
            Some(screen) => screen.tell("stopping: finishing what is in flight; Ctrl-C again ends the run at once"),
            None => {
                self.finish();
                log(format_args!("stopping: finishing what is in flight; another signal ends the run at once"));
            }
        }
    }

    fn show_line(&mut self, progress: Progress) {
        let elapsed = progress.elapsed.unwrap_or_default();
        if elapsed >= self.next_line {
            let line = self.line(progress);
            if self.on_terminal {
                eprint!("\r\x1B[K{line}");
                _ = io::stderr().flush();
            } else {
                log(format_args!("{line}"));
            }
            self.next_line = elapsed + if self.on_terminal { DRAW_EVERY } else { LINE_EVERY };
            self.last = (elapsed, progress);
        }
    }

    fn line(&self, progress: Progress) -> String {
        let Progress { connections, sent, received, backlog, faults, .. } = progress;
        let Some(elapsed) = progress.elapsed else { return format!("connecting {connections} connections") };
        if let Some(waits) = progress.waits {
            return format!("{connections} connections, beginning in {:.1} s", waits.as_secs_f64());
        }
        let (before, last) = self.last;
        let seconds = elapsed.saturating_sub(before).as_secs_f64().max(1e-3);
        let a_second = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        let (sent, received) = (a_second(sent, last.sent), a_second(received, last.received));
        let mut line = format!(
            "{:.1} of {:.1} s, {connections} connections, {sent} frames/s sent, {received} answered",
            elapsed.as_secs_f64(),
            self.whole.as_secs_f64()
        );
        if backlog > 0 {
            line += &format!(", {backlog} due and not sent");
        }
        if faults > 0 {
            line += &format!(", {faults} connections at fault");
        }
        line
    }

    /// Takes the line, or the screen, away again.
    pub(super) fn finish(&mut self) {
        if self.screen.take().is_none() && self.on_terminal {
            eprint!("\r\x1B[K");
        }
    }
}
