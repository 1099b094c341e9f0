//! One served connection: bytes in, frames to the handler, replies out. Over any reader and writer.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use futures_lite::future::{self, poll_fn};
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::ServerConfig;
use super::clock::Clock;
use super::deadlines::Awaited;
use super::guard::Guarded;
use super::meter::Meter;
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Decoder, Format, Frame};
use crate::write::{FramedWrite, NO_COPY_LEN, WriteError};

/// Reads in a row after which other connections have their turn.
const READS_A_TURN: u32 = 16;

/// How long a peer has to read our last replies after we closed, before it is cut off.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that a peer may still send after a stop: more than a socket's receive buffer holds, so what had arrived by then is
/// dealt with. A peer that goes on sending is not waited for.
const LAST_BYTES: u64 = 8 * 1024 * 1024;

/// Where a handler puts its replies.
///
/// Small replies are written together, once the input at hand is dealt with or 64 KiB wait
/// ([`ServerConfig::high_water`]); large ones at once, from where they are. A reply waits while the peer does not read, and
/// nothing is read from such a peer meanwhile; after [`ServerConfig::write_deadline`] the connection ends.
pub struct Replies {
    meter: Rc<Meter>,
    write: FramedWrite<Box<dyn AsyncWrite + Unpin>, Rc<Format>>,
}

impl Replies {
    fn new<S: Surroundings>(
        writer: impl AsyncWrite + Unpin + 'static,
        format: Rc<Format>,
        surroundings: &S,
    ) -> Replies {
        let limits = surroundings.limits();
        let write = FramedWrite::new(Box::new(Guarded::new(writer, surroundings.clone())) as Box<_>, format)
            .high_water(limits.high_water.get() as usize)
            .max_queued(limits.max_queued.get());
        Replies { meter: Rc::clone(surroundings.meter()), write }
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
        self.meter.replies.set(self.write.queued() + payload.len().min(NO_COPY_LEN));
        self.write.feed_with(prefix, payload)
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.meter.peer
    }

    /// Where nothing waits to be written, others may use the memory.
    fn park(&mut self) {
        if self.write.queued() == 0 {
            pool::give_output(self.write.queue_mut().release());
        }
        self.meter.replies.set(self.write.queue_mut().capacity());
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("peer", &self.peer()).field("queued", &self.write.queued()).finish()
    }
}

/// What is around a connection: its limits, its time, what it is told and whom it tells.
pub(super) trait Surroundings: Clock + Clone + Unpin + 'static {
    /// What it may do.
    fn limits(&self) -> &ServerConfig;

    /// Its figures.
    fn meter(&self) -> &Rc<Meter>;

    /// Whether to end as soon as what is in flight is dealt with.
    fn stopping(&self) -> bool;

    /// The same; wakes the task when that changes.
    fn poll_stopping(&self, cx: &mut Context<'_>) -> bool;

    /// Enters its figures into the books, when it waits.
    ///
    /// # Errors
    /// Where it holds more than it may.
    fn settle(&self) -> Result<(), CloseReason>;
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
    let alone = Rc::new(Alone { clock, config: config.clone(), meter: Rc::new(Meter::new(peer)) });
    let format = Rc::new(config.format);
    let mut connection = Connection::new((reader, writer), &format, handler, Rc::clone(&alone));
    let reason = connection.serve(&config.greeting).await;
    drop(connection);
    Closed { peer, reason, traffic: alone.meter.traffic.get() }
}

/// A connection that nobody stops, and that shares with nobody.
struct Alone<C> {
    clock: C,
    config: ServerConfig,
    meter: Rc<Meter>,
}

impl<C: Clock> Clock for Rc<Alone<C>> {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.clock.poll_until(deadline, cx)
    }
}

impl<C: Clock + 'static> Surroundings for Rc<Alone<C>> {
    fn limits(&self) -> &ServerConfig {
        &self.config
    }

    fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }

    fn stopping(&self) -> bool {
        false
    }

    fn poll_stopping(&self, _cx: &mut Context<'_>) -> bool {
        false
    }

    fn settle(&self) -> Result<(), CloseReason> {
        Ok(())
    }
}

/// One connection, over any reader and writer.
pub(super) struct Connection<R, H, S> {
    input: Input<R, S>,
    replies: Replies,
    handler: H,
}

impl<R, H, S: Surroundings> Connection<R, H, S> {
    pub(super) fn new(
        (reader, writer): (R, impl AsyncWrite + Unpin + 'static),
        format: &Rc<Format>,
        handler: H,
        surroundings: S,
    ) -> Connection<R, H, S> {
        let decoder = Decoder::with_read_len(Rc::clone(format), READ_LEN).keeping(usize::MAX);
        let replies = Replies::new(writer, Rc::clone(format), &surroundings);
        let awaited = Awaited::first(surroundings.now());
        let input = Input { reader, decoder, surroundings, awaited, frames_in: 0, bytes_in: 0, large_frames: false };
        Connection { input, replies, handler }
    }
}

impl<R, H, S> Connection<R, H, S> {
    pub(super) fn reader(&self) -> &R {
        &self.input.reader
    }

    /// Tells its meter what has passed.
    fn count(&self) {
        let Connection { input, replies, .. } = self;
        replies.meter.traffic.set(Traffic {
            frames_in: input.frames_in,
            bytes_in: input.bytes_in,
            frames_out: replies.write.frames(),
            bytes_out: replies.write.bytes(),
        });
    }
}

impl<R, H, S> Drop for Connection<R, H, S> {
    fn drop(&mut self) {
        self.count();
    }
}

/// What a wait for input ended with.
enum Woken {
    Bytes,
    End,
    Stop,
}

impl<R, H, S, E> Connection<R, H, S>
where
    R: AsyncRead + Unpin,
    S: Surroundings,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves the connection to its end, and says why it ended.
    pub(super) async fn serve(&mut self, greeting: &Greeting) -> CloseReason {
        let surroundings = self.input.surroundings.clone();
        let mut served = pin!(async {
            let (Ok(reason) | Err(reason)) = self.run(greeting).await;
            self.part(&reason).await;
            reason
        });
        poll_fn(|cx| match served.as_mut().poll(cx) {
            Poll::Ready(reason) => Poll::Ready(reason),
            Poll::Pending => surroundings.settle().map_or_else(Poll::Ready, |()| Poll::Pending),
        })
        .await
    }

    /// Tells the peer that there is no place for it.
    pub(super) async fn refuse(&mut self, max_connections: usize) -> CloseReason {
        let refusal = self.input.surroundings.limits().greeting.refusal(max_connections);
        // A text that the format cannot say is left out, and the end of the stream tells enough.
        _ = self.greet(&refusal).await;
        let reason = CloseReason::Refused { max_connections };
        self.part(&reason).await;
        reason
    }

    async fn run(&mut self, greeting: &Greeting) -> Result<CloseReason, CloseReason> {
        self.greet(greeting).await?;
        let mut last_bytes = 0;
        for turn in 1u32.. {
            if turn % READS_A_TURN == 0 {
                future::yield_now().await;
            }
            let (frames_before, bytes_before) = (self.input.frames_in, self.input.bytes_in);
            match self.input.wait(&mut self.replies).await? {
                Woken::Bytes => {
                    let handled = AssertUnwindSafe(self.handle_frames()).catch_unwind().await;
                    let handled = handled.unwrap_or_else(|panic| Err(CloseReason::of_panic(&*panic)));
                    // What was answered before an error is still written.
                    let written = self.replies.write.flush().await;
                    self.count();
                    handled?;
                    written.map_err(|error| self.write_failed(error))?;
                    self.input.dealt_with(frames_before);
                    if self.input.surroundings.stopping() {
                        last_bytes += self.input.bytes_in - bytes_before;
                        if last_bytes > LAST_BYTES {
                            return Ok(CloseReason::Stopped);
                        }
                    }
                }
                Woken::End => {
                    self.input.decoder.finish()?;
                    self.replies.write.close().await.map_err(|error| self.write_failed(error))?;
                    return Ok(CloseReason::Clean);
                }
                Woken::Stop => return Ok(CloseReason::Stopped),
            }
        }
        unreachable!("a connection ends by a return")
    }

    /// Where it is we who end the connection, the peer sees the end of our stream, and has some time to read our last
    /// replies. To close with bytes of the peer's unread would reset the connection, and the replies could be lost.
    async fn part(&mut self, reason: &CloseReason) {
        if let CloseReason::Handler(_)
        | CloseReason::Panic(_)
        | CloseReason::Oversize(_)
        | CloseReason::Malformed(_)
        | CloseReason::Stopped
        | CloseReason::Refused { .. }
        | CloseReason::Silent { .. }
        | CloseReason::Idle { .. }
        | CloseReason::SlowFrame { .. } = reason
            && self.replies.write.close().await.is_ok()
        {
            self.input.discard().await;
        }
    }

    async fn greet(&mut self, greeting: &Greeting) -> Result<(), CloseReason> {
        match greeting {
            Greeting::Frame(payload) => {
                let offset = usize::from(self.input.decoder.format().layout().offset);
                let sent = self.replies.send_with(&vec![0; offset], payload).await;
                sent.map_err(|error| self.send_failed(error))?;
            }
            Greeting::Raw(bytes) => self.replies.write.enqueue_raw(bytes),
            Greeting::None => return Ok(()),
        }
        let written = self.replies.write.flush().await;
        self.count();
        written.map_err(|error| self.write_failed(error))
    }

    /// Every whole frame that has arrived goes to the handler.
    async fn handle_frames(&mut self) -> Result<(), CloseReason> {
        let frames_a_turn = self.input.surroundings.limits().frames_a_turn.get();
        let mut left = frames_a_turn;
        while let Some((handler, frame, replies)) = self.next_frame() {
            if let Err(error) = handler(frame, replies).await {
                // Where the writer failed the handler, that is the reason, whatever the handler makes of it.
                let failure = self.replies.write.take_failure();
                return Err(match failure {
                    Some(failure) => self.send_failed(failure),
                    None => CloseReason::Handler(error.into()),
                });
            }
            left -= 1;
            if left == 0 {
                left = frames_a_turn;
                future::yield_now().await;
            }
        }
        // A handler may have paid no attention to it.
        if let Some(failure) = self.replies.write.take_failure() {
            return Err(self.send_failed(failure));
        }
        // Without a whole frame there is an error, or nothing that this decoder yields.
        self.input.decoder.next_frame()?;
        Ok(())
    }

    /// The next whole frame, and who deals with it. Here, as what an async function borrows it keeps in memory.
    #[inline]
    fn next_frame(&mut self) -> Option<(&mut H, Frame<'_>, &mut Replies)> {
        let frame = self.input.decoder.whole_frame()?;
        self.input.frames_in += 1;
        self.input.large_frames = frame.as_bytes().len() > READ_LEN / 4;
        Some((&mut self.handler, frame, &mut self.replies))
    }

    fn send_failed(&self, error: WriteError) -> CloseReason {
        match error {
            WriteError::Io(error) => self.write_failed(error),
            error => error.into(),
        }
    }

    fn write_failed(&self, error: io::Error) -> CloseReason {
        let surroundings = &self.input.surroundings;
        match surroundings.limits().write_deadline {
            Some(deadline) if surroundings.meter().write_overdue.get() => {
                CloseReason::SlowReader { queued: self.replies.write.queued(), deadline }
            }
            _ => error.into(),
        }
    }
}

/// The reading side.
struct Input<R, S> {
    reader: R,
    decoder: Decoder<Rc<Format>>,
    surroundings: S,
    /// What the peer must send next, and since when.
    awaited: Awaited,
    frames_in: u64,
    bytes_in: u64,
    /// Whether the last frame was a large one: more is read at once then.
    large_frames: bool,
}

impl<R: AsyncRead + Unpin, S: Surroundings> Input<R, S> {
    /// Waits for bytes, for the end, for a deadline, or for being told to stop at a frame's end. Memory for bytes is held
    /// only when there are some.
    async fn wait(&mut self, replies: &mut Replies) -> Result<Woken, CloseReason> {
        let woken = poll_fn(|cx| match self.poll_read(cx) {
            Poll::Ready(woken) => Poll::Ready(woken.map_err(CloseReason::from)),
            Poll::Pending if self.surroundings.poll_stopping(cx) && self.decoder.buffered() == 0 => {
                Poll::Ready(Ok(Woken::Stop))
            }
            Poll::Pending => {
                replies.park();
                self.poll_deadline(cx)
            }
        })
        .await?;
        if let Woken::Bytes = woken {
            let output = replies.write.queue_mut();
            output.adopt(pool::take_output());
            replies.meter.replies.set(output.capacity());
        }
        Ok(woken)
    }

    /// Ready once the peer is overdue.
    fn poll_deadline(&self, cx: &mut Context<'_>) -> Poll<Result<Woken, CloseReason>> {
        let (limits, received) = (self.surroundings.limits(), self.decoder.buffered());
        match self.awaited.until(limits, received) {
            Some(deadline) => self
                .surroundings
                .poll_until(deadline, cx)
                .map(|()| Err(self.awaited.overdue(limits, received, self.decoder.need()))),
            None => Poll::Pending,
        }
    }

    /// What came last is dealt with; before it, so many frames had come.
    fn dealt_with(&mut self, frames_before: u64) {
        let unfinished = self.decoder.buffered();
        self.awaited.came(self.surroundings.now(), self.frames_in > frames_before, unfinished);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Woken>> {
        self.make_room();
        loop {
            match Pin::new(&mut self.reader).poll_read(cx, self.decoder.space()) {
                Poll::Ready(Ok(n)) => {
                    self.decoder.filled(n);
                    self.bytes_in += n as u64;
                    self.surroundings.meter().input.set(self.decoder.capacity());
                    return Poll::Ready(Ok(if n == 0 { Woken::End } else { Woken::Bytes }));
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
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
        self.surroundings.meter().input.set(self.decoder.capacity());
    }

    fn move_to(&mut self, buffer: Vec<u8>) {
        pool::give_input(self.decoder.swap_buffer(buffer));
    }

    /// Reads to the peer's end, or until it had its time, and keeps nothing.
    async fn discard(&mut self) {
        let Input { reader, surroundings, .. } = self;
        let until = surroundings.now().checked_add(LINGER);
        poll_fn(|cx| {
            let mut buffer = pool::take_input(READ_LEN);
            let polled = loop {
                match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => break Poll::Ready(()),
                    Poll::Pending => break Poll::Pending,
                }
            };
            pool::give_input(buffer);
            match until {
                Some(until) if polled.is_pending() => surroundings.poll_until(until, cx),
                _ => polled,
            }
        })
        .await;
    }
}
