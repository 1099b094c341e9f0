//! Frames out of any [`Read`].

use std::fmt;
use std::io::Read;
use std::iter::FusedIterator;

use super::uninterrupted;
use crate::adapters::error::ReadError;
use crate::framing::{Decoder, Format, Frame, Header, Part};

/// Takes frames out of any [`Read`]: a socket of `std`, a file, standard input.
///
/// It reads straight into the decoder's buffer, and the frames are borrowed from there. Do not wrap the reader in a
/// `BufReader`: that would only add a copy.
///
/// ```
/// use std::io::Write;
/// use std::net::{Shutdown, TcpListener, TcpStream};
/// use unstick::{FrameReader, framing::Format};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut peer = TcpStream::connect(listener.local_addr()?)?;
/// peer.write_all(b"\x05\0\0\0hello\x03\0\0\0bye")?;
/// peer.shutdown(Shutdown::Write)?;
///
/// let (stream, _) = listener.accept()?;
/// let mut frames = FrameReader::new(stream, Format::U32_LE);
/// assert_eq!(frames.next_frame()?.unwrap().payload(), b"hello");
/// assert_eq!(frames.next_frame()?.unwrap().payload(), b"bye");
/// assert!(frames.next_frame()?.is_none()); // the stream ended at a frame's end
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A `for` loop over it yields owned payloads: see [`FrameIter`].
pub struct FrameReader<R, H: Header = Format> {
    io: R,
    decoder: Decoder<H>,
    /// The reader returned 0. It is not read again, as some readers return more after that.
    ended: bool,
    bytes: u64,
}

impl<R, H: Header> FrameReader<R, H> {
    /// Frames of `header`, usually a [`Format`], out of `io`.
    pub const fn new(io: R, header: H) -> FrameReader<R, H> {
        FrameReader::with_decoder(io, Decoder::new(header))
    }

    /// Frames out of `io` by a decoder that you configured, or one that already holds bytes.
    pub const fn with_decoder(io: R, decoder: Decoder<H>) -> FrameReader<R, H> {
        FrameReader { io, decoder, ended: false, bytes: 0 }
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

    /// The decoder, to take the frames that have arrived: see [`fill`](FrameReader::fill).
    pub fn decoder_mut(&mut self) -> &mut Decoder<H> {
        &mut self.decoder
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

impl<R: Read, H: Header> FrameReader<R, H> {
    /// The next frame, borrowed until the next call; `None` if the stream ended at a frame's end. It reads, and so may
    /// block, only if no whole frame has arrived.
    ///
    /// # Errors
    /// [`ReadError::Decode`] if the stream is malformed or ended inside a frame; it is final. [`ReadError::Io`] if
    /// reading failed; nothing is lost, and another call reads again. So a read timeout is harmless
    /// ([`WouldBlock`](std::io::ErrorKind::WouldBlock) or [`TimedOut`](std::io::ErrorKind::TimedOut), depending on the
    /// system):
    ///
    /// ```
    /// # use std::io::Write;
    /// # use std::net::{TcpListener, TcpStream};
    /// # use std::time::Duration;
    /// # use unstick::{FrameReader, framing::Format};
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let mut peer = TcpStream::connect(listener.local_addr()?)?;
    /// # let (stream, _) = listener.accept()?;
    /// stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    /// let mut frames = FrameReader::new(stream, Format::U32_LE);
    /// peer.write_all(b"\x05\0\0\0he")?;
    /// assert!(frames.next_frame().is_err()); // the rest did not come in time
    /// frames.get_ref().set_read_timeout(None)?;
    /// peer.write_all(b"llo")?;
    /// assert_eq!(frames.next_frame()?.unwrap().payload(), b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        loop {
            if let Some(span) = self.decoder.next_span()? {
                return Ok(Some(self.decoder.frame(span)));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next part of a frame, for frames larger than memory: see [`Decoder::next_part`]. `None` if the stream ended
    /// at a frame's end.
    ///
    /// # Errors
    /// As [`next_frame`](FrameReader::next_frame).
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, ReadError> {
        while !self.decoder.has_part() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(self.decoder.next_part()?)
    }

    /// Reads once into the decoder; `false` if the stream ended at a frame's end. Use it if you have something to do
    /// before each read that may block: take all frames out of the decoder, do it, then fill:
    ///
    /// ```
    /// # use std::net::{Shutdown, TcpListener, TcpStream};
    /// # use unstick::{FrameReader, FrameWriter, framing::Format};
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let peer = TcpStream::connect(listener.local_addr()?)?;
    /// # let (stream, _) = listener.accept()?;
    /// # let mut questions = FrameWriter::new(&peer, Format::U32_LE);
    /// # questions.feed(b"one")?;
    /// # questions.send(b"two")?;
    /// # peer.shutdown(Shutdown::Write)?;
    /// let mut frames = FrameReader::new(&stream, Format::U32_LE);
    /// let mut replies = FrameWriter::new(&stream, Format::U32_LE);
    /// loop {
    ///     while let Some(frame) = frames.decoder_mut().next_frame()? {
    ///         replies.feed(frame.payload())?;
    ///     }
    ///     replies.flush()?; // many replies in one write
    ///     if !frames.fill()? {
    ///         break;
    ///     }
    /// }
    /// # stream.shutdown(Shutdown::Write)?;
    /// # let echoed: Result<Vec<_>, _> = FrameReader::new(&peer, Format::U32_LE).into_iter().collect();
    /// # assert_eq!(echoed?, [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Io`], after which another call reads again; [`ReadError::Decode`] if the stream ended inside a
    /// frame.
    pub fn fill(&mut self) -> Result<bool, ReadError> {
        if !self.ended {
            let n = uninterrupted(|| self.io.read(self.decoder.space()))?;
            self.decoder.filled(n);
            self.bytes += n as u64;
            self.ended = n == 0;
        }
        if self.ended {
            self.decoder.finish()?;
        }
        Ok(!self.ended)
    }
}

/// Shows lengths, no received bytes: so the reader is left out, as one in memory would show them.
impl<R, H: Header + fmt::Debug> fmt::Debug for FrameReader<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("format", self.decoder.format())
            .field("bytes", &self.bytes)
            .field("buffered", &self.decoder.buffered())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Yields the payloads, each copied.
impl<R: Read, H: Header> IntoIterator for FrameReader<R, H> {
    type Item = Result<Vec<u8>, ReadError>;
    type IntoIter = FrameIter<R, H>;

    fn into_iter(self) -> FrameIter<R, H> {
        FrameIter { reader: Some(self) }
    }
}

/// The iterator of a [`FrameReader`]: payloads as owned `Vec<u8>`, without prefix and trailer. The first error, even a
/// read timeout, is the last item; to continue after a timeout, call [`FrameReader::next_frame`] instead.
///
/// ```
/// use std::net::{Shutdown, TcpListener, TcpStream};
/// use unstick::{FrameReader, FrameWriter, framing::Format};
///
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let peer = TcpStream::connect(listener.local_addr()?)?;
/// # let mut frames = FrameWriter::new(&peer, Format::U16_BE);
/// # frames.enqueue("你好".as_bytes())?;
/// # frames.send(b"")?;
/// # peer.shutdown(Shutdown::Write)?;
/// let (stream, _) = listener.accept()?;
/// let mut lines = Vec::new();
/// for payload in FrameReader::new(stream, Format::U16_BE) {
///     lines.push(String::from_utf8(payload?)?);
/// }
/// assert_eq!(lines, ["你好", ""]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameIter<R, H: Header = Format> {
    /// `None` after the end or an error.
    reader: Option<FrameReader<R, H>>,
}

impl<R: Read, H: Header> Iterator for FrameIter<R, H> {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Result<Vec<u8>, ReadError>> {
        let item = match self.reader.as_mut()?.next_frame() {
            Ok(Some(frame)) => return Some(Ok(frame.payload().to_vec())),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        self.reader = None;
        item
    }
}

impl<R: Read, H: Header> FusedIterator for FrameIter<R, H> {}

impl<R, H: Header + fmt::Debug> fmt::Debug for FrameIter<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameIter").field("reader", &self.reader).finish()
    }
}
