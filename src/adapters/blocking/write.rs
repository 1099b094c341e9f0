//! Frames into any [`Write`].

use std::fmt;
use std::io::{self, IoSlice, Write};

use super::uninterrupted;
use crate::adapters::NO_COPY_LEN;
use crate::adapters::error::WriteError;
use crate::framing::{Check, EncodeError, Encoder, Envelope, Format, Header};

/// `feed` writes once this many bytes are queued: 64 KiB.
const HIGH_WATER: usize = 64 * 1024;

/// Memory that an empty queue keeps, in bytes: as much as `feed` needs.
const KEEP: usize = 2 * HIGH_WATER;

/// Puts frames into any [`Write`]: a socket of `std`, a file, standard output.
///
/// [`enqueue`](FrameWriter::enqueue) queues a frame, whole or not at all, and writes nothing;
/// [`flush`](FrameWriter::flush) writes the queue; [`send`](FrameWriter::send) does both; [`feed`](FrameWriter::feed)
/// queues, and writes once 64 KiB are queued. So one write carries many frames. Do not wrap the writer in a
/// `BufWriter`: that would only add a copy.
///
/// An error of the writer neither loses nor tears a frame: unwritten bytes stay queued, and the next flush continues
/// there. So after a write timeout ([`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut),
/// depending on the system) flush again; do not send the frame again, as it is queued.
///
/// Dropping it discards the queue: flush first.
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
    /// The queued bytes are `queue[start..]`: `start ≤ queue.len()`.
    queue: Vec<u8>,
    start: usize,
    max_queued: usize,
}

impl<W, H: Header> FrameWriter<W, H> {
    /// Frames of `header`, usually a [`Format`], into `io`.
    pub const fn new(io: W, header: H) -> FrameWriter<W, H> {
        FrameWriter { io, encoder: Encoder::new(header), queue: Vec::new(), start: 0, max_queued: usize::MAX }
    }

    /// Sets a hard limit on the queue, in bytes; none by default. While more bytes are queued,
    /// [`send`](FrameWriter::send) and [`feed`](FrameWriter::feed) fail with [`WriteError::Overflow`] and queue
    /// nothing. Reached only by sending again after the writer failed, or by `enqueue`, which does not check the limit.
    #[must_use]
    pub const fn max_queued(mut self, max_queued: usize) -> FrameWriter<W, H> {
        self.max_queued = max_queued;
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
        self.encoder.encode_with(envelope, payload, &mut self.queue)
    }

    /// Bytes that are queued.
    pub fn queued(&self) -> usize {
        self.queue.len() - self.start
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

    /// Removes the first `n` queued bytes, which were written.
    fn written(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.queue.len(), "more was written than was queued");
        if self.start == self.queue.len() {
            self.queue.clear();
            self.queue.shrink_to(KEEP);
            self.start = 0;
        } else if self.start >= HIGH_WATER && self.start * 2 >= self.queue.len() {
            // At least as many bytes were written as are moved.
            self.queue.drain(..self.start);
            self.start = 0;
        }
    }
}

impl<W: Write, H: Header> FrameWriter<W, H> {
    /// Sends a frame: [`feed`](FrameWriter::feed) and [`flush`](FrameWriter::flush).
    ///
    /// # Errors
    /// [`WriteError::Encode`]: nothing was queued. [`WriteError::Io`]: unwritten bytes stay queued.
    /// [`WriteError::Overflow`]: more than [`max_queued`](FrameWriter::max_queued) bytes are queued, and nothing was
    /// added.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.feed(payload)?;
        Ok(self.flush()?)
    }

    /// Queues a small frame, and writes the queue once it holds 64 KiB; [`flush`](FrameWriter::flush) writes it
    /// earlier. A payload of [`NO_COPY_LEN`] bytes or more is written at once, after the queue, without a copy. So the
    /// queue is bounded, and one write carries many small frames. Flush before you wait for a reply.
    ///
    /// # Errors
    /// As [`send`](FrameWriter::send).
    pub fn feed(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.feed_with(Envelope::default(), payload)
    }

    /// [`feed`](FrameWriter::feed) with a prefix, or with an [`Envelope`] of prefix and trailer.
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

    /// Writes the whole queue, and flushes the writer.
    ///
    /// # Errors
    /// The writer's; [`io::ErrorKind::WriteZero`] if it accepts no byte. Unwritten bytes stay queued.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_queue()?;
        uninterrupted(|| self.io.flush())
    }

    /// Writes the queue and then a frame. If that fails, the rest of the frame is queued, so that it is sent whole.
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

    // Cold, like the one above: frames that are only queued should not run through its code.
    #[cold]
    fn write_queue(&mut self) -> io::Result<()> {
        while self.queued() > 0 {
            self.write_with(&[])?;
        }
        Ok(())
    }

    /// Writes once: the queue and, after it, `payload`. Returns how much of the payload was written.
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

/// Shows lengths, no queued bytes: so the writer is left out, as one in memory would show them.
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

    /// A writer that accepts this many bytes, and then none.
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

    /// A writer whose queue is one frame of `frame_len` bytes, of which `written` are written.
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
