//! The servers that are compared, each as a process of its own: `cargo xtask bench-peer SETUP`.
//!
//! All have the same format (u32 little-endian, payloads up to 16 MiB), no greeting, `TCP_NODELAY`, and end with their
//! standard input, so that none is left behind.

mod ours;
mod plain;
mod tokio;
mod tokio_push;

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{self, Command, ExitCode};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child;

/// Bytes of a payload at most.
pub(super) const LIMIT: usize = 16 << 20;
/// What the payloads of [`Service::Own`] are made of.
pub(super) const OWN: u8 = 0xA5;
/// Bytes of such a payload at most.
const OWN_LEN: usize = 1 << 20;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// [`unstick::Server`].
    Ours,
    /// A loop over epoll that writes from where it read: the limit. It echoes and does nothing else.
    Plain,
    /// tokio-util's `Framed`, a flush for each frame.
    TokioSend,
    /// tokio-util's `Framed`, one flush when there is nothing more to send, or 8 KiB wait: its default.
    TokioFeed,
    /// The same, but 128 KiB may wait.
    TokioWide,
    /// The same, and what is pushed comes through an mpsc for each connection: pushes only.
    TokioQueues,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Ours => "unstick",
            Kind::Plain => "plain loop",
            Kind::TokioSend => "tokio, flush a frame",
            Kind::TokioFeed => "tokio, flush when dry",
            Kind::TokioWide => "tokio, when dry, 128 KiB",
            Kind::TokioQueues => "tokio, 128 KiB, mpsc",
        }
    }
}

/// What a server does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Service {
    /// Sends it back; ours hashes it so many times before.
    Echo { hashes: u32 },
    /// Sends it back, over TLS.
    Sealed,
    /// Answers with a payload of its own of the same length, every byte [`OWN`].
    Own,
    /// Waits so long, then sends it back.
    Wait(Duration),
    /// Sends it to every other connection. So many frames at most are on their way to one.
    Push { ahead: usize },
    /// Answers nothing.
    Nothing,
}

impl Service {
    pub(super) const ECHO: Service = Service::Echo { hashes: 0 };
}

/// How a peer is run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(super) kind: Kind,
    pub(super) service: Service,
    pub(super) cores: Vec<usize>,
    /// Threads that serve connections: for ours only.
    pub(super) threads: NonZeroUsize,
    /// The build of this program that runs it: this one unless said.
    #[serde(skip)]
    pub(super) program: Option<PathBuf>,
}

impl Setup {
    /// One thread.
    pub(super) fn new(kind: Kind, service: Service, cores: &[usize]) -> Setup {
        Setup { kind, service, cores: cores.into(), threads: NonZeroUsize::MIN, program: None }
    }
}

/// The command that runs tokio's echo server: one thread, a flush when there is nothing more to send or 128 KiB wait, its fastest
/// habit.
pub(crate) fn tokio_echo(cores: &[usize]) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["bench-peer", &serde_json::to_string(&Setup::new(Kind::TokioWide, Service::ECHO, cores))?]);
    Ok(command)
}

/// Serve as one of the peers of `cargo xtask bench`
#[derive(clap::Args, Debug)]
pub(crate) struct PeerArgs {
    /// How, as JSON
    #[arg(value_parser = |text: &str| serde_json::from_str::<Setup>(text))]
    setup: Setup,
}

/// Serves until standard input ends.
pub(crate) fn serve_as_peer(PeerArgs { setup }: &PeerArgs) -> Result<ExitCode, Box<dyn Error>> {
    child::stay_on(&setup.cores)?;
    crate::child::raise_open_files();
    thread::spawn(|| {
        _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    match (setup.kind, setup.service) {
        (Kind::Ours, service) => ours::serve(setup.threads, service)?,
        (Kind::Plain, Service::ECHO) => plain::serve()?,
        (Kind::Plain, service) => return Err(format!("the plain loop does not do {service:?}").into()),
        (kind, Service::Push { ahead }) => tokio_push::serve(kind, ahead)?,
        (kind, service) => tokio::serve(kind, service)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(addr: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "listening on {addr}")
}
