//! What `unstick load` writes beside its text: a page for a browser, and a log that a public tool reads.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use unstick::load::{self, Times};

use crate::harness::{Serve, run};

/// Prints the intervals of a log, one JSON object a line.
const READER: &str = r#"
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600000000000, 3))
while (read := reader.get_next_interval_histogram()) is not None:
    percentiles = [read.get_value_at_percentile(percentile) for percentile in (50, 90, 99, 99.9)]
    print(json.dumps({
        "tag": read.get_tag(), "count": read.get_total_count(), "percentiles": percentiles,
        "min": read.get_min_value(), "max": read.get_max_value(),
    }))
"#;

/// A file for this test alone.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("outputs-{name}-{}", std::process::id()))
}

/// A python that has the package hdrhistogram; `.ci/run` names one that it installed.
fn python() -> Option<String> {
    let named = env::var("PYTHON_WITH_HDRHISTOGRAM").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let has_it = Command::new(&python).args(["-c", "import hdrh"]).output().is_ok_and(|ran| ran.status.success());
    assert!(has_it || named.is_none(), "{python} has no module hdrh");
    has_it.then_some(python)
}

/// What the tool says of a second is what our JSON says.
#[track_caller]
fn assert_same(read: &Value, times: &Times) {
    let number = |name: &str| read[name].as_u64().unwrap();
    assert_eq!(number("count"), times.count(), "{read}");
    let (Some(min), Some(max)) = (times.min(), times.max()) else { return };
    // To three digits: the tool knows but the bounds of a bucket.
    assert!(number("min") <= min && min - number("min") <= min / 1000, "{min}: {read}");
    assert!(number("max") >= max && number("max") - max <= max / 1000, "{max}: {read}");
    for (index, quantile) in [0.5, 0.9, 0.99, 0.999].into_iter().enumerate() {
        let value = read["percentiles"][index].as_u64().unwrap().clamp(min, max);
        // The tool rounds to the nearest frame, and we up to the next.
        let one_less = quantile - 1.0 / times.count() as f64;
        let ours = [quantile, one_less.max(0.0)].map(|quantile| times.quantile(quantile).unwrap());
        assert!(ours.contains(&value), "{quantile}: {ours:?}, {read}");
    }
}

#[test]
fn a_log_is_read_by_a_public_tool() {
    let serve = Serve::start_as_it_is(&["--echo", "--print", "none"]);
    let (log, json) = (file("hlog"), file("json"));
    let [log, json] = [&log, &json].map(|path| path.to_str().unwrap());
    let addr = serve.addr.to_string();
    let flags = ["--rate", "2000", "--seconds", "2.5", "--connections", "8", "--max-send-lag", "60"];
    let ran = run(&[&["load", &addr, "--hlog", log, "--json", json], &flags[..]].concat(), b"");
    // This machine may be too busy for the rate.
    assert!([0, 10].contains(&ran.code), "{}{}", ran.text(), ran.err);
    serve.stop();
    let text = fs::read_to_string(log).unwrap();
    assert!(text.starts_with("#[Histogram log format version 1.3]\n") && text.contains("#[StartTime: "), "{text}");
    assert!(text.contains("\nTag=service,2.000,0.500,"), "{text}");

    let Some(python) = python() else {
        println!(
            "LEFT OUT: python3 has no module hdrh, so the log was not read by it; .ci/run installs hdrhistogram of PyPI"
        );
        return;
    };
    let ran = Command::new(python).args(["-c", READER, log]).output().unwrap();
    let (out, err) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8_lossy(&ran.stderr).into_owned());
    assert!(ran.status.success(), "{err}");
    let read: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcome = load::from_json(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((read.len(), outcome.intervals.len()), (6, 3), "{out}");
    for (second, interval) in outcome.intervals.iter().enumerate() {
        let [response, service] = [&read[2 * second], &read[2 * second + 1]];
        assert_eq!((response["tag"].as_str(), service["tag"].as_str()), (None, Some("service")));
        assert_same(response, &interval.response_ns);
        assert_same(service, &interval.service_ns);
    }
}

#[test]
fn a_page_is_written_and_shows_the_server() {
    let serve = Serve::start_as_it_is(&["--echo", "--print", "none"]);
    let (page, pid) = (file("html"), serve.program.id().to_string());
    let (addr, path) = (serve.addr.to_string(), page.to_str().unwrap());
    let flags = ["--seconds", "2.5", "--connections", "8", "--html", path, "--server-pid", &pid];
    let ran = run(&[&["load", &addr], &flags[..]].concat(), b"");
    assert_eq!(ran.code, 0, "{}{}", ran.text(), ran.err);
    assert!(ran.text().contains(" % of a core (user "), "{}", ran.text());
    let text = fs::read_to_string(&page).unwrap();
    for part in ["<!DOCTYPE html>", "✓ Verified", "How busy was the server?", &format!("--server-pid {pid}")] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ran = run(&["load", &addr, "--frames", "64", "--html", "/nowhere/page.html"], b"");
    assert!(ran.code == 1 && ran.text().starts_with("every byte of 64 frames"), "{}{}", ran.text(), ran.err);
    let ran = run(&["load", &addr, "--server-pid", "4294967295"], b"");
    assert!(ran.code == 2 && ran.err.contains("there is no process 4294967295"), "{}", ran.err);
    serve.stop();
}
