//! Reads the conformance corpus, `tests/conformance/cases.json`; its README is the schema.

#![allow(dead_code, reason = "each test uses its part")]

use serde_json::Value;
use unstick::framing::{Endian, Field, Format, FormatError, Layout};

pub(crate) fn cases() -> Vec<Value> {
    let cases: Value = serde_json::from_str(include_str!("../conformance/cases.json")).expect("the corpus is JSON");
    cases.as_array().expect("the corpus is a list").clone()
}

pub(crate) fn format(case: &Value) -> Result<Format, FormatError> {
    let format = &case["format"];
    let byte = |key| number(format, key).and_then(|value| u8::try_from(value).ok());
    let field = match byte("varint") {
        Some(max_width) => Field::Varint { max_width, minimal: format["minimal"] == true },
        None => {
            let endian = if text(format, "endian") == "be" { Endian::Big } else { Endian::Little };
            Field::Fixed { width: byte("width").expect("a width"), endian }
        }
    };
    let adjustment = format["adjustment"].as_i64().expect("an adjustment");
    let layout = Layout::of(field).offset(byte("offset").expect("an offset")).adjustment(adjustment);
    let greatest = layout.greatest_payload_len().expect("a layout that has payloads") as usize;
    Format::new(layout, number(format, "limit").unwrap_or(greatest))
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a text in {value}"))
}

pub(crate) fn number(value: &Value, key: &str) -> Option<usize> {
    value.get(key)?.as_u64().map(|number| number as usize)
}

pub(crate) fn list(value: &Value, key: &str) -> Vec<Vec<u8>> {
    let list = value[key].as_array().unwrap_or_else(|| panic!("{key} is a list in {value}"));
    list.iter().map(|item| bytes(item.as_str().expect("bytes"))).collect()
}

/// `616263 00x300`: hex, or one byte repeated, separated by spaces.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{hex} is a byte in hex"));
    let mut bytes = Vec::new();
    for part in text.split_whitespace() {
        match part.split_once('x') {
            Some((hex, times)) => bytes.resize(bytes.len() + times.parse::<usize>().expect("a number"), byte(hex)),
            None => bytes.extend((0..part.len()).step_by(2).map(|at| byte(&part[at..at + 2]))),
        }
    }
    bytes
}
