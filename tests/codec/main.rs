//! The codec for tokio: under the suite, beside the codec that it replaces, and in a `Framed` over real sockets.

#[allow(clippy::duplicate_mod, reason = "in tests/fast it is one of two")]
#[path = "../support/as_framed.rs"]
mod as_framed;
mod drop_in;
mod encoding;
mod framed;
mod memory;
mod suite;
#[allow(clippy::duplicate_mod, reason = "in tests/fast it is one of two")]
#[path = "../support/summed.rs"]
mod summed;

use unstick::framing::{Check, DecodeErrorKind, EncodeError, Endian, Envelope, Format, Head, Header, Layout, Parsed};

use summed::Sum;

/// A byte of prefix, a u16 that counts itself and the payload, and a byte of trailer after the payload.
fn with_envelope() -> Format {
    Format::new(Layout::fixed(2, Endian::Big).offset(1).inclusive().trailer(1), 300).expect("a format")
}

/// A star, a byte that counts the payload, and after the payload the sum of all bytes before it.
#[derive(Clone, Debug)]
struct Summed;

impl Header for Summed {
    type Check = Sum;

    fn max_header_len(&self) -> usize {
        2
    }

    fn max_payload_len(&self) -> usize {
        200
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        match *bytes {
            [] => Ok(Parsed::Need(2)),
            [b'*'] => Ok(Parsed::Need(1)),
            [b'*', len, ..] => Ok(Parsed::Head(Head::new(2, len.into()).prefix(1).trailer(1))),
            _ => Err(DecodeErrorKind::Custom("no star")),
        }
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if payload_len > 200 {
            return Err(EncodeError::Oversize { payload_len, max_payload_len: 200 });
        }
        out.extend([b'*', payload_len as u8]);
        Ok(())
    }

    fn check(&self, header: &[u8]) -> Sum {
        let mut sum = Sum::default();
        sum.update(header);
        sum
    }
}
