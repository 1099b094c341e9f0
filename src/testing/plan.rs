//! Planned streams of frames, with or without a fault.

use alloc::vec;
use alloc::vec::Vec;

use super::case::{Case, Cuts};
use super::source::Source;
use crate::framing::{DEFAULT_READ_LEN, Endian, Field, Format, Header, Layout, Oversize};

/// A planned stream of frames: format, payload lengths, one fault, and the cuts.
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
///     fault: Fault::Truncate { missing: 3 },
///     cuts: Cuts::of_lens(vec![1, 5, 2]),
///     ..Plan::new(Format::U16_BE.with_max_payload_len(100)?)
/// };
/// testing::check_plan(&plan); // encode, decode, and all that must hold
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
    /// What is wrong with the stream.
    pub fault: Fault,
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
    /// Nothing.
    None,
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
    /// Other bytes come after the frames.
    Append(Vec<u8>),
}

/// The stream of a plan before it is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) bytes: Vec<u8>,
    /// The offset of each frame.
    pub(crate) starts: Vec<usize>,
}

impl Plan {
    /// No frames, no fault, no cuts.
    pub fn new(format: Format) -> Plan {
        Plan {
            format,
            oversize: Oversize::Reject,
            read_len: DEFAULT_READ_LEN,
            frames: Vec::new(),
            fault: Fault::None,
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
        let fault = source.fault();
        let mut frames = Vec::new();
        let mut total = 0;
        // Streams stay short, so that a fuzzer is quick: below 1 KiB without the last frame.
        while !source.is_empty() && frames.len() < 40 && total < 1024 {
            let frame = source.frame_len();
            total += frame.payload_len(&format);
            frames.push(frame);
        }
        Plan { format, oversize, read_len, frames, fault, cuts }
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

    /// The bytes: every frame that the layout can express, with the fault applied.
    pub fn stream(&self) -> Vec<u8> {
        let layout = self.format.layout();
        let mut wire = Wire::default();
        for frame in &self.frames {
            wire.push(&layout, frame.payload_len(&self.format));
        }
        wire.spoil(&self.fault, usize::from(layout.offset), |field| field_bytes(&layout, field));
        wire.bytes
    }
}

impl Wire {
    fn push(&mut self, layout: &Layout, payload_len: usize) {
        let Some(field) = field_of(layout, payload_len) else { return };
        self.starts.push(self.bytes.len());
        self.fill(usize::from(layout.offset));
        self.bytes.extend_from_slice(&field);
        self.fill(payload_len);
        self.fill(usize::from(layout.trailer));
    }

    /// Appends this many bytes of prefix, payload or trailer.
    pub(crate) fn fill(&mut self, len: usize) {
        let begin = self.bytes.len() as u64;
        self.bytes.extend((begin..begin + len as u64).map(byte_at));
    }

    /// Applies the fault. A length field is at `offset` in its frame.
    pub(crate) fn spoil(&mut self, fault: &Fault, offset: usize, field_bytes: impl Fn(u64) -> Vec<u8>) {
        let len = self.bytes.len();
        match *fault {
            Fault::None => {}
            Fault::Append(ref bytes) => self.bytes.extend_from_slice(bytes),
            Fault::Insert { at, byte } => self.bytes.insert(at % (len + 1), byte),
            _ if len == 0 => {}
            Fault::Truncate { missing } => self.bytes.truncate(len - missing % (len + 1)),
            Fault::Flip { at, mask } => self.bytes[at % len] ^= mask,
            Fault::Remove { at } => _ = self.bytes.remove(at % len),
            Fault::Field { frame, field } => {
                let at = self.starts[frame % self.starts.len()] + offset;
                for (byte, new) in self.bytes[at..].iter_mut().zip(field_bytes(field)) {
                    *byte = new;
                }
            }
        }
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

/// The byte at an offset of a [`Plan`]'s stream, in every prefix, payload and trailer.
pub fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}
