//! `unstick connect`: lines to frames and frames to lines, over a connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, BufRead, BufReader, IsTerminal, StdinLock};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use rustls::pki_types::ServerName;
use smol::Timer;
use smol::channel::{self, Receiver};
use unstick::framing::Format;
use unstick::{
    Client, ClientConfig, ClientStream, CloseReason, ConnectError, FramedRead, FramedWrite, PeerName, Traffic,
};

use crate::args::{self, Addr, EnvelopeArgs, FormatArgs, OwnEnvelope};
use crate::exit::{self, Code, Failure, log};
use crate::lines::{self, Lines, Syntax};
use crate::prompt::{self, Prompt, Typed};
use crate::show::Show;
use crate::tls::ConnectTls;
use crate::{reactor, text, tls};

/// Bytes that are written at once, if there are more.
const WRITE_LEN: usize = 64 * 1024;

/// Bytes of one unframed read.
const READ_LEN: usize = 64 * 1024;

/// After the server's end, the time for the sending side to report unsent input.
const IDLE_GRACE: Duration = Duration::from_millis(100);

/// The same if it is busy: its last write may be about to end.
const BUSY_GRACE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  unstick connect 127.0.0.1:4747
  unstick connect '[fe80::1%eth0]:4747'   an IPv6 address and its interface
  unstick connect unix:/run/echo          a Unix socket
  unstick connect example.org:4747 --tls  TLS, trusting the system's authorities
  printf 'a\\nb\\n' | unstick connect 127.0.0.1:4747 --wait 5
  tail -f app.log | unstick connect logs.example:9000 --format u32be
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | unstick connect 127.0.0.1:80 --raw";

const DETAILS: &str = "\
Output:
  Standard output has a line for each frame received. Standard error has
  `ADDR connected` and `ADDR closed: REASON`.

Ending:
  At the end of standard input, our side of the connection is closed
  (half-close). Frames that still come are printed, and the program exits when
  the server closes its side. If the server closes first, the program exits at
  once; if input that was read has not been sent, it exits with 8.

At a terminal:
  The prompt has line editing, and a history in ~/.local/state/unstick/history.
  The line c, or Ctrl-D, closes our side; the line \\\"c\" sends a c. Ctrl-C
  exits.

With --raw:
  Piped input is sent as it is. At the prompt, a line is sent without its line
  end; to send one, type it escaped: \\\"GET / HTTP/1.0\\r\\n\\r\\n\"";

/// Send lines as frames to a server, and print the frames it sends
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nDetails: unstick connect --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{}\n\n{DETAILS}\n\n{EXAMPLES}\n\n{}", lines::HELP, exit::MORE))]
pub(crate) struct Connect {
    /// HOST:PORT or unix:PATH
    #[arg(value_name = "ADDR", value_parser = args::parse_addr)]
    addr: Addr,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    envelope: EnvelopeArgs,

    #[command(flatten)]
    tls: ConnectTls,

    /// Send frames, print unframed text
    ///
    /// For a server whose greeting, and whatever else it sends, is not framed.
    #[arg(long)]
    raw_greeting: bool,

    /// No framing, in either direction
    #[arg(long, conflicts_with_all = ["format", "max_payload", "prefix", "trailer"])]
    raw: bool,

    /// Print what is received in hexadecimal
    #[arg(long)]
    hex: bool,

    /// Print the time (UTC) before each frame
    #[arg(long)]
    timestamps: bool,

    /// Limit the wait for the server's end
    ///
    /// If the server does not close its side within this time after the end of
    /// standard input, exit with 6.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = args::parse_time)]
    wait: Option<Duration>,
}

pub(crate) fn run(command: &Connect) -> Result<(), Failure> {
    let format = command.format.format()?;
    let envelope = command.envelope.envelope(format)?;
    let config = ClientConfig::default().format(format);
    let tls = command.tls.config(&command.addr)?;
    reactor::begin()?;
    let client = smol::block_on(connect(&command.addr, tls, config));
    let client = client.map_err(|error| Failure::from_connect(&command.addr, &error))?;
    let peer = client.peer().clone();
    log(format_args!("{peer} connected"));
    let (reader, write) = client.split();

    let (prompt, printer) = prompt::open().unzip();
    if prompt.is_some() {
        log(format_args!("each line is sent; the line c closes; the line \\\"c\" sends a c"));
    }
    let sent = Arc::new(Sent::default());
    let (report, reported) = channel::bounded(1);
    let sending = Sending { write, envelope, raw: command.raw, ends: VecDeque::new(), sent: Arc::clone(&sent) };
    let send = move || _ = report.send_blocking(sending.run(prompt, format));
    let thread = thread::Builder::new().name("sending".into()).spawn(send);
    thread.map_err(|error| Failure::cannot("send", &error))?;

    let show = Show::new(command.hex, command.timestamps, printer);
    let mut receiving = Receiving { reader, show, refusal: None, traffic: Traffic::default() };
    let unframed = command.raw || command.raw_greeting;
    let ended = smol::block_on(receiving.until_end(unframed, command.wait, &reported, &sent));
    let Receiving { show, mut traffic, .. } = receiving;
    let shown = show.finish();
    let (reason, failure) = ended?;
    shown?;
    (traffic.frames_out, traffic.bytes_out) = (sent.frames.load(SeqCst), sent.bytes.load(SeqCst));
    conclude(&peer, &reason, failure, &Passed { traffic, unsent: sent.unsent(command.raw), raw: command.raw })
}

async fn connect(
    addr: &Addr,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    config: ClientConfig,
) -> Result<Client, ConnectError> {
    match addr {
        Addr::Tcp(addr) => match tls {
            None => Client::connect(addr.host_port(), config).await,
            Some((tls, name)) => Client::connect_tls(addr.host_port(), name, tls, config).await,
        },
        Addr::Unix(path) => {
            args::check_socket_path(path).map_err(ConnectError::Io)?;
            match tls {
                None => Client::connect_unix(path, config).await,
                Some((tls, name)) => Client::connect_unix_tls(path, name, tls, config).await,
            }
        }
    }
}

/// Reports how the connection ended.
fn conclude(peer: &PeerName, reason: &CloseReason, failure: Option<Failure>, passed: &Passed) -> Result<(), Failure> {
    match exit::of_reason(reason) {
        Code::Clean if passed.unsent > 0 => {
            Err(Failure::new(Code::Unsent, format_args!("{peer} closed: before all was sent ({passed})")))
        }
        Code::Clean => {
            log(format_args!("{peer} closed: {reason} ({passed})"));
            failure.map_or(Ok(()), Err)
        }
        code => {
            let hint = if let CloseReason::Tls(error) = reason { tls::hint(error) } else { "" };
            Err(Failure::new(code, format_args!("{peer} closed: {reason}{hint} ({passed})")))
        }
    }
}

/// What was sent and received, and what was not sent.
struct Passed {
    traffic: Traffic,
    /// Frames, or with --raw bytes, that were read from standard input and not sent whole. Unread input is not counted.
    unsent: u64,
    raw: bool,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.traffic)?;
        match (self.unsent, self.raw) {
            (0, _) => Ok(()),
            (unsent, false) => write!(f, ", at least {unsent} frames not sent"),
            (unsent, true) => write!(f, ", at least {unsent} bytes not sent"),
        }
    }
}

/// What the sending side has done so far, for the receiving one.
#[derive(Default)]
struct Sent {
    /// Frames that were read from standard input; with --raw, bytes.
    taken: AtomicU64,
    /// Frames that were written whole.
    frames: AtomicU64,
    /// Bytes that were written.
    bytes: AtomicU64,
    /// Whether something was read from standard input and not yet written, or a report is being sent.
    busy: AtomicBool,
    /// Whether the server has ended its stream.
    server_ended: AtomicBool,
}

impl Sent {
    /// Frames, or bytes, that were read from standard input and not written.
    fn unsent(&self, raw: bool) -> u64 {
        let written = if raw { &self.bytes } else { &self.frames };
        self.taken.load(SeqCst).saturating_sub(written.load(SeqCst))
    }

    /// Ready when the time for the sending side to report is over.
    async fn silent<T>(&self) -> Option<T> {
        let start = Instant::now();
        while start.elapsed() < if self.busy.load(SeqCst) { BUSY_GRACE } else { IDLE_GRACE } {
            Timer::after(Duration::from_millis(10)).await;
        }
        None
    }

    /// Counts what was read from standard input. It fails if the server has ended, as there is no use in sending it.
    fn take(&self, count: u64) -> Result<(), Report> {
        self.taken.fetch_add(count, SeqCst);
        self.busy.store(true, SeqCst);
        if self.server_ended.load(SeqCst) { Err(Report::Unsent) } else { Ok(()) }
    }
}

/// How the sending side ended.
enum Report {
    /// Our side is closed: standard input ended, or could not be sent to its end.
    Closed(Option<Failure>),
    /// The server ended first, and there is more to send.
    Unsent,
    /// The connection failed.
    Broken(io::Error),
    /// Ctrl-C.
    Interrupted,
}

/// The sending side, in a thread of its own, so that neither side ever waits for the other.
struct Sending {
    write: FramedWrite<ClientStream>,
    envelope: OwnEnvelope,
    raw: bool,
    /// For each frame that is not yet written whole, the offset of its end in our stream.
    ends: VecDeque<u64>,
    sent: Arc<Sent>,
}

impl Sending {
    fn run(mut self, prompt: Option<Prompt>, format: Format) -> Report {
        let ended = match prompt {
            Some(prompt) => self.send_typed(prompt),
            None if self.raw => self.send_bytes(),
            None => {
                let syntax = if io::stdin().is_terminal() { Syntax::Typed } else { Syntax::Text };
                self.send_lines(Lines::new(io::stdin().lock(), format, syntax))
            }
        };
        match ended {
            Err(Report::Closed(failure)) => self.close(failure),
            Err(report) => report,
            Ok(()) => self.close(None),
        }
    }

    fn send_lines(&mut self, mut lines: Lines<StdinLock<'_>>) -> Result<(), Report> {
        loop {
            match lines.next() {
                Ok(Some(line)) => {
                    let encoded = self.write.enqueue_with(&self.envelope, line);
                    encoded.map_err(|error| Report::Closed(Some(exit::unfit(lines.position(), error))))?;
                    self.took_frame()?;
                }
                Ok(None) => return Ok(()),
                Err(failure) => return Err(Report::Closed(Some(failure))),
            }
            if self.write.queued() >= WRITE_LEN || lines.is_dry() {
                self.flush()?;
            }
        }
    }

    fn send_typed(&mut self, mut prompt: Prompt) -> Result<(), Report> {
        let mut payload = Vec::new();
        loop {
            let line = match prompt.next() {
                Ok(Typed::Line(line)) => line,
                Ok(Typed::End) => return Ok(()),
                Ok(Typed::Interrupt) => return Err(Report::Interrupted),
                Err(error) => return Err(Report::Closed(Some(Failure::input("the terminal", &error)))),
            };
            // At the prompt a user may try again.
            match text::parse_text(line.as_bytes(), &mut payload) {
                Ok(bytes) if self.raw => self.write_raw(bytes)?,
                Ok(payload) => match self.write.enqueue_with(&self.envelope, payload) {
                    Ok(()) => {
                        self.took_frame()?;
                        self.flush()?;
                    }
                    Err(error) => log(format_args!("unstick: not sent: {error}")),
                },
                Err(error) => log(format_args!("unstick: not sent: {error}")),
            }
        }
    }

    fn send_bytes(&mut self) -> Result<(), Report> {
        let mut input = BufReader::with_capacity(READ_LEN, io::stdin().lock());
        loop {
            let bytes = match input.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(b"c\n") if io::stdin().is_terminal() => return Ok(()),
                Ok(bytes) => bytes,
                Err(error) => return Err(Report::Closed(Some(Failure::input("standard input", &error)))),
            };
            let len = bytes.len();
            self.write_raw(bytes)?;
            input.consume(len);
        }
    }

    fn write_raw(&mut self, mut bytes: &[u8]) -> Result<(), Report> {
        self.sent.take(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let len = smol::block_on(self.write.get_mut().write(bytes)).map_err(Report::Broken)?;
            self.sent.bytes.fetch_add(len as u64, SeqCst);
            bytes = &bytes[len..];
        }
        self.sent.busy.store(false, SeqCst);
        Ok(())
    }

    fn took_frame(&mut self) -> Result<(), Report> {
        self.ends.push_back(self.write.bytes());
        self.sent.take(1)
    }

    fn flush(&mut self) -> Result<(), Report> {
        self.sent.busy.store(true, SeqCst);
        // Written bytes are recorded after each write, as the next one may wait forever.
        let flushed = smol::block_on(poll_fn(|cx| {
            let flushed = pin!(self.write.flush()).poll(cx);
            self.note_written();
            flushed
        }));
        flushed.map_err(Report::Broken)?;
        self.sent.busy.store(false, SeqCst);
        Ok(())
    }

    fn note_written(&mut self) {
        let written = self.write.bytes() - self.write.queued() as u64;
        let whole = self.ends.iter().take_while(|end| **end <= written).count();
        self.ends.drain(..whole);
        self.sent.frames.fetch_add(whole as u64, SeqCst);
        self.sent.bytes.store(written, SeqCst);
    }

    /// Sends the queue, then the end of our stream.
    fn close(&mut self, failure: Option<Failure>) -> Report {
        if !self.raw
            && let Err(report) = self.flush()
        {
            return report;
        }
        self.sent.busy.store(true, SeqCst);
        match smol::block_on(self.write.close()) {
            Ok(()) => Report::Closed(failure),
            Err(error) => Report::Broken(error),
        }
    }
}

/// The receiving side.
struct Receiving {
    reader: FramedRead<ClientStream>,
    show: Show,
    /// The server's refusal, if that is all it has sent.
    refusal: Option<CloseReason>,
    traffic: Traffic,
}

impl Receiving {
    /// Receives until the connection's end, or until waiting for it makes no sense. Returns the reason, and what else
    /// failed.
    async fn until_end(
        &mut self,
        unframed: bool,
        wait: Option<Duration>,
        reported: &Receiver<Report>,
        sent: &Sent,
    ) -> Result<(CloseReason, Option<Failure>), Failure> {
        let report = RefCell::new(None);
        let receive = async { if unframed { self.receive_bytes().await } else { self.receive_frames().await } };
        let overdue = async {
            let ended = reported.recv().await.ok();
            let closed = match ended {
                Some(Report::Interrupted) => return Err(Failure { code: Code::Interrupted, text: None }),
                Some(Report::Closed(_)) => true,
                _ => false,
            };
            report.replace(ended);
            match wait {
                Some(wait) if closed => {
                    Timer::after(wait).await;
                    let text = format_args!("the server did not close its side within {wait:?} after ours (--wait)");
                    Err(Failure::new(Code::TimedOut, text))
                }
                _ => future::pending().await,
            }
        };
        let reason = receive.or(overdue).await?;
        sent.server_ended.store(true, SeqCst);
        if report.borrow().is_none() {
            let hear = async { reported.recv().await.ok() };
            report.replace(hear.or(sent.silent()).await);
        }
        if let Some(refusal) = self.refusal.take() {
            return Ok((refusal, None));
        }
        Ok(match (reason, report.into_inner()) {
            // A socket reports a reset once, and reported it to the sending side.
            (CloseReason::Clean, Some(Report::Broken(error))) => (error.into(), None),
            (reason, Some(Report::Closed(failure))) => (reason, failure),
            (reason, _) => (reason, None),
        })
    }

    async fn receive_frames(&mut self) -> Result<CloseReason, Failure> {
        let ended = loop {
            let next = match future::poll_once(self.reader.next_frame()).await {
                Some(next) => next,
                None => {
                    self.show.flush()?;
                    self.reader.next_frame().await
                }
            };
            match next {
                Ok(Some(frame)) => {
                    self.refusal = if self.traffic.frames_in == 0 { exit::refusal(frame.payload()) } else { None };
                    self.traffic.frames_in += 1;
                    self.show.frame(frame.payload())?;
                }
                Ok(None) => break CloseReason::Clean,
                Err(error) => break error.into(),
            }
        };
        self.traffic.bytes_in = self.reader.bytes();
        Ok(ended)
    }

    async fn receive_bytes(&mut self) -> Result<CloseReason, Failure> {
        let mut buffer = vec![0; READ_LEN];
        loop {
            match self.reader.get_mut().read(&mut buffer).await {
                Ok(0) => return Ok(CloseReason::Clean),
                Ok(len) => {
                    self.refusal = if self.traffic.bytes_in == 0 { exit::refusal(&buffer[..len]) } else { None };
                    self.traffic.bytes_in += len as u64;
                    self.show.read(&buffer[..len])?;
                }
                Err(error) => return Ok(error.into()),
            }
        }
    }
}
