//! `FramedWrite`: how much waits before it is written, and how much may.

use super::*;

/// A frame's header has one byte.
fn small_marks(script: impl IntoIterator<Item = Step>) -> FramedWrite<ChoppyWrite> {
    FramedWrite::new(ChoppyWrite::new(script), Format::U8).high_water(10).max_queued(20)
}

/// Sends a frame, and drops the future when the writer makes it wait. Returns the bytes queued then, or the error with
/// them.
fn try_feed<W: AsyncWrite + Unpin>(write: &mut FramedWrite<W>, payload: &[u8]) -> Result<usize, (usize, usize)> {
    match poll_times(1, write.feed(payload)) {
        None | Some(Ok(())) => Ok(write.queued()),
        Some(Err(WriteError::Overflow { queued, max_queued })) => Err((queued, max_queued)),
        Some(Err(error)) => panic!("{error}"),
    }
}

#[test]
fn what_is_fed_is_written_once_the_mark_is_reached() {
    let mut write = small_marks([]);
    for (payload, queued, written) in [(&b"abcd"[..], 5, 0), (b"abc", 9, 0), (b"", 0, 10), (b"abcdefgh", 9, 10)] {
        assert_eq!(try_feed(&mut write, payload), Ok(queued));
        assert_eq!(write.get_ref().written().len(), written);
    }
    assert_eq!(try_feed(&mut write, b"abcdefgh"), Ok(0), "beyond it");
    assert_eq!(write.get_ref().written().len(), 28);
}

/// More than the limit may be reached, and not be gone beyond.
#[test]
fn repeatedly_dropped_sends_overflow() {
    let mut write = small_marks([Step::Pending; 8]);
    assert_eq!([(); 3].map(|()| try_feed(&mut write, b"123456789")), [Ok(10), Ok(20), Ok(30)]);
    // What waits is told with the limit, again and again, and is no more: what is refused is not queued.
    assert_eq!([(); 3].map(|()| try_feed(&mut write, b"123456789")), [Err((30, 20)); 3]);
    assert_eq!((write.queued(), write.frames(), write.bytes()), (30, 3, 30));

    // Once all is written it goes on as it began.
    while poll_times(1, write.flush()).is_none() {}
    assert_eq!((try_feed(&mut write, b"again"), try_feed(&mut write, b"and")), (Ok(6), Ok(0)));
    assert_eq!(write.get_ref().written()[30..], *b"\x05again\x03and");
}

/// Below the mark, no write was tried yet, so no future can have been dropped during one.
#[test]
fn a_limit_below_the_mark_is_the_mark() {
    let low_limit = |write: FramedWrite<ChoppyWrite>| write.max_queued(1).high_water(10).max_queued(2);
    for mut write in [low_limit(small_marks([])), small_marks([]).max_queued(3)] {
        assert_eq!([(); 3].map(|()| try_feed(&mut write, b"1234")), [Ok(5), Ok(0), Ok(5)]);
    }
    let mut raised = small_marks([Step::Pending; 8]).high_water(40);
    assert_eq!([(); 4].map(|()| try_feed(&mut raised, b"123456789")), [Ok(10), Ok(20), Ok(30), Ok(40)]);
    assert_eq!(try_feed(&mut raised, b""), Ok(41));
    assert_eq!(try_feed(&mut raised, b""), Err((41, 40)));
}

#[test]
fn large_frames_overflow_too() {
    let frame_len = 4 + NO_COPY_LEN;
    let writer = ChoppyWrite::new([Step::Pending; 8]);
    let mut write = FramedWrite::new(writer, Format::U32_LE).high_water(frame_len).max_queued(frame_len);
    let mut feed = || try_feed(&mut write, &[7; NO_COPY_LEN]);
    assert_eq!([feed(), feed()], [Ok(frame_len), Ok(2 * frame_len)]);
    assert_eq!([feed(), feed()], [Err((2 * frame_len, frame_len)); 2]);
    assert_eq!((write.queued(), write.frames()), (2 * frame_len, 2), "nothing of it was queued");
}

/// A writer that has no vectored writes of its own.
struct PlainWrite(Vec<u8>);

impl AsyncWrite for PlainWrite {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        panic!("a vectored write of {} slices", bufs.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn what_is_in_one_piece_goes_out_by_a_plain_write() {
    let mut write = FramedWrite::new(PlainWrite(Vec::new()), Format::U8);
    write.enqueue(b"one").expect("within the limit");
    block_on(write.send(b"two")).expect("written");
    assert_eq!(write.into_inner().0, b"\x03one\x03two");
}

/// A write has 64 slices at most, and the last of them is for the payload that is written from where it is. Here, after
/// the first header went out, just 64 slices wait before it.
#[test]
fn a_payload_after_as_many_slices_as_a_write_has_waits_for_the_next() {
    let large = |n: u8| vec![n; NO_COPY_LEN];
    let mut write = FramedWrite::new(ChoppyWrite::new([Step::Pass(4)]), Format::U32_LE);
    for n in 0..32 {
        write.enqueue_bytes(large(n).into()).expect("within the limit");
    }
    block_on(write.send(&large(32))).expect("written");
    let lens: Vec<usize> = write.get_ref().writes().iter().map(|write| write.slices.len()).collect();
    assert_eq!(lens, [63, 63, 2]);
    let payloads: Vec<Vec<u8>> = (0..33).map(large).collect();
    assert!(write.get_ref().written() == encode(Format::U32_LE, &payloads));
}

#[test]
fn closing_flushes_once_and_writes_what_came_later() {
    let mut write = small_marks([]);
    for _ in 0..2 {
        block_on(write.close()).expect("closed");
        assert_eq!((write.get_ref().flushes(), write.get_ref().is_closed()), (1, true));
    }
    write.enqueue(b"late").expect("within the limit");
    let error = block_on(write.close()).expect_err("the writer is closed");
    assert_eq!((error.kind(), write.queued()), (io::ErrorKind::BrokenPipe, 5));
}

#[test]
fn owned_payloads_from_16_kib_on_stay_where_they_are() {
    for (len, slices) in [(1, 1), (NO_COPY_LEN - 1, 1), (NO_COPY_LEN, 2), (NO_COPY_LEN + 1, 2)] {
        let mut write = FramedWrite::new(ChoppyWrite::new([]), Format::U32_LE);
        write.enqueue_bytes(vec![7; len].into()).expect("within the limit");
        block_on(write.flush()).expect("written");
        assert_eq!(write.get_ref().writes()[0].slices.len(), slices, "{len} bytes");
    }
}

#[test]
fn the_length_from_which_on_nothing_is_copied_is_16_kib() {
    assert_eq!(NO_COPY_LEN, 16 * 1024);
}
