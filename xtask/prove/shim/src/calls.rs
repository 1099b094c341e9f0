//! What is proved about: each function calls the framing core once, and turns what it says into numbers.

use alloc::vec::Vec;

use unstick::framing::{
    self, DecodeErrorKind, Decoder, Encoder, EncodeError, Endian, Envelope, Field, Format, Head, Header, Layout, Parsed, Span,
};

use crate::{Input, Output};

/// Which outcome an [`Output`] is, as its first number. `outcome.py` has the same numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Outcome {
    /// `Format::new` refused.
    NoFormat,
    Format,
    /// How many more bytes at least.
    Need,
    /// Bytes of the prefix and of the header, the field, bytes of the payload and of the trailer.
    Head,
    /// The field, the adjustment.
    Underflow,
    /// The field, bytes of the payload, the limit.
    Oversize,
    /// Bytes of the longest varint.
    TooLong,
    Overflow,
    /// Bytes of the varint, the field.
    NotMinimal,
    /// Bytes of the payload, the least.
    Undersize,
    /// Not a whole frame, or not one for the fast path.
    NotWhole,
    /// Bytes of the frame.
    Whole,
    /// What must never be.
    Strange,
}

impl Outcome {
    fn alone(self) -> Output {
        self.with([])
    }

    fn with<const N: usize>(self, numbers: [u64; N]) -> Output {
        let mut output = [0; 8];
        output[0] = self as u64;
        output[1..=N].copy_from_slice(&numbers);
        output
    }
}

/// Whether there is such a format.
pub fn new(input: &Input, _: &[u8]) -> Output {
    if format(input).is_some() { Outcome::Format.alone() } else { Outcome::NoFormat.alone() }
}

/// What the bytes begin with.
pub fn parse(input: &Input, bytes: &[u8]) -> Output {
    let Some(format) = format(input) else { return Outcome::NoFormat.alone() };
    match format.parse(bytes) {
        Ok(parsed) => found(parsed),
        Err(kind) => refused(kind),
    }
}

/// The frame that the fast path takes at `start`; strange if `parse` would not take just this one.
pub fn whole_frame(input: &Input, bytes: &[u8]) -> Output {
    let Some(format) = format(input) else { return Outcome::NoFormat.alone() };
    let Some(span) = format.whole_frame(bytes, input.start) else { return Outcome::NotWhole.alone() };
    // The trait's own `whole_frame`, which calls `parse`.
    if ByParse(format).whole_frame(bytes, input.start) != Some(span) {
        return Outcome::Strange.alone();
    }
    Outcome::Whole.with([span.frame_len() as u64])
}

/// A header is encoded and parsed; its prefix is the first `offset` bytes. Also how many bytes were written.
pub fn header(input: &Input, bytes: &[u8]) -> Output {
    let Some(format) = format(input) else { return Outcome::NoFormat.alone() };
    let prefix = &bytes[..usize::from(input.offset)];
    let envelope = Envelope { prefix, ..format.layout().zeros() };
    let mut out = Vec::with_capacity(64);
    match Encoder::new(format).header(envelope, input.payload_len, &mut out) {
        Err(_) if !out.is_empty() => Outcome::Strange.alone(),
        Err(EncodeError::Oversize { payload_len, max_payload_len }) => {
            Outcome::Oversize.with([payload_len as u64, max_payload_len as u64])
        }
        Err(EncodeError::Undersize { payload_len, least }) => Outcome::Undersize.with([payload_len as u64, least]),
        Err(_) => Outcome::Strange.alone(),
        Ok(()) if !out.iter().zip(prefix).all(|(written, given)| written == given) => Outcome::Strange.alone(),
        Ok(()) => match format.parse(&out) {
            Ok(parsed) => {
                let mut output = found(parsed);
                output[6] = out.len() as u64;
                output
            }
            Err(kind) => refused(kind),
        },
    }
}

/// The first frame of the bytes: like `parse`, then bytes of the rest. Or the fault, then how many bytes it shows.
pub fn split_first(input: &Input, bytes: &[u8]) -> Output {
    let Some(format) = format(input) else { return Outcome::NoFormat.alone() };
    match framing::split_first(&Undiagnosed(format), bytes) {
        Ok(None) => Outcome::NotWhole.alone(),
        Ok(Some((frame, rest))) => {
            let behind = |part: &[u8]| part.as_ptr() as u64 - bytes.as_ptr() as u64;
            let lens = [frame.prefix(), frame.header(), frame.payload(), frame.trailer(), rest].map(|it| it.len() as u64);
            let [prefix, header, payload, trailer, rest_len] = lens;
            if behind(frame.header()) != 0 || behind(frame.payload()) != header || behind(rest) != header + payload + trailer {
                return Outcome::Strange.alone();
            }
            Outcome::Whole.with([prefix, header, payload, trailer, rest_len])
        }
        Err(fault) if fault.offset() != 0 => Outcome::Strange.alone(),
        Err(fault) => {
            let mut output = refused(fault.kind());
            output[6] = fault.header().len() as u64;
            output
        }
    }
}

/// A decoder is fed the first `start` bytes, then the rest, and asked for a frame each time. What it says first: like
/// `split_first`, or how many bytes it needs at the end. Then how many it needed after the first piece.
pub fn decoder(input: &Input, bytes: &[u8]) -> Output {
    let Some(format) = format(input) else { return Outcome::NoFormat.alone() };
    let mut decoder = Decoder::new(Undiagnosed(format));
    let (first, second) = bytes.split_at(input.start);
    decoder.feed(first);
    let mut output = step(&mut decoder, bytes);
    if output[0] == Outcome::NotWhole as u64 {
        let need = output[1];
        decoder.feed(second);
        output = step(&mut decoder, bytes);
        output[7] = need;
    }
    output
}

/// What a decoder says that was fed the first ones of these bytes; strange if it takes a frame of other bytes, or if an
/// error is not final.
fn step(decoder: &mut Decoder<Undiagnosed>, bytes: &[u8]) -> Output {
    let mut output = match decoder.next_frame() {
        Ok(None) => return Outcome::NotWhole.with([decoder.need() as u64]),
        Ok(Some(frame)) if !frame.as_bytes().iter().zip(bytes).all(|(taken, fed)| taken == fed) => {
            return Outcome::Strange.alone();
        }
        Ok(Some(frame)) => {
            let lens = [frame.prefix(), frame.header(), frame.payload(), frame.trailer()].map(|part| part.len() as u64);
            Outcome::Whole.with(lens)
        }
        Err(error) => {
            let mut output = refused(error.kind());
            output[6] = error.header().len() as u64;
            decoder.feed(bytes);
            let again = decoder.next_frame().map(|_| Outcome::Strange.alone()).unwrap_or_else(|error| refused(error.kind()));
            let is_final = again[..6].iter().zip(&output).all(|(again, first)| again == first);
            return if is_final && decoder.need() == 0 { output } else { Outcome::Strange.alone() };
        }
    };
    output[5] = decoder.buffered() as u64;
    output
}

fn format(input: &Input) -> Option<Format> {
    let field = match input.order {
        0 => Field::Fixed { width: input.width, endian: Endian::Little },
        1 => Field::Fixed { width: input.width, endian: Endian::Big },
        order => Field::Varint { max_width: input.width, minimal: order == 3 },
    };
    let layout = Layout::of(field).offset(input.offset).adjustment(input.adjustment).trailer(input.trailer);
    Format::new(layout, input.limit).ok()
}

fn found(parsed: Parsed) -> Output {
    match parsed {
        Parsed::Need(more) => Outcome::Need.with([more as u64]),
        Parsed::Head(Head { prefix_len, header_len, field, payload_len, trailer_len, .. }) => {
            Outcome::Head.with([prefix_len as u64, header_len as u64, field, payload_len, trailer_len as u64])
        }
        _ => Outcome::Strange.alone(),
    }
}

fn refused(kind: DecodeErrorKind) -> Output {
    match kind {
        DecodeErrorKind::Underflow { field, adjustment } => Outcome::Underflow.with([field, adjustment as u64]),
        DecodeErrorKind::Oversize { field, payload_len, max_payload_len } => {
            Outcome::Oversize.with([field, payload_len, max_payload_len as u64])
        }
        DecodeErrorKind::VarintTooLong { max_width } => Outcome::TooLong.with([u64::from(max_width)]),
        DecodeErrorKind::VarintOverflow => Outcome::Overflow.alone(),
        DecodeErrorKind::VarintNotMinimal { width, field } => Outcome::NotMinimal.with([u64::from(width), field]),
        _ => Outcome::Strange.alone(),
    }
}

/// A format whose frames are found by `parse` alone.
struct ByParse(Format);

/// A format that does not say what refused bytes look like: that is no arithmetic.
struct Undiagnosed(Format);

macro_rules! header {
    ($($name:ident { $($more:tt)* })*) => {$(
        impl Header for $name {
            type Check = ();

            fn max_header_len(&self) -> usize {
                self.0.max_header_len()
            }

            fn max_payload_len(&self) -> usize {
                self.0.max_payload_len()
            }

            fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
                self.0.parse(bytes)
            }

            fn write(&self, envelope: Envelope<'_>, len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                self.0.write(envelope, len, out)
            }

            $($more)*
        }
    )*};
}

header! {
    ByParse {}
    Undiagnosed {
        fn diagnose(&self, _: DecodeErrorKind, _: u64, _: &[u8]) -> Option<framing::Diagnosis> {
            None
        }

        fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
            self.0.whole_frame(bytes, start)
        }
    }
}
