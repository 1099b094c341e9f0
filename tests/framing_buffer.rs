//! When a decoder's memory grows, when what waits in it moves, and when memory stays: to the byte, as
//! [`Decoder::capacity`] and the room of [`Decoder::space`] tell it.

use futures_lite::future::block_on;
use futures_lite::io::sink;
use futures_lite::stream::StreamExt;
use unstick::framing::{DEFAULT_READ_LEN, DecodeErrorKind, Decoder, Format, Frame};
use unstick::testing::choppy::{ChoppyRead, Step};
use unstick::{FramedRead, Halves, PeerName, Responder, ServerConfig, serve_connection};

/// A frame of `len` bytes, header included.
fn frame(len: usize) -> Vec<u8> {
    let payload_len = len as u16 - 2;
    [&payload_len.to_be_bytes()[..], &vec![7; payload_len.into()]].concat()
}

/// A decoder with this memory: `taken` bytes of handled frames, then the first `waiting` bytes of a much longer frame.
fn decoder(read_len: usize, memory: Vec<u8>, taken: usize, waiting: usize) -> Decoder {
    let mut decoder = Decoder::with_read_len(Format::U16_BE, read_len);
    decoder.swap_buffer(memory);
    decoder.feed(&[&frame(taken)[..], &frame(5000)[..waiting]].concat());
    assert_eq!(decoder.next_frame().expect("no error").expect("a whole frame").as_bytes().len(), taken);
    assert_eq!(decoder.buffered(), waiting);
    decoder
}

#[test]
fn memory_grows_by_as_much_as_was_received_and_not_before_it_must() {
    let mut decoder = Decoder::with_read_len(Format::U16_BE, 10);
    decoder.feed(&frame(5000)[..30]);
    assert_eq!(decoder.capacity(), 30);
    assert_eq!((decoder.space().len(), decoder.capacity()), (30, 60));
    decoder.filled(20);
    assert_eq!((decoder.space().len(), decoder.capacity()), (10, 60), "a read still fits");
    decoder.filled(5);
    assert_eq!((decoder.space().len(), decoder.capacity()), (5, 60), "half a read still fits");
    decoder.filled(1);
    assert_eq!((decoder.space().len(), decoder.capacity()), (56, 112));
}

#[test]
fn a_chunk_that_just_fits_needs_no_more_memory() {
    let mut decoder = Decoder::new(Format::U16_BE);
    let stream = frame(5000);
    for (chunk, capacity) in [(0..10, 10), (10..15, 20), (15..20, 20), (20..21, 40), (21..40, 40), (40..41, 80)] {
        decoder.feed(&stream[chunk]);
        assert_eq!(decoder.capacity(), capacity, "of {} bytes", decoder.buffered());
    }
}

#[test]
fn memory_grows_to_the_end_of_the_frame_or_of_a_read() {
    // (bytes of the frame, of them received) and what they make of a read of ten bytes.
    for (len, received, capacity) in [(40, 30, 40), (60, 30, 60), (61, 30, 60), (11, 9, 11), (10, 9, 10), (5, 3, 10)] {
        let mut decoder = Decoder::with_read_len(Format::U16_BE, 10);
        decoder.feed(&frame(len)[..received]);
        let room = decoder.space().len();
        assert_eq!((room, decoder.capacity()), (capacity - received, capacity), "{received} of {len}");
    }
}

/// Where less was taken than waits, what waits moves only to memory that is twice as long.
#[test]
fn a_frame_after_fewer_handled_bytes_moves_to_more_memory() {
    let mut decoder = decoder(10, Vec::with_capacity(30), 10, 20);
    let stream = frame(5000);
    decoder.feed(&stream[20..25]);
    assert_eq!(decoder.capacity(), 40);
    decoder.feed(&stream[25..40]);
    assert_eq!((decoder.buffered(), decoder.capacity()), (40, 40), "what was taken holds no memory");
}

#[test]
fn a_frame_after_as_many_handled_bytes_moves_to_the_front() {
    for (taken, waiting, room) in [(9, 11, 20), (10, 10, 30), (11, 9, 31)] {
        let mut decoder = decoder(5, vec![0; 40], taken, waiting);
        assert_eq!((decoder.space().len(), decoder.capacity()), (room, 40), "{waiting} behind {taken}");
        let rest = &frame(5000)[waiting..];
        decoder.space()[..5].copy_from_slice(&rest[..5]);
        decoder.filled(5);
        decoder.feed(&rest[5..]);
        assert_eq!(decoder.next_frame().expect("no error").expect("a whole frame").as_bytes(), frame(5000));
    }
}

#[test]
fn memory_moves_where_it_is_over_four_times_what_is_wanted_or_kept() {
    for (capacity, keep_len, kept) in
        [(400, 0, 400), (404, 0, 100), (404, 101, 404), (4000, 999, 100), (4000, 1000, 4000)]
    {
        let mut decoder = decoder(100, vec![0; capacity], 10, 1).keeping(keep_len);
        assert_eq!((decoder.space().len(), decoder.capacity()), (kept - 1, kept), "{capacity} {keep_len}");
    }
}

/// Memory from a pool is read into, and only memory that is too short for a read is replaced.
#[test]
fn memory_that_was_swapped_in_is_what_is_read_into() {
    for (capacity, is_kept) in [(99, false), (100, true), (101, true), (400, true)] {
        let mut decoder = Decoder::with_read_len(Format::U16_BE, 100);
        let memory = Vec::with_capacity(capacity);
        let place = memory.as_ptr();
        assert_eq!(decoder.swap_buffer(memory).capacity(), 0);
        let space = decoder.space();
        assert_eq!((space.len(), space.iter().max()), (100, Some(&0)), "of {capacity}");
        assert_eq!(space.as_ptr() == place, is_kept, "of {capacity}");
        assert_eq!(decoder.capacity(), capacity.max(100));
    }
}

/// Also if nothing of it is left.
#[test]
fn a_stream_that_failed_keeps_its_place() {
    let mut decoder = Decoder::new(Format::U16_BE.with_max_payload_len(100).expect("a format"));
    decoder.feed(b"\0\x02hi\xFF\xFFbehind");
    assert!(decoder.next_frame().is_ok_and(|frame| frame.is_some()));
    let error = decoder.next_frame().expect_err("over the limit");
    assert_eq!((error.offset(), decoder.offset()), (4, 4));
    assert_eq!((decoder.buffered(), decoder.capacity()), (0, 0));
}

/// A stream lends its memory if a payload is alone in it and fills at least half of it. Any other payload is copied to
/// memory of its own.
#[test]
fn a_stream_lends_memory_that_is_mostly_payload() {
    for (capacity, behind, is_lent) in [
        (10_004, 0, true),
        (10_008, 0, true),
        (10_009, 0, true),
        (10_010, 0, false),
        (20_000, 0, false),
        (10_004, 1, false),
    ] {
        let stream = [&5000u32.to_le_bytes()[..], &[7; 5000], &vec![0; behind]].concat();
        let mut decoder = Decoder::new(Format::U32_LE);
        decoder.swap_buffer(Vec::with_capacity(capacity));
        decoder.feed(&stream);
        assert_eq!(decoder.capacity(), capacity);
        let mut payloads = FramedRead::with_decoder(&b""[..], decoder).into_stream();
        let payload = block_on(payloads.next()).expect("a frame").expect("no error");
        assert_eq!(payload, [7; 5000][..]);
        assert_eq!(!payload.is_unique(), is_lent, "of {capacity} bytes, with {behind} behind it");
    }
}

/// The server lends its memory to the replies while large frames come. The rest in it is the start of the next frame,
/// also if the memory is kept.
#[test]
fn what_is_left_in_memory_that_was_lent_is_not_lost() {
    const LEN: usize = 20_000;
    let wire = [&(LEN as u32).to_le_bytes()[..], &[7; LEN]].concat();
    let stream = wire.repeat(5);
    let half = LEN / 2;
    for keeps in [false, true] {
        let steps = [wire.len(), wire.len() + half, wire.len(), wire.len() + 2, wire.len() - half - 2].map(Step::Pass);
        let reader = ChoppyRead::new(&stream, steps);
        let mut kept = Vec::new();
        let handler = async |frame: Frame<'_>, responder: &mut Responder| {
            assert_eq!(frame.payload(), [7; LEN]);
            let payload = responder.share(frame);
            let is_lent = payload.as_ptr() == frame.payload().as_ptr();
            kept.push((is_lent, keeps.then(|| payload.clone())));
            responder.send_bytes(payload).await
        };
        let (peer, memory) = (PeerName::Other("memory".into()), Halves { reader, writer: sink() });
        let closed = block_on(serve_connection(peer, memory, ServerConfig::default(), |_| handler));
        let closed = closed.expect("a configuration to serve with");
        assert_eq!((kept.len(), closed.reason.name()), (5, "clean"));
        assert_eq!((closed.traffic.frames_out, closed.traffic.bytes_out), (5, stream.len() as u64));
        // That large ones come shows by the first.
        assert!(!kept[0].0 && kept[1..].iter().all(|(is_lent, _)| *is_lent));
        assert!(kept.iter().filter_map(|(_, payload)| payload.as_ref()).all(|payload| payload[..] == [7; LEN]));
    }
}

#[test]
fn a_read_has_16_kib_unless_told_otherwise() {
    assert_eq!(DEFAULT_READ_LEN, 16 * 1024);
    assert_eq!(Decoder::new(Format::U8).space().len(), 16 * 1024);
}

/// If the current frame needs more than one read, reads continue to its end, and not beyond.
#[test]
fn room_to_read_is_for_the_frame_at_hand() {
    let mut decoder = Decoder::with_read_len(Format::U16_BE, 100);
    let wire = frame(150);
    for (from, to) in [(0, 100), (100, 150)] {
        let space = decoder.space();
        assert_eq!(space.len(), to - from);
        space.copy_from_slice(&wire[from..to]);
        decoder.filled(to - from);
    }
    assert_eq!(decoder.next_frame().expect("no error").expect("a frame").as_bytes(), wire);
}

#[test]
fn memory_for_what_is_fed_is_for_the_frame_at_hand() {
    let mut decoder = Decoder::with_read_len(Format::U16_BE, 100);
    let wire = frame(150);
    decoder.feed(&wire[..90]);
    assert_eq!(decoder.capacity(), 90);
    decoder.feed(&wire[90..120]);
    assert_eq!(decoder.capacity(), 150, "and not twice what was there");
    decoder.feed(&wire[120..]);
    assert_eq!(decoder.next_frame().expect("no error").expect("a frame").as_bytes(), wire);
}

/// A length over the limit, even the greatest one, reserves no memory, also before the frame is asked for.
#[test]
fn a_length_over_the_limit_changes_nothing_about_memory() {
    let mut decoder = Decoder::with_read_len(Format::U64_BE, 100);
    decoder.feed(&[0xFF; 8]);
    decoder.feed(b"abc");
    assert_eq!(decoder.space().len(), 100 - 11);
    let error = decoder.next_frame().expect_err("over the limit");
    assert!(matches!(error.kind(), DecodeErrorKind::Oversize { .. }), "{error}");
    assert_eq!(decoder.capacity(), 0);
}

/// A chunk whose frames are all taken from it does nothing to the memory of the decoder: the next one may need it.
#[test]
fn a_chunk_that_is_taken_whole_leaves_the_memory_as_it_is() {
    let mut decoder = Decoder::with_read_len(Format::U16_BE, 1);
    let wire = frame(150);
    decoder.feed(&wire[..140]);
    decoder.feed(&wire[140..]);
    assert!(decoder.next_frame().expect("no error").is_some());
    let before = decoder.capacity();
    assert!(before >= 150);
    let frame = decoder.next_frame_from(&mut &b"\0\x02hi"[..]).expect("no error").expect("a frame");
    assert_eq!(frame.payload(), b"hi");
    assert_eq!((decoder.capacity(), decoder.buffered(), decoder.offset()), (before, 0, 154));
}
