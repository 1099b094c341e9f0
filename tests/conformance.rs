//! Replays the conformance corpus, `tests/conformance/cases.json`; its README is the schema.

use serde_json::Value;
use unstick::framing::{
    DecodeErrorKind, Decoder, EncodeError, Encoder, Endian, Field, Format, FormatError, Head, Header, Layout, Oversize,
    Parsed,
};
use unstick::testing::Cuts;

#[test]
fn every_case_is_replayed_or_says_why_not() {
    let cases = cases();
    let mut replayed = [0; 5];
    let mut not_expressible = Vec::new();
    for case in &cases {
        if case.get("not_expressible").is_some() {
            not_expressible.push(text(case, "id"));
            continue;
        }
        let kind = match text(case, "kind") {
            "decode" => decode(case),
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
}

/// What no field description says is a custom header's: every frame has eight bytes, whatever its field is.
#[test]
fn a_length_that_ignores_its_field() {
    struct Eight;

    impl Header for Eight {
        fn max_header_len(&self) -> usize {
            4
        }

        fn max_payload_len(&self) -> usize {
            4
        }

        fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            let Some(field) = bytes.first_chunk::<4>() else { return Ok(Parsed::Need(4 - bytes.len())) };
            let field = u64::from(u32::from_le_bytes(*field));
            Ok(Parsed::Head(Head { prefix_len: 0, header_len: 4, field, payload_len: 4 }))
        }

        fn write(&self, _prefix: &[u8], _payload_len: usize, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
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

fn cases() -> Vec<Value> {
    let cases: Value = serde_json::from_str(include_str!("conformance/cases.json")).expect("the corpus is JSON");
    cases.as_array().expect("the corpus is a list").clone()
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

fn decode(case: &Value) -> usize {
    let id = text(case, "id");
    let format = format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
    let skips = case.get("on_oversize").is_some();
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
    if let Some(error) = error {
        assert_eq!(number(error, "after_frames"), Some(expected.frames.len()), "{id}: the error ends the stream");
    }
    let policy = if skips { Oversize::Skip { max_discard: u64::MAX } } else { Oversize::Reject };
    let chunks = list(case, "chunks");
    in_its_chunks(case, &format, policy, &expected, &chunks);
    let stream = chunks.concat();
    for cuts in all_cuts(id, &stream) {
        replay(id, &format, policy, &expected, &stream, &cuts);
    }
    // The same stream under the other policy is refused at the first frame over the limit.
    if let Some(first) = skipped.first() {
        let frames = expected.frames[..number(first, "after_frames").expect("a number")].to_vec();
        let expected = Expected { frames, error: Some("oversize".into()), at_end: false, skipped: 0, ..expected };
        for cuts in all_cuts(id, &stream) {
            replay(id, &format, Oversize::Reject, &expected, &stream, &cuts);
        }
    }
    0
}

/// In the chunks of the case: each frame and the error come just when the case says.
fn in_its_chunks(case: &Value, format: &Format, policy: Oversize, expected: &Expected, chunks: &[Vec<u8>]) {
    let id = text(case, "id");
    let error_at = case.get("error").and_then(|error| number(error, "after_chunk"));
    let skipped_at = case.get("skipped").map(|skipped| number(&skipped[0], "after_chunk").expect("a number"));
    let available = case.get("available").and_then(Value::as_array);
    let mut decoder = Decoder::new(*format).on_oversize(policy);
    let mut frames = 0;
    for (index, chunk) in chunks.iter().enumerate() {
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
}

fn replay(id: &str, format: &Format, policy: Oversize, expected: &Expected, stream: &[u8], cuts: &Cuts) {
    for read in [false, true] {
        let mut decoder = Decoder::with_read_len(*format, 64).on_oversize(policy);
        let mut frames = expected.frames.iter();
        let mut error = None;
        for chunk in cuts.chunks(stream) {
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

/// All at once, byte by byte, at every two-cut, at some cuts by lot. Of a stream over 2,000 bytes (a few of some MiB) the
/// cuts in two are those in its first and last 12 bytes and in 50 places between (over 100,000: the first 12 alone), and byte by byte is in 2,000 chunks.
fn all_cuts(id: &str, stream: &[u8]) -> Vec<Cuts> {
    let len = stream.len();
    let mut all = vec![Cuts::whole(), Cuts::every(len.div_ceil(2000))];
    let step = if len <= 2000 { 1 } else { len / 50 };
    let places = (1..len).filter(|at| at % step == 0 || *at < 12 || len - at < 12);
    all.extend(places.filter(|at| len < 100_000 || *at < 12).map(|at| Cuts::at(&[at])));
    let mut state = id.bytes().fold(0x9E37_79B9u32, |state, byte| state.rotate_left(5) ^ u32::from(byte));
    let longest = if len <= 2000 { 30 } else { len as u32 / 20 };
    for _ in 0..if len < 100_000 { 10 } else { 2 } {
        let lot = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) % longest) as usize
        };
        all.push(Cuts::of_lens((0..17).map(lot).collect()));
    }
    all
}

fn encode(case: &Value) -> usize {
    encode_under(case, |_| None);
    1
}

/// The wire images, and at the end the error, which leaves the output as it was. `limit` gives a limit from a frame on.
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
        let result = Encoder::new(format).encode(&prefix, payload, &mut out);
        match wire.get(index) {
            Some(image) => {
                assert_eq!(result, Ok(()), "{id}");
                assert!(out[6..] == image[..], "{id}: another wire image");
            }
            None => {
                let error = match result.expect_err(id) {
                    EncodeError::Oversize { .. } => "oversize",
                    EncodeError::Undersize { .. } => "undersize",
                    other => panic!("{id}: {other}"),
                };
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

fn format(case: &Value) -> Result<Format, FormatError> {
    let format = &case["format"];
    let byte = |key| number(format, key).and_then(|value| u8::try_from(value).ok());
    let field = match byte("varint") {
        Some(max_width) => Field::Varint { max_width, minimal: format["minimal"] == true },
        None => {
            let endian = if text(format, "endian") == "be" { Endian::Big } else { Endian::Little };
            Field::Fixed { width: byte("width").expect("a width"), endian }
        }
    };
    let adjustment = format["adjustment"].as_i64().expect("an adjustment");
    let layout = Layout { offset: byte("offset").expect("an offset"), field, adjustment };
    let greatest = layout.greatest_payload_len().expect("a layout that has payloads") as usize;
    Format::new(layout, number(format, "limit").unwrap_or(greatest))
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

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a text in {value}"))
}

fn number(value: &Value, key: &str) -> Option<usize> {
    value.get(key)?.as_u64().map(|number| number as usize)
}

fn list(value: &Value, key: &str) -> Vec<Vec<u8>> {
    let list = value[key].as_array().unwrap_or_else(|| panic!("{key} is a list in {value}"));
    list.iter().map(|item| bytes(item.as_str().expect("bytes"))).collect()
}

/// `616263 00x300`: hex, or one byte so many times, with spaces between.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{hex} is a byte in hex"));
    let mut bytes = Vec::new();
    for part in text.split_whitespace() {
        match part.split_once('x') {
            Some((hex, times)) => bytes.resize(bytes.len() + times.parse::<usize>().expect("a number"), byte(hex)),
            None => bytes.extend((0..part.len()).step_by(2).map(|at| byte(&part[at..at + 2]))),
        }
    }
    bytes
}
