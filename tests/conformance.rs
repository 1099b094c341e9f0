//! Replays the conformance corpus, `tests/conformance/cases.json`; its README is the schema.

#[path = "support/codec.rs"]
mod codec;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/sink.rs"]
mod sink;

use corpus::{bytes, cases, format, list, number, text};
use serde_json::Value;
use unstick::framing::{
    DecodeErrorKind, Decoder, EncodeError, Encoder, Envelope, Format, FormatError, Head, Header, Oversize, Parsed,
};
use unstick::testing::{self, Cuts};

/// Streams of up to this many bytes are cut in two at every offset.
const IN_TWO: usize = 20_000;

/// Streams of up to this many bytes are cut in three at every two offsets.
const IN_THREE: usize = 400;

#[test]
fn every_case_is_replayed_or_says_why_not() {
    let cases = cases();
    let mut replayed = [0; 5];
    let mut count = 0;
    let mut not_expressible = Vec::new();
    for case in &cases {
        if case.get("not_expressible").is_some() {
            not_expressible.push(text(case, "id"));
            continue;
        }
        let kind = match text(case, "kind") {
            "decode" => decode(case, &mut count),
            "encode" => encode(case),
            "value" => value(case),
            "format" => format_made(case),
            "write" => write(case),
            other => panic!("no kind {other}"),
        };
        replayed[kind] += 1;
    }
    assert_eq!(replayed, [131, 33, 13, 5, 3], "decode, encode, value, format, write");
    assert_eq!(
        not_expressible,
        [
            "tokio-util/read-update-max-frame-len-in-flight",
            "netty/strip-exceeds-frame",
            "netty/strip-exceeds-frame-then-good",
            "netty/max-zero",
            "pekko/ignore-length-field-when-compute-frame-size-27884",
        ]
    );
    assert_eq!(cases.len(), 190);
    println!("cases: {}", count + replayed[1..].iter().sum::<usize>());
}

/// What no field description says is a custom header's: every frame has eight bytes, whatever its field is.
#[test]
fn a_length_that_ignores_its_field() {
    struct Eight;

    impl Header for Eight {
        type Check = ();

        fn max_header_len(&self) -> usize {
            4
        }

        fn max_payload_len(&self) -> usize {
            4
        }

        fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            let Some(field) = bytes.first_chunk::<4>() else { return Ok(Parsed::Need(4 - bytes.len())) };
            let field = u64::from(u32::from_le_bytes(*field));
            Ok(Parsed::Head(Head::new(4, 4).field(field)))
        }

        fn write(&self, _: Envelope<'_>, _payload_len: usize, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
            Err(EncodeError::Custom("decoded only"))
        }
    }

    let cases = cases();
    let case = cases.iter().find(|case| text(case, "id").starts_with("pekko/ignore-length")).expect("the case");
    let mut decoder = Decoder::new(Eight);
    decoder.feed(&list(case, "chunks").concat());
    let frame = decoder.next_frame().expect("a field that means nothing is no error").expect("a whole frame");
    assert_eq!(frame.as_bytes(), list(case, "frames")[0]);
}

fn is_replayed(case: &Value, kind: &str) -> bool {
    case.get("not_expressible").is_none() && text(case, "kind") == kind
}

/// What a replay must see.
struct Expected {
    frames: Vec<Vec<u8>>,
    begins_at: Option<usize>,
    error: Option<String>,
    /// Whether the error comes only when the stream ends.
    at_end: bool,
    ends: bool,
    skipped: usize,
}

fn all_replays(cases: &[Value]) -> impl Iterator<Item = Replay<'_>> {
    cases.iter().filter(|case| is_replayed(case, "decode")).flat_map(replays)
}

/// The streams of a decode case: under its own policy, and one with a frame that is skipped also under the policy that
/// refuses the first of them.
fn replays(case: &Value) -> Vec<Replay<'_>> {
    let id = text(case, "id");
    let format = format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
    let skipped = case.get("skipped").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let error = case.get("error");
    let expected = Expected {
        frames: list(case, "frames"),
        begins_at: number(case, "begins_at"),
        error: error.map(|error| text(error, "kind").to_owned()),
        at_end: error.is_some_and(|error| error["after_chunk"].is_null()),
        ends: case["ends"] == true,
        skipped: skipped.len(),
    };
    let policy = match case.get("on_oversize") {
        Some(_) => Oversize::Skip { max_discard: u64::MAX },
        None => Oversize::Reject,
    };
    let stream = list(case, "chunks").concat();
    let mut replays = vec![Replay { id, format, policy, expected, stream: stream.clone() }];
    if let Some(first) = skipped.first() {
        let frames = list(case, "frames")[..number(first, "after_frames").expect("a number")].to_vec();
        let Expected { begins_at, ends, .. } = replays[0].expected;
        let expected = Expected { frames, begins_at, error: Some("oversize".into()), at_end: false, ends, skipped: 0 };
        replays.push(Replay { id, format, policy: Oversize::Reject, expected, stream });
    }
    replays
}

/// In its chunks; and all at once, byte by byte (a stream over 20,000 bytes in as many chunks), and at cuts by lot.
/// Counts the replays.
fn decode(case: &Value, count: &mut usize) -> usize {
    for (index, replay) in replays(case).iter().enumerate() {
        if index == 0 {
            in_its_chunks(case, replay);
            *count += 1;
        }
        let finest = Cuts::every(replay.stream.len().div_ceil(IN_TWO));
        *count += replay.in_cuts([Cuts::whole(), finest]) + replay.in_cuts(by_lot(replay));
    }
    0
}

/// Cuts in two at every offset, of every stream up to 20,000 bytes: all but 15.
#[test]
fn every_stream_up_to_20_000_bytes_is_cut_in_two_at_every_place() {
    let (cases, mut count) = (cases(), 0);
    for replay in all_replays(&cases).filter(|replay| replay.stream.len() <= IN_TWO) {
        count += replay.in_cuts((1..replay.stream.len()).map(|at| Cuts::at(&[at])));
    }
    println!("cases: {count}");
}

/// Cuts in three at every two offsets, of every stream up to 400 bytes: all but 26. They are fed and read in place
/// alternately.
#[test]
fn every_stream_up_to_400_bytes_is_cut_in_three_at_every_two_places() {
    let (cases, mut count) = (cases(), 0);
    for replay in all_replays(&cases).filter(|replay| replay.stream.len() <= IN_THREE) {
        let len = replay.stream.len();
        for first in 1..len {
            for second in first + 1..len {
                replay.once(&Cuts::at(&[first, second]), second % 2 == 0);
                count += 1;
            }
        }
    }
    println!("cases: {count}");
}

/// A stream that is too long for that is cut in two and in three wherever the decoder decides something: inside every
/// header, and at every boundary of header, payload and frame and a byte before and after it. A cut anywhere else is
/// inside a payload; at each of those offsets, byte by byte, the decoder waits for exactly the missing bytes.
#[test]
fn every_longer_stream_is_cut_in_two_and_three_wherever_something_is_decided() {
    let (cases, mut count) = (cases(), 0);
    let longer_than = |len| all_replays(&cases).filter(|replay| replay.stream.len() > len).count();
    assert_eq!((longer_than(IN_THREE), longer_than(IN_TWO)), (26, 15));
    // Many cases are of one stream that was cut differently.
    let mut seen: Vec<Replay<'_>> = Vec::new();
    for replay in all_replays(&cases).filter(|replay| replay.stream.len() > IN_THREE) {
        let places = replay.decisive();
        for (index, &first) in places.iter().enumerate() {
            count += replay.in_cuts([Cuts::at(&[first])]);
            count += replay.in_cuts(places[index + 1..].iter().map(|&second| Cuts::at(&[first, second])));
        }
        let is_same = |other: &Replay<'_>| other.format == replay.format && other.stream == replay.stream;
        if !seen.iter().any(is_same) {
            replay.waits_at_every_byte();
            seen.push(replay);
            count += 1;
        }
    }
    println!("cases: {count}");
}

/// In the chunks of the case: each frame and the error come just when the case says.
fn in_its_chunks(case: &Value, replay: &Replay<'_>) {
    let Replay { id, format, policy, expected, .. } = replay;
    let error_at = case.get("error").and_then(|error| number(error, "after_chunk"));
    let skipped_at = case.get("skipped").map(|skipped| number(&skipped[0], "after_chunk").expect("a number"));
    let available = case.get("available").and_then(Value::as_array);
    let mut decoder = Decoder::new(*format).on_oversize(*policy);
    let mut frames = 0;
    for (index, chunk) in list(case, "chunks").iter().enumerate() {
        decoder.feed(chunk);
        let failed = loop {
            match decoder.next_frame() {
                Ok(Some(_)) => frames += 1,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert_eq!(failed, error_at.is_some_and(|at| at <= index), "{id}: an error after chunk {index}");
        if let Some(available) = available {
            assert_eq!(available[index].as_u64(), Some(frames), "{id}: frames after chunk {index}");
        }
        if let Some(at) = skipped_at {
            assert_eq!(decoder.skipped().frames > 0, at <= index, "{id}: skipped after chunk {index}");
        }
    }
    assert_eq!(frames as usize, expected.frames.len(), "{id}");
    if let Some(error) = case.get("error") {
        assert_eq!(number(error, "after_frames"), Some(expected.frames.len()), "{id}: the error ends the stream");
    }
}

/// A stream, and what must be seen in whatever way it is cut.
struct Replay<'a> {
    id: &'a str,
    format: Format,
    policy: Oversize,
    expected: Expected,
    stream: Vec<u8>,
}

impl Replay<'_> {
    /// Replays each of these cuts, fed and read in place. Returns the number of replays.
    fn in_cuts(&self, all: impl IntoIterator<Item = Cuts>) -> usize {
        let mut count = 0;
        for cuts in all {
            for read in [false, true] {
                self.once(&cuts, read);
                count += 1;
            }
        }
        count
    }

    fn once(&self, cuts: &Cuts, read: bool) {
        let Replay { id, expected, .. } = self;
        let mut decoder = Decoder::with_read_len(self.format, 64).on_oversize(self.policy);
        let mut frames = expected.frames.iter();
        let mut error = None;
        for chunk in cuts.chunks(&self.stream) {
            put(&mut decoder, chunk, read);
            loop {
                match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let begins_at = expected.begins_at.unwrap_or(frame.header().len());
                        let due = frames.next().unwrap_or_else(|| panic!("{id}: a frame too many in {cuts:?}"));
                        assert!(frame.as_bytes()[begins_at..] == due[..], "{id}: another frame in {cuts:?}");
                    }
                    Err(found) => {
                        error = Some(found);
                        break;
                    }
                }
            }
        }
        assert_eq!(frames.len(), 0, "{id}: frames are missing in {cuts:?}");
        assert_eq!(decoder.skipped().frames as usize, expected.skipped, "{id}: skipped in {cuts:?}");
        if expected.error.is_some() && !expected.at_end {
            let found = error.unwrap_or_else(|| panic!("{id}: no error in {cuts:?}"));
            assert_eq!(Some(name(found.kind())), expected.error.as_deref(), "{id} in {cuts:?}");
        } else {
            assert_eq!(error, None, "{id} in {cuts:?}");
            if expected.ends {
                let found = decoder.finish().err().map(|error| name(error.kind()));
                assert_eq!(found, expected.error.as_deref(), "{id}: the end in {cuts:?}");
            }
        }
    }

    /// Byte by byte: inside a frame all that is missing of it is needed, and nothing is yielded before.
    fn waits_at_every_byte(&self) {
        let mut decoder = Decoder::new(self.format).on_oversize(self.policy);
        let mut fed = 0;
        for frame in testing::Expected::of(&self.format, self.policy, &self.stream).frames {
            assert!(frame.whole && !frame.skipped, "{}: a long stream of whole frames", self.id);
            let (body, end) = (frame.start + frame.header_len, frame.end() as usize);
            for at in fed..end {
                decoder.feed(&self.stream[at..=at]);
                let missing = end - (at + 1);
                if missing > 0 && at + 1 >= body {
                    assert_eq!((decoder.need(), decoder.has_frame()), (missing, Ok(false)), "{} at {at}", self.id);
                }
            }
            let yielded = decoder.next_frame().expect("no error").expect("a whole frame");
            assert!(yielded.payload() == frame.payload(&self.stream), "{}: the frame that ends at {end}", self.id);
            fed = end;
        }
    }

    /// Where the decoder decides: inside each header, and at each boundary, and a byte before and after it.
    fn decisive(&self) -> Vec<usize> {
        let frames = testing::Expected::of(&self.format, self.policy, &self.stream).frames;
        let ranges = frames.iter().flat_map(|frame| {
            let (header, end) = (frame.start, frame.end() as usize);
            [header.saturating_sub(1)..=header + frame.header_len + 1, end.saturating_sub(1)..=end.saturating_add(1)]
        });
        let mut places: Vec<usize> = ranges.flatten().filter(|at| (1..self.stream.len()).contains(at)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn put(decoder: &mut Decoder, mut chunk: &[u8], read: bool) {
    if !read {
        decoder.feed(chunk);
        return;
    }
    while !chunk.is_empty() {
        let space = decoder.space();
        let len = space.len().min(chunk.len());
        space[..len].copy_from_slice(&chunk[..len]);
        decoder.filled(len);
        chunk = &chunk[len..];
    }
}

/// Ten random ways, or two for a stream of 100,000 bytes or more.
fn by_lot(replay: &Replay<'_>) -> Vec<Cuts> {
    let len = replay.stream.len();
    let mut state = replay.id.bytes().fold(0x9E37_79B9u32, |state, byte| state.rotate_left(5) ^ u32::from(byte));
    let longest = if len <= 2000 { 30 } else { len as u32 / 20 };
    let mut lot = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) % longest) as usize
    };
    (0..if len < 100_000 { 10 } else { 2 }).map(|_| Cuts::of_lens((0..17).map(&mut lot).collect())).collect()
}

fn encode(case: &Value) -> usize {
    encode_under(case, |_| None);
    1
}

/// The wire images, and at the end the error, which leaves the output unchanged. `limit` sets a limit from a frame on.
fn encode_under(case: &Value, limit: impl Fn(usize) -> Option<usize>) {
    let id = text(case, "id");
    let mut format = format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
    let wire = list(case, "wire");
    for (index, payload) in list(case, "payloads").iter().enumerate() {
        if let Some(limit) = limit(index) {
            format = format.with_max_payload_len(limit).expect("the limit of the case");
        }
        let prefix = vec![0; usize::from(format.layout().offset)];
        let mut out = b"before".to_vec();
        let result = Encoder::new(format).encode_with(&prefix, payload, &mut out);
        match wire.get(index) {
            Some(image) => {
                assert_eq!(result, Ok(()), "{id}");
                assert!(out[6..] == image[..], "{id}: another wire image");
            }
            None => {
                let error = refusal(result.expect_err(id));
                assert_eq!((error, &out[..]), (text(case, "error"), &b"before"[..]), "{id}");
            }
        }
    }
}

/// What the core has to do with a scripted sink: the bytes that the sink must take, and a limit that changes.
fn write(case: &Value) -> usize {
    let then = case.get("limit_then");
    encode_under(case, |index| {
        let then = then.filter(|then| number(then, "after_frames") == Some(index))?;
        number(then, "limit")
    });
    4
}

/// What the corpus calls an error of encoding.
fn refusal(error: EncodeError) -> &'static str {
    match error {
        EncodeError::Oversize { .. } => "oversize",
        EncodeError::Undersize { .. } => "undersize",
        other => panic!("no case expects {other}"),
    }
}

/// One varint: its number, or its error, or that it is not whole.
fn value(case: &Value) -> usize {
    let id = text(case, "id");
    let format = format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
    let bytes = bytes(text(case, "bytes"));
    match case.get("error") {
        Some(error) => {
            let mut decoder = Decoder::new(format);
            decoder.feed(&bytes);
            let found = decoder.next_frame().map(|frame| frame.is_some()).expect_err(id);
            assert_eq!(Some(name(found.kind())), error.as_str(), "{id}");
        }
        None if case.get("incomplete").is_some() => assert_eq!(format.parse(&bytes), Ok(Parsed::Need(1)), "{id}"),
        None => {
            let Ok(Parsed::Head(head)) = format.parse(&bytes) else { panic!("{id}: no number") };
            assert_eq!(head.field.to_string(), text(case, "value"), "{id}");
            assert_eq!(head.header_len, bytes.len(), "{id}");
        }
    }
    2
}

fn format_made(case: &Value) -> usize {
    let id = text(case, "id");
    match (format(case), case.get("refused").and_then(Value::as_str)) {
        (Ok(format), None) => assert_eq!(Some(format.max_payload_len()), number(&case["format"], "limit"), "{id}"),
        (Err(FormatError::LimitTooGreat { greatest, .. }), Some("limit-too-great")) => {
            assert_eq!(Some(greatest as usize), number(case, "greatest"), "{id}");
        }
        (made, refused) => panic!("{id}: {made:?}, and the case says {refused:?}"),
    }
    3
}

fn name(kind: DecodeErrorKind) -> &'static str {
    match kind {
        DecodeErrorKind::Oversize { .. } => "oversize",
        DecodeErrorKind::Underflow { .. } => "underflow",
        DecodeErrorKind::Truncated { .. } => "truncated",
        DecodeErrorKind::VarintTooLong { .. } => "varint-too-long",
        DecodeErrorKind::VarintOverflow => "varint-overflow",
        DecodeErrorKind::VarintNotMinimal { .. } => "varint-not-minimal",
        other => panic!("no case expects {other:?}"),
    }
}
