//! `unstick serve --raw`: no framing, only what TCP brings.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use smol::channel::{self, Receiver, Sender};
use smol::{Async, Executor, Timer};
use socket2::{SockRef, TcpKeepalive};
use unstick::CloseReason;
use unstick::framing::Utf8Reader;

use crate::args::HostPort;
use crate::exit::{Failure, log};
use crate::limits::Limits;
use crate::output::{Output, Print};
use crate::serve::{OTHER_PORT, Serve, cannot_listen, cannot_serve, log_open};
use crate::signals;

/// Bytes of one read: more than most merged segments.
const READ_LEN: usize = 64 * 1024;

/// How long the listener waits after a failed accept.
const REST: Duration = Duration::from_millis(100);

/// The settings of every connection.
struct Settings {
    greeting: Vec<u8>,
    output: Arc<Output>,
    echo: bool,
    limits: Limits,
}

/// What a connection holds while it is served.
#[derive(Clone)]
struct Signs {
    /// Closed by a stop.
    stopped: Receiver<()>,
    /// Closed when the last connection has ended.
    ended: Sender<()>,
}

pub(crate) fn run(command: &Serve, addr: &HostPort) -> Result<(), Failure> {
    let listener = TcpListener::bind(addr.host_port()).map_err(|error| cannot_listen(addr, &error, OTHER_PORT))?;
    let addr = listener.local_addr()?;
    let listener = Async::new(listener)?;
    let stop = signals::first()?;
    let (output, lost) = Output::new(command.print);
    let greeting = command.unframed_greeting().into();
    let limits = command.limits.clone();
    let drain_timeout = limits.drain_timeout;
    let settings = Arc::new(Settings { greeting, output: Arc::clone(&output), echo: command.echo, limits });
    let executor = Arc::new(Executor::new());
    for _ in 1..command.threads().get() {
        let executor = Arc::clone(&executor);
        let run = move || smol::block_on(executor.run(std::future::pending::<()>()));
        thread::Builder::new().spawn(run).map_err(|error| cannot_serve(command, &error))?;
    }
    output.announce(addr);
    smol::block_on(executor.run(async {
        let (stopping, stopped) = channel::bounded::<()>(1);
        let (ended, all_ended) = channel::bounded::<()>(1);
        let accept = accept(&listener, &executor, &settings, Signs { stopped, ended });
        accept.or(async { _ = stop.recv().or(lost.recv()).await }).await;
        drop((listener, stopping));
        let all_ended = async { _ = all_ended.recv().await };
        all_ended.or(async { _ = Timer::after(drain_timeout).await }).await;
    }));
    output.finish()
}

/// Accepts without end.
async fn accept(listener: &Async<TcpListener>, executor: &Executor<'static>, settings: &Arc<Settings>, signs: Signs) {
    let allowed = settings.limits.max_raw_connections();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            Timer::after(REST).await;
            continue;
        };
        log_open(&peer.into());
        // Each connection has a sender, and so has this function.
        if signs.ended.sender_count() > allowed {
            let refused = CloseReason::Refused { max_connections: allowed };
            // If this would block, the peer is not told.
            _ = stream.get_ref().write_all(refused.to_string().as_bytes());
            log(format_args!("{peer} closed: {refused}"));
            continue;
        }
        let (settings, signs) = (Arc::clone(settings), signs.clone());
        executor
            .spawn(async move {
                let reason = serve(&stream, peer, &settings, &signs).await.unwrap_or_else(|reason| reason);
                log(format_args!("{peer} closed: {reason}"));
                drop(signs);
            })
            .detach();
    }
}

async fn serve(
    mut stream: &Async<TcpStream>,
    peer: SocketAddr,
    settings: &Settings,
    signs: &Signs,
) -> Result<CloseReason, CloseReason> {
    tune(stream, &settings.limits)?;
    write(stream, &settings.greeting, &settings.limits).await?;
    let mut buffer = vec![0; READ_LEN];
    let (mut reader, mut text, mut line) = (Utf8Reader::new(), String::new(), Vec::new());
    loop {
        // A stop takes effect between two reads: what was read is handled.
        let stop = async {
            _ = signs.stopped.recv().await;
            Err(CloseReason::Stopped)
        };
        let read = async { Ok(stream.read(&mut buffer).await?) };
        let idle = settings.limits.idle_timeout();
        let len = read.or(stop).or(after(idle, |timeout| CloseReason::Idle { timeout })).await?;
        let bytes = &buffer[..len];
        match settings.output.print() {
            Print::None => {}
            Print::Hex if len > 0 => settings.output.show(&peer.into(), bytes, &mut line),
            Print::Hex => {}
            Print::Text => {
                text.clear();
                reader.read(bytes, &mut text);
                if len == 0 {
                    reader.finish(&mut text);
                }
                // A read that brought only part of a character prints nothing yet.
                if !text.is_empty() {
                    settings.output.show(&peer.into(), text.as_bytes(), &mut line);
                }
            }
        }
        if len == 0 {
            return Ok(CloseReason::Clean);
        }
        if settings.echo {
            write(stream, bytes, &settings.limits).await?;
        }
    }
}

fn tune(stream: &Async<TcpStream>, limits: &Limits) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    match limits.keepalive() {
        Some(idle) => SockRef::from(stream.get_ref()).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
        None => Ok(()),
    }
}

async fn write(mut stream: &Async<TcpStream>, mut bytes: &[u8], limits: &Limits) -> Result<(), CloseReason> {
    while !bytes.is_empty() {
        let queued = bytes.len();
        let slow = after(limits.write_timeout(), |timeout| CloseReason::SlowReader { queued, timeout });
        let written = async { Ok(stream.write(bytes).await?) };
        bytes = &bytes[written.or(slow).await?..];
    }
    Ok(())
}

/// Fails after the timeout, if there is one.
async fn after<T>(timeout: Option<Duration>, reason: impl FnOnce(Duration) -> CloseReason) -> Result<T, CloseReason> {
    let Some(timeout) = timeout else { return future::pending().await };
    Timer::after(timeout).await;
    Err(reason(timeout))
}
