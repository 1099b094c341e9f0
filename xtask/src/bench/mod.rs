//! `cargo xtask bench`: every speed goal as a ratio, ours and the peers' measured in turn within one run.

mod calls;
mod contest;
mod cost;
mod drive;
mod held;
mod host;
mod instructions;
mod load;
mod memory;
mod micro;
mod network;
mod outcome;
mod peers;
mod plot;
mod publish;
mod push;
mod rounds;
mod serve;
/// What the benches for people run too: the streams, and the peers' decoders.
#[path = "../../../benches/peers/mod.rs"]
mod shared;
mod table;

use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use peers::{PeerArgs, serve_as_peer, tokio_echo};

use crate::child::{self, Cores};
use outcome::Span;
use peers::Kind;
use table::{Row, Table};

/// Measure every speed goal as a ratio to the peers, in one run, and write BENCHMARKS.md
///
/// Prints a table with the least, the median and the greatest of each ratio, and whether the median meets the goal. Ours and
/// the peers run in turn, so that other work of the machine affects all of them. A server runs on the first core, its load on
/// the last one, over loopback, in its own network namespace if possible.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only check that everything runs: once, for a short time, with few connections; nothing is judged or written
    #[arg(long)]
    quick: bool,

    /// Only these groups of rows; nothing is written, unless --out says where
    #[arg(long, value_name = "GROUP", value_enum, value_delimiter = ',')]
    only: Vec<Group>,

    /// Of servers under load, only these shapes of each group, numbered from 1 in the order of the table
    #[arg(long, value_name = "N", value_delimiter = ',', requires = "only")]
    shapes: Vec<usize>,

    /// Also measure the server of another build of this program under the same load: PATH is its executable
    #[arg(long, value_name = "PATH", requires = "only")]
    before: Option<PathBuf>,

    /// Rounds of each comparison
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    rounds: Option<NonZeroUsize>,

    /// Write BENCHMARKS.md and the plots below this folder instead of the repository
    #[arg(long, value_name = "FOLDER", conflicts_with = "quick")]
    out: Option<PathBuf>,

    /// Instead, count instructions a frame by callgrind, and fail if a path takes 5 % more than benches/instructions.json says
    #[arg(long, conflicts_with_all = ["quick", "only", "rounds", "out"])]
    instructions: bool,

    /// Write the counted instructions to benches/instructions.json
    #[arg(long, requires = "instructions")]
    bless: bool,

    /// This process is in its own network namespace
    #[arg(long, hide = true)]
    inside: bool,
}

/// Rows that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Goal 1
    Decode,
    /// Goal 2
    Owned,
    /// Goal 3
    Encode,
    /// Goal 4
    Formats,
    /// Goal 5
    Splits,
    /// Goal 6: end to end
    Serve,
    /// Goal 6: a server's own payloads
    Own,
    /// Goal 7
    Memory,
    /// Goal 8: CPU a frame over connections
    Connections,
    /// Goal 8: a second thread
    Threads,
    /// Goal 9: system calls
    Calls,
    /// Goal 10: handlers that wait
    Waiting,
    /// Goal 11: each sender's frames to every receiver
    Push,
    /// Goal 12: echoes over TLS
    Tls,
    /// Goal 13: the load engine's own speed
    Load,
}

/// How often and how long is measured, and where.
#[derive(Clone, Debug)]
struct Pace {
    quick: bool,
    /// Of servers under load, only these shapes, from 1 on; empty: all of them.
    shapes: Vec<usize>,
    /// Another build of this program whose server is measured, too.
    before: Option<PathBuf>,
    /// Of servers.
    rounds: usize,
    span: Span,
    /// Rounds of code in this process, and the time that each piece of it has in a round.
    slices: usize,
    slice: Duration,
    cores: Cores,
}

impl Pace {
    fn quick() -> io::Result<Pace> {
        Ok(Pace { quick: true, ..Pace::new(1, 1, [10, 60, 1])? })
    }

    /// The times are in milliseconds: of a warm-up, of what is counted, of a slice.
    fn new(rounds: usize, slices: usize, [warm_up, counted, slice]: [u64; 3]) -> io::Result<Pace> {
        Ok(Pace {
            quick: false,
            shapes: Vec::new(),
            before: None,
            rounds,
            span: Span { warm_up: Duration::from_millis(warm_up), counted: Duration::from_millis(counted) },
            slices,
            slice: Duration::from_millis(slice),
            cores: Cores::allowed()?,
        })
    }

    /// Those of a group's shapes that are to be measured.
    fn chosen<T: Copy>(&self, shapes: &[T]) -> impl Iterator<Item = T> {
        let chosen = |index: usize| self.shapes.is_empty() || self.shapes.contains(&(index + 1));
        shapes.iter().enumerate().filter(move |(index, _)| chosen(*index)).map(|(_, shape)| *shape)
    }

    /// Says what is measured now.
    fn say(&self, what: &str) {
        eprintln!("measuring: {what}");
    }
}

/// What a group found.
#[derive(Debug, Default)]
struct Findings {
    rows: Vec<Row>,
    /// Figures that are no ratios, each table with its title.
    figures: Vec<(String, Table)>,
    /// For each payload length: the contestants and their nanoseconds a frame.
    decode: Vec<(usize, Vec<(&'static str, f64)>)>,
    /// A server, its connections, its nanoseconds of CPU a frame.
    cost: Vec<(Kind, usize, f64)>,
}

/// Measures, prints and writes.
///
/// # Errors
/// Where a peer cannot be run or fails, or a file not be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.instructions {
        return instructions::run(args.bless);
    }
    if args.inside {
        network::prepare()?;
    } else if let Some(code) = network::run_inside()? {
        return Ok(code);
    }
    crate::child::raise_open_files();
    let pace = args.pace()?;
    // The commit now, as it may be another one when the run ends.
    let folder = args.folder().map(|folder| Ok::<_, Box<dyn Error>>((folder, publish::commit()?))).transpose()?;
    child::stay_on(pace.cores.load())?;
    let mut findings = Findings::default();
    for group in args.groups() {
        group.measure(&pace, &mut findings)?;
    }
    println!("{}", table::of_rows(&findings.rows, !args.quick));
    for (title, table) in &findings.figures {
        println!("{title}\n\n{table}");
    }
    if !args.quick {
        println!("{}", table::summary(&findings.rows));
    }
    if let Some((folder, commit)) = folder {
        publish::write(&findings, &network::describe(args.inside), commit, folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn pace(&self) -> io::Result<Pace> {
        let pace = match (self.quick, self.rounds) {
            (true, _) => Pace::quick(),
            (false, None) => Pace::new(5, 40, [300, 1000, 4]),
            (false, Some(rounds)) => Pace::new(rounds.get(), 8 * rounds.get(), [300, 1000, 4]),
        };
        Ok(Pace { shapes: self.shapes.clone(), before: self.before.clone(), ..pace? })
    }

    /// Where to write, if anywhere.
    fn folder(&self) -> Option<&Path> {
        match &self.out {
            Some(folder) => Some(folder),
            None => (!self.quick && self.only.is_empty()).then(publish::root),
        }
    }

    fn groups(&self) -> Vec<Group> {
        match &self.only[..] {
            [] => <Group as clap::ValueEnum>::value_variants().into(),
            only => only.into(),
        }
    }
}

impl Group {
    fn measure(self, pace: &Pace, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
        match self {
            Group::Decode => micro::decode(pace, findings),
            Group::Owned => micro::owned(pace, findings),
            Group::Encode => micro::encode(pace, findings),
            Group::Formats => micro::any_format(pace, findings),
            Group::Splits => micro::splits(pace, findings),
            Group::Serve => serve::echo(pace, findings)?,
            Group::Own => serve::own(pace, findings)?,
            Group::Memory => memory::measure(pace, findings)?,
            Group::Connections => cost::connections(pace, findings)?,
            Group::Threads => cost::threads(pace, findings)?,
            Group::Calls => calls::measure(pace, findings)?,
            Group::Waiting => {
                serve::waiting(pace, findings)?;
                memory::waiting(pace, findings)?;
            }
            Group::Push => push::measure(pace, findings)?,
            Group::Tls => serve::sealed(pace, findings)?,
            Group::Load => load::measure(pace, findings)?,
        }
        Ok(())
    }
}
