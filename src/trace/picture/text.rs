//! How wide text is, and how bytes are shown as text.

/// The width of `text` in a proportional face, in pixels: an estimate that is rather too wide than too narrow.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The width of `text` in a face in which all Latin characters are equally wide, in pixels.
pub(super) fn mono_width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if is_wide(c) { 1.0 } else { 0.62 }).sum::<f64>() * size
}

/// The width of a character of a sans-serif face of size 1.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.3,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '-' | '·' => 0.38,
        'm' | 'w' | 'M' | 'W' | '→' | '←' | '…' => 0.95,
        'A'..='Z' | '_' | '+' | '=' | '#' | '–' => 0.7,
        '\u{2003}' => 1.0,
        c if is_wide(c) => 1.0,
        _ => 0.58,
    }
}

/// Whether a character takes the width of two: Chinese, Japanese, Korean, full-width forms, pictures.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f000}'..='\u{3ffff}')
}

/// Text on one line: control characters, and those that have no shape or turn the direction of writing, as escapes.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c if is_mark(c) => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Whether a character is a mark on the one before it: `escape_debug` would escape it, as it does not stand alone.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{dff}'
        | '\u{e31}'..='\u{e4e}' | '\u{3099}' | '\u{309a}' | '\u{fe0f}')
}

/// `text` if it is at most `width` wide; else its beginning and `…`; nothing if not even one character is left.
pub(super) fn fitted(text: &str, room: f64, measure: impl Fn(&str) -> f64) -> String {
    if measure(text) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if measure(&kept) + measure("…") > room {
            kept.pop();
            break;
        }
    }
    if !kept.is_empty() {
        kept.push('…');
    }
    kept
}

/// `text` on lines of at most `room` pixels, broken between words.
pub(super) fn wrapped(text: &str, room: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fitted(word, room, |word| width(word, size))),
        }
    }
    lines
}

/// A duration with its unit and about three digits: `0 µs`, `950 µs`, `1.25 ms`, `201 ms`, `1.5 s`.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..=999 => format!("{micros} µs"),
        1_000..=9_999 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        10_000..=99_999 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        100_000..=999_999 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// A point in time, as exact as it is known: `950 µs`, `203.53 ms`, `2.5003 s`.
pub(super) fn clock(micros: u64) -> String {
    match micros {
        0..=999 => format!("{micros} µs"),
        1_000..=999_999 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        _ => format!("{}.{:04} s", micros / 1_000_000, micros % 1_000_000 / 100),
    }
}

/// A number with a comma before each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 frame`, `2 frames`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_on_one_line_and_what_has_no_shape_is_escaped() {
        assert_eq!(printable("你好 \"a\\b\"\n\u{1b}[31m\u{202e}"), "你好 \"a\\b\"\\n\\u{1b}[31m\\u{202e}");
        assert_eq!(printable("e\u{301}\u{0}"), "e\u{301}\\0");
        assert_eq!(printable("\u{fffe}\u{7f}"), "\\u{fffe}\\u{7f}");
    }

    #[test]
    fn text_is_shortened_to_its_room() {
        let measure = |text: &str| mono_width(text, 10.0);
        assert_eq!(fitted("hello", 31.0, measure), "hello");
        assert_eq!(fitted("hello!", 31.1, measure), "hell…");
        assert_eq!(fitted("你好你好", 31.0, measure), "你好…");
        assert_eq!(fitted("hello", 6.0, measure), "");
    }

    #[test]
    fn numbers_have_units_and_groups() {
        let times = [0, 999, 1_234, 56_780, 201_999, 1_500_000].map(time);
        assert_eq!(times, ["0 µs", "999 µs", "1.23 ms", "56.7 ms", "201 ms", "1.50 s"]);
        assert_eq!([999, 203_534, 2_500_312].map(clock), ["999 µs", "203.53 ms", "2.5003 s"]);
        assert_eq!([1, 999, 1_000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "frame"), counted(1_200, "frame")], ["1 frame", "1,200 frames"]);
    }
}
