//! Instructions a frame, by callgrind, which no noise of the machine moves: of this program's loops, `bench-loop`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

use super::shared::contests::{GROUPS, HAND};
use crate::evidence::{Done, root};

/// The figures that are held, below the repository.
const FILE: &str = "benches/instructions.json";
/// Group, contests, and contestants that are counted.
const COUNTED: [(&str, &[&str], &[&str]); 4] = [
    ("decode", &["0 B", "64 B"], &["feed", "cursor", "in place", HAND]),
    ("decode", &["0 B, a slice of 1 MiB", "64 B, a slice of 1 MiB"], &["slice", HAND]),
    ("encode", &["0 B", "64 B"], &["encoder", HAND]),
    ("formats", &["decode, 16 B", "encode, 16 B"], &["varint"]),
];
/// A loop runs so often in two runs. Their difference is without start and end.
const TIMES: [usize; 2] = [1, 3];
/// How much more is let pass, over the figure held.
const TOLERANCE: f64 = 0.05;

/// By compiler, `group / contest / contestant`: with another compiler they are others.
type Counts = BTreeMap<String, BTreeMap<String, f64>>;

/// Run a loop of the benches so often
#[derive(clap::Args, Debug)]
pub(crate) struct LoopArgs {
    group: String,
    what: String,
    who: String,
    times: usize,
}

/// Runs it, and prints its units of work.
pub(crate) fn run_loop(args: &LoopArgs) -> ExitCode {
    for (_, contests) in GROUPS.iter().filter(|(group, _)| *group == args.group) {
        contests(true, &mut |what, contestants| {
            for mut it in contestants.into_iter().filter(|it| what == args.what && it.name == args.who) {
                println!("{}", (0..args.times).map(|_| (it.run)()).sum::<usize>());
            }
        });
    }
    ExitCode::SUCCESS
}

/// Counts and compares with the figures held; with `bless`, holds the new ones.
pub(super) fn run(bless: bool) -> Done<ExitCode> {
    let path = root().join(FILE);
    let held: Counts = if bless { Counts::new() } else { serde_json::from_str(&fs::read_to_string(&path)?)? };
    let version = String::from_utf8(Command::new("rustc").arg("-vV").output()?.stdout)?;
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
    let compiler = format!("rustc {} for {}", field("release: "), field("host: "));
    let (mut counts, mut slower) = (BTreeMap::new(), 0);
    for (group, contests, contestants) in COUNTED {
        for (what, who) in contests.iter().flat_map(|what| contestants.iter().map(move |who| (what, who))) {
            let name = format!("{group} / {what} / {who}");
            let (few, units) = instructions([group, what, who], TIMES[0])?;
            let (many, more) = instructions([group, what, who], TIMES[1])?;
            let a_frame = (10.0 * (many - few) / (more - units)).round() / 10.0;
            let before = held.get(&compiler).and_then(|held| held.get(&name));
            slower += usize::from(before.is_some_and(|before| a_frame > before * (1.0 + TOLERANCE)));
            println!("{a_frame:8.1} {name}{}", before.map_or(String::new(), |before| format!(" (held: {before})")));
            counts.insert(name, a_frame);
        }
    }
    if bless {
        fs::write(&path, serde_json::to_string_pretty(&Counts::from([(compiler, counts)]))? + "\n")?;
        println!("{FILE} holds these figures now");
    } else if !held.contains_key(&compiler) {
        println!("not compared: held are figures of {:?}", held.keys());
    } else if slower > 0 {
        return Err(format!(
            "{slower} loops take over {:.0} % more instructions than held. If that is what it costs, say why in the commit, \
             and add --bless",
            100.0 * TOLERANCE
        )
        .into());
    }
    Ok(ExitCode::SUCCESS)
}

/// The instructions of a loop with its start and end, and its units of work.
fn instructions(named: [&str; 3], times: usize) -> Done<(f64, f64)> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    let run = valgrind.arg("bench-loop").args(named).arg(times.to_string()).output();
    let run = run.map_err(|error| format!("valgrind counts instructions: {error}; apt-get install valgrind"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    // As in `==PID== Collected : SUM`.
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    let units = String::from_utf8(run.stdout)?.trim().parse().ok();
    collected.zip(units).ok_or_else(|| format!("{named:?} under valgrind: {}\n{said}", run.status).into())
}
