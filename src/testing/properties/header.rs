//! The properties of a header that is not a [`Format`](crate::framing::Format).

use alloc::vec::Vec;

use crate::framing::{Check, Decoder, Encoder, Envelope};
use crate::testing::census::Met;
use crate::testing::oracle::{Oracle, Seen};
use crate::testing::plan::byte_at;

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
            Met::HeaderRefused.count();
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
        Met::HeaderWritten.count();
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
