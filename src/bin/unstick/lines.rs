//! Lines of standard input, one frame each.

use std::io::{self, BufRead, BufReader, Read};

use unstick::framing::{EncodeError, Format, Header};

use crate::exit::{Code, Failure, unfit};
use crate::text::{self, ESCAPED};

/// Bytes of one read.
const READ_LEN: usize = 64 * 1024;

/// What a line of input is, for `--help`.
pub(crate) const HELP: &str = "\
Input:
  Each line of standard input is one frame, without its line feed. A line that
  begins with \\\" is an escaped frame, as unstick prints it: \\\"a\\nb\" is a frame
  of two lines. A line that ends in CR LF keeps its CR.";

/// Lines of an input, as payloads. Exactly one line feed is removed from each; a last line without one counts, too. No more
/// of a line is held than the longest payload takes.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    max_payload_len: usize,
    syntax: Syntax,
    line: Vec<u8>,
    payload: Vec<u8>,
    number: u64,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// As [`text::parse_text`] reads it.
    Text,
    /// The same at the prompt: the line `c` is the end.
    Typed,
    /// In hexadecimal.
    Hex,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R, format: Format, syntax: Syntax) -> Lines<R> {
        let max_payload_len = format.max_payload_len();
        let input = BufReader::with_capacity(READ_LEN, input);
        Lines { input, max_payload_len, syntax, line: Vec::new(), payload: Vec::new(), number: 0 }
    }

    /// The next line's payload; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        self.line.clear();
        self.number += 1;
        let is_whole = self.read_line().map_err(|error| Failure::input("standard input", &error))?;
        if !is_whole {
            return Err(self.too_long()?);
        }
        match self.line.strip_suffix(b"\n") {
            None if self.line.is_empty() => return Ok(None),
            Some(b"c") if self.syntax == Syntax::Typed => return Ok(None),
            _ => {}
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let parsed = match self.syntax {
            Syntax::Text | Syntax::Typed => text::parse_text(line, &mut self.payload),
            Syntax::Hex => {
                self.payload.clear();
                text::parse_hex(line, &mut self.payload).map(|()| &*self.payload)
            }
        };
        let number = self.number;
        parsed.map(Some).map_err(|error| Failure::new(Code::Malformed, format_args!("{}: {error}", position(number))))
    }

    /// Reads a line and its line feed, up to the longest that a payload may need. Returns whether that is the whole line.
    fn read_line(&mut self) -> io::Result<bool> {
        let longest = match self.syntax {
            // Two digits and a blank for each byte, and a reserve.
            Syntax::Hex => self.max_payload_len.saturating_mul(3).saturating_add(64),
            // This many bytes tell whether it is an escaped frame.
            Syntax::Text | Syntax::Typed => self.max_payload_len.max(ESCAPED.len()),
        };
        if self.read_up_to(longest)? {
            return Ok(true);
        }
        if self.syntax == Syntax::Hex || !self.line.starts_with(ESCAPED) {
            return Ok(false);
        }
        self.read_up_to(self.max_payload_len.saturating_mul(text::MAX_ESCAPE).saturating_add(ESCAPED.len() + 1))
    }

    /// Reads until the line has its line feed or is over this length. Returns whether it is whole.
    fn read_up_to(&mut self, longest: usize) -> io::Result<bool> {
        let more = (longest as u64).saturating_add(1).saturating_sub(self.line.len() as u64);
        (&mut self.input).take(more).read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n") || self.line.len() <= longest)
    }

    /// Names the last line, for an error.
    pub(crate) fn position(&self) -> String {
        position(self.number)
    }

    /// Whether reading the next line may block.
    pub(crate) fn is_dry(&self) -> bool {
        self.input.buffer().is_empty()
    }

    /// Reads to the end of a line that is over the limit, to report its length.
    fn too_long(&mut self) -> Result<Failure, Failure> {
        let rest = self.skip_line().map_err(|error| Failure::input("standard input", &error))?;
        let (line_len, max_payload_len) = (self.line.len() + rest, self.max_payload_len);
        let payload_len = match self.syntax {
            Syntax::Hex => line_len / 2,
            _ if self.line.starts_with(ESCAPED) => {
                let text = format_args!(
                    "{}: {line_len} bytes of an escaped frame are over the limit of {max_payload_len} for its payload, \
                     however it is escaped; --max-payload sets it",
                    self.position()
                );
                return Ok(Failure::new(Code::Malformed, text));
            }
            _ => line_len,
        };
        Ok(unfit(self.position(), EncodeError::Oversize { payload_len, max_payload_len }))
    }

    fn skip_line(&mut self) -> io::Result<usize> {
        let mut skipped = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let len = end.unwrap_or(buffer.len());
            skipped += len;
            if end.is_some() || buffer.is_empty() {
                return Ok(skipped);
            }
            self.input.consume(len);
        }
    }
}

fn position(number: u64) -> String {
    format!("line {number} of standard input")
}

#[cfg(test)]
mod tests {
    use super::Syntax::{Hex, Text, Typed};
    use super::*;

    fn lines(input: &[u8], max_payload_len: usize, syntax: Syntax) -> (Vec<Vec<u8>>, Option<Failure>) {
        let format = Format::U32_LE.with_max_payload_len(max_payload_len).unwrap();
        let (mut lines, mut got) = (Lines::new(input, format, syntax), Vec::new());
        loop {
            match lines.next() {
                Ok(Some(payload)) => got.push(payload.to_vec()),
                Ok(None) => return (got, None),
                Err(failure) => return (got, Some(failure)),
            }
        }
    }

    #[test]
    fn a_line_loses_one_line_feed_and_nothing_else() {
        let (got, failure) = lines(b"a\n\nb\r\n\xFF\0\nlast", 100, Text);
        assert_eq!(got, [&b"a"[..], b"", b"b\r", b"\xFF\0", b"last"]);
        assert!(failure.is_none());
        assert_eq!(lines(b"", 100, Text).0.len(), 0);
        assert_eq!(lines(b"\n", 100, Text).0, [b""]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(lines(b"abc\nabc", 3, Text).0, [b"abc", b"abc"]);
        let (got, failure) = lines(b"abc\nabcdef\nabc", 3, Text);
        assert_eq!(got, [b"abc"]);
        let failure = failure.unwrap();
        assert_eq!(failure.code, Code::Malformed);
        let text = failure.text.unwrap();
        assert!(text.starts_with("line 2 of standard input: a payload of 6 bytes is over the limit of 3"), "{text}");
    }

    #[test]
    fn the_length_of_a_line_that_is_too_long_is_told_however_long_it_is() {
        let long = [&b"x\n"[..], &[b'7'; 300_001], b"\nx\n"].concat();
        for (syntax, payload_len) in [(Text, 300_001), (Hex, 150_000)] {
            let input = if syntax == Hex { &long[2..] } else { &long[..] };
            let text = lines(input, 10, syntax).1.unwrap().text.unwrap();
            assert!(text.contains(&format!("a payload of {payload_len} bytes is over the limit of 10")), "{text}");
        }
    }

    #[test]
    fn hexadecimal_lines_are_read() {
        assert_eq!(lines(b"61 62\n\n6364", 100, Hex).0, [&b"ab"[..], b"", b"cd"]);
        let failure = lines(b"61\n6", 100, Hex).1.unwrap();
        assert_eq!(failure.code, Code::Malformed);
        assert!(failure.text.unwrap().starts_with("line 2 of standard input: "));
    }
    #[test]
    fn escaped_frames_are_read_and_may_be_as_long_as_the_limit_however_they_are_written() {
        let (got, failure) = lines(b"\\\"a\\nb\"\nplain\n\\\"c\"\n\\n\n", 100, Text);
        assert_eq!(got, [&b"a\nb"[..], b"plain", b"c", b"\\n"]);
        assert!(failure.is_none());
        for line in [r#"\"abc""#, r#"\"\x61\x62\x63""#, r#"\"\u{000061}\u{000062}\u{000063}""#] {
            assert_eq!(lines(format!("{line}\nd").as_bytes(), 3, Text).0, [b"abc", &b"d"[..]]);
        }
        // The encoder reports one byte too many in the payload.
        assert_eq!(lines(br#"\"abcd""#, 3, Text).0, [b"abcd"]);
        let failure = lines(format!("x\n\\\"{}\"\n", "y".repeat(1000)).as_bytes(), 3, Text).1.unwrap();
        let text = failure.text.unwrap();
        assert!(
            text.starts_with("line 2 of standard input: 1003 bytes of an escaped frame are over the limit of 3"),
            "{text}"
        );
        for max_payload_len in [0, 1, 2] {
            assert_eq!(lines(b"\\\"\"\n", max_payload_len, Text).0, [b""]);
        }
        let failure = lines(b"a\n\\\"b\n", 100, Text).1.unwrap();
        assert_eq!(failure.code, Code::Malformed);
        assert!(failure.text.unwrap().starts_with("line 2 of standard input: a line that begins with "));
    }

    #[test]
    fn the_line_c_is_an_end_only_where_it_is_typed() {
        assert_eq!(lines(b"a\nc\nb\n", 100, Text).0, [b"a", b"c", b"b"]);
        assert_eq!(lines(b"a\n\\\"c\"\nc\nb\n", 100, Typed).0, [b"a", b"c"]);
    }
}
