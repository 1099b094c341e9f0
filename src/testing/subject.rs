//! Any decoder, under the suite.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use super::case::{Case, Cuts};
use super::oracle::{End, Expected, Located, Oracle};
use crate::framing::{DEFAULT_READ_LEN, DecodeErrorKind};

/// A decoder that can be put under the suite: this crate's or anyone's.
///
/// [`suite`](super::suite) makes one for each stream, feeds it chunks, takes the frames after each, and says at the end
/// that the stream ended.
pub trait Subject {
    /// What the decoder says is wrong. It is compared, as the error must not depend on the cuts.
    type Error: Clone + PartialEq + fmt::Debug;

    /// Takes the bytes of one read.
    fn feed(&mut self, chunk: &[u8]);

    /// The payload of the next whole frame, without prefix and trailer; `None` where more bytes are needed. A frame is
    /// whole once its trailer, where the format has one, is.
    ///
    /// # Errors
    /// Where no frame can begin with the bytes at hand: the same error for ever.
    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The stream ended, and [`next_frame`](Subject::next_frame) yields no more.
    ///
    /// # Errors
    /// Where the stream may not end here: inside a frame, or after an error.
    fn finish(&mut self) -> Result<(), Self::Error>;

    /// Bytes of memory held for received bytes, where that can be known; `None` leaves memory unchecked.
    fn memory(&self) -> Option<usize> {
        None
    }

    /// Bytes that the decoder may hold beyond those received: those of one read.
    fn read_len(&self) -> usize {
        DEFAULT_READ_LEN
    }
}

/// What a decoder did wrong. `received` is always how many bytes of the stream it had been fed by then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A frame is missing, surplus, late, early or different.
    Frame {
        /// Bytes fed so far.
        received: usize,
        /// Which frame, from 0.
        index: usize,
        /// The payload that is due; `None` where no frame is.
        expected: Option<Vec<u8>>,
        /// The payload that was yielded; `None` where none was.
        found: Option<Vec<u8>>,
    },
    /// An error is missing, late, early or none.
    Error {
        /// Bytes fed so far.
        received: usize,
        /// Why the stream must be refused here; `None` where it must not.
        expected: Option<DecodeErrorKind>,
        /// The decoder's error; `None` where it had none.
        found: Option<String>,
    },
    /// The end of the stream is not told truthfully.
    End {
        /// Bytes fed: all.
        received: usize,
        /// How the stream ends.
        expected: End,
        /// The decoder's error; `None` where it said that the end is clean.
        found: Option<String>,
    },
    /// After an error it said something else.
    NotFinal {
        /// Bytes fed so far.
        received: usize,
        /// The first error.
        first: String,
        /// What came after it.
        then: String,
    },
    /// More memory is held than was received and a read needs.
    Memory {
        /// Bytes fed so far.
        received: usize,
        /// Bytes held.
        held: usize,
        /// Bytes that may be held.
        bound: usize,
    },
    /// The error depends on the cuts.
    Cut {
        /// The error where the stream was not cut.
        whole: String,
        /// The error where it was.
        cut: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Frame { received, index, expected: Some(expected), found: None } => {
                write!(f, "after {received} bytes: frame {index} of {} bytes is whole, and not yielded", expected.len())
            }
            Violation::Frame { received, index, expected: None, found: Some(found) } => {
                write!(
                    f,
                    "after {received} bytes: frame {index} of {} bytes is yielded where none is whole",
                    found.len()
                )
            }
            Violation::Frame { received, index, expected, found } => {
                write!(f, "after {received} bytes: frame {index} is {expected:02x?}, and {found:02x?} was yielded")
            }
            Violation::Error { received, expected: Some(expected), found: None } => {
                write!(f, "after {received} bytes: no error where there must be one: {expected}")
            }
            Violation::Error { received, found, .. } => {
                write!(f, "after {received} bytes: an error where there must be none: {found:?}")
            }
            Violation::End { received, expected, found: None } => {
                write!(f, "at the end, after {received} bytes: said to be clean, and it is {expected:?}")
            }
            Violation::End { received, expected, found: Some(found) } => {
                write!(f, "at the end, after {received} bytes: said to be {found}, and it is {expected:?}")
            }
            Violation::NotFinal { received, first, then } => {
                write!(f, "after {received} bytes: the error is not final: first {first}, then {then}")
            }
            Violation::Memory { received, held, bound } => {
                write!(f, "after {received} bytes: {held} bytes of memory are held, and at most {bound} may be")
            }
            Violation::Cut { whole, cut } => {
                write!(f, "the error depends on the cuts: {whole} where there are none, {cut} where there are some")
            }
        }
    }
}

impl core::error::Error for Violation {}

/// Puts a decoder through a case: in its cuts, in one chunk, and byte by byte (a stream over 300 bytes in
/// 300 chunks). `make` gives a new one each time.
///
/// After every chunk the frames that are whole by then, and no others, must be yielded; an error must come with the very
/// byte that decides it, be the same in all three runs and stay the same for ever; the end of the stream must be told
/// truthfully; memory must follow what was received.
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

/// As [`try_case`], but panics with all there is to know.
///
/// # Panics
/// On the first violation.
#[track_caller]
pub fn check_case<H: Oracle, S: Subject>(case: &Case<H>, make: impl FnMut() -> S) {
    if let Err(violation) = try_case(case, make) {
        panic!("{violation}\nin {case:02x?}");
    }
}

/// Puts one decoder through the stream in these cuts, and returns its error, if the stream has one.
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

/// One decoder on its way through a stream.
struct Run<'a> {
    stream: &'a [u8],
    expected: &'a Expected,
    received: usize,
    /// Frames that were yielded.
    index: usize,
    /// Frames that are all received, or of which the rest is skipped.
    passed: usize,
    /// The most bytes that were received and not taken since there were none of them, and the most in the time before that.
    peak: usize,
    peak_before: usize,
}

impl Run<'_> {
    /// How many of the received bytes are taken once all frames in them are, and what is skipped is passed over.
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

    /// All frames are taken: there is no other, and an error just where one is due.
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

    /// An error stays, also when more bytes come.
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

    /// No more than the bytes at hand and one read, or than twice those bytes, is held; of bytes that were at hand
    /// before, too, until there are none for the second time: memory may serve a frame like the one before. `unread` is how
    /// many are at hand.
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
