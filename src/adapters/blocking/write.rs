//! Frames into any [`Write`].

use std::fmt;
use std::io::{self, IoSlice, Write};

use super::uninterrupted;
use crate::adapters::NO_COPY_LEN;
use crate::adapters::error::WriteError;
use crate::framing::{Check, EncodeError, Encoder, Envelope, Format, Header};

/// What is fed is written once so many bytes wait: 64 KiB.
const HIGH_WATER: usize = 64 * 1024;

/// Memory that an empty queue keeps: as much as feeding needs.
const KEEP: usize = 2 * HIGH_WATER;

/// Puts frames into any [`Write`]: a socket of `std`, a file, standard output.
///
/// [`enqueue`](FrameWriter::enqueue) queues a frame, whole or not at all, and writes nothing; [`flush`](FrameWriter::flush)
/// writes what waits; [`send`](FrameWriter::send) does both; and [`feed`](FrameWriter::feed) writes once it is worth it. So many
/// frames cost one write, and a `BufWriter` around the writer would only copy once more.
///
/// An error of the writer neither loses nor tears a frame: what is not written stays queued, and the next flush goes on there.
/// So a write timeout ([`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut), by system) is no
/// harm, but the frame is taken: flush, and do not send it again.
///
/// Dropping it writes nothing: flush first.
///
/// ```
/// use std::net::{Shutdown, TcpListener, TcpStream};
/// use unstick::{FrameReader, FrameWriter, framing::Format};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// let mut frames = FrameWriter::new(&stream, Format::U32_LE);
/// frames.enqueue(b"hello")?;
/// frames.enqueue(b"")?;
/// frames.send("你好".as_bytes())?; // all three in one write
/// stream.shutdown(Shutdown::Write)?;
///
/// let (peer, _) = listener.accept()?;
/// let received: Result<Vec<_>, _> = FrameReader::new(peer, Format::U32_LE).into_iter().collect();
/// assert_eq!(received?, [&b"hello"[..], b"", "你好".as_bytes()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameWriter<W, H = Format> {
    io: W,
    encoder: Encoder<H>,
    /// What waits is `queue[start..]`: `start ≤ queue.len()`.
    queue: Vec<u8>,
    start: usize,
    max_queued: usize,
}

impl<W, H: Header> FrameWriter<W, H> {
    /// Frames of `header`, mostly a [`Format`], into `io`.
    pub const fn new(io: W, header: H) -> FrameWriter<W, H> {
        FrameWriter { io, encoder: Encoder::new(header), queue: Vec::new(), start: 0, max_queued: usize::MAX }
    }

    /// The same with a hard limit, in bytes: where more wait, [`send`](FrameWriter::send) and [`feed`](FrameWriter::feed) fail
    /// with [`WriteError::Overflow`] and queue nothing. Only who goes on sending after the writer failed gets there, or who
    /// enqueues as much: `enqueue` does not ask. No limit unless told otherwise.
    #[must_use]
    pub const fn max_queued(mut self, max_queued: usize) -> FrameWriter<W, H> {
        self.max_queued = max_queued;
        self
    }

    /// Queues a frame, for a layout without prefix and trailer. Writes nothing.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing is queued.
    pub fn enqueue(&mut self, payload: &[u8]) -> Result<(), EncodeError> {
        self.enqueue_with(Envelope::default(), payload)
    }

    /// Queues a frame with a prefix, or an [`Envelope`] of prefix and trailer. Writes nothing.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing is queued.
    #[inline]
    pub fn enqueue_with<'a>(&mut self, envelope: impl Into<Envelope<'a>>, payload: &[u8]) -> Result<(), EncodeError> {
        self.encoder.encode_with(envelope, payload, &mut self.queue)
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.queue.len() - self.start
    }

    /// The writer. What is written past us stands between frames only where nothing is queued.
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

    /// The first `n` bytes that wait were written.
    fn written(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.queue.len(), "more was written than waited");
        if self.start == self.queue.len() {
            self.queue.clear();
            self.queue.shrink_to(KEEP);
            self.start = 0;
        } else if self.start >= HIGH_WATER && self.start * 2 >= self.queue.len() {
            // At least as much was written as is moved.
            self.queue.drain(..self.start);
            self.start = 0;
        }
    }
}

impl<W: Write, H: Header> FrameWriter<W, H> {
    /// Sends a frame: [`feed`](FrameWriter::feed) and [`flush`](FrameWriter::flush).
    ///
    /// # Errors
    /// [`WriteError::Encode`], and nothing is queued; [`WriteError::Io`], and what is not written stays queued;
    /// [`WriteError::Overflow`], where more waits than [`max_queued`](FrameWriter::max_queued) allows, and nothing is queued.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.feed(payload)?;
        Ok(self.flush()?)
    }

    /// Sends a frame in good time: a small one is queued, and written once 64 KiB wait or by the next
    /// [`flush`](FrameWriter::flush); one of [`NO_COPY_LEN`] or more is written at once, from where it is, behind what
    /// waits. So the queue is bounded, and many small frames cost one write. Before you wait for a reply, flush.
    ///
    /// # Errors
    /// As [`send`](FrameWriter::send).
    pub fn feed(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.feed_with(Envelope::default(), payload)
    }

    /// [`feed`](FrameWriter::feed) with a prefix, or an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`send`](FrameWriter::send).
    #[inline]
    pub fn feed_with<'a>(&mut self, envelope: impl Into<Envelope<'a>>, payload: &[u8]) -> Result<(), WriteError> {
        if self.queued() > self.max_queued {
            return Err(WriteError::Overflow { queued: self.queued(), max_queued: self.max_queued });
        }
        if payload.len() >= NO_COPY_LEN {
            return self.feed_large(envelope.into(), payload);
        }
        self.enqueue_with(envelope, payload)?;
        if self.queued() >= HIGH_WATER { Ok(self.write_queue()?) } else { Ok(()) }
    }

    /// Writes all that waits, and flushes the writer.
    ///
    /// # Errors
    /// The writer's. A writer that takes nothing is [`io::ErrorKind::WriteZero`]. What is not written stays queued.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_queue()?;
        uninterrupted(|| self.io.flush())
    }

    /// Writes a frame and all that waits before it. Where that fails, what is left of the frame is queued, so that it comes
    /// whole.
    #[cold]
    fn feed_large(&mut self, envelope: Envelope<'_>, payload: &[u8]) -> Result<(), WriteError> {
        let mut check = self.encoder.header(envelope, payload.len(), &mut self.queue)?;
        check.update(payload);
        let mut left = payload;
        let mut written = Ok(());
        while !left.is_empty() && written.is_ok() {
            written = self.write_with(left).map(|n| left = &left[n..]);
        }
        self.queue.extend_from_slice(left);
        self.encoder.trailer(&check, envelope, &mut self.queue);
        written?;
        Ok(self.write_queue()?)
    }

    // Cold, as the one above: frames that are only queued are not to pass through its code.
    #[cold]
    fn write_queue(&mut self) -> io::Result<()> {
        while self.queued() > 0 {
            self.write_with(&[])?;
        }
        Ok(())
    }

    /// Writes once: of what waits and, behind it, of `payload`; how much of the payload was written.
    fn write_with(&mut self, payload: &[u8]) -> io::Result<usize> {
        let waiting = &self.queue[self.start..];
        let queued = waiting.len();
        let written = uninterrupted(|| match (waiting, payload) {
            (_, []) => self.io.write(waiting),
            ([], _) => self.io.write(payload),
            _ => self.io.write_vectored(&[IoSlice::new(waiting), IoSlice::new(payload)]),
        });
        match written? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            n => {
                self.written(n.min(queued));
                Ok(n.saturating_sub(queued))
            }
        }
    }
}

/// Lengths, and no byte that waits: the writer is left out, as one in memory would show them.
impl<W, H: Header + fmt::Debug> fmt::Debug for FrameWriter<W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter")
            .field("format", self.encoder.format())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes so many bytes, and no more for now.
    struct Room(usize);

    impl Write for Room {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            match self.0.min(buf.len()) {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                len => {
                    self.0 -= len;
                    Ok(len)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A frame of so many bytes waits, and so many of it are written.
    fn written(frame_len: usize, written: usize) -> FrameWriter<Room> {
        let mut writer = FrameWriter::new(Room(written), Format::U32_LE);
        writer.enqueue(&vec![7; frame_len - 4]).expect("within the limit");
        assert_eq!(writer.flush().is_ok(), frame_len == written);
        writer
    }

    #[test]
    fn what_waits_moves_to_the_front_once_as_much_was_written() {
        const MARK: usize = HIGH_WATER;
        for (frame_len, n, start) in [
            (2 * MARK, MARK - 1, MARK - 1),
            (2 * MARK, MARK, 0),
            (2 * MARK + 1, MARK, MARK),
            (4 * MARK, 2 * MARK - 1, 2 * MARK - 1),
            (4 * MARK, 2 * MARK, 0),
        ] {
            let writer = written(frame_len, n);
            assert_eq!((writer.start, writer.queued()), (start, frame_len - n), "{n} of {frame_len}");
        }
    }

    #[test]
    fn an_empty_queue_keeps_128_kib() {
        let writer = written(300 * 1024, 300 * 1024);
        assert_eq!((writer.start, writer.queue.len(), writer.queue.capacity()), (0, 0, 128 * 1024));
    }
}
