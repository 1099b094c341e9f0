//! `cargo xtask attack`: attacks a server in the ways that [`attacks`] lists, beside well-behaved clients, and reports whether it held.
//!
//! Each attack is an entry in [`attacks`], and has its own server, a process of this program ([`server`]), whose statistics,
//! memory and CPU time are measured from outside ([`scene`]). What limit it is about is said in ARCHITECTURE.md, too.

mod attacks;
mod healthy;
mod peer;
mod scene;
mod server;

use std::error::Error;
use std::fmt::Write;
use std::io::Write as _;
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use attacks::{ClientArgs, be_client};

use crate::child::raise_open_files;
use crate::network;
use crate::socket::Over;
use crate::text::parse_seconds;
use scene::{Attack, Row, mib, play};

/// The longest time for one attack: more than all timeouts in it together.
const LONGEST: Duration = Duration::from_secs(180);
/// How often an attack is made of which nothing is wrong but the time that something took.
const TRIES: usize = 3;
const HEADER: &str = "\
verdict  attack              over  MiB before   peak  after    CPU  p99 ms  longest  what the server did";

/// Attack a server in many ways, and check that it holds
///
/// Each attack has its own server process, and well-behaved clients beside it, which verify every byte of their
/// replies. For each attack it prints: the server's memory before, at most and after it; its CPU time; the 99th percentile
/// and the longest of the well-behaved clients' response times; and the reasons for which the server ended connections.
/// Exits with 0 only if every attack was held, with 1 otherwise, and with 2 for wrong flags. Uses only the loopback.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only these attacks; see --list
    #[arg(value_name = "NAME", value_parser = parse_name)]
    names: Vec<&'static Attack>,

    /// List the attacks, and exit
    #[arg(long)]
    list: bool,

    /// Attack only over these transports
    #[arg(long, value_name = "TRANSPORT", value_enum, value_delimiter = ',')]
    over: Vec<Over>,

    /// How long a flood lasts
    #[arg(long, value_name = "T", default_value = "0.5", value_parser = parse_seconds)]
    seconds: Duration,

    /// This process is in its own network namespace: print only the row
    #[arg(long, hide = true)]
    inside: bool,
}

/// Be the server of an attack
#[derive(clap::Args, Debug)]
pub(crate) struct ServerArgs {
    #[arg(value_parser = parse_name)]
    attack: &'static Attack,
    over: Over,
}

pub(crate) fn serve(&ServerArgs { attack, over }: &ServerArgs) -> Result<ExitCode, Box<dyn Error>> {
    server::serve(attack.config(over), over, attack.pushes)
}

/// Makes the attacks and reports the results.
///
/// # Errors
/// If none of the attacks is made over these transports.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.list {
        attacks::all().for_each(|attack| say(&format!("{:18}  {}\n", attack.name, attack.about)));
        return Ok(ExitCode::SUCCESS);
    }
    raise_open_files();
    let begin = Instant::now();
    let chosen: Vec<_> = args.chosen();
    if chosen.is_empty() {
        return Err("none of these attacks is made over these transports; see --list".into());
    }
    let (mut held, mut left_out, mut not_held) = (0, Vec::new(), Vec::new());
    if !args.inside {
        say(&format!("{HEADER}\n"));
    }
    // What waits for keepalive does so beside the others.
    let mut elsewhere = Vec::new();
    for (attack, over) in chosen {
        let name = format!("{} over {}", attack.name, over.name());
        if attack.cuts && !args.inside {
            match cut(attack) {
                Ok(child) => elsewhere.push((name, child)),
                Err(why) => left_out.push(format!("{name}: {why}")),
            }
            continue;
        }
        let row = in_time(attack, over, args.seconds);
        say(&lines(attack, over, &row));
        if row.is_held() { held += 1 } else { not_held.push(name) }
    }
    for (name, child) in elsewhere {
        let ended = child.wait_with_output()?;
        say(&String::from_utf8_lossy(&ended.stdout));
        if ended.status.success() { held += 1 } else { not_held.push(name) }
    }
    if !args.inside {
        left_out.iter().for_each(|why| say(&format!("left out: {why}\n")));
        say(&format!("held {held} of {} in {:.0?}\n", held + not_held.len(), begin.elapsed()));
        not_held.iter().for_each(|name| say(&format!("NOT HELD: {name}\n")));
    }
    Ok(if not_held.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    /// The attacks, each over the transports where it makes sense.
    fn chosen(&self) -> Vec<(&'static Attack, Over)> {
        let all =
            attacks::all().filter(|attack| self.names.is_empty() || self.names.iter().any(|it| it.name == attack.name));
        let over = |attack: &'static Attack| attack.over.iter().map(move |over| (attack, *over));
        all.flat_map(over).filter(|(_, over)| self.over.is_empty() || self.over.contains(over)).collect()
    }
}

/// Starts this program again in a network namespace of its own, for an attack that cuts connections.
fn cut(attack: &Attack) -> Result<Child, Box<dyn Error>> {
    let mut command: Command = network::own()?;
    // The network has a loopback, which is down.
    command.args(["sh", "-c", "ip link set lo up && exec \"$0\" attack --inside --over tcp \"$1\""]);
    command.arg(std::env::current_exe()?).arg(attack.name);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

/// Makes an attack; exits the process, and with it its server, if that takes too long. Whether something took too long is seen
/// again: another program may have had the machine's cores.
fn in_time(attack: &'static Attack, over: Over, span: Duration) -> Row {
    let (done, is_done) = mpsc::channel::<()>();
    thread::spawn(move || {
        if is_done.recv_timeout(LONGEST + span * 4) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(&format!("NOT HELD  {} over {}: it did not end within {LONGEST:?}\n", attack.name, over.name()));
            process::exit(1);
        }
    });
    let mut row = play(attack, over, span);
    for _ in 1..TRIES {
        if !row.failures.is_empty() || row.late.is_empty() {
            break;
        }
        row = play(attack, over, span);
    }
    drop(done);
    row
}

impl Row {
    fn is_held(&self) -> bool {
        self.failures.is_empty() && self.late.is_empty()
    }
}

/// The figures with what the server did, and below them what was noted and what is wrong.
fn lines(attack: &Attack, over: Over, row: &Row) -> String {
    let verdict = if row.is_held() { "held" } else { "NOT HELD" };
    let [before, peak, after] = row.memory.map(mib);
    let cpu = row.cpu * 100.0;
    let waited = row.seen.as_ref().map_or(["–".into(), "–".into()], |seen| {
        [format!("{:.2}", seen.p99()), format!("{:.1}", seen.longest().as_secs_f64() * 1e3)]
    });
    let [p99, longest] = waited;
    let (name, over, closes) = (attack.name, over.name(), closes(row));
    let mut text = format!(
        "{verdict:8} {name:19} {over:4}  {before:>10.1} {peak:>6.1} {after:>6.1} {cpu:>4.0} % {p99:>7} {longest:>8}  {closes}\n"
    );
    row.noted.iter().for_each(|noted| _ = writeln!(text, "{:29}{noted}", ""));
    row.failures.iter().chain(&row.late).for_each(|failure| _ = writeln!(text, "{:27}! {failure}", ""));
    text
}

/// The closes of the attack, most first.
fn closes(row: &Row) -> String {
    let own = |(reason, count): (&String, &u64)| {
        let count = count - if reason == "clean" { row.healthy_closes.min(*count) } else { 0 };
        (count > 0).then(|| (count, reason.clone()))
    };
    let mut closes: Vec<_> = row.stats.closes.iter().filter_map(own).collect();
    closes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let closes: Vec<_> = closes.iter().map(|(count, reason)| format!("{count} × {reason}")).collect();
    if closes.is_empty() { "ended no connection".into() } else { closes.join(", ") }
}

/// Prints, where somebody reads it: the exit code says whether every attack was held.
fn say(text: &str) {
    _ = std::io::stdout().write_all(text.as_bytes());
}

fn parse_name(text: &str) -> Result<&'static Attack, String> {
    attacks::all().find(|attack| attack.name == text).ok_or_else(|| {
        let names: Vec<&str> = attacks::all().map(|attack| attack.name).collect();
        format!("no attack has this name; there are {}", names.join(", "))
    })
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// ARCHITECTURE.md says which attack tests which limit: it names every attack, and no other.
    #[test]
    fn the_map_names_every_attack() {
        let map = include_str!("../../../ARCHITECTURE.md");
        let (_, section) = map.split_once("## Where each limit lives").expect("its section");
        let (section, _) = section.split_once("\n## ").expect("its end");
        let cells = section.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
        let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        assert_eq!(named, attacks::all().map(|attack| attack.name).collect());
    }
}
