//! One attack, from its start to its verdict: its own server, healthy clients beside it, and the results.

use std::error::Error;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use unstick::framing::Format;

use super::healthy::{CLIENTS, Healthy, Seen, Work};
use super::host::{Host, Stats};
use super::peer::Peer;
use super::server::of_sessions;
use crate::socket::Addr;

/// What should happen must happen within this time, or the attack was not held.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) type Fallible = Result<(), Box<dyn Error>>;

/// An attack, and what the server is to do.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What is done, and what must happen: a line for `--list`.
    pub(super) about: &'static str,
    /// The server's flags.
    pub(super) limits: &'static str,
    pub(super) beside: Beside,
    pub(super) attack: fn(&mut Scene) -> Fallible,
}

/// What an attack is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Tcp,
    Unix,
    /// TLS over TCP.
    Tls,
}

impl Over {
    pub(super) fn name(self) -> &'static str {
        match self {
            Over::Tcp => "tcp",
            Over::Unix => "unix",
            Over::Tls => "tls",
        }
    }
}

impl Scenario {
    /// The value of this flag in its limits.
    fn flag(&self, flag: &str) -> Option<&'static str> {
        self.limits.split_whitespace().skip_while(|word| *word != flag).nth(1)
    }

    /// What healthy clients do.
    fn work(&self) -> Result<Work, Box<dyn Error>> {
        Ok(match (self.flag("--push"), self.flag("--format")) {
            (Some(len), _) if self.beside == Beside::Receivers => Work::Receive(len.parse()?),
            (_, Some(layout)) => Work::Echo(Format::with_default_limit(layout.parse()?)?),
            (_, None) => Work::Echo(Format::U32_LE),
        })
    }
}

/// Which clients run beside the attackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Healthy clients, before the attack and during it.
    Healthy,
    /// Healthy clients to which the server pushes.
    Receivers,
    /// None: the attack is on all connections.
    Nobody,
}

/// How much is done, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) quick: bool,
    /// How long what has no end of its own goes on.
    pub(super) span: Duration,
}

impl Pace {
    /// How long healthy clients are measured before the attack.
    fn calm(&self) -> Duration {
        if self.quick { Duration::from_millis(100) } else { Duration::from_secs(1) }
    }

    /// The longest that a healthy client may wait for a reply. A quick run says nothing about time.
    fn starved(&self) -> Duration {
        if self.quick { PATIENCE } else { Duration::from_secs(1) }
    }

    pub(super) fn of(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

/// What an attack has at hand.
pub(super) struct Scene {
    pub(super) host: Host,
    pub(super) pace: Pace,
    /// What was sent, for the table.
    pub(super) sent: String,
    /// What the attack measured itself, for the table.
    pub(super) noted: Vec<String>,
    /// Resident memory before the attack, in bytes.
    pub(super) base: u64,
    pub(super) failures: Vec<String>,
    usage: Usage,
    /// Bytes by which the memory budget is greater over TLS.
    pub(super) of_sessions: u64,
    /// The server's end, if that is the attack.
    ended: Option<Stats>,
}

/// What the server took when it was last looked at.
#[derive(Clone, Copy, Default)]
struct Usage {
    peak: u64,
    resident: u64,
    cpu: Duration,
}

/// What became of an attack.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) over: Over,
    pub(super) sent: String,
    pub(super) noted: Vec<String>,
    /// The server's account at its end.
    pub(super) stats: Stats,
    /// Closes of healthy clients, which are none of the attack's.
    pub(super) healthy_closes: u64,
    /// Resident memory in bytes: before the attack, at most, and after it.
    pub(super) memory: [u64; 3],
    /// Part of one core during the attack.
    pub(super) cpu: f64,
    /// What healthy clients saw.
    pub(super) seen: Option<Seen>,
    /// Why it was not held.
    pub(super) failures: Vec<String>,
    pub(super) skipped: Option<String>,
}

impl Row {
    fn new(name: &'static str, over: Over) -> Row {
        Row {
            name,
            over,
            sent: String::new(),
            noted: Vec::new(),
            stats: Stats::default(),
            healthy_closes: 0,
            memory: [0; 3],
            cpu: 0.0,
            seen: None,
            failures: Vec::new(),
            skipped: None,
        }
    }

    /// An attack that was not made.
    pub(super) fn skipped(name: &'static str, over: Over, why: String) -> Row {
        Row { skipped: Some(why), ..Row::new(name, over) }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (&*self.failures, &self.skipped) {
            ([], None) => Verdict::Held,
            ([], Some(_)) => Verdict::Skipped,
            _ => Verdict::NotHeld,
        }
    }
}

/// The one thing to know of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Held,
    Skipped,
    NotHeld,
}

/// Plays an attack to its verdict.
pub(super) fn play(scenario: &Scenario, over: Over, pace: Pace) -> Row {
    let mut row = Row::new(scenario.name, over);
    if let Err(error) = play_into(&mut row, scenario, pace) {
        row.failures.push(error.to_string());
    }
    row
}

fn play_into(row: &mut Row, scenario: &Scenario, pace: Pace) -> Fallible {
    let flags: Vec<String> = scenario.limits.split_whitespace().map(String::from).collect();
    let host = Host::start(&flags, row.over)?;
    let (sent, noted, failures) = <_>::default();
    let usage = Usage::default();
    let sessions = scenario.flag("--sessions").filter(|_| row.over == Over::Tls).map_or(Ok(0), str::parse::<usize>)?;
    let of_sessions = of_sessions(sessions) as u64;
    let mut scene = Scene { host, pace, sent, noted, base: 0, failures, usage, of_sessions, ended: None };
    let mut healthy = match scenario.beside {
        Beside::Healthy | Beside::Receivers => Some(Healthy::start(scene.addr(), scenario.work()?)?),
        Beside::Nobody => None,
    };
    if healthy.is_some() {
        thread::sleep(pace.calm());
    }
    scene.base = scene.host.resident();
    let (cpu, begin) = (scene.host.cpu(), Instant::now());
    healthy.iter_mut().for_each(Healthy::attacked);
    let attacked = (scenario.attack)(&mut scene);
    if healthy.is_some() {
        // However short the attack was, the clients have something to tell.
        thread::sleep(pace.calm().saturating_sub(begin.elapsed()));
    }
    scene.look();
    row.memory = [scene.base, scene.usage.peak, scene.usage.resident];
    row.cpu = scene.usage.cpu.saturating_sub(cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    row.seen = healthy.map(Healthy::end);
    row.healthy_closes = if row.seen.is_some() { CLIENTS as u64 } else { 0 };
    let ended = match attacked {
        Ok(()) => scene.all_ended(row),
        Err(error) => {
            row.stats = scene.host.stats().unwrap_or_default();
            Err(error)
        }
    };
    (row.sent, row.noted) = (scene.sent, scene.noted);
    row.failures.append(&mut scene.failures);
    row.judge_the_healthy(pace);
    ended
}

impl Row {
    fn judge_the_healthy(&mut self, pace: Pace) {
        let Some(seen) = &self.seen else { return };
        self.healthy_closes -= seen.faults.len().min(CLIENTS) as u64;
        self.failures.extend(seen.faults.iter().map(|fault| format!("a healthy client noticed: {fault}")));
        if seen.during() == 0 {
            self.failures.push("no healthy client had a reply during the attack".into());
        }
        if seen.longest() > pace.starved() {
            let (longest, most) = (seen.longest(), pace.starved());
            self.failures.push(format!("a healthy client waited {longest:.1?} for a reply, and {most:?} are allowed"));
        }
    }
}

impl Scene {
    pub(super) fn addr(&self) -> &Addr {
        &self.host.addr
    }

    pub(super) fn over(&self) -> Over {
        match self.host.addr {
            Addr::Tcp(_) => Over::Tcp,
            Addr::Unix(_) => Over::Unix,
            Addr::Tls(_) => Over::Tls,
        }
    }

    pub(super) fn connect(&self) -> Result<Peer, Box<dyn Error>> {
        Ok(Peer::connect(self.addr())?)
    }

    /// So many connections.
    pub(super) fn crowd(&self, count: usize) -> Result<Vec<Peer>, Box<dyn Error>> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// Looks at what the server takes, while it is there to be looked at.
    pub(super) fn look(&mut self) {
        let (peak, resident, cpu) = (self.host.peak(), self.host.resident(), self.host.cpu());
        if peak > 0 {
            self.usage = Usage { peak, resident, cpu };
        }
    }

    /// Records a failure if a condition does not hold.
    pub(super) fn check(&mut self, ought: bool, otherwise: impl FnOnce() -> String) {
        if !ought {
            self.failures.push(otherwise());
        }
    }

    /// Waits until the statistics are as expected. If they are not in time, fails and shows them.
    pub(super) fn await_stats(&mut self, what: &str, ought: impl Fn(&Stats) -> bool) -> Result<Stats, Box<dyn Error>> {
        self.await_stats_within(PATIENCE, what, ought)
    }

    fn await_stats_within(
        &mut self,
        patience: Duration,
        what: &str,
        ought: impl Fn(&Stats) -> bool,
    ) -> Result<Stats, Box<dyn Error>> {
        let begin = Instant::now();
        loop {
            let stats = self.host.stats()?;
            if !stats.balance() {
                return Err(format!("the account does not balance: {stats:?}").into());
            }
            if ought(&stats) {
                return Ok(stats);
            }
            if begin.elapsed() > patience {
                let Stats { accepted, active, closes, .. } = stats;
                return Err(format!(
                    "{what} did not come within {patience:?}: accepted {accepted}, active {active}, closes {closes:?}"
                )
                .into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until this many connections have ended for this reason.
    pub(super) fn await_closes(&mut self, reason: &str, count: usize) -> Result<Stats, Box<dyn Error>> {
        self.await_closes_within(reason, count, PATIENCE)
    }

    /// The same with another timeout.
    pub(super) fn await_closes_within(
        &mut self,
        reason: &str,
        count: usize,
        patience: Duration,
    ) -> Result<Stats, Box<dyn Error>> {
        let what = format!("{count} closes as {reason}");
        self.await_stats_within(patience, &what, |stats| stats.closes(reason) >= count as u64)
    }

    /// A memory budget, with the memory of TLS sessions.
    pub(super) fn budget(&self, bytes: u64) -> u64 {
        bytes + self.of_sessions
    }

    /// Records a failure if more than this budget is held.
    pub(super) fn check_held(&mut self, stats: &Stats, memory_budget: u64) {
        let (held, budget) = (stats.buffered, self.budget(memory_budget));
        self.check(held <= budget, || format!("{held} bytes are held, of a budget of {budget}"));
    }

    /// Records a failure if the server ever held more than this many bytes more than before the attack.
    pub(super) fn check_memory(&mut self, most: u64) {
        let grown = self.host.peak().saturating_sub(self.base);
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        self.check(grown <= most, || {
            format!("memory grew by {:.1} MiB, and {:.1} MiB are allowed", mib(grown), mib(most))
        });
    }

    /// The same by the formula that [`unstick::ServerConfig`] documents, where no payload is longer than 1 MiB.
    pub(super) fn check_formula(&mut self, memory_budget: u64, connections: usize, threads: u64) {
        // Over TLS a connection and a thread may have a little more.
        let (of_tls, of_thread) = if self.over() == Over::Tls { (4 << 10, 1 << 20) } else { (0, 0) };
        let (connections, threads) = (connections as u64 * ((6 << 10) + of_tls), threads * ((13 << 20) + of_thread));
        let most = self.budget(memory_budget) + connections + threads;
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let grown = self.host.peak().saturating_sub(self.base);
        self.noted.push(format!("{:.1} MiB more at most, and {:.1} MiB by the formula", mib(grown), mib(most)));
        self.check_memory(most);
    }

    /// Waits for the end of a server that was stopped as part of the attack.
    ///
    /// # Errors
    /// If it does not print its statistics.
    pub(super) fn await_end(&mut self) -> Result<Stats, Box<dyn Error>> {
        let ended = self.host.ended()?;
        Ok(self.ended_by(ended))
    }

    /// The server ended so, as part of the attack.
    pub(super) fn ended_by(&mut self, (stats, status): (Stats, ExitStatus)) -> Stats {
        self.check(status.success(), || format!("the server ended with {status}"));
        self.ended = Some(stats.clone());
        stats
    }

    /// The server is gone as it ought to be, without a word; this was its account.
    pub(super) fn gone(&mut self, stats: Stats) {
        self.ended = Some(stats);
    }

    /// Everybody has left: the server sees that, ends, and its account balances.
    fn all_ended(&mut self, row: &mut Row) -> Fallible {
        let stats = match self.ended.take() {
            Some(stats) => stats,
            None => {
                self.await_stats("the end of every connection", |stats| stats.active == 0)?;
                row.memory[2] = self.host.resident();
                let ended = self.host.end()?;
                let stats = self.ended_by(ended);
                self.check(stats.active == 0, || format!("{} connections were active at the end", stats.active));
                self.check(stats.buffered == 0, || format!("{} bytes are held by nobody", stats.buffered));
                stats
            }
        };
        let (accepted, active, closed) = (stats.accepted, stats.active, stats.closed());
        self.check(stats.balance(), || format!("the account: {accepted} accepted, {active} active, {closed} closed"));
        let clean = stats.closes("clean");
        self.check(clean >= row.healthy_closes, || {
            format!("of {} healthy clients {clean} ended clean", row.healthy_closes)
        });
        row.stats = stats;
        Ok(())
    }
}
