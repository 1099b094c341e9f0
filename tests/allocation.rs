//! Allocations are counted, as they are part of what the core promises. The counting allocator is
//! `allocation-counter`'s, so that this file needs no `unsafe`.

use allocation_counter::measure;
use unstick::framing::{Decoder, Encoder, Format, Header, Oversize, Part, split_first};
use unstick::testing::{FrameLen, Plan};

/// Bytes of one read.
const READ: usize = 4096;

/// A stream of frames from empty to 1 KiB, long enough for some hundred reads.
fn stream() -> (Format, Vec<u8>, u64) {
    let format = Format::U32_LE.with_max_payload_len(1024).expect("a format");
    let frames: Vec<FrameLen> = (0..4000).map(|turn| FrameLen::Exact(turn * 37 % 1025)).collect();
    let plan = Plan { frames, ..Plan::new(format) };
    (format, plan.stream(), plan.frames.len() as u64)
}

/// Reads the stream into the decoder and takes all frames: how many.
fn read(decoder: &mut Decoder, stream: &[u8]) -> u64 {
    let mut left = stream;
    let mut frames = 0;
    while !left.is_empty() {
        let space = decoder.space();
        let len = space.len().min(left.len()).min(READ);
        space[..len].copy_from_slice(&left[..len]);
        decoder.filled(len);
        left = &left[len..];
        while decoder.next_frame().expect("good frames").is_some() {
            frames += 1;
        }
    }
    frames
}

#[test]
fn reading_frames_allocates_nothing_once_the_buffer_is_there() {
    let (format, stream, count) = stream();
    let mut decoder = Decoder::with_read_len(format, READ);
    assert_eq!(read(&mut decoder, &stream), count);
    let info = measure(|| assert_eq!(read(&mut decoder, &stream), count));
    assert_eq!(info.count_total, 0, "{count} frames, and {} allocations", info.count_total);
}

#[test]
fn the_first_read_allocates_one_buffer() {
    let (format, stream, count) = stream();
    let mut decoder = Decoder::with_read_len(format, READ);
    let info = measure(|| assert_eq!(read(&mut decoder, &stream), count));
    assert!(info.count_total <= 2, "{} allocations", info.count_total);
    assert!(info.bytes_max <= 2 * READ as u64, "{} bytes", info.bytes_max);
}

/// Frames that are whole in their chunk are not copied, and so never allocate.
#[test]
fn frames_borrowed_from_a_chunk_allocate_nothing_at_all() {
    let (format, stream, count) = stream();
    let mut decoder = Decoder::new(format);
    let info = measure(|| {
        let mut chunk = &stream[..];
        let mut frames = 0;
        while decoder.next_frame_from(&mut chunk).expect("good frames").is_some() {
            frames += 1;
        }
        assert_eq!(frames, count);
    });
    assert_eq!(info.count_total, 0);
    assert_eq!(decoder.capacity(), 0);
}

/// Frames of a slice are not copied either; and an error in the bytes after them is reported without an allocation.
#[test]
fn frames_of_a_slice_allocate_nothing_also_where_they_fail() {
    let (format, stream, count) = stream();
    let trailed = Format::new(format.layout().trailer(2), 1024).expect("a format");
    let behind = b"TT\x05\0\0\0helloTT";
    let streams = [
        (format, stream.clone(), count, None),
        (
            format,
            [&stream[..], b"\xFF\xFF\xFF\x7F"].concat(),
            count,
            Some("over the limit of 1024 (header ff ff ff 7f"),
        ),
        (format, [&stream[..], b"\x05\0\0\0hell"].concat(), count, Some("1 of 9 bytes missing")),
        (format, b"GET / HTTP/1.1\r\n".to_vec(), 0, Some("looks like HTTP")),
        (trailed, [&[0; 4], &behind[..]].concat(), 2, None),
        (trailed, [&[0; 4], &behind[..12]].concat(), 1, Some("inside the trailer of a frame: 1 of 11 bytes missing")),
    ];
    for (format, stream, count, told) in streams {
        let mut fault = None;
        let info = measure(|| {
            let mut frames = 0;
            for found in format.frames(&stream) {
                match found {
                    Ok(_) => frames += 1,
                    Err(found) => fault = Some(found),
                }
            }
            assert_eq!(frames, count);
            let (mut rest, mut frames) = (&stream[..], 0);
            while let Ok(Some((_, behind))) = split_first(&format, rest) {
                (rest, frames) = (behind, frames + 1);
            }
            assert_eq!(frames, count);
        });
        assert_eq!(info.count_total, 0, "{told:?}");
        let text = fault.map(|fault| fault.to_string());
        assert_eq!(text.is_some(), told.is_some(), "{text:?}");
        assert!(text.as_deref().unwrap_or("").contains(told.unwrap_or("")), "{text:?} does not say {told:?}");
    }
}

#[test]
fn encoding_into_a_buffer_that_is_reused_allocates_nothing() {
    let (format, stream, count) = stream();
    let encoder = Encoder::new(format);
    let mut out = Vec::new();
    let payload = vec![7; 1024];
    let write = |out: &mut Vec<u8>| {
        out.clear();
        for turn in 0..count as usize {
            encoder.encode(&payload[..turn * 37 % 1025], out).expect("within the limit");
        }
        assert_eq!(out.len(), stream.len());
    };
    write(&mut out);
    let info = measure(|| write(&mut out));
    assert_eq!(info.count_total, 0);
}

/// A refused frame costs no memory either, however long it is said to be.
#[test]
fn a_refused_header_allocates_nothing() {
    let encoder = Encoder::new(Format::U32_BE);
    let mut out = Vec::with_capacity(64);
    let info = measure(|| {
        encoder.header(&[], usize::MAX, &mut out).expect_err("over the limit");
    });
    assert_eq!((info.count_total, out.len()), (0, 0));
}

/// A body in parts, and a body that is skipped, pass through one buffer, whatever their length.
#[test]
fn a_body_in_parts_and_a_skipped_one_pass_through_one_buffer() {
    let format = Format::U64_BE.with_max_payload_len(1 << 40).expect("a format");
    let mut streamed = Decoder::with_read_len(format, READ);
    streamed.feed(&(64u64 << 20).to_be_bytes());
    assert!(matches!(streamed.next_part(), Ok(Some(Part::Start { .. }))));
    let mut skipping = Decoder::with_read_len(Format::U32_BE.with_max_payload_len(10).expect("a format"), READ)
        .on_oversize(Oversize::Skip { max_discard: u64::MAX });
    skipping.feed(&(64u32 << 20).to_be_bytes());
    let info = measure(|| {
        let mut bytes = 0;
        while bytes < 64 << 20 {
            let len = streamed.space().len();
            streamed.filled(len);
            while let Ok(Some(Part::Chunk(chunk))) = streamed.next_part() {
                bytes += chunk.len();
            }
            let len = skipping.space().len();
            skipping.filled(len);
            assert_eq!(skipping.next_frame(), Ok(None));
        }
    });
    assert!(info.bytes_max <= 4 * READ as u64, "{} bytes", info.bytes_max);
    assert!(info.count_total <= 4, "{} allocations", info.count_total);
    assert_eq!(skipping.skipped().frames, 1);
    assert_eq!(skipping.format().max_payload_len(), 10);
}

/// A frame that began in an earlier chunk takes only its rest from the next one; the frames after it are borrowed from
/// that chunk.
#[test]
fn frames_after_one_that_was_cut_are_borrowed_from_the_chunk() {
    let mut decoder = Decoder::new(Format::U8);
    decoder.feed(b"\x05he");
    let chunk = b"llo\x03one\x03two\x04cu";
    let mut rest = &chunk[..];
    let frame = decoder.next_frame_from(&mut rest).expect("no error").expect("a frame");
    assert_eq!(frame.payload(), b"hello");
    for expected in [b"one", b"two"] {
        let frame = decoder.next_frame_from(&mut rest).expect("no error").expect("a frame");
        assert_eq!(frame.payload(), expected);
        assert!(chunk.as_ptr_range().contains(&frame.payload().as_ptr()), "{expected:?} was copied");
    }
    assert_eq!(decoder.next_frame_from(&mut rest), Ok(None));
    assert_eq!(decoder.buffered(), 3);
}
