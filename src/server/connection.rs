//! One served connection: bytes in, frames to the handler, replies out. Over any reader and writer.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::ServerConfig;
use super::clock::Clock;
use super::greeting::Greeting;
use super::input::{Input, Woken};
use super::panic;
use super::place::Place;
use super::pool::READ_LEN;
use super::responder::Responder;
use super::writer::{To, Writer};
use crate::adapters::WriteError;
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Decoder, Format, Frame};

/// Serves one connection over any reader and writer: a Unix socket, a TLS stream, a pipe in memory. What [`Server`] does for
/// each of its own, with the format, the greeting and the deadlines of `config`, by a [`Clock`] of your choice, mostly
/// [`SystemClock`]. What concerns all connections together is not its matter: threads, backlog, their number, the memory
/// budget, the drain, TCP's own options.
///
/// [`Server`]: crate::Server
/// [`SystemClock`]: crate::SystemClock
///
/// # Cancel-safety
/// Dropping the future breaks the connection off.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Responder, ServerConfig, SystemClock, serve_connection};
/// # futures_lite::future::block_on(async {
/// let requests: &[u8] = b"\x02\0\0\0hi\x05\0\0\0he"; // the second frame is cut short
/// let config = ServerConfig::default();
/// let echo = async |frame: Frame<'_>, replies: &mut Responder| replies.send(frame.payload()).await;
/// let peer = ([127, 0, 0, 1], 4747).into();
/// let closed = serve_connection(peer, requests, futures_lite::io::sink(), SystemClock::new(), &config, echo).await;
/// assert_eq!(closed.reason.name(), "truncated");
/// assert_eq!(closed.traffic.frames_out, 1);
/// # });
/// ```
pub async fn serve_connection<R, W, C, H, E>(
    peer: SocketAddr,
    reader: R,
    writer: W,
    clock: C,
    config: &ServerConfig,
    handler: H,
) -> Closed
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + 'static,
    C: Clock + 'static,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let place = Place::alone(config.clone(), clock, peer);
    let writer = Writer::new(To::Other(Box::new(writer)), &place);
    let mut connection = Connection::new(reader, writer, place.format(), handler);
    let reason = *connection.serve().await;
    drop(connection);
    Closed { peer: peer.into(), reason, traffic: place.traffic() }
}

/// One connection, over any reader and writer.
pub(super) struct Connection<R, H> {
    input: Input<R>,
    replies: Responder,
    handler: H,
}

impl<R, H> Connection<R, H> {
    pub(super) fn new(reader: R, writer: Writer, format: &Rc<Format>, handler: H) -> Connection<R, H> {
        let decoder = Decoder::with_read_len(Rc::clone(format), READ_LEN).keeping(usize::MAX);
        let replies = Responder::new(writer, Rc::clone(format));
        let place = Rc::clone(replies.place());
        let input = Input::new(reader, decoder, place);
        Connection { input, replies, handler }
    }

    pub(super) fn reader(&self) -> &R {
        &self.input.reader
    }

    pub(super) fn place(&self) -> &Rc<Place> {
        &self.input.place
    }

    /// Tells what has passed.
    fn count(&self) {
        let Connection { input, replies, .. } = self;
        replies.place().passed(Traffic {
            frames_in: input.frames_in,
            bytes_in: input.bytes_in,
            frames_out: replies.write.frames(),
            bytes_out: replies.write.bytes(),
        });
    }
}

impl<R, H> Drop for Connection<R, H> {
    fn drop(&mut self) {
        self.count();
    }
}

/// Lets others have their turn.
fn others_turn(place: &Place) -> impl Future<Output = ()> {
    let mut theirs = true;
    poll_fn(move |cx| match std::mem::take(&mut theirs) {
        true => {
            place.next_turn(cx);
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
}

/// The future with what the connection holds entered into the books whenever it waits.
async fn accounted(
    place: &Place,
    mut future: Pin<&mut impl Future<Output = Result<(), Box<CloseReason>>>>,
) -> Result<(), Box<CloseReason>> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Pending => place.hold().map_or_else(|over| Poll::Ready(Err(over.into())), |()| Poll::Pending),
        ready => ready,
    })
    .await
}

impl<R, H, E> Connection<R, H>
where
    R: AsyncRead + Unpin,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves the connection to its end, and says why it ended.
    ///
    /// What a connection does but seldom, and what it does with bytes, has memory of its own meanwhile, and so has the
    /// reason: it keeps none for that while it waits, whatever a handler's future takes.
    pub(super) async fn serve(&mut self) -> Box<CloseReason> {
        let Err(reason) = self.run().await;
        Box::pin(self.part(reason)).await
    }

    /// Tells the peer that there is no place for it.
    pub(super) async fn refuse(&mut self) -> Box<CloseReason> {
        let place = Rc::clone(&self.input.place);
        // Where it cannot be told, the end of the stream tells enough.
        _ = self.greet(&place.config().refusal).await;
        self.part(Box::new(CloseReason::Refused { max_connections: place.max_connections() })).await
    }

    async fn run(&mut self) -> Result<Infallible, Box<CloseReason>> {
        Box::pin(self.greet_first()).await?;
        loop {
            if self.input.ends_turn() {
                // Who only waits for its turn holds no more than who waits for bytes.
                self.input.park();
                self.replies.park();
                self.input.place.hold()?;
                others_turn(&self.input.place).await;
            }
            // In a match of its own, the result would keep its room in every state of this function.
            let woken = self.input.wait(&mut self.replies).await?;
            match woken {
                Woken::Bytes => Box::pin(self.turn()).await?,
                Woken::End => Box::pin(self.end()).await?,
            }
        }
    }

    /// Deals with the input at hand: every whole frame that has arrived is handled, and what is answered is written. The error
    /// is why the connection ends.
    async fn turn(&mut self) -> Result<(), Box<CloseReason>> {
        let place = Rc::clone(&self.input.place);
        let frames_before = self.input.frames_in;
        let handled = AssertUnwindSafe(accounted(&place, pin!(self.handle_frames()))).catch_unwind().await;
        let handled = handled.unwrap_or_else(|panic| Err(panic::reason(&*panic).into()));
        if let Err(reason) = &handled
            && let CloseReason::Overflow { .. } | CloseReason::SlowReader { .. } | CloseReason::OverBudget { .. } =
                **reason
        {
            // The peer does not read, or costs too much: it is not waited for any more.
            return handled;
        }
        // What was answered before any other error is still written.
        let written = accounted(&place, pin!(self.flush())).await;
        handled?;
        written?;
        self.input.dealt_with(self.input.frames_in > frames_before)
    }

    /// The peer has ended its stream.
    async fn end(&mut self) -> Result<(), Box<CloseReason>> {
        self.input.decoder.finish().map_err(CloseReason::from)?;
        match self.replies.write.close().await {
            Ok(()) => Err(CloseReason::Clean.into()),
            Err(error) => Err(self.write_failed(error).into()),
        }
    }

    /// Tells what has passed, and writes what waits.
    async fn flush(&mut self) -> Result<(), Box<CloseReason>> {
        self.count();
        let flushed = self.replies.write.flush().await;
        flushed.map_err(|error| self.write_failed(error).into())
    }

    /// Where it is we who end the connection, the peer sees the end of our stream, and has some time to read our last
    /// replies. To close with bytes of the peer's unread would reset the connection, and the replies could be lost.
    async fn part(&mut self, reason: Box<CloseReason>) -> Box<CloseReason> {
        if let CloseReason::Handler(_)
        | CloseReason::Panic(_)
        | CloseReason::Oversize(_)
        | CloseReason::Malformed(_)
        | CloseReason::Stopped
        | CloseReason::Refused { .. }
        | CloseReason::Silent { .. }
        | CloseReason::Idle { .. }
        | CloseReason::SlowFrame { .. } = *reason
            && self.replies.write.close().await.is_ok()
        {
            self.input.discard().await;
        }
        reason
    }

    async fn greet_first(&mut self) -> Result<(), Box<CloseReason>> {
        let place = Rc::clone(&self.input.place);
        accounted(&place, pin!(self.greet(&place.config().greeting))).await
    }

    async fn greet(&mut self, greeting: &Greeting) -> Result<(), Box<CloseReason>> {
        match greeting {
            Greeting::Frame(payload) => {
                let around = self.input.decoder.format().layout().zeros();
                let sent = self.replies.send_with(around, payload).await;
                sent.map_err(|error| self.send_failed(error))?;
            }
            Greeting::Raw(bytes) => self.replies.write.enqueue_raw(bytes),
            Greeting::None => return Ok(()),
        }
        self.flush().await
    }

    /// Every whole frame that has arrived goes to the handler.
    async fn handle_frames(&mut self) -> Result<(), Box<CloseReason>> {
        let mut lent = self.lend();
        let max_frames_per_turn = self.input.place.config().max_frames_per_turn.get();
        let mut left = max_frames_per_turn;
        while let Some((handler, frame, replies)) = self.next_frame(&mut lent) {
            if let Err(error) = handler(frame, replies).await {
                // Where the writer failed the handler, that is the reason, whatever the handler makes of it.
                let failure = self.replies.write.take_failure().map(|failure| self.send_failed(failure));
                return Err(failure.unwrap_or_else(|| CloseReason::Handler(error.into())).into());
            }
            left -= 1;
            if left == 0 {
                left = max_frames_per_turn;
                others_turn(&self.input.place).await;
            }
        }
        // A handler may have paid no attention to it.
        if let Some(failure) = self.replies.write.take_failure() {
            return Err(self.send_failed(failure).into());
        }
        if let Some(lent) = lent {
            self.take_back(lent).await?;
        }
        if self.input.decoder.buffered() > 0 {
            // Without a whole frame there is an error, or nothing that this decoder yields.
            self.input.decoder.next_frame().map_err(CloseReason::from)?;
        }
        Ok(())
    }

    /// The next whole frame, and who deals with it. Here, as what an async function borrows it keeps in memory.
    #[inline]
    fn next_frame<'a>(&'a mut self, lent: &'a mut Option<Lent>) -> Option<(&'a mut H, Frame<'a>, &'a mut Responder)> {
        let frame = match lent {
            None => self.input.decoder.whole_frame()?,
            Some(Lent { memory, unread }) => self.input.decoder.frame_of_lent(memory, unread)?,
        };
        self.input.frames_in += 1;
        self.input.large_frames = frame.as_bytes().len() > READ_LEN / 4;
        Some((&mut self.handler, frame, &mut self.replies))
    }

    /// Where large frames came, lends the memory that they are in to the replies: those payloads that are sent back as they
    /// are wait there, without a copy, and one write takes them all.
    fn lend(&mut self) -> Option<Lent> {
        let Input { decoder, large_frames: true, .. } = &mut self.input else { return None };
        if !matches!(decoder.has_frame(), Ok(true)) {
            return None;
        }
        let (memory, unread) = decoder.lend();
        let memory = Bytes::from(memory);
        self.replies.write.queue_mut().lend(memory.clone());
        Some(Lent { memory, unread })
    }

    /// Writes what waits. Then nobody else has the memory, and it is taken back as it is.
    async fn take_back(&mut self, lent: Lent) -> Result<(), Box<CloseReason>> {
        self.flush().await?;
        self.replies.write.queue_mut().end_lending();
        self.input.decoder.take_back(lent.memory.into(), lent.unread);
        Ok(())
    }

    fn send_failed(&self, error: WriteError) -> CloseReason {
        match error {
            WriteError::Io(error) => self.write_failed(error),
            error => error.into(),
        }
    }

    fn write_failed(&self, error: io::Error) -> CloseReason {
        let place = &self.input.place;
        match place.config().write_timeout {
            Some(timeout) if place.write_overdue.get() => {
                CloseReason::SlowReader { queued: self.replies.write.queued(), timeout }
            }
            _ => error.into(),
        }
    }
}

/// The decoder's memory while it is lent to the replies, and where in it the bytes are that are not yet handled.
struct Lent {
    memory: Bytes,
    unread: Range<usize>,
}
