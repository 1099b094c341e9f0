//! `cargo xtask bench`: every speed goal as a ratio, ours and the peers' measured in turn within one run.

mod calls;
mod cases;
mod drive;
mod figures;
mod goals;
mod instructions;
mod memory;
mod micro;
mod network;
mod page;
mod peers;
mod plots;
/// What the benches for people run too: the streams, and the peers' decoders.
#[path = "../../../benches/peers/mod.rs"]
mod shared;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub(crate) use instructions::{LoopArgs, run_loop};
pub(crate) use peers::{PeerArgs, serve_as_peer, tokio_echo};

use crate::child::{self, Cores};
use crate::evidence::{self, Done};
use figures::Figures;

/// Measure every speed goal as a ratio to the peers, in one run, and write BENCHMARKS.md
///
/// Prints the least, the median and the greatest of each ratio, and whether every round meets the goal. Ours and the peers run
/// in turn, so that other work of the machine affects all of them. A server runs on the first core, its load on the last one,
/// over loopback, in its own network namespace if possible.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only these groups of rows; nothing is written, unless --out says where
    #[arg(long, value_name = "GROUP", value_enum, value_delimiter = ',')]
    only: Vec<Group>,

    /// Only contests whose names begin so, as in "50 × 64"
    #[arg(long, value_name = "TEXT", default_value = "", requires = "only")]
    what: String,

    /// Also measure the server of another build of this program under the same load: PATH is its executable
    #[arg(long, value_name = "PATH", requires = "only")]
    before: Option<PathBuf>,

    /// Rounds of each comparison
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: NonZeroUsize,

    /// Write the data, BENCHMARKS.md and the plots below this folder instead of the repository
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,

    /// Measure nothing: print the rows of the last whole run again, and write BENCHMARKS.md and the plots from its data
    #[arg(long, conflicts_with_all = ["only", "rounds", "out"])]
    page: bool,

    /// Instead, count instructions a frame by callgrind, and fail if a loop takes 5 % more than benches/instructions.json says
    #[arg(long, conflicts_with_all = ["only", "rounds", "out", "page"])]
    instructions: bool,

    /// Write the counted instructions to benches/instructions.json
    #[arg(long, requires = "instructions")]
    bless: bool,

    /// This process is in its own network namespace
    #[arg(long, hide = true)]
    inside: bool,
}

/// Rows that are measured together: numbers and names of the goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
enum Group {
    /// 1 decode, borrowed
    Decode,
    /// 2 decode, owned
    Owned,
    /// 3 encode
    Encode,
    /// 4 any format
    Formats,
    /// 5 splits
    Splits,
    /// 6 end to end
    Serve,
    /// 6 end to end, own payloads
    Own,
    /// 7 memory
    Memory,
    /// 8 cost of connections
    Connections,
    /// 8 a second thread
    Threads,
    /// 9 system calls
    Calls,
    /// 10 handlers that wait
    Waiting,
    /// 11 push
    Push,
    /// 12 TLS
    Tls,
    /// 13 load engine
    Load,
    /// 14 codec for tokio
    Codec,
}

/// What is measured how often, and where.
#[derive(Clone, Debug)]
struct Pace {
    /// Only contests that begin so.
    what: String,
    /// Another build of this program whose server is measured, too.
    before: Option<PathBuf>,
    rounds: usize,
    cores: Cores,
}

impl Pace {
    /// Whether a contest is to be measured; if it is, says so.
    fn begins(&self, what: &str) -> bool {
        let begins = what.starts_with(&self.what);
        if begins {
            eprintln!("measuring: {what}");
        }
        begins
    }
}

/// In which order contestants run in a round: it turns with every round.
fn order(round: usize, contestants: usize) -> Vec<usize> {
    let turned = |index| if round % 2 == 0 { index } else { contestants - 1 - index };
    (0..contestants).map(turned).collect()
}

/// Measures, prints and writes.
pub(crate) fn run(args: &Args) -> Done<ExitCode> {
    if args.instructions {
        return instructions::run(args.bless);
    }
    let repository = evidence::root();
    if args.page {
        let figures = Figures::read(&data(&repository))?;
        println!("{}", page::all(&figures));
        return page::write(&figures, &repository).map(|()| ExitCode::SUCCESS);
    }
    if args.inside {
        network::prepare()?;
    } else if let Some(code) = network::run_inside()? {
        return Ok(code);
    }
    child::raise_open_files();
    let (what, before) = (args.what.clone(), args.before.clone());
    let pace = Pace { what, before, rounds: args.rounds.get(), cores: Cores::allowed()? };
    // The commit now, as it may be another one when the run ends.
    let circumstances = page::circumstances(pace.rounds, network::describe(args.inside))?;
    let mut figures = Figures { circumstances, ..Figures::default() };
    child::stay_on(pace.cores.load())?;
    for group in <Group as clap::ValueEnum>::value_variants() {
        if args.only.is_empty() || args.only.contains(group) {
            // Where something fails, all else is measured.
            group.measure(&pace, &mut figures).unwrap_or_else(|error| figures.failed(&format!("{group:?}"), &error));
        }
    }
    println!("{}", page::all(&figures));
    if let Some(folder) = args.out.as_ref().or(args.only.is_empty().then_some(&repository)) {
        figures.write(&data(folder))?;
        page::write(&figures, folder)?;
    }
    Ok(if figures.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the data is, below the folder of `BENCHMARKS.md`.
fn data(folder: &Path) -> PathBuf {
    folder.join("xtask/evidence/bench.json")
}

impl Group {
    fn measure(self, pace: &Pace, figures: &mut Figures) -> Done<()> {
        match self {
            Group::Decode | Group::Owned | Group::Encode | Group::Formats | Group::Splits | Group::Codec => {
                micro::measure(self, pace, figures);
            }
            Group::Serve | Group::Own | Group::Tls => cases::echoes(self, pace, figures),
            Group::Memory => memory::idle(pace, figures)?,
            Group::Connections => cases::connections(pace, figures),
            Group::Threads => cases::threads(pace, figures)?,
            Group::Calls => calls::measure(pace, figures)?,
            Group::Waiting => {
                cases::echoes(self, pace, figures);
                memory::waiting(pace, figures)?;
            }
            Group::Push => cases::push(pace, figures),
            Group::Load => cases::load(pace, figures)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contestants_run_in_turn_and_the_order_turns() {
        assert_eq!((0..3).flat_map(|round| order(round, 2)).collect::<Vec<_>>(), [0, 1, 1, 0, 0, 1]);
    }
}
