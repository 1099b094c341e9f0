//! Goal 9, system calls: counted by strace, over the frames that were answered.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use unstick::load::Plan;

use super::drive;
use super::host::Host;
use super::outcome::Span;
use super::peers::{Kind, Setup};
use super::table::{Row, Table, Wanted, number};
use super::{Findings, Pace};

/// One call a frame; a run's edges may add a little.
const ONE: Wanted = Wanted::AtMost(1.01);

/// Counts at 50 × 1 × 64 B.
///
/// # Errors
/// Where strace is there but cannot watch a peer.
pub(super) fn measure(pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: system calls are counted by strace, which is not installed (apt-get install strace)");
        return Ok(());
    }
    let header = vec!["server", "call", "a frame"];
    let mut figures = Table { header, text_columns: 2, rows: Vec::new() };
    for kind in [Kind::Ours, Kind::TokioFeed] {
        pace.say(&format!("system calls, {}", kind.name()));
        let (counts, frames) = count(kind, pace)?;
        let a_frame = |calls: u64| calls as f64 / frames as f64;
        let sum = |names: &[&str]| {
            let calls = counts.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, calls)| calls);
            a_frame(calls.sum())
        };
        let mut row = |measure: &str, wanted: Wanted, value: f64| {
            let wanted = if kind == Kind::Ours { wanted } else { Wanted::Nothing };
            let (what, measure) = (format!("{}, 50 × 1 × 64 B", kind.name()), measure.into());
            findings.rows.push(Row { goal: 9, what, measure, wanted, samples: vec![value] });
        };
        row("reads a frame", ONE, sum(&["read", "readv", "recvfrom", "recvmsg"]));
        row("writes a frame", ONE, sum(&["write", "writev", "sendto", "sendmsg"]));
        row("calls for readiness a frame", ONE, sum(&["epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl"]));
        let each = counts.iter().filter(|(_, calls)| a_frame(*calls) >= 0.005);
        figures.rows.extend(each.map(|(name, calls)| vec![kind.name().into(), name.clone(), number(a_frame(*calls))]));
    }
    findings.figures.push(("System calls a frame at 50 × 1 × 64 B, those of 0.005 and more".into(), figures));
    Ok(())
}

/// Calls by name, and the frames that were answered meanwhile.
type Counted = (Vec<(String, u64)>, u64);

/// Calls by name, and the frames that were answered meanwhile: what a longer run has more than a shorter one, so that
/// what begins and ends a run is not counted.
fn count(kind: Kind, pace: &Pace) -> Result<Counted, Box<dyn Error>> {
    let longer = Span { counted: 4 * pace.span.counted, ..pace.span };
    let ((fewer, few), (more, many)) = (count_run(kind, pace, pace.span)?, count_run(kind, pace, longer)?);
    let before = |name: &str| fewer.iter().find(|(known, _)| known == name).map_or(0, |(_, calls)| *calls);
    let since = |(name, calls): (String, u64)| (calls.saturating_sub(before(&name)), name);
    let calls = more.into_iter().map(since).map(|(calls, name)| (name, calls)).collect();
    match many.checked_sub(few) {
        Some(frames @ 1..) => Ok((calls, frames)),
        _ => Err(format!("{few} frames in a short run, {many} in a long one: the machine is too busy").into()),
    }
}

fn count_run(kind: Kind, pace: &Pace, span: Span) -> Result<Counted, Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("unstick-bench-{}.calls", std::process::id()));
    let host = Host::start(&Setup::echo(kind, pace.cores.server()), Some(&file))?;
    let plan = Plan { in_flight: Some(1), ..drive::plan(host.addr, 50, 64, span) };
    let outcome = drive::run(&host, &plan)?;
    host.stop()?;
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok((parse(&text), outcome.replies_in_all))
}

/// The table that `strace -c` writes: calls stand in the fourth column, names in the last.
fn parse(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let calls = |fields: Vec<&str>| {
        let name = *fields.last()?;
        let calls = fields.get(3)?.parse().ok()?;
        (name != "total" && fields[0].parse::<f64>().is_ok()).then(|| (name.to_string(), calls))
    };
    lines.filter_map(calls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_table() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.77    0.004122           4      1000       989 read
 48.23    0.003840           3      1200           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.007962           3      2200       989 total
";
        assert_eq!(parse(text), [("read".to_string(), 1000), ("write".to_string(), 1200)]);
        assert_eq!(parse(""), []);
    }
}
