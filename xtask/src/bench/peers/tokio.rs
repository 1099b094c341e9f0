//! tokio's servers, on one thread: `Framed` with its habits to flush.

use std::future::{poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::{Kind, LIMIT, OWN, OWN_LEN, Service, announce};
use crate::certificate::Certificate;

/// Bytes that may wait with [`Kind::TokioWide`].
pub(super) const WIDE: usize = 128 << 10;

/// Serves for ever.
pub(super) fn serve(kind: Kind, service: Service) -> io::Result<()> {
    match service {
        Service::Sealed => {
            let acceptor = TlsAcceptor::from(Certificate::own().server());
            listen(false, |stream| {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    serve_framed(kind, acceptor.accept(stream).await?, |frame| ready(frame.freeze())).await
                });
            })
        }
        Service::Own => {
            let own = Bytes::from(vec![OWN; OWN_LEN]);
            serve_with(kind, false, move |frame| ready(own.slice(..frame.len())))
        }
        Service::Wait(time) => serve_with(kind, true, move |frame| wait(time, frame)),
        _ => serve_with(kind, false, |frame| ready(frame.freeze())),
    }
}

async fn wait(time: Duration, frame: BytesMut) -> Bytes {
    sleep(time).await;
    frame.freeze()
}

fn serve_with<A, F>(kind: Kind, timers: bool, answer: A) -> io::Result<()>
where
    A: Fn(BytesMut) -> F + Clone + Send + 'static,
    F: Future<Output = Bytes> + Send + 'static,
{
    listen(timers, |stream| drop(tokio::spawn(serve_framed(kind, stream, answer.clone()))))
}

async fn serve_framed<S, A, F>(kind: Kind, stream: S, answer: A) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(BytesMut) -> F,
    F: Future<Output = Bytes>,
{
    let mut framed = Framed::new(stream, codec());
    if kind == Kind::TokioSend {
        while let Some(frame) = framed.next().await {
            framed.send(answer(frame?).await).await?;
        }
        return Ok(());
    }
    if kind == Kind::TokioWide {
        framed.set_backpressure_boundary(WIDE);
    }
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
        framed.feed(answer(frame).await).await?;
        unflushed = true;
    }
}

/// Hands every connection to `serve`, which spawns what serves it. Timers only where they are needed: they take time.
pub(super) fn listen(timers: bool, mut serve: impl FnMut(TcpStream)) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if timers {
        runtime.enable_time();
    }
    runtime.enable_io().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            serve(stream);
        }
    })
}

pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().little_endian().max_frame_length(LIMIT).new_codec()
}
