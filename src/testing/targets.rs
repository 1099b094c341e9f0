//! What each fuzz target does with its input; `session` calls `check_session` itself.
//! `tests/fuzz_corpus.rs` replays the corpus through the same functions.

use alloc::string::String;
use alloc::string::ToString;

use super::bodies::check_streamed_body;
use super::case::Case;
use super::checks::{check_oracle, check_plan, check_refused_encode, check_round_trip, check_stream};
use super::headers::check_custom;
use super::layouts::check_layout;
use super::plan::Plan;
use super::source::Source;
use crate::framing::{Layout, Utf8Reader};

/// Any bytes in any cuts, read as any format.
#[track_caller]
pub fn decode(data: &[u8]) {
    check_stream(&Case::from_bytes(data));
}

/// Frames that are encoded and decoded again.
#[track_caller]
pub fn round_trip(data: &[u8]) {
    let plan = Plan::from_bytes(data);
    check_round_trip(&plan);
    check_refused_encode(&plan);
}

/// Frames with a fault among them, and all checks.
#[track_caller]
pub fn plan(data: &[u8]) {
    check_plan(&Plan::from_bytes(data));
}

/// Bodies in parts, of planned streams and of any bytes.
#[track_caller]
pub fn stream_body(data: &[u8]) {
    for case in [Plan::from_bytes(data).case(), Case::from_bytes(data)] {
        check_oracle(&case);
        check_streamed_body(&case);
    }
}

/// Headers that are not a format: one with a tag and a length for its trailer, one that asks for a byte at a time, the
/// longest, and one with a check over the whole frame.
#[track_caller]
pub fn custom_header(data: &[u8]) {
    check_custom(&mut Source::new(data));
}

/// Text in any cuts gives the text of the whole.
#[track_caller]
pub fn text(data: &[u8]) {
    let mut source = Source::new(data);
    let cuts = source.cuts();
    let bytes = source.rest();
    let mut reader = Utf8Reader::new();
    let mut text = String::new();
    for chunk in cuts.chunks(bytes) {
        let before = text.len();
        reader.read(chunk, &mut text);
        assert!(text.len() - before <= 3 * (chunk.len() + 1), "a byte is at most one replaced character");
    }
    reader.finish(&mut text);
    assert_eq!(text, String::from_utf8_lossy(bytes), "the text does not depend on the cuts");
}

/// Any text parsed as a layout: it is refused with a reason, or the layout's text parses to it again; and if it makes a
/// format, a frame round-trips.
#[track_caller]
pub fn cli_format(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match text.parse::<Layout>() {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(layout) => check_layout(layout),
    }
}
