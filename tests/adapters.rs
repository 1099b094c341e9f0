//! The adapters over a reader and a writer that do what a network may do, and over real sockets on two runtimes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_lite::future::{block_on, poll_fn};
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, StreamExt};
use futures_sink::Sink;
use proptest::prelude::*;
use unstick::framing::{DecodeErrorKind, Decoder, EncodeError, Encoder, Format, Part, Phase};
use unstick::testing::choppy::{ChoppyRead, ChoppyWrite, Step};
use unstick::{FramedRead, FramedWrite, NO_COPY_LEN, ReadError, WriteError};

/// What a stream gave: its payloads, and how it ended.
type Given = (Vec<Vec<u8>>, Result<(), ReadError>);

/// How a test takes all there is out of a reader.
type Take = fn(ChoppyRead, Format) -> Given;

const TAKES: [(&str, Take); 5] = [
    ("next_frame", by_frames),
    ("next_part", by_parts),
    ("into_stream", by_stream),
    ("next_frame, dropped after every poll", by_dropped_frames),
    ("next_part, dropped after every poll", by_dropped_parts),
];

fn by_frames(io: ChoppyRead, format: Format) -> Given {
    block_on(async {
        let (mut read, mut payloads) = (FramedRead::new(io, format), Vec::new());
        loop {
            match read.next_frame().await {
                Ok(Some(frame)) => payloads.push(frame.payload().to_vec()),
                Ok(None) => return (payloads, Ok(())),
                Err(error) => return (payloads, Err(error)),
            }
        }
    })
}

fn by_parts(io: ChoppyRead, format: Format) -> Given {
    let (mut read, mut parts) = (FramedRead::new(io, format), Parts::default());
    loop {
        match block_on(read.next_part()) {
            Ok(Some(part)) => parts.take(part),
            Ok(None) => return (parts.whole, Ok(())),
            Err(error) => return (parts.whole, Err(error)),
        }
    }
}

fn by_stream(io: ChoppyRead, format: Format) -> Given {
    block_on(async {
        let (mut stream, mut payloads) = (FramedRead::new(io, format).into_stream(), Vec::new());
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

fn by_dropped_frames(io: ChoppyRead, format: Format) -> Given {
    let (mut read, mut payloads) = (FramedRead::new(io, format), Vec::new());
    loop {
        match poll_times(1, read.next_frame()) {
            None => {}
            Some(Ok(Some(frame))) => payloads.push(frame.payload().to_vec()),
            Some(Ok(None)) => return (payloads, Ok(())),
            Some(Err(error)) => return (payloads, Err(error)),
        }
    }
}

fn by_dropped_parts(io: ChoppyRead, format: Format) -> Given {
    let (mut read, mut parts) = (FramedRead::new(io, format), Parts::default());
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
            Part::End => {
                let (payload_len, payload) = self.open.take().expect("an end inside a frame");
                assert_eq!(payload.len(), payload_len);
                self.whole.push(payload);
            }
        }
    }
}

/// Polls a future so many times at most, then drops it; what it gave.
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
        Encoder::new(format).encode(&[], payload, &mut wire).expect("within the limit");
    }
    wire
}

/// What a decoder gives that gets the whole stream at once: the truth that every way of reading is compared with.
fn decode(format: Format, wire: &[u8]) -> Given {
    let (mut decoder, mut payloads) = (Decoder::new(format), Vec::new());
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
        (Err(ReadError::Decode(found)), Err(ReadError::Decode(expected))) => assert_eq!(found, expected, "{how}"),
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
        // The wire, also where it ends inside a frame or at the boundary before the last.
        let wire = encode(Format::new(format.layout(), 255).expect("a format"), &payloads);
        for end in 0..=wire.len() {
            let expected = decode(format, &wire[..end]);
            for cuts in 0..1 << end {
                for (name, take) in TAKES {
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
        for (name, take) in TAKES {
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
    // A reader may give bytes after it said that there are no more: a terminal does. The first error is final all the same.
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
        // Where the polls are enough for a frame, it is taken.
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

/// How a test puts frames into a writer.
type Put = fn(&mut FramedWrite<ChoppyWrite>, &[u8]) -> Result<(), WriteError>;

const PUTS: [(&str, Put); 5] = [
    ("enqueue", |write, payload| Ok(write.enqueue(payload)?)),
    ("enqueue_bytes", |write, payload| Ok(write.enqueue_bytes(Bytes::copy_from_slice(payload))?)),
    ("feed", |write, payload| block_on(write.feed(payload))),
    ("send", |write, payload| block_on(write.send(payload))),
    ("Sink", |write, payload| {
        block_on(poll_fn(|cx| Pin::new(&mut *write).poll_ready(cx)))?;
        Pin::new(&mut *write).start_send(Bytes::copy_from_slice(payload))
    }),
];

#[test]
fn an_encode_error_queues_nothing() {
    let format = Format::U32_LE.with_max_payload_len(NO_COPY_LEN).expect("a format");
    for (name, put) in PUTS {
        let mut write = FramedWrite::new(ChoppyWrite::new([]), format);
        put(&mut write, b"before").expect("within the limit");
        let (queued, frames, bytes) = (write.queued(), write.frames(), write.bytes());
        let error = put(&mut write, &[0; NO_COPY_LEN + 1]).expect_err("over the limit");
        let oversize = EncodeError::Oversize { payload_len: NO_COPY_LEN + 1, max_payload_len: NO_COPY_LEN };
        assert!(matches!(error, WriteError::Encode(error) if error == oversize), "{name}: {error}");
        assert_eq!((write.queued(), write.frames(), write.bytes()), (queued, frames, bytes), "{name}");
        put(&mut write, b"after").expect("within the limit");
        block_on(write.close()).expect("written");
        assert_eq!(write.get_ref().written(), b"\x06\0\0\0before\x05\0\0\0after", "{name}");
    }
}

#[test]
fn a_writer_that_takes_nothing_is_write_zero_and_nothing_is_lost() {
    for payload in [vec![1; 10], vec![2; NO_COPY_LEN]] {
        let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pass(3), Step::Nothing]), Format::U32_LE);
        let error = block_on(write.send(&payload)).expect_err("write zero");
        assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::WriteZero), "{error}");
        assert_eq!(write.queued(), 4 + payload.len() - 3);
        block_on(write.flush()).expect("written");
        assert_eq!(write.get_ref().written(), encode(Format::U32_LE, &[payload]));
    }
}

#[test]
fn a_writer_that_fails_is_written_to_again_and_nothing_is_lost_or_twice() {
    for payload in [vec![1; 10], vec![2; NO_COPY_LEN + 3]] {
        let expected = encode(Format::U32_LE, &[payload.clone(), b"next".to_vec()]);
        for at in 1..5 {
            let reset = Step::Fail(io::ErrorKind::ConnectionReset);
            let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pass(at), reset]), Format::U32_LE);
            let error = block_on(write.send(&payload)).expect_err("a reset");
            assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
            block_on(write.send(b"next")).expect("written");
            assert_eq!(write.get_ref().written(), expected);
        }
    }
}

#[test]
fn a_large_payload_is_written_from_where_it_is() {
    let payload = vec![7; NO_COPY_LEN];
    let place = (payload.as_ptr().addr(), payload.len());
    let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U32_LE);
    write.enqueue(b"small").expect("within the limit");
    block_on(write.send(&payload)).expect("written");
    let [write_of_both] = write.get_ref().writes() else { panic!("one write: {:?}", write.get_ref().writes()) };
    assert_eq!(write_of_both.slices.len(), 2, "what was queued with the header, and the payload");
    assert_eq!(write_of_both.slices[0].1, 4 + 5 + 4);
    assert_eq!(write_of_both.slices[1], place, "not a copy");

    let owned = Bytes::from(payload);
    let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pass(6)]), Format::U32_LE);
    write.enqueue_bytes(owned.clone()).expect("within the limit");
    write.enqueue_bytes(owned).expect("within the limit");
    block_on(write.flush()).expect("written");
    let lens: Vec<_> = write.get_ref().writes().iter().map(|write| write.slices.clone()).collect();
    assert_eq!(lens[0][1], place);
    assert_eq!(lens[1][0], (place.0 + 2, place.1 - 2), "after a short write the rest, still from where it is");
    assert_eq!(lens[1][2], place);

    let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U32_LE);
    block_on(write.send(&[7; NO_COPY_LEN - 1])).expect("written");
    assert_eq!(write.get_ref().writes()[0].slices.len(), 1, "a shorter one is copied behind its header");
}

#[test]
fn many_large_payloads_in_the_queue_come_in_order() {
    let payloads: Vec<Vec<u8>> = (0..100).map(|n| vec![n; if n % 3 == 0 { 5 } else { NO_COPY_LEN }]).collect();
    let script = [40_000, 1, 70_000, 16_383, 900_000].map(Step::Pass);
    let mut write = FramedWrite::new(ChoppyWrite::new(script), Format::U32_LE);
    for payload in &payloads {
        write.enqueue_bytes(Bytes::copy_from_slice(payload)).expect("within the limit");
    }
    let expected = encode(Format::U32_LE, &payloads);
    assert_eq!(write.queued(), expected.len());
    block_on(write.close()).expect("written");
    assert!(write.get_ref().written() == expected);
    assert!(write.get_ref().writes().iter().all(|write| write.slices.len() <= 64));
}

#[test]
fn sending_dropped_after_any_number_of_polls_neither_loses_nor_tears_nor_doubles() {
    let payloads = [b"small".to_vec(), vec![1; NO_COPY_LEN], Vec::new(), vec![2; NO_COPY_LEN + 1], b"last".to_vec()];
    let expected = encode(Format::U32_LE, &payloads);
    // Short writes, and a wait at each.
    let script: Vec<_> = (0..12).flat_map(|n| [Step::Pending, Step::Pass(1 + n * n * 37), Step::Interrupted]).collect();
    let mut cases = 0;
    for polls in 1..30 {
        for flushing in [true, false] {
            let mut write = FramedWrite::new(ChoppyWrite::new(script.clone()), Format::U32_LE);
            for payload in &payloads {
                let sent = match flushing {
                    true => poll_times(polls, write.send(payload)),
                    false => poll_times(polls, write.feed(payload)),
                };
                assert!(!matches!(sent, Some(Err(_))));
                assert_is_begin_of(&expected, write.get_ref().written());
            }
            assert_eq!(write.frames(), payloads.len() as u64);
            assert_eq!(write.bytes(), expected.len() as u64);
            while poll_times(polls, write.flush()).is_none() {}
            assert!(write.get_ref().written() == expected, "dropped after {polls} polls");
            assert_eq!(write.queued(), 0);
            cases += 1;
        }
    }
    println!("cases: {cases}");
}

#[test]
fn a_send_that_was_never_polled_did_not_begin() {
    let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U32_LE);
    drop(write.send(b"never"));
    drop(write.send(&[1; NO_COPY_LEN]));
    drop(write.feed(b"never"));
    assert_eq!((write.queued(), write.frames(), write.bytes()), (0, 0, 0));
}

#[test]
fn flushing_and_closing_dropped_after_any_number_of_polls_go_on_where_they_were() {
    let payloads = [b"small".to_vec(), vec![1; NO_COPY_LEN]];
    let expected = encode(Format::U32_LE, &payloads);
    let script = [
        Step::Pending,
        Step::Pass(2),
        Step::Pending,
        Step::Pass(10),
        Step::Pending,
        Step::Pending,
        Step::Pass(40_000),
        Step::Pending,
        Step::Pending,
        Step::Pending,
    ];
    for polls in 1..=script.len() {
        let mut write = FramedWrite::new(ChoppyWrite::new(script), Format::U32_LE);
        for payload in &payloads {
            write.enqueue(payload).expect("within the limit");
        }
        _ = poll_times(polls, write.flush());
        assert_is_begin_of(&expected, write.get_ref().written());
        let closed = poll_times(polls, write.close());
        assert_eq!(closed.is_some(), write.get_ref().is_closed());
        while !matches!(poll_times(polls, write.close()), Some(Ok(()))) {}
        assert!(write.get_ref().is_closed());
        assert!(write.get_ref().written() == expected, "dropped after {polls} polls");
    }
    println!("cases: {}", script.len());
}

/// The sink says the same as the methods, and a failure is told and not the end.
#[test]
fn the_sink_flushes_and_closes_and_tells_failures() {
    block_on(async {
        let fail = Step::Fail(io::ErrorKind::ConnectionReset);
        let mut frames = FramedWrite::new(ChoppyWrite::new([fail, Step::Pass(9), fail, fail]), Format::U8);
        let mut frames_pinned = Pin::new(&mut frames);
        poll_fn(|cx| frames_pinned.as_mut().poll_ready(cx)).await.expect("room");
        frames_pinned.as_mut().start_send(Bytes::from_static(b"hello")).expect("a frame");
        for flushed in [false, false] {
            let result = poll_fn(|cx| Sink::<Bytes>::poll_flush(frames_pinned.as_mut(), cx)).await;
            assert_eq!(result.is_ok(), flushed);
        }
        for closed in [false, true, true] {
            let result = poll_fn(|cx| Sink::<Bytes>::poll_close(frames_pinned.as_mut(), cx)).await;
            assert_eq!(result.is_ok(), closed);
        }
        let writer = frames.into_inner();
        assert_eq!((writer.written(), writer.is_closed()), (&b"\x05hello"[..], true));
    });
}

#[test]
fn the_last_item_of_a_stream_is_its_failure() {
    block_on(async {
        let reader = ChoppyRead::new(b"\x01a\x01b", [Step::Pass(2), Step::Fail(io::ErrorKind::ConnectionReset)]);
        let frames = FramedRead::new(reader, Format::U8);
        assert_eq!((*frames.decoder().format(), frames.bytes()), (Format::U8, 0));
        let mut stream = frames.into_stream();
        assert_eq!(stream.next().await.expect("an item").expect("a frame"), &b"a"[..]);
        assert!(matches!(stream.next().await, Some(Err(ReadError::Io(_)))));
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn bytes_are_counted_also_those_of_a_stream_that_failed() {
    block_on(async {
        let limited = Format::U8.with_max_payload_len(2).expect("a format");
        let mut frames = FramedRead::new(ChoppyRead::new(b"\x01a\x03bcd", [Step::Pass(2)]), limited);
        assert_eq!(frames.next_frame().await.expect("a frame").expect("a whole frame").payload(), b"a");
        assert_eq!(frames.bytes(), 2);
        assert!(frames.next_frame().await.is_err());
        assert_eq!(frames.bytes(), 6);
    });
}

#[test]
fn closing_again_does_nothing() {
    let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U8);
    write.enqueue(b"last").expect("within the limit");
    for _ in 0..2 {
        block_on(write.close()).expect("closed");
        block_on(poll_fn(|cx| Pin::new(&mut write).poll_close(cx))).expect("closed");
    }
    assert_eq!(write.get_ref().written(), b"\x04last");
}

#[test]
fn the_sink_takes_no_more_while_64_kib_wait() {
    let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pending; 3]), Format::U32_LE);
    let mut cx = Context::from_waker(Waker::noop());
    let mut taken = 0;
    while let Poll::Ready(ready) = Pin::new(&mut write).poll_ready(&mut cx) {
        ready.expect("no error");
        Pin::new(&mut write).start_send(Bytes::from(vec![0; 1020])).expect("within the limit");
        taken += 1;
    }
    assert_eq!(taken, 64, "frames of 1024 bytes");
    block_on(poll_fn(|cx| Pin::new(&mut write).poll_close(cx))).expect("closed");
    assert_eq!(write.get_ref().written().len(), 64 * 1024);
    assert!(write.get_ref().is_closed());
}

/// A flush is one of the writer's, too, which a buffered writer needs; and a closed writer takes nothing, as a socket does.
#[test]
fn a_flush_reaches_the_writer_and_a_closed_one_takes_nothing() {
    let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U8);
    block_on(write.feed(b"fed")).expect("queued");
    assert_eq!((write.get_ref().flushes(), write.queued()), (0, 4));
    block_on(write.send(b"sent")).expect("written");
    assert_eq!((write.get_ref().flushes(), write.queued()), (1, 0));
    block_on(write.close()).expect("closed");
    let error = block_on(write.send(b"late")).expect_err("closed");
    assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error}");
    assert_eq!(write.get_ref().written(), b"\x03fed\x04sent");
    let mut writer = write.into_inner();
    let again = block_on(poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)));
    assert_eq!(again.expect_err("closed").kind(), io::ErrorKind::NotConnected);
}

/// Handlers that answer once, twice, not at all, with much, and that fail; the bytes before the stream say: u24, big-endian,
/// a limit of 70,000 bytes, no greeting, writes and reads of one byte and more.
#[test]
fn a_session_is_answered_as_its_frames_ask() {
    let settings = [&[0, 2, 0, 0, 31, 0, 0][..], &[0, 0x40, 0xB0, 0xE0, 3, 0x7F, 0x8F, 0x8E].repeat(2)].concat();
    let frame = |first: u8, len: usize| [&(len as u32).to_be_bytes()[1..], &vec![first; len]].concat();
    let once = [frame(9, 1), frame(0, 5), frame(2, 7), frame(3, 20_000), frame(9, 0)].concat();
    let failing = [&once[..], &frame(1, 3), &frame(9, 3)].concat();
    let cut = &once[..once.len() - 1];
    for stream in [&once[..], &failing, cut, b"\xFF\xFF\xFF"] {
        unstick::testing::check_session(&[&settings, stream].concat());
    }
    println!("cases: 4");
}

#[track_caller]
fn assert_is_begin_of(expected: &[u8], written: &[u8]) {
    assert!(expected.starts_with(written), "torn, lost or doubled within the first {} bytes", written.len());
}

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
        for (name, take) in TAKES {
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
        for (name, take) in TAKES {
            assert_same(&take(ChoppyRead::new(&wire, script.clone()), format), &expected, name);
        }
    }

    #[test]
    fn any_chopping_writes_the_same_bytes(
        format in format(),
        frames in payloads().prop_flat_map(|payloads| {
            let len = payloads.len();
            (Just(payloads), prop::collection::vec((0..PUTS.len(), 0..6usize), len))
        }),
        script in script(),
    ) {
        let (payloads, hows) = frames;
        let mut write = FramedWrite::new(ChoppyWrite::new(script), format);
        for (payload, (put, polls)) in payloads.iter().zip(hows) {
            PUTS[put].1(&mut write, payload).expect("within the limit");
            _ = poll_times(polls, write.flush());
        }
        block_on(poll_fn(|cx| Pin::new(&mut write).poll_close(cx))).expect("closed");
        prop_assert!(write.get_ref().written() == encode(format, &payloads));
        prop_assert_eq!(write.frames(), payloads.len() as u64);
    }

    /// With failures, too: what is written is always a begin of the stream, and with what is queued it is all of it.
    #[test]
    fn whatever_the_writer_does_nothing_is_lost_torn_or_doubled(
        payloads in payloads(),
        script in prop::collection::vec(any::<u8>().prop_map(Step::any), 0..200),
        polls in 1..4usize,
    ) {
        let expected = encode(Format::U32_LE, &payloads);
        let mut write = FramedWrite::new(ChoppyWrite::new(script), Format::U32_LE);
        for payload in &payloads {
            _ = poll_times(polls, write.send(payload));
            assert_is_begin_of(&expected, write.get_ref().written());
            prop_assert_eq!(write.get_ref().written().len() + write.queued(), write.bytes() as usize);
        }
        while !matches!(poll_times(polls, write.close()), Some(Ok(()))) {}
        prop_assert!(write.get_ref().written() == expected);
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

/// Payloads of a stream stay as they are while others are read: the memory of a large one is not read into again before it
/// was dropped, and one that stands among others is copied.
#[test]
fn owned_payloads_stay_as_they_are() {
    let payloads: Vec<Vec<u8>> =
        (0..40usize).map(|index| (0..index * 1_500).map(|at| (at * 7 + index) as u8).collect()).collect();
    let mut wire = Vec::new();
    for payload in &payloads {
        Encoder::new(Format::U32_LE).encode(&[], payload, &mut wire).unwrap();
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
        unstick::testing::check_session(&data);
    }
}
