//! The echo servers that are compared, each as a process of its own: `cargo xtask bench-peer KIND`.
//!
//! All have the same format (u32 little-endian, payloads up to 16 MiB), no greeting, `TCP_NODELAY`, and end with their
//! standard input, so that none is left behind.

use std::error::Error;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::process::{self, ExitCode};
use std::thread;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use unstick::framing::{Format, Frame};
use unstick::{Greeting, Responder, Server, ServerConfig};

use super::cores;

/// Bytes of a payload at most.
const LIMIT: usize = 16 << 20;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// [`unstick::Server`] with a handler that sends each payload back.
    Ours,
    /// tokio-util's `Framed`, a flush for each frame.
    TokioSend,
    /// tokio-util's `Framed`, one flush when the input runs dry.
    TokioFeed,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "unstick",
            Kind::TokioSend => "tokio, flush a frame",
            Kind::TokioFeed => "tokio, flush when dry",
        }
    }
}

/// Serve as one of the peers of `cargo xtask bench`
#[derive(clap::Args, Debug)]
pub(crate) struct PeerArgs {
    #[arg(value_enum)]
    kind: Kind,

    /// Stay on these cores
    #[arg(long, value_name = "N,N", value_delimiter = ',', required = true)]
    cores: Vec<usize>,

    /// Threads that serve connections: for `ours` only
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,

    /// Hash each payload so many times before it is sent back: for `ours` only
    #[arg(long, value_name = "N", default_value_t = 0)]
    work: u32,
}

/// Serves until standard input ends.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn serve_as_peer(args: &PeerArgs) -> Result<ExitCode, Box<dyn Error>> {
    cores::stay_on(&args.cores)?;
    crate::load::raise_open_files();
    thread::spawn(|| {
        _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    match args.kind {
        Kind::Ours => serve_ours(args.threads, args.work)?,
        Kind::TokioSend => serve_tokio(echo_send)?,
        Kind::TokioFeed => serve_tokio(echo_feed)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(addr: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "listening on {addr}")
}

fn serve_ours(threads: NonZeroUsize, work: u32) -> Result<(), Box<dyn Error>> {
    let format = Format::U32_LE.with_max_payload_len(LIMIT)?;
    let config = ServerConfig::default().format(format).greeting(Greeting::None).threads(threads.get());
    let server = Server::bind("127.0.0.1:0", config)?;
    announce(server.local_addr()?)?;
    let serving = server.serve(
        move |_peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                hash(frame.payload(), work);
                if frame.payload().len() >= unstick::NO_COPY_LEN {
                    return responder.send_bytes(responder.share(frame)).await;
                }
                responder.send(frame.payload()).await
            }
        },
        std::future::pending(),
    );
    smol::block_on(serving)?;
    Ok(())
}

/// What stands for a handler's work: FNV-1a over the payload, again and again.
fn hash(payload: &[u8], times: u32) {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for _ in 0..times {
        for byte in payload {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        }
    }
    std::hint::black_box(hash);
}

fn serve_tokio<F>(echo: impl Fn(Framed<TcpStream, LengthDelimitedCodec>) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let codec = LengthDelimitedCodec::builder().little_endian().max_frame_length(LIMIT).new_codec();
            tokio::spawn(echo(Framed::new(stream, codec)));
        }
    })
}

async fn echo_send(mut framed: Framed<TcpStream, LengthDelimitedCodec>) -> io::Result<()> {
    while let Some(frame) = framed.next().await {
        framed.send(frame?.freeze()).await?;
    }
    Ok(())
}

async fn echo_feed(mut framed: Framed<TcpStream, LengthDelimitedCodec>) -> io::Result<()> {
    let mut unflushed = false;
    loop {
        let next = poll_fn(|cx| {
            let next = Pin::new(&mut framed).poll_next(cx)?;
            if next.is_pending() && unflushed {
                unflushed = Sink::<Bytes>::poll_flush(Pin::new(&mut framed), cx)?.is_pending();
            }
            next.map(Ok::<_, io::Error>)
        });
        let Some(frame) = next.await? else { return Ok(()) };
        framed.feed(frame.freeze()).await?;
        unflushed = true;
    }
}
