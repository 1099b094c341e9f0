//! The conformance corpus' encode and write cases through `FrameSink`.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use futures_lite::future::block_on;
use futures_util::SinkExt;
use serde_json::Value;
use unstick::testing::choppy::{ChoppyWrite, Step};
use unstick::{FrameSink, FramedWrite, WriteError};

use super::{cases, format, is_replayed, list, number, refusal, text};

/// The encode and write cases once more, through `FrameSink`: into a writer that takes what its script says,
/// every byte goes out once and in order; a payload that is refused is an error, and what stands before it goes out.
#[test]
fn every_encode_case_goes_through_a_sink() {
    let (cases, mut sinks, mut count) = (cases(), 0, 0);
    for case in cases.iter().filter(|case| is_replayed(case, "encode") || is_replayed(case, "write")) {
        for script in scripts(list(case, "wire").concat().len()) {
            for flush in [false, true] {
                let written =
                    sink(case, &script, flush).unwrap_or_else(|error| panic!("{}: {error}", text(case, "id")));
                assert!(written == list(case, "wire").concat(), "{}: other bytes by {script:?}", text(case, "id"));
                count += 1;
            }
        }
        sinks += 1;
    }
    assert_eq!(sinks, 33 + 3, "encode, write");
    println!("cases: {count}");
}

/// The write cases by their own scripts, too.
#[test]
fn every_write_case_goes_through_the_sink_that_it_describes() {
    let (cases, mut described) = (cases(), 0);
    for case in cases.iter().filter(|case| is_replayed(case, "write")) {
        let id = text(case, "id");
        let Some(turns) = case.get("sink").and_then(Value::as_array) else { continue };
        let script: Vec<Step> = turns
            .iter()
            .filter_map(|turn| match (turn.as_u64(), turn.as_str()) {
                (Some(0), _) => Some(Step::Nothing),
                (Some(len), _) => Some(Step::Pass(len as usize)),
                (_, Some("pending")) => Some(Step::Pending),
                // The writer is flushed at the end, which is no turn of what it takes.
                (_, Some("flush")) => None,
                _ => panic!("{id}: no turn is {turn}"),
            })
            .collect();
        match (sink(case, &script, false), case.get("sink_error").and_then(Value::as_str)) {
            (Ok(written), None) => assert_eq!(written, list(case, "wire").concat(), "{id}"),
            (Err(error), Some("write-zero")) => assert_eq!(error.kind(), ErrorKind::WriteZero, "{id}"),
            (found, expected) => panic!("{id}: {found:?}, and the case says {expected:?}"),
        }
        described += 1;
    }
    assert_eq!(described, 2, "one is about a limit that changes, and has no script");
    println!("cases: {described}");
}

/// What a writer may do with a wire image of `len` bytes: take all of it; a byte at a time; a byte at a time with a
/// wait and an interruption before each; all up to each offset, and then the rest. (Of a wire image over 600 bytes a
/// six hundredth at a time, of one over 20,000 a twentieth.)
fn scripts(len: usize) -> Vec<Vec<Step>> {
    let step = len.div_ceil(if len > 20_000 { 20 } else { 600 }).max(1);
    let turns = len.div_ceil(step);
    let mut scripts = vec![
        vec![],
        vec![Step::Pass(step); turns],
        vec![Step::Pending; 5],
        [Step::Pending, Step::Interrupted, Step::Pass(step)].repeat(turns),
    ];
    scripts.extend((1..turns).map(|turn| vec![Step::Pass(turn * step), Step::Pending]));
    scripts
}

/// The bytes that a writer with this script received, or how it failed. `flush` asks for a flush after each frame.
fn sink(case: &Value, script: &[Step], flush: bool) -> io::Result<Vec<u8>> {
    let id = text(case, "id");
    let limit_then = case.get("limit_then");
    let mut format = format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
    let wire = list(case, "wire");
    let mut sink = FramedWrite::new(ChoppyWrite::new(script.iter().copied()), format).into_sink();
    for (index, payload) in list(case, "payloads").into_iter().enumerate() {
        if let Some(then) = limit_then.filter(|then| number(then, "after_frames") == Some(index)) {
            block_on(sink.flush())?;
            format =
                format.with_max_payload_len(number(then, "limit").expect("a limit")).expect("the limit of the case");
            sink = FramedWrite::new(sink.into_inner().into_inner(), format).into_sink();
        }
        let before = taken(&sink);
        match block_on(sink.feed(Bytes::from(payload))) {
            Ok(()) => assert!(index < wire.len(), "{id}: payload {index} is to be refused"),
            Err(WriteError::Encode(error)) => {
                assert_eq!((refusal(error), index), (text(case, "error"), wire.len()), "{id}");
                assert_eq!(taken(&sink), before, "{id}: a refused frame leaves no trace");
            }
            Err(error) => return Err(error.into()),
        }
        if flush {
            block_on(sink.flush())?;
            assert_eq!(sink.get_ref().queued(), 0, "{id}");
        }
    }
    block_on(sink.close())?;
    Ok(sink.get_ref().get_ref().written().to_vec())
}

/// Bytes that it wrote, and those that wait.
fn taken(sink: &FrameSink<ChoppyWrite>) -> usize {
    sink.get_ref().get_ref().written().len() + sink.get_ref().queued()
}
