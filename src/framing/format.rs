//! Where the length field is, what it counts, and how long a payload may be.

mod wire;

use core::fmt;

use super::envelope::Envelope;
use super::header::{MAX_HEADER_LEN, MAX_TRAILER_LEN};

/// The limit of the presets whose field can express it: 1 MiB of payload, as in NATS and nginx.
pub const DEFAULT_MAX_PAYLOAD_LEN: usize = 1 << 20;

/// The order of the bytes of a fixed-width length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Most significant byte first: network byte order.
    Big,
    /// Least significant byte first: what most processors use.
    Little,
}

/// The length field itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// An unsigned integer of `width` bytes, 1 to 8.
    Fixed {
        /// Bytes of the field, 1 to 8.
        width: u8,
        /// Their order.
        endian: Endian,
    },
    /// A LEB128 varint, as protobuf writes it: seven bits a byte, least significant first, high bit set on all but the
    /// last.
    Varint {
        /// Bytes of the longest varint accepted, 1 to 10. Five are enough for 32 bits, ten for 64.
        max_width: u8,
        /// Whether a form longer than needed (`80 00` for 0) is refused. Encoding always writes the shortest form.
        minimal: bool,
    },
}

impl Field {
    /// The greatest number that the field can carry.
    const fn greatest(self) -> u64 {
        match self {
            Field::Fixed { width, .. } if width < 8 => (1 << (8 * width)) - 1,
            Field::Varint { max_width, .. } if max_width < 10 => (1 << (7 * max_width)) - 1,
            _ => u64::MAX,
        }
    }

    /// Bytes of the longest field.
    const fn max_width(self) -> u8 {
        match self {
            Field::Fixed { width, .. } => width,
            Field::Varint { max_width, .. } => max_width,
        }
    }

    /// Whether a varint in more bytes than its number needs is refused.
    const fn is_minimal(self) -> bool {
        matches!(self, Field::Varint { minimal: true, .. })
    }
}

/// Where the length field is and what it counts: plain data, checked by [`Format::new`].
///
/// ```text
/// │ offset bytes of prefix │ field │ payload: field + adjustment bytes │ trailer bytes │
/// ```
///
/// ```
/// use unstick::framing::{Endian, Layout};
/// // Two bytes of message type, then a big-endian u16 that counts itself and the type: payload = field − 4.
/// let layout = Layout::fixed(2, Endian::Big).offset(2).adjustment(-4);
/// assert_eq!(layout, "offset=2,width=2,endian=be,adjustment=-4".parse()?);
/// # Ok::<(), unstick::framing::SpecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Layout {
    /// Bytes before the length field, 0 to 255. They are the frame's prefix; the format does not interpret them.
    pub offset: u8,
    /// The length field.
    pub field: Field,
    /// The number added to the field to get the payload's length: −4 for a u32 that counts itself.
    pub adjustment: i64,
    /// Bytes after the payload, 0 to 255. They are the frame's trailer; the format does not interpret them. If the
    /// field counts them, subtract them by the adjustment.
    pub trailer: u8,
}

impl Layout {
    /// A field that counts the payload and nothing else, at the very start of the frame.
    pub const fn of(field: Field) -> Layout {
        Layout { offset: 0, field, adjustment: 0, trailer: 0 }
    }

    /// [`of`](Layout::of) a fixed-width field.
    pub const fn fixed(width: u8, endian: Endian) -> Layout {
        Layout::of(Field::Fixed { width, endian })
    }

    /// [`of`](Layout::of) a varint of up to `max_width` bytes; forms longer than needed are accepted.
    pub const fn varint(max_width: u8) -> Layout {
        Layout::of(Field::Varint { max_width, minimal: false })
    }

    /// The same layout with this many bytes before the length field.
    #[must_use]
    pub const fn offset(self, offset: u8) -> Layout {
        Layout { offset, ..self }
    }

    /// The same layout with another adjustment.
    #[must_use]
    pub const fn adjustment(self, adjustment: i64) -> Layout {
        Layout { adjustment, ..self }
    }

    /// The same layout with this many bytes after the payload.
    #[must_use]
    pub const fn trailer(self, trailer: u8) -> Layout {
        Layout { trailer, ..self }
    }

    /// The same layout with a field that also counts its own bytes: `adjustment` is −`width`. A varint layout is
    /// unchanged, as a varint's length is not fixed.
    #[must_use]
    pub const fn inclusive(self) -> Layout {
        match self.field {
            Field::Fixed { width, .. } => Layout { adjustment: -(width as i64), ..self },
            Field::Varint { .. } => self,
        }
    }

    /// A prefix and a trailer of zeros, each as long as the layout needs.
    pub fn zeros(&self) -> Envelope<'static> {
        const ZEROS: &[u8] = &[0; u8::MAX as usize];
        Envelope { prefix: &ZEROS[..usize::from(self.offset)], trailer: &ZEROS[..usize::from(self.trailer)] }
    }

    /// Bytes of the longest header.
    pub const fn max_header_len(&self) -> usize {
        self.offset as usize + self.field.max_width() as usize
    }

    /// The least payload that the layout can express, in bytes: more than 0 only if the adjustment is positive.
    pub const fn min_payload_len(&self) -> u64 {
        if self.adjustment > 0 { self.adjustment as u64 } else { 0 }
    }

    /// The greatest payload that the layout can express and a buffer can hold, in bytes; `None` if every field value
    /// gives a negative length.
    pub const fn greatest_payload_len(&self) -> Option<u64> {
        let greatest = self.field.greatest() as i128 + self.adjustment as i128;
        let addressable = isize::MAX as i128 - (MAX_HEADER_LEN + MAX_TRAILER_LEN) as i128;
        if greatest < 0 {
            None
        } else if greatest < addressable {
            Some(greatest as u64)
        } else {
            Some(addressable as u64)
        }
    }
}

/// A validated [`Layout`] with its limit: the [`Header`](super::Header) that nearly everyone needs.
///
/// `max_payload_len` limits the payload's length, after adjustment, when decoding and when encoding. There is no other
/// limit.
///
/// ```
/// use unstick::framing::{Decoder, Encoder, Format};
/// let format = Format::U16_BE;
/// let mut wire = Vec::new();
/// Encoder::new(format).encode(b"hello", &mut wire)?;
/// assert_eq!(wire, b"\x00\x05hello");
///
/// let mut decoder = Decoder::new(format);
/// decoder.feed(&wire);
/// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    layout: Layout,
    max_payload_len: usize,
    kind: Kind,
    /// The byte order, if the frame is a field of four bytes and a payload: this most common layout has its own fast
    /// path.
    alone: Option<Endian>,
    /// The lengths of prefix and trailer, in one number to compare: see [`envelope_lens`].
    envelope_lens: u32,
    /// How many of 64 bits do not belong to a fixed-width field. Not used for a varint.
    shift: u8,
    /// Bytes of the header, `offset + width`; for a varint, of the shortest header.
    header_len: u16,
    /// The bits of a fixed-width field in eight bytes read as a little-endian number. Not used for a varint.
    mask: u64,
    /// The field value of the least payload: `max(0, −adjustment)`. A smaller one would be a negative payload.
    least_field: u64,
    /// The least payload: `max(0, adjustment)`.
    least_payload: u64,
    /// How far a field may be above the least one: exactly `least_field..=least_field + most_above` is within the
    /// limit.
    most_above: u64,
    /// The same for the fast path to a whole frame, as an exclusive bound: 0 if there is a trailer, so that such a
    /// frame takes the slow path and the fast one needs no check for it.
    quick_below: u64,
    /// What is added to the field to get the frame's length, wrapping: `header_len + adjustment`.
    beyond_field: u64,
}

/// How the length field is read, as one byte to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Little,
    Big,
    Varint,
}

/// The lengths of prefix and trailer in one number. If one is longer than allowed, the greatest number, which no layout
/// has.
const fn envelope_lens(prefix_len: usize, trailer_len: usize) -> u32 {
    if prefix_len > u8::MAX as usize || trailer_len > u8::MAX as usize {
        return u32::MAX;
    }
    (prefix_len << 8 | trailer_len) as u32
}

impl Format {
    /// u32 little-endian: the default here.
    pub const U32_LE: Format = preset(Layout::fixed(4, Endian::Little));
    /// u32 big-endian: the most common of all.
    pub const U32_BE: Format = preset(Layout::fixed(4, Endian::Big));
    /// u16 big-endian, payloads of up to 65,535 bytes: DNS over TCP (RFC 1035, 4.2.2).
    pub const U16_BE: Format = preset(Layout::fixed(2, Endian::Big));
    /// One byte, payloads of up to 255 bytes.
    pub const U8: Format = preset(Layout::fixed(1, Endian::Big));
    /// u24 big-endian: the width used by TLS handshake messages (RFC 8446, 4) and HTTP/2 (RFC 9113, 4.1).
    pub const U24_BE: Format = preset(Layout::fixed(3, Endian::Big));
    /// u64 big-endian.
    pub const U64_BE: Format = preset(Layout::fixed(8, Endian::Big));
    /// A varint of up to ten bytes: protobuf's delimited messages.
    pub const VARINT: Format = preset(Layout::varint(10));
    /// u16 big-endian that counts itself.
    pub const U16_BE_INCLUSIVE: Format = preset(Layout::fixed(2, Endian::Big).inclusive());
    /// u32 big-endian that counts itself: PostgreSQL's startup message (protocol 3.0).
    pub const U32_BE_INCLUSIVE: Format = preset(Layout::fixed(4, Endian::Big).inclusive());
    /// u32 little-endian that counts itself.
    pub const U32_LE_INCLUSIVE: Format = preset(Layout::fixed(4, Endian::Little).inclusive());

    /// Checks a layout and its limit. This is the only validation: after it nothing overflows, every frame takes at
    /// least one byte of the stream, and every payload within the limit that decodes also encodes.
    ///
    /// # Errors
    /// [`FormatError`] if the width is out of range, if every payload would be negative, or if the limit is outside
    /// what the field can express or above what a buffer can hold.
    ///
    /// ```
    /// use unstick::framing::{Endian, Format, FormatError, Layout};
    /// let error = Format::new(Layout::fixed(1, Endian::Big), 1000).unwrap_err();
    /// assert_eq!(error, FormatError::LimitTooGreat { max_payload_len: 1000, greatest: 255 });
    /// ```
    pub const fn new(layout: Layout, max_payload_len: usize) -> Result<Format, FormatError> {
        match layout.field {
            Field::Fixed { width, .. } if width == 0 || width > 8 => {
                return Err(FormatError::Width { width });
            }
            Field::Varint { max_width, .. } if max_width == 0 || max_width > 10 => {
                return Err(FormatError::VarintWidth { max_width });
            }
            _ => {}
        }
        let Some(greatest) = layout.greatest_payload_len() else {
            return Err(FormatError::NoPayload {
                greatest_field: layout.field.greatest(),
                adjustment: layout.adjustment,
            });
        };
        if max_payload_len as u64 > greatest {
            return Err(FormatError::LimitTooGreat { max_payload_len, greatest });
        }
        let least = layout.min_payload_len();
        if (max_payload_len as u64) < least {
            return Err(FormatError::LimitTooSmall { max_payload_len, least });
        }
        let (kind, width) = match layout.field {
            Field::Fixed { width, endian: Endian::Little } => (Kind::Little, width),
            Field::Fixed { width, endian: Endian::Big } => (Kind::Big, width),
            Field::Varint { .. } => (Kind::Varint, 1),
        };
        let header_len = layout.offset as u16 + width as u16;
        let shift = 64 - 8 * width;
        let alone = match layout.field {
            Field::Fixed { width: 4, endian } if layout.offset == 0 && layout.trailer == 0 => Some(endian),
            _ => None,
        };
        Ok(Format {
            layout,
            max_payload_len,
            kind,
            alone,
            envelope_lens: envelope_lens(layout.offset as usize, layout.trailer as usize),
            shift,
            header_len,
            mask: u64::MAX >> shift,
            least_field: if layout.adjustment < 0 { layout.adjustment.unsigned_abs() } else { 0 },
            least_payload: least,
            most_above: max_payload_len as u64 - least,
            quick_below: if layout.trailer > 0 { 0 } else { max_payload_len as u64 - least + 1 },
            beyond_field: (header_len as u64).wrapping_add(layout.adjustment as u64),
        })
    }

    /// The format of `layout` with the greatest limit that it can express, at most [`DEFAULT_MAX_PAYLOAD_LEN`].
    ///
    /// # Errors
    /// As [`Format::new`].
    pub const fn with_default_limit(layout: Layout) -> Result<Format, FormatError> {
        let limit = match layout.greatest_payload_len() {
            Some(greatest) if greatest < DEFAULT_MAX_PAYLOAD_LEN as u64 => greatest as usize,
            _ => DEFAULT_MAX_PAYLOAD_LEN,
        };
        Format::new(layout, limit)
    }

    /// The same layout with another limit.
    ///
    /// # Errors
    /// As [`Format::new`].
    pub const fn with_max_payload_len(self, max_payload_len: usize) -> Result<Format, FormatError> {
        Format::new(self.layout, max_payload_len)
    }

    /// The layout.
    pub const fn layout(&self) -> Layout {
        self.layout
    }
}

/// The presets with their names, from which [`Layout`] is parsed, and what they are for.
pub const PRESETS: &[(&str, Format, &str)] = &[
    ("u32le", Format::U32_LE, "4 bytes, little-endian (the default)"),
    ("u32be", Format::U32_BE, "4 bytes, big-endian"),
    ("u16be", Format::U16_BE, "2 bytes, big-endian: DNS over TCP"),
    ("u8", Format::U8, "1 byte"),
    ("u24be", Format::U24_BE, "3 bytes, big-endian"),
    ("u64be", Format::U64_BE, "8 bytes, big-endian"),
    ("varint", Format::VARINT, "LEB128, up to 10 bytes: protobuf's delimited messages"),
    ("u16be-inclusive", Format::U16_BE_INCLUSIVE, "2 bytes, big-endian, counting themselves"),
    ("u32be-inclusive", Format::U32_BE_INCLUSIVE, "4 bytes, big-endian, counting themselves"),
    ("u32le-inclusive", Format::U32_LE_INCLUSIVE, "4 bytes, little-endian, counting themselves"),
];

impl Layout {
    /// The name of the preset with this layout, if there is one.
    pub(super) fn preset(&self) -> Option<&'static str> {
        PRESETS.iter().find(|(_, format, _)| format.layout == *self).map(|(name, ..)| *name)
    }
}

const fn preset(layout: Layout) -> Format {
    match Format::with_default_limit(layout) {
        Ok(format) => format,
        Err(_) => panic!("a preset is valid"),
    }
}

/// Why a layout and its limit make no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// A fixed-width field has 1 to 8 bytes.
    Width {
        /// The width asked for, in bytes.
        width: u8,
    },
    /// A varint has 1 to 10 bytes.
    VarintWidth {
        /// The width asked for, in bytes.
        max_width: u8,
    },
    /// Every number that the field can carry gives a negative payload, so no frame could ever be decoded.
    NoPayload {
        /// The greatest number that the field can carry.
        greatest_field: u64,
        /// The adjustment asked for.
        adjustment: i64,
    },
    /// The limit is above what the field can express, or above what a buffer can hold.
    LimitTooGreat {
        /// The limit asked for, in bytes.
        max_payload_len: usize,
        /// The greatest that this layout can have, in bytes.
        greatest: u64,
    },
    /// The limit is below the least payload that the layout can express, so no frame could ever be decoded.
    LimitTooSmall {
        /// The limit asked for, in bytes.
        max_payload_len: usize,
        /// The least payload that the layout can express: its adjustment, in bytes.
        least: u64,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FormatError::Width { width } => write!(f, "a length field of {width} bytes: it must have 1 to 8"),
            FormatError::VarintWidth { max_width } => {
                write!(f, "a varint of up to {max_width} bytes: it must have 1 to 10")
            }
            FormatError::NoPayload { greatest_field, adjustment } => write!(
                f,
                "an adjustment of {adjustment} makes every payload negative: the field's greatest number is {greatest_field}"
            ),
            FormatError::LimitTooGreat { max_payload_len, greatest } => write!(
                f,
                "a limit of {max_payload_len} bytes of payload cannot be expressed: the greatest is {greatest}"
            ),
            FormatError::LimitTooSmall { max_payload_len, least } => {
                write!(f, "a limit of {max_payload_len} bytes of payload allows no frame: the least payload is {least}")
            }
        }
    }
}

impl core::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::framing::header::{Header, Span};

    /// Layouts of every kind, with limits that the streams below stay under, reach and pass.
    fn formats() -> Vec<Format> {
        let mut formats = Vec::new();
        for adjustment in [0, 3, -3, i64::MIN, i64::MAX] {
            for (offset, trailer) in [(0, 0), (1, 0), (9, 0), (0, 2)] {
                for width in 1..=8 {
                    for endian in [Endian::Big, Endian::Little] {
                        formats
                            .push(Layout::fixed(width, endian).offset(offset).adjustment(adjustment).trailer(trailer));
                    }
                }
                for max_width in 1..=10 {
                    for minimal in [false, true] {
                        let varint = Layout::of(Field::Varint { max_width, minimal });
                        formats.push(varint.offset(offset).adjustment(adjustment).trailer(trailer));
                    }
                }
            }
        }
        let limits = |layout: Layout| [0, 1, 40, 200, 1 << 20, usize::MAX >> 1].map(|limit| Format::new(layout, limit));
        formats.into_iter().flat_map(limits).flatten().collect()
    }

    /// Presets are made at compile time; here they are made again at run time, so that coverage sees it.
    #[test]
    fn a_preset_is_its_layout_with_the_default_limit() {
        assert_eq!(preset(Layout::fixed(4, Endian::Little)), Format::U32_LE);
        assert_eq!(preset(Layout::fixed(1, Endian::Big)), Format::U8);
    }

    #[test]
    #[should_panic(expected = "a preset is valid")]
    fn a_preset_that_is_no_format_does_not_compile() {
        preset(Layout::fixed(9, Endian::Big));
    }

    /// The fast path and the slow path find the same in the same bytes.
    #[test]
    fn whole_frame_is_what_parse_says() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (state >> 56) as u8
        };
        let (mut compared, mut found) = (0, 0);
        for format in formats() {
            for _ in 0..40 {
                // Mostly small numbers and set high bits: they make short fields and long varints.
                let byte = |_| [0, random() & 0x8F, random() & 0x0F, random()][usize::from(random() & 3)];
                let bytes: Vec<u8> = (0..512).map(byte).collect();
                let bytes = &bytes[..usize::from(bytes[500]) + usize::from(bytes[501])];
                // Other bytes come before it.
                let behind = [&[random(), random(), random()], bytes].concat();
                let expected = Span::parsed(&format, &behind, 3);
                let whole = format.whole_frame(&behind, 3);
                if let Some(whole) = whole {
                    assert_eq!(Some(whole), expected, "{format:?} of {bytes:x?}");
                    found += 1;
                }
                // It may leave frames near the end of the bytes, and varints longer than eight bytes, to `parse`.
                let is_left =
                    bytes.len() < format.header_len.into() || bytes.len() < usize::from(format.layout.offset) + 8;
                let is_long = expected.is_some_and(|span| span.header_len > usize::from(format.layout.offset) + 8);
                let is_for_parse = is_left | is_long | (format.layout.trailer > 0);
                assert!(whole.is_some() || expected.is_none() || is_for_parse, "{format:?} of {bytes:x?}");
                compared += 1;
            }
        }
        assert!(compared > 20_000 && found > 2_000, "{compared} compared, {found} whole");
    }
}
