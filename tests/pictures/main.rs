//! Pictures of traces: XML that stands alone, whatever the trace says; bounded; the same each time.

#[cfg(target_os = "linux")]
mod committed;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};
use unstick::trace::picture::{Picture, page};
use unstick::trace::{Trace, from_json};

/// The elements of a picture, and those of a page around it.
const OF_A_PICTURE: [&str; 11] =
    ["svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "g", "text", "tspan"];
const OF_A_PAGE: [&str; 13] =
    ["html", "head", "meta", "title", "style", "body", "main", "h1", "nav", "ol", "li", "a", "span"];

/// Every example beside this file.
fn examples() -> Vec<(String, Trace)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut examples = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of this file") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            examples.push((path.file_stem().expect("a name").to_string_lossy().into_owned(), read(&path)));
        }
    }
    examples.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(examples.len() >= 8, "{}", examples.len());
    examples
}

fn read(path: &Path) -> Trace {
    let text = fs::read_to_string(path).expect("text");
    from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example(name: &str) -> Trace {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.json")))
}

fn picture<'a>(name: &'a str, trace: &'a Trace) -> Picture<'a> {
    Picture { name, title: "A title", lesson: "A lesson.", trace }
}

fn parsed(xml: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(xml, options).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

/// All text of the elements `name`.
fn texts(document: &Document<'_>, name: &str) -> Vec<String> {
    let elements = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name)));
    elements.map(|node| node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()).collect()
}

/// No script, no reference to anything elsewhere, each id once, and each that is referred to there.
fn check_stands_alone(xml: &str, elements: &[&str]) {
    let document = parsed(xml);
    let mut ids = BTreeSet::new();
    let mut referred = BTreeSet::new();
    for node in document.descendants().filter(Node::is_element) {
        assert!(elements.contains(&node.tag_name().name()), "<{}>", node.tag_name().name());
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name}");
            match name {
                "id" => assert!(ids.insert(value.to_owned()), "{value} twice"),
                "href" => _ = referred.insert(value.strip_prefix('#').expect("an anchor of this page").to_owned()),
                "aria-labelledby" => referred.extend(value.split(' ').map(str::to_owned)),
                "style" => {
                    let pattern = value.strip_prefix("fill:url(#").and_then(|rest| rest.strip_suffix(')'));
                    referred.insert(pattern.expect("a pattern of this picture").to_owned());
                }
                _ => assert!(!value.contains("url(") && !value.contains("//"), "{name}={value}"),
            }
        }
        if node.has_tag_name("style") || node.tag_name().name() == "style" {
            let style = node.text().unwrap_or_default();
            assert!(!style.contains("@import") && !style.contains("url(") && !style.contains("//"), "{style}");
        }
    }
    assert!(referred.is_subset(&ids), "{:?}", referred.difference(&ids).collect::<Vec<_>>());
}

#[test]
fn every_picture_stands_alone() {
    let examples = examples();
    let pictures: Vec<Picture<'_>> = examples.iter().map(|(name, trace)| picture(name, trace)).collect();
    for picture in &pictures {
        check_stands_alone(&picture.svg(), &OF_A_PICTURE);
    }
    let elements = [&OF_A_PICTURE[..], &OF_A_PAGE, &["section", "div"]].concat();
    check_stands_alone(&page("All", &pictures), &elements);
    check_stands_alone(&page("One", &pictures[..1]), &elements);
}

#[test]
fn the_same_trace_gives_the_same_picture() {
    for (name, trace) in examples() {
        assert_eq!(picture(&name, &trace).svg(), picture(&name, &trace.clone()).svg(), "{name}");
    }
}

/// Whatever comes from outside, a payload, a note, a title: it is text, on one line, and without control characters.
#[test]
fn what_comes_from_outside_is_text_and_nothing_else() {
    let hostile = "</text></svg><script>alert(1)</script>]]>&\"'\u{0}\u{1b}[31m\n\u{202e}\u{fffe}";
    let mut trace = example("sticky");
    trace.frames[0].text = Some(hostile.to_owned());
    trace.notes =
        vec![serde_json::from_value(serde_json::json!({ "segment": null, "text": hostile })).expect("a note")];
    let picture = Picture { name: hostile, title: hostile, lesson: hostile, trace: &trace };
    let svg = picture.svg();
    check_stands_alone(&svg, &OF_A_PICTURE);
    let document = parsed(&svg);
    let shown = texts(&document, "text");
    assert!(shown.iter().any(|text| text.starts_with("</text>")), "{shown:?}");
    assert!(shown.iter().all(|text| !text.contains(['\u{0}', '\u{1b}', '\n', '\u{202e}', '\u{fffe}'])), "{shown:?}");
    check_stands_alone(&page(hostile, &[picture]), &[&OF_A_PICTURE[..], &OF_A_PAGE, &["section", "div"]].concat());
}

/// What is in the trace is in the picture: each segment with its flags, numbers and length, each state, each frame's text.
#[test]
fn a_picture_has_the_facts_of_its_trace() {
    for (name, trace) in examples().into_iter().filter(|(_, trace)| trace.segments.len() <= 32) {
        let svg = picture(&name, &trace).svg();
        let document = parsed(&svg);
        let shown = texts(&document, "text");
        let has = |what: &str| shown.iter().any(|text| text == what);
        for segment in &trace.segments {
            let flags: BTreeSet<String> = segment.flags.iter().map(ToString::to_string).collect();
            let of_segment = |text: &&String| {
                let words: Vec<&str> = text.split_whitespace().collect();
                flags.iter().all(|flag| words.contains(&flag.as_str()))
                    && text.contains(&format!("seq {}", segment.seq))
                    && segment.ack.is_none_or(|ack| text.contains(&format!("ack {ack}")))
            };
            assert!(shown.iter().any(|text| of_segment(&text)), "{name}: segment {}: {shown:?}", segment.packet);
            assert!(has(&segment.states.client.to_string()) && has(&segment.states.server.to_string()), "{name}");
            for mark in &segment.marks {
                assert!(shown.iter().any(|text| text.contains(&mark.to_string())), "{name}: {mark}");
            }
        }
    }
}

#[test]
fn a_picture_says_which_frames_are_stuck_and_which_are_split() {
    let said = |name: &str| {
        let trace = example(name);
        let svg = picture(name, &trace).svg();
        texts(&parsed(&svg), "text").join("\n")
    };
    let sticky = said("sticky");
    assert!(sticky.contains("stuck: 5 whole"), "{sticky}");
    assert!(sticky.contains("5 frames stuck in one segment"), "{sticky}");
    assert!(!sticky.contains("split"), "{sticky}");
    let split = said("split");
    assert!(split.contains("split: head of #1\n"), "{split}");
    assert!(split.contains("stuck and split: tail of #3 + head of #4"), "{split}");
    assert!(split.contains("#1 · split over 3 segments"), "{split}");
    let greeting = said("greeting");
    assert!(!greeting.contains("stuck") && !greeting.contains("split"), "{greeting}");
    assert!(
        greeting.contains("1 whole: Hello client! 你好...") && greeting.contains("\nHello client! 你好..."),
        "{greeting}"
    );
}

/// A segment that is sent again is marked, and its bytes are once in the ruler and in the sums.
#[test]
fn bytes_that_are_sent_again_are_not_counted_again() {
    let trace = example("retransmit");
    let svg = picture("retransmit", &trace).svg();
    let shown = texts(&parsed(&svg), "text").join("\n");
    assert!(shown.contains("retransmission: not counted again"), "{shown}");
    // In the ruler, beside the segment that carried it first; and in the legend, what the words mean.
    for part in ["segment 11 again", "all its bytes were sent before", "the last ack again", "ends a direction"] {
        assert!(shown.contains(part), "nothing of {part}: {shown}");
    }
    assert!(shown.contains(&format!("{} bytes, 3 frames", trace.to_server.len)), "{shown}");
    // In the bytes to the server, and in the answer.
    assert_eq!(shown.matches("\ntwo, which is lost").count(), 2, "{shown}");
}

/// Of a connection of any length a picture shows a bounded part, and says what it leaves out.
#[test]
fn a_long_connection_gives_a_bounded_picture() {
    let trace = example("long");
    assert!(trace.segments.len() > 200, "{}", trace.segments.len());
    let svg = picture("long", &trace).svg();
    assert!(svg.len() < 128 * 1024, "{}", svg.len());
    let document = parsed(&svg);
    let shown = texts(&document, "text").join("\n");
    assert!(shown.contains("segments not drawn:"), "{shown}");
    assert!(shown.contains("zero window"), "{shown}");
    let groups = document.descendants().filter(|node| node.tag_name().name() == "g").count();
    assert!(groups <= 48, "{groups}");
}

/// For those who do not see it, a picture has a name, and a sentence for each segment.
#[test]
fn a_picture_is_described_in_words() {
    let trace = example("half-close");
    let svg = picture("half-close", &trace).svg();
    let document = parsed(&svg);
    let [description] = &texts(&document, "desc")[..] else { panic!("one description") };
    assert_eq!(texts(&document, "title")[0], "A title");
    assert_eq!(description.matches("Segment ").count(), trace.segments.len(), "{description}");
    assert!(description.contains("Segment 1, client to server: SYN seq 0."), "{description}");
    assert!(description.contains("Half-close: the client sends no more bytes, and still reads."), "{description}");
}
