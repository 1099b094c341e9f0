//! A byte stream, how it is cut, and the settings of the decoder that reads it.

use alloc::vec;
use alloc::vec::Vec;

use super::source::Source;
use crate::framing::{DEFAULT_READ_LEN, Decoder, Format, Header, Oversize};

/// A byte stream, how it is cut, and the settings of the decoder that reads it.
///
/// The stream is any bytes; a [`Plan`](super::Plan) makes cases whose streams are frames, with or without a fault. They
/// are read by a [`Format`], or by any [`Header`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case<H = Format> {
    /// The format that the bytes are read by.
    pub format: H,
    /// What happens to a frame over the limit.
    pub oversize: Oversize,
    /// Bytes of one read, for decoders that are read into.
    pub read_len: usize,
    /// The bytes.
    pub stream: Vec<u8>,
    /// Where they are cut.
    pub cuts: Cuts,
}

impl Case {
    /// The case that these bytes describe: settings and cuts first, then the stream. Every input is a case.
    pub fn from_bytes(data: &[u8]) -> Case {
        let mut source = Source::new(data);
        let format = source.format();
        let oversize = source.oversize(&format);
        let read_len = source.read_len();
        let cuts = source.cuts();
        Case { format, oversize, read_len, cuts, stream: source.rest().to_vec() }
    }
}

impl<H> Case<H> {
    /// The stream in one chunk, for a decoder with default settings.
    pub fn new(format: H, stream: impl Into<Vec<u8>>) -> Case<H> {
        Case {
            format,
            oversize: Oversize::Reject,
            read_len: DEFAULT_READ_LEN,
            stream: stream.into(),
            cuts: Cuts::whole(),
        }
    }

    /// The same case with other cuts.
    #[must_use]
    pub fn cut(self, cuts: Cuts) -> Case<H> {
        Case { cuts, ..self }
    }

    /// The same case with another oversize policy.
    #[must_use]
    pub fn on_oversize(self, oversize: Oversize) -> Case<H> {
        Case { oversize, ..self }
    }

    /// The same case with another `read_len`.
    #[must_use]
    pub fn with_read_len(self, read_len: usize) -> Case<H> {
        Case { read_len: read_len.max(1), ..self }
    }

    /// A decoder with these settings, at the start of the stream.
    pub fn decoder(&self) -> Decoder<H>
    where
        H: Header + Clone,
    {
        Decoder::with_read_len(self.format.clone(), self.read_len).on_oversize(self.oversize)
    }

    /// Byte by byte, or in 300 chunks if the stream is longer than that, so that the checks take linear time.
    pub(crate) fn finest(&self) -> Cuts {
        Cuts::every(self.stream.len().div_ceil(300))
    }

    /// The chunks in order.
    pub fn chunks(&self) -> Chunks<'_> {
        self.cuts.chunks(&self.stream)
    }
}

/// Where a stream is cut: the lengths of its chunks, repeated until the end of the stream.
///
/// ```
/// use unstick::testing::Cuts;
/// let chunks = |cuts: Cuts| cuts.chunks(b"abcdef").map(<[u8]>::to_vec).collect::<Vec<_>>();
/// assert_eq!(chunks(Cuts::whole()), [b"abcdef"]);
/// assert_eq!(chunks(Cuts::every(4)), [&b"abcd"[..], b"ef"]);
/// assert_eq!(chunks(Cuts::at(&[1, 3])), [&b"a"[..], b"bc", b"def"]);
/// assert_eq!(chunks(Cuts::of_mask(0b10001, 6)), [&b"a"[..], b"bcde", b"f"]);
/// assert_eq!(chunks(Cuts::of_lens(vec![1, 0, 2])), [&b"a"[..], b"", b"bc", b"d", b"", b"ef"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cuts {
    /// Lengths of the chunks; empty for no cut. Not all are 0.
    lens: Vec<usize>,
}

impl Cuts {
    /// No cut: one chunk.
    pub const fn whole() -> Cuts {
        Cuts { lens: Vec::new() }
    }

    /// A cut after every `len` bytes, at least 1.
    pub fn every(len: usize) -> Cuts {
        Cuts { lens: vec![len.max(1)] }
    }

    /// Cuts at these offsets, in rising order; the last chunk goes to the end of the stream.
    pub fn at(offsets: &[usize]) -> Cuts {
        let mut before = 0;
        let mut lens: Vec<usize> = offsets.iter().map(|&at| at - core::mem::replace(&mut before, at)).collect();
        lens.push(usize::MAX);
        Cuts { lens }
    }

    /// Chunks of these lengths, repeated. A chunk of 0 bytes is a read that brought nothing; if all are 0, nothing is
    /// cut.
    pub fn of_lens(lens: Vec<usize>) -> Cuts {
        if lens.iter().all(|&len| len == 0) { Cuts::whole() } else { Cuts { lens } }
    }

    /// The cuts of a stream of `len` bytes given by the bits of `mask`: bit n is a cut after byte n. So the masks below
    /// 2^(`len` − 1) are all ways to cut it.
    pub fn of_mask(mask: u64, len: usize) -> Cuts {
        let offsets: Vec<usize> = (1..len.min(65)).filter(|offset| mask >> (offset - 1) & 1 == 1).collect();
        Cuts::at(&offsets)
    }

    /// The chunks of `stream`.
    pub fn chunks<'a>(&'a self, stream: &'a [u8]) -> Chunks<'a> {
        Chunks { lens: &self.lens, turn: 0, left: stream }
    }
}

/// The chunks of a stream: see [`Cuts::chunks`].
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    lens: &'a [usize],
    turn: usize,
    left: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left.is_empty() {
            return None;
        }
        let len = self.lens.get(self.turn).copied().unwrap_or(usize::MAX);
        self.turn = if self.turn + 1 < self.lens.len() { self.turn + 1 } else { 0 };
        let (chunk, left) = self.left.split_at(len.min(self.left.len()));
        self.left = left;
        Some(chunk)
    }
}
