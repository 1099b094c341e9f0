//! tokio's servers that push, on one thread: a frame that comes goes to every other connection.

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
pub(super) fn serve(kind: Kind, ahead: usize) -> io::Result<()> {
    let hub = Arc::new(match kind {
        Kind::TokioQueues => Hub::Queues(Mutex::default(), ahead),
        _ => Hub::Broadcast(broadcast::Sender::new(ahead)),
    });
    let mut number = 0;
    listen(false, move |stream| {
        number += 1;
        drop(tokio::spawn(read(stream, number, hub.clone(), kind)));
    })
}

/// A connection's number.
type Number = usize;

/// How frames go from the connection that has one to all others. One that is too slow is ended.
enum Hub {
    /// Each frame with where it came from.
    Broadcast(broadcast::Sender<(Number, Bytes)>),
    /// One for each connection, of so many frames.
    Queues(Mutex<Vec<(Number, mpsc::Sender<Bytes>)>>, usize),
}

enum Subscription {
    Broadcast(Number, broadcast::Receiver<(Number, Bytes)>),
    Queue(mpsc::Receiver<Bytes>),
}

impl Hub {
    fn subscribe(&self, own: Number) -> Subscription {
        match self {
            Hub::Broadcast(sender) => Subscription::Broadcast(own, sender.subscribe()),
            Hub::Queues(queues, ahead) => {
                let (sender, receiver) = mpsc::channel(*ahead);
                queues.lock().unwrap_or_else(PoisonError::into_inner).push((own, sender));
                Subscription::Queue(receiver)
            }
        }
    }

    fn publish(&self, own: Number, frame: &Bytes) {
        match self {
            Hub::Broadcast(sender) => _ = sender.send((own, frame.clone())),
            Hub::Queues(queues, _) => {
                let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
                queues.retain(|(number, queue)| *number == own || queue.try_send(frame.clone()).is_ok());
            }
        }
    }
}

impl Subscription {
    /// The next frame, as soon as there is one.
    async fn next(&mut self) -> io::Result<Bytes> {
        match self {
            Subscription::Broadcast(own, receiver) => loop {
                let (number, frame) = receiver.recv().await.map_err(io::Error::other)?;
                if number != *own {
                    return Ok(frame);
                }
            },
            Subscription::Queue(receiver) => receiver.recv().await.ok_or_else(|| io::Error::other("too slow")),
        }
    }

    /// The next frame, if there is one.
    fn at_hand(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Subscription::Broadcast(own, receiver) => loop {
                match receiver.try_recv() {
                    Err(broadcast::error::TryRecvError::Empty) => return Ok(None),
                    Ok((number, _)) if number == *own => {}
                    next => return next.map(|(_, frame)| Some(frame)).map_err(io::Error::other),
                }
            },
            Subscription::Queue(receiver) => Ok(receiver.try_recv().ok()),
        }
    }
}

async fn read(stream: TcpStream, own: Number, hub: Arc<Hub>, kind: Kind) -> io::Result<()> {
    let (input, output) = stream.into_split();
    let mut frames = FramedRead::new(input, codec());
    // Ends with this connection.
    let mut writing = JoinSet::new();
    writing.spawn(write(hub.subscribe(own), FramedWrite::new(output, codec()), kind));
    while let Some(frame) = frames.next().await {
        hub.publish(own, &frame?.freeze());
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
