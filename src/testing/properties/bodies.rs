//! The properties of bodies that come in parts.

use alloc::vec::Vec;

use super::stream::{assert_ends, assert_is};
use crate::framing::{DecodeError, Decoder, Part};
use crate::testing::case::Case;
use crate::testing::census::Met;
use crate::testing::oracle::{Expected, Located, Oracle};

/// A streamed body is the same bytes, in order and whole, as the buffered payload; the decoder buffers no more than a
/// part needs; and the rest of a body that is left in the middle is skipped, unchecked.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_streamed_body<H: Oracle>(case: &Case<H>) {
    let most_chunk = case.chunks().map(<[u8]>::len).max().unwrap_or(0);
    for leave in [false, true] {
        let is_left = |index: usize| leave && index.is_multiple_of(2);
        let expected = Expected::read(&case.format, case.oversize, &case.stream, |index| !is_left(index));
        // A header and a trailer are buffered until they are whole, and so is a frame that is taken as one.
        let most_trailer = expected.frames.iter().map(|frame| frame.trailer_len).max().unwrap_or(0);
        let most_frame =
            expected.frames.iter().map(|frame| frame.end().min(case.stream.len() as u64) as usize - frame.start);
        let most_unread = if leave { most_frame.max().unwrap_or(0) } else { most_trailer };
        let bound = 2 * (most_chunk + case.format.max_header_len() + most_unread);
        let mut decoder = case.decoder();
        let frames: Vec<&Located> = expected.frames.iter().filter(|frame| !frame.skipped).collect();
        let mut bodies = Bodies { frames: &frames, next: 0, open: None, leave };
        let mut last = Ok(());
        for chunk in case.chunks() {
            decoder.feed(chunk);
            last = bodies.take(&mut decoder, &case.stream);
            assert!(decoder.capacity() <= bound, "{} bytes are held for a body in parts", decoder.capacity());
        }
        // A body taken as a whole frame does not come at all if it is cut short or refused.
        let due = frames.len()
            - usize::from(frames.last().is_some_and(|last| !last.whole && leave && !is_left(frames.len() - 1)));
        assert_eq!(bodies.next, due, "every frame comes");
        let error = last.and_then(|()| decoder.finish()).err();
        assert_ends(error.as_ref(), &expected, &case.stream);
    }
}

/// Frames that come in parts.
struct Bodies<'a> {
    frames: &'a [&'a Located],
    /// How many frames have begun.
    next: usize,
    /// The frame that has begun, and the offset of the next byte of its payload.
    open: Option<(&'a Located, usize)>,
    /// Whether every other body is left after its start, and the frame after it is taken whole.
    leave: bool,
}

impl<'a> Bodies<'a> {
    fn begin(&mut self) -> &'a Located {
        self.next += 1;
        self.frames.get(self.next - 1).expect("no more frames than there are")
    }

    /// Takes all parts that there are.
    #[track_caller]
    fn take<H: Oracle>(&mut self, decoder: &mut Decoder<H>, stream: &[u8]) -> Result<(), DecodeError> {
        loop {
            if self.leave && self.next % 2 == 1 {
                let Some(frame) = decoder.next_frame()? else { return Ok(()) };
                assert_is(&frame, self.begin(), stream);
            }
            match decoder.next_part()? {
                None => return Ok(()),
                Some(Part::Start { header, prefix_len, payload_len, .. }) => {
                    let frame = self.begin();
                    let body = frame.start + frame.header_len;
                    assert_eq!(header, &stream[frame.start..body], "a start has the header");
                    assert_eq!((prefix_len, payload_len as u64), (frame.prefix_len, frame.payload_len));
                    if self.leave && payload_len > 0 {
                        Met::BodyLeft.count();
                    }
                    self.open = (!self.leave).then_some((frame, body));
                }
                Some(Part::Chunk(bytes)) => {
                    let (frame, offset) = self.open.expect("a chunk has a start");
                    assert!(!bytes.is_empty(), "a chunk is never empty");
                    assert_eq!(bytes, &stream[offset..offset + bytes.len()], "chunks are the payload in order");
                    self.open = Some((frame, offset + bytes.len()));
                }
                Some(Part::End { trailer, .. }) => {
                    let (frame, offset) = self.open.take().expect("an end has a start");
                    assert!(frame.whole, "the end of a frame that is not whole, or not as its check says");
                    let behind = &stream[offset..frame.end() as usize];
                    assert_eq!(trailer, behind, "the trailer follows the whole payload");
                    assert_eq!(trailer.len(), frame.trailer_len, "and all of it");
                    Met::BodyEnd.count();
                }
            }
        }
    }
}
