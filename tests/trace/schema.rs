//! What is published of the JSON holds.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use unstick::framing::Format;
use unstick::trace::{Direction, Reading, Trace, from_json, json};

use crate::wire::{ACK, FIN, From, SYN, Talk};

/// A trace with what a trace can have: holes, frames, notes, reads, and no boundary.
fn traces() -> Vec<Trace> {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x02hi\x06ab");
    talk.send(From::Client, ACK, 10, 1, b"f\x02");
    talk.send(From::Client, ACK, 10, 1, b"f\x02").bytes.pop();
    talk.send(From::Server, FIN | ACK, 1, 50, b"");
    let mut trace = talk.trace(&Reading::new(Format::U8));
    trace.flow_mut(Direction::ToServer).reads = Some(vec![5, 2]);
    let mut late = Talk::new();
    late.send(From::Server, ACK, 9, 9, b"what");
    let mut refused = Talk::new();
    refused.send(From::Client, SYN, 0, 0, b"");
    vec![trace, late.trace(&Reading::default()), refused.trace(&Reading::default())]
}

#[test]
fn the_json_is_what_its_schema_says() {
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trace.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for trace in traces() {
        let written = json(&trace);
        let value: Value = serde_json::from_str(&written).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(from_json(&written).unwrap(), trace);
        // The schema names every field, and no other.
        assert_eq!(keys(&value), keys(&schema["properties"]));
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
