//! Trailers and checks, through the adapters.

use unstick::framing::{Check, Endian, Envelope, Head, Layout, Parsed};

use super::*;

/// A little-endian u32 that counts the payload; the payload; and a little-endian u32: all bytes before it added up.
#[derive(Clone, Copy, Debug)]
struct Summed;

#[derive(Clone, Debug, Default)]
struct Sum(u32);

impl Check for Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    }

    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        let stated = u32::from_le_bytes(trailer.try_into().expect("four bytes"));
        let (stated, computed) = (stated.into(), self.0.into());
        if stated == computed { Ok(()) } else { Err(DecodeErrorKind::Mismatch { stated, computed }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }
}

impl Header for Summed {
    type Check = Sum;

    fn max_header_len(&self) -> usize {
        4
    }

    fn max_payload_len(&self) -> usize {
        1 << 20
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let Some(field) = bytes.first_chunk::<4>() else { return Ok(Parsed::Need(4 - bytes.len())) };
        Ok(Parsed::Head(Head::new(4, u32::from_le_bytes(*field).into()).trailer(4)))
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Format::U32_LE.write(Envelope::default(), payload_len, out)
    }

    fn check(&self, header: &[u8]) -> Sum {
        let mut sum = Sum::default();
        sum.update(header);
        sum
    }
}

/// A tag, a big-endian u32 that counts the payload, and a line's end.
fn line() -> Format {
    Format::with_default_limit(Layout::fixed(4, Endian::Big).offset(1).trailer(2)).expect("a format")
}

const LINE: Envelope<'static> = Envelope { prefix: b"#", trailer: b"\r\n" };

/// A header with a prefix and a trailer.
trait Around: Header + Clone + Unpin {
    const ENVELOPE: Envelope<'static>;

    fn wire(&self, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for payload in payloads {
            Encoder::new(self).encode_with(Self::ENVELOPE, payload, &mut wire).expect("within the limit");
        }
        wire
    }
}

impl Around for Format {
    const ENVELOPE: Envelope<'static> = LINE;
}

impl Around for Summed {
    const ENVELOPE: Envelope<'static> = Envelope { prefix: b"", trailer: b"" };
}

/// Whole, cut short at every byte, and with a bit of every byte turned; cut in two everywhere.
#[test]
fn frames_with_a_trailer_are_read_however_they_are_cut() {
    fn check<H: Around>(header: &H) -> usize {
        let payloads = [b"ab".to_vec(), Vec::new()];
        let wire = header.wire(&payloads);
        let turned = (0..wire.len()).map(|at| {
            let mut wire = wire.clone();
            wire[at] ^= 1;
            wire
        });
        let streams: Vec<Vec<u8>> = (0..=wire.len()).map(|len| wire[..len].to_vec()).chain(turned).collect();
        assert_eq!(decode(header.clone(), &wire).0, payloads);
        let mut cases = 0;
        for stream in streams {
            let expected = decode(header.clone(), &stream);
            for at in 0..=stream.len() {
                let script = [Step::Pass(at.max(1)), Step::Pending, Step::Interrupted, Step::Pass(1), Step::Pending];
                for (name, take) in takes() {
                    assert_same(&take(ChoppyRead::new(&stream, script), header.clone()), &expected, name);
                    cases += 1;
                }
            }
        }
        cases
    }

    println!("cases: {}", check(&line()) + check(&Summed));
}

/// What was passed on of a body in parts was passed on; its end is refused, for ever.
#[test]
fn a_body_in_parts_that_is_not_as_its_check_says_has_no_end() {
    let mut wire = Summed.wire(&[vec![1; 100]]);
    wire[50] ^= 1;
    let mut read = FramedRead::new(ChoppyRead::new(&wire, [Step::Pass(30); 4]), Summed);
    let mut chunks = 0;
    let error = loop {
        match block_on(read.next_part()) {
            Ok(Some(Part::Start { payload_len, .. })) => assert_eq!(payload_len, 100),
            Ok(Some(Part::Chunk(bytes))) => chunks += bytes.len(),
            Ok(part) => panic!("{part:?}"),
            Err(ReadError::Decode(error)) => break error,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((chunks, error.offset(), error.header()), (100, 0, &b""[..]));
    assert_eq!(error.kind(), DecodeErrorKind::Mismatch { stated: 200, computed: 199 });
    for _ in 0..2 {
        let again = block_on(read.next_part()).expect_err("for ever");
        assert!(matches!(again, ReadError::Decode(again) if again == error));
    }
}

/// Owned payloads are payloads alone, copied or in the memory that the whole frame was read into.
#[test]
fn owned_payloads_end_before_their_trailers() {
    fn check<H: Around>(header: &H) {
        for len in [1, 10, 4 * 1024, 4 * 1024 + 1, 100_000] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let wire = header.wire(std::slice::from_ref(&payload));
            let decoder = Decoder::with_read_len(header.clone(), wire.len());
            let mut stream = FramedRead::with_decoder(&wire[..], decoder).into_stream();
            let found = block_on(stream.next()).expect("an item").expect("a frame");
            assert!(found == payload, "{len} bytes");
            assert_eq!(found.is_unique(), len <= 4 * 1024, "a long one is where it was read into");
            assert!(block_on(stream.next()).is_none());
        }
    }

    check(&line());
    check(&Summed);
}

/// How a test puts frames into a writer.
type Put<H> = fn(&mut FramedWrite<ChoppyWrite, H>, &[u8]) -> Result<(), WriteError>;

fn puts<H: Around>() -> [(&'static str, Put<H>); 2] {
    [
        ("enqueue_with", |write, payload| Ok(write.enqueue_with(H::ENVELOPE, payload)?)),
        ("feed_with", |write, payload| block_on(write.feed_with(H::ENVELOPE, payload))),
    ]
}

/// A check needs no envelope, so that every way to send is one.
const PUTS_SUMMED: [(&str, Put<Summed>); 4] = [
    ("enqueue", |write, payload| Ok(write.enqueue(payload)?)),
    ("enqueue_bytes", |write, payload| Ok(write.enqueue_bytes(Bytes::copy_from_slice(payload))?)),
    ("send", |write, payload| block_on(write.send(payload))),
    ("Sink", |write, payload| {
        let mut sink = std::mem::replace(write, FramedWrite::new(ChoppyWrite::new([]), Summed)).into_sink();
        let put = block_on(sink.feed(Bytes::copy_from_slice(payload)));
        *write = sink.into_inner();
        put
    }),
];

fn some_payloads() -> Vec<Vec<u8>> {
    let lens = [5, NO_COPY_LEN, 0, NO_COPY_LEN - 1, NO_COPY_LEN + 1, 4];
    lens.iter().enumerate().map(|(index, len)| vec![index as u8 + 1; *len]).collect()
}

#[test]
fn every_way_to_send_writes_the_trailer_after_its_payload() {
    fn check<H: Around>(header: &H, puts: &[(&str, Put<H>)]) {
        let payloads = some_payloads();
        let expected = header.wire(&payloads);
        for (name, put) in puts {
            for script in [vec![], vec![Step::Pass(1), Step::Pass(3), Step::Interrupted, Step::Pass(20_000)]] {
                let mut write = FramedWrite::new(ChoppyWrite::new(script), header.clone());
                for payload in &payloads {
                    put(&mut write, payload).expect("within the limit");
                }
                assert_eq!((write.frames(), write.bytes()), (payloads.len() as u64, expected.len() as u64), "{name}");
                block_on(write.close()).expect("written");
                assert!(write.get_ref().written() == expected, "{name}");
            }
        }
    }

    check(&line(), &puts());
    check(&Summed, &puts());
    check(&Summed, &PUTS_SUMMED);
}

/// In the middle of a large payload, of its header or of its trailer: what is dropped comes whole all the same.
#[test]
fn sending_dropped_anywhere_comes_with_its_trailer() {
    fn check<H: Around>(header: &H) -> usize {
        let payloads = some_payloads();
        let expected = header.wire(&payloads);
        let steps = [1, 2, 3, NO_COPY_LEN - 3, 1, 1, 2, 700, 9_000, 1, 1, 1, 1];
        let script: Vec<_> = steps.iter().flat_map(|len| [Step::Pending, Step::Pass(*len)]).collect();
        for polls in 1..30 {
            let mut write =
                FramedWrite::new(ChoppyWrite::new(script.iter().copied().cycle().take(200)), header.clone());
            for payload in &payloads {
                let sent = poll_times(polls, write.feed_with(H::ENVELOPE, payload));
                assert!(!matches!(sent, Some(Err(_))));
                let written = write.get_ref().written();
                assert!(expected.starts_with(written), "torn within the first {} bytes", written.len());
                assert_eq!(written.len() + write.queued(), write.bytes() as usize);
            }
            assert_eq!((write.frames(), write.bytes()), (payloads.len() as u64, expected.len() as u64));
            while poll_times(polls, write.flush()).is_none() {}
            assert!(write.get_ref().written() == expected, "dropped after {polls} polls");
        }
        29
    }

    println!("cases: {}", check(&line()) + check(&Summed));
}

/// A writer that fails in the middle of a large payload leaves the rest, and the trailer, in the queue.
#[test]
fn a_failure_in_the_middle_of_a_payload_does_not_lose_the_trailer() {
    let payload = vec![7; NO_COPY_LEN + 100];
    for at in [1, 5, 6, 100, NO_COPY_LEN + 105, NO_COPY_LEN + 106] {
        let reset = Step::Fail(io::ErrorKind::ConnectionReset);
        let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pass(at), reset]), line());
        let failed = block_on(write.feed_with(LINE, &payload));
        assert!(matches!(failed, Err(WriteError::Io(_))), "{failed:?} behind {at}");
        assert_eq!(write.get_ref().written().len() + write.queued(), 5 + payload.len() + 2);
        block_on(write.feed_with(LINE, b"next")).expect("written");
        block_on(write.flush()).expect("written");
        assert!(write.get_ref().written() == line().wire(&[payload.clone(), b"next".to_vec()]));
    }
}

#[test]
fn a_trailer_that_is_not_the_layouts_queues_nothing() {
    for payload in [vec![1; 10], vec![2; NO_COPY_LEN]] {
        for (name, put) in puts::<Format>() {
            let mut write = FramedWrite::new(ChoppyWrite::new([]), line());
            put(&mut write, b"before").expect("within the limit");
            let before = (write.queued(), write.frames(), write.bytes());
            let wrong = Envelope { trailer: b"\n", ..LINE };
            let expected = EncodeError::Trailer { trailer_len: 1, expected: 2 };
            assert_eq!(write.enqueue_with(wrong, &payload), Err(expected), "{name}");
            let fed = block_on(write.feed_with(wrong, &payload));
            assert!(matches!(fed, Err(WriteError::Encode(error)) if error == expected), "{name}");
            assert!(matches!(block_on(write.send(&payload)), Err(WriteError::Encode(EncodeError::Prefix { .. }))));
            assert_eq!((write.queued(), write.frames(), write.bytes()), before, "{name}");
            block_on(write.close()).expect("written");
            assert_eq!(write.get_ref().written(), b"#\0\0\0\x06before\r\n", "{name}");
        }
    }
}

proptest! {
    /// Over a reader and a writer that chop as they like: what was sent is what comes.
    #[test]
    fn what_is_sent_with_a_check_comes(payloads in payloads(), scripts in (script(), script()), polls in 1..4usize) {
        let mut write = FramedWrite::new(ChoppyWrite::new(scripts.0), Summed);
        for payload in &payloads {
            _ = poll_times(polls, write.send(payload));
        }
        while poll_times(polls, write.flush()).is_none() {}
        let wire = write.get_ref().written();
        prop_assert!(wire == Summed.wire(&payloads));
        for (name, take) in takes() {
            let (found, end) = take(ChoppyRead::new(wire, scripts.1.clone()), Summed);
            prop_assert!(found == payloads && end.is_ok(), "{name}");
        }
    }
}
