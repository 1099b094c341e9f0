//! The adapters for `std` I/O: over a reader and a writer that do what a network may do, and over real sockets.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use unstick::framing::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, Endian, Envelope, Format, Frame, Header, Layout, Part,
};
use unstick::testing::choppy::{ChoppyRead, ChoppyWrite, Step};
use unstick::testing::{Case, End, Expected, Plan, Subject, suite};
use unstick::{FrameReader, FrameWriter, NO_COPY_LEN, ReadError, WriteError};

/// What a stream gave: its payloads, and how it ended.
type Given = (Vec<Vec<u8>>, Result<(), DecodeError>);

/// How a test takes all there is out of a reader. What fails for now is tried again.
type Take = fn(FrameReader<ChoppyRead>) -> Given;

const TAKES: [(&str, Take); 3] = [("next_frame", by_frames), ("next_part", by_parts), ("both", by_both)];

fn by_frames(mut reader: FrameReader<ChoppyRead>) -> Given {
    let mut payloads = Vec::new();
    loop {
        match of_decoder(reader.next_frame()) {
            None => {}
            Some(Ok(Some(frame))) => payloads.push(payload_of(frame)),
            Some(Ok(None)) => return (payloads, Ok(())),
            Some(Err(error)) => return (payloads, Err(error)),
        }
    }
}

fn by_parts(mut reader: FrameReader<ChoppyRead>) -> Given {
    let (mut payloads, mut body) = (Vec::new(), Vec::new());
    loop {
        match of_decoder(reader.next_part()) {
            None => {}
            Some(Ok(Some(part))) => payloads.extend(take_part(part, &mut body)),
            Some(Ok(None)) => return (payloads, Ok(())),
            Some(Err(error)) => return (payloads, Err(error)),
        }
    }
}

/// A frame whole, the next one in parts, and so on.
fn by_both(mut reader: FrameReader<ChoppyRead>) -> Given {
    let (mut payloads, mut body) = (Vec::new(), Vec::new());
    loop {
        let taken = if payloads.len() % 2 == 0 {
            let frame = of_decoder(reader.next_frame());
            frame.map(|frame| frame.map(|frame| frame.map(|frame| Some(payload_of(frame)))))
        } else {
            let part = of_decoder(reader.next_part());
            part.map(|part| part.map(|part| part.map(|part| take_part(part, &mut body))))
        };
        match taken {
            None => {}
            Some(Ok(Some(payload))) => payloads.extend(payload),
            Some(Ok(None)) => return (payloads, Ok(())),
            Some(Err(error)) => return (payloads, Err(error)),
        }
    }
}

fn payload_of(frame: Frame<'_>) -> Vec<u8> {
    frame.payload().to_vec()
}

/// The payload, where this is its last part.
fn take_part(part: Part<'_>, body: &mut Vec<u8>) -> Option<Vec<u8>> {
    match part {
        Part::Start { payload_len, .. } => {
            assert!(body.is_empty(), "a frame began inside another");
            body.reserve_exact(payload_len.min(1 << 20));
            None
        }
        Part::Chunk(bytes) => {
            assert!(!bytes.is_empty(), "a chunk is never empty");
            body.extend_from_slice(bytes);
            None
        }
        _ => Some(std::mem::take(body)),
    }
}

/// `None` if the reader failed for now.
fn of_decoder<T>(result: Result<T, ReadError>) -> Option<Result<T, DecodeError>> {
    match result {
        Ok(taken) => Some(Ok(taken)),
        Err(ReadError::Decode(error)) => Some(Err(error)),
        Err(ReadError::Io(error)) => {
            let kind = error.kind();
            assert!(matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset), "{error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn reader(case: &Case, script: impl IntoIterator<Item = Step>) -> FrameReader<ChoppyRead> {
    FrameReader::with_decoder(ChoppyRead::new(&case.stream, script), case.decoder())
}

/// The payloads and the end are those that the oracle finds.
#[track_caller]
fn assert_given(given: &Given, expected: &Expected, case: &Case, how: &str) {
    let payloads: Vec<&[u8]> = expected.yielded().map(|frame| frame.payload(&case.stream)).collect();
    assert_eq!(given.0, payloads, "{how}");
    let ended = given.1.as_ref().map_err(|error| (error.offset() as usize, error.kind()));
    let expected = match expected.end {
        End::Clean => Ok(()),
        End::Truncated { start, phase, have, need } => Err((start, DecodeErrorKind::Truncated { phase, have, need })),
        End::Refused { start, kind, .. } => Err((start, kind)),
    };
    assert_eq!(ended.copied(), expected, "{how}");
}

/// Whatever the reader does on the way, by frames and by parts, and in a `for` loop if nothing fails.
#[track_caller]
fn assert_reads(case: &Case, script: &[Step]) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    for (how, take) in TAKES {
        assert_given(&take(reader(case, script.iter().copied())), &expected, case, how);
    }
    let harmless = script.iter().copied().filter(|step| matches!(step, Step::Pass(_) | Step::Interrupted));
    let (mut payloads, mut end, mut items) = (Vec::new(), Ok(()), reader(case, harmless).into_iter());
    for item in &mut items {
        assert_eq!(end, Ok(()), "the first error is the last item");
        match of_decoder(item).expect("no failure of the reader") {
            Ok(payload) => payloads.push(payload),
            Err(error) => end = Err(error),
        }
    }
    assert!(items.next().is_none(), "after its end it gives nothing");
    assert_given(&(payloads, end), &expected, case, "into_iter");
}

/// Any step but an end of the stream that is none.
fn step() -> impl Strategy<Value = Step> {
    any::<u8>().prop_map(|byte| match Step::any(byte) {
        Step::Nothing => Step::Pending,
        step => step,
    })
}

proptest! {
    #[test]
    fn whatever_the_reader_does_the_frames_and_the_end_are_the_streams(
        data in prop::collection::vec(any::<u8>(), 0..200),
        script in prop::collection::vec(step(), 0..200),
    ) {
        assert_reads(&Plan::from_bytes(&data).case(), &script);
        assert_reads(&Case::from_bytes(&data), &script);
    }
}

/// A reader that is a subject of the suite. What it reads from has no more for now, until its end is told.
struct Reading<const PARTS: bool> {
    reader: FrameReader<Arriving>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Arriving {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Read for Arriving {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buf)? {
            0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl<const PARTS: bool> Reading<PARTS> {
    fn new(format: Format) -> Reading<PARTS> {
        Reading { reader: FrameReader::new(Arriving::default(), format), body: Vec::new() }
    }

    /// The next payload; the outer `None` if it has to wait.
    fn next(&mut self) -> Option<Result<Option<Vec<u8>>, DecodeError>> {
        if !PARTS {
            return of_decoder(self.reader.next_frame()).map(|frame| frame.map(|frame| frame.map(payload_of)));
        }
        loop {
            match of_decoder(self.reader.next_part())? {
                Ok(Some(part)) => {
                    if let Some(payload) = take_part(part, &mut self.body) {
                        return Some(Ok(Some(payload)));
                    }
                }
                Ok(None) => return Some(Ok(None)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<const PARTS: bool> Subject for Reading<PARTS> {
    type Error = DecodeError;

    fn feed(&mut self, chunk: &[u8]) {
        self.reader.get_mut().bytes.extend(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        match self.next() {
            None => Ok(None),
            Some(Ok(None)) => panic!("an end before the end"),
            Some(result) => result,
        }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.reader.get_mut().ended = true;
        let end = self.next().expect("an end does not wait");
        end.map(|frame| assert_eq!(frame, None, "a frame at the end"))
    }

    fn memory(&self) -> Option<usize> {
        Some(self.reader.decoder().capacity())
    }
}

/// Each frame as soon as it is whole, each error with the byte that decides it, the truth about the end, and memory.
#[test]
fn the_suite_holds() {
    let mut cases = 0;
    for format in [Format::U8, Format::U16_BE, Format::VARINT, Format::U32_BE_INCLUSIVE] {
        let format = format.with_max_payload_len(200).expect("a format");
        cases += suite(format, || Reading::<false>::new(format));
        cases += suite(format, || Reading::<true>::new(format));
    }
    println!("cases: {cases}");
}

#[test]
fn a_frame_is_handed_out_with_its_prefix_and_trailer() {
    let format = Format::new(Layout::fixed(2, Endian::Big).offset(1).trailer(1), 9).expect("a format");
    let mut reader = FrameReader::new(ChoppyRead::new(b"\x07\0\x02hi\n", [Step::Pass(1); 6]), format);
    let frame = reader.next_frame().expect("no error").expect("a frame");
    assert_eq!((frame.prefix(), frame.payload(), frame.trailer()), (&b"\x07"[..], &b"hi"[..], &b"\n"[..]));
    assert!(reader.next_frame().expect("no error").is_none());
    assert_eq!(reader.bytes(), 6);
}

/// A reader may give bytes after it said that there are no more: a terminal does.
#[test]
fn after_the_end_nothing_more_is_read() {
    let script = [Step::Pass(3), Step::Nothing];
    let mut reader = FrameReader::new(ChoppyRead::new(b"\x05hello", script), Format::U8);
    for _ in 0..3 {
        let error = reader.next_frame().expect_err("truncated");
        assert!(matches!(&error, ReadError::Decode(error) if error.offset() == 0), "{error}");
        assert_eq!(reader.get_ref().left(), 3);
    }

    let mut reader = FrameReader::new(ChoppyRead::new(b"\x01a\x01b", [Step::Pass(2), Step::Nothing]), Format::U8);
    assert_eq!(reader.next_part().expect("a part").map(|part| matches!(part, Part::Start { .. })), Some(true));
    while reader.next_part().expect("no error").is_some() {}
    for _ in 0..3 {
        assert!(reader.next_part().expect("a clean end").is_none());
        assert!(reader.next_frame().expect("a clean end").is_none());
    }
    let (io, decoder) = reader.into_parts();
    assert_eq!((io.left(), decoder.buffered(), decoder.offset()), (2, 0, 2));
}

#[test]
fn frames_at_hand_are_given_without_a_read() {
    let script = [Step::Pass(7), Step::Fail(io::ErrorKind::ConnectionReset)];
    let mut reader = FrameReader::new(ChoppyRead::new(b"\x01a\x01b\x05hello", script), Format::U8);
    for payload in [b"a", b"b"] {
        assert_eq!(reader.next_frame().expect("no error").expect("a frame").payload(), payload);
    }
    assert_eq!((reader.decoder().need(), reader.bytes()), (3, 7));
    let error = reader.next_frame().expect_err("a read");
    assert!(matches!(&error, ReadError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset), "{error}");
    assert_eq!(reader.next_frame().expect("no error").expect("a frame").payload(), b"hello");
    assert_eq!(reader.bytes(), 10);
}

#[test]
fn a_decoder_that_holds_bytes_is_read_on_with() {
    let mut decoder = Decoder::new(Format::U8);
    decoder.feed(b"\x01a\x05he");
    let reader = FrameReader::with_decoder(&b"llo\x01b"[..], decoder);
    let payloads: Result<Vec<_>, _> = reader.into_iter().collect();
    assert_eq!(payloads.expect("no error"), [&b"a"[..], b"hello", b"b"]);
}

#[test]
fn the_first_error_of_a_loop_is_its_last_item() {
    let script = [Step::Pass(2), Step::Pending];
    let mut items = FrameReader::new(ChoppyRead::new(b"\x01a\x01b", script), Format::U8).into_iter();
    assert_eq!(items.next().expect("an item").expect("a payload"), b"a");
    let error = items.next().expect("an item").expect_err("an error");
    assert!(matches!(&error, ReadError::Io(error) if error.kind() == io::ErrorKind::WouldBlock), "{error}");
    assert!(items.next().is_none() && items.next().is_none());
}

/// Two ends of a connection.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let ours = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (theirs, _) = listener.accept().expect("accepted");
    (ours, theirs)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The peer stops within a frame, at every byte of it, until the read timed out.
#[test]
fn a_read_timeout_of_a_socket_loses_nothing() {
    let (ours, mut theirs) = connected();
    ours.set_read_timeout(Some(Duration::from_millis(1))).expect("an option");
    let mut reader = FrameReader::new(ours, Format::U32_LE);
    let frame = b"\x05\0\0\0hello";
    for at in 0..frame.len() {
        io::Write::write_all(&mut theirs, &frame[..at]).expect("written");
        for _ in 0..2 {
            let error = reader.next_frame().expect_err("a timeout");
            assert!(matches!(&error, ReadError::Io(error) if is_timeout(error)), "{at}: {error}");
        }
        io::Write::write_all(&mut theirs, &frame[at..]).expect("written");
        let payload = loop {
            match reader.next_frame() {
                Ok(frame) => break frame.expect("no end").payload().to_vec(),
                Err(ReadError::Io(error)) if is_timeout(&error) => {}
                Err(error) => panic!("{at}: {error}"),
            }
        };
        assert_eq!(payload, b"hello", "{at}");
    }
    theirs.shutdown(Shutdown::Write).expect("an end");
    while let Err(error) = reader.next_frame().map(|end| assert_eq!(end, None)) {
        assert!(matches!(&error, ReadError::Io(error) if is_timeout(error)), "{error}");
    }
}

/// The peer reads nothing until a write timed out, and then all.
#[test]
fn a_write_timeout_of_a_socket_loses_nothing() {
    for payload_len in [NO_COPY_LEN - 1, 1 << 20] {
        let (ours, theirs) = connected();
        ours.set_write_timeout(Some(Duration::from_millis(1))).expect("an option");
        let payload = |index: usize| vec![index as u8; payload_len];
        let (mut writer, mut sent) = (FrameWriter::new(ours, Format::U32_LE), 0);
        let error = loop {
            sent += 1;
            if let Err(error) = writer.send(&payload(sent)) {
                break error;
            }
        };
        assert!(matches!(&error, WriteError::Io(error) if is_timeout(error)), "{error}");
        assert!(writer.queued() > 0);
        let reading = thread::spawn(move || {
            let payloads: Result<Vec<_>, _> = FrameReader::new(theirs, Format::U32_LE).into_iter().collect();
            payloads.expect("no error")
        });
        while let Err(error) = writer.flush() {
            assert!(is_timeout(&error), "{error}");
        }
        assert_eq!(writer.queued(), 0);
        drop(writer);
        let received = reading.join().expect("read");
        assert!(received.iter().eq((1..=sent).map(payload).collect::<Vec<_>>().iter()), "{sent} of {payload_len}");
    }
}

/// The layouts that are written, with prefix and trailer.
fn layouts() -> [(Format, Envelope<'static>); 3] {
    let layout = |offset, trailer| Layout::fixed(4, Endian::Little).offset(offset).trailer(trailer);
    [(0, &b""[..], &b""[..]), (2, b"\x07\x08", b""), (1, b"#", b"\r\n")].map(|(offset, prefix, trailer)| {
        let format = Format::with_default_limit(layout(offset, trailer.len() as u8)).expect("a format");
        (format, Envelope { prefix, trailer })
    })
}

/// The frames by hand.
fn wire_of(Envelope { prefix, trailer }: Envelope<'_>, payloads: &[Vec<u8>]) -> Vec<u8> {
    let frame = |payload: &Vec<u8>| [prefix, &(payload.len() as u32).to_le_bytes(), payload, trailer].concat();
    payloads.iter().flat_map(frame).collect()
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = prop_oneof![6 => 0..40usize, 2 => NO_COPY_LEN - 8..NO_COPY_LEN + 3, 1 => 0..150_000usize];
    let payload = (len, any::<u8>()).prop_map(|(len, first)| (0..len).map(|at| first.wrapping_add(at as u8)).collect());
    prop::collection::vec(payload, 0..12)
}

proptest! {
    /// The written bytes are always a start of the frames in order, and with the queued bytes they are all of them.
    #[test]
    fn whatever_the_writer_does_nothing_is_lost_torn_or_doubled(
        puts in payloads().prop_flat_map(|payloads| {
            let len = payloads.len();
            (Just(payloads), prop::collection::vec(0..4u8, len))
        }),
        script in prop::collection::vec(any::<u8>().prop_map(Step::any), 0..200),
        layout in 0..3usize,
    ) {
        let (payloads, hows) = puts;
        let (format, envelope) = layouts()[layout];
        let expected = wire_of(envelope, &payloads);
        let mut writer = FrameWriter::new(ChoppyWrite::new(script), format);
        let mut taken = 0;
        for (payload, how) in payloads.iter().zip(hows) {
            let result = match how {
                0 => writer.enqueue_with(envelope, payload).map_err(WriteError::from),
                1 | 2 => writer.feed_with(envelope, payload),
                _ if envelope == Envelope::default() => writer.send(payload),
                _ => writer.feed_with(envelope, payload).and_then(|()| Ok(writer.flush()?)),
            };
            prop_assert!(matches!(result, Ok(()) | Err(WriteError::Io(_))), "{result:?}");
            taken += envelope.prefix.len() + 4 + payload.len() + envelope.trailer.len();
            prop_assert!(expected.starts_with(writer.get_ref().written()));
            prop_assert_eq!(writer.get_ref().written().len() + writer.queued(), taken);
        }
        while writer.flush().is_err() {}
        prop_assert!(writer.get_ref().written() == expected);
        prop_assert_eq!(writer.queued(), 0);
    }
}

#[test]
fn a_refused_frame_leaves_nothing_behind() {
    for (format, envelope) in layouts() {
        let format = format.with_max_payload_len(NO_COPY_LEN).expect("a format");
        let mut writer = FrameWriter::new(ChoppyWrite::new([]), format);
        writer.enqueue_with(envelope, b"before").expect("within the limit");
        let queued = writer.queued();
        for payload_len in [NO_COPY_LEN + 1, NO_COPY_LEN + 2] {
            let oversize = EncodeError::Oversize { payload_len, max_payload_len: format.max_payload_len() };
            assert_eq!(writer.enqueue_with(envelope, &vec![7; payload_len]), Err(oversize));
            let error = writer.feed_with(envelope, &vec![7; payload_len]).expect_err("over the limit");
            assert!(matches!(error, WriteError::Encode(error) if error == oversize), "{error}");
        }
        for payload_len in [1, NO_COPY_LEN] {
            let error = writer.feed_with(b"123", &vec![7; payload_len]).expect_err("another prefix");
            assert!(matches!(error, WriteError::Encode(EncodeError::Prefix { prefix_len: 3, .. })), "{error}");
        }
        assert_eq!((writer.queued(), writer.get_ref().written()), (queued, &b""[..]));
        writer.feed_with(envelope, b"after").expect("within the limit");
        writer.flush().expect("written");
        assert_eq!(writer.into_inner().written(), wire_of(envelope, &[b"before".to_vec(), b"after".to_vec()]));
    }
}

#[test]
fn a_writer_that_takes_nothing_is_write_zero_and_nothing_is_lost() {
    for payload in [vec![1; 10], vec![2; NO_COPY_LEN]] {
        let mut writer = FrameWriter::new(ChoppyWrite::new([Step::Pass(3), Step::Nothing]), Format::U32_LE);
        let error = writer.send(&payload).expect_err("write zero");
        assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::WriteZero), "{error}");
        assert_eq!(writer.queued(), 4 + payload.len() - 3);
        writer.flush().expect("written");
        assert_eq!(writer.get_ref().written(), wire_of(Envelope::default(), &[payload]));
    }
}

#[test]
fn what_a_signal_interrupts_is_done_again() {
    let interrupted = Step::Fail(io::ErrorKind::Interrupted);
    for payload in [vec![1; 10], vec![2; NO_COPY_LEN]] {
        let script =
            [Step::Interrupted, Step::Pass(5), Step::Interrupted, Step::Pass(1 << 20), interrupted, interrupted];
        let mut writer = FrameWriter::new(ChoppyWrite::new(script), Format::U32_LE);
        writer.send(&payload).expect("written");
        assert_eq!(
            (writer.get_ref().flushes(), writer.get_ref().written()),
            (1, &wire_of(Envelope::default(), &[payload])[..])
        );
    }
    let script = [Step::Interrupted, Step::Interrupted, Step::Pass(1), Step::Interrupted];
    let mut reader = FrameReader::new(ChoppyRead::new(b"\x02hi", script), Format::U8);
    assert_eq!(reader.next_frame().expect("no error").expect("a frame").payload(), b"hi");
}

#[test]
fn a_flush_that_fails_is_an_error_once_all_is_written() {
    let script = [Step::Pass(100), Step::Fail(io::ErrorKind::StorageFull)];
    let mut writer = FrameWriter::new(ChoppyWrite::new(script), Format::U8);
    let error = writer.send(b"hello").expect_err("no room");
    assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::StorageFull), "{error}");
    assert_eq!((writer.queued(), writer.get_ref().written(), writer.get_ref().flushes()), (0, &b"\x05hello"[..], 0));
}

#[test]
fn a_large_payload_is_written_from_where_it_is() {
    let payload = vec![7; NO_COPY_LEN];
    let (place, len) = (payload.as_ptr().addr(), payload.len());
    let mut writer = FrameWriter::new(ChoppyWrite::new([Step::Pass(20)]), Format::U32_LE);
    writer.enqueue(b"small").expect("within the limit");
    writer.feed(&payload).expect("written");
    let writes: Vec<_> = writer.get_ref().writes().iter().map(|write| &write.slices[..]).collect();
    let [[(_, 13), first], second] = writes[..] else { panic!("two writes: {writes:?}") };
    assert_eq!((*first, second), ((place, len), &[(place + 7, len - 7)][..]), "not a copy");
    assert_eq!((writer.queued(), writer.get_ref().flushes()), (0, 0));

    for (format, envelope) in layouts() {
        let mut writer = FrameWriter::new(ChoppyWrite::new([]), format);
        writer.feed_with(envelope, &payload).expect("written");
        assert_eq!(writer.queued(), 0, "all of it, with what stands behind it");
    }

    let mut writer = FrameWriter::new(ChoppyWrite::new([]), Format::U32_LE);
    writer.send(&payload[1..]).expect("written");
    assert_eq!(writer.get_ref().writes()[0].slices.len(), 1, "a shorter one is copied behind its header");
}

#[test]
fn what_is_fed_is_written_once_64_kib_wait() {
    for (payload_len, queued) in [(16 * 1024 - 5, 64 * 1024 - 1), (16 * 1024 - 4, 0), (16 * 1024 - 3, 0)] {
        let mut writer = FrameWriter::new(ChoppyWrite::new([]), Format::U32_LE);
        for _ in 0..3 {
            writer.feed(&[7; 16 * 1024 - 4]).expect("queued");
        }
        assert_eq!((writer.queued(), writer.get_ref().writes().len()), (48 * 1024, 0));
        writer.feed(&vec![7; payload_len]).expect("queued or written");
        assert_eq!(writer.queued(), queued, "{payload_len}");
        assert_eq!(writer.get_ref().flushes(), 0, "nobody asked for that");
    }
}

#[test]
fn sending_on_after_a_failure_overflows() {
    let mut writer = FrameWriter::new(ChoppyWrite::new([Step::Pending; 3]), Format::U8).max_queued(20);
    for queued in [10, 20, 30] {
        let error = writer.send(b"123456789").expect_err("not now");
        assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::WouldBlock), "{error}");
        assert_eq!(writer.queued(), queued);
    }
    for payload_len in [0, NO_COPY_LEN] {
        let error = writer.send(&vec![7; payload_len]).expect_err("too much waits");
        assert!(matches!(error, WriteError::Overflow { queued: 30, max_queued: 20 }), "{error}");
    }
    writer.flush().expect("written");
    writer.send(b"again").expect("written");
    assert_eq!(writer.get_ref().written()[30..], *b"\x05again");
}

/// A password may be on its way.
#[test]
fn debug_shows_lengths_and_no_payload() {
    let wire = b"\x07hunter2\x07hunter2\x09hunter";
    let mut reader = FrameReader::new(&wire[..], Format::U8);
    reader.next_frame().expect("no error").expect("a frame");
    let mut writer = FrameWriter::new(Vec::new(), Format::U8);
    writer.send(b"hunter2").expect("written");
    writer.enqueue(b"hunter2").expect("within the limit");
    let shown = [format!("{reader:?}"), format!("{writer:?}"), format!("{:?}", reader.into_iter())];
    assert!(shown[0].contains("bytes: 23") && shown[0].contains("buffered: 15"), "{}", shown[0]);
    assert!(shown[1].contains("queued: 8"), "{}", shown[1]);
    for text in shown {
        assert!(!text.contains("hunter") && !text.contains("104, 117, 110"), "{text}");
    }
}
