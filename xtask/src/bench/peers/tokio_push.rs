//! tokio's servers that push, on one thread: a frame that comes goes to every subscriber.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::Kind;
use super::tokio::{WIDE, codec, listen};

/// Serves for ever.
///
/// # Errors
/// Where it cannot listen.
pub(super) fn serve(kind: Kind, ahead: usize) -> io::Result<()> {
    let hub = Arc::new(match kind {
        Kind::TokioQueues => Hub::Queues(Mutex::default(), ahead),
        _ => Hub::Broadcast(broadcast::Sender::new(ahead)),
    });
    listen(false, |stream| drop(tokio::spawn(read(stream, hub.clone(), kind))))
}

/// How frames go from the connection that has one to those that want it. A subscriber that is too slow is ended.
enum Hub {
    Broadcast(broadcast::Sender<Bytes>),
    /// One for each subscriber, of so many frames.
    Queues(Mutex<Vec<mpsc::Sender<Bytes>>>, usize),
}

enum Subscription {
    Broadcast(broadcast::Receiver<Bytes>),
    Queue(mpsc::Receiver<Bytes>),
}

impl Hub {
    fn subscribe(&self) -> Subscription {
        match self {
            Hub::Broadcast(sender) => Subscription::Broadcast(sender.subscribe()),
            Hub::Queues(queues, ahead) => {
                let (sender, receiver) = mpsc::channel(*ahead);
                queues.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Subscription::Queue(receiver)
            }
        }
    }

    fn publish(&self, frame: &Bytes) {
        match self {
            Hub::Broadcast(sender) => _ = sender.send(frame.clone()),
            Hub::Queues(queues, _) => {
                let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
                queues.retain(|queue| queue.try_send(frame.clone()).is_ok());
            }
        }
    }
}

impl Subscription {
    /// The next frame, as soon as there is one.
    async fn next(&mut self) -> io::Result<Bytes> {
        match self {
            Subscription::Broadcast(receiver) => receiver.recv().await.map_err(io::Error::other),
            Subscription::Queue(receiver) => receiver.recv().await.ok_or_else(|| io::Error::other("too slow")),
        }
    }

    /// The next frame, if there is one.
    fn at_hand(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Subscription::Broadcast(receiver) => match receiver.try_recv() {
                Err(broadcast::error::TryRecvError::Empty) => Ok(None),
                next => next.map(Some).map_err(io::Error::other),
            },
            Subscription::Queue(receiver) => Ok(receiver.try_recv().ok()),
        }
    }
}

async fn read(stream: TcpStream, hub: Arc<Hub>, kind: Kind) -> io::Result<()> {
    let (input, output) = stream.into_split();
    let mut frames = FramedRead::new(input, codec());
    let mut output = Some(FramedWrite::new(output, codec()));
    // Ends with this connection.
    let mut writing = JoinSet::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?.freeze();
        if !frame.is_empty() {
            hub.publish(&frame);
        } else if let Some(output) = output.take() {
            writing.spawn(write(hub.subscribe(), output, kind));
        }
    }
    Ok(())
}

async fn write(
    mut frames: Subscription,
    mut output: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    kind: Kind,
) -> io::Result<()> {
    if matches!(kind, Kind::TokioWide | Kind::TokioQueues) {
        output.set_backpressure_boundary(WIDE);
    }
    output.send(Bytes::new()).await?;
    loop {
        output.feed(frames.next().await?).await?;
        while kind != Kind::TokioSend
            && let Some(frame) = frames.at_hand()?
        {
            output.feed(frame).await?;
        }
        SinkExt::<Bytes>::flush(&mut output).await?;
    }
}
