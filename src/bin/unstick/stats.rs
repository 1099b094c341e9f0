//! `unstick serve --stats`: what a server did so far, in a line.

use std::fmt;
use std::time::Duration;

use smol::Timer;
use unstick::{Account, CloseKind, Stats};

use crate::exit::log;

/// What the line says, for `--help`.
pub(crate) fn help() -> String {
    let reasons: Vec<&str> = CloseKind::ALL.iter().map(|kind| kind.name()).collect();
    format!(
        "\
--stats prints lines such as
  stats: accepted 3, active 1, refused 1; in 9 frames, 81 bytes; out 12 frames, 108 bytes; buffered 0 bytes; \
         accept failures 0; closed 2: clean 1, refused 1
where accepted = active + closed, and closed is counted by the one reason of each connection's end. The reasons are, also in
--metrics:
  {}
  {}",
        reasons[..9].join(", ") + ",",
        reasons[9..].join(", ")
    )
}

/// Prints the line in this interval where something has changed, for ever.
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
    log(format_args!("stats: {}", Line(stats)));
}

/// One line, whose fixed part comes first.
struct Line<'a>(&'a Stats);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.0;
        let (traffic, closed) = (stats.traffic, stats.closed());
        write!(f, "accepted {}, active {}, refused {}; ", stats.accepted, stats.active, stats.refused())?;
        write!(f, "in {} frames, {} bytes; ", traffic.frames_in, traffic.bytes_in)?;
        write!(f, "out {} frames, {} bytes; ", traffic.frames_out, traffic.bytes_out)?;
        write!(f, "buffered {} bytes; accept failures {}; closed {closed}", stats.buffered, stats.accept_failures)?;
        let reasons = CloseKind::ALL.iter().map(|kind| (kind.name(), stats.closes(*kind)));
        for (index, (name, count)) in reasons.filter(|(_, count)| *count > 0).enumerate() {
            let before = if index == 0 { ": " } else { ", " };
            write!(f, "{before}{name} {count}")?;
        }
        Ok(())
    }
}
