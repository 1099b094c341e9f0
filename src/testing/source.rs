//! Bytes read as choices, so that a fuzzer, proptest and a loop build the same plans.

use alloc::vec::Vec;

use super::case::Cuts;
use super::plan::{Fault, FrameLen};
use crate::framing::{DEFAULT_READ_LEN, Endian, Field, Format, Header, Layout, Oversize};

/// The longest limit that a generated format has, in bytes: beyond a u16, so that every width of a field matters.
const MOST: usize = 70_000;

/// Bytes that are read as choices, followed by zeros.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that were not yet read.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }

    pub(crate) fn u8(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.u8()))
    }

    /// A number below `n`.
    fn below(&mut self, n: u8) -> u8 {
        self.u8() % n
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.u8()) % of.len()]
    }

    /// Any format, with a limit whose payloads fit in memory.
    pub(crate) fn format(&mut self) -> Format {
        let layout = self.layout();
        let wanted = match self.below(32) {
            0..=15 => usize::from(self.below(17)),
            16..=29 => usize::from(self.u8()),
            30 => usize::from(self.u16() % 2048),
            _ => MOST,
        };
        format_near(layout, wanted).or_else(|| format_near(layout.adjustment(0), wanted)).unwrap_or(Format::U8)
    }

    fn layout(&mut self) -> Layout {
        let field = match self.below(3) {
            0 => Field::Fixed { width: 1 + self.below(8), endian: Endian::Big },
            1 => Field::Fixed { width: 1 + self.below(8), endian: Endian::Little },
            _ => {
                let choice = self.u8();
                // The longest often, as only that can overflow.
                Field::Varint { max_width: 1 + (choice % 16).min(9), minimal: choice >= 128 }
            }
        };
        let offset = match self.below(4) {
            0 | 1 => 0,
            2 => self.below(5),
            _ => self.u8(),
        };
        let layout = Layout::of(field).offset(offset);
        let adjustment = match self.below(8) {
            0..=2 => 0,
            3 => layout.inclusive().adjustment,
            4 => -(layout.max_header_len() as i64),
            5 => i64::from(self.u8() as i8),
            6 => -i64::from(self.u16()),
            _ => -((self.u64() >> self.below(64)) as i64).saturating_abs(),
        };
        let trailer = match self.below(8) {
            0..=5 => 0,
            6 => 1 + self.below(8),
            _ => self.u8(),
        };
        layout.adjustment(adjustment).trailer(trailer)
    }

    pub(crate) fn oversize(&mut self, header: &impl Header) -> Oversize {
        let limit = header.max_payload_len() as u64;
        match self.below(4) {
            0 | 1 => Oversize::Reject,
            2 => Oversize::Skip { max_discard: limit + u64::from(self.u8()) },
            _ => Oversize::Skip { max_discard: self.u64() },
        }
    }

    /// Mostly a short one, as a fuzzer would otherwise spend its time on zeroing long buffers.
    pub(crate) fn read_len(&mut self) -> usize {
        match self.below(32) {
            0..=15 => 1 + usize::from(self.below(16)),
            16..=30 => 1 + usize::from(self.u8()),
            _ => DEFAULT_READ_LEN,
        }
    }

    pub(crate) fn cuts(&mut self) -> Cuts {
        let count = self.below(9);
        let lens: Vec<usize> = (0..count)
            .map(|_| match self.u8() {
                long @ 224.. => usize::from(long - 223) * 1021,
                short => usize::from(short % 40),
            })
            .collect();
        Cuts::of_lens(lens)
    }

    pub(crate) fn frame_len(&mut self) -> FrameLen {
        match self.below(8) {
            0 => FrameLen::Empty,
            1 => FrameLen::Min,
            2 => FrameLen::Max,
            3 => FrameLen::OverMax,
            4 => FrameLen::Near(self.u8() as i8),
            5 => FrameLen::Exact(usize::from(self.u16() % 1024)),
            _ => FrameLen::Exact(usize::from(self.below(32))),
        }
    }

    /// None, one or two.
    pub(crate) fn faults(&mut self) -> Vec<Fault> {
        let count = match self.below(8) {
            0 | 1 => 0,
            2..=5 => 1,
            _ => 2,
        };
        (0..count).map(|_| self.fault()).collect()
    }

    fn fault(&mut self) -> Fault {
        match self.below(10) {
            0 => Fault::Truncate { missing: usize::from(self.u8()) },
            1 => Fault::Flip { at: usize::from(self.u16()), mask: self.u8() },
            2 => Fault::Insert { at: usize::from(self.u16()), byte: self.u8() },
            3 => Fault::Remove { at: usize::from(self.u16()) },
            4 => Fault::Field { frame: usize::from(self.u8()), field: self.u64() },
            5 => Fault::Length { frame: usize::from(self.u8()), by: self.small() },
            6 => Fault::Limit { frame: usize::from(self.u8()), by: self.small() },
            7 => Fault::Claim { frame: usize::from(self.u8()) },
            8 => Fault::Pad { frame: usize::from(self.u8()), by: 1 + self.below(9) },
            _ => Fault::Append(self.appended()),
        }
    }

    /// Any bytes, or a varint of ten bytes that overflows.
    fn appended(&mut self) -> Vec<u8> {
        match self.below(40) {
            len @ 0..30 => (0..len).map(|_| self.u8()).collect(),
            _ => [&[0xFF; 9][..], &[0x7F]].concat(),
        }
    }

    /// Mostly a few.
    fn small(&mut self) -> i8 {
        let number = self.u8() as i8;
        if number % 2 == 0 { number / 32 } else { number }
    }
}

/// The format of `layout` whose limit is nearest to `wanted`, if its least payload is at most [`MOST`].
pub(crate) fn format_near(layout: Layout, wanted: usize) -> Option<Format> {
    let least = layout.min_payload_len();
    let greatest = layout.greatest_payload_len()?;
    if least > MOST as u64 || least > greatest {
        return None;
    }
    Format::new(layout, (wanted as u64).clamp(least, greatest) as usize).ok()
}
