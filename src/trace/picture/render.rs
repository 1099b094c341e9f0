//! A layout as SVG text. All text of a picture goes through [`escaped`].

use std::fmt::Write;

use super::shape::{Anchor, Layout, Shape, Text, number};

/// What surrounds the shapes of a picture.
pub(super) struct Frame<'a> {
    /// Begins the ids of the picture, which must differ between the pictures of a page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// The picture in words, for those who do not see it.
    pub(super) description: &'a str,
    /// For a picture on its own: the rules of its look, and that it is an SVG.
    pub(super) style: Option<&'a str>,
}

/// The layout as an `<svg>` element.
pub(super) fn svg(layout: &Layout, frame: &Frame<'_>) -> String {
    let (width, height) = (number(layout.width), number(layout.height));
    let (id, title, description) = (frame.id, escaped(frame.title), escaped(frame.description));
    let size = match frame.style {
        Some(_) => format!(" width=\"{width}\" height=\"{height}\""),
        None => String::new(),
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"trace\"{size} viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\">\n<title id=\"{id}-title\">{title}</title>\n\
         <desc id=\"{id}-desc\">{description}</desc>\n"
    );
    if let Some(style) = frame.style {
        out.push_str(&format!("<style>\n{style}</style>\n"));
    }
    out.push_str(&format!(
        "<defs><pattern id=\"{id}-hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect class=\"stripe\" width=\"2\" height=\"7\"/></pattern></defs>\n"
    ));
    for shape in &layout.shapes {
        draw(shape, id, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(shape: &Shape, id: &str, out: &mut String) {
    match shape {
        Shape::Text(text) => draw_text(text, out),
        Shape::Box { area, radius, class } => {
            let [x, y, width, height, radius] = [area.x, area.y, area.width, area.height, *radius].map(number);
            let fill = fill_of(class, id);
            let rounded = if radius == "0" { String::new() } else { format!(" rx=\"{radius}\"") };
            write_line(
                out,
                format_args!(
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{rounded}{fill}/>"
                ),
            );
        }
        Shape::Path { data, class } => {
            let fill = fill_of(class, id);
            write_line(out, format_args!("<path class=\"{class}\" d=\"{data}\"{fill}/>"));
        }
        Shape::Group { title, shapes } => {
            write_line(out, format_args!("<g><title>{}</title>", escaped(title)));
            shapes.iter().for_each(|shape| draw(shape, id, out));
            out.push_str("</g>\n");
        }
    }
}

/// Hatched shapes refer to the pattern of their picture.
fn fill_of(class: &str, id: &str) -> String {
    if class == "hatch" { format!(" style=\"fill:url(#{id}-hatch)\"") } else { String::new() }
}

fn draw_text(text: &Text, out: &mut String) {
    let [x, y, size] = [text.x, text.y, text.size].map(number);
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let _ = write!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor}");
    match &text.spans[..] {
        [only] => write_line(out, format_args!(" class=\"{}\">{}</text>", only.class, escaped(&only.text))),
        spans => {
            out.push('>');
            for span in spans {
                let _ = write!(out, "<tspan class=\"{}\">{}</tspan>", span.class, escaped(&span.text));
            }
            out.push_str("</text>\n");
        }
    }
}

fn write_line(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A `String` takes what is written to it.
    let _ = writeln!(out, "{what}");
}

/// Text for an element or an attribute of XML and of HTML. A character that XML cannot have becomes U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_gives_a_meaning_is_escaped_and_what_it_cannot_have_replaced() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(escaped("\u{0}\u{1b}\u{ffff}你好\n"), "\u{fffd}\u{fffd}\u{fffd}你好\n");
    }
}
