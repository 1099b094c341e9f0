//! tokio-util's codec and ours on the same stream, with the list of known differences.

use unstick::framing::{Field, Oversize, Phase};
use unstick::testing::{self, Case, End, Expected, Violation};

use crate::tokio_codec::TokioCodec;

/// The same stream through both: the same frames, the same refusals, the same end, but for what is listed here.
///
/// 1. The peer treats an end right after a header as clean.
/// 2. The peer reserves the declared length, so its memory is not checked.
/// 3. With a negative adjustment the peer lowers its limit on the field to the longest *payload* that the field can
///    say, and so refuses the longest payloads.
pub(crate) fn differential(data: &[u8]) {
    let case = Case::from_bytes(data).on_oversize(Oversize::Reject);
    if TokioCodec::new(&case.format).is_none() {
        return;
    }
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let make = || TokioCodec::new(&case.format).expect("a codec was made before").without_memory();
    let found = testing::try_case(&case, make);
    match (listed(&case, &expected), found) {
        (None, Ok(())) => {}
        (Some(Listed::CleanAfterHeader), Err(Violation::End { found: None, .. })) => {}
        (Some(Listed::LimitTooLow), Err(Violation::Error { expected: None, found: Some(_), .. })) => {}
        (listed, found) => panic!("listed: {listed:?}, found: {found:?}\nin {case:02x?}"),
    }
}

#[derive(Debug)]
enum Listed {
    CleanAfterHeader,
    LimitTooLow,
}

fn listed(case: &Case, expected: &Expected) -> Option<Listed> {
    let layout = case.format.layout();
    let Field::Fixed { width, .. } = layout.field else { return None };
    let greatest_field = (1i128 << (8 * width)) - 1;
    let lowered = greatest_field + i128::from(layout.adjustment);
    let field = |payload_len: u64| i128::from(payload_len) - i128::from(layout.adjustment);
    if expected.frames.iter().any(|frame| field(frame.payload_len) > lowered) {
        return Some(Listed::LimitTooLow);
    }
    match (expected.end, expected.frames.last()) {
        (End::Truncated { phase: Phase::Payload, have, .. }, Some(frame)) if have == frame.header_len as u64 => {
            Some(Listed::CleanAfterHeader)
        }
        _ => None,
    }
}
