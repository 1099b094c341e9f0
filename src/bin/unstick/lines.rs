//! Lines of standard input, one frame each.

use std::io::{self, BufRead, BufReader, Read};

use unstick::framing::{EncodeError, Format, Header};

use crate::exit::{Code, Failure, unfit};
use crate::text;

/// Bytes of one read.
const READ_LEN: usize = 64 * 1024;

/// Lines of an input, as payloads. Exactly one line feed is taken off each; a last line without one counts, too. No line
/// is held beyond the limit of a payload.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    /// Bytes of the longest line.
    max_line_len: u64,
    max_payload_len: usize,
    hex: bool,
    line: Vec<u8>,
    payload: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R, format: Format, hex: bool) -> Lines<R> {
        let max_payload_len = format.max_payload_len();
        // Two digits and a blank for each byte, and some to spare.
        let max_line_len =
            if hex { max_payload_len.saturating_mul(3).saturating_add(64) } else { max_payload_len } as u64;
        let input = BufReader::with_capacity(READ_LEN, input);
        Lines { input, max_line_len, max_payload_len, hex, line: Vec::new(), payload: Vec::new(), number: 0 }
    }

    /// The next line's payload; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        self.line.clear();
        self.number += 1;
        let limit = self.max_line_len.saturating_add(1);
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line);
        if read.map_err(|error| Failure::input("standard input", &error))? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() as u64 == limit {
            return Err(self.too_long()?);
        }
        if !self.hex {
            return Ok(Some(&self.line));
        }
        self.payload.clear();
        match text::parse_hex(&self.line, &mut self.payload) {
            Ok(()) => Ok(Some(&self.payload)),
            Err(error) => Err(Failure::new(Code::Malformed, format_args!("{}: {error}", self.place()))),
        }
    }

    /// Which line the last one was, for an error.
    pub(crate) fn place(&self) -> String {
        format!("line {} of standard input", self.number)
    }

    /// Whether the next line may have to be waited for.
    pub(crate) fn is_dry(&self) -> bool {
        self.input.buffer().is_empty()
    }

    /// Reads to the end of a line that is over the limit, to say how long it is.
    fn too_long(&mut self) -> Result<Failure, Failure> {
        let rest = self.skip_line().map_err(|error| Failure::input("standard input", &error))?;
        let payload_len = self.line.len() + rest;
        let payload_len = if self.hex { payload_len / 2 } else { payload_len };
        let error = EncodeError::Oversize { payload_len, max_payload_len: self.max_payload_len };
        Ok(unfit(self.place(), error))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], max_payload_len: usize, hex: bool) -> (Vec<Vec<u8>>, Option<Failure>) {
        let format = Format::U32_LE.with_max_payload_len(max_payload_len).unwrap();
        let (mut lines, mut got) = (Lines::new(input, format, hex), Vec::new());
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
        let (got, failure) = lines(b"a\n\nb\r\n\xFF\0\nlast", 100, false);
        assert_eq!(got, [&b"a"[..], b"", b"b\r", b"\xFF\0", b"last"]);
        assert!(failure.is_none());
        assert_eq!(lines(b"", 100, false).0.len(), 0);
        assert_eq!(lines(b"\n", 100, false).0, [b""]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(lines(b"abc\nabc", 3, false).0, [b"abc", b"abc"]);
        let (got, failure) = lines(b"abc\nabcdef\nabc", 3, false);
        assert_eq!(got, [b"abc"]);
        let failure = failure.unwrap();
        assert_eq!(failure.code, Code::Malformed);
        let text = failure.text.unwrap();
        assert!(text.starts_with("line 2 of standard input: a payload of 6 bytes is over the limit of 3"), "{text}");
    }

    #[test]
    fn the_length_of_a_line_that_is_too_long_is_told_however_long_it_is() {
        let long = [&b"x\n"[..], &[b'7'; 300_001], b"\nx\n"].concat();
        for (hex, payload_len) in [(false, 300_001), (true, 150_000)] {
            let input = if hex { &long[2..] } else { &long[..] };
            let text = lines(input, 10, hex).1.unwrap().text.unwrap();
            assert!(text.contains(&format!("a payload of {payload_len} bytes is over the limit of 10")), "{text}");
        }
    }

    #[test]
    fn hexadecimal_lines_are_read() {
        assert_eq!(lines(b"61 62\n\n6364", 100, true).0, [&b"ab"[..], b"", b"cd"]);
        let failure = lines(b"61\n6", 100, true).1.unwrap();
        assert_eq!(failure.code, Code::Malformed);
        assert!(failure.text.unwrap().starts_with("line 2 of standard input: "));
    }
}
