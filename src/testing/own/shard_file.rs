//! A file of a shard's outcome, as it is or with some of it changed.

use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Value, json};

use crate::load::{self, ShardFile, merge};
use crate::testing::source::Source;

/// What a shard wrote. Changes of it come nearer to what can be read than any bytes do.
const WRITTEN: &str = include_str!("shard_file.json");

/// Reads a file of a shard's outcome: it is refused with a reason, or what it says is written and read again without a change.
/// Merged, alone or with itself, it gives an outcome of which the same holds, or is refused with a reason.
///
/// `data` is a file if it begins with `{`; otherwise it says what is changed in a file that a shard wrote.
///
/// # Panics
/// If one of these does not hold.
#[track_caller]
pub fn check_shard_file(data: &[u8]) {
    match data {
        [b'{', ..] => check(data),
        _ => check(changed(data).to_string().as_bytes()),
    }
}

#[track_caller]
fn check(content: &[u8]) {
    let file = match ShardFile::read("a", content) {
        Err(error) => return assert!(!error.to_string().is_empty()),
        Ok(file) => file,
    };
    let written = load::json(file.outcome());
    let again = ShardFile::read("b", written.as_bytes()).expect("what is written is read again");
    assert!(load::json(again.outcome()) == written, "it is read as it was written: {written}");
    assert!(merge(&[file.clone(), again]).is_err(), "a shard is not there twice");
    match merge(&[file]) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(outcome) => {
            assert!(!load::text(&outcome).is_empty());
            let merged = load::json(&outcome);
            let again = load::from_json(&merged).expect("what is merged is read again");
            assert!(load::json(&again) == merged, "it is read as it was merged: {merged}");
        }
    }
}

/// The file with the changes that these bytes say.
fn changed(data: &[u8]) -> Value {
    let mut source = Source::new(data);
    let mut file = written();
    while !source.is_empty() {
        let pointers = pointers(&file);
        let Some(pointer) = pointers.get(usize::from(source.u16()) % pointers.len().max(1)) else { break };
        let new = value(&mut source, &file, &pointers);
        match file.pointer_mut(pointer) {
            Some(old) => *old = new,
            None => break,
        }
    }
    file
}

/// What a shard of this version writes.
fn written() -> Value {
    let mut file: Value = serde_json::from_str(WRITTEN).expect("it was written by a shard");
    file["origin"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    file
}

/// Where all values of a file are, but for the file itself.
fn pointers(file: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        let below: Vec<(String, &Value)> = match value {
            Value::Array(values) => {
                values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
            }
            Value::Object(values) => values.iter().map(|(key, value)| (key.clone(), value)).collect(),
            _ => Vec::new(),
        };
        for (key, value) in below {
            let at = std::format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            found.push(at.clone());
            walk(value, &at, found);
        }
    }
    let mut found = Vec::new();
    walk(file, "", &mut found);
    found
}

/// A value that may be wrong where it is put.
fn value(source: &mut Source<'_>, file: &Value, pointers: &[String]) -> Value {
    match source.u8() % 16 {
        0 => json!(0),
        1 => json!(1),
        2 => json!(u64::MAX),
        3 => json!(-1),
        4 => json!(f64::from_bits(source.u64())),
        5 => json!(source.u64()),
        6 => json!(source.u8()),
        7 => Value::Null,
        8 => json!(""),
        9 => json!(std::format!("{}/{}", source.u8(), source.u8())),
        10 => json!([]),
        11 => json!({}),
        12 => json!([[source.u16(), source.u8()]]),
        13 => json!(1e300),
        // What stands elsewhere in it.
        _ => {
            let pointer = pointers.get(usize::from(source.u16()) % pointers.len().max(1));
            pointer.and_then(|pointer| file.pointer(pointer)).cloned().unwrap_or(Value::Null)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise no change of it would be more than refused.
    #[test]
    fn what_a_shard_wrote_can_be_read() {
        ShardFile::read("written", written().to_string().as_bytes()).expect("it is as a shard of today writes it");
        check_shard_file(&[]);
    }
}
