//! `BENCHMARKS.md`: made of the data alone, and of what people wrote of it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use super::Group;
use super::drive::{COUNTED, WARM_UP};
use super::figures::{Figure, Figures, median, number};
use super::goals::{self, BEST, CPU, LOOP, OURS, P99, RATE, Row, Verdict};
use super::micro::{ROUNDS, SLICE};
use super::plots;
use crate::evidence::{self, Done, root};

/// Below the repository: where the plots are, and what people wrote of the figures.
const PLOTS: &str = "benches/plots";
const NOTES: &str = "benches/NOTES.md";
/// The crates whose versions are told.
const CRATES: [&str; 7] = ["smol", "async-executor", "rustix", "tokio", "tokio-util", "asynchronous-codec", "bytes"];

/// Writes the page and its plots below a folder.
pub(super) fn write(figures: &Figures, folder: &Path) -> Done<()> {
    fs::create_dir_all(folder.join(PLOTS))?;
    for (name, _, svg) in plots::all(figures)? {
        fs::write(folder.join(PLOTS).join(name), svg)?;
    }
    let path = folder.join("BENCHMARKS.md");
    fs::write(&path, page(figures)?).map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

fn page(figures: &Figures) -> Done<String> {
    let rows = goals::rows(figures);
    let mut page = String::from(
        "# Benchmarks\n\nWritten by the command below; no figure of the tables is typed by hand. Ratios are taken round by round within \
         one run, ours\nand the peers' in turn. A goal is *met* or *missed* only if every round says so, and else *level*. All \
         figures are in\n`xtask/evidence/bench.json`; `cargo xtask bench --page` makes this page of them, and prints every row.\n\n",
    );
    let lines =
        |name: &'static str, of: &[String]| of.iter().map(|it| (name.to_string(), it.clone())).collect::<Vec<_>>();
    for (name, value) in figures.circumstances.iter().chain(&lines("**failed**", &figures.failures)) {
        writeln!(page, "- {name}: {value}")?;
    }
    write!(page, "\n## Goals\n\n{}\n", summary(&rows))?;
    for (name, title, _) in plots::all(figures)? {
        write!(page, "![{title}]({PLOTS}/{name})\n\n")?;
    }
    write!(
        page,
        "## Servers under a load\n\nConnections × frames in flight on each × payload; senders → receivers of pushes. Our median, \
         and from the least to the greatest\nratio to the best of tokio's servers, and to a plain epoll loop.\n\n{}\n\
         ## Missed, and level\n\n{}\n",
        servers(figures, &rows),
        misses(&rows)
    )?;
    page.push_str(&fs::read_to_string(root().join(NOTES)).map_err(|error| format!("{NOTES}: {error}"))?);
    Ok(page)
}

/// Every row and the median of every figure, for the terminal.
pub(super) fn all(figures: &Figures) -> String {
    let rows = goals::rows(figures);
    let line = |row: &Row<'_>| {
        let verdict = row.verdict().map_or(String::new(), word);
        let spread = row.spread().map(number);
        [name(row.figure.group), row.subject(), row.title()].into_iter().chain(spread).chain([verdict]).collect()
    };
    let figure =
        |it: &Figure| [it.what.clone(), it.who.clone(), it.measure.clone(), number(median(&it.samples))].into();
    let medians = table(["what", "who", "measure", "median"], figures.figures.iter().map(figure));
    let lines = table(["what", "measure", "min", "median", "max", ""], rows.iter().map(line));
    format!("{medians}\n{lines}\n{}", summary(&rows))
}

fn word(verdict: Verdict) -> String {
    format!("{verdict:?}").to_lowercase()
}

/// A goal's number and its name.
fn name(group: Group) -> String {
    group.to_possible_value().and_then(|value| Some(value.get_help()?.to_string())).unwrap_or_default()
}

/// How many rows of each goal are met.
fn summary(rows: &[Row<'_>]) -> String {
    let line = |group: &Group| {
        let of_it = rows.iter().filter(|row| row.figure.group == *group);
        let verdicts: Vec<Verdict> = of_it.filter_map(Row::verdict).collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count().to_string();
        let counts = [Verdict::Met, Verdict::Level, Verdict::Missed].map(count);
        (!verdicts.is_empty()).then(|| [name(*group)].into_iter().chain(counts).collect())
    };
    table(["goal", "rows met", "level", "missed"], Group::value_variants().iter().filter_map(line))
}

/// A row for each load on a server.
fn servers(figures: &Figures, rows: &[Row<'_>]) -> String {
    let groups = [Group::Serve, Group::Own, Group::Tls, Group::Waiting, Group::Push];
    let is_ours = |it: &&Figure| groups.contains(&it.group) && it.who == OURS && it.measure == RATE;
    let line = |ours: &Figure| {
        let ratio = |(measure, peers): (&str, &str)| {
            let of = |row: &Row<'_>| (row.figure.group, &row.figure.what) == (ours.group, &ours.what);
            let is_it = |row: &&Row<'_>| of(row) && (&*row.figure.measure, row.peers) == (measure, peers);
            rows.iter().find(is_it).map_or(String::new(), Row::range)
        };
        let ratios = [(RATE, BEST.0), (P99, BEST.0), (CPU, BEST.0), (RATE, LOOP.0), (CPU, LOOP.0)].map(ratio);
        let what =
            if ours.group == Group::Serve { ours.what.clone() } else { format!("{}, {:?}", ours.what, ours.group) };
        [what.to_lowercase(), number(median(&ours.samples))].into_iter().chain(ratios).collect()
    };
    let header = ["load", "frames/s", "÷ best tokio's", "p99 ÷", "CPU a frame ÷", "frames/s ÷ plain loop's", "CPU ÷"];
    table(header, figures.figures.iter().filter(is_ours).map(line))
}

/// For each goal that is not met everywhere: where, and from what to what the rounds went.
fn misses(rows: &[Row<'_>]) -> String {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for verdict in [Verdict::Missed, Verdict::Level] {
        for row in rows.iter().filter(|row| row.verdict() == Some(verdict)) {
            let head = format!("**{}**: {}, {}", word(verdict), name(row.figure.group), row.title());
            let entry = format!("{} ({})", row.subject(), row.range());
            match lines.iter_mut().find(|(known, _)| *known == head) {
                Some((_, entries)) => entries.push(entry),
                None => lines.push((head, vec![entry])),
            }
        }
    }
    lines.iter().map(|(head, entries)| format!("- {head}: {}\n", entries.join("; "))).collect()
}

/// A table in Markdown, aligned for who reads its source. The first column stands to the left.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> = [header.map(String::from).into()].into_iter().chain(rows).collect();
    let len = |text: &String| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| rows.iter().map(|row| len(&row[column])).max().unwrap_or(0));
    rows.insert(1, (0..N).map(|column| "-".repeat(widths[column])).collect());
    let cell = |(column, cell): (usize, &String)| {
        let padding = " ".repeat(widths[column] - len(cell));
        match (column, cell.starts_with("--")) {
            (0, _) => format!("| {cell}{padding} "),
            (_, true) => format!("| {}: ", &cell[1..]),
            _ => format!("| {padding}{cell} "),
        }
    };
    rows.iter().map(|row| row.iter().enumerate().map(cell).collect::<String>() + "|\n").collect()
}

/// When, where and with what is measured.
pub(super) fn circumstances(rounds: usize, network: String) -> Done<Vec<(String, String)>> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_string());
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--inside").collect();
    let cpus = read("/proc/cpuinfo")?;
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model = cpus.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1));
    let machine = format!("{cores} cores, {}, Linux {}", model.unwrap_or("?"), read("/proc/sys/kernel/osrelease")?);
    let rustc = String::from_utf8(Command::new("rustc").arg("--version").output()?.stdout)?;
    let mut versions = vec![rustc.trim().to_string()];
    for package in fs::read_to_string(root().join("Cargo.lock"))?.split("[[package]]\nname = \"") {
        let mut words = package.split('"');
        if let (Some(name), Some(version)) = (words.next().filter(|name| CRATES.contains(name)), words.nth(1)) {
            versions.push(format!("{name} {version}"));
        }
    }
    let named = [
        ("command", format!("`cargo xtask {}`", arguments.join(" "))),
        ("commit", format!("{}, on {}", evidence::commit(), evidence::today())),
        ("rounds", format!("{rounds} of {COUNTED:?} after {WARM_UP:?}; of loops {} of {SLICE:?}", ROUNDS * rounds)),
        ("machine", machine),
        ("network", network),
        ("versions", versions.join(", ")),
    ];
    Ok(named.map(|(name, value)| (name.into(), value)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_of_the_data_and_short() {
        let figures = Figures::read(&super::super::data(&root())).expect("the data");
        let page = page(&figures).expect("a page");
        let committed = fs::read_to_string(root().join("BENCHMARKS.md")).expect("the page");
        assert!(page == committed, "BENCHMARKS.md is not of the data and the notes: cargo xtask bench --page");
        assert!(page.lines().count() <= 140, "{} lines", page.lines().count());
    }

    #[test]
    fn columns_are_aligned_whatever_the_letters_are() {
        let text = table(["what", "n"], [vec!["ü×".into(), "1,500".into()]].into_iter());
        assert_eq!(text, "| what |     n |\n| ---- | ----: |\n| ü×   | 1,500 |\n");
    }
}
