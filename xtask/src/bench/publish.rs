//! What a run writes: `BENCHMARKS.md`, and the plots.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::Findings;
use super::peers::Kind;
use super::plot::{Axis, Line, Plot, nanoseconds, payload_ticks};
use super::table;

/// Where the plots are, below the folder of `BENCHMARKS.md`.
const PLOTS: &str = "benches/plots";
/// What people wrote of the figures, below the repository: it is appended.
const NOTES: &str = "benches/NOTES.md";

/// The crates whose versions are told.
const CRATES: [&str; 8] =
    ["unstick", "smol", "async-executor", "rustix", "tokio", "tokio-util", "asynchronous-codec", "bytes"];

/// Writes all of it into a folder.
///
/// # Errors
/// Where a file cannot be read or written.
pub(super) fn write(findings: &Findings, network: &str, commit: String, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder.join(PLOTS))?;
    let plots = plots(findings);
    for (name, plot) in &plots {
        fs::write(folder.join(PLOTS).join(name), plot.svg())?;
    }
    let names: Vec<_> = plots.iter().map(|(name, plot)| (*name, plot.title)).collect();
    let path = folder.join("BENCHMARKS.md");
    fs::write(&path, page(findings, circumstances(network, commit)?, &names)?)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

fn page(
    findings: &Findings,
    circumstances: Vec<(&str, String)>,
    plots: &[(&str, &str)],
) -> Result<String, Box<dyn Error>> {
    let mut page = String::from(
        "# Benchmarks\n\nWritten by the command below; no figure in the tables is typed by hand. Ratios are taken within one run, \
         round by round, ours and the peers' in turn: their least, median and greatest. A row is met where its median, as it \
         stands here, is what is wanted.\n\n",
    );
    for (name, value) in circumstances {
        writeln!(page, "- {name}: {value}")?;
    }
    write!(page, "\n## Goals\n\n{}\n", table::summary(&findings.rows))?;
    for (name, title) in plots {
        writeln!(page, "![{title}]({PLOTS}/{name})\n")?;
    }
    write!(page, "## Ratios\n\n{}\n## Figures\n\n", table::of_rows(&findings.rows, true))?;
    for (title, table) in &findings.figures {
        write!(page, "### {title}\n\n{table}\n")?;
    }
    page.push_str(&fs::read_to_string(root().join(NOTES)).map_err(|error| format!("{NOTES}: {error}"))?);
    Ok(page)
}

/// Machine, network, versions, commit and command.
fn circumstances(network: &str, commit: String) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let first_line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_string());
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--inside").collect();
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let load = first_line("/proc/loadavg")?;
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    Ok(vec![
        ("command", format!("`cargo xtask {}`", arguments.join(" "))),
        ("commit", commit),
        ("machine", format!("{cores} cores, {}", cpu_model(&cpus))),
        ("kernel", first_line("/proc/sys/kernel/osrelease")?),
        ("network", network.into()),
        ("load of the machine when it ended", load.split(' ').next().unwrap_or_default().into()),
        ("rustc", output("rustc", &["--version"])?),
        ("crates", versions(&fs::read_to_string(root().join("Cargo.lock"))?)),
    ])
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(|| "of an unnamed model".into(), |model| model.trim_start_matches([' ', '\t', ':']).into())
}

/// The commit, and whether anything but what is written here differs from it.
pub(super) fn commit() -> Result<String, Box<dyn Error>> {
    let head = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--", ".", ":!BENCHMARKS.md", ":!benches/plots"])?;
    Ok(if changed.is_empty() { head } else { format!("{head}, with changes that are not committed") })
}

pub(super) fn output(program: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(format!("{program} {}: {}", arguments.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

fn versions(lock: &str) -> String {
    let mut versions = Vec::new();
    let mut name = "";
    for line in lock.lines() {
        let value = |key: &str| line.strip_prefix(key).map(|value| value.trim_matches('"'));
        name = value("name = ").unwrap_or(name);
        if let Some(version) = value("version = ").filter(|_| CRATES.contains(&name)) {
            versions.push(format!("{name} {version}"));
        }
    }
    versions.join(", ")
}

/// The repository.
pub(super) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The plots whose figures were measured, with their files' names.
fn plots(findings: &Findings) -> Vec<(&'static str, Plot)> {
    let mut plots = Vec::new();
    if !findings.decode.is_empty() {
        plots.push(("decode.svg", decode_plot(&findings.decode)));
    }
    if !findings.cost.is_empty() {
        plots.push(("connections.svg", connections_plot(&findings.cost)));
    }
    plots
}

fn decode_plot(decode: &[(usize, Vec<(&'static str, f64)>)]) -> Plot {
    let drawn = [
        ("cursor", "unstick, cursor", "ours"),
        ("feed", "unstick, feed", "ours2"),
        ("hand loop", "hand loop", "hand"),
        ("tokio-util", "tokio-util", "tokio"),
        ("asynchronous-codec", "asynchronous-codec", "other"),
    ];
    let line = |(contestant, name, class): (&str, &str, &'static str)| {
        let of = |(len, times): &(usize, Vec<(&str, f64)>)| {
            let time = times.iter().find(|(known, _)| *known == contestant)?.1;
            Some(((len + 4) as f64, time))
        };
        Line { name: name.into(), class, points: decode.iter().filter_map(of).collect() }
    };
    let lines: Vec<Line> = drawn.into_iter().map(line).collect();
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, time)| *time));
    Plot {
        title: "Decode: time for a frame",
        x_label: "payload (u32 little-endian header, chunks of 64 KiB)",
        y_label: "time on the core for a frame; less is better",
        y: Axis::decades(values, nanoseconds),
        x: Axis::log(payload_ticks(decode.iter().map(|(len, _)| *len))),
        lines,
    }
}

fn connections_plot(cost: &[(Kind, usize, f64)]) -> Plot {
    let line = |(kind, class): (Kind, &'static str)| Line {
        name: kind.name().into(),
        class,
        points: cost.iter().filter(|(of, ..)| *of == kind).map(|(_, count, cpu)| (*count as f64, *cpu)).collect(),
    };
    let lines: Vec<Line> = [(Kind::Ours, "ours"), (Kind::TokioFeed, "tokio")].into_iter().map(line).collect();
    let ticks = lines[0].points.iter().map(|(count, _)| (*count, crate::text::count(*count as u64))).collect();
    Plot {
        title: "Server: CPU time for a frame as connections grow",
        x_label: "open connections (64 B echoed, 10 frames in flight in all)",
        y_label: "CPU time of the server for a frame; less is better",
        x: Axis::log(ticks),
        y: Axis::from_zero(cost.iter().map(|(.., cpu)| *cpu), nanoseconds),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock =
            "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"other\"\nversion = \"9\"\n";
        assert_eq!(versions(lock), "tokio 1.2.3");
    }

    #[test]
    fn the_model_is_that_of_the_first_core() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: A CPU\nmodel name\t: B\n"), "A CPU");
        assert_eq!(cpu_model(""), "of an unnamed model");
    }
}
