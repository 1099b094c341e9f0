//! The server that is attacked, a process of its own: `cargo xtask attack-server`.
//!
//! It prints `listening on` and its address; then, for each line `account` on its standard input and once more when it
//! has ended, its [`Stats`] as a line of JSON. SIGTERM, SIGINT or the end of its standard input end it, so that none keeps
//! running.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::panic;
use std::pin::pin;
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::channel::{self, Receiver};
use tokio::sync::watch;
use unstick::framing::Frame;
use unstick::{Account, CloseKind, CloseReason, Outbox, Peer, PushError, Responder, Server, ServerConfig};

use crate::certificate::Certificate;
use crate::child::raise_open_files;
use crate::socket::{Addr, Over};

/// A frame with this payload makes the handler panic, fail and so on. Then it is sent back, like any other frame.
pub(super) const PANIC: &[u8] = b"attack: panic";
pub(super) const FAIL: &[u8] = b"attack: fail";
/// The handler waits until the gate opens, without blocking its thread. More bytes may follow in the payload.
pub(super) const SLEEP: &[u8] = b"attack: sleep";
/// The handler blocks its thread until the gate opens.
pub(super) const BLOCK: &[u8] = b"attack: block";
/// The connection gets the server's pushes from now on.
pub(super) const SUBSCRIBE: &[u8] = b"attack: subscribe";

/// The most different texts kept for one kind of close reason.
const MOST_SAID: usize = 8;
/// How much longer than its drain timeout the process may take to end.
const END_DEADLINE: Duration = Duration::from_secs(10);
/// Between two bursts of pushes.
const PUSH_EVERY: Duration = Duration::from_millis(10);

/// What the server has done, at one moment or at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stats {
    pub(super) accepted: u64,
    pub(super) active: u64,
    pub(super) accept_failures: u64,
    pub(super) frames_in: u64,
    pub(super) frames_out: u64,
    pub(super) bytes_out: u64,
    pub(super) buffered: u64,
    pub(super) closes: BTreeMap<String, u64>,
    /// Close reasons as text, by kind: the first few different ones.
    said: BTreeMap<String, BTreeSet<String>>,
}

impl Stats {
    fn of(stats: &unstick::Stats, said: BTreeMap<String, BTreeSet<String>>) -> Stats {
        let count = |kind: &CloseKind| (kind.name().to_owned(), stats.closes(*kind));
        Stats {
            accepted: stats.accepted,
            active: stats.active,
            accept_failures: stats.accept_failures,
            frames_in: stats.traffic.frames_in,
            frames_out: stats.traffic.frames_out,
            bytes_out: stats.traffic.bytes_out,
            buffered: stats.buffered as u64,
            closes: CloseKind::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect(),
            said,
        }
    }

    pub(super) fn closes(&self, reason: &str) -> u64 {
        self.closes.get(reason).copied().unwrap_or(0)
    }

    pub(super) fn closed(&self) -> u64 {
        self.closes.values().sum()
    }

    pub(super) fn balance(&self) -> bool {
        self.accepted == self.active + self.closed()
    }

    /// The texts of this kind of close reason.
    pub(super) fn said(&self, reason: &str) -> String {
        let texts = self.said.get(reason).into_iter().flatten();
        texts.map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

/// What is pushed to each subscriber: so many frames of so many bytes every 10 ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pushes {
    pub(super) len: usize,
    pub(super) burst: u64,
}

/// Serves until it is told to end.
///
/// # Errors
/// If it cannot listen.
pub(super) fn serve(config: ServerConfig, over: Over, pushes: Option<Pushes>) -> Result<ExitCode, Box<dyn Error>> {
    raise_open_files();
    // Panics are asked for here, and counted.
    panic::set_hook(Box::new(|_| ()));
    let drain = config.drain_timeout;
    let (server, addr) = match over {
        Over::Unix => {
            let path = std::env::temp_dir().join(format!("unstick-attack-{}", process::id()));
            (Server::bind_unix(&path, config)?, Addr::Unix(path))
        }
        Over::Tcp => {
            let server = Server::bind("127.0.0.1:0", config)?;
            let addr = server.local_addr()?;
            (server, Addr::Tcp(addr))
        }
        Over::Tls => {
            let server = Server::bind("127.0.0.1:0", config)?.tls(Certificate::own().server());
            let addr = server.local_addr()?;
            (server, Addr::Tls(addr))
        }
    };
    println!("listening on {addr}");
    let reporter = Reporter { account: server.account(), said: Arc::default() };
    let noted = reporter.clone();
    let server = server.on_close(move |closed| noted.note(&closed.reason));
    let world = Arc::new(World::default());
    if let Some(pushes) = pushes {
        let world = Arc::clone(&world);
        thread::spawn(move || world.push(pushes));
    }
    let stopped = stop_by_signal()?;
    let stop = stop_by_input(reporter.clone(), Arc::clone(&world), drain);
    let ended = smol::block_on(server.serve(
        move |peer| {
            let world = Arc::clone(&world);
            async move |frame: Frame<'_>, responder: &mut Responder| world.handle(&peer, frame, responder).await
        },
        async move {
            _ = futures_util::future::select(pin!(stopped.recv()), pin!(stop.recv())).await;
        },
    ));
    // If the attacker has ended, the output fails.
    _ = reporter.print(&ended?);
    Ok(ExitCode::SUCCESS)
}

/// What all handlers have in common.
#[derive(Default)]
struct World {
    gate: watch::Sender<Gate>,
    subscribers: Mutex<Vec<Outbox>>,
}

/// What handlers that sleep or block wait for.
#[derive(Default)]
struct Gate {
    is_open: bool,
    /// How often it was opened.
    opened: u64,
}

impl World {
    async fn handle(
        &self,
        peer: &Peer,
        frame: Frame<'_>,
        responder: &mut Responder,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        match frame.payload() {
            PANIC => panic!("asked to panic"),
            FAIL => return Err("asked to fail".into()),
            BLOCK => smol::block_on(self.wait()),
            payload if payload.starts_with(SLEEP) => self.wait().await,
            _ => {}
        }
        responder.send_with(frame.prefix(), frame.payload()).await?;
        if frame.payload() == SUBSCRIBE {
            locked(&self.subscribers).push(peer.outbox());
        }
        Ok(())
    }

    /// Until the gate is open, or was opened and shut again.
    async fn wait(&self) {
        let mut gate = self.gate.subscribe();
        let before = gate.borrow().opened;
        _ = gate.wait_for(|gate| gate.is_open || gate.opened > before).await;
    }

    /// Pushes to all subscribers, for ever. A connection with a full outbox is broken off.
    fn push(&self, Pushes { len, burst }: Pushes) {
        for number in 0.. {
            if number % burst == 0 {
                thread::sleep(PUSH_EVERY);
            }
            let payload = payload(number, now(), len);
            locked(&self.subscribers).retain(|outbox| match outbox.try_send(&payload) {
                Ok(()) => true,
                Err(PushError::Full { .. }) => {
                    outbox.break_off();
                    false
                }
                Err(_) => false,
            });
        }
    }
}

/// The number of a received push and its age, which should have `len` bytes and the number `next`, if that is known.
///
/// # Errors
/// If it is altered, or another one.
pub(super) fn verify_push(came: &[u8], len: usize, next: Option<u64>) -> io::Result<(u64, Duration)> {
    let field = |at: usize| came.get(at..at + 8).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes);
    let (Some(number), Some(at)) = (field(0), field(8)) else {
        return Err(io::Error::other(format!("a push of {} bytes", came.len())));
    };
    if next.is_some_and(|next| next != number) {
        return Err(io::Error::other(format!("push {number} came where {next:?} was due")));
    }
    match came == payload(number, at, len) {
        true => Ok((number, Duration::from_nanos(now().saturating_sub(at)))),
        false => Err(io::Error::other(format!("push {number} is altered"))),
    }
}

fn payload(number: u64, at: u64, len: usize) -> Bytes {
    let mut payload = [number.to_le_bytes(), at.to_le_bytes()].concat();
    payload.resize(len, number as u8);
    payload.into()
}

/// Nanoseconds by a clock that all processes have.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nothing panics while it has a lock here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Reporter {
    account: Account,
    said: Arc<Mutex<Said>>,
}

/// What was said of closes, by reason, and of how many.
#[derive(Default)]
struct Said {
    texts: BTreeMap<String, BTreeSet<String>>,
    closes: u64,
}

impl Reporter {
    fn note(&self, reason: &CloseReason) {
        let mut said = locked(&self.said);
        said.closes += 1;
        let texts = said.texts.entry(reason.name().to_owned()).or_default();
        if texts.len() < MOST_SAID {
            texts.insert(reason.to_string());
        }
    }

    fn print(&self, stats: &unstick::Stats) -> io::Result<()> {
        // A close is counted a moment before it is told of.
        while locked(&self.said).closes < stats.closed() {
            thread::yield_now();
        }
        let stats = Stats::of(stats, locked(&self.said).texts.clone());
        writeln!(io::stdout(), "{}", serde_json::to_string(&stats)?)
    }
}

/// SIGTERM and SIGINT: the first one asks for an end, the second one is one.
fn stop_by_signal() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = channel::bounded(1);
    thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        _ = sender.send_blocking(());
        if let Some(signal) = signals.next() {
            process::exit(128 + signal);
        }
    });
    Ok(receiver)
}

/// Does what standard input says; its end asks for an end, which comes in time whatever happens.
fn stop_by_input(reporter: Reporter, world: Arc<World>, drain: Duration) -> Receiver<()> {
    let (sender, receiver) = channel::bounded(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match &*line {
                "account" => _ = reporter.print(&reporter.account.stats()),
                "open" => world.gate.send_modify(|gate| (gate.is_open, gate.opened) = (true, gate.opened + 1)),
                "shut" => world.gate.send_modify(|gate| gate.is_open = false),
                _ => eprintln!("attack-server: nothing is called {line:?}"),
            }
        }
        _ = sender.send_blocking(());
        thread::sleep(drain + END_DEADLINE);
        eprintln!("attack-server: the drain has not ended {END_DEADLINE:?} after its deadline");
        process::exit(3);
    });
    receiver
}
