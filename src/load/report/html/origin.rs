//! When and where a run was, and how it is repeated.

use super::escape::escape;
use crate::load::outcome::Outcome;
use crate::load::plan::{Plan, Target};
use crate::load::report::text;
use crate::load::show::plural;

/// The server's address.
pub(super) fn target(plan: &Plan) -> String {
    match &plan.target {
        Target::Tcp(addresses) => addresses.first().map_or_else(|| "no address".into(), ToString::to_string),
        Target::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// When, and on which machine.
pub(super) fn when_and_where(run: &Outcome) -> String {
    let origin = &run.origin;
    format!(
        "Load of {} on {}, from a machine with {} {} and {}",
        target(&run.plan),
        date(origin.started),
        origin.system,
        origin.architecture,
        plural(origin.cores, "core")
    )
}

/// The command that repeats it, and what was asked for.
pub(super) fn footer(run: &Outcome) -> String {
    let words: Vec<String> = run.origin.command.iter().map(|word| quoted(word)).collect();
    let (command, load) = (escape(&words.join(" ")), escape(&text::load(run)));
    let generator = escape(&text::generator(run));
    let server = run
        .server
        .as_ref()
        .map(|server| format!("<dt>Server</dt><dd>{}</dd>\n", escape(&text::server_use(run, server))));
    let of_many = run.merged.as_ref().map(|merged| {
        format!(
            "<p>This is the command of one of {} shards. Each has its own --shard; all start at the same --start-at, which has \
             to be still to come.</p>\n",
            merged.shards
        )
    });
    let shards = text::shards(run).map(|shards| format!("<dt>Shards</dt><dd>{}</dd>\n", escape(&shards)));
    format!(
        "<footer>\n<h2>To repeat it</h2>\n{}<pre><code>{command}</code></pre>\n\
         <dl class=\"facts\">\n<dt>Load</dt><dd>{load}</dd>\n{}{}<dt>Generator</dt><dd>{generator}</dd>\n\
         <dt>Made by</dt><dd>unstick {}</dd>\n</dl>\n</footer>\n",
        of_many.unwrap_or_default(),
        shards.unwrap_or_default(),
        server.unwrap_or_default(),
        escape(&run.origin.version)
    )
}

/// A word as a shell of POSIX takes it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=,+@%".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Seconds from 1970 on as a date and a time, in UTC.
fn date(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 253_402_300_799.0) as i64;
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    // Days from 1 March of year 0 on, so that a leap day is the last of its year; after Howard Hinnant's
    // `civil_from_days`.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} at {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_the_calendar() {
        for (seconds, text) in [
            (0.0, "1970-01-01 at 00:00 UTC"),
            (951_827_640.0, "2000-02-29 at 12:34 UTC"),
            (1_796_079_599.9, "2026-11-30 at 22:59 UTC"),
            (4_107_542_400.0, "2100-03-01 at 00:00 UTC"),
            (f64::NAN, "1970-01-01 at 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_change_it() {
        assert_eq!(["--rate", "p99<5ms", "it's", ""].map(quoted), ["--rate", "'p99<5ms'", r"'it'\''s'", "''"]);
    }
}
