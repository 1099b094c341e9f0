//! Text that comes from elsewhere, as text of a page and never as markup.

/// The text for an element or for an attribute in double quotes. What does not show, or turns the order of what does,
/// is shown as an escape.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            _ if char.is_control() || is_hidden(char) => escaped.extend(char.escape_unicode()),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// Marks of the order of writing, separators of lines, and what is no character.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_what_does_not_show_are_escaped() {
        assert_eq!(escape("<script a=\"b\">&'你"), "&lt;script a=&quot;b&quot;&gt;&amp;'你");
        assert_eq!(escape("a\u{1b}[2J\u{202e}b\n\0"), "a\\u{1b}[2J\\u{202e}b\n\\u{0}");
    }
}
