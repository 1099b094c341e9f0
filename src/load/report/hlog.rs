//! Runs as an HdrHistogram log, interval by interval, for the tools that read those.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::load::outcome::Outcome;

/// The times of the log are nanoseconds; the column for people to read has milliseconds.
const SHOWN: f64 = 1e6;

/// The seconds of these runs as an [HdrHistogram] log (V2, compressed): each second has a line with the response times,
/// and one with the tag `service` for the service times, all in nanoseconds.
///
/// Times of the log count from its `StartTime`, when the first run began. A second's begin is from when its run began
/// to be measured; what a run before took is there as a gap.
///
/// [HdrHistogram]: https://hdrhistogram.github.io/HdrHistogram/
pub fn hlog<'a>(runs: impl IntoIterator<Item = &'a Outcome>) -> String {
    let mut runs = runs.into_iter().peekable();
    let first = runs.peek().map_or(0.0, |run| run.origin.started);
    let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Times are in nanoseconds. Without a tag: response times; with the tag service: service times]")
        .with_start_time(UNIX_EPOCH + seconds(first))
        .with_base_time(UNIX_EPOCH + seconds(first))
        .with_max_value_divisor(SHOWN)
        .begin_log_with(&mut log, &mut serializer)
        .expect("memory takes all");
    for run in runs {
        let began = seconds(run.origin.started - first);
        for (second, interval) in (0u32..).zip(&run.intervals) {
            let length = seconds((run.seconds - f64::from(second)).clamp(0.0, 1.0));
            for (times, tag) in [(&interval.response_ns, None), (&interval.service_ns, Tag::new("service"))] {
                let begin = began + Duration::from_secs(second.into());
                let written = writer.write_histogram(&times.histogram(), begin, length, tag);
                written.expect("memory takes all, and the bounds of a histogram of ours have a code");
            }
        }
    }
    String::from_utf8(log).expect("a log is ASCII")
}

/// Of a number that may be any.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
