//! Frames as lines of text: plain, escaped, in hexadecimal; and the time.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a payload is shown, for `--help`.
pub(crate) const HELP: &str = "\
How a frame is shown:
  Each frame is one line. A payload of plain text is shown as it is. Any other
  payload is shown as \\\"...\" with the escapes \\n \\r \\t \\\\ \\\" \\xNN (a byte) and
  \\u{NN} (a character). Not plain is a payload that is not UTF-8, that begins
  with a backslash, or that has control characters other than tabs, or invisible
  characters that change how others look, such as the direction of text.
  So a line that begins with a backslash is an escaped frame; every other line
  is the payload itself. With --hex every payload is shown in hexadecimal.";

/// How an escaped frame begins.
pub(crate) const ESCAPED: &[u8] = b"\\\"";

/// Bytes of the longest escape, `\u{NNNNNN}`, which may stand for one byte.
pub(crate) const MAX_ESCAPE: usize = 10;

/// The hexadecimal digits of a character, at most.
const MAX_DIGITS: usize = 6;

/// Appends a payload as text without line ends, from which the payload can be read back.
pub(crate) fn push_text(payload: &[u8], out: &mut Vec<u8>) {
    if is_plain(payload) {
        out.extend_from_slice(payload);
    } else {
        push_escaped(payload, out);
    }
}

/// Whether a payload is shown as it is.
fn is_plain(payload: &[u8]) -> bool {
    let plain_ascii = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    if payload.first() == Some(&b'\\') {
        false
    } else if payload.iter().all(plain_ascii) {
        true
    } else {
        std::str::from_utf8(payload).is_ok_and(|text| text.chars().all(|c| c == '\t' || !is_special(c)))
    }
}

/// Characters that end a line, control a terminal, or are invisible and change how others look.
fn is_special(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_format(c)
}

/// Unicode's format characters (general category Cf, Unicode 16): they reverse the direction of text, join, or have no width.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}')
}

fn push_escaped(payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(ESCAPED);
    for chunk in payload.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '"' => out.extend_from_slice(&[b'\\', c as u8]),
                '\t' => out.extend_from_slice(b"\\t"),
                _ => push_char(c, out),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_byte_escape(*byte, out));
    }
    out.push(b'"');
}

/// Appends unframed text for a terminal: lines and tabs are kept, other special characters are escaped.
pub(crate) fn push_unframed(text: &str, out: &mut Vec<u8>) {
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix("\r\n") {
            Some(line) => (line, "\r\n"),
            None => line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n")),
        };
        line.chars().for_each(|c| if c == '\t' { out.push(b'\t') } else { push_char(c, out) });
        out.extend_from_slice(end.as_bytes());
    }
}

/// Appends a character, escaped if it is special.
fn push_char(c: char, out: &mut Vec<u8>) {
    match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        _ if is_special(c) && c.is_ascii() => push_byte_escape(c as u8, out),
        _ if is_special(c) => put(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The payload of a line: an escaped frame, as [`push_text`] writes it, is read back; any other line is the payload itself.
/// `payload` is memory to use.
///
/// # Errors
/// What is wrong with a line that begins with `\"`.
pub(crate) fn parse_text<'a>(line: &'a [u8], payload: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
    let Some(mut rest) = line.strip_prefix(ESCAPED) else {
        return Ok(line);
    };
    payload.clear();
    loop {
        let column = line.len() - rest.len() + 1;
        rest = match rest {
            [] => return Err("a line that begins with \\\" is an escaped frame, and its closing \" is missing".into()),
            [b'"'] => return Ok(payload),
            [b'"', ..] => {
                return Err(format!(
                    "column {column} has a \" that is not at the line's end: within an escaped frame write \\\""
                ));
            }
            [b'\\', escape @ ..] => parse_escape(escape, payload).ok_or_else(|| {
                format!("column {column} has no escape; the escapes are \\n \\r \\t \\\\ \\\" \\xNN \\u{{NN}}")
            })?,
            [byte, rest @ ..] => {
                payload.push(*byte);
                rest
            }
        };
    }
}

/// Appends the bytes of the escape at the start of `text`, and returns the rest.
fn parse_escape<'a>(text: &'a [u8], payload: &mut Vec<u8>) -> Option<&'a [u8]> {
    let number = |digits: &[u8]| {
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
    };
    let (byte, rest) = match text {
        [b'n', rest @ ..] => (b'\n', rest),
        [b'r', rest @ ..] => (b'\r', rest),
        [b't', rest @ ..] => (b'\t', rest),
        [byte @ (b'\\' | b'"'), rest @ ..] => (*byte, rest),
        [b'x', high, low, rest @ ..] => (number(&[*high, *low])? as u8, rest),
        [b'u', b'{', rest @ ..] => {
            let len = rest.iter().take(MAX_DIGITS + 1).position(|byte| *byte == b'}')?;
            let c = char::from_u32(number(&rest[..len])?)?;
            payload.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[len + 1..]);
        }
        _ => return None,
    };
    payload.push(byte);
    Some(rest)
}

fn push_byte_escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    push_hex(&[byte], out);
}

/// Appends bytes in hexadecimal, two lowercase digits each, as `xxd -r -p` and `encode --hex` read them.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Bytes from hexadecimal text; blanks between bytes are ignored.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_hex(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut high = None;
    for (index, &byte) in text.iter().enumerate() {
        let digit = (byte as char).to_digit(16).map(|digit| digit as u8);
        match (digit, high.take()) {
            (Some(digit), None) => high = Some(digit),
            (Some(digit), Some(high)) => out.push(high << 4 | digit),
            (None, None) if byte.is_ascii_whitespace() => {}
            (None, Some(_)) if byte.is_ascii_whitespace() => return Err("a byte has two hexadecimal digits".into()),
            (None, _) => {
                let column = index + 1;
                return Err(format!("column {column}: {:?} is not a hexadecimal digit", char::from(byte)));
            }
        }
    }
    match high {
        None => Ok(()),
        Some(_) => Err("an odd number of hexadecimal digits".into()),
    }
}

/// Appends the time, in UTC with milliseconds, by RFC 3339: `2026-01-31T23:59:59.123Z`.
pub(crate) fn push_time(now: SystemTime, out: &mut Vec<u8>) {
    // A clock before 1970 is shown as 1970.
    let since: Duration = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date_of(days);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    put(out, format_args!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"));
}

/// Year, month and day of the day this many days after 1970-01-01.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is the last of its year; a cycle of 400 years has 146,097 days.
    let days = days + 719_468;
    let (cycle, of_cycle) = (days / 146_097, days % 146_097);
    let of_years = of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096;
    let year = of_years / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

/// Appends formatted text.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(payload: &[u8]) -> String {
        let mut out = Vec::new();
        push_text(payload, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_is_shown_as_it_is() {
        for text in ["", "a", "你好", "a\tb", r#"{"a":"x\ny"}"#, "\"quoted\"", "\u{FFFD}", "e\u{301}"] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn all_else_is_escaped() {
        for (payload, expected) in [
            (&b"a\nb"[..], r#"\"a\nb""#),
            (b"a\r", r#"\"a\r""#),
            (b"\\n", r#"\"\\n""#),
            (b"\x1b[2J \"\\\t", r#"\"\x1b[2J \"\\\t""#),
            (b"\xFF\xE4\xBD", r#"\"\xff\xe4\xbd""#),
            (b"\x00\x7f", r#"\"\x00\x7f""#),
            ("\u{85}\u{2028}\u{2029}".as_bytes(), r#"\"\u{85}\u{2028}\u{2029}""#),
            ("a\u{202E}txt.exe\u{202C}".as_bytes(), r#"\"a\u{202e}txt.exe\u{202c}""#),
            ("\u{2066}\u{2069}\u{200E}\u{200F}\u{61C}".as_bytes(), r#"\"\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}""#),
            ("\u{200B}\u{200D}\u{FEFF}\u{AD}\u{E0041}".as_bytes(), r#"\"\u{200b}\u{200d}\u{feff}\u{ad}\u{e0041}""#),
        ] {
            assert_eq!(shown(payload), expected);
        }
    }

    #[test]
    fn unframed_text_keeps_its_lines_and_nothing_else_that_steers_a_terminal() {
        let mut out = Vec::new();
        push_unframed("a\tb\r\n\nover\rwritten \u{1b}[2J\u{202E}\\ \"你\"\r", &mut out);
        let expected = "a\tb\r\n\nover\\rwritten \\x1b[2J\\u{202e}\\ \"你\"\\r";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        // Every pair of bytes, alone and between others, has every kind of neighbour that matters.
        for first in 0..=255 {
            for second in 0..=255 {
                for payload in [vec![first, second], vec![b'a', first, second, b'"'], vec![0xE2, first, second]] {
                    let line = shown(&payload);
                    assert!(!line.contains(['\n', '\r', '\u{2028}', '\u{1b}']), "{line:?}");
                    assert_eq!(parse_text(line.as_bytes(), &mut Vec::new()), Ok(&*payload), "{line:?}");
                }
            }
        }
        for c in '\0'..=char::MAX {
            let payload = format!("a{c}").into_bytes();
            let line = shown(&payload);
            assert_eq!(parse_text(line.as_bytes(), &mut Vec::new()), Ok(&*payload), "{line:?}");
        }
    }

    #[test]
    fn only_a_line_that_begins_as_an_escaped_frame_is_one() {
        let read = |line: &[u8]| parse_text(line, &mut Vec::new()).map(<[u8]>::to_vec);
        for line in [&b""[..], b"c", b"\\", b"\\n", b"\\\\host\\share", b"\"a\"", b" \\\"a\"", b"\xFF\0"] {
            assert_eq!(read(line), Ok(line.to_vec()));
        }
        for (line, payload) in [
            (&br#"\"""#[..], &b""[..]),
            (br#"\"c""#, b"c"),
            (br#"\"\"\\n\n""#, b"\"\\n\n"),
            (br#"\"\x0A\xfF\u{a}\u{1F600}\u{00000a}""#, b"\n\xFF\n\xF0\x9F\x98\x80\n"),
            (b"\\\"\t\xE4\"", b"\t\xE4"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(payload), "{}", line.escape_ascii());
        }
        for (line, why) in [
            (&br#"\""#[..], "closing"),
            (br#"\"a"#, "closing"),
            (br#"\"a\""#, "closing"),
            (br#"\"a"b""#, "column 4"),
            (br#"\"a" "#, "column 4"),
            (br#"\"\q""#, "column 3"),
            (br#"\"ab\xg0""#, "column 5"),
            (br#"\"\x+1""#, "column 3"),
            (br#"\"\x1"#, "column 3"),
            (br#"\"\u{}""#, "column 3"),
            (br#"\"\u{d800}""#, "column 3"),
            (br#"\"\u{110000}""#, "column 3"),
            (br#"\"\u{0000041}""#, "column 3"),
            (br#"\"\u{41""#, "column 3"),
            (br#"\"\"#, "column 3"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(why), "{}: {error}", line.escape_ascii());
        }
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut text, mut back) = (Vec::new(), Vec::new());
        push_hex(&bytes, &mut text);
        parse_hex(&text, &mut back).unwrap();
        assert_eq!(back, bytes);
        back.clear();
        parse_hex(b" 0A ff\t0b\r", &mut back).unwrap();
        assert_eq!(back, [0x0A, 0xFF, 0x0B]);
        for (wrong, why) in [("abc", "odd"), ("a b", "two"), ("0x12", "column 2"), ("zz", "column 1")] {
            let error = parse_hex(wrong.as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
        ] {
            let mut out = Vec::new();
            push_time(UNIX_EPOCH + Duration::from_secs(seconds), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
