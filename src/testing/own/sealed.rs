//! A header with a check over the whole frame, and the same check computed in another way.

use alloc::vec::Vec;

use crate::framing::{Check, DecodeErrorKind, EncodeError, Envelope, Head, Header, Oversize, Parsed, Phase};
use crate::testing::case::Case;
use crate::testing::census::Met;
use crate::testing::oracle::{End, Expected, Oracle};
use crate::testing::properties::check_one;
use crate::testing::source::Source;

const MARK: u8 = 0x68;
const END: u8 = 0x16;
const TRAILER: usize = 3;

/// A prefix byte, a constant byte, and a big-endian u16 that counts the payload; after the payload a CRC-16 of all
/// before it, and an end byte.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) limit: usize,
}

impl Header for Sealed {
    type Check = Crc;

    fn max_header_len(&self) -> usize {
        4
    }

    fn max_payload_len(&self) -> usize {
        self.limit
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        match *bytes {
            [_, mark, ..] if mark != MARK => Err(DecodeErrorKind::Custom("no mark")),
            [_, _, high, low, ..] => {
                let payload_len = u16::from_be_bytes([high, low]);
                Ok(Parsed::Head(Head::new(4, payload_len.into()).prefix(1).trailer(TRAILER)))
            }
            _ => Ok(Parsed::Need(4 - bytes.len())),
        }
    }

    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let max_payload_len = self.limit.min(u16::MAX.into());
        let (Ok(len), true) = (u16::try_from(payload_len), payload_len <= max_payload_len) else {
            return Err(EncodeError::Oversize { payload_len, max_payload_len });
        };
        let &[prefix] = envelope.prefix else {
            return Err(EncodeError::Prefix { prefix_len: envelope.prefix.len(), offset: 1 });
        };
        let [high, low] = len.to_be_bytes();
        out.extend([prefix, MARK, high, low]);
        Ok(())
    }

    fn check(&self, header: &[u8]) -> Crc {
        let mut crc = Crc::default();
        crc.update(header);
        crc
    }
}

/// CRC-16/IBM-3740, a byte at a time; and the end byte of a frame.
#[derive(Clone, Debug)]
pub(super) struct Crc(u16);

impl Default for Crc {
    fn default() -> Crc {
        Crc(0xFFFF)
    }
}

impl Check for Crc {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u16::from(*byte) << 8;
            for _ in 0..8 {
                self.0 = self.0 << 1 ^ if self.0 & 0x8000 == 0 { 0 } else { 0x1021 };
            }
        }
    }

    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        let &[high, low, end] = trailer else { unreachable!("a trailer has as many bytes as the head says") };
        let stated = u16::from_be_bytes([high, low]);
        if stated != self.0 {
            return Err(DecodeErrorKind::Mismatch { stated: stated.into(), computed: self.0.into() });
        }
        if end == END { Ok(()) } else { Err(NO_END) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let [high, low] = self.0.to_be_bytes();
        out.extend([high, low, END]);
    }
}

const NO_END: DecodeErrorKind = DecodeErrorKind::Custom("a frame does not end with the byte that ends it");

impl Oracle for Sealed {
    fn checked(&self, _head: Head, frame: &[u8]) -> Result<(), DecodeErrorKind> {
        let (covered, trailer) = frame.split_at(frame.len() - TRAILER);
        let stated = u64::from(trailer[0]) * 256 + u64::from(trailer[1]);
        let computed = remainder(covered);
        match (stated == computed, trailer[2] == END) {
            (false, _) => Err(DecodeErrorKind::Mismatch { stated, computed }),
            (true, false) => Err(NO_END),
            (true, true) => Ok(()),
        }
    }
}

/// The CRC of at least two bytes, by its definition: flip the first 16 bits, append 16 zeros, and take the remainder of
/// the long division by x¹⁶ + x¹² + x⁵ + 1.
fn remainder(bytes: &[u8]) -> u64 {
    let offsets = || (0..8).rev();
    let mut bits: Vec<bool> = bytes.iter().flat_map(|byte| offsets().map(move |at| byte >> at & 1 == 1)).collect();
    let len = bits.len();
    bits.resize(len + 16, false);
    bits[..16].iter_mut().for_each(|bit| *bit = !*bit);
    for at in 0..len {
        if bits[at] {
            for term in [0, 4, 11, 16] {
                bits[at + term] ^= true;
            }
        }
    }
    bits[len..].iter().fold(0, |number, bit| number * 2 + u64::from(*bit))
}

/// Takes one good frame and flips a bit of its payload, flips a bit of its trailer, and cuts its trailer: each is
/// refused or truncated there, and the chosen check holds.
#[track_caller]
pub(super) fn check_spoiled<H: Oracle>(source: &mut Source<'_>, case: &Case<H>, choice: u8) {
    let [which, payload_at, trailer_at, bit] = [(); 4].map(|()| usize::from(source.u8()));
    let frames: Vec<_> = Expected::of(&case.format, Oversize::Reject, &case.stream).yielded().copied().collect();
    let Some(frame) = frames.get(which.checked_rem(frames.len()).unwrap_or(0)) else { return };
    let payload = frame.start + frame.header_len;
    let trailer = payload + frame.payload_len as usize;
    let mut offsets = Vec::from([trailer + trailer_at % frame.trailer_len]);
    if frame.payload_len > 0 {
        offsets.push(payload + payload_at % frame.payload_len as usize);
    }
    for offset in offsets {
        let mut spoiled = case.clone();
        spoiled.stream[offset] ^= 1 << (bit % 8);
        let end = Expected::of(&case.format, Oversize::Reject, &spoiled.stream).end;
        assert!(
            matches!(end, End::Refused { start, decided, shown: 0, .. } if start == frame.start && start + decided == frame.end() as usize),
            "a bit at {offset} is flipped, and the stream ends as {end:?}"
        );
        check_one(&spoiled, choice);
        Met::Spoiled.count();
    }
    let mut cut = case.clone();
    cut.stream.truncate(trailer + trailer_at % frame.trailer_len);
    let end = Expected::of(&case.format, Oversize::Reject, &cut.stream).end;
    assert!(
        matches!(end, End::Truncated { start, phase: Phase::Trailer, .. } if start == frame.start),
        "the trailer is cut, and the stream ends as {end:?}"
    );
    check_one(&cut, choice);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Decoder, Encoder};
    use crate::testing::{Cuts, check_header, check_stream};

    fn wire() -> Vec<u8> {
        let mut wire = Vec::new();
        for payload in [&b"123456789"[..], b"", b"\0\0"] {
            Encoder::new(Sealed { limit: 9 }).encode_with(b"#", payload, &mut wire).expect("within the limit");
        }
        wire
    }

    /// The check value that catalogues give for this CRC.
    #[test]
    fn it_is_crc_16_ibm_3740_both_ways() {
        let mut crc = Crc::default();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!((crc.0, remainder(b"123456789")), (0x29B1, 0x29B1));
    }

    #[test]
    fn frames_are_what_the_check_covers() {
        check_header(&Sealed { limit: 300 }, b"#", &[0, 1, 255, 256, 300, 301]);
        check_header(&Sealed { limit: usize::MAX }, b"#", &[65_535, 65_536]);
        check_stream(&Case::new(Sealed { limit: 9 }, wire()).cut(Cuts::every(4)));
    }

    /// Flips every bit of every frame but those of the constant byte and the length; and ends the stream at every byte.
    #[test]
    fn every_turned_bit_is_told_with_its_numbers_where_its_frame_begins() {
        let wire = wire();
        let frames = Expected::of(&Sealed { limit: 9 }, Oversize::Reject, &wire).frames;
        assert_eq!(frames.len(), 3);
        for frame in &frames {
            let end = frame.end() as usize;
            for offset in (frame.start..end).filter(|offset| !(1..4).contains(&(offset - frame.start))) {
                for bit in 0..8 {
                    let mut case = Case::new(Sealed { limit: 9 }, wire.clone()).cut(Cuts::every(5));
                    case.stream[offset] ^= 1 << bit;
                    check_stream(&case);
                    let mut decoder = case.decoder();
                    decoder.feed(&case.stream);
                    let error = decoder.finish().expect_err("a turned bit");
                    assert_eq!((error.offset(), error.header()), (frame.start as u64, &b""[..]));
                    let is_end = offset == end - 1;
                    assert_eq!(error.kind() == NO_END, is_end, "{error}");
                    assert_eq!(matches!(error.kind(), DecodeErrorKind::Mismatch { .. }), !is_end, "{error}");
                }
            }
        }
        for len in 0..wire.len() {
            check_stream(&Case::new(Sealed { limit: 9 }, &wire[..len]));
        }
    }

    /// Parts that were yielded before stay yielded; the end of the frame is refused.
    #[test]
    fn a_body_in_parts_is_refused_at_its_end() {
        let mut wire = wire();
        wire[6] ^= 1;
        let mut decoder = Decoder::new(Sealed { limit: 9 });
        let mut chunks = 0;
        for byte in &wire[..15] {
            decoder.feed(&[*byte]);
            while decoder.next_part().expect("no error before the trailer is whole").is_some() {
                chunks += 1;
            }
        }
        assert_eq!(chunks, 1 + 9);
        decoder.feed(&wire[15..16]);
        let error = decoder.next_part().expect_err("a turned bit");
        assert!(
            matches!(error.kind(), DecodeErrorKind::Mismatch { stated, computed } if stated != computed),
            "{error}"
        );
        assert_eq!((error.offset(), error.header(), error.diagnosis()), (0, &b""[..], None));
        assert_eq!(decoder.finish(), Err(error));
    }
}
