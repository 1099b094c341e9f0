//! Frames out of any [`AsyncRead`].

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_io::AsyncRead;

use crate::adapters::error::ReadError;
use crate::framing::{DecodeError, Decoder, Format, Frame, Header, Part};

/// Takes frames out of any `futures` [`AsyncRead`], on any runtime. For tokio's I/O use the module `codec` (feature
/// `tokio-codec`), or tokio-util's `compat()`.
///
/// It reads straight into the decoder's buffer, and the frames are borrowed from there.
///
/// Every method is cancel-safe: it awaits only a read, and the bytes of a read are recorded at once.
///
/// ```
/// use unstick::framing::Format;
/// use unstick::FramedRead;
/// # futures_lite::future::block_on(async {
/// let wire: &[u8] = b"\x05\0\0\0hello\x03\0\0\0bye";
/// let mut frames = FramedRead::new(wire, Format::U32_LE);
/// while let Some(frame) = frames.next_frame().await? {
///     println!("{}", frame.text()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct FramedRead<R, H: Header = Format> {
    io: R,
    decoder: Decoder<H>,
    /// The reader returned 0. It is not read again, as some readers return more after that.
    ended: bool,
    bytes: u64,
}

impl<R, H: Header> FramedRead<R, H> {
    /// Frames of `header`, usually a [`Format`], out of `io`.
    pub const fn new(io: R, header: H) -> FramedRead<R, H> {
        FramedRead::with_decoder(io, Decoder::new(header))
    }

    /// Frames out of `io` by a decoder that you configured, or one that already holds bytes.
    pub const fn with_decoder(io: R, decoder: Decoder<H>) -> FramedRead<R, H> {
        FramedRead { io, decoder, ended: false, bytes: 0 }
    }

    /// The reader. Bytes that you read from it directly are missing from the stream of frames.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder<H> {
        &self.decoder
    }

    /// Bytes read so far, including those read after the decoder failed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The reader, and the decoder with the bytes that were received and not yet taken.
    pub fn into_parts(self) -> (R, Decoder<H>) {
        (self.io, self.decoder)
    }
}

impl<R: AsyncRead + Unpin, H: Header> FramedRead<R, H> {
    /// The next frame, borrowed until the next call; `None` if the stream ended at a frame's end.
    ///
    /// # Errors
    /// [`ReadError::Decode`] if the stream is malformed or ended inside a frame; it is final. [`ReadError::Io`] if
    /// reading failed; nothing is lost, and another call reads again.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        loop {
            if let Some(span) = self.decoder.next_span()? {
                return Ok(Some(self.decoder.frame(span)));
            }
            if self.fill().await? == 0 {
                self.decoder.finish()?;
                return Ok(None);
            }
        }
    }

    /// The next part of a frame, for frames larger than memory: see [`Decoder::next_part`]. `None` if the stream ended
    /// at a frame's end.
    ///
    /// # Errors
    /// As [`next_frame`](FramedRead::next_frame).
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>, ReadError> {
        while !self.decoder.has_part() {
            if self.fill().await? == 0 {
                self.decoder.finish()?;
                return Ok(None);
            }
        }
        Ok(self.decoder.next_part()?)
    }

    /// The payloads as a [`Stream`] of owned [`Bytes`], without prefixes and trailers. After the first error, even an
    /// I/O error, the stream ends.
    ///
    /// A payload of up to 4 KiB is copied. A longer one is not, if its frame is at least half of the memory it was read
    /// into: the `Bytes` then keeps that memory, which is used again if the `Bytes` is dropped before the next read.
    pub fn into_stream(self) -> FrameStream<R, H> {
        FrameStream { read: Some(self), lent: Bytes::new() }
    }

    /// Reads once into the decoder; 0 is the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while !self.ended {
            match ready!(Pin::new(&mut self.io).poll_read(cx, self.decoder.space())) {
                Ok(n) => {
                    self.decoder.filled(n);
                    self.bytes += n as u64;
                    self.ended = n == 0;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(0))
    }
}

/// Shows lengths, no received bytes: so the reader is left out, as one in memory would show them.
impl<R, H: Header + fmt::Debug> fmt::Debug for FramedRead<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedRead")
            .field("format", self.decoder.format())
            .field("bytes", &self.bytes)
            .field("buffered", &self.decoder.buffered())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Payloads as owned [`Bytes`]: see [`FramedRead::into_stream`]. After the first error the stream ends.
pub struct FrameStream<R, H: Header = Format> {
    /// `None` after the end or an error.
    read: Option<FramedRead<R, H>>,
    /// The memory of the last payload yielded, if it was not copied.
    lent: Bytes,
}

/// Up to this length an allocation and a copy are cheaper than reference-counted memory.
const COPIED_LEN: usize = 4 * 1024;

impl<R, H: Header> FramedRead<R, H> {
    /// The next payload, owned. If it was not copied, `lent` becomes the memory it is in.
    fn next_payload(&mut self, lent: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        let Some(span) = self.decoder.next_span()? else { return Ok(None) };
        if self.decoder.frame(span).payload().len() > COPIED_LEN
            && let Some((memory, payload)) = self.decoder.detach(span)
        {
            *lent = memory.into();
            return Ok(Some(lent.slice(payload)));
        }
        Ok(Some(Bytes::copy_from_slice(self.decoder.frame(span).payload())))
    }

    /// Reuses the lent memory if no one else holds it: it need not be zeroed again.
    fn take_back(&mut self, lent: &mut Bytes) {
        if !lent.is_empty()
            && self.decoder.capacity() == 0
            && let Ok(memory) = std::mem::take(lent).try_into_mut()
        {
            self.decoder.swap_buffer(memory.into());
        }
    }
}

impl<R: AsyncRead + Unpin, H: Header + Unpin> Stream for FrameStream<R, H> {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let FrameStream { read: Some(read), lent } = &mut *self else {
            return Poll::Ready(None);
        };
        let item = loop {
            match read.next_payload(lent) {
                Ok(Some(payload)) => return Poll::Ready(Some(Ok(payload))),
                Ok(None) => {}
                Err(error) => break Some(Err(error.into())),
            }
            read.take_back(lent);
            match ready!(read.poll_fill(cx)) {
                Ok(0) => break read.decoder.finish().err().map(|error| Err(error.into())),
                Ok(_) => {}
                Err(error) => break Some(Err(error.into())),
            }
        };
        self.read = None;
        Poll::Ready(item)
    }
}

impl<R, H: Header + fmt::Debug> fmt::Debug for FrameStream<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStream").field("read", &self.read).field("lent", &self.lent.len()).finish()
    }
}
