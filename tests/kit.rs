//! The property kit itself: a decoder that does one thing wrong is found, and told by what it does.

use unstick::framing::{Decoder, Endian, Format, Header, Layout, Part};
use unstick::testing::{self, Case, Subject, Violation};

/// What a decoder does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Yields a frame one call late.
    Late,
    /// Yields an empty frame where there is none.
    Surplus,
    /// Yields other bytes.
    Altered,
    /// Waits when it must refuse.
    NoError,
    /// Refuses good frames.
    EarlyError,
    /// Says that every end is clean.
    CleanEnd,
    /// Says that every end is an error.
    BadEnd,
    /// Says another error each time.
    NotFinal,
    /// Forgets its error.
    Forgets,
    /// Holds a megabyte.
    Memory,
    /// Has an error that says how much had come.
    Cut,
    /// Loses a frame that came in pieces.
    Torn,
    /// Forgets its error when more comes.
    ForgetsLater,
    /// Refuses to be asked where there is no frame.
    ErrorAtRest,
    /// Ends a stream that failed with another error.
    OtherEnd,
}

struct Subjected {
    decoder: Decoder,
    wrong: Wrong,
    /// Bytes of the last chunk.
    fed: usize,
    feeds: usize,
    asked: usize,
    failed_at: Option<usize>,
}

impl Subjected {
    fn new(format: Format, wrong: Wrong) -> Subjected {
        Subjected { decoder: Decoder::new(format), wrong, fed: 0, feeds: 0, asked: 0, failed_at: None }
    }
}

impl Subject for Subjected {
    type Error = String;

    fn feed(&mut self, chunk: &[u8]) {
        self.fed = chunk.len();
        self.feeds += 1;
        self.decoder.feed(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.asked += 1;
        if self.wrong == Wrong::Late && self.asked % 2 == 1 {
            return Ok(None);
        }
        match (self.decoder.next_frame().map(|frame| frame.map(|frame| frame.payload().to_vec())), self.wrong) {
            (Ok(None), Wrong::Surplus) => Ok(Some(Vec::new())),
            (Ok(Some(mut payload)), Wrong::Altered) => {
                payload.push(0);
                Ok(Some(payload))
            }
            (Ok(Some(_)), Wrong::EarlyError) => Err("refused".into()),
            (Ok(None), Wrong::ErrorAtRest) => Err("there is none".into()),
            (Ok(Some(_)), Wrong::Torn) if self.feeds > 1 => Ok(None),
            (Ok(found), _) => Ok(found),
            (Err(_), Wrong::ForgetsLater) if *self.failed_at.get_or_insert(self.feeds) < self.feeds => Ok(None),
            (Err(_), Wrong::NoError) => Ok(None),
            (Err(_), Wrong::Forgets) if self.asked > 1 => Ok(None),
            (Err(error), Wrong::NotFinal) => Err(format!("{error}, asked {} times", self.asked)),
            (Err(error), Wrong::Cut) => Err(format!("{error}, in a chunk of {}", self.fed.min(2))),
            (Err(error), _) => Err(error.to_string()),
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        match (self.decoder.finish(), self.wrong) {
            (_, Wrong::CleanEnd) => Ok(()),
            (Ok(()), Wrong::BadEnd) => Err("ended".into()),
            (Err(error), Wrong::Cut) => Err(format!("{error}, in a chunk of {}", self.fed.min(2))),
            (Err(error), Wrong::OtherEnd) => Err(format!("{error}, at the end")),
            (found, _) => found.map_err(|error| error.to_string()),
        }
    }

    fn memory(&self) -> Option<usize> {
        Some(if self.wrong == Wrong::Memory { 1 << 20 } else { self.decoder.capacity() })
    }
}

/// How many cases the suite has, or what it finds.
fn suite(wrong: Wrong) -> Result<u64, Violation> {
    let format = Format::U16_BE.with_max_payload_len(300).expect("a format");
    let make = || Subjected::new(format, wrong);
    let failure = match testing::try_suite(format, make) {
        Ok(cases) => return Ok(cases),
        Err(failure) => failure,
    };
    let text = failure.to_string();
    assert!(text.starts_with("a decoder of u16be, limit 300, is wrong about "), "{text}");
    Err(failure.violation)
}

#[test]
fn a_decoder_without_fault_passes() {
    let cases = suite(Wrong::Nothing).expect("no fault");
    assert!(cases > 1000, "{cases}");
    println!("cases: {cases}");
}

#[test]
fn each_fault_is_found_and_told() {
    let faults = [
        (Wrong::Late, "but was not yielded"),
        (Wrong::Surplus, "is yielded, but none is whole"),
        (Wrong::Altered, "was yielded"),
        (Wrong::NoError, "an error is missing"),
        (Wrong::EarlyError, "an unexpected error"),
        (Wrong::CleanEnd, "reported as clean, but it is Truncated"),
        (Wrong::BadEnd, "reported as \"ended\", but it is Clean"),
        (Wrong::NotFinal, "the error is not final"),
        (Wrong::Forgets, "then Ok(None)"),
        (Wrong::Memory, "1048576 bytes of memory are held"),
        (Wrong::Cut, "the error depends on the cuts"),
        (Wrong::Torn, "but was not yielded"),
        (Wrong::ForgetsLater, "then Ok(None)"),
        (Wrong::ErrorAtRest, "an unexpected error"),
        (Wrong::OtherEnd, "the error is not final"),
    ];
    for (wrong, told) in faults {
        let Err(violation) = suite(wrong) else { panic!("{wrong:?} is not found") };
        assert!(violation.to_string().contains(told), "{wrong:?}: {violation}");
    }
    println!("cases: {}", faults.len());
}

#[test]
#[should_panic(expected = "1048576 bytes of memory are held")]
fn the_suite_panics_with_what_was_wrong() {
    testing::suite(Format::U8, || Subjected::new(Format::U8, Wrong::Memory));
}

#[test]
#[should_panic(expected = "an error is missing: a payload of 4 bytes is over the limit of 3")]
fn a_checked_case_panics_with_what_was_wrong() {
    let format = Format::U8.with_max_payload_len(3).expect("a format");
    testing::check_case(&Case::new(format, b"\x04"), || Subjected::new(format, Wrong::NoError));
}

/// A decoder that does not report its memory must pass all other checks.
#[test]
fn memory_that_is_not_told_is_not_judged() {
    struct Untold(Subjected);

    impl Subject for Untold {
        type Error = String;

        fn feed(&mut self, chunk: &[u8]) {
            self.0.feed(chunk);
        }

        fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
            self.0.next_frame()
        }

        fn finish(&mut self) -> Result<(), String> {
            self.0.finish()
        }
    }

    let suite = |wrong| testing::try_suite(Format::U8, || Untold(Subjected::new(Format::U8, wrong)));
    assert!(suite(Wrong::Memory).is_ok());
    assert!(suite(Wrong::Altered).is_err());
}

#[test]
fn a_case_says_how_much_its_decoder_reads_and_that_is_never_nothing() {
    for (asked, read) in [(100, 100), (1, 1), (0, 1)] {
        let case = Case::new(Format::U8, *b"\x05hello").with_read_len(asked);
        assert_eq!(case.decoder().space().len(), read, "{asked} asked for");
        testing::check_stream(&case);
    }
}

/// Mistakes of a decoder with trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongBehind {
    Nothing,
    /// Yields it as a part of the payload.
    Yielded,
    /// Yields the payload before it came.
    Early,
    /// Says that an end inside it is clean.
    CleanEnd,
    /// Takes it for the next frame.
    Ignored,
    /// Counts it against the limit.
    Limited,
}

struct Behind {
    decoder: Decoder,
    wrong: WrongBehind,
    /// The payload that comes in parts.
    body: Vec<u8>,
}

impl Behind {
    fn new(format: Format, wrong: WrongBehind) -> Behind {
        let (layout, limit) = (format.layout(), format.max_payload_len());
        let format = match wrong {
            WrongBehind::Ignored => Format::new(layout.trailer(0), limit),
            WrongBehind::Limited => format.with_max_payload_len(limit - usize::from(layout.trailer)),
            _ => Ok(format),
        };
        Behind { decoder: Decoder::new(format.expect("a format")), wrong, body: Vec::new() }
    }

    /// A payload put together from its parts; its trailer is still to come.
    fn early(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.decoder.next_part().map_err(|error| error.to_string())? {
                None => return Ok(None),
                Some(Part::Start { payload_len: 0, .. }) => return Ok(Some(Vec::new())),
                Some(Part::Start { payload_len, .. }) => self.body = Vec::with_capacity(payload_len),
                Some(Part::Chunk(bytes)) => {
                    self.body.extend_from_slice(bytes);
                    if self.body.len() == self.body.capacity() {
                        return Ok(Some(std::mem::take(&mut self.body)));
                    }
                }
                Some(Part::End { .. }) => {}
            }
        }
    }
}

impl Subject for Behind {
    type Error = String;

    fn feed(&mut self, chunk: &[u8]) {
        self.decoder.feed(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.wrong == WrongBehind::Early {
            return self.early();
        }
        let Some(frame) = self.decoder.next_frame().map_err(|error| error.to_string())? else { return Ok(None) };
        let behind = if self.wrong == WrongBehind::Yielded { frame.trailer() } else { b"" };
        Ok(Some([frame.payload(), behind].concat()))
    }

    fn finish(&mut self) -> Result<(), String> {
        let ended = self.decoder.finish().map_err(|error| error.to_string());
        let in_trailer = |error: &String| error.contains("the trailer of a frame");
        if self.wrong == WrongBehind::CleanEnd && ended.as_ref().is_err_and(in_trailer) { Ok(()) } else { ended }
    }
}

/// A format with a trailer is under the same suite: the payload alone is yielded, once the trailer is there.
#[test]
fn each_fault_after_a_payload_is_found_and_reported() {
    let fixed = Layout::fixed(2, Endian::Big).trailer(4);
    let formats = [Format::new(fixed, 300), Format::new(Layout::varint(2).offset(1).trailer(255), 300)];
    for format in formats.map(|format| format.expect("a format")) {
        let suite = |wrong| testing::try_suite(format, || Behind::new(format, wrong));
        let cases = suite(WrongBehind::Nothing).expect("no fault");
        assert!(cases > 900, "{cases}");
        for (wrong, told) in [
            (WrongBehind::Yielded, "was yielded"),
            (WrongBehind::Early, "is yielded, but none is whole"),
            (WrongBehind::CleanEnd, "reported as clean, but it is Truncated { start: 0, phase: Trailer"),
            (WrongBehind::Ignored, "yielded, but none is whole"),
            (WrongBehind::Limited, "an unexpected error"),
        ] {
            let Err(failure) = suite(wrong) else { panic!("{wrong:?} is not found") };
            let violation = failure.violation.to_string();
            assert!(violation.contains(told), "{wrong:?}: {violation}");
        }
    }
}
