//! The frames of one direction: what our decoder takes out of its bytes.

use super::bytes::{Bytes, Extent};
use super::model::{Ending, EndingKind};
use crate::framing::{DecodeError, DecodeErrorKind, Decoder, Format, Part};

/// Bytes of a payload that are kept to be shown: 48 characters of text, of 4 bytes at most.
const SHOWN: usize = 48 * 4;
/// Bytes that stand for missing ones at a time.
const ZEROS: &[u8] = &[0; 16 * 1024];

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) header_len: u64,
    pub(super) payload_len: u64,
    pub(super) trailer_len: u64,
    /// Bytes of it that were not captured.
    pub(super) missing: u64,
    /// The first bytes of its payload, before any that was not captured.
    pub(super) shown: Vec<u8>,
}

impl Found {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.header_len + self.payload_len + self.trailer_len
    }
}

/// The frames from an offset on, and how they end.
pub(super) fn frames(bytes: &Bytes<'_>, format: Format, first_frame: u64) -> (Vec<Found>, Ending) {
    let mut reader = Reader { decoder: Decoder::new(format), base: first_frame, frames: Vec::new(), open: None };
    for extent in bytes.extents(first_frame) {
        let read = match extent {
            Extent::Bytes(bytes) => reader.feed(bytes, false),
            Extent::Hole(hole) => match reader.bridge(hole.len) {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let text = format!("{} bytes from byte {} on were not captured", hole.len, hole.offset);
                    let ending = Ending { kind: EndingKind::Missing, offset: reader.end(), text };
                    return (reader.frames, ending);
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = read {
            return reader.failed(&error);
        }
    }
    match reader.decoder.finish() {
        Err(error) => reader.failed(&error),
        Ok(()) => {
            let ending = Ending { kind: EndingKind::Whole, offset: reader.end(), text: String::new() };
            (reader.frames, ending)
        }
    }
}

/// Reads frames part by part, as bytes may be missing within.
#[derive(Debug)]
struct Reader {
    decoder: Decoder,
    /// The offset at which the decoder began.
    base: u64,
    frames: Vec<Found>,
    /// The frame whose header was read.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    frame: Found,
    /// Whether all bytes until now were captured.
    is_complete: bool,
}

impl Reader {
    /// The offset behind the last whole frame.
    fn end(&self) -> u64 {
        self.frames.last().map_or(self.base, Found::end)
    }

    /// Takes bytes, or zeros instead of missing ones.
    fn feed(&mut self, bytes: &[u8], is_missing: bool) -> Result<(), DecodeError> {
        if is_missing && let Some(open) = &mut self.open {
            open.is_complete = false;
            open.frame.missing += bytes.len() as u64;
        }
        self.decoder.feed(bytes);
        loop {
            let offset = self.base + self.decoder.offset();
            match self.decoder.next_part()? {
                None => return Ok(()),
                Some(Part::Start { header, payload_len, .. }) => {
                    let frame = Found {
                        offset,
                        header_len: header.len() as u64,
                        payload_len: payload_len as u64,
                        trailer_len: 0,
                        missing: 0,
                        shown: Vec::new(),
                    };
                    self.open = Some(Open { frame, is_complete: true });
                }
                Some(Part::Chunk(chunk)) => {
                    if let Some(Open { frame, is_complete: true }) = &mut self.open {
                        let room = SHOWN - frame.shown.len();
                        frame.shown.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    }
                }
                Some(Part::End { trailer }) => {
                    let trailer_len = trailer.len() as u64;
                    self.frames.extend(self.open.take().map(|open| Found { trailer_len, ..open.frame }));
                }
            }
        }
    }

    /// Goes over missing bytes in the payload or the trailer of a frame. False if that frame ends before them: what comes then
    /// is not known.
    fn bridge(&mut self, len: u64) -> Result<bool, DecodeError> {
        let Some(Open { frame, .. }) = &self.open else { return Ok(false) };
        let received = self.base + self.decoder.offset() + self.decoder.buffered() as u64;
        let end = frame.end() + u64::from(self.decoder.format().layout().trailer);
        let within = len.min(end - received);
        let mut left = within;
        while left > 0 {
            let step = left.min(ZEROS.len() as u64);
            self.feed(&ZEROS[..step as usize], true)?;
            left -= step;
        }
        Ok(within == len)
    }

    /// The frames before an error, and it.
    fn failed(self, error: &DecodeError) -> (Vec<Found>, Ending) {
        let is_end = matches!(error.kind(), DecodeErrorKind::Truncated { .. });
        let kind = if is_end { EndingKind::Unfinished } else { EndingKind::Malformed };
        // The decoder counts from where it began, so that its position is left out.
        let text = error.to_string();
        let words = text.strip_prefix(&format!("at byte {}: ", error.offset())).unwrap_or(&text);
        let ending = Ending { kind, offset: self.base + error.offset(), text: words.into() };
        (self.frames, ending)
    }
}

/// The first bytes of a payload as text: 48 characters of it at most; `None` if they are not text.
pub(super) fn text(frame: &Found) -> Option<String> {
    let text = match std::str::from_utf8(&frame.shown) {
        Ok(text) => text,
        // Only its end is cut.
        Err(error) if error.error_len().is_none() && (frame.shown.len() as u64) < frame.payload_len => {
            std::str::from_utf8(&frame.shown[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    Some(text.chars().take(48).collect())
}

/// The first 16 bytes of a payload in hexadecimal.
pub(super) fn hex(frame: &Found) -> String {
    frame.shown.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
