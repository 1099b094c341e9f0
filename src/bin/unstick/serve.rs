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
use crate::{reactor, serve_raw, signals, stats};

const EXAMPLES: &str = "\
Examples:
  unstick serve --echo                        at 127.0.0.1:4747, an echo
  unstick serve 0.0.0.0:9000 --format u16be   all addresses, another format
  unstick serve 127.0.0.1:0 --print hex       a free port
  unstick serve unix:/run/echo --echo         a Unix socket, removed at the end
  unstick serve --broadcast                   a chat
  unstick serve --echo --delay 500ms          a slow server
  unstick serve --tls-cert cert.pem --tls-key key.pem
  unstick serve --raw                         watch TCP split and merge";

const DETAILS: &str = "\
Output:
  Standard output has the line `listening on ADDR`, then a line `PEER PAYLOAD`
  for each frame. PEER is IP:PORT, or at a Unix socket unix:(pid PID, uid UID).
  Standard error has the lines `PEER connected` and `PEER closed: REASON`.

Stopping:
  After Ctrl-C (SIGINT) or SIGTERM the server accepts no more connections, lets
  the open ones finish what is in flight (--drain-timeout), and exits with 0.
  A second signal ends it at once. If standard output cannot be written, the
  server reports that, stops in the same way, and exits with 9.";

/// Run a server that prints each frame it receives
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nLimits and details: unstick serve --help. Formats: unstick --help"))]
#[command(after_long_help = long_help(), allow_negative_numbers = true)]
pub(crate) struct Serve {
    /// HOST:PORT (port 0: a free one) or unix:PATH
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:4747", value_parser = args::parse_addr)]
    pub(crate) addr: Addr,

    #[command(flatten)]
    format: FormatArgs,

    /// Send each frame back to its sender
    #[arg(long)]
    pub(crate) echo: bool,

    /// With --echo, wait before each reply
    ///
    /// The frames of one connection wait one after the other.
    #[arg(long, value_name = "SECONDS", value_parser = args::parse_time, requires = "echo", conflicts_with = "raw")]
    #[arg(allow_negative_numbers = true)]
    delay: Option<Duration>,

    /// Send each frame to all other clients
    ///
    /// A client that reads too slowly is closed (overflow: see --outbox-limit);
    /// the others do not wait for it. --first-frame-timeout is off by default.
    #[arg(long, conflicts_with_all = ["echo", "raw"])]
    broadcast: bool,

    /// Print frames as text, hex or none
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Print::Text, hide_possible_values = true)]
    pub(crate) print: Print,

    /// Greet each client
    ///
    /// Send a frame when a client connects. Without TEXT it says
    /// "Hello client! 你好...".
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = TUTORIAL_GREETING)]
    greeting: Option<String>,

    /// Greet without framing
    ///
    /// The greeting is sent as it is; everything else is framed.
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = TUTORIAL_GREETING)]
    #[arg(conflicts_with = "greeting")]
    raw_greeting: Option<String>,

    /// No framing: print what each read brings
    ///
    /// Over TCP only. A character that TCP split is printed whole. Of the limits,
    /// --max-connections, --keepalive, --idle-timeout, --write-timeout and
    /// --drain-timeout apply.
    #[arg(long, conflicts_with_all = ["format", "max_payload"])]
    raw: bool,

    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = args::parse_threads)]
    threads: Option<NonZeroUsize>,

    /// Print statistics to stderr at this interval
    ///
    /// Only if they changed, and once at the end.
    #[arg(long, value_name = "SECONDS", value_parser = args::parse_interval, conflicts_with = "raw")]
    stats: Option<Duration>,

    /// Serve statistics to Prometheus
    ///
    /// Over HTTP, at the path /metrics: at most 16 requests at a time, two seconds
    /// each. Use an address that only your Prometheus can reach.
    #[arg(long, value_name = "HOST:PORT", value_parser = args::parse_host_port, conflicts_with = "raw")]
    metrics: Option<HostPort>,

    #[command(flatten)]
    tls: ServeTls,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

fn long_help() -> String {
    format!("{DETAILS}\n\n{}\n\n{EXAMPLES}\n\n{}", stats::help(), exit::MORE)
}

impl Serve {
    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// The text of the greeting with --raw; empty if there is none.
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
            Err(error) => Err(Failure::usage(format_args!("--greeting: {error}; shorten it, or use --raw-greeting"))),
        }
    }

    /// What a client is sent when the server is full; `unstick connect` recognises it by its text. If the format cannot encode
    /// it, the connection is just closed.
    fn refusal(&self, config: &ServerConfig) -> Greeting {
        let text = CloseReason::Refused { max_connections: config.connections_allowed() }.to_string();
        match self.raw_greeting.is_some() {
            true => Greeting::Raw(text.into()),
            false if encodes(config.format, &text).is_ok() => Greeting::Frame(text.into()),
            false => Greeting::None,
        }
    }
}

/// Whether the format can encode it.
fn encodes(format: Format, text: &str) -> Result<(), EncodeError> {
    Encoder::new(format).encode_with(format.layout().zeros(), text.as_bytes(), &mut Vec::new())
}

pub(crate) fn run(command: &Serve) -> Result<(), Failure> {
    command.limits.warn();
    reactor::begin()?;
    match (&command.addr, command.raw) {
        (Addr::Unix(_), true) => {
            Err(Failure::usage("--raw is for TCP: write HOST:PORT, not the path of a Unix socket"))
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
                    member.tell_others(frame)?;
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
            // When this is first polled, the server's threads have begun.
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

/// Listens, and returns the address.
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

/// What to choose instead of a port that is in use.
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
