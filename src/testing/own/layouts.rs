//! The properties of a layout.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crate::framing::{Decoder, Encoder, Envelope, Field, Format, Header, Layout, MAX_HEADER_LEN, MAX_TRAILER_LEN};
use crate::testing::plan::byte_at;
use crate::testing::source::format_near;

/// A layout's text parses to the layout; [`check_limits`] holds; and if it makes a format, a frame round-trips.
///
/// # Panics
/// If that does not hold, and if the field's width is out of range: such a layout has no text.
#[track_caller]
pub fn check_layout(layout: Layout) {
    assert_eq!(layout.to_string().parse(), Ok(layout), "a layout reads back from its own text");
    check_limits(layout);
    let Some(format) = format_near(layout, 16) else { return };
    let payload: Vec<u8> = (0..format.max_payload_len() as u64).map(byte_at).collect();
    let prefix = vec![b'p'; usize::from(layout.offset)];
    let trailer = vec![b't'; usize::from(layout.trailer)];
    let envelope = Envelope { prefix: &prefix, trailer: &trailer };
    let mut wire = Vec::new();
    Encoder::new(format).encode_with(envelope, &payload, &mut wire).expect("a payload of the limit can be said");
    let mut decoder = Decoder::new(format);
    decoder.feed(&wire);
    let frame = decoder.next_frame().expect("what was encoded decodes").expect("a whole frame is yielded");
    assert_eq!((frame.envelope(), frame.payload()), (envelope, &payload[..]));
}

/// `Format::new` accepts a layout with a limit exactly if the naive rule does: the width is in range, and the limit is
/// one that the field can express and a buffer can hold.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_limits(layout: Layout) {
    let least = layout.min_payload_len() as usize;
    let limits = [0, 1, 255, 256, 65_535, 1 << 20, usize::MAX >> 1, usize::MAX, least];
    for limit in limits {
        let made = Format::new(layout, limit);
        assert_eq!(made.is_ok(), can_be(&layout, limit), "{layout} with the limit {limit}: {made:?}");
        if let Err(error) = made {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// The rule of [`Format::new`], written as plainly as possible.
fn can_be(layout: &Layout, limit: usize) -> bool {
    let (widths, bits, width) = match layout.field {
        Field::Fixed { width, .. } => (1..=8, 8, width),
        Field::Varint { max_width, .. } => (1..=10, 7, max_width),
    };
    if !widths.contains(&width) {
        return false;
    }
    let greatest_field = (1i128 << (bits * u32::from(width)).min(64)) - 1;
    let greatest = greatest_field + i128::from(layout.adjustment);
    let addressable = isize::MAX as i128 - (MAX_HEADER_LEN + MAX_TRAILER_LEN) as i128;
    i128::from(layout.adjustment).max(0) <= limit as i128 && limit as i128 <= greatest.min(addressable)
}
