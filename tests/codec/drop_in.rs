//! Each row of the table in the module's docs, beside the codec that it replaces.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::length_delimited::Builder;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};
use unstick::codec::FrameCodec;
use unstick::framing::{Endian, Format, Header, Layout};

/// What the peer is told: its names, and the table's letters.
#[derive(Clone, Copy, Debug)]
struct Theirs {
    offset: usize,
    width: usize,
    adjustment: isize,
    num_skip: Option<usize>,
    big_endian: bool,
}

impl Theirs {
    fn builder(self) -> Builder {
        let mut builder = LengthDelimitedCodec::builder();
        builder.length_field_offset(self.offset).length_field_length(self.width).length_adjustment(self.adjustment);
        if let Some(num_skip) = self.num_skip {
            builder.num_skip(num_skip);
        }
        if self.big_endian {
            builder.big_endian()
        } else {
            builder.little_endian()
        };
        builder
    }

    /// The bytes that it skips: the header, unless told otherwise.
    fn skipped(self) -> usize {
        self.num_skip.unwrap_or(self.offset + self.width)
    }

    /// The table.
    fn layout(self) -> Layout {
        let (o, w, a, s) = (self.offset as i64, self.width as i64, self.adjustment as i64, self.skipped() as i64);
        let endian = if self.big_endian { Endian::Big } else { Endian::Little };
        Layout::fixed(w as u8, endian).offset(o as u8).adjustment(a + s - o - w)
    }

    /// A stream of one frame whose length field has this value, and more bytes after it.
    fn stream(self, field: u64) -> Vec<u8> {
        let mut stream: Vec<u8> = (0..self.offset as u8).collect();
        let eight = if self.big_endian { (field << (64 - 8 * self.width)).to_be_bytes() } else { field.to_le_bytes() };
        stream.extend_from_slice(&eight[..self.width]);
        stream.extend((0..100).map(|at| 100 + at));
        stream
    }
}

fn all_of_them() -> impl Iterator<Item = Theirs> {
    let skips = [None, Some(0), Some(1), Some(2), Some(4), Some(7)];
    (0..4usize).flat_map(move |offset| {
        (1..=8usize).flat_map(move |width| {
            (-6..=6isize).flat_map(move |adjustment| {
                skips.into_iter().flat_map(move |num_skip| {
                    [false, true].map(|big_endian| Theirs { offset, width, adjustment, num_skip, big_endian })
                })
            })
        })
    })
}

/// Offset, width, order, adjustment, skip: the same item from the same bytes, and the same rest. A frame that ends
/// inside its own header is refused, where the peer gives bytes of it to two frames; one that is shorter than what the
/// peer skips is refused by the peer, and yielded by us.
#[test]
fn the_layouts_are_the_same() {
    let (mut same, mut refused, mut short) = (0, 0, 0);
    for theirs in all_of_them() {
        let format = Format::with_default_limit(theirs.layout()).expect("a format");
        for field in 0..40u64 {
            let stream = theirs.stream(field);
            let (mut src, mut their_src) = (BytesMut::from(&stream[..]), BytesMut::from(&stream[..]));
            let item_len = field as i64 + theirs.adjustment as i64;
            let frame_len = theirs.skipped() as i64 + item_len;
            let frame = match FrameCodec::new(format).decode(&mut src) {
                Ok(frame) => frame.expect("a whole frame"),
                Err(_) => {
                    assert!(frame_len < (theirs.offset + theirs.width) as i64, "{theirs:?} {field}");
                    refused += 1;
                    continue;
                }
            };
            assert_eq!(frame.as_bytes().len() as i64, frame_len, "{theirs:?} {field}");
            let Ok(item) = theirs.builder().new_codec().decode(&mut their_src) else {
                assert_eq!(
                    (item_len < 0, frame.as_bytes().get(theirs.skipped()..)),
                    (true, None),
                    "{theirs:?} {field}"
                );
                short += 1;
                continue;
            };
            let item = item.expect("a whole frame");
            assert_eq!(frame.as_bytes().get(theirs.skipped()..), Some(&item[..]), "{theirs:?} {field}");
            assert_eq!(src, their_src, "{theirs:?} {field}");
            if theirs.num_skip.is_none() {
                assert_eq!(frame.into_payload(), item, "{theirs:?} {field}");
            }
            same += 1;
        }
    }
    assert!(same > 100_000 && refused > 1000 && short > 500, "{same} are the same, {refused} refused, {short} short");
}

/// `max_frame_length`: the peer's limit is on the field when it decodes. One above it is refused by both, and the error
/// is final only with us.
#[test]
fn the_limits_are_the_same_when_decoding() {
    for (adjustment, num_skip) in [(0, None), (-4, None), (3, None), (0, Some(0)), (-2, Some(3))] {
        let theirs = Theirs { offset: 1, width: 2, adjustment, num_skip, big_endian: true };
        let layout = theirs.layout();
        let limit = 50;
        let format = Format::new(layout, (limit + layout.adjustment) as usize).expect("a format");
        let mut builder = theirs.builder();
        builder.max_frame_length(limit as usize);
        for (field, within) in [(limit as u64, true), (limit as u64 + 1, false)] {
            let stream = theirs.stream(field);
            let ours = FrameCodec::new(format).decode(&mut BytesMut::from(&stream[..]));
            let peer = builder.new_codec().decode(&mut BytesMut::from(&stream[..]));
            assert_eq!((ours.is_ok(), peer.is_ok()), (within, within), "{theirs:?} {field}");
        }
    }
}

/// The default limits differ, as the table says.
#[test]
fn the_limits_unless_told_otherwise() {
    assert_eq!(LengthDelimitedCodec::new().max_frame_length(), 8 << 20);
    let format = Format::with_default_limit(Layout::fixed(4, Endian::Big)).expect("a format");
    assert_eq!(format.max_payload_len(), 1 << 20);
    assert_eq!(format, Format::U32_BE);
}

/// The sent bytes are the same, too, without an offset; the limit is the same without an adjustment.
#[test]
fn the_frames_that_are_sent_are_the_same() {
    for width in [1, 2, 4, 8] {
        for adjustment in [-4, 0, 3] {
            for big_endian in [false, true] {
                let theirs = Theirs { offset: 0, width, adjustment, num_skip: None, big_endian };
                let mut builder = theirs.builder();
                let mut peer = builder.max_frame_length(200).new_codec();
                let mut ours = FrameCodec::new(Format::new(theirs.layout(), 200).expect("a format"));
                for payload_len in [3, 10, 200, 201] {
                    let payload = Bytes::from(vec![7; payload_len]);
                    let (mut out, mut their_out) = (BytesMut::new(), BytesMut::new());
                    let sent = ours.encode(payload.clone(), &mut out);
                    assert_eq!(sent.is_ok(), peer.encode(payload, &mut their_out).is_ok(), "{theirs:?} {payload_len}");
                    assert_eq!(out, their_out, "{theirs:?} {payload_len}");
                    assert_eq!(sent.is_err(), payload_len == 201);
                }
            }
        }
    }
}

/// An offset: the peer does not write what stands there, so that its frames are not those that it reads.
#[test]
fn a_prefix_is_sent() {
    let theirs = Theirs { offset: 2, width: 1, adjustment: 0, num_skip: None, big_endian: true };
    let mut out = BytesMut::new();
    theirs.builder().new_codec().encode(&b"hi"[..], &mut out).expect("a frame");
    assert_eq!(out, &b"\x02hi"[..]);
    out.clear();
    let mut ours = FrameCodec::new(Format::with_default_limit(theirs.layout()).expect("a format"));
    ours.encode((b"##", b"hi"), &mut out).expect("a frame");
    assert_eq!(out, &b"##\x02hi"[..]);
    assert_eq!(theirs.builder().new_codec().decode(&mut out).expect("a frame").expect("a whole frame"), &b"hi"[..]);
}
