//! A reader and a writer over memory that do what a network may do: pass a few bytes, make the caller wait, be
//! interrupted, fail. What each poll does is a script of [`Step`]s, so that a loop, proptest and a fuzzer drive them alike.
//!
//! ```
//! use unstick::testing::choppy::{ChoppyRead, Step};
//! use unstick::{FramedRead, framing::Format};
//! # futures_lite::future::block_on(async {
//! let script = [Step::Pass(1), Step::Pending, Step::Interrupted, Step::Pass(3)];
//! let mut frames = FramedRead::new(ChoppyRead::new(b"\x05hello", script), Format::U8);
//! assert_eq!(frames.next_frame().await?.unwrap().payload(), b"hello");
//! assert!(frames.next_frame().await?.is_none());
//! # Ok::<(), unstick::ReadError>(())
//! # }).unwrap();
//! ```

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// What one poll does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Passes so many bytes at most, and at least one where there is one.
    Pass(usize),
    /// Is not ready, and wakes the task at once.
    Pending,
    /// Fails with [`io::ErrorKind::Interrupted`]: the caller is to try again. Of flushing and closing it says nothing.
    Interrupted,
    /// Fails.
    Fail(io::ErrorKind),
    /// Passes nothing: a reader's end of the stream, a writer that takes no byte. Of flushing and closing it says nothing.
    Nothing,
}

impl Step {
    /// A step that changes nothing about what passes in the end, only how: any byte is one.
    pub fn harmless(byte: u8) -> Step {
        match byte {
            0..=0x7F => Step::Pass(usize::from(byte) + 1),
            0x80..=0xAF => Step::Pass(1 << (byte % 16)),
            0xB0..=0xDF => Step::Pending,
            0xE0..=0xFF => Step::Interrupted,
        }
    }

    /// Any step: most are harmless, some fail, some pass nothing.
    pub fn any(byte: u8) -> Step {
        match byte {
            0xF0..=0xF7 => Step::Fail(io::ErrorKind::ConnectionReset),
            0xF8..=0xFF => Step::Nothing,
            _ => Step::harmless(byte),
        }
    }
}

/// A reader over memory that follows a script, and passes all that is asked for once the script is over.
#[derive(Debug)]
pub struct ChoppyRead {
    bytes: VecDeque<u8>,
    script: VecDeque<Step>,
}

impl ChoppyRead {
    /// Reads `bytes`, as `script` says.
    pub fn new(bytes: &[u8], script: impl IntoIterator<Item = Step>) -> ChoppyRead {
        ChoppyRead { bytes: bytes.iter().copied().collect(), script: script.into_iter().collect() }
    }

    /// Bytes that nobody has read.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }
}

impl AsyncRead for ChoppyRead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let most = match self.script.pop_front() {
            None => usize::MAX,
            Some(Step::Pass(most)) => most.max(1),
            Some(step) => return without_bytes(step, cx),
        };
        let len = buf.len().min(most).min(self.bytes.len());
        for (place, byte) in buf.iter_mut().zip(self.bytes.drain(..len)) {
            *place = byte;
        }
        Poll::Ready(Ok(len))
    }
}

/// A writer into memory that follows a script, takes all it is given once the script is over, and keeps account of what it
/// was given.
#[derive(Debug, Default)]
pub struct ChoppyWrite {
    script: VecDeque<Step>,
    written: Vec<u8>,
    writes: Vec<Write>,
    flushes: usize,
    closed: bool,
}

/// One write that passed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The slices that were offered: where each is in memory, and its length in bytes. So a test can see that a payload was
    /// not copied.
    pub slices: Vec<(usize, usize)>,
    /// Bytes of them that were taken.
    pub taken: usize,
}

impl ChoppyWrite {
    /// Takes what is written as `script` says. Writing, flushing and closing follow the same script.
    pub fn new(script: impl IntoIterator<Item = Step>) -> ChoppyWrite {
        ChoppyWrite { script: script.into_iter().collect(), ..ChoppyWrite::default() }
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// The writes that passed bytes, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// How often it was flushed.
    pub fn flushes(&self) -> usize {
        self.flushes
    }

    /// Whether it was closed. It takes nothing afterwards, and closing it again fails, as a socket does.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next step, where it is one that concerns flushing and closing.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        match self.script.front() {
            Some(&step @ (Step::Pending | Step::Fail(_))) => {
                self.script.pop_front();
                without_bytes(step, cx).map_ok(|_| ())
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for ChoppyWrite {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut left = match self.script.pop_front() {
            None => usize::MAX,
            Some(Step::Pass(most)) => most.max(1),
            Some(step) => return without_bytes(step, cx),
        };
        let before = self.written.len();
        for buf in bufs {
            let len = buf.len().min(left);
            self.written.extend_from_slice(&buf[..len]);
            left -= len;
        }
        let slices = bufs.iter().map(|buf| (buf.as_ptr().addr(), buf.len())).collect();
        let taken = self.written.len() - before;
        self.writes.push(Write { slices, taken });
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_end(cx);
        self.flushes += usize::from(matches!(polled, Poll::Ready(Ok(()))));
        polled
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_end(cx);
        self.closed |= matches!(polled, Poll::Ready(Ok(())));
        polled
    }
}

/// A [`ChoppyWrite`] of which the test keeps a share, to look at it also while a connection has it.
#[derive(Clone, Debug, Default)]
pub struct SharedWrite(Rc<RefCell<ChoppyWrite>>);

impl SharedWrite {
    /// As [`ChoppyWrite::new`].
    pub fn new(script: impl IntoIterator<Item = Step>) -> SharedWrite {
        SharedWrite(Rc::new(RefCell::new(ChoppyWrite::new(script))))
    }

    /// What became of it so far. Let go of it before it is written to again.
    pub fn look(&self) -> Ref<'_, ChoppyWrite> {
        self.0.borrow()
    }
}

impl AsyncWrite for SharedWrite {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_close(cx)
    }
}

fn without_bytes(step: Step, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    match step {
        Step::Pending => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Step::Interrupted => Poll::Ready(Err(io::ErrorKind::Interrupted.into())),
        Step::Fail(kind) => Poll::Ready(Err(kind.into())),
        Step::Nothing | Step::Pass(_) => Poll::Ready(Ok(0)),
    }
}
