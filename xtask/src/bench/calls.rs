//! System calls, counted by strace over the frames that were answered.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use unstick::load::{Plan, Target};

use super::drive::{Host, plan, run};
use super::figures::Figures;
use super::peers::{Kind, Service, Setup};
use super::{Group, Pace};
use crate::evidence::Done;

/// What calls are for.
const PURPOSES: [(&str, &[&str]); 3] = [
    ("reads a frame", &["read", "readv", "recvfrom", "recvmsg"]),
    ("writes a frame", &["write", "writev", "sendto", "sendmsg"]),
    ("waits a frame", &["epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl"]),
];
/// Calls that are made less often for a frame are not named.
const NAMED: f64 = 0.005;

/// Counts with one frame in flight on each of 50 connections.
pub(super) fn measure(pace: &Pace, figures: &mut Figures) -> Done<()> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: system calls are counted by strace, which is not installed (apt-get install strace)");
        return Ok(());
    }
    for kind in [Kind::Ours, Kind::TokioFeed] {
        let contest = ("50 × 1 × 64 B", kind.name());
        pace.begins(contest.1);
        // What a longer run has more than a shorter one: so what begins and ends a run is not counted.
        let ((before, few), (calls, many)) = (count(kind, pace, 1)?, count(kind, pace, 4)?);
        let frames = many.checked_sub(few).filter(|frames| *frames > 0).ok_or("the machine is too busy")? as f64;
        let a_frame = |name: &str| {
            let of = |calls: &BTreeMap<String, u64>| calls.get(name).copied().unwrap_or(0);
            of(&calls).saturating_sub(of(&before)) as f64 / frames
        };
        for (measure, names) in PURPOSES {
            figures.add(Group::Calls, contest, measure, &[names.iter().map(|name| a_frame(name)).sum()]);
        }
        for name in calls.keys().filter(|name| a_frame(name) >= NAMED) {
            figures.add(Group::Calls, contest, &format!("{name} a frame"), &[a_frame(name)]);
        }
    }
    Ok(())
}

/// Calls by name in a run that is so many times as long as others, and the frames that were answered.
fn count(kind: Kind, pace: &Pace, times: u32) -> Done<(BTreeMap<String, u64>, u64)> {
    let file = std::env::temp_dir().join(format!("unstick-bench-{}.calls", std::process::id()));
    let host = Host::start(&Setup::new(kind, Service::ECHO, pace.cores.server()), Some(&file))?;
    let plan = Plan { target: Target::Tcp(vec![host.addr]), ..plan(50, 1, 64) };
    let (_, frames) = run(&host, &Plan { duration: times * plan.duration, ..plan })?;
    host.stop()?;
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok((parse(&text), frames))
}

/// The table that `strace -c` writes: calls stand in the fourth column, names in the last.
fn parse(text: &str) -> BTreeMap<String, u64> {
    let calls = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, calls) = (*fields.last()?, fields.get(3)?.parse().ok()?);
        (name != "total" && fields[0].parse::<f64>().is_ok()).then(|| (name.to_string(), calls))
    };
    text.lines().filter_map(calls).collect()
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
100.00    0.007962           3      2200       989 total
";
        assert_eq!(parse(text), BTreeMap::from([("read".into(), 1000), ("write".into(), 1200)]));
    }
}
