//! `unstick serve`: a server that prints what it gets.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use futures_lite::FutureExt;
use unstick::framing::{EncodeError, Encoder, Format, Frame};
use unstick::{CloseReason, Greeting, PeerName, PushError, Responder, Server, ServerConfig, TUTORIAL_GREETING};

use crate::args::{self, Addr, FormatArgs, HostPort};
use crate::broadcast::Room;
use crate::exit::{self, Chain, Failure, log};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::output::{Output, Print};
use crate::tls::ServeTls;
use crate::{reactor, serve_raw, signals, stats, text};

const EXAMPLES: &str = "\
Standard output: first `listening on ADDR`, then a line `PEER TEXT` for each frame received. PEER is an IP:PORT, or over a Unix
socket unix:(pid PID, uid UID). Standard error: `PEER connected` and `PEER closed: REASON` for each connection.
At Ctrl-C (SIGINT) or SIGTERM the server accepts no more connections, lets those that are open finish what is in flight (for
--drain-timeout), and exits with 0. A second signal ends it at once. Where standard output cannot be written any more, as its
reader went away or the disk is full, the server says so, stops in the same way, and exits with 9.

Examples:
  unstick serve --echo                        at 127.0.0.1:4747; each frame is sent back
  unstick serve 0.0.0.0:9000 --format u16be   at every address of this machine; another format
  unstick serve 127.0.0.1:0 --print hex       at a free port
  unstick serve unix:/run/echo --echo         at a Unix socket, which is removed at the end
  unstick serve --broadcast                   a chat: what one client sends, all others get
  unstick serve --echo --delay 500ms          a slow server, to see how a client takes it
  unstick serve --echo --tls-cert cert.pem --tls-key key.pem
  unstick serve --raw-greeting                for clients that expect an unframed text first
  unstick serve --raw                         no framing: see how TCP splits and merges what is sent
  unstick serve --idle-timeout 300 --max-connections 1000 --stats 10 --metrics 127.0.0.1:9747";

/// Run a server that prints each frame it receives, and sends it back with --echo
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(), allow_negative_numbers = true)]
pub(crate) struct Serve {
    /// Where to listen, as HOST:PORT, where port 0 picks a free one; or as unix:PATH, at a Unix socket
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:4747", value_parser = args::parse_addr)]
    pub(crate) addr: Addr,

    #[command(flatten)]
    format: FormatArgs,

    /// Send each frame back to its sender
    #[arg(long)]
    pub(crate) echo: bool,

    /// With --echo, wait so long before each frame is sent back; those of one connection are sent one after the other
    #[arg(long, value_name = "SECONDS", value_parser = args::parse_time, requires = "echo", conflicts_with = "raw")]
    #[arg(allow_negative_numbers = true)]
    delay: Option<Duration>,

    /// Send each frame to all other clients. One that reads too slowly ends (overflow: see --outbox-limit), and no other one waits
    /// for it. Clients may just listen: --first-frame-timeout is off unless it is given
    #[arg(long, conflicts_with_all = ["echo", "raw"])]
    broadcast: bool,

    /// How frames are printed
    #[arg(long, value_enum, default_value_t = Print::Text)]
    pub(crate) print: Print,

    /// Greet each client, with "Hello client! 你好..." unless TEXT is given [default: nothing]
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = TUTORIAL_GREETING)]
    greeting: Option<String>,

    /// The same without framing, while all else is framed
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = TUTORIAL_GREETING)]
    #[arg(conflicts_with = "greeting")]
    raw_greeting: Option<String>,

    /// No framing at all, over TCP: print what each read from the socket brings; a character that was split by TCP is printed
    /// whole. Of the limits, --max-connections, --keepalive, --idle-timeout, --write-timeout and --drain-timeout hold
    #[arg(long, conflicts_with_all = ["format", "max_payload"])]
    raw: bool,

    /// Threads that serve connections [default: one for each core]
    #[arg(long, value_name = "N", value_parser = args::parse_threads)]
    threads: Option<NonZeroUsize>,

    /// Print what the server did so far to standard error at this interval, if it has changed, and once at the end
    #[arg(long, value_name = "SECONDS", value_parser = args::parse_interval, conflicts_with = "raw")]
    stats: Option<Duration>,

    /// Answer Prometheus over HTTP at HOST:PORT, path /metrics, with the same numbers as --stats
    #[arg(long, value_name = "HOST:PORT", value_parser = args::parse_host_port, conflicts_with = "raw")]
    metrics: Option<HostPort>,

    #[command(flatten)]
    tls: ServeTls,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

fn long_help() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{}\n\n{}\n\n{}", stats::help(), args::formats_help(), text::HELP, exit::HELP)
}

impl Serve {
    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// The text of the greeting where nothing is framed, if there is one.
    pub(crate) fn unframed_greeting(&self) -> &str {
        self.raw_greeting.as_deref().or(self.greeting.as_deref()).unwrap_or_default()
    }

    fn greeting(&self, format: Format) -> Result<Greeting, Failure> {
        if let Some(text) = &self.raw_greeting {
            return Ok(Greeting::Raw(text.clone().into()));
        }
        let Some(text) = &self.greeting else { return Ok(Greeting::None) };
        match encodes(format, text) {
            Ok(()) => Ok(Greeting::Frame(text.clone().into())),
            Err(error) => Err(Failure::usage(format_args!("--greeting: {error}; shorten it, or say --raw-greeting"))),
        }
    }

    /// What a client is told that there is no place for: by its text `unstick connect` knows it. Where the format cannot say
    /// it, the end of the stream tells enough.
    fn refusal(&self, config: &ServerConfig) -> Greeting {
        let text = CloseReason::Refused { max_connections: config.connections_allowed() }.to_string();
        match self.raw_greeting.is_some() {
            true => Greeting::Raw(text.into()),
            false if encodes(config.format, &text).is_ok() => Greeting::Frame(text.into()),
            false => Greeting::None,
        }
    }
}

/// Whether the format can say it.
fn encodes(format: Format, text: &str) -> Result<(), EncodeError> {
    Encoder::new(format).encode_with(format.layout().zeros(), text.as_bytes(), &mut Vec::new())
}

pub(crate) fn run(command: &Serve) -> Result<(), Failure> {
    command.limits.warn();
    reactor::begin()?;
    match (&command.addr, command.raw) {
        (Addr::Unix(_), true) => {
            Err(Failure::usage("--raw shows what TCP does: write HOST:PORT, not a Unix socket's path"))
        }
        (Addr::Tcp(addr), true) => serve_raw::run(command, addr),
        (_, false) => serve(command),
    }
}

fn serve(command: &Serve) -> Result<(), Failure> {
    let format = command.format.format()?;
    command.limits.check(format)?;
    let config =
        ServerConfig::default().format(format).greeting(command.greeting(format)?).threads(command.threads().get());
    let config = command.limits.apply(config);
    let refusal = command.refusal(&config);
    let tls = command.tls.config()?;
    let (mut server, addr) = bind(&command.addr, config.refusal(refusal))?;
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let account = server.account();
    if let Some(addr) = &command.metrics {
        let metrics = Metrics::listen(addr)?;
        log(format_args!("metrics at http://{}/metrics", metrics.addr()));
        metrics.serve(account.clone())?;
    }
    let stop = signals::first()?;
    let (output, lost) = Output::new(command.print);
    let (announced, shown) = (Arc::clone(&output), Arc::clone(&output));
    let (echo, delay, room) = (command.echo, command.delay, command.broadcast.then(Room::default));
    let serving = server.on_open(log_open).on_close(|closed| log(format_args!("{closed}"))).serve(
        move |peer| {
            let (shown, mut line) = (Arc::clone(&shown), Vec::new());
            let member = room.as_ref().map(|room| room.enter(peer.outbox()));
            async move |frame: Frame<'_>, responder: &mut Responder| -> Result<(), PushError> {
                shown.show(peer.name(), frame.payload(), &mut line);
                if let Some(member) = &member {
                    member.tell_others(frame).await?;
                }
                if let Some(delay) = delay {
                    peer.sleep(delay).await;
                }
                if echo {
                    responder.send_with(frame.envelope(), frame.payload()).await?;
                }
                Ok(())
            }
        },
        async move {
            // The first poll of this: what serves has begun.
            announced.announce(addr);
            _ = stop.recv().or(lost.recv()).await;
        },
    );
    match command.stats {
        None => _ = smol::block_on(serving).map_err(|error| cannot_serve(command, &error))?,
        Some(every) => {
            let report = async { Ok(stats::report(account, every).await) };
            stats::print(&smol::block_on(serving.or(report)).map_err(|error| cannot_serve(command, &error))?);
        }
    }
    output.finish()
}

/// Listens, and says where.
fn bind(addr: &Addr, config: ServerConfig) -> Result<(Server, String), Failure> {
    match addr {
        Addr::Tcp(addr) => {
            let bound = Server::bind(addr.host_port(), config).and_then(|server| Ok((server.local_addr()?, server)));
            let (bound, server) = bound.map_err(|error| cannot_listen(addr, &error, OTHER_PORT))?;
            Ok((server, bound.to_string()))
        }
        Addr::Unix(path) => {
            let bound = args::check_socket_path(path).and_then(|()| Server::bind_unix(path, config));
            Ok((bound.map_err(|error| cannot_listen(addr, &error, "path"))?, addr.to_string()))
        }
    }
}

/// What to choose in place of a port that is in use.
pub(crate) const OTHER_PORT: &str = "port, or 0 for any";

pub(crate) fn cannot_listen(addr: impl fmt::Display, error: &io::Error, other: &str) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!("; another program listens there: choose another {other}"),
        _ => String::new(),
    };
    Failure::other(format_args!("cannot listen on {addr}: {}{hint}", Chain(error)))
}

pub(crate) fn cannot_serve(command: &Serve, error: &io::Error) -> Failure {
    Failure::cannot(format_args!("serve with {} threads", command.threads()), error)
}

pub(crate) fn log_open(peer: &PeerName) {
    log(format_args!("{peer} connected"));
}
