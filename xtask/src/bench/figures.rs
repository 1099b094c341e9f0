//! All that a run found: for each contestant of a contest a figure, round by round. It is stored as such.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Group;
use crate::evidence::Done;
use crate::text::count;

/// One line of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) group: Group,
    /// What is done, as in `64 B` or `50 × 64 × 64 B`.
    pub(super) what: String,
    pub(super) who: String,
    /// With its unit, as in `p99, µs`.
    pub(super) measure: String,
    /// One for each round; at least one.
    pub(super) samples: Vec<f64>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// When, where and with what: names and values.
    pub(super) circumstances: Vec<(String, String)>,
    /// What could not be measured, and why.
    pub(super) failures: Vec<String>,
    pub(super) figures: Vec<Figure>,
}

impl Figures {
    /// Adds what a contestant had of a measure in each round.
    pub(super) fn add(&mut self, group: Group, (what, who): (&str, &str), measure: &str, samples: &[f64]) {
        let (what, who, measure) = (what.into(), who.into(), measure.into());
        // Four digits are more than two rounds have in common.
        let samples = samples.iter().map(|sample| format!("{sample:.3e}").parse().unwrap_or(*sample)).collect();
        self.figures.push(Figure { group, what, who, measure, samples });
    }

    /// The samples of one measure.
    pub(super) fn of(&self, group: Group, what: &str, who: &str, measure: &str) -> Option<&[f64]> {
        let is_it = |it: &&Figure| (it.group, &*it.what, &*it.who, &*it.measure) == (group, what, who, measure);
        Some(&self.figures.iter().find(is_it)?.samples)
    }

    pub(super) fn failed(&mut self, what: &str, error: &dyn std::fmt::Display) {
        eprintln!("error: {what}: {error}");
        self.failures.push(format!("{what}: {error}"));
    }

    pub(super) fn read(path: &Path) -> Done<Figures> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Writes JSON with a line for each figure.
    pub(super) fn write(&self, path: &Path) -> Done<()> {
        let figures = self.figures.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?.join(",\n");
        let (circumstances, failures) =
            (serde_json::to_string(&self.circumstances)?, serde_json::to_string(&self.failures)?);
        let head = format!("\"circumstances\": {circumstances},\n\"failures\": {failures},\n");
        let text = format!("{{\n{head}\"figures\": [\n{figures}\n]\n}}\n");
        fs::create_dir_all(path.parent().ok_or("a file has a folder")?)?;
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// The middle one, or the mean of the two in the middle. There is at least one.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2].midpoint(sorted[sorted.len() / 2])
}

/// As it is printed: whole from 100 on, else to three digits, of which two at most are decimals.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        99.95.. => count(value.round() as u64),
        9.995.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut figures = Figures { circumstances: vec![("a".into(), "b".into())], ..Figures::default() };
        figures.add(Group::Decode, ("64 B", "feed"), "ns", &[1.0, 2.000_04, 123_456.0]);
        figures.add(Group::Serve, ("50 × 1", "unstick"), "p99, µs", &[0.0]);
        figures.failed("this", &"that");
        let file = tempfile::NamedTempFile::new().expect("a file");
        figures.write(file.path()).expect("it is written");
        assert_eq!(Figures::read(file.path()).expect("it is read"), figures);
        assert_eq!(figures.of(Group::Decode, "64 B", "feed", "ns"), Some(&[1.0, 2.0, 123_500.0][..]));
        assert_eq!(figures.of(Group::Decode, "64 B", "feed", "other"), None);
    }

    #[test]
    fn the_median_is_the_middle_and_numbers_are_short() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
        assert_eq!([0.0, 1.126, 9.996, 99.96, 1500.4].map(number), ["0.00", "1.13", "10.0", "100", "1,500"]);
    }
}
