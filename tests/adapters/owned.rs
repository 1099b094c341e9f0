//! Owned payloads: which are copied, and what becomes of the memory of the others.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use futures_lite::Stream;

use super::*;

/// Where the memory is that was read into, read by read.
type Places = Rc<RefCell<Vec<Range<usize>>>>;

/// A reader that keeps account of the memory that it reads into.
struct PlacesRead<'a> {
    wire: &'a [u8],
    places: Places,
}

impl AsyncRead for PlacesRead<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let start = buf.as_ptr().addr();
        self.places.borrow_mut().push(start..start + buf.len());
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

/// So many frames with payloads of this length, each of which fills the memory of a read; and where that memory is.
fn frames_that_fill_a_read(wire: &[u8]) -> (impl Stream<Item = Result<Bytes, ReadError>> + Unpin, Places) {
    let places = Places::default();
    let reader = PlacesRead { wire, places: Rc::clone(&places) };
    let frame_len = 4 + u32::from_le_bytes(wire[..4].try_into().expect("a header")) as usize;
    let decoder = Decoder::with_read_len(Format::U32_LE, frame_len);
    (FramedRead::with_decoder(reader, decoder).into_stream(), places)
}

#[test]
fn a_payload_of_over_4_kib_is_the_memory_that_it_was_read_into() {
    for (len, is_there) in [(10, false), (4 * 1024, false), (4 * 1024 + 1, true), (100_000, true)] {
        let wire = encode(Format::U32_LE, &[vec![7; len]]);
        let (mut stream, places) = frames_that_fill_a_read(&wire);
        let payload = block_on(stream.next()).expect("a frame").expect("no error");
        assert_eq!(payload, wire[4..]);
        assert_eq!(places.borrow()[0].contains(&payload.as_ptr().addr()), is_there, "{len} bytes");
    }
}

/// A kept payload keeps at most twice its length of memory: if it fills less than half of the memory, it is copied.
#[test]
fn a_payload_among_others_is_copied() {
    for (first, second, is_there) in [(10_000, 12_000, false), (1_000, 30_000, true), (20_000, 19_999, false)] {
        let wire = encode(Format::U32_LE, &[vec![1; first - 4], vec![2; second - 4]]);
        let places = Places::default();
        let reader = PlacesRead { wire: &wire, places: Rc::clone(&places) };
        let mut stream = FramedRead::with_decoder(reader, Decoder::with_read_len(Format::U32_LE, 40_000)).into_stream();
        let mut next = || block_on(stream.next()).expect("a frame").expect("no error");
        assert!(next() == vec![1; first - 4]);
        let payload = next();
        assert!(payload == vec![2; second - 4]);
        assert_eq!(places.borrow()[0].contains(&payload.as_ptr().addr()), is_there, "{second} bytes behind {first}");
    }
}

#[test]
fn the_memory_of_a_payload_that_was_dropped_is_read_into_again() {
    let wire = encode(Format::U32_LE, &[vec![1; 9000], vec![2; 9000], vec![3; 9000]]);
    let (mut stream, places) = frames_that_fill_a_read(&wire);
    let mut next = || block_on(stream.next()).expect("a frame").expect("no error");
    let place = |read: usize| places.borrow()[read].clone();
    drop(next());
    let kept = next();
    assert_eq!(place(1), place(0));
    let other = next();
    assert!(place(2).end <= place(1).start || place(1).end <= place(2).start, "it is still in use");
    assert!(kept == vec![2; 9000] && other == vec![3; 9000]);
}
