//! Payloads into a [`Sink`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::AsyncWrite;
use futures_sink::Sink;

use super::write::FramedWrite;
use crate::adapters::error::WriteError;
use crate::framing::{Format, Header};

impl<W, H> FramedWrite<W, H> {
    /// Converts it, with its queue, into a [`Sink`] of payloads.
    ///
    /// While less than the [high-water mark](FramedWrite::high_water) is queued, 64 KiB by default, it accepts a
    /// payload at once; otherwise it writes first. A payload of [`NO_COPY_LEN`](crate::NO_COPY_LEN) bytes or more is
    /// not copied.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use futures_util::SinkExt; // its `send`, `feed`, `flush` and `close`
    /// use unstick::FramedWrite;
    /// use unstick::framing::Format;
    /// # futures_lite::future::block_on(async {
    /// let mut wire = Vec::new();
    /// let mut sink = FramedWrite::new(&mut wire, Format::U32_LE).into_sink();
    /// sink.feed(Bytes::from_static(b"hello")).await?;
    /// sink.send(Bytes::new()).await?;
    /// sink.close().await?;
    /// assert_eq!(wire, b"\x05\0\0\0hello\0\0\0\0");
    /// # Ok::<(), unstick::WriteError>(())
    /// # }).unwrap();
    /// ```
    pub fn into_sink(self) -> FrameSink<W, H> {
        FrameSink { write: self }
    }
}

/// A [`Sink`] of payloads: see [`FramedWrite::into_sink`]. After an error of the writer it can go on: unwritten bytes
/// stay queued for the next flush.
pub struct FrameSink<W, H = Format> {
    write: FramedWrite<W, H>,
}

impl<W, H> FrameSink<W, H> {
    /// The [`FramedWrite`] beneath: it says how much is queued and was sent.
    pub fn get_ref(&self) -> &FramedWrite<W, H> {
        &self.write
    }

    /// The [`FramedWrite`] beneath, with its queue.
    pub fn into_inner(self) -> FramedWrite<W, H> {
        self.write
    }
}

impl<W: AsyncWrite + Unpin, H: Header + Unpin> Sink<Bytes> for FrameSink<W, H> {
    type Error = WriteError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        Poll::Ready(Ok(ready!(self.write.poll_below_high_water(cx))?))
    }

    fn start_send(mut self: Pin<&mut Self>, payload: Bytes) -> Result<(), WriteError> {
        Ok(self.write.enqueue_bytes(payload)?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        Poll::Ready(Ok(ready!(self.write.poll_flush_all(cx))?))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        Poll::Ready(Ok(ready!(self.write.poll_close_all(cx))?))
    }
}

impl<W, H: Header + fmt::Debug> fmt::Debug for FrameSink<W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSink").field("write", &self.write).finish()
    }
}
