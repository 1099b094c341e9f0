//! One served connection: bytes in, frames to the handler, replies out. Over any reader and writer.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::{self, poll_fn};
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::ServerConfig;
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use super::writer::Writer;
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Decoder, Format, Frame};
use crate::write::{FramedWrite, WriteError};

/// Bytes read in a row, without a wait, after which other connections have their turn; a read counts as [`READ_LEN`] at
/// least.
const TURN_LEN: usize = 16 * READ_LEN;

/// Where a handler puts its replies.
///
/// Small replies are written together, once the input at hand is dealt with or 64 KiB wait; large ones at once, from
/// where they are; large ones that are what was received, sent back as it is, together up to 256 KiB. A reply waits while
/// the peer does not read, and nothing is read from such a peer meanwhile.
pub struct Replies {
    peer: SocketAddr,
    write: FramedWrite<Writer, Rc<Format>>,
}

impl Replies {
    fn new(peer: SocketAddr, writer: Writer, format: Rc<Format>) -> Replies {
        Replies { peer, write: FramedWrite::new(writer, format) }
    }

    /// Sends a frame: see [`FramedWrite::feed`].
    ///
    /// # Errors
    /// [`WriteError::Encode`], and nothing of it is sent; [`WriteError::Io`], after which the connection ends.
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::feed`]: the frame is neither lost nor torn.
    #[inline]
    pub fn send<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), WriteError>> + 'a {
        self.write.feed(payload)
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
        self.write.feed_with(prefix, payload)
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Where nothing waits to be written, others may use the memory.
    fn park(&mut self) {
        if self.write.queued() == 0 {
            pool::give_output(self.write.queue_mut().release());
        }
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("peer", &self.peer).field("queued", &self.write.queued()).finish()
    }
}

/// What a connection is told from outside.
pub(super) trait Signals {
    /// Whether to end as soon as what is in flight is dealt with. Wakes the task when that changes.
    fn stopping(&self, cx: &mut Context<'_>) -> bool;

    /// Ready when a peer to which we closed has had its time to read our last replies.
    async fn lingered(&self);
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

/// Serves one connection over any reader and writer: a Unix socket, a TLS stream, a pipe in memory. What [`Server`] does for
/// each of its own, with the format and the greeting of `config`; threads, backlog and drain are not its matter.
///
/// Where it is we who end the connection (the handler failed, the frame was refused), it waits for the peer's end, so that
/// the last replies are not lost; there is no clock in here, so bound that by a deadline of yours.
///
/// [`Server`]: crate::Server
///
/// # Cancel-safety
/// Dropping the future breaks the connection off.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Greeting, Replies, ServerConfig, serve_connection};
/// # futures_lite::future::block_on(async {
/// let requests: &[u8] = b"\x02\0\0\0hi\x05\0\0\0he"; // the second frame is cut short
/// let config = ServerConfig::default().greeting(Greeting::None);
/// let echo = async |frame: Frame<'_>, replies: &mut Replies| replies.send(frame.payload()).await;
/// let peer = ([127, 0, 0, 1], 4747).into();
/// let closed = serve_connection(peer, requests, futures_lite::io::sink(), &config, echo).await;
/// assert_eq!(closed.reason.name(), "truncated");
/// assert_eq!(closed.traffic.frames_out, 1);
/// # });
/// ```
pub async fn serve_connection<R, W, H, E>(
    peer: SocketAddr,
    reader: R,
    writer: W,
    config: &ServerConfig,
    handler: H,
) -> Closed
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + 'static,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let traffic = Cell::default();
    let format = Rc::new(config.format);
    let socket = (peer, reader, Writer::Other(Box::new(writer)));
    let mut connection = Connection::new(socket, &format, handler, Undisturbed, &traffic);
    let reason = connection.serve(&config.greeting).await;
    drop(connection);
    Closed { peer, reason, traffic: traffic.get() }
}

/// A connection that nobody stops.
struct Undisturbed;

impl Signals for Undisturbed {
    fn stopping(&self, _cx: &mut Context<'_>) -> bool {
        false
    }

    async fn lingered(&self) {
        future::pending::<()>().await;
    }
}

/// One connection, over any reader and writer. `traffic` says what had passed when it is dropped.
pub(super) struct Connection<'t, R, H, S> {
    input: Input<R, S>,
    replies: Replies,
    handler: H,
    frames_in: u64,
    traffic: &'t Cell<Traffic>,
}

impl<'t, R, H, S> Connection<'t, R, H, S> {
    pub(super) fn new(
        (peer, reader, writer): (SocketAddr, R, Writer),
        format: &Rc<Format>,
        handler: H,
        signals: S,
        traffic: &'t Cell<Traffic>,
    ) -> Connection<'t, R, H, S> {
        let decoder = Decoder::with_read_len(Rc::clone(format), READ_LEN).keeping(usize::MAX);
        Connection {
            input: Input { reader, decoder, signals, bytes_in: 0, in_a_row: 0, large_frames: false },
            replies: Replies::new(peer, writer, Rc::clone(format)),
            handler,
            frames_in: 0,
            traffic,
        }
    }
}

impl<R, H, S> Drop for Connection<'_, R, H, S> {
    fn drop(&mut self) {
        self.traffic.set(Traffic {
            frames_in: self.frames_in,
            bytes_in: self.input.bytes_in,
            frames_out: self.replies.write.frames(),
            bytes_out: self.replies.write.bytes(),
        });
    }
}

/// What a wait for input ended with.
enum Woken {
    Bytes,
    End,
    Stop,
}

impl<R, H, S, E> Connection<'_, R, H, S>
where
    R: AsyncRead + Unpin,
    S: Signals,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves the connection to its end, and says why it ended.
    pub(super) async fn serve(&mut self, greeting: &Greeting) -> CloseReason {
        let (Ok(reason) | Err(reason)) = self.run(greeting).await;
        if let CloseReason::Handler(_)
        | CloseReason::Panic(_)
        | CloseReason::Oversize(_)
        | CloseReason::Malformed(_)
        | CloseReason::Stopped = reason
        {
            Box::pin(self.linger()).await;
        }
        reason
    }

    async fn run(&mut self, greeting: &Greeting) -> Result<CloseReason, CloseReason> {
        // What a connection does but seldom, and what it does with bytes, has memory of its own meanwhile: it keeps none for
        // that while it waits, whatever a handler's future takes.
        Box::pin(self.greet(greeting)).await?;
        loop {
            if self.input.in_a_row >= TURN_LEN {
                self.input.in_a_row = 0;
                future::yield_now().await;
            }
            let woken = self.input.wait(&mut self.replies).await?;
            match woken {
                Woken::Bytes => Box::pin(self.answer()).await?,
                Woken::End => {
                    self.input.decoder.finish()?;
                    self.replies.write.close().await?;
                    return Ok(CloseReason::Clean);
                }
                Woken::Stop => return Ok(CloseReason::Stopped),
            }
        }
    }

    /// It is we who end the connection: the peer sees the end of our stream, and has some time to read our last replies. To
    /// close with bytes of the peer's unread would reset the connection, and the replies could be lost.
    async fn linger(&mut self) {
        if self.replies.write.close().await.is_ok() {
            self.input.discard().await;
        }
    }

    async fn greet(&mut self, greeting: &Greeting) -> Result<(), CloseReason> {
        match greeting {
            Greeting::Frame(payload) => {
                let offset = usize::from(self.input.decoder.format().layout().offset);
                self.replies.send_with(&vec![0; offset], payload).await?;
            }
            Greeting::Raw(bytes) => self.replies.write.enqueue_raw(bytes),
            Greeting::None => return Ok(()),
        }
        Ok(self.replies.write.flush().await?)
    }

    /// Deals with the input at hand: every whole frame that has arrived is handled, and what is answered is written.
    async fn answer(&mut self) -> Result<(), CloseReason> {
        let handled = AssertUnwindSafe(self.handle_input()).catch_unwind().await;
        let handled = handled.unwrap_or_else(|panic| Err(CloseReason::of_panic(&*panic)));
        // What was answered before an error is still written.
        let written = self.replies.write.flush().await;
        handled?;
        Ok(written?)
    }

    async fn handle_input(&mut self) -> Result<(), CloseReason> {
        if self.input.large_frames && self.input.decoder.has_frame()? {
            self.handle_large_frames().await?;
        }
        self.handle_frames().await
    }

    /// Every whole frame that has arrived goes to the handler. The memory that they are in is lent to the replies: so those
    /// payloads that are sent back as they are wait without a copy, and one write takes them all.
    async fn handle_large_frames(&mut self) -> Result<(), CloseReason> {
        let (memory, mut unread) = self.input.decoder.lend();
        let memory = Bytes::from(memory);
        self.replies.write.queue_mut().lend(memory.clone());
        while let Some(frame) = self.input.decoder.frame_of_lent(&memory, &mut unread) {
            self.frames_in += 1;
            self.input.large_frames = is_large(frame);
            if let Err(error) = (self.handler)(frame, &mut self.replies).await {
                return Err(self.failed(error));
            }
        }
        self.replies.write.flush().await?;
        self.replies.write.queue_mut().end_lending();
        // Nothing waits, so nobody else has the memory: it is taken back as it is.
        self.input.decoder.take_back(memory.into(), unread);
        Ok(())
    }

    /// Why the connection ends where the handler failed: where it was the writer that failed it, that is the reason,
    /// whatever the handler makes of it.
    fn failed(&mut self, error: E) -> CloseReason {
        let failure = self.replies.write.take_failure();
        failure.map_or_else(|| CloseReason::Handler(error.into()), CloseReason::from)
    }

    /// Every whole frame that has arrived goes to the handler.
    async fn handle_frames(&mut self) -> Result<(), CloseReason> {
        while let Some((handler, frame, replies)) = self.next_frame() {
            if let Err(error) = handler(frame, replies).await {
                return Err(self.failed(error));
            }
        }
        // Without a whole frame there is an error, or nothing that this decoder yields.
        self.input.decoder.next_frame()?;
        Ok(())
    }

    /// The next whole frame, and who deals with it. Here, as what an async function borrows it keeps in memory.
    #[inline]
    fn next_frame(&mut self) -> Option<(&mut H, Frame<'_>, &mut Replies)> {
        let frame = self.input.decoder.whole_frame()?;
        self.frames_in += 1;
        self.input.large_frames = is_large(frame);
        Some((&mut self.handler, frame, &mut self.replies))
    }
}

/// Whether more is to be read at once behind this frame.
fn is_large(frame: Frame<'_>) -> bool {
    frame.as_bytes().len() > READ_LEN / 4
}

/// The reading side.
struct Input<R, S> {
    reader: R,
    decoder: Decoder<Rc<Format>>,
    signals: S,
    bytes_in: u64,
    /// Bytes read since it last waited or let others have their turn, each read counted as [`READ_LEN`] at least.
    in_a_row: usize,
    /// Whether the last frame was a large one: more is read at once then.
    large_frames: bool,
}

impl<R: AsyncRead + Unpin, S: Signals> Input<R, S> {
    /// Waits for bytes, for the end, or for being told to stop at a frame's end. Memory for bytes is held only when
    /// there are some.
    async fn wait(&mut self, replies: &mut Replies) -> Result<Woken, io::Error> {
        poll_fn(|cx| {
            let polled = self.poll_read(cx);
            if polled.is_pending() {
                if self.signals.stopping(cx) && self.decoder.buffered() == 0 {
                    return Poll::Ready(Ok(Woken::Stop));
                }
                replies.park();
            }
            polled
        })
        .await
        .inspect(|woken| {
            if let Woken::Bytes = woken {
                replies.write.queue_mut().adopt(pool::take_output());
            }
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Woken>> {
        self.make_room();
        loop {
            match Pin::new(&mut self.reader).poll_read(cx, self.decoder.space()) {
                Poll::Ready(Ok(n)) => {
                    self.decoder.filled(n);
                    self.bytes_in += n as u64;
                    self.in_a_row += n.max(READ_LEN);
                    return Poll::Ready(Ok(if n == 0 { Woken::End } else { Woken::Bytes }));
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.in_a_row = 0;
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
    }

    fn move_to(&mut self, buffer: Vec<u8>) {
        pool::give_input(self.decoder.swap_buffer(buffer));
    }

    /// Reads to the peer's end, or until it had its time, and keeps nothing.
    async fn discard(&mut self) {
        let Input { reader, signals, .. } = self;
        let discarded = poll_fn(|cx| {
            let mut buffer = pool::take_input(READ_LEN);
            let polled = loop {
                match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => break Poll::Ready(()),
                    Poll::Pending => break Poll::Pending,
                }
            };
            pool::give_input(buffer);
            polled
        });
        future::or(discarded, signals.lingered()).await;
    }
}
