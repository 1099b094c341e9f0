//! Any decoder, as the suite tests it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use super::case::{Case, Cuts};
use super::oracle::{End, Expected, Located, Oracle};
use crate::framing::{DEFAULT_READ_LEN, DecodeErrorKind};

/// A decoder that the suite can test: this crate's or yours.
///
/// [`suite`](super::suite) makes one for each stream, feeds it chunks, takes all frames after each chunk, and calls
/// `finish` at the end.
pub trait Subject {
    /// The decoder's error. It is compared, as it must not depend on the cuts.
    type Error: Clone + PartialEq + fmt::Debug;

    /// Takes the bytes of one read.
    fn feed(&mut self, chunk: &[u8]);

    /// The payload of the next whole frame, without prefix and trailer; `None` if more bytes are needed. A frame is
    /// whole once its trailer, if the format has one, has arrived.
    ///
    /// # Errors
    /// If no frame can begin with the bytes that were fed; every later call returns the same error.
    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Ends the stream. [`next_frame`](Subject::next_frame) has returned `None` before.
    ///
    /// # Errors
    /// If the stream may not end here: inside a frame, or after an error.
    fn finish(&mut self) -> Result<(), Self::Error>;

    /// Bytes of memory held for received bytes, if known; `None` leaves memory unchecked.
    fn memory(&self) -> Option<usize> {
        None
    }

    /// Bytes that the decoder may hold beyond those received: the bytes of one read.
    fn read_len(&self) -> usize {
        DEFAULT_READ_LEN
    }
}

/// What a decoder did wrong. `received` is always the number of bytes it had been fed by then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A frame is missing, surplus, late, early or different.
    Frame {
        /// Bytes fed so far.
        received: usize,
        /// Index of the frame, from 0.
        index: usize,
        /// The expected payload; `None` if no frame was expected.
        expected: Option<Vec<u8>>,
        /// The payload that was yielded; `None` if none was.
        found: Option<Vec<u8>>,
    },
    /// An error is missing, late or early, or there should be none.
    Error {
        /// Bytes fed so far.
        received: usize,
        /// Why the stream must be refused here; `None` if it must not be.
        expected: Option<DecodeErrorKind>,
        /// The decoder's error; `None` if it had none.
        found: Option<String>,
    },
    /// The end of the stream is reported wrongly.
    End {
        /// Bytes fed: all.
        received: usize,
        /// How the stream ends.
        expected: End,
        /// The decoder's error; `None` if it reported a clean end.
        found: Option<String>,
    },
    /// After an error it returned something else.
    NotFinal {
        /// Bytes fed so far.
        received: usize,
        /// The first error.
        first: String,
        /// What came after it.
        then: String,
    },
    /// More memory is held than the received bytes and one read need.
    Memory {
        /// Bytes fed so far.
        received: usize,
        /// Bytes held.
        held: usize,
        /// The most bytes that may be held.
        bound: usize,
    },
    /// The error depends on the cuts.
    Cut {
        /// The error if the stream is not cut.
        whole: String,
        /// The error if it is cut.
        cut: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Frame { received, index, expected: Some(expected), found: None } => {
                write!(
                    f,
                    "after {received} bytes: frame {index} of {} bytes is whole, but was not yielded",
                    expected.len()
                )
            }
            Violation::Frame { received, index, expected: None, found: Some(found) } => {
                write!(
                    f,
                    "after {received} bytes: frame {index} of {} bytes is yielded, but none is whole",
                    found.len()
                )
            }
            Violation::Frame { received, index, expected, found } => {
                write!(f, "after {received} bytes: frame {index} is {expected:02x?}, but {found:02x?} was yielded")
            }
            Violation::Error { received, expected: Some(expected), found: None } => {
                write!(f, "after {received} bytes: an error is missing: {expected}")
            }
            Violation::Error { received, found, .. } => {
                write!(f, "after {received} bytes: an unexpected error: {found:?}")
            }
            Violation::End { received, expected, found: None } => {
                write!(f, "at the end, after {received} bytes: reported as clean, but it is {expected:?}")
            }
            Violation::End { received, expected, found: Some(found) } => {
                write!(f, "at the end, after {received} bytes: reported as {found}, but it is {expected:?}")
            }
            Violation::NotFinal { received, first, then } => {
                write!(f, "after {received} bytes: the error is not final: first {first}, then {then}")
            }
            Violation::Memory { received, held, bound } => {
                write!(f, "after {received} bytes: {held} bytes of memory are held, over the bound of {bound}")
            }
            Violation::Cut { whole, cut } => {
                write!(f, "the error depends on the cuts: {whole} without cuts, {cut} with cuts")
            }
        }
    }
}

impl core::error::Error for Violation {}

/// Tests a decoder with a case: in its cuts, in one chunk, and byte by byte (a stream over 300 bytes in 300 chunks).
/// `make` returns a new decoder each time.
///
/// After every chunk exactly the frames that are whole by then must be yielded. An error must come with the very byte
/// that decides it, be the same in all three runs, and be final. The end of the stream must be reported correctly.
/// Memory must follow what was received.
///
/// # Errors
/// The first [`Violation`].
pub fn try_case<H: Oracle, S: Subject>(case: &Case<H>, mut make: impl FnMut() -> S) -> Result<(), Violation> {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let whole = follow(case, &Cuts::whole(), &expected, &mut make())?;
    for cuts in [&case.cuts, &case.finest()] {
        let cut = follow(case, cuts, &expected, &mut make())?;
        if cut != whole {
            return Err(Violation::Cut { whole: format!("{whole:?}"), cut: format!("{cut:?}") });
        }
    }
    Ok(())
}

/// As [`try_case`], but panics, with the case and the violation.
///
/// # Panics
/// On the first violation.
#[track_caller]
pub fn check_case<H: Oracle, S: Subject>(case: &Case<H>, make: impl FnMut() -> S) {
    if let Err(violation) = try_case(case, make) {
        panic!("{violation}\nin {case:02x?}");
    }
}

/// Feeds one decoder the stream in these cuts, and returns its error, if the stream has one.
pub(crate) fn follow<H, S: Subject>(
    case: &Case<H>,
    cuts: &Cuts,
    expected: &Expected,
    subject: &mut S,
) -> Result<Option<S::Error>, Violation> {
    let mut run = Run { stream: &case.stream, expected, received: 0, index: 0, passed: 0, peak: 0, peak_before: 0 };
    let mut due = expected.yielded().peekable();
    let mut chunks = cuts.chunks(&case.stream);
    while let Some(chunk) = chunks.next() {
        let taken = run.taken();
        subject.feed(chunk);
        run.received += chunk.len();
        run.memory(subject, run.received - taken)?;
        while let Some(frame) = due.next_if(|frame| frame.end() <= run.received as u64) {
            run.frame(subject, frame)?;
        }
        if let Some(error) = run.no_frame(subject)? {
            return run.stays(subject, error, chunks).map(Some);
        }
        let unread = run.received - run.taken();
        if unread == 0 {
            run.peak_before = mem::take(&mut run.peak);
        }
        run.memory(subject, unread)?;
    }
    run.finish(subject)
}

/// One decoder reading a stream.
struct Run<'a> {
    stream: &'a [u8],
    expected: &'a Expected,
    received: usize,
    /// Frames that were yielded.
    index: usize,
    /// Frames that were received whole, or whose rest is skipped.
    passed: usize,
    /// The most bytes that were received and not taken at once since there were last none, and in the period before
    /// that.
    peak: usize,
    peak_before: usize,
}

impl Run<'_> {
    /// How many of the received bytes are taken once all frames in them were taken or skipped.
    fn taken(&mut self) -> usize {
        let begun = |frame: &Located| match frame.skipped {
            true => frame.start + frame.header_len <= self.received,
            false => frame.end() <= self.received as u64,
        };
        let frames = &self.expected.frames;
        while frames.get(self.passed).is_some_and(begun) {
            self.passed += 1;
        }
        let last = self.passed.checked_sub(1).map(|index| frames[index]);
        last.map_or(0, |frame| frame.end().min(self.received as u64) as usize)
    }

    fn frame<S: Subject>(&mut self, subject: &mut S, frame: &Located) -> Result<(), Violation> {
        let expected = frame.payload(self.stream);
        let found = subject.next_frame().map_err(|error| self.error(None, Some(&error)))?;
        if found.as_deref() != Some(expected) {
            let expected = Some(expected.to_owned());
            return Err(Violation::Frame { received: self.received, index: self.index, expected, found });
        }
        self.index += 1;
        Ok(())
    }

    /// All frames were taken: checks that there is no other, and an error exactly if the oracle has one here.
    fn no_frame<S: Subject>(&self, subject: &mut S) -> Result<Option<S::Error>, Violation> {
        let due = match self.expected.end {
            End::Refused { start, decided, kind, .. } if start + decided <= self.received => Some(kind),
            _ => None,
        };
        match (subject.next_frame(), due) {
            (Ok(None), None) => Ok(None),
            (Err(error), Some(_)) => Ok(Some(error)),
            (Ok(None), Some(_)) => Err(self.error::<S::Error>(due, None)),
            (Err(error), None) => Err(self.error(None, Some(&error))),
            (Ok(Some(found)), _) => {
                let (received, index) = (self.received, self.index);
                Err(Violation::Frame { received, index, expected: None, found: Some(found) })
            }
        }
    }

    /// An error stays the same, also when more bytes come.
    fn stays<'a, S: Subject>(
        &mut self,
        subject: &mut S,
        first: S::Error,
        chunks: impl Iterator<Item = &'a [u8]>,
    ) -> Result<S::Error, Violation> {
        self.stays_now(subject, &first)?;
        for chunk in chunks {
            subject.feed(chunk);
            self.received += chunk.len();
            self.stays_now(subject, &first)?;
        }
        match subject.finish() {
            Err(then) if then == first => Ok(first),
            then => Err(self.not_final(&first, &then)),
        }
    }

    fn stays_now<S: Subject>(&self, subject: &mut S, first: &S::Error) -> Result<(), Violation> {
        for _ in 0..2 {
            match subject.next_frame() {
                Err(then) if then == *first => {}
                then => return Err(self.not_final(first, &then)),
            }
        }
        Ok(())
    }

    fn finish<S: Subject>(&self, subject: &mut S) -> Result<Option<S::Error>, Violation> {
        match (subject.finish(), self.expected.end) {
            (Ok(()), End::Clean) => Ok(None),
            (Err(error), End::Truncated { .. }) => Ok(Some(error)),
            (found, expected) => {
                let found = found.err().map(|error| format!("{error:?}"));
                Err(Violation::End { received: self.received, expected, found })
            }
        }
    }

    /// At most the unread bytes plus one read, or twice the unread bytes, may be held. The most unread bytes of before
    /// count, too, until there were none for the second time: memory may be kept for a frame like the one before.
    /// `unread` is the current number of unread bytes.
    fn memory<S: Subject>(&mut self, subject: &S, unread: usize) -> Result<(), Violation> {
        let Some(held) = subject.memory() else { return Ok(()) };
        self.peak = self.peak.max(unread);
        let peak = self.peak.max(self.peak_before);
        let bound = (peak + subject.read_len()).max(2 * peak);
        if held > bound { Err(Violation::Memory { received: self.received, held, bound }) } else { Ok(()) }
    }

    fn error<E: fmt::Debug>(&self, expected: Option<DecodeErrorKind>, found: Option<&E>) -> Violation {
        Violation::Error { received: self.received, expected, found: found.map(|error| format!("{error:?}")) }
    }

    fn not_final(&self, first: &impl fmt::Debug, then: &impl fmt::Debug) -> Violation {
        Violation::NotFinal { received: self.received, first: format!("{first:?}"), then: format!("{then:?}") }
    }
}
