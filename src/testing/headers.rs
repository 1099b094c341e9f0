//! The properties of a header that is not a [`Format`](crate::framing::Format), and headers to test them with.

use alloc::vec::Vec;

use super::case::Case;
use super::checks::check_stream;
use super::oracle::{Oracle, Seen};
use super::plan::{Wire, byte_at};
use super::sealed::{Sealed, check_spoiled};
use super::source::Source;
use crate::framing::{
    Check, DecodeErrorKind, Decoder, EncodeError, Encoder, Envelope, Head, Header, MAX_HEADER_LEN, Parsed,
};

/// A header writes what it parses. For payloads of these lengths: one that it does not refuse decodes to itself, with
/// its prefix, and parsing never asks for a byte too many; one that it refuses leaves the output unchanged.
///
/// ```
/// use unstick::framing::{DecodeErrorKind, EncodeError, Envelope, Head, Header, Parsed};
/// use unstick::testing::{self, Case, Cuts, Oracle};
///
/// /// A star, and a byte that counts the payload.
/// #[derive(Clone, Debug)]
/// struct Star;
///
/// impl Header for Star {
///     type Check = ();
///
///     fn max_header_len(&self) -> usize { 2 }
///     fn max_payload_len(&self) -> usize { 255 }
///     fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
///         match *bytes {
///             [] => Ok(Parsed::Need(2)),
///             [b'*'] => Ok(Parsed::Need(1)),
///             [b'*', len, ..] => Ok(Parsed::Head(Head::new(2, u64::from(len)))),
///             _ => Err(DecodeErrorKind::Custom("no star")),
///         }
///     }
///     fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
///         let len = u8::try_from(payload_len).map_err(|_| EncodeError::Custom("255 bytes at most"))?;
///         out.extend([b'*', len]);
///         Ok(())
///     }
/// }
///
/// impl Oracle for Star {}
///
/// testing::check_header(&Star, b"", &[0, 1, 255, 256]);
/// testing::check_stream(&Case::new(Star, b"*\x02hi*\x00!").cut(Cuts::every(2)));
/// ```
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_header<'a, H: Oracle>(header: &H, envelope: impl Into<Envelope<'a>>, payload_lens: &[usize]) {
    let envelope = envelope.into();
    let encoder = Encoder::new(header.clone());
    let mut wire = Vec::new();
    let mut lens = Vec::new();
    for &payload_len in payload_lens {
        let before = wire.len();
        let Ok(mut check) = encoder.header(envelope, payload_len, &mut wire) else {
            assert_eq!(wire.len(), before, "a refused header leaves the output unchanged");
            continue;
        };
        let Seen::Whole(head) = header.seen(&wire[before..]) else { panic!("{header:?} reads what it wrote") };
        let read = (head.header_len, head.payload_len);
        assert_eq!(read, (wire.len() - before, payload_len as u64), "what is written is read: {header:?}");
        assert!(payload_len <= header.max_payload_len(), "what is over the limit is refused: {header:?}");
        let payload: Vec<u8> = (0..payload_len as u64).map(byte_at).collect();
        wire.extend_from_slice(&payload);
        check.update(&payload);
        let payload_end = wire.len();
        encoder.trailer(&check, envelope, &mut wire);
        assert_eq!(wire.len() - payload_end, head.trailer_len, "the trailer is as long as the header says: {header:?}");
        let mut encoded = Vec::new();
        encoder.encode_with(envelope, &payload, &mut encoded).expect("a frame whose header was written");
        assert_eq!(encoded, wire[before..], "a frame is its header, its payload and its trailer");
        assert_eq!(header.checked(head, &encoded), Ok(()), "what is written is as its check says: {header:?}");
        lens.push(payload_len);
    }
    let mut decoder = Decoder::new(header.clone());
    decoder.feed(&wire);
    for len in lens {
        let frame = decoder.next_frame().expect("what was encoded decodes").expect("a whole frame is yielded");
        assert_eq!(frame.prefix(), envelope.prefix, "the prefix is as it was");
        assert!(H::Check::COMPUTES || frame.trailer() == envelope.trailer, "the trailer is as it was");
        assert!(frame.payload().iter().copied().eq((0..len as u64).map(byte_at)), "the payload is as it was");
    }
    assert_eq!(decoder.finish(), Ok(()), "an encoded stream ends after a frame");
}

/// Runs all checks on a header and frames that `data` describes, with a fault among them.
#[track_caller]
pub(crate) fn check_custom(source: &mut Source<'_>) {
    let limit = usize::from(source.u8()) + 1;
    match source.u8() {
        192.. => check_frames(source, &Sealed { limit }, &Sealed { limit: usize::MAX }, b"S".into()),
        choice if choice % 3 == 0 => {
            let trailer = &[b'T'; TRAILER][..usize::from(source.u8()) % (TRAILER + 1)];
            check_frames(source, &Tagged { limit }, &Tagged { limit: usize::MAX }, Envelope { prefix: &TAG, trailer });
        }
        choice if choice % 3 == 1 => {
            check_frames(source, &Steps { limit }, &Steps { limit: usize::MAX }, Envelope::default());
        }
        _ => check_frames(source, &Longest { limit }, &Longest { limit: usize::MAX }, (&[b'L'; LONGEST_PREFIX]).into()),
    }
}

/// `unlimited` also writes what is over the limit.
#[track_caller]
fn check_frames<H: Oracle>(source: &mut Source<'_>, header: &H, unlimited: &H, envelope: Envelope<'_>) {
    let oversize = source.oversize(header);
    let read_len = source.read_len();
    let cuts = source.cuts();
    let fault = source.fault();
    let lens: Vec<usize> = (0..source.u8() % 8).map(|_| usize::from(source.u16() % 300)).collect();
    check_header(header, envelope, &lens);
    let mut wire = Wire::default();
    for &len in &lens {
        wire.starts.push(wire.bytes.len());
        let payload: Vec<u8> = (0..len as u64).map(byte_at).collect();
        let encoded = Encoder::new(unlimited.clone()).encode_with(envelope, &payload, &mut wire.bytes);
        encoded.expect("what has no limit can be said");
    }
    if H::Check::COMPUTES {
        let stream = wire.bytes.clone();
        check_spoiled(source, &Case { format: header.clone(), oversize, read_len, stream, cuts: cuts.clone() });
    }
    wire.spoil(&fault, envelope.prefix.len(), |field| field.to_be_bytes()[4..].to_vec());
    for stream in [wire.bytes, source.rest().to_vec()] {
        check_stream(&Case { format: header.clone(), oversize, read_len, stream, cuts: cuts.clone() });
    }
}

const TAG: [u8; 2] = [0xF5, 0x9A];

/// The longest trailer, in bytes.
const TRAILER: usize = 7;

/// Two constant bytes, a varint that counts the payload, and a byte that counts the trailer, which has at most seven
/// bytes. The first wrong byte decides.
#[derive(Clone, Debug)]
struct Tagged {
    limit: usize,
}

impl Oracle for Tagged {}

impl Header for Tagged {
    type Check = ();

    fn max_header_len(&self) -> usize {
        2 + 3 + 1
    }

    fn max_payload_len(&self) -> usize {
        self.limit
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        if !TAG.starts_with(&bytes[..bytes.len().min(TAG.len())]) {
            return Err(DecodeErrorKind::Custom("no tag"));
        }
        let mut field = 0;
        for width in 0..3 {
            let Some(&byte) = bytes.get(2 + width) else { return Ok(Parsed::Need(2 + width + 2 - bytes.len())) };
            field |= u64::from(byte & 0x7F) << (7 * width);
            if byte >= 0x80 {
                continue;
            }
            let header_len = 2 + width + 2;
            let Some(&trailer) = bytes.get(header_len - 1) else { return Ok(Parsed::Need(1)) };
            if usize::from(trailer) > TRAILER {
                return Err(DecodeErrorKind::Custom("a trailer has seven bytes at most"));
            }
            return Ok(Parsed::Head(Head::new(header_len, field).prefix(2).trailer(usize::from(trailer))));
        }
        Err(DecodeErrorKind::Custom("a varint of three bytes at most"))
    }

    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(envelope.prefix);
        let trailer = envelope.trailer.len();
        if trailer > TRAILER {
            return Err(EncodeError::Trailer { trailer_len: trailer, expected: TRAILER });
        }
        let mut left = payload_len;
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.extend([left as u8, trailer as u8]);
        within(payload_len, self.limit)
    }
}

/// A byte that says how many bytes of length follow. It asks for one more byte at a time.
#[derive(Clone, Debug)]
struct Steps {
    limit: usize,
}

impl Oracle for Steps {}

impl Header for Steps {
    type Check = ();

    fn max_header_len(&self) -> usize {
        1 + 4
    }

    fn max_payload_len(&self) -> usize {
        self.limit
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let Some(&width) = bytes.first() else { return Ok(Parsed::Need(1)) };
        if width > 4 {
            return Err(DecodeErrorKind::Custom("a length has four bytes at most"));
        }
        let header_len = 1 + usize::from(width);
        let Some(digits) = bytes.get(1..header_len) else { return Ok(Parsed::Need(1)) };
        let field = digits.iter().fold(0, |field, digit| field << 8 | u64::from(*digit));
        Ok(Parsed::Head(Head::new(header_len, field)))
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        within(payload_len, self.limit)?;
        let digits = (payload_len as u32).to_be_bytes();
        let width = digits.iter().skip_while(|digit| **digit == 0).count();
        out.push(width as u8);
        out.extend_from_slice(&digits[4 - width..]);
        Ok(())
    }
}

const LONGEST_PREFIX: usize = MAX_HEADER_LEN - 4;

/// The longest header allowed: a prefix of any bytes, and a big-endian u32.
#[derive(Clone, Debug)]
struct Longest {
    limit: usize,
}

impl Oracle for Longest {}

impl Header for Longest {
    type Check = ();

    fn max_header_len(&self) -> usize {
        MAX_HEADER_LEN
    }

    fn max_payload_len(&self) -> usize {
        self.limit
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let Some(header) = bytes.first_chunk::<MAX_HEADER_LEN>() else {
            return Ok(Parsed::Need(MAX_HEADER_LEN - bytes.len()));
        };
        let field = header[LONGEST_PREFIX..].iter().fold(0, |field, digit| field << 8 | u64::from(*digit));
        Ok(Parsed::Head(Head::new(MAX_HEADER_LEN, field).prefix(LONGEST_PREFIX)))
    }

    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        within(payload_len, self.limit)?;
        out.extend_from_slice(envelope.prefix);
        out.extend_from_slice(&(payload_len as u32).to_be_bytes());
        Ok(())
    }
}

fn within(payload_len: usize, max_payload_len: usize) -> Result<(), EncodeError> {
    if payload_len > max_payload_len { Err(EncodeError::Oversize { payload_len, max_payload_len }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random bytes seldom get this far after the tag.
    #[test]
    fn the_tagged_header_refuses_a_fourth_byte_of_varint() {
        let bytes = [&TAG[..], &[0x80; 3]].concat();
        let refused = DecodeErrorKind::Custom("a varint of three bytes at most");
        assert_eq!(Tagged { limit: 10 }.parse(&bytes), Err(refused));
        assert_eq!(Tagged { limit: 10 }.parse(&bytes[..4]), Ok(Parsed::Need(2)));
    }
}
