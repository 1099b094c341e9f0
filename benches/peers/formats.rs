//! The formats that are compared with u32 little-endian.

use unstick::framing::{Endian, Format, Layout};

/// The formats by name; the first is what the others are compared with.
pub(crate) fn formats(payload_len: usize) -> Vec<(&'static str, Format)> {
    let with = |layout| Format::new(layout, 60_000).expect("a valid format");
    let mut formats = vec![
        ("u32le", Format::U32_LE),
        ("u32be", Format::U32_BE),
        ("u16be", Format::U16_BE),
        ("u24be", Format::U24_BE),
        ("u64be", Format::U64_BE),
        ("u32be-inclusive", Format::U32_BE_INCLUSIVE),
        ("offset-2-u16be-adjusted", with(Layout::fixed(2, Endian::Big).offset(2).adjustment(-4))),
        ("offset-8-u32le", with(Layout::fixed(4, Endian::Little).offset(8))),
        ("varint", Format::VARINT),
    ];
    if payload_len <= 255 {
        formats.push(("u8", Format::U8));
    }
    formats
}

/// Frames whose varint is padded to five bytes.
pub(crate) fn padded_varints(payload_len: usize, count: usize) -> Vec<u8> {
    let payload = super::payload(payload_len);
    let mut wire = Vec::new();
    for _ in 0..count {
        wire.extend((0..4).map(|at| (payload_len >> (7 * at)) as u8 & 0x7F | 0x80));
        wire.push((payload_len >> 28) as u8);
        wire.extend_from_slice(&payload);
    }
    wire
}
