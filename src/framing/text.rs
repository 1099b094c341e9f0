//! Text that arrives in pieces, for streams without framing.

use alloc::string::String;
use core::fmt;

/// Reads UTF-8 text that arrives in pieces and never tears a character: an unfinished one waits for the next piece.
///
/// However the stream is cut, the result is that of [`String::from_utf8_lossy`] for the whole of it: a sequence that is
/// not UTF-8 becomes U+FFFD.
///
/// ```
/// use unstick::framing::Utf8Reader;
/// let mut reader = Utf8Reader::new();
/// let mut text = String::new();
/// reader.read(b"\xE4\xBD", &mut text); // two of the three bytes of 你
/// assert_eq!(text, "");
/// reader.read(b"\xA0!", &mut text);
/// assert_eq!(text, "你!");
/// ```
#[derive(Clone, Default)]
pub struct Utf8Reader {
    /// The start of a character: `held[..len]`, at most 3 bytes.
    held: [u8; 4],
    len: usize,
}

impl Utf8Reader {
    /// A reader at the start of a stream.
    pub const fn new() -> Utf8Reader {
        Utf8Reader { held: [0; 4], len: 0 }
    }

    /// Appends to `text` the characters that `bytes` complete.
    pub fn read(&mut self, mut bytes: &[u8], text: &mut String) {
        while self.len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return };
            let before = self.len;
            self.held[before] = byte;
            self.len = 0;
            match core::str::from_utf8(&self.held[..=before]) {
                Ok(character) => text.push_str(character),
                Err(error) if error.error_len().is_none() => self.len = before + 1,
                // The byte does not continue the character: the held bytes are one invalid sequence, and the byte
                // starts a new one.
                Err(_) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    continue;
                }
            }
            bytes = rest;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_unfinished(invalid) {
                self.held[..invalid.len()].copy_from_slice(invalid);
                self.len = invalid.len();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Ends the stream: an unfinished character becomes U+FFFD.
    pub fn finish(&mut self, text: &mut String) {
        if self.len > 0 {
            text.push(char::REPLACEMENT_CHARACTER);
            self.len = 0;
        }
    }
}

/// Shows a length, never the bytes.
impl fmt::Debug for Utf8Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Utf8Reader").field("held", &self.len).finish()
    }
}

/// Whether these bytes are the start of a character, and more of them could complete it.
fn is_unfinished(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
