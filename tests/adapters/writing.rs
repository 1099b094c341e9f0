//! `FramedWrite`: frames arrive whole, once and in order, whatever the writer does and whichever futures are dropped.

use super::*;

/// How a test puts frames into a writer.
type Put = fn(&mut FramedWrite<ChoppyWrite>, &[u8]) -> Result<(), WriteError>;

const PUTS: [(&str, Put); 5] = [
    ("enqueue", |write, payload| Ok(write.enqueue(payload)?)),
    ("enqueue_bytes", |write, payload| Ok(write.enqueue_bytes(Bytes::copy_from_slice(payload))?)),
    ("feed", |write, payload| block_on(write.feed(payload))),
    ("send", |write, payload| block_on(write.send(payload))),
    ("Sink", |write, payload| {
        let mut sink = std::mem::replace(write, FramedWrite::new(ChoppyWrite::new([]), Format::U8)).into_sink();
        let put = block_on(sink.feed(Bytes::copy_from_slice(payload)));
        *write = sink.into_inner();
        put
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
    }
    let mut sink = write.into_sink();
    block_on(sink.close()).expect("closed");
    let write = sink.into_inner();
    assert_eq!(write.get_ref().written(), b"\x04last");
}

/// A flush is one of the writer's, too, which a buffered writer needs; and a closed writer takes nothing, as a socket
/// does.
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

fn assert_is_begin_of(expected: &[u8], written: &[u8]) {
    assert!(expected.starts_with(written), "torn, lost or doubled within the first {} bytes", written.len());
}

proptest! {
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
        block_on(write.close()).expect("closed");
        prop_assert!(write.get_ref().written() == encode(format, &payloads));
        prop_assert_eq!(write.frames(), payloads.len() as u64);
    }

    /// Also with failures: the written bytes are always a start of the stream, and with the queued bytes they are all
    /// of it.
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
