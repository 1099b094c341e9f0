//! Replays the corpus of every fuzz target, on the stable compiler, through the function that the target calls.

#[path = "support/differential.rs"]
mod differential;
#[path = "support/tokio_codec.rs"]
mod tokio_codec;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use unstick::testing::{check_capture, check_session, check_shard_file, check_trace, targets};

#[track_caller]
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("a folder that can be read").path();
        let data = fs::read(&path).expect("a file that can be read");
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            panic!("{target} fails on {}", path.display());
        }
    }
    assert!(count >= 5, "{target} has a corpus of {count} files");
    println!("cases: {count}");
}

#[test]
fn decode() {
    replay("decode", targets::decode);
}

#[test]
fn round_trip() {
    replay("round_trip", targets::round_trip);
}

#[test]
fn plan() {
    replay("plan", targets::plan);
}

#[test]
fn beside_tokio() {
    replay("differential", differential::differential);
}

#[test]
fn stream_body() {
    replay("stream_body", targets::stream_body);
}

#[test]
fn session() {
    replay("session", check_session);
}

#[test]
fn shard_file() {
    replay("shard_file", check_shard_file);
}

#[test]
fn custom_header() {
    replay("custom_header", targets::custom_header);
}

#[test]
fn text() {
    replay("text", targets::text);
}

#[test]
fn cli_format() {
    replay("cli_format", targets::cli_format);
}

#[test]
fn capture() {
    replay("capture", check_capture);
}

#[test]
fn trace() {
    replay("trace", check_trace);
}

/// Every target has a corpus that is replayed here.
#[test]
fn every_target_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files = fs::read_dir(folder).expect("the folder of the targets");
    let mut targets: Vec<String> = files
        .map(|file| file.expect("a folder that can be read").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    targets.sort();
    assert_eq!(
        targets,
        [
            "capture",
            "cli_format",
            "custom_header",
            "decode",
            "differential",
            "plan",
            "round_trip",
            "session",
            "shard_file",
            "stream_body",
            "text",
            "trace"
        ]
    );
}
