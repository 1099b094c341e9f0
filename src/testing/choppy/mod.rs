//! A reader and a writer over memory that do what a network may do: pass a few bytes, make the caller wait, be
//! interrupted, fail. What each call does is a script of [`Step`]s, so that a loop, proptest and a fuzzer drive them alike.
//!
//! They implement the traits of `std`, and, with the feature `futures`, those of `futures`.
//!
//! ```
//! use unstick::testing::choppy::{ChoppyRead, Step};
//! use unstick::{FrameReader, framing::Format};
//! let script = [Step::Pass(1), Step::Interrupted, Step::Pass(3)];
//! let mut frames = FrameReader::new(ChoppyRead::new(b"\x05hello", script), Format::U8);
//! assert_eq!(frames.next_frame()?.unwrap().payload(), b"hello");
//! assert!(frames.next_frame()?.is_none());
//! # Ok::<(), unstick::ReadError>(())
//! ```

#[cfg(feature = "futures")]
mod futures;

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read};

#[cfg(feature = "futures")]
pub use futures::SharedWrite;

/// What one call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Passes at most this many bytes, and at least one if there is one.
    Pass(usize),
    /// Is not ready: [`io::ErrorKind::WouldBlock`], as after a read timeout. As `futures` I/O it is pending, and wakes
    /// the task at once.
    Pending,
    /// Fails with [`io::ErrorKind::Interrupted`]: the caller should try again. Ignored when flushing and closing.
    Interrupted,
    /// Fails.
    Fail(io::ErrorKind),
    /// Passes nothing: the end of the stream for a reader, a writer that accepts no byte. Ignored when flushing and
    /// closing.
    Nothing,
}

impl Step {
    /// A step that changes only how the bytes pass, not which. Every byte gives one.
    pub fn harmless(byte: u8) -> Step {
        match byte {
            0..=0x7F => Step::Pass(usize::from(byte) + 1),
            0x80..=0xAF => Step::Pass(1 << (byte % 16)),
            0xB0..=0xDF => Step::Pending,
            0xE0..=0xFF => Step::Interrupted,
        }
    }

    /// Any step: most are harmless, some fail, some pass nothing. Every byte gives one.
    pub fn any(byte: u8) -> Step {
        match byte {
            0xF0..=0xF7 => Step::Fail(io::ErrorKind::ConnectionReset),
            0xF8..=0xFF => Step::Nothing,
            _ => Step::harmless(byte),
        }
    }

    /// The most bytes that pass.
    fn most(self) -> io::Result<usize> {
        match self {
            Step::Pass(most) => Ok(most.max(1)),
            Step::Nothing => Ok(0),
            Step::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Step::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            Step::Fail(kind) => Err(kind.into()),
        }
    }
}

/// A reader over memory that follows a script, and after it passes all that is asked for.
#[derive(Debug)]
pub struct ChoppyRead {
    bytes: VecDeque<u8>,
    script: VecDeque<Step>,
}

impl ChoppyRead {
    /// A reader of `bytes` that follows `script`.
    pub fn new(bytes: &[u8], script: impl IntoIterator<Item = Step>) -> ChoppyRead {
        ChoppyRead { bytes: bytes.iter().copied().collect(), script: script.into_iter().collect() }
    }

    /// Bytes that were not yet read.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }
}

impl Read for ChoppyRead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.script.pop_front().map_or(Ok(usize::MAX), Step::most)?.min(buf.len());
        self.bytes.read(&mut buf[..len])
    }
}

/// A writer into memory that follows a script, after it accepts everything, and records what it was given.
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
#[non_exhaustive]
pub struct Write {
    /// The slices that were offered: the address of each and its length in bytes. So a test can see that a payload was
    /// not copied.
    pub slices: Vec<(usize, usize)>,
    /// Bytes of them that were accepted.
    pub taken: usize,
}

impl ChoppyWrite {
    /// A writer that follows `script`. Writing, flushing and closing all take steps of it.
    pub fn new(script: impl IntoIterator<Item = Step>) -> ChoppyWrite {
        ChoppyWrite { script: script.into_iter().collect(), ..ChoppyWrite::default() }
    }

    /// The bytes that were written.
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

    /// Whether it was closed. Like a socket, it then accepts nothing, and closing it again fails.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next step, if it applies to flushing and closing.
    fn end(&mut self) -> io::Result<()> {
        if self.closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match self.script.front() {
            Some(&step @ (Step::Pending | Step::Fail(_))) => {
                self.script.pop_front();
                step.most().map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

impl io::Write for ChoppyWrite {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut left = self.script.pop_front().map_or(Ok(usize::MAX), Step::most)?;
        if left == 0 {
            return Ok(0);
        }
        let before = self.written.len();
        for buf in bufs {
            let len = buf.len().min(left);
            self.written.extend_from_slice(&buf[..len]);
            left -= len;
        }
        let slices = bufs.iter().map(|buf| (buf.as_ptr().addr(), buf.len())).collect();
        let taken = self.written.len() - before;
        self.writes.push(Write { slices, taken });
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end()?;
        self.flushes += 1;
        Ok(())
    }
}
