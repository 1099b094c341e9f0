//! `unstick serve --raw`: no framing at all, what TCP gives.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use smol::channel::{self, Receiver, Sender};
use smol::{Async, Executor, Timer};
use unstick::CloseReason;
use unstick::framing::Utf8Reader;

use crate::exit::{Failure, log};
use crate::serve::{Print, Serve, announce, cannot_listen, log_open, show};
use crate::signals;

/// Bytes of one read: more than most segments glued together, and the seed's was 1024.
const READ_LEN: usize = 64 * 1024;

/// After a failed accept the listener rests so long.
const REST: Duration = Duration::from_millis(100);

/// What every connection needs to know.
struct Settings {
    greeting: Vec<u8>,
    print: Print,
    echo: bool,
}

pub(crate) fn run(command: &Serve) -> Result<(), Failure> {
    let listener = TcpListener::bind(&command.addr).map_err(|error| cannot_listen(&command.addr, &error))?;
    let addr = listener.local_addr().map_err(Failure::other)?;
    let listener = Async::new(listener).map_err(Failure::other)?;
    let stop = signals::first().map_err(Failure::other)?;
    announce(addr)?;
    let greeting = if command.no_greeting { Vec::new() } else { command.greeting.clone().into_bytes() };
    let settings = Arc::new(Settings { greeting, print: command.print, echo: command.echo });
    let executor = Arc::new(Executor::new());
    for _ in 1..command.threads().get() {
        let executor = Arc::clone(&executor);
        thread::spawn(move || smol::block_on(executor.run(std::future::pending::<()>())));
    }
    smol::block_on(executor.run(async {
        // Connections hold `stopping` open to hear of the stop, and `ended` to be waited for.
        let (stopping, stopped) = channel::bounded::<()>(1);
        let (ended, all_ended) = channel::bounded::<()>(1);
        let accept = accept(&listener, &executor, &settings, (&stopped, &ended));
        accept.or(async { _ = stop.recv().await }).await;
        drop((listener, stopping, ended));
        _ = all_ended.recv().await;
    }));
    Ok(())
}

/// Accepts for ever.
async fn accept(
    listener: &Async<TcpListener>,
    executor: &Executor<'static>,
    settings: &Arc<Settings>,
    (stopped, ended): (&Receiver<()>, &Sender<()>),
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            Timer::after(REST).await;
            continue;
        };
        log_open(peer);
        let (settings, stopped, ended) = (Arc::clone(settings), stopped.clone(), ended.clone());
        executor
            .spawn(async move {
                let stop = async {
                    _ = stopped.recv().await;
                    Ok(CloseReason::Stopped)
                };
                let reason = serve(&stream, peer, &settings).or(stop).await.unwrap_or_else(CloseReason::from);
                log(format_args!("{peer} closed: {reason}"));
                drop(ended);
            })
            .detach();
    }
}

async fn serve(mut stream: &Async<TcpStream>, peer: SocketAddr, settings: &Settings) -> io::Result<CloseReason> {
    stream.get_ref().set_nodelay(true)?;
    stream.write_all(&settings.greeting).await?;
    let mut buffer = vec![0; READ_LEN];
    let (mut reader, mut text, mut line) = (Utf8Reader::new(), String::new(), Vec::new());
    loop {
        let len = stream.read(&mut buffer).await?;
        let bytes = &buffer[..len];
        match settings.print {
            Print::None => {}
            Print::Hex if len > 0 => show(peer, bytes, Print::Hex, &mut line),
            Print::Hex => {}
            Print::Text => {
                text.clear();
                reader.read(bytes, &mut text);
                if len == 0 {
                    reader.finish(&mut text);
                }
                // A read that brought only a part of a character shows nothing yet.
                if !text.is_empty() {
                    show(peer, text.as_bytes(), Print::Text, &mut line);
                }
            }
        }
        if len == 0 {
            return Ok(CloseReason::Clean);
        }
        if settings.echo {
            stream.write_all(bytes).await?;
        }
    }
}
