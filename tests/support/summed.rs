//! A header with a checksum after each payload.

#![allow(dead_code, unreachable_pub)]

use unstick::framing::{Check, DecodeErrorKind, EncodeError, Envelope, Head, Header, Parsed};

/// A byte that counts the payload, at most ten; the payload; and a byte: all before it added up.
#[derive(Clone, Copy, Debug)]
pub struct Summed;

#[derive(Clone, Debug, Default)]
pub struct Sum(u8);

impl Check for Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_add(*byte));
    }

    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        let (stated, computed) = (trailer[0].into(), self.0.into());
        if stated == computed { Ok(()) } else { Err(DecodeErrorKind::Mismatch { stated, computed }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

impl Header for Summed {
    type Check = Sum;

    fn max_header_len(&self) -> usize {
        1
    }

    fn max_payload_len(&self) -> usize {
        10
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let Some(&len) = bytes.first() else { return Ok(Parsed::Need(1)) };
        Ok(Parsed::Head(Head::new(1, len.into()).trailer(1)))
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if payload_len > 10 {
            return Err(EncodeError::Oversize { payload_len, max_payload_len: 10 });
        }
        out.push(payload_len as u8);
        Ok(())
    }

    fn check(&self, header: &[u8]) -> Sum {
        let mut sum = Sum::default();
        sum.update(header);
        sum
    }
}
