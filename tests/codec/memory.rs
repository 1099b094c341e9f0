//! Memory follows what was received. What is counted is what is allocated, as a part of a `BytesMut` does not tell the
//! whole.

use allocation_counter::measure;
use bytes::BytesMut;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use unstick::codec::FrameCodec;
use unstick::framing::Format;
use unstick::testing::Subject;

use super::as_framed::AsFramed;

const MIB: usize = 1 << 20;

fn format() -> Format {
    Format::U32_BE.with_max_payload_len(8 * MIB).expect("a format")
}

/// Four bytes that declare 8 MiB, and silence: the peer reserves them, we make room for a read.
#[test]
fn a_declared_length_reserves_one_read() {
    let declared = &(8 * MIB as u32).to_be_bytes()[..];
    let peer = measure(|| {
        let mut src = BytesMut::from(declared);
        assert!(LengthDelimitedCodec::new().decode(&mut src).expect("within the limit").is_none());
    });
    assert!(peer.bytes_max >= 8 * MIB as u64, "the peer was mended: {} bytes", peer.bytes_max);
    let ours = measure(|| {
        let mut src = BytesMut::from(declared);
        assert!(FrameCodec::new(format()).decode(&mut src).expect("within the limit").is_none());
        assert!(src.capacity() <= 16 * 1024 + declared.len());
    });
    assert!(ours.bytes_max <= 17 * 1024, "{} bytes", ours.bytes_max);
}

/// While a long frame comes, what is held beside what has come is no more than that, or a read; while it grows, the old
/// memory beside the new.
#[test]
fn a_frame_that_comes_slowly_holds_what_came() {
    let mut framed = AsFramed::new(format());
    framed.feed(&(8 * MIB as u32).to_be_bytes());
    let mut received = 4;
    for chunk in vec![7; 2 * MIB].chunks(10_000) {
        let info = measure(|| framed.feed(chunk));
        received += chunk.len();
        let held = framed.memory().expect("it tells");
        assert!(held <= (2 * received).max(received + 16 * 1024), "{held} bytes for {received}");
        assert!(info.bytes_max <= held as u64 + 100, "{} bytes at once to hold {held}", info.bytes_max);
    }
}

/// Memory of a long frame is freed after shorter ones, whether that frame is kept or not. Consecutive long frames share
/// the memory of the first one.
#[test]
fn a_long_frame_s_memory_is_given_back() {
    let long = [&(MIB as u32).to_be_bytes()[..], &vec![7; MIB]].concat();
    for kept in [false, true] {
        let mut keep = None;
        let mut framed = None;
        let info = measure(|| {
            let mut reading = AsFramed::new(format());
            reading.feed(&long);
            keep = reading.next().expect("a frame").filter(|_| kept);
            for _ in 0..3 {
                reading.feed(b"\0\0\0\x02hi");
                assert_eq!(reading.next_frame(), Ok(Some(b"hi".to_vec())));
            }
            framed = Some(reading);
        });
        let of_frame = if kept { MIB as i64 } else { 0 };
        let beside = info.bytes_current - of_frame;
        assert!((0..70_000).contains(&beside), "{beside} bytes beside the frame, kept: {kept}");
    }
}

fn stream(payload_lens: &[usize]) -> Vec<u8> {
    let frames = payload_lens.iter().flat_map(|&len| [(len as u32).to_be_bytes().to_vec(), vec![7; len]]);
    frames.collect::<Vec<_>>().concat()
}

/// Streams of frames come through the buffer of a `Framed`, in reads of at most 50,000 bytes, each stream after the one
/// before is taken. Each frame is dropped at once. How many bytes that allocates.
fn pass(codec: &mut FrameCodec, src: &mut BytesMut, streams: &[&[usize]]) -> u64 {
    let streams: Vec<Vec<u8>> = streams.iter().map(|payload_lens| stream(payload_lens)).collect();
    let info = measure(|| {
        for mut left in streams.iter().map(Vec::as_slice) {
            while !left.is_empty() {
                src.reserve(1);
                let len = left.len().min(src.capacity() - src.len()).min(50_000);
                src.extend_from_slice(&left[..len]);
                left = &left[len..];
                while codec.decode(src).expect("good frames").is_some() {}
            }
            // A further call, which is not necessary, leaves it empty.
            assert!(codec.decode(src).expect("good frames").is_none() && src.is_empty());
        }
    });
    info.bytes_total
}

/// Long frames share the memory of the first one, also with a short one between. If more than a read of the next frame
/// is buffered, it gets memory before it is too long to be moved.
#[test]
fn long_frames_share_their_memory() {
    let (mut codec, mut src) = (FrameCodec::new(format()), BytesMut::with_capacity(8 * 1024));
    assert!(pass(&mut codec, &mut src, &[&[MIB]]) >= MIB as u64);
    let more = pass(&mut codec, &mut src, &[&[MIB, MIB], &[2], &[MIB], &[2], &[MIB, MIB - 1], &[2], &[300_000, MIB]]);
    assert!(more < 1000, "{more} bytes for frames as long as the first");
}

/// The memory that a `Framed` was made with is kept all the time, also if a frame was longer: then the buffer is
/// as long as it was.
#[test]
fn a_buffer_that_was_made_long_stays_long() {
    for long in [100_000, 2 * MIB] {
        let (mut codec, mut src) = (FrameCodec::new(format()), BytesMut::with_capacity(MIB));
        pass(&mut codec, &mut src, &[&[long], &[2], &[2], &[2]]);
        let more = pass(&mut codec, &mut src, &[&[2], &[2], &[100_000], &[2], &[2], &[2]]);
        assert!(more < 1000, "{more} bytes for frames that fit");
        assert!(src.try_reclaim(MIB) && src.capacity() < MIB + 100, "{} bytes", src.capacity());
    }
}

/// A longer buffer than a read needs is not given up for a frame that does not fit into it.
#[test]
fn what_is_there_is_filled_before_it_grows() {
    let (mut codec, mut src) = (FrameCodec::new(format()), BytesMut::with_capacity(64 * 1024));
    src.extend_from_slice(&stream(&[60_000, MIB])[..60_500]);
    drop(codec.decode(&mut src).expect("good frames").expect("a whole frame"));
    assert!(codec.decode(&mut src).expect("good frames").is_none());
    assert!(src.capacity() >= 64 * 1024, "{} bytes", src.capacity());
}
