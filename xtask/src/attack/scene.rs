//! One attack, from its start to its verdict: its own server, healthy clients beside it, and what must hold.

use std::error::Error;
use std::fs;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use unstick::ServerConfig;

use super::healthy::{CLIENTS, Healthy, Seen, Work};
use super::peer::{PATIENCE, Peer};
use super::server::{Pushes, Stats};
use crate::certificate::Certificate;
use crate::child::{Listening, cpu_of, peak_memory, resident_memory};
use crate::socket::{Addr, Over};

/// How long healthy clients run before the attack, and how long the attack lasts at least.
const CALM: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(200);
/// The longest that a healthy client may wait for a reply.
const STARVED: Duration = Duration::from_secs(1);

pub(super) type Fallible = Result<(), Box<dyn Error>>;

/// An attack: what is done, to which server, and what must hold. Its entry is an update of [`Attack::PLAIN`].
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// What is done, and what must happen: a line for `--list`.
    pub(super) about: &'static str,
    /// Sets the limits of the server that is attacked.
    pub(super) limits: fn(&mut ServerConfig, Over),
    /// What the server pushes to subscribers.
    pub(super) pushes: Option<Pushes>,
    pub(super) beside: Beside,
    /// The transports over which it makes sense.
    pub(super) over: &'static [Over],
    /// Whether it needs a network namespace of its own, where packets can be lost for good.
    pub(super) cuts: bool,
    pub(super) act: fn(&mut Scene) -> Fallible,
}

impl Attack {
    pub(super) const PLAIN: Attack = Attack {
        name: "",
        about: "",
        limits: |_, _| (),
        pushes: None,
        beside: Beside::Healthy,
        over: &[Over::Tcp, Over::Unix, Over::Tls],
        cuts: false,
        act: |_| Ok(()),
    };

    pub(super) fn config(&self, over: Over) -> ServerConfig {
        let mut config = ServerConfig::default();
        (self.limits)(&mut config, over);
        config
    }
}

/// Which clients run beside the attackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Healthy clients that send and receive.
    Healthy,
    /// Healthy clients to which the server pushes.
    Receivers,
    /// None: the attack is on all connections.
    Nobody,
}

/// What became of an attack.
#[derive(Default)]
pub(super) struct Row {
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
    /// What the attack measured itself.
    pub(super) noted: Vec<String>,
    /// Why it was not held.
    pub(super) failures: Vec<String>,
    /// What took too long: it may be due to another program that had the machine's cores.
    pub(super) late: Vec<String>,
}

/// What an attack has at hand.
pub(super) struct Scene {
    server: Listening,
    pub(super) addr: Addr,
    pub(super) over: Over,
    pub(super) config: ServerConfig,
    pub(super) pushes: Option<Pushes>,
    /// How long what has no end of its own goes on.
    pub(super) span: Duration,
    row: Row,
    /// The server's CPU time when it was last looked at.
    cpu: Duration,
    /// It was stopped as part of the attack.
    is_over: bool,
}

/// Plays an attack to its verdict.
pub(super) fn play(attack: &Attack, over: Over, span: Duration) -> Row {
    match Scene::set(attack, over, span) {
        Ok(mut scene) => {
            let played = scene.play(attack);
            scene.row.failures.extend(played.err().map(|error| error.to_string()));
            std::mem::take(&mut scene.row)
        }
        Err(error) => Row { failures: vec![error.to_string()], ..Row::default() },
    }
}

impl Scene {
    fn set(attack: &Attack, over: Over, span: Duration) -> Result<Scene, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["attack-server", attack.name, over.name()]);
        if over == Over::Tls {
            Certificate::give(&mut command);
        }
        let server = Listening::start(command)?;
        let (addr, config, pushes) = (server.addr().parse()?, attack.config(over), attack.pushes);
        let (row, cpu) = (Row::default(), Duration::ZERO);
        Ok(Scene { server, addr, over, config, pushes, span, row, cpu, is_over: false })
    }

    fn play(&mut self, attack: &Attack) -> Fallible {
        let work = match (attack.beside, attack.pushes) {
            (Beside::Nobody, _) => None,
            (Beside::Receivers, Some(Pushes { len, .. })) => Some(Work::Receive(len)),
            _ => Some(Work::Echo(self.config.format)),
        };
        let healthy = work.map(|work| Healthy::start(&self.addr, work)).transpose()?;
        if healthy.is_some() {
            thread::sleep(CALM);
        }
        self.look();
        let (cpu, begin, before) = (self.cpu, Instant::now(), healthy.as_ref().map(Healthy::came));
        self.row.memory[0] = self.row.memory[2];
        let attacked = (attack.act)(self);
        if let (Some(healthy), Some(before)) = (healthy, before) {
            // However short the attack was, the clients have something to tell.
            thread::sleep(SHORTEST.saturating_sub(begin.elapsed()));
            self.look();
            let came = healthy.came();
            self.judge(healthy.end());
            self.check(came > before, || "no healthy client had a reply during the attack".into());
        }
        self.look();
        self.row.cpu = self.cpu.saturating_sub(cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
        if attacked.is_err() {
            self.row.stats = self.stats().unwrap_or_default();
        }
        attacked.and_then(|()| self.all_ended())
    }

    fn judge(&mut self, seen: Seen) {
        self.row.healthy_closes = CLIENTS.saturating_sub(seen.faults.len()) as u64;
        self.row.failures.extend(seen.faults.iter().map(|fault| format!("a healthy client noticed: {fault}")));
        let longest = seen.longest();
        self.in_time(longest <= STARVED, || {
            format!("a healthy client waited {longest:.1?} for a frame, and {STARVED:?} are allowed")
        });
        self.row.seen = Some(seen);
    }

    /// Everybody has left: the server sees that, ends, and its account balances.
    fn all_ended(&mut self) -> Fallible {
        if !self.is_over {
            self.await_stats("the end of every connection", |stats| stats.active == 0)?;
            self.look();
            let stats = self.end()?;
            self.check(stats.active == 0, || format!("{} connections were active at the end", stats.active));
            self.check(stats.buffered == 0, || format!("{} bytes are held by nobody", stats.buffered));
        }
        let (stats, healthy) = (self.row.stats.clone(), self.row.healthy_closes);
        self.check(stats.balance() && stats.accepted > healthy, || format!("the account does not balance: {stats:?}"));
        let clean = stats.closes("clean");
        self.check(clean >= healthy, || format!("of {healthy} healthy clients {clean} ended clean"));
        Ok(())
    }

    // What an attack does.

    pub(super) fn connect(&self) -> Result<Peer, Box<dyn Error>> {
        Ok(Peer::connect(&self.addr)?)
    }

    /// So many connections.
    pub(super) fn crowd(&self, count: usize) -> Result<Vec<Peer>, Box<dyn Error>> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// So many connections, each of which sends this.
    pub(super) fn crowd_of(&self, count: usize, wire: &[u8]) -> Result<Vec<Peer>, Box<dyn Error>> {
        let mut peers = self.crowd(count)?;
        peers.iter_mut().try_for_each(|peer| peer.send(wire))?;
        Ok(peers)
    }

    /// Handlers that sleep or block continue, and none sleeps or blocks from now on.
    pub(super) fn open_gate(&mut self) -> Fallible {
        self.server.tell("open")?;
        self.stats().map(drop)
    }

    /// Handlers that are asked to sleep or block do so again.
    pub(super) fn shut_gate(&mut self) -> Fallible {
        self.server.tell("shut")?;
        self.stats().map(drop)
    }

    pub(super) fn signal(&self, signal: Signal) -> Fallible {
        Ok(self.server.signal(signal)?)
    }

    /// Allows the server so many descriptors more than it has.
    pub(super) fn limit_descriptors(&self, more: u64) -> Fallible {
        let open = fs::read_dir(format!("/proc/{}/fd", self.server.pid()))?.count() as u64;
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let pid = Pid::from_raw(self.server.pid() as i32);
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(open + more), ..limit })?;
        Ok(())
    }

    // What an attack sees.

    /// The server's account as of now.
    pub(super) fn stats(&mut self) -> Result<Stats, Box<dyn Error>> {
        self.server.tell("account")?;
        let line = self.server.line()?;
        Ok(serde_json::from_str(&line).map_err(|error| format!("the server's account: {error}: {line:?}"))?)
    }

    /// Looks at what the server takes, while it is there to be looked at.
    pub(super) fn look(&mut self) {
        let pid = self.server.pid();
        if let (Some(peak), Some(resident)) = (peak_memory(pid), resident_memory(pid)) {
            self.cpu = cpu_of(pid);
            (self.row.memory[1], self.row.memory[2]) = (peak, resident);
        }
    }

    /// The share of one core that the server uses within the span.
    pub(super) fn cpu_share(&self) -> f64 {
        let (before, begin) = (cpu_of(self.server.pid()), Instant::now());
        thread::sleep(self.span);
        (cpu_of(self.server.pid()) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
    }

    /// Waits until the statistics are as expected. If they are not in time, fails and shows them.
    pub(super) fn await_stats(&mut self, what: &str, ought: impl Fn(&Stats) -> bool) -> Result<Stats, Box<dyn Error>> {
        // Keepalive takes 31 s to notice.
        let (begin, patience) = (Instant::now(), if what == "unreachable" { 3 * PATIENCE } else { PATIENCE });
        loop {
            let stats = self.stats()?;
            if !stats.balance() {
                return Err(format!("the account does not balance: {stats:?}").into());
            }
            if ought(&stats) {
                return Ok(stats);
            }
            if begin.elapsed() > patience {
                return Err(format!("{what} did not come within {patience:?}: {stats:?}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until this many connections have ended for this reason.
    pub(super) fn await_closes(&mut self, reason: &str, count: usize) -> Result<Stats, Box<dyn Error>> {
        self.await_stats(reason, |stats| stats.closes(reason) >= count as u64)
    }

    /// Waits for the end of a server that was told to stop; that is a part of the attack, or the last one.
    pub(super) fn await_end(&mut self) -> Result<Stats, Box<dyn Error>> {
        let line = self.server.line()?;
        let status = self.server.wait()?;
        let stats: Stats =
            serde_json::from_str(&line).map_err(|_| format!("the server ended with {status}: {line:?}"))?;
        self.check(status.success(), || format!("the server ended with {status}"));
        (self.row.stats, self.is_over) = (stats.clone(), true);
        Ok(stats)
    }

    /// Tells the server to end by the end of its standard input, and waits for that.
    pub(super) fn end(&mut self) -> Result<Stats, Box<dyn Error>> {
        self.server.end_input();
        self.await_end()
    }

    /// Waits for the end of a server that has no time to tell its account; this was the last one.
    pub(super) fn await_exit(&mut self, last: Stats) -> Result<ExitStatus, Box<dyn Error>> {
        (self.row.stats, self.is_over) = (last, true);
        Ok(self.server.wait()?)
    }

    // What must hold.

    pub(super) fn note(&mut self, text: String) {
        self.row.noted.push(text);
    }

    /// Records a failure if a condition does not hold.
    pub(super) fn check(&mut self, ought: bool, otherwise: impl FnOnce() -> String) {
        self.row.failures.extend((!ought).then(otherwise));
    }

    /// The same of something that takes its time.
    pub(super) fn in_time(&mut self, ought: bool, otherwise: impl FnOnce() -> String) {
        self.row.late.extend((!ought).then(otherwise));
    }

    /// Records a failure if no close of this kind says this.
    pub(super) fn check_said(&mut self, stats: &Stats, reason: &str, text: &str) {
        let said = stats.said(reason);
        self.check(said.contains(text), || format!("{reason} does not say {text:?}: {said}"));
    }

    /// Each of them sees the end of the server's stream, and nothing before it.
    pub(super) fn see_the_end(&mut self, peers: &mut [Peer]) {
        for peer in peers {
            match peer.rest() {
                Ok(bytes) => self.check(bytes.is_empty(), || format!("{} bytes came before the end", bytes.len())),
                Err(error) => self.row.failures.push(format!("the end of the server's stream: {error}")),
            }
        }
    }

    /// So many peers send this, and their FIN if they half-close. Each gets these replies and then the end of the server's
    /// stream, for this reason, which says this.
    pub(super) fn refuses(
        &mut self,
        count: usize,
        wire: &[u8],
        half_close: bool,
        replies: &[&[u8]],
        (reason, text): (&str, &str),
    ) -> Fallible {
        let before = self.stats()?.closes(reason) as usize;
        let mut peers = self.crowd_of(count, wire)?;
        for peer in &mut peers {
            if half_close {
                peer.half_close()?;
            }
            replies.iter().try_for_each(|reply| peer.expect(reply))?;
        }
        self.see_the_end(&mut peers);
        drop(peers);
        let stats = self.await_closes(reason, before + count)?;
        self.check_said(&stats, reason, text);
        Ok(())
    }

    /// Records a failure if more than the memory budget is held.
    pub(super) fn check_held(&mut self, stats: &Stats) {
        let (held, budget) = (stats.buffered, self.budget());
        self.check(held <= budget, || format!("{held} bytes are held, of a budget of {budget}"));
    }

    /// Records a failure if the server ever held more than this many bytes more than before the attack.
    pub(super) fn check_memory(&mut self, most: u64) {
        self.look();
        let [grown, most] = [self.row.memory[1].saturating_sub(self.row.memory[0]), most].map(mib);
        self.note(format!("{grown:.1} MiB more at most, and {most:.1} MiB are allowed"));
        self.check(grown <= most, || format!("memory grew by {grown:.1} MiB, and {most:.1} MiB are allowed"));
    }

    /// The same by the formula that [`ServerConfig`] documents, with so many attackers, and payloads up to 1 MiB.
    pub(super) fn check_formula(&mut self, attackers: usize) {
        let connections = attackers + CLIENTS;
        let plain = connections as u64 * (6 << 10) + self.config.threads as u64 * (13 << 20);
        self.check_memory(self.budget() + plain + self.of_tls(connections));
    }

    /// What so many connections and the threads may have more over TLS, as [`ServerConfig`] documents.
    pub(super) fn of_tls(&self, connections: usize) -> u64 {
        match self.over {
            Over::Tls => connections as u64 * (4 << 10) + self.config.threads as u64 * (1 << 20),
            _ => 0,
        }
    }

    fn budget(&self) -> u64 {
        self.config.memory_budget.unwrap_or(256 << 20) as u64
    }
}

pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Addr::Unix(path) = &self.addr {
            // It exists only if the server had no time to remove it.
            _ = fs::remove_file(path);
        }
    }
}
