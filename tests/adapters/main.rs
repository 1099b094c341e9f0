//! The adapters over a reader and a writer that do what a network may do, and over real sockets on two runtimes.

mod bounds;
mod owned;
mod sink;
mod trailers;
mod writing;

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_lite::future::{block_on, poll_fn};
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, StreamExt};
use futures_util::SinkExt;
use proptest::prelude::*;
use unstick::framing::{DecodeErrorKind, Decoder, EncodeError, Encoder, Format, Header, Part, Phase};
use unstick::testing::choppy::{ChoppyRead, ChoppyWrite, Step};
use unstick::{FramedRead, FramedWrite, NO_COPY_LEN, ReadError, WriteError};

/// What a stream gave: its payloads, and how it ended.
type Given = (Vec<Vec<u8>>, Result<(), ReadError>);

/// How a test takes all there is out of a reader.
type Take<H> = fn(ChoppyRead, H) -> Given;

fn takes<H: Header + Unpin>() -> [(&'static str, Take<H>); 5] {
    [
        ("next_frame", by_frames),
        ("next_part", by_parts),
        ("into_stream", by_stream),
        ("next_frame, dropped after every poll", by_dropped_frames),
        ("next_part, dropped after every poll", by_dropped_parts),
    ]
}

fn by_frames<H: Header>(io: ChoppyRead, header: H) -> Given {
    block_on(async {
        let (mut read, mut payloads) = (FramedRead::new(io, header), Vec::new());
        loop {
            match read.next_frame().await {
                Ok(Some(frame)) => payloads.push(frame.payload().to_vec()),
                Ok(None) => return (payloads, Ok(())),
                Err(error) => return (payloads, Err(error)),
            }
        }
    })
}

fn by_parts<H: Header>(io: ChoppyRead, header: H) -> Given {
    let (mut read, mut parts) = (FramedRead::new(io, header), Parts::default());
    loop {
        match block_on(read.next_part()) {
            Ok(Some(part)) => parts.take(part),
            Ok(None) => return (parts.whole, Ok(())),
            Err(error) => return (parts.whole, Err(error)),
        }
    }
}

fn by_stream<H: Header + Unpin>(io: ChoppyRead, header: H) -> Given {
    block_on(async {
        let (mut stream, mut payloads) = (FramedRead::new(io, header).into_stream(), Vec::new());
        let end = loop {
            match stream.next().await {
                Some(Ok(payload)) => payloads.push(payload.to_vec()),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        assert!(stream.next().await.is_none(), "after its end a stream gives nothing");
        (payloads, end)
    })
}

fn by_dropped_frames<H: Header>(io: ChoppyRead, header: H) -> Given {
    let (mut read, mut payloads) = (FramedRead::new(io, header), Vec::new());
    loop {
        match poll_times(1, read.next_frame()) {
            None => {}
            Some(Ok(Some(frame))) => payloads.push(frame.payload().to_vec()),
            Some(Ok(None)) => return (payloads, Ok(())),
            Some(Err(error)) => return (payloads, Err(error)),
        }
    }
}

fn by_dropped_parts<H: Header>(io: ChoppyRead, header: H) -> Given {
    let (mut read, mut parts) = (FramedRead::new(io, header), Parts::default());
    loop {
        match poll_times(1, read.next_part()) {
            None => {}
            Some(Ok(Some(part))) => parts.take(part),
            Some(Ok(None)) => return (parts.whole, Ok(())),
            Some(Err(error)) => return (parts.whole, Err(error)),
        }
    }
}

/// Frames put together from their parts.
#[derive(Default)]
struct Parts {
    whole: Vec<Vec<u8>>,
    open: Option<(usize, Vec<u8>)>,
}

impl Parts {
    fn take(&mut self, part: Part<'_>) {
        match part {
            Part::Start { payload_len, .. } => {
                let before = self.open.replace((payload_len, Vec::new()));
                assert_eq!(before, None, "a frame began inside another");
            }
            Part::Chunk(bytes) => {
                assert!(!bytes.is_empty(), "a chunk is never empty");
                self.open.as_mut().expect("a chunk inside a frame").1.extend_from_slice(bytes);
            }
            Part::End { .. } => {
                let (payload_len, payload) = self.open.take().expect("an end inside a frame");
                assert_eq!(payload.len(), payload_len);
                self.whole.push(payload);
            }
        }
    }
}

/// Polls a future at most this often, then drops it. Returns its output, if any.
fn poll_times<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn encode(format: Format, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for payload in payloads {
        Encoder::new(format).encode(payload, &mut wire).expect("within the limit");
    }
    wire
}

/// What a decoder gives that gets the whole stream at once: the truth that every way of reading is compared with.
fn decode<H: Header>(header: H, wire: &[u8]) -> Given {
    let (mut decoder, mut payloads) = (Decoder::new(header), Vec::new());
    decoder.feed(wire);
    loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => payloads.push(frame.payload().to_vec()),
            Ok(None) => return (payloads, decoder.finish().map_err(ReadError::from)),
            Err(error) => return (payloads, Err(error.into())),
        }
    }
}

/// The same frames, and the same end with the same numbers.
#[track_caller]
fn assert_same(found: &Given, expected: &Given, how: &str) {
    assert_eq!(found.0, expected.0, "{how}");
    match (&found.1, &expected.1) {
        (Ok(()), Ok(())) => {}
        (Err(ReadError::Decode(found)), Err(ReadError::Decode(expected))) => {
            // If the header was passed on before, the diagnosis is lost.
            assert_eq!((found.offset(), found.kind()), (expected.offset(), expected.kind()), "{how}");
            assert!(found == expected || how.starts_with("next_part"), "{how}: {found} is not {expected}");
        }
        (found, expected) => panic!("{how}: ended with {found:?}, expected {expected:?}"),
    }
}

/// A script that cuts a stream of `len` bytes where the bits of `cuts` say so, and makes the reader wait at each cut.
fn script_of(len: usize, cuts: u32) -> Vec<Step> {
    let mut script = Vec::new();
    let mut chunk = 0;
    for at in 0..len {
        chunk += 1;
        if cuts >> at & 1 == 1 {
            script.extend([Step::Pass(chunk), Step::Pending]);
            chunk = 0;
        }
    }
    script
}

#[test]
fn every_cut_of_a_small_stream_gives_the_same_frames() {
    let payloads = [&b"ab"[..], b"", b"c"].map(<[u8]>::to_vec);
    let mut cases = 0;
    for format in [Format::U8, Format::U16_BE, Format::VARINT, Format::U8.with_max_payload_len(1).expect("a format")] {
        // The wire, also one that ends inside a frame or at the boundary before the last frame.
        let wire = encode(Format::new(format.layout(), 255).expect("a format"), &payloads);
        for end in 0..=wire.len() {
            let expected = decode(format, &wire[..end]);
            for cuts in 0..1 << end {
                for (name, take) in takes() {
                    let given = take(ChoppyRead::new(&wire[..end], script_of(end, cuts)), format);
                    assert_same(&given, &expected, name);
                    cases += 1;
                }
            }
        }
    }
    println!("cases: {cases}");
}

#[test]
fn end_of_stream_inside_a_frame_is_truncated_with_its_numbers() {
    let wire = encode(Format::U32_LE, &[b"whole".to_vec(), b"torn".to_vec()]);
    let begin = 4 + 5;
    let mut cases = 0;
    for end in begin + 1..wire.len() {
        let have = (end - begin) as u64;
        let (phase, need) = if have < 4 { (Phase::Header, 4) } else { (Phase::Payload, 8) };
        for (name, take) in takes() {
            let (payloads, ended) = take(ChoppyRead::new(&wire[..end], [Step::Pass(3)]), Format::U32_LE);
            assert_eq!(payloads, [b"whole"], "{name}");
            let Err(ReadError::Decode(error)) = ended else { panic!("{name}: {have} bytes of a frame: {ended:?}") };
            assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase, have, need }, "{name}");
            assert_eq!(error.offset(), begin as u64, "{name}");
            cases += 1;
        }
    }
    println!("cases: {cases}");
}

#[test]
fn after_a_truncated_end_nothing_more_is_read() {
    // A reader may give bytes after it said that there are no more: a terminal does. The first error is final all the
    // same.
    let script = [Step::Pass(3), Step::Nothing];
    let mut read = FramedRead::new(ChoppyRead::new(b"\x05hello", script), Format::U8);
    for _ in 0..3 {
        let error = block_on(read.next_frame()).expect_err("truncated");
        assert!(matches!(&error, ReadError::Decode(error) if error.offset() == 0), "{error}");
        assert_eq!(read.get_ref().left(), 3);
    }

    let mut read = FramedRead::new(ChoppyRead::new(b"\x05hello", script), Format::U8);
    assert!(matches!(block_on(read.next_part()), Ok(Some(Part::Start { payload_len: 5, .. }))));
    assert!(matches!(block_on(read.next_part()), Ok(Some(Part::Chunk(b"he")))));
    for _ in 0..3 {
        let error = block_on(read.next_part()).expect_err("truncated");
        assert!(matches!(&error, ReadError::Decode(error) if error.offset() == 0), "{error}");
        assert_eq!(read.get_ref().left(), 3);
    }

    let mut read = FramedRead::new(ChoppyRead::new(b"\x01a\x01b", [Step::Pass(2), Step::Nothing]), Format::U8);
    assert_eq!(block_on(read.next_frame()).expect("a frame").expect("a frame").payload(), b"a");
    for _ in 0..3 {
        assert_eq!(block_on(read.next_frame()).expect("a clean end"), None);
    }
}

#[test]
fn a_reader_that_fails_is_read_again_and_nothing_is_lost() {
    let reset = Step::Fail(io::ErrorKind::ConnectionReset);
    for at in 0..6 {
        let script = [Step::Pass(at), reset];
        let script = if at == 0 { &script[1..] } else { &script[..] };
        let mut read = FramedRead::new(ChoppyRead::new(b"\x05hello", script.iter().copied()), Format::U8);
        let error = block_on(read.next_frame()).expect_err("a reset");
        assert!(matches!(&error, ReadError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset), "{error}");
        assert_eq!(block_on(read.next_frame()).expect("a frame").expect("a frame").payload(), b"hello");

        let mut read = FramedRead::new(ChoppyRead::new(b"\x05hello", script.iter().copied()), Format::U8);
        let (mut parts, mut failures) = (Parts::default(), 0);
        loop {
            match block_on(read.next_part()) {
                Ok(Some(part)) => parts.take(part),
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error, ReadError::Io(_)), "{error}");
                    failures += 1;
                }
            }
        }
        assert_eq!((&parts.whole[..], failures), (&[b"hello".to_vec()][..], 1));
    }
}

#[test]
fn reading_dropped_once_after_any_number_of_polls_loses_nothing() {
    let wire = encode(Format::U16_BE, &[b"one".to_vec(), Vec::new(), b"three".to_vec()]);
    let script: Vec<_> = (0..wire.len()).flat_map(|_| [Step::Pending, Step::Interrupted, Step::Pass(1)]).collect();
    let expected = decode(Format::U16_BE, &wire);
    for polls in 0..2 * wire.len() {
        let mut read = FramedRead::new(ChoppyRead::new(&wire, script.clone()), Format::U16_BE);
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        // If the polls are enough for a frame, it is taken.
        if let Some(frame) = poll_times(polls, read.next_frame()) {
            payloads.extend(frame.expect("a frame").map(|frame| frame.payload().to_vec()));
        }
        let (io, decoder) = read.into_parts();
        let mut read = FramedRead::with_decoder(io, decoder);
        while let Some(frame) = block_on(read.next_frame()).expect("no error") {
            payloads.push(frame.payload().to_vec());
        }
        assert_eq!(payloads, expected.0, "dropped after {polls} polls");
    }
    println!("cases: {}", 2 * wire.len());
}

/// Handlers that answer once, twice, not at all, with much, and that fail; the bytes before the stream say: u24,
/// big-endian, no trailer, a limit of 70,000 bytes, no greeting, writes and reads of one byte and more.
#[test]
fn a_session_is_answered_as_its_frames_ask() {
    let settings = [&[0, 2, 0, 0, 0, 31, 0, 0][..], &[0, 0x40, 0xB0, 0xE0, 3, 0x7F, 0x8F, 0x8E].repeat(2)].concat();
    let frame = |first: u8, len: usize| [&(len as u32).to_be_bytes()[1..], &vec![first; len]].concat();
    let once = [frame(9, 1), frame(0, 5), frame(2, 7), frame(3, 20_000), frame(9, 0)].concat();
    let failing = [&once[..], &frame(1, 3), &frame(9, 3)].concat();
    let cut = &once[..once.len() - 1];
    for stream in [&once[..], &failing, cut, b"\xFF\xFF\xFF"] {
        unstick::testing::own::check_session(&[&settings, stream].concat());
    }
    println!("cases: 4");
}

#[track_caller]
fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len =
        prop_oneof![6 => 0..40usize, 2 => 250..260usize, 1 => NO_COPY_LEN - 2..NO_COPY_LEN + 3, 1 => 0..70_000usize];
    let payload = (len, any::<u8>()).prop_map(|(len, first)| (0..len).map(|at| first.wrapping_add(at as u8)).collect());
    prop::collection::vec(payload, 0..12)
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<u8>().prop_map(Step::harmless), 0..200)
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::U32_LE, Format::U24_BE, Format::VARINT, Format::U64_BE, Format::U32_BE_INCLUSIVE])
}

proptest! {
    #[test]
    fn any_chopping_gives_the_same_frames(
        format in format(),
        payloads in payloads(),
        script in script(),
        missing in prop_oneof![Just(0usize), 1..40usize],
    ) {
        let mut wire = encode(format, &payloads);
        wire.truncate(wire.len().saturating_sub(missing));
        let expected = decode(format, &wire);
        for (name, take) in takes() {
            assert_same(&take(ChoppyRead::new(&wire, script.clone()), format), &expected, name);
        }
    }

    #[test]
    fn any_chopping_of_any_bytes_gives_the_same_frames_and_the_same_error(
        format in prop::sample::select(vec![Format::U8, Format::U16_BE, Format::VARINT, Format::U16_BE_INCLUSIVE]),
        wire in prop::collection::vec(prop_oneof![0..6u8, any::<u8>()], 0..100),
        script in script(),
    ) {
        let expected = decode(format, &wire);
        for (name, take) in takes() {
            assert_same(&take(ChoppyRead::new(&wire, script.clone()), format), &expected, name);
        }
    }
}

/// Sends a frame, closes, and still reads: what the peer sends after it saw the end of our stream.
async fn half_close<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(reader: R, writer: W) {
    let mut write = FramedWrite::new(writer, Format::U32_LE);
    write.send("你好".as_bytes()).await.expect("sent");
    write.close().await.expect("closed");
    write.close().await.expect("closed already");
    let mut read = FramedRead::new(reader, Format::U32_LE);
    let reply = read.next_frame().await.expect("a frame").expect("a frame");
    assert_eq!(reply.text().expect("text"), "after your FIN: 你好");
    assert!(read.next_frame().await.expect("a clean end").is_none());
}

/// Waits for the end of the peer's stream, and only then answers.
async fn answer_after_end<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(mut reader: R, writer: W) {
    let mut wire = Vec::new();
    reader.read_to_end(&mut wire).await.expect("the end");
    let reply = format!("after your FIN: {}", std::str::from_utf8(&wire[4..]).expect("text"));
    let mut write = FramedWrite::new(writer, Format::U32_LE);
    write.send(reply.as_bytes()).await.expect("sent");
    write.close().await.expect("closed");
}

#[test]
fn close_sends_fin_and_reading_goes_on() {
    block_on(async {
        let listener = async_net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let ours = async_net::TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (theirs, _) = listener.accept().await.expect("accepted");
        futures_lite::future::zip(half_close(ours.clone(), ours), answer_after_end(theirs.clone(), theirs)).await;
    });
}

#[test]
fn the_adapters_work_on_another_runtime() {
    use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let answering = tokio::spawn(async move {
            let (read, write) = listener.accept().await.expect("accepted").0.into_split();
            answer_after_end(read.compat(), write.compat_write()).await;
        });
        let (read, write) = tokio::net::TcpStream::connect(addr).await.expect("connected").into_split();
        half_close(read.compat(), write.compat_write()).await;
        answering.await.expect("answered");
    });
}

/// Payloads of a stream stay as they are while others are read: the memory of a large one is not read into again before
/// it was dropped, and one that stands among others is copied.
#[test]
fn owned_payloads_stay_as_they_are() {
    let payloads: Vec<Vec<u8>> =
        (0..40usize).map(|index| (0..index * 1_500).map(|at| (at * 7 + index) as u8).collect()).collect();
    let mut wire = Vec::new();
    for payload in &payloads {
        Encoder::new(Format::U32_LE).encode(payload, &mut wire).unwrap();
    }
    for keep in [0, 3, usize::MAX] {
        block_on(async {
            let mut stream = FramedRead::new(&wire[..], Format::U32_LE).into_stream();
            let mut kept = std::collections::VecDeque::new();
            for expected in &payloads {
                let payload = stream.next().await.expect("a frame").expect("no error");
                assert_eq!(payload, expected);
                kept.push_back((payload, expected));
                while kept.len() > keep {
                    kept.pop_front();
                }
                assert!(kept.iter().all(|(payload, expected)| payload == expected));
            }
            assert!(stream.next().await.is_none());
        });
    }
}

proptest! {
    /// A whole connection in memory, from any bytes.
    #[test]
    fn sessions_are_what_the_stream_says(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        unstick::testing::own::check_session(&data);
    }
}
