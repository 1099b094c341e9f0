//! Frames into any [`AsyncWrite`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::AsyncWrite;

use super::queue::Queue;
use crate::adapters::NO_COPY_LEN;
use crate::adapters::error::WriteError;
use crate::framing::{Check, EncodeError, Encoder, Envelope, Format, Header};

/// By default, `feed` waits while this many bytes are queued: 64 KiB.
const HIGH_WATER: u32 = 64 * 1024;

/// The most slices in one vectored write.
const MAX_SLICES: usize = 64;

/// Puts frames into any `futures` [`AsyncWrite`], on any runtime.
///
/// [`enqueue`](FramedWrite::enqueue) queues a frame, whole or not at all, and writes nothing;
/// [`flush`](FramedWrite::flush) writes the queue; [`send`](FramedWrite::send) does both. So one write can carry many
/// frames. `enqueue` does not bound the queue: check [`queued`](FramedWrite::queued), or use
/// [`feed`](FramedWrite::feed), which waits above 64 KiB ([`high_water`](FramedWrite::high_water)). For a `Sink`, use
/// [`into_sink`](FramedWrite::into_sink).
///
/// Every method is cancel-safe: a dropped future neither loses nor tears a frame, as unwritten bytes stay queued.
///
/// ```
/// use unstick::framing::Format;
/// use unstick::FramedWrite;
/// # futures_lite::future::block_on(async {
/// let mut wire = Vec::new();
/// let mut frames = FramedWrite::new(&mut wire, Format::U32_LE);
/// frames.enqueue(b"hello")?;
/// frames.enqueue(b"")?;
/// frames.close().await?;
/// assert_eq!(wire, b"\x05\0\0\0hello\0\0\0\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct FramedWrite<W, H = Format> {
    io: W,
    encoder: Encoder<H>,
    queue: Queue,
    high_water: u32,
    max_queued: u32,
    frames: u64,
    bytes: u64,
    /// The writer is closed. It is not closed again: a socket would return an error.
    closed: bool,
}

impl<W, H: Header> FramedWrite<W, H> {
    /// Frames of `header`, usually a [`Format`], into `io`.
    pub fn new(io: W, header: H) -> FramedWrite<W, H> {
        FramedWrite {
            io,
            encoder: Encoder::new(header),
            queue: Queue::default(),
            high_water: HIGH_WATER,
            max_queued: u32::MAX,
            frames: 0,
            bytes: 0,
            closed: false,
        }
    }

    /// Sets the high-water mark, in bytes; 64 KiB by default. While at least this much is queued,
    /// [`feed`](FramedWrite::feed) and a [sink](FramedWrite::into_sink) write before they accept more.
    #[must_use]
    pub fn high_water(mut self, high_water: usize) -> FramedWrite<W, H> {
        self.high_water = high_water.try_into().unwrap_or(u32::MAX);
        self.max_queued = self.max_queued.max(self.high_water);
        self
    }

    /// Sets a hard limit on the queue, in bytes: at least the high-water mark, at most and by default 4 GiB − 1. While
    /// more bytes are queued, [`send`](FramedWrite::send) and [`feed`](FramedWrite::feed) fail with
    /// [`WriteError::Overflow`] and queue nothing. Reached only by repeatedly dropping unfinished `send` or `feed`
    /// futures; `enqueue` and a sink do not check it.
    #[must_use]
    pub fn max_queued(mut self, max_queued: usize) -> FramedWrite<W, H> {
        self.max_queued = max_queued.try_into().unwrap_or(u32::MAX).max(self.high_water);
        self
    }

    /// Queues a frame of a layout without prefix and trailer. Writes nothing.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing is queued.
    pub fn enqueue(&mut self, payload: &[u8]) -> Result<(), EncodeError> {
        self.enqueue_with(Envelope::default(), payload)
    }

    /// Queues a frame with a prefix, or with an [`Envelope`] of prefix and trailer. Writes nothing.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing is queued.
    #[inline]
    pub fn enqueue_with<'a>(&mut self, envelope: impl Into<Envelope<'a>>, payload: &[u8]) -> Result<(), EncodeError> {
        let before = self.queue.len();
        self.encoder.encode_with(envelope, payload, self.queue.copied())?;
        self.count(self.queue.len() - before);
        Ok(())
    }

    /// Queues a frame of a layout without prefix and trailer. A payload of [`NO_COPY_LEN`] bytes or more is not copied.
    /// Writes nothing.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing is queued.
    pub fn enqueue_bytes(&mut self, payload: Bytes) -> Result<(), EncodeError> {
        if payload.len() < NO_COPY_LEN {
            return self.enqueue(&payload);
        }
        let mut check = self.enqueue_header(Envelope::default(), payload.len())?;
        check.update(&payload);
        self.queue.push(payload);
        self.enqueue_trailer(&check, Envelope::default());
        Ok(())
    }

    /// Queues the header of a payload that comes next, and counts both.
    fn enqueue_header(&mut self, envelope: Envelope<'_>, payload_len: usize) -> Result<H::Check, EncodeError> {
        let before = self.queue.len();
        let check = self.encoder.header(envelope, payload_len, self.queue.copied())?;
        self.count(self.queue.len() - before + payload_len);
        Ok(check)
    }

    /// Queues the trailer of a payload, and counts it.
    fn enqueue_trailer(&mut self, check: &H::Check, envelope: Envelope<'_>) {
        let before = self.queue.len();
        self.encoder.trailer(check, envelope, self.queue.copied());
        self.bytes += (self.queue.len() - before) as u64;
    }

    fn count(&mut self, frame_len: usize) {
        self.frames += 1;
        self.bytes += frame_len as u64;
    }

    /// Frames accepted so far, written or still queued.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes accepted so far, headers included, written or still queued.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that are queued.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The writer. Write to it directly only while nothing is queued; otherwise the bytes may land inside a frame.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.io
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.io
    }

    /// The writer; what is queued is lost.
    pub fn into_inner(self) -> W {
        self.io
    }
}

impl<W: AsyncWrite + Unpin, H: Header> FramedWrite<W, H> {
    /// Sends a frame: queues it and writes the whole queue. A payload of [`NO_COPY_LEN`] bytes or more is not copied.
    ///
    /// # Errors
    /// [`WriteError::Encode`]: nothing was queued. [`WriteError::Io`]: unwritten bytes stay queued.
    /// [`WriteError::Overflow`]: more than [`max_queued`](FramedWrite::max_queued) bytes are queued, and nothing was
    /// added.
    ///
    /// # Cancel-safety
    /// A dropped future neither loses nor tears the frame: unwritten bytes stay queued for the next flush. If it was
    /// never polled, nothing was queued.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.feed(payload).await?;
        Ok(self.flush().await?)
    }

    /// Queues a small frame, and writes the queue once it holds 64 KiB ([`high_water`](FramedWrite::high_water));
    /// [`flush`](FramedWrite::flush) writes it earlier. A payload of [`NO_COPY_LEN`] bytes or more is written at once,
    /// after the queue, without a copy. So the queue is bounded, and one write carries many small frames.
    ///
    /// # Errors
    /// As [`send`](FramedWrite::send).
    ///
    /// # Cancel-safety
    /// As [`send`](FramedWrite::send).
    #[inline]
    pub fn feed<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), WriteError>> + 'a {
        self.feed_with(Envelope::default(), payload)
    }

    /// [`feed`](FramedWrite::feed) with a prefix, or with an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`send`](FramedWrite::send).
    ///
    /// # Cancel-safety
    /// As [`send`](FramedWrite::send).
    #[inline]
    pub fn feed_with<'a>(
        &'a mut self,
        envelope: impl Into<Envelope<'a>>,
        payload: &'a [u8],
    ) -> impl Future<Output = Result<(), WriteError>> + 'a {
        Feeding { write: self, envelope: envelope.into(), payload, step: Step::New }
    }

    /// Writes the whole queue, and flushes the writer.
    ///
    /// # Errors
    /// The writer's; [`io::ErrorKind::WriteZero`] if it accepts no byte. Unwritten bytes stay queued.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing; the next flush continues where this one stopped.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush_all(cx)).await
    }

    /// Writes the whole queue, then closes the writing side: the peer sees the end of the stream, and reading stays
    /// open (half-close). `async_net::TcpStream` then sends a FIN; `smol::Async<TcpStream>` only flushes.
    ///
    /// # Errors
    /// The writer's.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing; the next close continues where this one stopped. Closing again does nothing.
    pub async fn close(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_close_all(cx)).await
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            ready!(self.poll_write_with(cx, &[]))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes while the queue is at the high-water mark or above.
    pub(super) fn poll_below_high_water(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.queue.len() >= self.high_water.max(1) as usize {
            ready!(self.poll_write_with(cx, &[]))?;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_queue(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(super) fn poll_close_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed || !self.queue.is_empty() {
            ready!(self.poll_flush_all(cx))?;
        }
        if !self.closed {
            ready!(Pin::new(&mut self.io).poll_close(cx))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes once: the queue and, after it, `payload`. Returns how much of the payload was written.
    fn poll_write_with(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        let queued = self.queue.len();
        loop {
            let write = match self.queue.piece() {
                Some(piece) if payload.is_empty() => Pin::new(&mut self.io).poll_write(cx, piece),
                _ => poll_write_vectored(&mut self.io, cx, &self.queue, payload),
            };
            match ready!(write) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.queue.written(n.min(queued));
                    return Poll::Ready(Ok(n.saturating_sub(queued)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    #[cold]
    fn overflow(&self) -> WriteError {
        WriteError::Overflow { queued: self.queue.len(), max_queued: self.max_queued as usize }
    }
}

/// Shows lengths, no queued bytes: so the writer is left out, as one in memory would show them.
impl<W, H: Header + fmt::Debug> fmt::Debug for FramedWrite<W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedWrite")
            .field("format", self.encoder.format())
            .field("frames", &self.frames)
            .field("bytes", &self.bytes)
            .field("queued", &self.queued())
            .field("high_water", &self.high_water)
            .field("max_queued", &self.max_queued)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// Writes once: the first slices of the queue, and the payload if the whole queue fits before it.
fn poll_write_vectored(
    io: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    queue: &Queue,
    payload: &[u8],
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut count = queue.slices(&mut slices[..MAX_SLICES - 1]);
    let listed: usize = slices[..count].iter().map(|slice| slice.len()).sum();
    if !payload.is_empty() && listed == queue.len() {
        slices[count] = IoSlice::new(payload);
        count += 1;
    }
    Pin::new(io).poll_write_vectored(cx, &slices[..count])
}

/// A frame being queued or, if it is large, written without being queued. If it is dropped halfway, it queues the
/// unwritten rest, so that a frame whose header was queued is sent whole.
struct Feeding<'a, W, H: Header> {
    write: &'a mut FramedWrite<W, H>,
    envelope: Envelope<'a>,
    /// The part that is neither queued nor written.
    payload: &'a [u8],
    step: Step<H::Check>,
}

/// How much of a frame was queued or written.
enum Step<C> {
    New,
    /// Its header is queued. Its payload is written without a copy, and its trailer comes after that.
    Begun(C),
    /// All of it is queued or written.
    Queued,
}

impl<W: AsyncWrite + Unpin, H: Header> Future for Feeding<'_, W, H> {
    type Output = Result<(), WriteError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        let Feeding { write, envelope, payload, step } = &mut *self;
        if matches!(step, Step::New) && payload.len() < NO_COPY_LEN && write.queue.len() <= write.max_queued as usize {
            write.enqueue_with(*envelope, payload)?;
            (*payload, *step) = (&[], Step::Queued);
            if write.queue.len() < write.high_water as usize {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_slow(cx)
    }
}

impl<W: AsyncWrite + Unpin, H: Header> Feeding<'_, W, H> {
    /// Queues the header of a payload that is written without a copy.
    fn begin(&mut self) -> Result<(), WriteError> {
        let Feeding { write, envelope, payload, step } = self;
        if write.queue.len() > write.max_queued as usize {
            return Err(write.overflow());
        }
        let mut check = write.enqueue_header(*envelope, payload.len())?;
        check.update(payload);
        *step = Step::Begun(check);
        Ok(())
    }

    /// Writes the whole queue, and then the payload, if it is large.
    #[cold]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        if let Step::New = self.step {
            self.begin()?;
        }
        loop {
            if self.payload.is_empty() {
                self.end();
                if self.write.queue.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            let n = ready!(self.write.poll_write_with(cx, self.payload))?;
            self.payload = &self.payload[n..];
        }
    }
}

impl<W, H: Header> Feeding<'_, W, H> {
    /// Queues the rest of a frame that has begun.
    fn end(&mut self) {
        let Feeding { write, envelope, payload, step } = self;
        if let Step::Begun(check) = step {
            write.queue.copied().extend_from_slice(payload);
            write.enqueue_trailer(check, *envelope);
            (*payload, *step) = (&[], Step::Queued);
        }
    }
}

impl<W, H: Header> Drop for Feeding<'_, W, H> {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}
