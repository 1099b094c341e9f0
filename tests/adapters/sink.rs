//! `FrameSink`, by what `SinkExt` makes of every sink.

use futures_util::TryStreamExt;

use super::*;

#[test]
fn what_sinks_have_is_what_it_does() {
    block_on(async {
        let mut sink = FramedWrite::new(ChoppyWrite::new([]), Format::U8).into_sink();
        sink.feed(Bytes::from_static(b"fed")).await.expect("queued");
        assert_eq!((sink.get_ref().queued(), sink.get_ref().get_ref().flushes()), (4, 0));
        sink.send(Bytes::from_static(b"sent")).await.expect("written");
        assert_eq!((sink.get_ref().queued(), sink.get_ref().get_ref().flushes()), (0, 1));
        let mut more = futures_lite::stream::iter(["one", "two"].map(|text| Ok(Bytes::from(text))));
        sink.send_all(&mut more).await.expect("written");
        sink.close().await.expect("closed");
        let error = sink.send(Bytes::from_static(b"late")).await.expect_err("closed");
        assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error}");
        let write = sink.into_inner();
        assert_eq!((write.frames(), write.queued()), (5, 5), "what was not written waits");
        assert_eq!(write.get_ref().written(), b"\x03fed\x04sent\x03one\x03two");
    });
}

/// A stream of one format flows into a sink of another: an I/O error is what both errors become.
#[test]
fn a_stream_is_forwarded_to_a_sink() {
    let payloads: Vec<Vec<u8>> = (0..50).map(|n| vec![n; usize::from(n) * 700]).collect();
    let wire = encode(Format::U32_LE, &payloads);
    for cut in [0, 1] {
        let reader = ChoppyRead::new(&wire[..wire.len() - cut], [Step::Pass(7), Step::Pending].repeat(50));
        let stream = FramedRead::new(reader, Format::U32_LE).into_stream().map_err(io::Error::from);
        let script = [Step::Pending, Step::Pass(5000), Step::Interrupted].repeat(20);
        let mut write = FramedWrite::new(ChoppyWrite::new(script), Format::VARINT);
        write.enqueue(b"before").expect("within the limit");
        let mut sink = write.into_sink();
        let forwarded = block_on(futures_util::StreamExt::forward(stream, (&mut sink).sink_map_err(io::Error::from)));
        assert_eq!(forwarded.map_err(|error| error.kind()), [Ok(()), Err(io::ErrorKind::UnexpectedEof)][cut]);
        block_on(sink.close()).expect("closed");
        let expected = [&[b"before".to_vec()][..], &payloads[..payloads.len() - cut]].concat();
        assert!(sink.get_ref().get_ref().written() == encode(Format::VARINT, &expected));
    }
}

/// A failure is told, and is not the end.
#[test]
fn it_flushes_and_closes_and_tells_failures() {
    block_on(async {
        let fail = Step::Fail(io::ErrorKind::ConnectionReset);
        let mut sink = FramedWrite::new(ChoppyWrite::new([fail, Step::Pass(9), fail, fail]), Format::U8).into_sink();
        sink.feed(Bytes::from_static(b"hello")).await.expect("room");
        for flushed in [false, false] {
            assert_eq!(sink.flush().await.is_ok(), flushed);
        }
        for closed in [false, true, true] {
            assert_eq!(sink.close().await.is_ok(), closed);
        }
        let writer = sink.into_inner().into_inner();
        assert_eq!((writer.written(), writer.is_closed()), (&b"\x05hello"[..], true));
    });
}

#[test]
fn it_takes_no_more_while_64_kib_wait() {
    let mut sink = FramedWrite::new(ChoppyWrite::new([Step::Pending; 3]), Format::U32_LE).into_sink();
    let mut taken = 0;
    while let Some(fed) = poll_times(1, sink.feed(Bytes::from(vec![0; 1020]))) {
        fed.expect("within the limit");
        taken += 1;
    }
    assert_eq!(taken, 64, "frames of 1024 bytes");
    block_on(sink.close()).expect("closed");
    let write = sink.into_inner();
    assert_eq!(write.get_ref().written().len(), 64 * 1024);
    assert!(write.get_ref().is_closed());
}
