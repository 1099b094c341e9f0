//! How a format reads its header, and writes it.

use alloc::vec::Vec;

use super::{Endian, Field, Format, Kind, envelope_lens};
use crate::framing::envelope::Envelope;
use crate::framing::error::{DecodeErrorKind, Diagnosis, EncodeError, Phase};
use crate::framing::header::{Head, Header, Parsed, Span};

impl Header for Format {
    type Check = ();

    fn max_header_len(&self) -> usize {
        self.layout.max_header_len()
    }

    #[inline]
    fn max_payload_len(&self) -> usize {
        self.max_payload_len
    }

    // Always inline: it is every frame's path, and the decoder's loop is slower by half where this is a call.
    #[inline(always)]
    fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
        // The next frame can only be found once the field of this one is known. So these sums, which agree with
        // `parse`, need only one load and one addition to get from `start` to `end`.
        let fields = bytes.get(usize::from(self.layout.offset)..)?;
        let eight = u64::from_le_bytes(*fields.get(start..)?.first_chunk()?);
        let header_len = usize::from(self.header_len);
        let (field, header_len, beyond_field) = match self.kind {
            // The most common width needs no mask.
            Kind::Little if self.shift == 32 => (u64::from(eight as u32), header_len, self.beyond_field),
            Kind::Little => (eight & self.mask, header_len, self.beyond_field),
            Kind::Big => (eight.swap_bytes() >> self.shift, header_len, self.beyond_field),
            Kind::Varint if eight & 0x80 == 0 => (eight & 0x7F, header_len, self.beyond_field),
            Kind::Varint => {
                let (field, more) = self.long_varint(eight)?;
                (field, header_len + usize::from(more), self.beyond_field.wrapping_add(u64::from(more)))
            }
        };
        let end = start.wrapping_add(beyond_field as usize).wrapping_add(field as usize);
        let is_whole = field.wrapping_sub(self.least_field) < self.quick_below && end <= bytes.len();
        is_whole.then_some(Span { start, end, header_len, prefix_len: u16::from(self.layout.offset), trailer_len: 0 })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        match self.layout.field {
            Field::Fixed { endian, .. } => self.parse_fixed(endian, bytes),
            Field::Varint { .. } => self.parse_varint(bytes),
        }
    }

    // Always inline: the compiler finds it too long, though most of it is refusals and rare formats.
    #[inline(always)]
    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let above_least = (payload_len as u64).wrapping_sub(self.least_payload);
        if above_least <= self.most_above && envelope_lens(envelope.prefix.len(), envelope.trailer.len()) == 0 {
            let field = (self.least_field + above_least) as u32;
            match self.alone {
                Some(Endian::Little) => {
                    out.extend_from_slice(&field.to_le_bytes());
                    return Ok(());
                }
                Some(Endian::Big) => {
                    out.extend_from_slice(&field.to_be_bytes());
                    return Ok(());
                }
                None => {}
            }
        }
        self.write_any(envelope, payload_len, out)
    }

    fn diagnose(&self, kind: DecodeErrorKind, offset: u64, bytes: &[u8]) -> Option<Diagnosis> {
        if let DecodeErrorKind::Truncated { phase, have, need } = kind {
            return Diagnosis::of_begin(bytes)
                .filter(|found| *found != Diagnosis::Text || self.is_no_frame_of_text(bytes))
                .or_else(|| self.counts_itself(phase, need - have));
        }
        let text = Diagnosis::of_text(bytes);
        Diagnosis::of_protocol(offset, bytes)
            .or(text.filter(|_| bytes.len() > 2))
            .or_else(|| self.other_byte_order(kind))
            .or(text)
            .or_else(|| self.negative(kind))
    }
}

/// The varint of six to eight bytes at the start of these, and its width.
#[cold]
fn longer_varint(eight: u64) -> Option<(u64, u16)> {
    let mut field = 0;
    for (at, byte) in eight.to_le_bytes().into_iter().enumerate() {
        field |= u64::from(byte & 0x7F) << (7 * at);
        if byte < 0x80 {
            return Some((field, at as u16 + 1));
        }
    }
    None
}

#[inline(never)]
fn write_long_varint(mut field: u64, out: &mut Vec<u8>) {
    while field >= 0x80 {
        out.push(field as u8 | 0x80);
        field >>= 7;
    }
    out.push(field as u8);
}

impl Format {
    fn other_byte_order(&self, kind: DecodeErrorKind) -> Option<Diagnosis> {
        let (Field::Fixed { width, .. }, Some(field)) = (self.layout.field, kind.field()) else {
            return None;
        };
        let swapped = field.swap_bytes() >> self.shift;
        let payload_len = self.payload_for(swapped).ok()?;
        (width > 1 && payload_len <= self.max_payload_len as u64).then_some(Diagnosis::OtherByteOrder { payload_len })
    }

    fn negative(&self, kind: DecodeErrorKind) -> Option<Diagnosis> {
        let (Field::Fixed { .. }, Some(field)) = (self.layout.field, kind.field()) else {
            return None;
        };
        let signed = ((field << self.shift) as i64) >> self.shift;
        (signed < 0).then_some(Diagnosis::Negative { field: signed })
    }

    /// Whether a stream that ended in text was never framed at all. One or two printable bytes may be the length of a
    /// framed text that was cut short; then only a line end shows that it is plain text.
    fn is_no_frame_of_text(&self, bytes: &[u8]) -> bool {
        self.header_len > 2 || bytes.last() == Some(&b'\n')
    }

    /// If a field counts itself, as many bytes are missing as it has; if it also counts the prefix, as many as both
    /// have.
    fn counts_itself(&self, phase: Phase, missing: u64) -> Option<Diagnosis> {
        let Field::Fixed { width, .. } = self.layout.field else { return None };
        let is_own = missing == u64::from(width) || missing == u64::from(self.header_len);
        if self.layout.adjustment != 0 || phase == Phase::Header || !is_own {
            return None;
        }
        let adjustment = -(missing as i64);
        let preset = self.layout.adjustment(adjustment).preset();
        Some(Diagnosis::CountsItself { own_len: missing, adjustment, preset })
    }
}

impl Format {
    /// Why a payload of this length, or its envelope, is not encoded.
    #[cold]
    fn refusal(&self, prefix_len: usize, payload_len: usize, trailer_len: usize) -> EncodeError {
        if payload_len > self.max_payload_len {
            EncodeError::Oversize { payload_len, max_payload_len: self.max_payload_len }
        } else if (payload_len as u64) < self.least_payload {
            EncodeError::Undersize { payload_len, least: self.least_payload }
        } else if prefix_len != usize::from(self.layout.offset) {
            EncodeError::Prefix { prefix_len, offset: usize::from(self.layout.offset) }
        } else {
            EncodeError::Trailer { trailer_len, expected: usize::from(self.layout.trailer) }
        }
    }

    /// The payload's length for the field's number.
    #[inline]
    fn payload_for(&self, field: u64) -> Result<u64, DecodeErrorKind> {
        match field.checked_sub(self.least_field) {
            // A sum above u64::MAX is above every limit, so saturating changes nothing.
            Some(above_least) => Ok(above_least.saturating_add(self.least_payload)),
            None => Err(DecodeErrorKind::Underflow { field, adjustment: self.layout.adjustment }),
        }
    }

    #[inline]
    fn head(&self, header_len: usize, field: u64, payload_len: u64) -> Head {
        let (prefix_len, trailer_len) = (usize::from(self.layout.offset), usize::from(self.layout.trailer));
        Head { prefix_len, header_len, field, payload_len, trailer_len }
    }

    fn parse_fixed(&self, endian: Endian, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let header_len = usize::from(self.header_len);
        let offset = usize::from(self.layout.offset);
        let Some(rest) = bytes.get(offset..) else {
            return Ok(Parsed::Need(header_len - bytes.len()));
        };
        let eight = match rest.first_chunk::<8>() {
            Some(eight) => *eight,
            None if bytes.len() < header_len => return Ok(Parsed::Need(header_len - bytes.len())),
            None => fewer_than_eight(rest),
        };
        let masked = u64::from_le_bytes(eight) & self.mask;
        let field = if endian == Endian::Little { masked } else { masked.swap_bytes() >> self.shift };
        let payload_len = self.payload_for(field)?;
        Ok(Parsed::Head(self.head(header_len, field, payload_len)))
    }

    /// The varint of two to eight bytes at the start of these, and how many bytes it has beyond the first. `None`: call
    /// `parse_varint`, which returns the error.
    // The width is found by branches, which the processor predicts if a stream's varints are alike, and all bits move
    // at once: so the next frame waits only for the last step.
    #[inline(always)]
    fn long_varint(&self, eight: u64) -> Option<(u64, u16)> {
        let (max_width, minimal) = (self.layout.field.max_width(), self.layout.field.is_minimal());
        let bits = |at: u32| eight >> at & 0x7F << (7 * at);
        let (field, width) = if eight & 0x8000 == 0 {
            (bits(0) | bits(1), 2)
        } else if eight & 0x80_0000 == 0 {
            (bits(0) | bits(1) | bits(2), 3)
        } else {
            let (first, rest) = (bits(0) | bits(1) | bits(2), bits(3));
            if eight & 0x8000_0000 == 0 {
                (first | rest, 4)
            } else if eight & 0x80_0000_0000 == 0 {
                (first | (rest | bits(4)), 5)
            } else {
                longer_varint(eight)?
            }
        };
        let is_minimal = eight >> (8 * (width - 1)) & 0x7F != 0;
        (width <= u16::from(max_width) && (is_minimal || !minimal)).then_some((field, width - 1))
    }

    /// Appends the header of any format, or says why not.
    #[inline(always)]
    fn write_any(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Envelope { prefix, trailer } = envelope;
        let above_least = (payload_len as u64).wrapping_sub(self.least_payload);
        if above_least > self.most_above || envelope_lens(prefix.len(), trailer.len()) != self.envelope_lens {
            return Err(self.refusal(prefix.len(), payload_len, trailer.len()));
        }
        if !prefix.is_empty() {
            out.extend_from_slice(prefix);
        }
        let field = self.least_field + above_least;
        let eight = match self.layout.field {
            Field::Fixed { endian: Endian::Big, .. } => (field << self.shift).to_be_bytes(),
            Field::Varint { .. } if field >= 0x80 => {
                write_long_varint(field, out);
                return Ok(());
            }
            Field::Fixed { .. } | Field::Varint { .. } => field.to_le_bytes(),
        };
        // Writing eight bytes and truncating is one store; a slice of unknown width would be a call.
        out.extend_from_slice(&eight);
        out.truncate(out.len() - usize::from(self.shift / 8));
        Ok(())
    }

    fn parse_varint(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let (max_width, minimal) = (self.layout.field.max_width(), self.layout.field.is_minimal());
        let offset = usize::from(self.layout.offset);
        let mut field = 0u64;
        for at in 0..usize::from(max_width) {
            let Some(&byte) = bytes.get(offset + at) else {
                return Ok(Parsed::Need((offset + at + 1) - bytes.len()));
            };
            let bits = u64::from(byte & 0x7F);
            if at == 9 && bits > 1 {
                return Err(DecodeErrorKind::VarintOverflow);
            }
            field |= bits << (7 * at);
            if byte < 0x80 {
                if minimal && at > 0 && byte == 0 {
                    return Err(DecodeErrorKind::VarintNotMinimal { width: at as u8 + 1, field });
                }
                let payload_len = self.payload_for(field)?;
                return Ok(Parsed::Head(self.head(offset + at + 1, field, payload_len)));
            }
        }
        Err(DecodeErrorKind::VarintTooLong { max_width })
    }
}

/// Fewer than eight bytes follow the offset: the field and the first bytes of a payload at most.
#[cold]
fn fewer_than_eight(rest: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    eight
}
