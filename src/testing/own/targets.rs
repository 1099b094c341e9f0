//! What each fuzz target does with its input, unless one check does all. `tests/fuzz_corpus.rs` replays the corpus
//! through the same functions.
//!
//! Where there are many checks, the last byte of an input chooses one: a fuzzer that runs all of them on every input
//! spends its time on what it has seen.

use alloc::string::String;
use alloc::string::ToString;

use super::encoding::{check_refused_encode, check_round_trip};
use super::headers::check_custom;
use super::layouts::check_layout;
use crate::framing::{Layout, Utf8Reader};
use crate::testing::case::Case;
use crate::testing::plan::Plan;
use crate::testing::properties::{check_one, check_streamed_body};
use crate::testing::source::Source;

/// The last byte, which chooses, and those before it.
fn chosen(data: &[u8]) -> (u8, &[u8]) {
    data.split_last().map_or((0, data), |(last, before)| (*last, before))
}

/// Any bytes in any cuts, read as any format.
#[track_caller]
pub fn decode(data: &[u8]) {
    let (choice, data) = chosen(data);
    check_one(&Case::from_bytes(data), choice);
}

/// Frames that are encoded and decoded again.
#[track_caller]
pub fn round_trip(data: &[u8]) {
    let (choice, data) = chosen(data);
    let plan = Plan::from_bytes(data);
    if choice % 2 == 0 { check_round_trip(&plan) } else { check_refused_encode(&plan) }
}

/// Frames with faults among them.
#[track_caller]
pub fn plan(data: &[u8]) {
    let (choice, data) = chosen(data);
    check_one(&Plan::from_bytes(data).case(), choice);
}

/// Bodies in parts, of planned streams and of any bytes.
#[track_caller]
pub fn stream_body(data: &[u8]) {
    let (choice, data) = chosen(data);
    check_streamed_body(&if choice % 2 == 0 { Plan::from_bytes(data).case() } else { Case::from_bytes(data) });
}

/// Headers that are not a format: one with a tag and a length for its trailer, one that asks for a byte at a time, the
/// longest, and one with a check over the whole frame.
#[track_caller]
pub fn custom_header(data: &[u8]) {
    let (choice, data) = chosen(data);
    check_custom(&mut Source::new(data), choice);
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
