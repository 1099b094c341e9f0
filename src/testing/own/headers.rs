//! Headers that are not a format, to test the properties of a header with.

use alloc::vec::Vec;

use super::sealed::{Sealed, check_spoiled};
use crate::framing::{Check, DecodeErrorKind, EncodeError, Encoder, Envelope, Head, Header, MAX_HEADER_LEN, Parsed};
use crate::testing::case::Case;
use crate::testing::census;
use crate::testing::oracle::{Oracle, Seen};
use crate::testing::plan::{Says, Wire, Written, byte_at};
use crate::testing::properties::{check_header, check_one};
use crate::testing::source::Source;

/// Runs one check, which `choice` chooses, on a header and frames that `source` describes, with faults among them.
#[track_caller]
pub(crate) fn check_custom(source: &mut Source<'_>, choice: u8) {
    let limit = usize::from(source.u8()) + 1;
    let any = usize::MAX;
    match source.u8() {
        192.. => check_frames(source, choice, [Sealed { limit }, Sealed { limit: any }], b"S".into()),
        header if header % 3 == 0 => {
            let trailer = &[b'T'; TRAILER][..usize::from(source.u8()) % (TRAILER + 1)];
            let envelope = Envelope { prefix: &TAG, trailer };
            check_frames(source, choice, [Tagged { limit }, Tagged { limit: any }], envelope);
        }
        header if header % 3 == 1 => {
            check_frames(source, choice, [Steps { limit }, Steps { limit: any }], Envelope::default());
        }
        _ => {
            let envelope = Envelope::from(&[b'L'; LONGEST_PREFIX]);
            check_frames(source, choice, [Longest { limit }, Longest { limit: any }], envelope);
        }
    }
}

/// The second header also writes what is over the limit.
#[track_caller]
fn check_frames<H: Oracle>(source: &mut Source<'_>, choice: u8, [header, unlimited]: [H; 2], envelope: Envelope<'_>) {
    let oversize = source.oversize(&header);
    let read_len = source.read_len();
    let cuts = source.cuts();
    let faults = source.faults();
    let lens: Vec<usize> = (0..source.u8() % 8).map(|_| usize::from(source.u16() % 300)).collect();
    if choice / 16 == 1 {
        return check_header(&header, envelope, &lens);
    }
    let mut wire = Wire::default();
    for &len in &lens {
        let start = wire.bytes.len();
        let payload: Vec<u8> = (0..len as u64).map(byte_at).collect();
        let encoded = Encoder::new(unlimited.clone()).encode_with(envelope, &payload, &mut wire.bytes);
        encoded.expect("what has no limit can be said");
        let end = wire.bytes.len();
        let Seen::Whole(head) = unlimited.seen(&wire.bytes[start..]) else { panic!("{header:?} reads what it wrote") };
        wire.frames.push(Written { field: start..start + head.header_len, payload_len: len, end });
    }
    if H::Check::COMPUTES && choice.is_multiple_of(2) {
        let case = Case { format: header, oversize, read_len, stream: wire.bytes, cuts };
        return check_spoiled(source, &case, choice);
    }
    for fault in &faults {
        let applied = wire.spoil(fault, header.max_payload_len(), |says| {
            let (Says::Field(len) | Says::Payload(len) | Says::Padded(len, _)) = says;
            let mut written = Vec::new();
            unlimited.write(envelope, usize::try_from(len).ok()?, &mut written).ok()?;
            Some(written)
        });
        if applied {
            census::fault(fault);
        }
    }
    let stream = if choice < 128 { wire.bytes } else { source.rest().to_vec() };
    check_one(&Case { format: header, oversize, read_len, stream, cuts }, choice);
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
