//! Replays the corpus of every fuzz target, on the stable compiler, through the function that the target calls.

#[path = "support/differential.rs"]
mod differential;
#[path = "support/fuzz_inputs.rs"]
mod fuzz_inputs;
#[path = "support/tokio_codec.rs"]
mod tokio_codec;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use unstick::testing::own::{check_capture, check_session, check_shard_file, check_trace, targets};

/// A test for each target, and the list of those.
macro_rules! replayed {
    ($($target:ident: $run:expr,)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
        $(#[test]
        fn $target() {
            replay(stringify!($target), $run);
        })*
    };
}

replayed! {
    capture: check_capture,
    cli_format: targets::cli_format,
    custom_header: targets::custom_header,
    decode: targets::decode,
    differential: differential::differential,
    plan: targets::plan,
    round_trip: targets::round_trip,
    session: check_session,
    shard_file: check_shard_file,
    stream_body: targets::stream_body,
    text: targets::text,
    trace: check_trace,
}

fn fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

#[track_caller]
fn replay(target: &str, run: fn(&[u8])) {
    let inputs = fuzz_inputs::inputs(&fuzz("corpus"), target).expect("a corpus that can be read");
    for (index, input) in inputs.iter().enumerate() {
        if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
            panic!("{target} fails on input {index}: {input:02x?}");
        }
    }
    assert!(inputs.len() >= 5, "{target} has a corpus of {} inputs", inputs.len());
    println!("cases: {}", inputs.len());
}

/// A target is a file of `fuzz/fuzz_targets`; this tells in which places it is missing.
#[test]
fn every_target_is_in_every_place() {
    let files = fs::read_dir(fuzz("fuzz_targets")).expect("the folder of the targets");
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).expect("the manifest");
    let readme = fs::read_to_string(fuzz("README.md")).expect("the page");
    let mut missing = Vec::new();
    for file in files {
        let path = file.expect("a folder that can be read").path();
        let target = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut wants = |is_there: bool, place: &str| {
            if !is_there {
                missing.push(format!("{target} is missing in {place}"));
            }
        };
        wants(REPLAYED.contains(&target.as_str()), "tests/fuzz_corpus.rs, replayed!");
        wants(manifest.contains(&format!("\n[[bin]]\nname = \"{target}\"\n")), "fuzz/Cargo.toml, [[bin]]");
        wants(manifest.contains(&format!("\n{target} = {{ about = ")), "fuzz/Cargo.toml, [package.metadata.targets]");
        wants(readme.contains(&format!("\n| `{target}` | ")), "fuzz/README.md, the table");
        wants(fuzz("corpus").join(format!("{target}.frames")).is_file(), "fuzz/corpus: cargo xtask fuzz --keep");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
