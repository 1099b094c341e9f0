//! Planned streams of frames, with or without a fault.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::case::{Case, Cuts};
use super::census;
use super::source::Source;
use crate::framing::{DEFAULT_READ_LEN, Endian, Field, Format, Header, Layout, Oversize};

/// A planned stream of frames: format, payload lengths, faults, and the cuts.
///
/// The bytes of prefixes, payloads and trailers are a function of their offset in the stream ([`byte_at`]), so that a
/// lost, doubled or moved byte shows. The plan writes its stream by its own simple arithmetic, not by the
/// [`Encoder`](crate::framing::Encoder), and so can write what an encoder refuses.
///
/// ```
/// use unstick::framing::Format;
/// use unstick::testing::{self, Cuts, Fault, FrameLen, Plan};
/// let plan = Plan {
///     frames: vec![FrameLen::Empty, FrameLen::Exact(7), FrameLen::Max, FrameLen::OverMax],
///     faults: vec![Fault::Truncate { missing: 3 }],
///     cuts: Cuts::of_lens(vec![1, 5, 2]),
///     ..Plan::new(Format::U16_BE.with_max_payload_len(100)?)
/// };
/// testing::check_stream(&plan.case());
/// # Ok::<(), unstick::framing::FormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The layout and the limit.
    pub format: Format,
    /// What happens to a frame over the limit.
    pub oversize: Oversize,
    /// Bytes of one read, for decoders that are read into.
    pub read_len: usize,
    /// The lengths of the payloads.
    pub frames: Vec<FrameLen>,
    /// What is wrong with the stream; applied one after the other.
    pub faults: Vec<Fault>,
    /// Where the stream is cut.
    pub cuts: Cuts,
}

/// The length of a payload, mostly relative to the format's limits, as that is where decoders fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameLen {
    /// No byte. With a positive adjustment no field can express that, and the frame is left out of the stream.
    Empty,
    /// The least that the layout can express.
    Min,
    /// The limit.
    Max,
    /// One byte over the limit, if the field can express that.
    OverMax,
    /// This many bytes from the limit.
    Near(i8),
    /// This many bytes.
    Exact(usize),
}

impl FrameLen {
    /// Bytes of the payload.
    pub fn payload_len(self, format: &Format) -> usize {
        let limit = format.max_payload_len();
        match self {
            FrameLen::Empty => 0,
            FrameLen::Min => format.layout().min_payload_len() as usize,
            FrameLen::Max => limit,
            FrameLen::OverMax => limit + 1,
            FrameLen::Near(distance) => limit.saturating_add_signed(isize::from(distance)),
            FrameLen::Exact(len) => len,
        }
    }
}

/// What is wrong with a stream. Indices and offsets are taken modulo the number there is, so that every fault hits
/// every stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It ends early.
    Truncate {
        /// How many bytes are missing.
        missing: usize,
    },
    /// Bits of one byte are flipped.
    Flip {
        /// The offset of the byte.
        at: usize,
        /// The bits.
        mask: u8,
    },
    /// A byte too many.
    Insert {
        /// Its offset.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A byte too few.
    Remove {
        /// Its offset.
        at: usize,
    },
    /// A length field has the wrong number.
    Field {
        /// Which frame.
        frame: usize,
        /// The number; its upper bytes are dropped if the field has fewer than eight.
        field: u64,
    },
    /// A length field is wrong by a few bytes.
    Length {
        /// Which frame.
        frame: usize,
        /// How many bytes it says too many.
        by: i8,
    },
    /// A length field says a length near the limit.
    Limit {
        /// Which frame.
        frame: usize,
        /// How many bytes over the limit.
        by: i8,
    },
    /// A length field also counts the bytes of the next frame.
    Claim {
        /// Which frame.
        frame: usize,
    },
    /// A varint has bytes that add nothing to its number. Other fields have none.
    Pad {
        /// Which frame.
        frame: usize,
        /// How many bytes.
        by: u8,
    },
    /// Other bytes come after the frames.
    Append(Vec<u8>),
}

/// The stream of a plan before it is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: Vec<Written>,
}

/// Where a frame is in a [`Wire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its length field.
    pub(crate) field: Range<usize>,
    pub(crate) payload_len: usize,
    pub(crate) end: usize,
}

/// What a length field says instead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    Field(u64),
    Payload(u64),
    /// The right length, with so many bytes more.
    Padded(u64, u8),
}

impl Plan {
    /// No frames, no faults, no cuts.
    pub fn new(format: Format) -> Plan {
        Plan {
            format,
            oversize: Oversize::Reject,
            read_len: DEFAULT_READ_LEN,
            frames: Vec::new(),
            faults: Vec::new(),
            cuts: Cuts::whole(),
        }
    }

    /// The plan that these bytes describe. Every input is a plan.
    pub fn from_bytes(data: &[u8]) -> Plan {
        let mut source = Source::new(data);
        let format = source.format();
        Plan::of_source(&mut source, format)
    }

    /// The plan for `format` that these bytes describe.
    pub fn from_bytes_for(format: Format, data: &[u8]) -> Plan {
        Plan::of_source(&mut Source::new(data), format)
    }

    fn of_source(source: &mut Source<'_>, format: Format) -> Plan {
        let oversize = source.oversize(&format);
        let read_len = source.read_len();
        let cuts = source.cuts();
        let faults = source.faults();
        let mut frames = Vec::new();
        let mut total = 0;
        // Streams stay short, so that a fuzzer is quick: below 1 KiB without the last frame.
        while !source.is_empty() && frames.len() < 40 && total < 1024 {
            let frame = source.frame_len();
            total += frame.payload_len(&format);
            frames.push(frame);
        }
        Plan { format, oversize, read_len, frames, faults, cuts }
    }

    /// The stream as a case.
    pub fn case(&self) -> Case {
        Case {
            format: self.format,
            oversize: self.oversize,
            read_len: self.read_len.max(1),
            stream: self.stream(),
            cuts: self.cuts.clone(),
        }
    }

    /// The bytes: every frame that the layout can express, with the faults applied.
    pub fn stream(&self) -> Vec<u8> {
        let layout = self.format.layout();
        let mut wire = Wire::default();
        for frame in &self.frames {
            _ = wire.push(&layout, frame.payload_len(&self.format));
        }
        wire.spoil_all(&self.faults, &self.format);
        wire.bytes
    }
}

impl Wire {
    /// Appends a frame. Returns whether the layout can express it.
    pub(crate) fn push(&mut self, layout: &Layout, payload_len: usize) -> bool {
        let Some(field) = field_of(layout, payload_len) else { return false };
        self.fill(usize::from(layout.offset));
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&field);
        self.fill(payload_len);
        self.fill(usize::from(layout.trailer));
        let end = self.bytes.len();
        self.frames.push(Written { field: start..start + field.len(), payload_len, end });
        true
    }

    /// Applies the faults to frames of this format.
    pub(crate) fn spoil_all(&mut self, faults: &[Fault], format: &Format) {
        let layout = format.layout();
        let adjustment = layout.adjustment as u64;
        for fault in faults {
            let applied = self.spoil(fault, format.max_payload_len(), |says| {
                Some(match says {
                    Says::Field(field) => field_bytes(&layout, field),
                    Says::Payload(len) => field_bytes(&layout, len.wrapping_sub(adjustment)),
                    Says::Padded(len, by) => padded(&layout, field_bytes(&layout, len.wrapping_sub(adjustment)), by),
                })
            });
            if applied {
                census::fault(fault);
            }
        }
    }

    /// Appends this many bytes of prefix, payload or trailer.
    pub(crate) fn fill(&mut self, len: usize) {
        let begin = self.bytes.len() as u64;
        self.bytes.extend((begin..begin + len as u64).map(byte_at));
    }

    /// Applies the fault, and returns whether that changed a byte. `field` gives the bytes of a length field, if it can
    /// say that.
    pub(crate) fn spoil(&mut self, fault: &Fault, limit: usize, field: impl Fn(Says) -> Option<Vec<u8>>) -> bool {
        let len = self.bytes.len();
        match *fault {
            Fault::Append(ref bytes) => {
                self.bytes.extend_from_slice(bytes);
                !bytes.is_empty()
            }
            Fault::Insert { at, byte } => self.replace(at % (len + 1)..at % (len + 1), &[byte]),
            _ if len == 0 => false,
            Fault::Truncate { missing } => {
                self.bytes.truncate(len - missing % (len + 1));
                self.frames.retain(|frame| frame.field.end <= self.bytes.len());
                self.bytes.len() < len
            }
            Fault::Flip { at, mask } => {
                self.bytes[at % len] ^= mask;
                mask != 0
            }
            Fault::Remove { at } => self.replace(at % len..at % len + 1, &[]),
            Fault::Field { frame, .. }
            | Fault::Length { frame, .. }
            | Fault::Limit { frame, .. }
            | Fault::Claim { frame }
            | Fault::Pad { frame, .. } => {
                let Some(index) = frame.checked_rem(self.frames.len()) else { return false };
                let says = self.says(fault, index, limit);
                field(says).is_some_and(|bytes| self.replace(self.frames[index].field.clone(), &bytes))
            }
        }
    }

    /// What the length field of a frame says with this fault.
    fn says(&self, fault: &Fault, index: usize, limit: usize) -> Says {
        let Written { payload_len, end, .. } = self.frames[index];
        match *fault {
            Fault::Field { field, .. } => Says::Field(field),
            Fault::Length { by, .. } => Says::Payload((payload_len as u64).wrapping_add_signed(by.into())),
            Fault::Limit { by, .. } => Says::Payload((limit as u64).wrapping_add_signed(by.into())),
            Fault::Pad { by, .. } => Says::Padded(payload_len as u64, by),
            _ => {
                let next = self.frames.get(index + 1).map_or(0, |next| next.end - end);
                Says::Payload((payload_len + next) as u64)
            }
        }
    }

    /// Replaces bytes, and moves what is after them. Returns whether that changed a byte.
    fn replace(&mut self, range: Range<usize>, bytes: &[u8]) -> bool {
        let changes = self.bytes[range.clone()] != *bytes;
        self.bytes.splice(range.clone(), bytes.iter().copied());
        for frame in &mut self.frames {
            for at in [&mut frame.field.start, &mut frame.field.end, &mut frame.end] {
                if *at >= range.end {
                    *at = *at - range.len() + bytes.len();
                }
            }
        }
        changes
    }
}

/// The bytes of the frame with this prefix, payload and trailer; `None` if the layout's field cannot express its
/// length.
pub(crate) fn frame_of(layout: &Layout, prefix: &[u8], payload: &[u8], trailer: &[u8]) -> Option<Vec<u8>> {
    Some([prefix, &field_of(layout, payload.len())?, payload, trailer].concat())
}

/// The header of a payload of this length, with any prefix, if the layout can express it.
pub(crate) fn header_of(layout: &Layout, payload_len: usize) -> Option<Vec<u8>> {
    let mut wire = Wire::default();
    wire.fill(usize::from(layout.offset));
    wire.bytes.extend(field_of(layout, payload_len)?);
    Some(wire.bytes)
}

/// The length field of a payload, if the layout can express it.
fn field_of(layout: &Layout, payload_len: usize) -> Option<Vec<u8>> {
    let greatest = match layout.field {
        Field::Fixed { width, .. } => (1u128 << (8 * width)) - 1,
        Field::Varint { max_width, .. } => ((1u128 << (7 * max_width)) - 1).min(u128::from(u64::MAX)),
    };
    let field = u128::try_from(payload_len as i128 - i128::from(layout.adjustment)).ok()?;
    (field <= greatest).then(|| field_bytes(layout, field as u64))
}

fn field_bytes(layout: &Layout, field: u64) -> Vec<u8> {
    match layout.field {
        Field::Fixed { width, endian: Endian::Big } => (0..width).rev().map(|at| (field >> (8 * at)) as u8).collect(),
        Field::Fixed { width, .. } => (0..width).map(|at| (field >> (8 * at)) as u8).collect(),
        Field::Varint { .. } => {
            let mut bytes = vec![];
            let mut left = field;
            loop {
                let more = left >= 128;
                bytes.push((left % 128) as u8 + if more { 128 } else { 0 });
                left /= 128;
                if !more {
                    return bytes;
                }
            }
        }
    }
}

/// The field with so many bytes that add nothing to its number, if it is a varint.
fn padded(layout: &Layout, mut field: Vec<u8>, by: u8) -> Vec<u8> {
    if let Field::Varint { .. } = layout.field {
        for _ in 0..by {
            *field.last_mut().expect("a varint has a byte") |= 128;
            field.push(0);
        }
    }
    field
}

/// The byte at an offset of a [`Plan`]'s stream, in every prefix, payload and trailer.
pub fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}
