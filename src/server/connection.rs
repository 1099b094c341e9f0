//! One served connection: bytes in, frames to the handler, replies out. Over any reader and writer.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::ServerConfig;
use super::clock::Clock;
use super::deadlines::Awaited;
use super::place::Place;
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use super::writer::{To, Writer};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Decoder, Format, Frame};
use crate::write::{FramedWrite, NO_COPY_LEN, WriteError};

/// Reads in a row, without a wait, after which other connections have their turn; a long one counts as several.
const READS_A_TURN: u32 = 16;

/// How long a peer has to read our last replies after we closed, before it is cut off.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that a peer may still send after a stop: more than a socket's receive buffer holds, so what had arrived by then is
/// dealt with. A peer that goes on sending is not waited for.
const LAST_BYTES: u64 = 8 * 1024 * 1024;

/// Where a handler puts its replies.
///
/// Small replies are written together, once the input at hand is dealt with or 64 KiB wait
/// ([`ServerConfig::high_water`]); large ones at once, from where they are; large ones that are what was received, sent back
/// as it is, together, up to four times as many bytes. A reply waits while the peer does not read, and nothing is read from
/// such a peer meanwhile; after [`ServerConfig::write_deadline`] the connection ends.
pub struct Replies {
    write: FramedWrite<Writer, Rc<Format>>,
}

impl Replies {
    fn new(writer: Writer, format: Rc<Format>) -> Replies {
        let config = writer.place.config();
        let (high_water, max_queued) = (config.high_water.get() as usize, config.max_queued.get());
        Replies { write: FramedWrite::new(writer, format).high_water(high_water).max_queued(max_queued) }
    }

    fn place(&self) -> &Rc<Place> {
        &self.write.get_ref().place
    }

    /// Sends a frame: see [`FramedWrite::feed`].
    ///
    /// # Errors
    /// [`WriteError::Encode`], and nothing of it is sent; [`WriteError::Io`] and [`WriteError::Overflow`], after which the
    /// connection ends.
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::feed`]: the frame is neither lost nor torn.
    #[inline]
    pub fn send<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), WriteError>> + 'a {
        self.send_with(&[], payload)
    }

    /// Sends a frame with its prefix, for a format that has bytes before its length field: see [`FramedWrite::feed_with`].
    /// So a frame is echoed whole: `replies.send_with(frame.prefix(), frame.payload())`.
    ///
    /// # Errors
    /// As [`send`](Replies::send).
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::feed`]: the frame is neither lost nor torn.
    #[inline]
    pub fn send_with<'a>(
        &'a mut self,
        prefix: &'a [u8],
        payload: &'a [u8],
    ) -> impl Future<Output = Result<(), WriteError>> + 'a {
        // Of a large payload nothing is held, unless its sending is given up in the middle: then it is seen next time.
        self.place().replies.set(self.write.copied() + payload.len().min(NO_COPY_LEN));
        self.write.feed_with(prefix, payload)
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.place().peer()
    }

    /// Where nothing waits to be written, others may use the memory.
    fn park(&mut self) {
        if self.write.queued() == 0 {
            pool::give_output(self.write.queue_mut().release());
        }
        let capacity = self.write.queue_mut().capacity();
        self.place().replies.set(capacity);
    }

    /// There is something to reply to: memory to queue replies in.
    fn unpark(&mut self) {
        let queue = self.write.queue_mut();
        queue.adopt(pool::take_output());
        let capacity = queue.capacity();
        self.place().replies.set(capacity);
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("peer", &self.peer()).field("queued", &self.write.queued()).finish()
    }
}

/// What a server says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// A frame with this payload. Where the format has bytes before its length field, they are zeros.
    Frame(Vec<u8>),
    /// These bytes without framing: what the seed's clients wait for.
    Raw(Vec<u8>),
    /// Nothing.
    None,
}

impl Greeting {
    /// The same kind of greeting, or a frame where there is none, for a peer that there is no place for.
    pub(super) fn refusal(&self, max_connections: usize) -> Greeting {
        let text = CloseReason::Refused { max_connections }.to_string().into_bytes();
        match self {
            Greeting::Frame(_) | Greeting::None => Greeting::Frame(text),
            Greeting::Raw(_) => Greeting::Raw(text),
        }
    }
}

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
/// use unstick::{Greeting, Replies, ServerConfig, SystemClock, serve_connection};
/// # futures_lite::future::block_on(async {
/// let requests: &[u8] = b"\x02\0\0\0hi\x05\0\0\0he"; // the second frame is cut short
/// let config = ServerConfig::default().greeting(Greeting::None);
/// let echo = async |frame: Frame<'_>, replies: &mut Replies| replies.send(frame.payload()).await;
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
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let place = Place::alone(config.clone(), clock, peer);
    let writer = Writer::new(To::Other(Box::new(writer)), &place);
    let mut connection = Connection::new(reader, writer, place.format(), handler);
    let reason = *connection.serve().await;
    drop(connection);
    Closed { peer, reason, traffic: place.traffic() }
}

/// One connection, over any reader and writer.
pub(super) struct Connection<R, H> {
    input: Input<R>,
    replies: Replies,
    handler: H,
}

impl<R, H> Connection<R, H> {
    pub(super) fn new(reader: R, writer: Writer, format: &Rc<Format>, handler: H) -> Connection<R, H> {
        let decoder = Decoder::with_read_len(Rc::clone(format), READ_LEN).keeping(usize::MAX);
        let replies = Replies::new(writer, Rc::clone(format));
        let place = Rc::clone(replies.place());
        let awaited = Awaited::first(place.now());
        let input = Input {
            reader,
            decoder,
            place,
            awaited,
            frames_in: 0,
            bytes_in: 0,
            last_byte: u64::MAX,
            frames_came: false,
            reads_in_a_row: 0,
            large_frames: false,
        };
        Connection { input, replies, handler }
    }

    pub(super) fn reader(&self) -> &R {
        &self.input.reader
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

/// What a wait for input ended with.
enum Woken {
    Bytes,
    End,
}

/// Lets others have their turn.
async fn others_turn(place: &Place) {
    let mut theirs = true;
    poll_fn(|cx| match std::mem::take(&mut theirs) {
        true => {
            place.next_turn(cx);
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

/// The same, with what the connection holds entered into the books whenever it waits.
async fn accounted(
    place: &Place,
    future: impl Future<Output = Result<(), Box<CloseReason>>>,
) -> Result<(), Box<CloseReason>> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Pending => place.hold().map_or_else(|over| Poll::Ready(Err(over.into())), |()| Poll::Pending),
        ready => ready,
    })
    .await
}

impl<R, H, E> Connection<R, H>
where
    R: AsyncRead + Unpin,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
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
        let max_connections = self.input.place.max_connections();
        let refusal = self.input.place.config().greeting.refusal(max_connections);
        // A text that the format cannot say is left out, and the end of the stream tells enough.
        _ = self.greet(&refusal).await;
        self.part(Box::new(CloseReason::Refused { max_connections })).await
    }

    async fn run(&mut self) -> Result<Infallible, Box<CloseReason>> {
        Box::pin(self.greet_first()).await?;
        loop {
            if self.input.reads_in_a_row >= READS_A_TURN {
                self.input.reads_in_a_row = 0;
                // Who only waits for its turn holds no more than who waits for bytes.
                self.input.park();
                self.replies.park();
                self.input.place.hold()?;
                others_turn(&self.input.place).await;
            }
            match self.input.wait(&mut self.replies).await? {
                Woken::Bytes => Box::pin(self.turn()).await?,
                Woken::End => Box::pin(self.end()).await?,
            }
        }
    }

    /// Deals with the input at hand: every whole frame that has arrived is handled, and what is answered is written. The error
    /// is why the connection ends.
    async fn turn(&mut self) -> Result<(), Box<CloseReason>> {
        let place = Rc::clone(&self.input.place);
        let handled = AssertUnwindSafe(accounted(&place, self.handle_frames())).catch_unwind().await;
        let handled = handled.unwrap_or_else(|panic| Err(CloseReason::of_panic(&*panic).into()));
        if let Err(reason) = &handled
            && let CloseReason::Overflow { .. } | CloseReason::SlowReader { .. } | CloseReason::OverBudget { .. } =
                **reason
        {
            // The peer does not read, or costs too much: it is not waited for any more.
            return handled;
        }
        // What was answered before any other error is still written.
        let written = accounted(&place, self.flush()).await;
        handled?;
        written?;
        self.input.dealt_with()
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
        accounted(&place, self.greet(&place.config().greeting)).await
    }

    async fn greet(&mut self, greeting: &Greeting) -> Result<(), Box<CloseReason>> {
        match greeting {
            Greeting::Frame(payload) => {
                let offset = usize::from(self.input.decoder.format().layout().offset);
                let sent = self.replies.send_with(&vec![0; offset], payload).await;
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
        let frames_a_turn = self.input.place.config().frames_a_turn.get();
        let mut left = frames_a_turn;
        while let Some((handler, frame, replies)) = self.next_frame(&mut lent) {
            if let Err(error) = handler(frame, replies).await {
                // Where the writer failed the handler, that is the reason, whatever the handler makes of it.
                let failure = self.replies.write.take_failure().map(|failure| self.send_failed(failure));
                return Err(failure.unwrap_or_else(|| CloseReason::Handler(error.into())).into());
            }
            left -= 1;
            if left == 0 {
                left = frames_a_turn;
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
        // Without a whole frame there is an error, or nothing that this decoder yields.
        self.input.decoder.next_frame().map_err(CloseReason::from)?;
        Ok(())
    }

    /// The next whole frame, and who deals with it. Here, as what an async function borrows it keeps in memory.
    #[inline]
    fn next_frame<'a>(&'a mut self, lent: &'a mut Option<Lent>) -> Option<(&'a mut H, Frame<'a>, &'a mut Replies)> {
        let frame = match lent {
            None => self.input.decoder.whole_frame()?,
            Some(Lent { memory, unread }) => self.input.decoder.frame_of_lent(memory, unread)?,
        };
        self.input.frames_in += 1;
        self.input.frames_came = true;
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
        match place.config().write_deadline {
            Some(deadline) if place.write_overdue.get() => {
                CloseReason::SlowReader { queued: self.replies.write.queued(), deadline }
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

/// The reading side.
struct Input<R> {
    reader: R,
    decoder: Decoder<Rc<Format>>,
    place: Rc<Place>,
    /// What the peer must send next, and since when.
    awaited: Awaited,
    frames_in: u64,
    bytes_in: u64,
    /// Where a peer is cut off that goes on sending after a stop.
    last_byte: u64,
    /// Whether there was a whole frame among what came last.
    frames_came: bool,
    /// Reads of [`READ_LEN`] since it last waited or gave others their turn.
    reads_in_a_row: u32,
    /// Whether the last frame was a large one: more is read at once then.
    large_frames: bool,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Waits for bytes, for the end, for a deadline, or for being told to stop at a frame's end. Memory for bytes is held
    /// only when there are some.
    async fn wait(&mut self, replies: &mut Replies) -> Result<Woken, Box<CloseReason>> {
        poll_fn(|cx| match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Woken::End)),
            Poll::Ready(Ok(_)) => {
                replies.unpark();
                Poll::Ready(Ok(Woken::Bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Box::new(error.into()))),
            Poll::Pending => {
                replies.park();
                match self.give_up(cx) {
                    Some(reason) => Poll::Ready(Err(Box::new(reason))),
                    None => Poll::Pending,
                }
            }
        })
        .await
    }

    /// Why not to wait any longer, if so; wakes the task when that changes.
    fn give_up(&self, cx: &mut Context<'_>) -> Option<CloseReason> {
        let received = self.decoder.buffered();
        if self.place.poll_stopping(cx) && received == 0 {
            return Some(CloseReason::Stopped);
        }
        let config = self.place.config();
        if let Some(deadline) = self.awaited.until(config, received)
            && self.place.poll_until(deadline, cx).is_ready()
        {
            return Some(self.awaited.overdue(config, received, self.decoder.need()));
        }
        self.place.hold().err()
    }

    /// What came last is dealt with.
    ///
    /// # Errors
    /// Where the peer goes on sending after a stop.
    fn dealt_with(&mut self) -> Result<(), Box<CloseReason>> {
        let frames_came = std::mem::take(&mut self.frames_came);
        self.awaited.came(self.place.now(), frames_came, self.decoder.buffered());
        if self.place.stopping() {
            self.last_byte = self.last_byte.min(self.bytes_in + LAST_BYTES);
        }
        if self.bytes_in < self.last_byte { Ok(()) } else { Err(CloseReason::Stopped.into()) }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        loop {
            match Pin::new(&mut self.reader).poll_read(cx, self.decoder.space()) {
                Poll::Ready(Ok(n)) => {
                    self.decoder.filled(n);
                    self.bytes_in += n as u64;
                    self.reads_in_a_row += n.div_ceil(READ_LEN) as u32;
                    self.place.input.set(self.decoder.capacity());
                    return Poll::Ready(Ok(n));
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.reads_in_a_row = 0;
                    self.park();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Sees to it that there is memory for a read: the pool's, also where an unfinished frame is to fit. Where the pool has
    /// none for that, the decoder's own grows with what is received.
    fn make_room(&mut self) {
        let read_len = if self.large_frames { LARGE_READ_LEN } else { READ_LEN };
        let capacity = self.decoder.capacity();
        if capacity < read_len {
            self.move_to(pool::take_input(read_len));
        } else if self.decoder.buffered() > 0 {
            let frame_len = self.decoder.buffered() + self.decoder.need();
            if capacity < frame_len
                && let Some(buffer) = pool::find_input(frame_len)
            {
                self.move_to(buffer);
            }
        }
    }

    /// Keeps an unfinished frame only, in memory of its own length, where the buffer is much longer; others may use the
    /// buffer. What a connection that waits can hold is so at most four times what it received and did not finish.
    fn park(&mut self) {
        if self.decoder.buffered() <= self.decoder.capacity() / 4 {
            self.move_to(Vec::new());
        }
        self.place.input.set(self.decoder.capacity());
    }

    fn move_to(&mut self, buffer: Vec<u8>) {
        pool::give_input(self.decoder.swap_buffer(buffer));
    }

    /// Reads to the peer's end, or until it had its time, and keeps nothing.
    async fn discard(&mut self) {
        let Input { reader, place, .. } = self;
        let until = place.now().checked_add(LINGER);
        poll_fn(|cx| {
            let mut buffer = pool::take_input(READ_LEN);
            let mut polled = Poll::Pending;
            let mut reads = 0;
            while let Poll::Ready(read) = Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                reads += 1;
                if !matches!(read, Ok(1..)) {
                    polled = Poll::Ready(());
                    break;
                }
                if reads == READS_A_TURN {
                    place.next_turn(cx);
                    break;
                }
            }
            pool::give_input(buffer);
            match until {
                Some(until) if polled.is_pending() => place.poll_until(until, cx),
                _ => polled,
            }
        })
        .await;
    }
}
