//! A load that runs, on the whole screen of a terminal. It is drawn on the thread that watches, which measures nothing.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Stderr, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{LineGauge, Sparkline};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
};
use unstick::load::{Plan, Progress};

/// It is drawn anew so often.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// A rate is that of so many draws.
const RATE_OVER: usize = 4;
/// Draws that are kept: a minute.
const KEPT: usize = 240;

/// The screen. Dropped, it leaves the terminal as it was.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    /// In the terminal's order: the screen is left before the terminal is told to echo again.
    _taken: Taken,
    title: String,
    whole: Duration,
    next_draw: Duration,
    /// When it was drawn, and what was there then.
    seen: VecDeque<(Duration, Progress)>,
    /// The 99th percentile by the second.
    p99: VecDeque<u64>,
    last_second: Option<usize>,
    /// What is told at the bottom.
    note: &'static str,
}

impl Screen {
    /// Takes the terminal at standard error.
    pub(super) fn new(plan: &Plan, title: String) -> io::Result<Screen> {
        let taken = Taken::take()?;
        let backend = CrosstermBackend::new(BufWriter::new(io::stderr()));
        let options = TerminalOptions { viewport: Viewport::Fixed(area()?) };
        Ok(Screen {
            terminal: Terminal::with_options(backend, options)?,
            _taken: taken,
            title,
            whole: plan.warm_up + plan.duration,
            next_draw: Duration::ZERO,
            seen: VecDeque::new(),
            p99: VecDeque::new(),
            last_second: None,
            note: "Ctrl-C ends the run early",
        })
    }

    /// Tells something from now on.
    pub(super) fn tell(&mut self, note: &'static str) {
        self.note = note;
        self.next_draw = Duration::ZERO;
    }

    /// Draws what is there now, where it is time.
    pub(super) fn draw(&mut self, progress: Progress) -> io::Result<()> {
        let elapsed = progress.elapsed.unwrap_or_default();
        if elapsed < self.next_draw && progress.elapsed.is_some() {
            return Ok(());
        }
        self.next_draw = elapsed + DRAW_EVERY;
        push(&mut self.seen, (elapsed, progress));
        if let Some(recent) = progress.recent.filter(|recent| Some(recent.second) != self.last_second) {
            self.last_second = Some(recent.second);
            push(&mut self.p99, recent.p99);
        }
        let area = area()?;
        if self.terminal.get_frame().area() != area {
            self.terminal.resize(area)?;
        }
        let Screen { terminal, title, whole, seen, p99, note, .. } = self;
        terminal.draw(|frame| draw(frame, &View { title, whole: *whole, seen, p99, note }))?;
        Ok(())
    }
}

fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}

/// The terminal's own size: what asks for it elsewhere may ask another terminal.
fn area() -> io::Result<Rect> {
    let size = tcgetwinsize(io::stderr())?;
    Ok(Rect::new(0, 0, size.ws_col.max(1), size.ws_row.max(1)))
}

/// What is drawn.
struct View<'a> {
    title: &'a str,
    whole: Duration,
    seen: &'a VecDeque<(Duration, Progress)>,
    p99: &'a VecDeque<u64>,
    note: &'a str,
}

/// A line of the screen: a name, a number, and how it went until now.
struct Row {
    name: &'static str,
    number: String,
    went: Vec<u64>,
}

impl View<'_> {
    /// Of a number that only grows: how much of it there was a second, at the last draws.
    fn rates(&self, of: fn(&Progress) -> u64) -> Vec<u64> {
        let rate = |index: usize| {
            let (then, before) = &self.seen[index.saturating_sub(RATE_OVER)];
            let (now, after) = &self.seen[index];
            let seconds = now.saturating_sub(*then).as_secs_f64();
            let grown = of(after).saturating_sub(of(before)) as f64;
            if seconds > 0.0 { (grown / seconds) as u64 } else { 0 }
        };
        (0..self.seen.len()).map(rate).collect()
    }

    fn went(&self, of: fn(&Progress) -> u64) -> Vec<u64> {
        self.seen.iter().map(|(_, progress)| of(progress)).collect()
    }

    fn rows(&self) -> Vec<Row> {
        let Some((_, now)) = self.seen.back() else { return Vec::new() };
        let rate = |name, of| {
            let went = self.rates(of);
            Row { name, number: format!("{} /s", count(went.last().copied().unwrap_or(0))), went }
        };
        let number = |name, of: fn(&Progress) -> u64| Row { name, number: count(of(now)), went: self.went(of) };
        let plain = |name, number: String| Row { name, number, went: Vec::new() };
        let empty = || plain("", String::new());
        let mut rows = vec![
            rate("sent", |it| it.sent),
            rate("answered", |it| it.received),
            number("in flight", |it| it.in_flight),
            number("due, not sent", |it| it.backlog),
            plain("connections", count(now.connections as u64)),
            plain("at fault", count(now.faults as u64)),
            empty(),
        ];
        if let Some(recent) = &now.recent {
            rows.push(plain("response p50", time(recent.p50)));
            rows.push(Row { name: "p99", number: time(recent.p99), went: self.p99.iter().copied().collect() });
            rows.push(plain("p99.9", time(recent.p99_9)));
            rows.push(plain("slowest", time(recent.max)));
            rows.extend(recent.send_lag_p99.map(|lag| plain("send lag p99", time(lag))));
        }
        rows
    }
}

fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let rows = view.rows();
    let lines = Layout::vertical(vec![Constraint::Length(1); rows.len() + 5]).split(frame.area());
    let elapsed = view.seen.back().and_then(|(_, progress)| progress.elapsed);
    let whole = view.whole.as_secs_f64();
    frame.render_widget(Line::from(view.title).bold(), lines[0]);
    let (part, told) = match elapsed {
        None => (0.0, "connecting".into()),
        Some(elapsed) if elapsed > view.whole => (1.0, "awaiting what is in flight".into()),
        Some(elapsed) => {
            let elapsed = elapsed.as_secs_f64();
            ((elapsed / whole.max(1e-9)).clamp(0.0, 1.0), format!("{elapsed:.1} of {whole:.1} s"))
        }
    };
    frame.render_widget(LineGauge::default().ratio(part).label(told), lines[1]);
    for (row, line) in rows.iter().zip(&lines[3..]) {
        let columns = [Constraint::Length(16), Constraint::Length(15), Constraint::Length(2), Constraint::Min(0)];
        let [name, number, _, went] = Layout::horizontal(columns).areas(*line);
        frame.render_widget(Line::from(row.name), name);
        frame.render_widget(Line::from(row.number.as_str()).bold().right_aligned(), number);
        let shown = row.went.len().saturating_sub(went.width as usize);
        frame.render_widget(Sparkline::default().data(&row.went[shown..]), went);
    }
    frame.render_widget(Line::from(view.note).dim(), lines[rows.len() + 4]);
}

/// With its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

/// Nanoseconds to three digits.
fn time(nanoseconds: u64) -> String {
    let (number, unit) = match nanoseconds as f64 {
        time if time < 1e6 => (time / 1e3, "µs"),
        time if time < 1e9 => (time / 1e6, "ms"),
        time => (time / 1e9, "s"),
    };
    let decimals = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.decimals$} {unit}")
}

/// The terminal is ours: what is typed does not show, and only Ctrl-C does something.
struct Taken {
    found: Termios,
}

/// Whether the terminal is ours now: it is given back once.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
/// Of several runs, each takes the terminal anew.
static HOOKED: Once = Once::new();

impl Taken {
    fn take() -> io::Result<Taken> {
        let found = tcgetattr(io::stderr())?;
        let mut own = found.clone();
        own.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
        // A program that is stopped or killed by a key would leave its screen behind.
        for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            own.special_codes[key] = 0;
        }
        IS_TAKEN.store(true, SeqCst);
        let taken = Taken { found: found.clone() };
        // What a panic says belongs on the screen that stays.
        HOOKED.call_once(|| {
            let told = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back(&found);
                told(panic);
            }));
        });
        tcsetattr(io::stderr(), OptionalActions::Now, &own)?;
        execute!(io::stderr(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back(&self.found);
    }
}

/// Leaves the terminal as it was found. Where that fails, it is gone.
fn give_back(found: &Termios) {
    if IS_TAKEN.swap(false, SeqCst) {
        _ = execute!(io::stderr(), Show, LeaveAlternateScreen);
        _ = io::stderr().flush();
        _ = tcflush(io::stderr(), QueueSelector::IFlush);
        _ = tcsetattr(io::stderr(), OptionalActions::Now, found);
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::{File, OpenOptions};
    use std::io::Read;
    use std::process::{Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use unstick::load::Target;

    use super::*;

    /// A panic leaves the screen before it is told, and lets the terminal echo again. Another process of this test, on a terminal,
    /// panics.
    #[test]
    fn a_panic_leaves_the_terminal_as_it_was() {
        const PANICS: &str = "UNSTICK_PANICS_ON_A_SCREEN";
        if env::var_os(PANICS).is_some() {
            let _screen = Screen::new(&Plan::new(Target::Tcp(Vec::new())), String::new()).unwrap();
            assert!(!tcgetattr(io::stderr()).unwrap().local_modes.contains(LocalModes::ECHO));
            panic!("on purpose");
        }
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let device = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "load::screen::tests::a_panic_leaves_the_terminal_as_it_was", "--nocapture"]);
        command.env(PANICS, "1").env("RUST_BACKTRACE", "0").stdout(Stdio::null()).stderr(device.try_clone().unwrap());
        assert!(!command.status().unwrap().success());
        assert!(tcgetattr(&device).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
        let mut seen = [0; 4096];
        let len = File::from(terminal).read(&mut seen).unwrap();
        let seen = String::from_utf8_lossy(&seen[..len]);
        let at = |text: &str| seen.find(text).unwrap_or_else(|| panic!("nothing of {text:?}: {seen:?}"));
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l") && at("\x1b[?1049l") < at("on purpose"), "{seen:?}");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([850, 12_300, 1_500_000, 61_000_000_000].map(time), ["0.85 µs", "12.3 µs", "1.50 ms", "61.0 s"]);
    }
}
