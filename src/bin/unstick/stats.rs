//! `unstick serve --stats`: the statistics of a server, in a line.

use std::time::Duration;

use smol::Timer;
use unstick::{Account, CloseKind, Stats};

use crate::exit::log;

/// The statistics line, and the reasons in it, for `--help`.
pub(crate) fn help() -> String {
    let mut reasons = String::from("  ");
    for (index, kind) in CloseKind::ALL.iter().enumerate() {
        let name = kind.name();
        let line = reasons.lines().last().unwrap_or_default();
        match (index, line.len() + name.len() < 76) {
            (0, _) => {}
            (_, true) => reasons.push_str(", "),
            (_, false) => reasons.push_str(",\n  "),
        }
        reasons.push_str(name);
    }
    format!(
        "\
Statistics (--stats; accepted = active + closed):
  stats: accepted 3, active 1, refused 1; in 9 frames, 81 bytes; out 12 frames,
  108 bytes; buffered 0 bytes; accept failures 0; closed 2: clean 1, refused 1

Reasons why a connection closed, also in --metrics:
{reasons}"
    )
}

/// Prints the line at this interval if it has changed. Never ends.
pub(crate) async fn report(account: Account, every: Duration) -> Stats {
    let mut last = None;
    loop {
        Timer::after(every).await;
        let stats = account.stats();
        if last.replace(stats) != Some(stats) {
            print(&stats);
        }
    }
}

pub(crate) fn print(stats: &Stats) {
    log(format_args!("stats: {stats}"));
}
