//! A custom header: four bytes of magic, a big-endian u32 that counts the payload, the payload, and a CRC-32 over
//! header and payload.
//!
//!     cargo run --example checksum

use unstick::framing::{Check, DecodeErrorKind, Decoder, EncodeError, Encoder, Envelope, Head, Header, Parsed};

struct Checked;

const MAGIC: [u8; 4] = *b"UNST";
const LIMIT: usize = 1 << 20;

#[derive(Clone, Default)]
struct Crc(crc32fast::Hasher);

impl Check for Crc {
    fn update(&mut self, payload: &[u8]) {
        self.0.update(payload);
    }

    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        let stated = trailer.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let computed = u64::from(self.0.clone().finalize());
        if stated == computed { Ok(()) } else { Err(DecodeErrorKind::Mismatch { stated, computed }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.clone().finalize().to_be_bytes());
    }
}

impl Header for Checked {
    type Check = Crc;

    fn max_header_len(&self) -> usize {
        8
    }

    fn max_payload_len(&self) -> usize {
        LIMIT
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        if !MAGIC.starts_with(&bytes[..bytes.len().min(4)]) {
            return Err(DecodeErrorKind::Custom("no magic")); // the first wrong byte decides
        }
        let Some(header) = bytes.first_chunk::<8>() else { return Ok(Parsed::Need(8 - bytes.len())) };
        let payload_len = header[4..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Ok(Parsed::Head(Head::new(8, payload_len).trailer(4)))
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let oversize = EncodeError::Oversize { payload_len, max_payload_len: LIMIT };
        let len = u32::try_from(payload_len).ok().filter(|_| payload_len <= LIMIT).ok_or(oversize)?;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&len.to_be_bytes());
        Ok(())
    }

    /// The checksum is over the header, too.
    fn check(&self, header: &[u8]) -> Crc {
        let mut crc = Crc::default();
        crc.update(header);
        crc
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut wire = Vec::new();
    for payload in ["hello", "你好"] {
        Encoder::new(Checked).encode(payload.as_bytes(), &mut wire)?;
    }
    let mut decoder = Decoder::new(Checked);
    for byte in &wire {
        decoder.feed(&[*byte]); // the worst case: one byte a read
    }
    while let Some(frame) = decoder.next_frame()? {
        println!("{} (checksum {:02x?})", frame.text()?, frame.trailer());
    }
    decoder.finish()?;

    wire[9] ^= 1; // a bit of the first payload
    let mut decoder = Decoder::new(Checked);
    decoder.feed(&wire);
    println!("{}", decoder.next_frame().expect_err("a bit was flipped"));
    Ok(())
}
