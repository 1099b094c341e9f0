//! A `Format` has a fast path to a whole frame beside `parse`. It is tested with every kind and width of field, and
//! with all kinds of bytes after the frame: it returns what `parse` returns, and leaves to `parse` only what it must.

use unstick::framing::{
    DecodeErrorKind, Decoder, Diagnosis, EncodeError, Encoder, Endian, Envelope, Field, Format, Frame, Head, Header,
    Layout, Parsed,
};

/// A format without its quick way.
#[derive(Clone, Copy)]
struct Thorough(Format);

impl Header for Thorough {
    type Check = ();

    fn max_header_len(&self) -> usize {
        self.0.max_header_len()
    }

    fn max_payload_len(&self) -> usize {
        self.0.max_payload_len()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        self.0.parse(bytes)
    }

    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.0.write(envelope, payload_len, out)
    }
}

/// A length field as it stands on the wire, and its number, which is computed here the slow way.
#[derive(Clone, Debug)]
struct OnWire {
    bytes: Vec<u8>,
    number: u128,
    /// Whether a varint says in these bytes what fewer could say.
    is_longer_than_needed: bool,
}

/// Bytes of payload that a field is made to declare by the adjustment.
const PAYLOAD_LENS: [u64; 4] = [0, 1, 7, 12];

/// Bytes after a frame: none, fewer than the fast path reads, or bytes that look like those of a field.
const TAILS: [&[u8]; 5] = [b"", b"\xFF\xFF\xFF", &[0; 9], &[0xFF; 9], b"\x81\x82\x83\x84\x85\x86\x87\x88\x09"];

#[test]
fn of_every_fixed_width_it_says_what_parse_says() {
    let mut counts = Counts::default();
    for width in 1..=8u8 {
        let len = usize::from(width);
        let patterns = [&[0; 8], &[0xFF; 8], &[0x80, 0, 0, 0, 0, 0, 0, 0], &[1, 2, 3, 4, 5, 6, 7, 8]];
        for (pattern, endian) in patterns.into_iter().flat_map(|bytes| [(bytes, Endian::Big), (bytes, Endian::Little)])
        {
            let bytes = pattern[..len].to_vec();
            let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
            let number = match endian {
                Endian::Big => bytes.iter().fold(0, add),
                Endian::Little => bytes.iter().rev().fold(0, add),
            };
            let on_wire = OnWire { bytes, number, is_longer_than_needed: false };
            counts.check_all(&on_wire, Field::Fixed { width, endian });
        }
    }
    counts.are_at_least(2000, 2000);
}

#[test]
fn of_every_varint_it_says_what_parse_says() {
    let mut counts = Counts::default();
    for width in 1..=10u8 {
        for on_wire in varints(width.into()) {
            for max_width in [1, width.saturating_sub(1), width, 10] {
                for minimal in [false, true] {
                    counts.check_all(&on_wire, Field::Varint { max_width, minimal });
                }
            }
        }
    }
    counts.are_at_least(5000, 5000);
}

/// Varints of `len` bytes: the least and the greatest, one in which each byte is another, and longer ones than needed.
fn varints(width: usize) -> Vec<OnWire> {
    let with_last = |(more, last): (fn(usize) -> u8, u8)| {
        let mut bytes: Vec<u8> = (1..width).map(|at| more(at) | 0x80).collect();
        bytes.push(last);
        let groups = bytes.iter().enumerate();
        let number = groups.map(|(at, byte)| u128::from(byte & 0x7F) << (7 * at)).sum();
        OnWire { bytes, number, is_longer_than_needed: width > 1 && last == 0 }
    };
    let [none, all, own]: [fn(usize) -> u8; 3] = [|_| 0, |_| 0xFF, |at| at as u8];
    [(none, 1), (all, 0x7F), (own, 0x5A), (own, 1), (none, 0), (all, 0), (own, 0)].map(with_last).into()
}

/// How many cases there were with a whole frame, and without.
#[derive(Default)]
struct Counts {
    found: usize,
    none: usize,
}

impl Counts {
    fn are_at_least(&self, found: usize, none: usize) {
        println!("cases: {}", self.found + self.none);
        assert!(self.found >= found && self.none >= none, "{} found and {} not", self.found, self.none);
    }

    /// A frame that begins with this field, under every adjustment and limit that are told apart, in every surrounding.
    fn check_all(&mut self, on_wire: &OnWire, field: Field) {
        for payload_len in PAYLOAD_LENS {
            // Where no adjustment goes so far down, there is no such format.
            let Ok(adjustment) = i64::try_from(i128::from(payload_len) - on_wire.number as i128) else { continue };
            for (offset, limit) in
                [(0, 0), (0, payload_len), (2, payload_len), (9, 1 << 20), (0, payload_len.max(1) - 1)]
            {
                let Ok(format) = Format::new(Layout::of(field).offset(offset).adjustment(adjustment), limit as usize)
                else {
                    continue;
                };
                for tail in TAILS {
                    self.check(format, on_wire, payload_len as usize, tail);
                }
            }
        }
    }

    /// The frame with bytes before and after it, and the same without its last byte.
    fn check(&mut self, format: Format, on_wire: &OnWire, payload_len: usize, tail: &[u8]) {
        let prefix = vec![0xA5; format.layout().offset.into()];
        let header = [&prefix[..], &on_wire.bytes].concat();
        let frame = [&header[..], &vec![0xC3; payload_len]].concat();
        let is_good = payload_len <= format.max_payload_len() && is_taken(on_wire, format.layout().field);
        let found = self.compare(format, &frame, tail, header.len(), is_good);
        if found {
            let stream = [&frame[..], tail].concat();
            let mut decoder = Decoder::new(format);
            let given = decoder.next_frame_from(&mut &stream[..]).expect("no error").expect("a whole frame");
            assert_eq!(parts(given), (&prefix[..], &header[..], &frame[header.len()..]), "{format:?}");
        }
        let cut = &frame[..frame.len() - 1];
        assert!(!self.compare(format, cut, b"", header.len(), false), "{format:?} of {cut:x?}");
    }

    fn compare(&mut self, format: Format, frame: &[u8], tail: &[u8], header_len: usize, is_good: bool) -> bool {
        for before in [&b""[..], b"\xFF\x01\x80"] {
            let bytes = [before, frame, tail].concat();
            let expected = Thorough(format).whole_frame(&bytes, before.len());
            assert_eq!(expected.is_some(), is_good, "{format:?} of {frame:x?}");
            // What ends sooner is left to `parse`, and so are varints longer than eight bytes.
            let offset = usize::from(format.layout().offset);
            let is_quick = frame.len() + tail.len() >= offset + 8 && header_len <= offset + 8;
            let quick = format.whole_frame(&bytes, before.len());
            assert_eq!(quick, expected.filter(|_| is_quick), "{format:?} of {frame:x?} with {tail:x?} behind");
        }
        *(if is_good { &mut self.found } else { &mut self.none }) += 1;
        is_good
    }
}

/// A frame with a trailer has no fast path: it is left to `parse`, which finds it as it does without the trailer.
#[test]
fn a_frame_with_a_trailer_is_left_to_parse() {
    let mut cases = 0;
    for field in [Layout::fixed(4, Endian::Little), Layout::fixed(3, Endian::Big), Layout::varint(10)] {
        for (offset, trailer) in [(0, 1), (3, 8), (9, 255)] {
            let bare = Format::new(field.offset(offset), 300).expect("a format");
            let format = Format::new(field.offset(offset).trailer(trailer), 300).expect("a format");
            let (prefix, trailer) = (vec![0xA5; offset.into()], vec![0x5A; trailer.into()]);
            for len in [0, 1, 200, 300] {
                let (mut frame, mut wire) = (Vec::new(), Vec::new());
                let payload = vec![0xC3; len];
                Encoder::new(bare).encode_with(&prefix, &payload, &mut frame).expect("within the limit");
                let envelope = Envelope { prefix: &prefix, trailer: &trailer };
                Encoder::new(format).encode_with(envelope, &payload, &mut wire).expect("within the limit");
                assert_eq!(wire, [&frame[..], &trailer].concat(), "{format:?}");
                assert_eq!(format.whole_frame(&wire, 0), None, "{format:?}");
                assert!(Thorough(format).whole_frame(&wire, 0).is_some_and(|span| span.frame_len() == wire.len()));
                assert_eq!(Thorough(format).whole_frame(&wire[..wire.len() - 1], 0), None, "{format:?}");
                let mut decoder = Decoder::new(format);
                let found = decoder.next_frame_from(&mut &wire[..]).map(|frame| frame.map(Frame::envelope));
                assert_eq!(found, Ok(Some(envelope)), "{format:?}");
                cases += 1;
            }
        }
    }
    println!("cases: {cases}");
}

fn is_taken(on_wire: &OnWire, field: Field) -> bool {
    match field {
        Field::Varint { max_width, minimal } => {
            let is_short = on_wire.bytes.len() <= max_width.into() && on_wire.number <= u64::MAX.into();
            is_short && !(minimal && on_wire.is_longer_than_needed)
        }
        _ => true,
    }
}

fn parts(frame: Frame<'_>) -> (&[u8], &[u8], &[u8]) {
    (frame.prefix(), frame.header(), frame.payload())
}

/// A varint's tenth byte has one bit, and it counts.
#[test]
fn the_64th_bit_of_a_varint_counts() {
    let ten = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    let lowest = Format::new(Layout::varint(10).adjustment(i64::MIN), 9).expect("a format");
    let mut wire = Vec::new();
    Encoder::new(lowest).encode_with(b"", b"", &mut wire).expect("within the limit");
    assert_eq!(wire, ten);
    for format in [lowest, Format::VARINT] {
        let mut decoder = Decoder::new(format);
        decoder.feed(&ten);
        let found = decoder.next_frame();
        if format == lowest {
            assert_eq!(found.map(|frame| frame.expect("a whole frame").payload().len()), Ok(0));
        } else {
            let over = DecodeErrorKind::Oversize { field: 1 << 63, payload_len: 1 << 63, max_payload_len: 1 << 20 };
            assert_eq!(found.map_err(|error| error.kind()), Err(over));
        }
    }
}

/// One byte is the same in both orders, also if its header has another limit.
#[test]
fn a_byte_has_no_other_order() {
    let kind = DecodeErrorKind::Oversize { field: 5, payload_len: 5, max_payload_len: 3 };
    assert_eq!(Format::U8.diagnose(kind, 9, b"\x05"), None);
    let two = DecodeErrorKind::Oversize { field: 0x500, payload_len: 0x500, max_payload_len: 3 };
    assert_eq!(Format::U16_BE.diagnose(two, 9, b"\x05\0"), Some(Diagnosis::OtherByteOrder { payload_len: 5 }));
}

/// 0 is below the least field here, and no negative number.
#[test]
fn zero_is_not_negative() {
    let mut decoder = Decoder::new(Format::U32_BE_INCLUSIVE);
    decoder.feed(&[0; 4]);
    let error = decoder.next_frame().expect_err("a negative payload");
    assert_eq!((error.kind(), error.diagnosis()), (DecodeErrorKind::Underflow { field: 0, adjustment: -4 }, None));
}

/// A head names the prefix and the header, however they are read.
#[test]
fn a_head_says_where_the_header_ends() {
    let format = Format::new(Layout::varint(3).offset(2), 300).expect("a format");
    let head = Head::new(4, 300).prefix(2);
    assert_eq!(format.parse(b"ab\xAC\x02"), Ok(Parsed::Head(head)));
    assert_eq!(format.parse(b"ab\xAC"), Ok(Parsed::Need(1)));
}

/// If a custom header has no diagnosis of its own, a stream that is cut in its first frame is recognized by the known
/// hellos.
#[test]
fn a_custom_header_cut_short_is_told_by_its_hello() {
    for (stream, diagnosis) in [(&[22, 3][..], None), (&[22, 3, 1, 0, 9, 1], Some(Diagnosis::Tls))] {
        let mut decoder = Decoder::new(Thorough(Format::U8));
        decoder.feed(stream);
        assert_eq!(decoder.finish().expect_err("truncated").diagnosis(), diagnosis, "{stream:?}");
    }
}
