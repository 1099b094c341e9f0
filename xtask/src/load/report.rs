//! What a run showed: as a few aligned lines, and as JSON.

use std::fmt::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::generator::{ConnectionFault, Outcome, Plan};
use super::process::Cpu;

/// The quantiles that are shown, by name.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// All there is to say of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) outcome: Outcome,
    /// `None` where the server is not ours.
    pub(crate) server: Option<ServerUse>,
    /// What the load took itself: near a whole core, it is the limit and not the server.
    pub(crate) load_cpu: Option<Cpu>,
    /// From before the first connect to after the last end: what the times on the cores relate to.
    pub(crate) wall: Duration,
}

/// What the server took, and how it ended.
#[derive(Debug)]
pub(crate) struct ServerUse {
    pub(crate) threads: usize,
    pub(crate) cpu: Option<Cpu>,
    /// In bytes.
    pub(crate) peak_memory: Option<u64>,
    /// What is wrong with how it ended.
    pub(crate) failure: Option<String>,
    /// The last of what it said, where that may explain a failure.
    pub(crate) said: Vec<String>,
}

/// The one thing to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Verified,
    /// Ended before its time, and all was right until then.
    Incomplete,
    Failed,
}

impl Report {
    pub(crate) fn verdict(&self) -> Verdict {
        match self.outcome.interrupted {
            _ if !self.failures().is_empty() => Verdict::Failed,
            true => Verdict::Incomplete,
            false => Verdict::Verified,
        }
    }

    /// What is wrong, a line each.
    pub(crate) fn failures(&self) -> Vec<String> {
        let Report { plan, outcome, .. } = self;
        let mut failures = by_kind(&outcome.faults);
        let missing = outcome.begun - outcome.answered;
        // What is in flight when a run is broken off is not lost.
        if missing > 0 && !(outcome.interrupted && outcome.faults.is_empty()) {
            failures.push(format!("{} of {} frames have no right reply", count(missing), count(outcome.begun)));
        }
        if outcome.interrupted {
            // What was asked for did not happen, and the verdict says so.
        } else if outcome.answered == 0 {
            failures.push("nothing was measured: not one right reply came".into());
        } else if outcome.silent > 0 {
            failures.push(format!("{} of {} connections got no right reply", outcome.silent, plan.connections));
        }
        if let Some(asked) = plan.frames
            && outcome.begun < asked
            && !outcome.interrupted
        {
            failures.push(format!("{} frames where {} were asked for", count(outcome.begun), count(asked)));
        }
        if let Some(server) = &self.server {
            failures.extend(server.failure.clone());
            if !failures.is_empty() {
                failures.extend(server.said.iter().map(|said| format!("the server said: {said}")));
            }
        }
        failures
    }

    pub(crate) fn json(&self) -> Value {
        let Report { plan, outcome, .. } = self;
        let mut round_trip = json!({ "max": outcome.longest });
        for (name, quantile) in QUANTILES {
            round_trip[name] = json!(self.round_trip(quantile));
        }
        json!({
            "verdict": match self.verdict() {
                Verdict::Verified => "verified",
                Verdict::Incomplete => "incomplete",
                Verdict::Failed => "failed",
            },
            "failures": self.failures(),
            "format": plan.format.layout().to_string(),
            "connections": plan.connections,
            "in_flight": plan.in_flight,
            "payload_bytes": plan.payload_len,
            "seconds": outcome.elapsed.as_secs_f64(),
            "frames_sent": outcome.begun,
            "frames_verified": outcome.answered,
            "payload_bytes_verified": outcome.answered * plan.payload_len as u64,
            "frames_per_second": self.frames_per_second(),
            "payload_bytes_per_second": self.frames_per_second() * plan.payload_len as f64,
            "round_trip_ns": round_trip,
            "load_cpu": self.load_cpu.map(|cpu| self.cpu_json(cpu)),
            "server": self.server.as_ref().map(|server| json!({
                "threads": server.threads,
                "cpu": server.cpu.map(|cpu| self.cpu_json(cpu)),
                "peak_memory_bytes": server.peak_memory,
            })),
        })
    }

    fn cpu_json(&self, cpu: Cpu) -> Value {
        json!({
            "user_seconds": cpu.user.as_secs_f64(),
            "system_seconds": cpu.system.as_secs_f64(),
            "percent_of_a_core": self.percent(cpu.total()),
            "ns_per_frame": self.per_frame(cpu),
        })
    }

    /// In nanoseconds. A histogram rounds up, so what it says is held to the longest one.
    fn round_trip(&self, quantile: f64) -> u64 {
        self.outcome.round_trips.value_at_quantile(quantile).min(self.outcome.longest)
    }

    fn frames_per_second(&self) -> f64 {
        match self.outcome.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.outcome.answered as f64 / seconds,
        }
    }

    fn percent(&self, time: Duration) -> f64 {
        100.0 * time.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }

    fn per_frame(&self, cpu: Cpu) -> Option<f64> {
        (self.outcome.answered > 0).then(|| cpu.total().as_nanos() as f64 / self.outcome.answered as f64)
    }

    fn cpu_text(&self, cpu: Option<Cpu>) -> String {
        let Some(cpu) = cpu else { return "not known on this system".into() };
        let (user, system) = (self.percent(cpu.user), self.percent(cpu.system));
        let mut text = format!("{:.0} % of a core (user {user:.0}, system {system:.0})", user + system);
        if let Some(nanoseconds) = self.per_frame(cpu) {
            _ = write!(text, ", {} a frame", duration(nanoseconds as u64));
        }
        text
    }

    fn verdict_text(&self) -> String {
        let Report { plan, outcome, .. } = self;
        let frames = count(outcome.answered);
        let right = match plan.payload_len {
            0 => format!("{frames} replies counted; an empty payload has no byte to verify"),
            _ => format!(
                "every byte of {frames} frames verified, in order, on {}",
                plural(plan.connections, "connection")
            ),
        };
        match self.verdict() {
            Verdict::Verified => right,
            Verdict::Incomplete => format!("INCOMPLETE: interrupted after {}; {right}", duration_text(outcome.elapsed)),
            Verdict::Failed => format!("FAILED; {frames} replies were right"),
        }
    }
}

/// The text: the verdict, what is wrong, and the numbers.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { plan, outcome, .. } = self;
        writeln!(f, "{}", self.verdict_text())?;
        for failure in self.failures() {
            writeln!(f, "  ! {failure}")?;
        }
        writeln!(
            f,
            "  {:<12}{} × {} in flight × {} B payload, {}, {}",
            "load",
            plural(plan.connections, "connection"),
            plan.in_flight,
            plan.payload_len,
            plan.format.layout(),
            duration_text(outcome.elapsed)
        )?;
        let frames_per_second = self.frames_per_second();
        let megabytes = frames_per_second * plan.payload_len as f64 / 1e6;
        let frames = count(frames_per_second as u64);
        writeln!(f, "  {:<12}{frames} frames/s, {megabytes:.1} MB/s of payload each way", "throughput")?;
        write!(f, "  {:<12}", "round trip")?;
        for (name, quantile) in QUANTILES {
            write!(f, "{name} {}   ", duration(self.round_trip(quantile)))?;
        }
        writeln!(f, "max {}   (closed loop)", duration(outcome.longest))?;
        if let Some(server) = &self.server {
            let cpu = self.cpu_text(server.cpu);
            writeln!(f, "  {:<12}{cpu}, {}", "server CPU", plural(server.threads, "thread"))?;
            let peak = server.peak_memory.map_or_else(|| "not known on this system".into(), memory);
            writeln!(f, "  {:<12}{peak} at most", "  memory")?;
        }
        write!(f, "  {:<12}{}", "load's CPU", self.cpu_text(self.load_cpu))
    }
}

/// The faults, those of a kind together: how many, and the first one.
fn by_kind(faults: &[ConnectionFault]) -> Vec<String> {
    let mut kinds: Vec<(&str, usize, &ConnectionFault)> = Vec::new();
    for fault in faults {
        match kinds.iter_mut().find(|(name, ..)| *name == fault.fault.name()) {
            Some((_, count, _)) => *count += 1,
            None => kinds.push((fault.fault.name(), 1, fault)),
        }
    }
    let line = |(name, count, ConnectionFault { connection, reply, fault }): &(&str, usize, &ConnectionFault)| {
        let first = if *count > 1 { "the first: " } else { "" };
        let connections = plural(*count, "connection");
        format!("{connections}, {name}: {first}connection {connection}, reply {reply}: {fault}")
    };
    kinds.iter().map(line).collect()
}

/// So many of a thing: `1 thread`, `2 threads`.
fn plural(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds to three digits, with their unit: `12.3 µs`.
fn duration(nanoseconds: u64) -> String {
    let (number, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let decimals = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.decimals$} {unit}")
}

pub(crate) fn duration_text(time: Duration) -> String {
    duration(time.as_nanos() as u64)
}

fn memory(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use unstick::framing::Format;

    use super::super::fault::Fault;
    use super::super::generator::Greeting;
    use super::*;

    /// A run of 1000 frames in 2 s whose round trips are 1 µs to 1000 µs; all is right.
    fn report() -> Report {
        let mut round_trips = Histogram::new_with_max(3_600_000_000_000, 3).unwrap();
        (1..=1000).for_each(|microseconds| round_trips.record(microseconds * 1000).unwrap());
        let outcome = Outcome {
            elapsed: Duration::from_secs(2),
            begun: 1000,
            answered: 1000,
            silent: 0,
            faults: vec![],
            interrupted: false,
            round_trips,
            longest: 1_000_000,
        };
        let plan = Plan {
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 4747)).into(),
            connections: 10,
            in_flight: 4,
            payload_len: 64,
            duration: Duration::from_secs(2),
            frames: None,
            drain: Duration::from_secs(1),
            format: Format::U32_LE,
            greeting: Greeting::None,
        };
        let cpu = Cpu { user: Duration::from_millis(500), system: Duration::from_millis(1500) };
        let server =
            Some(ServerUse { threads: 1, cpu: Some(cpu), peak_memory: Some(3 << 20), failure: None, said: vec![] });
        Report { plan, outcome, server, load_cpu: None, wall: Duration::from_millis(2500) }
    }

    #[test]
    fn all_right_reads_so() {
        let expected = "\
every byte of 1,000 frames verified, in order, on 10 connections
  load        10 connections × 4 in flight × 64 B payload, u32le, 2.00 s
  throughput  500 frames/s, 0.0 MB/s of payload each way
  round trip  p50 500 µs   p90 900 µs   p99 990 µs   p99.9 999 µs   max 1.00 ms   (closed loop)
  server CPU  80 % of a core (user 20, system 60), 2.00 ms a frame, 1 thread
    memory    3.0 MiB at most
  load's CPU  not known on this system";
        assert_eq!(report().to_string(), expected);
        assert_eq!(report().verdict(), Verdict::Verified);
    }

    #[test]
    fn the_json_has_the_same_numbers() {
        let json = report().json();
        assert_eq!(json["verdict"], "verified");
        assert_eq!(json["frames_verified"], 1000);
        assert_eq!(json["payload_bytes_verified"], 64_000);
        assert_eq!(json["frames_per_second"], 500.0);
        assert_eq!(json["server"]["cpu"]["percent_of_a_core"], 80.0);
        assert_eq!(json["server"]["cpu"]["ns_per_frame"], 2_000_000.0);
        assert_eq!(json["server"]["peak_memory_bytes"], 3 << 20);
        assert_eq!(json["round_trip_ns"]["max"], 1_000_000);
        assert!(json["load_cpu"].is_null());
    }

    #[test]
    fn no_quantile_is_above_the_longest_nor_below_a_lower_one() {
        for longest in [1, 999, 1_000_001, 123_456_789, 59_999_999_999] {
            let mut report = report();
            report.outcome.round_trips.reset();
            report.outcome.round_trips.record_n(longest, 5).unwrap();
            report.outcome.longest = longest;
            let quantiles = QUANTILES.map(|(_, quantile)| report.round_trip(quantile));
            assert!(quantiles.is_sorted() && quantiles[3] <= longest, "{quantiles:?} of {longest}");
        }
    }

    #[test]
    fn an_empty_payload_is_counted_and_not_called_verified() {
        let mut report = report();
        report.plan.payload_len = 0;
        let text = report.to_string();
        assert!(text.starts_with("1,000 replies counted; an empty payload has no byte to verify\n"), "{text}");
    }

    /// A failed run, for each reason there is.
    #[test]
    fn whatever_is_wrong_fails_with_a_line_that_says_what_and_how_many() {
        let fault = |connection, fault| ConnectionFault { connection, reply: 7, fault };
        type Break = fn(&mut Report);
        let cases: [(&str, Break); 5] = [
            ("nothing was measured: not one right reply came", |report| {
                (report.outcome.begun, report.outcome.answered, report.outcome.silent) = (0, 0, 10);
            }),
            ("3 of 10 connections got no right reply", |report| report.outcome.silent = 3),
            ("12 of 1,000 frames have no right reply", |report| report.outcome.answered = 988),
            ("1,000 frames where 2,000 were asked for", |report| report.plan.frames = Some(2000)),
            ("the server ended with 1", |report| {
                report.server.as_mut().unwrap().failure = Some("the server ended with 1".into());
            }),
        ];
        for (expected, break_it) in cases {
            let mut report = report();
            break_it(&mut report);
            assert_eq!((report.verdict(), report.failures()), (Verdict::Failed, vec![expected.to_owned()]));
            assert!(report.to_string().contains(&format!("\n  ! {expected}\n")));
            assert_eq!(report.json()["verdict"], "failed");
        }
        let mut report = report();
        report.server.as_mut().unwrap().said = vec!["1.2.3.4:5 closed: reset".into()];
        assert_eq!(report.failures(), Vec::<String>::new());
        report.outcome.faults = vec![fault(3, Fault::Extra), fault(4, Fault::NoEnd), fault(5, Fault::Extra)];
        let expected = [
            "2 connections, not asked for: the first: connection 3, reply 7: a reply where nothing was in flight",
            "1 connection, not ended: connection 4, reply 7: all is answered, but the server did not end its stream after ours",
            "the server said: 1.2.3.4:5 closed: reset",
        ];
        assert_eq!((report.verdict(), report.failures()), (Verdict::Failed, expected.map(String::from).into()));
    }

    #[test]
    fn a_run_that_was_broken_off_is_incomplete_unless_something_was_wrong() {
        let mut report = report();
        (report.outcome.interrupted, report.outcome.answered) = (true, 990);
        assert_eq!(report.verdict(), Verdict::Incomplete);
        let expected = "INCOMPLETE: interrupted after 2.00 s; every byte of 990 frames verified";
        assert!(report.to_string().starts_with(expected), "{report}");
        report.outcome.faults.push(ConnectionFault { connection: 0, reply: 0, fault: Fault::Extra });
        assert_eq!(report.verdict(), Verdict::Failed);
    }

    #[test]
    fn numbers_read_well() {
        let counts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        let times = [0, 999, 1_000, 9_994, 9_996, 99_940, 99_960, 999_499, 1_500_000, 61_000_000_000].map(duration);
        let expected =
            ["0 ns", "999 ns", "1.00 µs", "9.99 µs", "10.0 µs", "99.9 µs", "100 µs", "999 µs", "1.50 ms", "61.0 s"];
        assert_eq!(times, expected);
    }
}
