//! The server that is attacked, as a process of its own: `cargo xtask attack-server`.
//!
//! It prints `listening on` and its address, then a line of JSON, the account so far, for each line `account` on its
//! standard input and one more when it has ended. SIGTERM, SIGINT or the end of its standard input end it, so none
//! keeps running.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::panic;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{self, ExitCode};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::channel::{self, Receiver, Sender};
use unstick::framing::{Format, Frame, Layout};
use unstick::{Account, CloseKind, CloseReason, Greeting, Peer, Responder, Server, ServerConfig, Stats};

use super::push::Hub;
use crate::certificate::Certificate;
use crate::child::raise_open_files;
use crate::text::{parse_length, parse_seconds};

/// A frame with this payload makes the handler panic, fail and so on. Then it is sent back, like any other frame.
pub(super) const PANIC: &[u8] = b"attack: panic";
pub(super) const FAIL: &[u8] = b"attack: fail";
/// The handler waits until it is told to continue, without blocking its thread. More bytes may follow in the payload.
pub(super) const SLEEP: &[u8] = b"attack: sleep";
/// The handler blocks its thread until it is told to continue.
pub(super) const BLOCK: &[u8] = b"attack: block";
/// The connection gets the server's pushes from now on.
pub(super) const SUBSCRIBE: &[u8] = b"attack: subscribe";

/// The memory budget that this many TLS sessions need: each takes 6 KiB of the three quarters for reading.
pub(super) fn of_sessions(count: usize) -> usize {
    count * (6 << 10) / 3 * 4
}

/// The most different texts kept for one kind of reason.
const MOST_SAID: usize = 8;

/// How much longer than its drain timeout the process may take to end.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// Serve as the server that `cargo xtask attack` attacks; most flags are the limit of that name, times in seconds
#[derive(clap::Args, Debug)]
pub(crate) struct ServerArgs {
    /// Listen on a Unix socket instead of a loopback port
    #[arg(long)]
    unix: Option<PathBuf>,
    /// Serve over TLS, with the certificate of the process that runs this one
    #[arg(long)]
    tls: bool,
    /// Over TLS: add the memory of this many sessions to the memory budget
    #[arg(long, default_value = "0")]
    sessions: usize,
    /// Bytes of each push, and how many are pushed to each subscriber every 10 ms
    #[arg(long, num_args = 2, value_names = ["LENGTH", "BURST"])]
    push: Option<Vec<usize>>,
    #[arg(long, default_value = "u32le")]
    format: Layout,
    #[arg(long, value_parser = parse_length)]
    max_payload: Option<usize>,
    #[arg(long)]
    refusal: Option<String>,
    #[arg(long, default_value = "1024")]
    backlog: usize,
    #[arg(long, default_value = "1")]
    threads: usize,
    #[arg(long)]
    max_connections: Option<usize>,
    #[arg(long, value_parser = parse_length)]
    memory_budget: Option<usize>,
    #[arg(long, default_value = "60", value_parser = parse_seconds)]
    first_frame_timeout: Duration,
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    frame_timeout: Duration,
    #[arg(long, default_value = "65536")]
    min_rate: usize,
    #[arg(long, value_parser = parse_seconds)]
    idle_timeout: Option<Duration>,
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    write_timeout: Duration,
    #[arg(long, default_value = "60", value_parser = parse_seconds)]
    keepalive: Duration,
    #[arg(long, default_value = "65536")]
    high_water: usize,
    #[arg(long, default_value = "262144")]
    outbox_limit: usize,
    #[arg(long, default_value = "1024")]
    max_frames_per_turn: usize,
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    handshake_timeout: Duration,
    #[arg(long, default_value = "256")]
    max_handshakes: usize,
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    drain_timeout: Duration,
}

/// Serves until it is told to end.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn serve(args: &ServerArgs) -> Result<ExitCode, Box<dyn Error>> {
    raise_open_files();
    // Panics are asked for here, and counted.
    panic::set_hook(Box::new(|_| ()));
    let mut server = match &args.unix {
        Some(path) => Server::bind_unix(path, args.config()?)?,
        None => Server::bind("127.0.0.1:0", args.config()?)?,
    };
    if args.tls {
        server = server.tls(Certificate::own().server());
    }
    let said = Arc::new(Said::default());
    let reporter = Reporter { account: server.account(), said: Arc::clone(&said) };
    match &args.unix {
        Some(path) => println!("listening on {}", path.display()),
        None => println!("listening on {}{}", if args.tls { "tls:" } else { "" }, server.local_addr()?),
    }
    let server = server.on_close(move |closed| said.note(&closed.reason));
    let world = Arc::new(World::default());
    if let Some([len, burst]) = args.push.as_deref() {
        let (world, len, burst) = (Arc::clone(&world), *len, *burst as u64);
        thread::spawn(move || world.hub.publish(len, burst));
    }
    let stopped = stop_by_signal()?;
    let stop = stop_by_input(reporter.clone(), Arc::clone(&world), args.drain_timeout);
    let ended = smol::block_on(server.serve(
        move |peer| {
            let world = Arc::clone(&world);
            async move |frame: Frame<'_>, responder: &mut Responder| handle(&world, &peer, frame, responder).await
        },
        async move {
            _ = futures_util::future::select(pin!(stopped.recv()), pin!(stop.recv())).await;
        },
    ));
    // If the attacker has ended, the output fails.
    _ = reporter.print(&ended?);
    Ok(ExitCode::SUCCESS)
}

impl ServerArgs {
    fn of_sessions(&self) -> usize {
        if self.tls { of_sessions(self.sessions) } else { 0 }
    }

    fn config(&self) -> Result<ServerConfig, Box<dyn Error>> {
        let format = Format::with_default_limit(self.format)?;
        let format = self.max_payload.map_or(Ok(format), |len| format.with_max_payload_len(len))?;
        let refusal = self.refusal.clone().map_or(Greeting::None, |text| Greeting::Frame(text.into()));
        Ok(ServerConfig::default()
            .format(format)
            .refusal(refusal)
            .backlog(self.backlog)
            .threads(self.threads)
            .max_connections(self.max_connections)
            .memory_budget(self.memory_budget.map(|budget| budget + self.of_sessions()))
            .first_frame_timeout(Some(self.first_frame_timeout))
            .frame_timeout(Some(self.frame_timeout))
            .min_rate(Some(self.min_rate))
            .idle_timeout(self.idle_timeout)
            .write_timeout(Some(self.write_timeout))
            .keepalive(Some(self.keepalive))
            .high_water(self.high_water)
            .outbox_limit(self.outbox_limit)
            .max_frames_per_turn(self.max_frames_per_turn)
            .handshake_timeout(self.handshake_timeout)
            .max_handshakes(self.max_handshakes)
            .drain_timeout(self.drain_timeout))
    }
}

/// What all handlers have in common.
#[derive(Default)]
struct World {
    gate: Gate,
    hub: Hub,
}

async fn handle(
    world: &World,
    peer: &Peer,
    frame: Frame<'_>,
    responder: &mut Responder,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    match frame.payload() {
        PANIC => panic!("asked to panic"),
        FAIL => return Err("asked to fail".into()),
        BLOCK => world.gate.block(),
        payload if payload.starts_with(SLEEP) => world.gate.sleep().await,
        _ => {}
    }
    responder.send_with(frame.prefix(), frame.payload()).await?;
    if frame.payload() == SUBSCRIBE {
        world.hub.add(peer.outbox());
    }
    Ok(())
}

/// What handlers wait at until they are told to go on.
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// Closed, and with it what sleepers wait for, when the gate opens.
    sleeping: Mutex<Sender<()>>,
    asleep: Mutex<Receiver<()>>,
}

impl Default for Gate {
    fn default() -> Gate {
        let (sender, asleep) = channel::bounded(1);
        let (sleeping, asleep) = (Mutex::new(sender), Mutex::new(asleep));
        Gate { open: Mutex::new(false), opened: Condvar::new(), sleeping, asleep }
    }
}

impl Gate {
    /// Waiting handlers continue, and none waits from now on.
    fn open(&self) {
        *locked(&self.open) = true;
        self.opened.notify_all();
        locked(&self.sleeping).close();
    }

    /// Handlers wait again from now on.
    fn shut(&self) {
        *locked(&self.open) = false;
        (*locked(&self.sleeping), *locked(&self.asleep)) = channel::bounded(1);
    }

    async fn sleep(&self) {
        let asleep = locked(&self.asleep).clone();
        _ = asleep.recv().await;
    }

    fn block(&self) {
        let open = locked(&self.open);
        drop(self.opened.wait_while(open, |open| !*open));
    }
}

/// Nothing panics while it has a lock here.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was said of closes, by reason, and of how many.
#[derive(Default)]
struct Said(Mutex<(BTreeMap<&'static str, BTreeSet<String>>, u64)>);

impl Said {
    fn note(&self, reason: &CloseReason) {
        let (texts, closes) = &mut *locked(&self.0);
        *closes += 1;
        let texts = texts.entry(reason.name()).or_default();
        if texts.len() < MOST_SAID {
            texts.insert(reason.to_string());
        }
    }
}

#[derive(Clone)]
struct Reporter {
    account: Account,
    said: Arc<Said>,
}

impl Reporter {
    fn print(&self, stats: &Stats) -> io::Result<()> {
        // A close is counted a moment before it is told of.
        while locked(&self.said.0).1 < stats.closed() {
            thread::yield_now();
        }
        let closes: serde_json::Map<String, Value> = CloseKind::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), json!(stats.closes(*kind))))
            .filter(|(_, count)| *count != 0)
            .collect();
        let account = json!({
            "accepted": stats.accepted,
            "active": stats.active,
            "accept_failures": stats.accept_failures,
            "frames_in": stats.traffic.frames_in,
            "bytes_in": stats.traffic.bytes_in,
            "frames_out": stats.traffic.frames_out,
            "bytes_out": stats.traffic.bytes_out,
            "buffered": stats.buffered,
            "closes": closes,
            "said": locked(&self.said.0).0,
        });
        let mut out = io::stdout().lock();
        writeln!(out, "{account}")?;
        out.flush()
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
                "open" => world.gate.open(),
                "shut" => world.gate.shut(),
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
