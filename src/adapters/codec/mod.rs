//! A codec for tokio: frames by `tokio_util::codec::{Framed, FramedRead, FramedWrite}`.
//!
//! ```toml
//! unstick = { version = "0.1", default-features = false, features = ["tokio-codec"] }
//! tokio-util = { version = "0.7", features = ["codec"] }
//! futures-util = { version = "0.3", features = ["sink"] } # SinkExt and StreamExt
//! ```
//! ```
//! use futures_util::{SinkExt, StreamExt};
//! use tokio::net::{TcpListener, TcpStream};
//! use tokio_util::codec::Framed;
//! use unstick::codec::FrameCodec;
//! use unstick::framing::Format;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let socket = TcpStream::connect(listener.local_addr()?).await?;
//! let mut ours = Framed::new(socket, FrameCodec::new(Format::U32_LE));
//! ours.send(&b"hello"[..]).await?;
//! SinkExt::<&[u8]>::close(&mut ours).await?; // the sink accepts several item types, so name one to close or flush
//!
//! let (socket, _) = listener.accept().await?;
//! let mut theirs = Framed::new(socket, FrameCodec::new(Format::U32_LE));
//! while let Some(frame) = theirs.next().await {
//!     let frame = frame?;
//!     assert_eq!(frame.payload(), b"hello");
//!     theirs.send(frame).await?; // an echo; or `frame.into_payload()`, as `Bytes`
//! #   break;
//! }
//! # assert_eq!(ours.next().await.unwrap()?.text()?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It has no timeouts: use `tokio::time::timeout`, as in `timeout(limit, framed.next()).await`.
//!
//! # From `LengthDelimitedCodec`
//! Let `o`, `w`, `a`, `s` and `n` be its `length_field_offset`, `length_field_length`, `length_adjustment`, `num_skip`
//! and `max_frame_length`. Its `a` counts from the end of the `s` bytes that it skips; the adjustment of a
//! [`Layout`](crate::framing::Layout) counts from the end of the length field.
//!
//! | theirs | ours |
//! |---|---|
//! | `length_field_length(w)`, or `length_field_type`, with `big_endian()` | `Layout::fixed(w, Endian::Big)` |
//! | the same with `little_endian()` | `Layout::fixed(w, Endian::Little)` |
//! | `length_field_offset(o)` | `.offset(o)`, at most 255 |
//! | `length_adjustment(a)` | `.adjustment(a)` |
//! | `length_adjustment(a)` with `num_skip(s)` | `.adjustment(a + s - o - w)` |
//! | `max_frame_length(n)`, a limit on the field, or 8 MiB | `Format::new(layout, n + adjustment)`, a limit on the payload, with the layout's adjustment; or 1 MiB by `Format::with_default_limit(layout)` |
//! | `set_max_frame_length(n)` | `*codec.format_mut() = format.with_max_payload_len(n)?` |
//! | `new_framed(io)`, `new_read(io)`, `new_write(io)` | `Framed::new(io, FrameCodec::new(format))`, `FramedRead::new`, `FramedWrite::new` |
//! | the item, a `BytesMut` | [`frame.payload()`](OwnedFrame::payload), [`frame.into_payload()`](OwnedFrame::into_payload) |
//! | the item after `num_skip(s)` | `frame.as_bytes().get(s..)`, as a frame may be shorter than `s` where `s > o + w` |
//! | `send(bytes)`, `send(&bytes[..])` | the same; `send((prefix, bytes))` if there is an offset; theirs does not write those bytes |
//! | `flush()`, `close()` of a sink | `SinkExt::<&[u8]>::flush(&mut framed)`: with several kinds of item, one must be named |
//! | `io::Error` | [`ReadError`], [`WriteError`] |
//!
//! [`FrameCodec`] also differs in these: it reserves no memory because a length was declared; a stream that ends right
//! after a header is truncated; the limit has one meaning, the payload's length; and an error has its offset in the
//! stream, and says what the bytes look like.

mod frame;
mod room;

use std::fmt;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

pub use self::frame::OwnedFrame;
use self::room::Room;
use crate::adapters::error::{ReadError, WriteError};
use crate::framing::slice::{self, First, Wrong};
use crate::framing::{self, Check, DecodeError, Envelope, Format, Header, Span};

/// A codec for `tokio_util::codec::{Framed, FramedRead, FramedWrite}`, for any layout. To replace
/// `LengthDelimitedCodec`, see the [module](self).
///
/// It yields [`OwnedFrame`]s. It encodes payloads (`Bytes`, `&[u8]`), pairs of a prefix or an [`Envelope`] and a
/// payload, and received frames: each frame whole, or not at all.
///
/// # Errors
/// [`ReadError::Decode`] is final: a `Framed` that is polled again returns the same error. If the stream ends inside a
/// frame, also right after its header, it yields that error and then the end. After [`WriteError::Encode`], other
/// frames can be sent.
///
/// # Memory
/// The buffer of a `Framed` grows by 16 KiB, or doubles what has arrived of the frame, whichever is more, up to the
/// frame's end: never because a length was declared. Memory that grew for a long frame is freed after shorter ones.
///
/// # Cancel-safety
/// Dropping the future of `next` on a `Framed` loses nothing: all bytes are in the `Framed`. If the future of `send` is
/// dropped, its frame is either not sent at all, or whole in the `Framed`, for the next flush.
///
/// ```
/// use bytes::BytesMut;
/// use tokio_util::codec::{Decoder, Encoder};
/// use unstick::codec::FrameCodec;
/// use unstick::framing::{Endian, Envelope, Format, Layout};
///
/// let layout = Layout::fixed(2, Endian::Big).offset(1).trailer(1);
/// let mut codec = FrameCodec::new(Format::new(layout, 1024)?);
/// let mut wire = BytesMut::new();
/// codec.encode((Envelope { prefix: b"#", trailer: b"\n" }, "hello"), &mut wire)?;
/// assert_eq!(wire, &b"#\x00\x05hello\n"[..]);
/// assert_eq!(codec.decode(&mut wire)?.unwrap().payload(), b"hello");
/// assert!(codec.decode(&mut wire)?.is_none()); // more bytes are needed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FrameCodec<H: Header = Format> {
    header: H,
    /// The offset in the stream of the first byte that was not yet taken.
    offset: u64,
    /// Why the stream failed.
    failed: Option<DecodeError>,
    /// Whether `decode_eof` returned that error: the end comes after it.
    told_at_end: bool,
    room: Room,
    /// The header or the trailer that is being written.
    scratch: Vec<u8>,
    /// Bytes in the output after the last frame was encoded.
    output_len: usize,
}

impl<H: Header> FrameCodec<H> {
    /// A codec for `header`, usually a [`Format`], at the start of a stream.
    pub const fn new(header: H) -> FrameCodec<H> {
        FrameCodec {
            header,
            offset: 0,
            failed: None,
            told_at_end: false,
            room: Room::new(),
            scratch: Vec::new(),
            output_len: 0,
        }
    }

    /// The header, usually a [`Format`].
    pub const fn format(&self) -> &H {
        &self.header
    }

    /// The header, to replace it, usually by one with another limit. It applies from the next frame, even if bytes of
    /// that frame have arrived.
    ///
    /// ```
    /// use unstick::codec::FrameCodec;
    /// use unstick::framing::Format;
    /// let before_login = Format::U32_BE.with_max_payload_len(1024)?;
    /// let mut codec = FrameCodec::new(before_login); // of a `Framed`: `framed.codec_mut()`
    /// *codec.format_mut() = before_login.with_max_payload_len(1 << 20)?;
    /// # Ok::<(), unstick::framing::FormatError>(())
    /// ```
    pub const fn format_mut(&mut self) -> &mut H {
        &mut self.header
    }
}

impl<H: Header> Decoder for FrameCodec<H> {
    type Item = OwnedFrame;
    type Error = ReadError;

    // Always inline, as `Header::whole_frame` in it: a call hands the frame over in memory once more.
    #[inline(always)]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, ReadError> {
        if self.failed.is_none()
            && let Some(span) = self.header.whole_frame(src, 0)
        {
            return Ok(Some(self.take(src, span)));
        }
        self.decode_slow(src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, ReadError> {
        if self.told_at_end {
            return Ok(None);
        }
        let last = match self.decode(src) {
            Ok(None) if !src.is_empty() => Err(self.fail(src, slice::first(&self.header, src))),
            other => other,
        };
        self.told_at_end = last.is_err();
        last
    }
}

impl<H: Header> FrameCodec<H> {
    #[inline(always)]
    fn take(&mut self, src: &mut BytesMut, span: Span) -> OwnedFrame {
        self.offset = self.offset.wrapping_add(span.end as u64);
        self.room.took(span.end);
        OwnedFrame::split_from(src, span)
    }

    /// The rare cases: a frame near the end of the bytes, no whole frame, or an error.
    #[cold]
    fn decode_slow(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, ReadError> {
        if let Some(error) = &self.failed {
            src.clear();
            return Err(error.clone().into());
        }
        if src.is_empty() {
            self.room.emptied(src);
            return Ok(None);
        }
        match slice::first(&self.header, src) {
            Ok(First::Whole(span)) => Ok(Some(self.take(src, span))),
            Ok(First::Short { need, .. }) => {
                self.room.grow(src, need - src.len() as u64);
                Ok(None)
            }
            other => Err(self.fail(src, other)),
        }
    }

    /// Fails because of the frame that `src` begins with.
    fn fail(&mut self, src: &mut BytesMut, found: Result<First, Wrong>) -> ReadError {
        let error = DecodeError::from(slice::fault(&self.header, self.offset, src, found));
        self.failed = Some(error.clone());
        src.clear();
        error.into()
    }
}

impl<H: Header> Encoder<Bytes> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, payload: Bytes, dst: &mut BytesMut) -> Result<(), WriteError> {
        self.put(Envelope::default(), &payload, dst)
    }
}

impl<H: Header> Encoder<&[u8]> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, payload: &[u8], dst: &mut BytesMut) -> Result<(), WriteError> {
        self.put(Envelope::default(), payload, dst)
    }
}

/// A prefix, and the payload.
impl<H: Header, A: AsRef<[u8]>, P: AsRef<[u8]>> Encoder<(A, P)> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, (prefix, payload): (A, P), dst: &mut BytesMut) -> Result<(), WriteError> {
        self.put(prefix.as_ref().into(), payload.as_ref(), dst)
    }
}

/// An envelope, and a payload.
impl<H: Header, P: AsRef<[u8]>> Encoder<(Envelope<'_>, P)> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, (envelope, payload): (Envelope<'_>, P), dst: &mut BytesMut) -> Result<(), WriteError> {
        self.put(envelope, payload.as_ref(), dst)
    }
}

/// A received frame, with its prefix and trailer. The length field and a computed trailer are encoded again.
impl<H: Header> Encoder<&OwnedFrame> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, frame: &OwnedFrame, dst: &mut BytesMut) -> Result<(), WriteError> {
        self.put(frame.envelope(), frame.payload(), dst)
    }
}

/// Like a reference to it.
impl<H: Header> Encoder<OwnedFrame> for FrameCodec<H> {
    type Error = WriteError;

    fn encode(&mut self, frame: OwnedFrame, dst: &mut BytesMut) -> Result<(), WriteError> {
        self.encode(&frame, dst)
    }
}

impl<H: Header> FrameCodec<H> {
    /// Appends a whole frame, or nothing.
    #[inline]
    fn put(&mut self, envelope: Envelope<'_>, payload: &[u8], dst: &mut BytesMut) -> Result<(), WriteError> {
        self.scratch.clear();
        let mut check = framing::Encoder::new(&self.header).header(envelope, payload.len(), &mut self.scratch)?;
        if dst.is_empty() {
            // Everything was written. Appending after it would later move the queued bytes to the front of the memory.
            let _is_there = dst.try_reclaim(self.output_len);
        }
        dst.reserve(self.scratch.len() + payload.len());
        match *self.scratch {
            // An append of a known length is a store; any other one is a call.
            [a] => dst.extend_from_slice(&[a]),
            [a, b] => dst.extend_from_slice(&[a, b]),
            [a, b, c, d] => dst.extend_from_slice(&[a, b, c, d]),
            ref header => dst.extend_from_slice(header),
        }
        dst.extend_from_slice(payload);
        if H::Check::COMPUTES {
            check.update(payload);
            self.scratch.clear();
            check.write(&mut self.scratch);
            dst.extend_from_slice(&self.scratch);
        } else if !envelope.trailer.is_empty() {
            dst.extend_from_slice(envelope.trailer);
        }
        self.output_len = dst.len();
        Ok(())
    }
}

/// Shows settings and counters, never the bytes.
impl<H: Header + fmt::Debug> fmt::Debug for FrameCodec<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameCodec { header, offset, failed, .. } = self;
        f.debug_struct("FrameCodec").field("header", header).field("offset", offset).field("failed", failed).finish()
    }
}
