//! How much memory a decoder takes, and when: what the bounds of the properties leave open.

use unstick::framing::{DEFAULT_READ_LEN, DecodeErrorKind, Decoder, Format};

/// A frame of so many bytes, its header included.
fn frame(len: usize) -> Vec<u8> {
    [&(len as u32 - 4).to_le_bytes()[..], &vec![7; len - 4]].concat()
}

#[test]
fn a_read_has_16_kib_unless_told_otherwise() {
    assert_eq!(DEFAULT_READ_LEN, 16 * 1024);
    assert_eq!(Decoder::new(Format::U8).space().len(), 16 * 1024);
}

/// Reads go on to the end of the frame at hand where that is more than a read, and not beyond it.
#[test]
fn room_to_read_is_for_the_frame_at_hand() {
    let mut decoder = Decoder::with_read_len(Format::U32_LE, 100);
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
    let mut decoder = Decoder::with_read_len(Format::U32_LE, 100);
    let wire = frame(150);
    decoder.feed(&wire[..90]);
    assert_eq!(decoder.capacity(), 90);
    decoder.feed(&wire[90..120]);
    assert_eq!(decoder.capacity(), 150, "and not twice what was there");
    decoder.feed(&wire[120..]);
    assert_eq!(decoder.next_frame().expect("no error").expect("a frame").as_bytes(), wire);
}

/// Also before anybody asked for the frame, a length over the limit is not counted with, be it the greatest.
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
    let mut decoder = Decoder::with_read_len(Format::U32_LE, 1);
    let wire = frame(150);
    decoder.feed(&wire[..140]);
    decoder.feed(&wire[140..]);
    assert!(decoder.next_frame().expect("no error").is_some());
    let before = decoder.capacity();
    assert!(before >= 150);
    let mut feed = decoder.feed(b"\x02\0\0\0hi");
    assert_eq!(feed.next_frame().expect("no error").expect("a frame").payload(), b"hi");
    drop(feed);
    assert_eq!((decoder.capacity(), decoder.buffered(), decoder.offset()), (before, 0, 156));
}
