//! The results of the attacks: a table for people, and JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::healthy::Seen;
use super::scene::{Over, Row, Verdict};

const HEADER: &str = "\
verdict   attack            over  what was sent; what the server did                  memory MiB         CPU    p99 ms
                                                                              before   peak  after  core  without  with";

/// What stands above the rows.
pub(super) fn header() -> String {
    format!("{HEADER}\n{}\n", "─".repeat(118))
}

/// Two lines and more: what was sent with the figures, what the server did, and what is wrong.
pub(super) fn lines(row: &Row) -> String {
    let verdict = match row.verdict() {
        Verdict::Held => "held",
        Verdict::Skipped => "skipped",
        Verdict::NotHeld => "NOT HELD",
    };
    let mib = |bytes: u64| match bytes {
        0 => "–".into(),
        bytes => format!("{:.1}", bytes as f64 / 1_048_576.0),
    };
    let [before, peak, after] = row.memory.map(mib);
    let p99 = row.seen.as_ref().map_or([None, None], Seen::p99);
    let [without, with] = p99.map(|p99| p99.map_or("–".into(), |p99| format!("{p99:.2}")));
    let cpu = format!("{:.0} %", row.cpu * 100.0);
    let mut texts = wrapped(&row.sent, 43).into_iter();
    let first = texts.next().unwrap_or_default();
    let mut out = format!(
        "{verdict:9} {:17} {:4}  {first:43} {before:>6} {peak:>6} {after:>6} {cpu:>5} {without:>8} {with:>5}\n",
        row.name,
        row.over.name()
    );
    let mut line = |text: &str| _ = writeln!(out, "{:33} {text}", "");
    texts.for_each(|text| line(&text));
    if let Some(why) = &row.skipped {
        wrapped(&format!("skipped: {why}"), 82).iter().for_each(|text| line(text));
    } else {
        wrapped(&format!("→ {}", closes(row)), 82).iter().for_each(|text| line(text));
    }
    row.noted.iter().for_each(|text| line(&format!("→ {text}")));
    row.failures.iter().for_each(|text| line(&format!("! {text}")));
    out
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
    match closes.is_empty() {
        true => "ended no connection".into(),
        false => closes.join(", "),
    }
}

/// The text in lines of at most this many characters, if its words allow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            word.clone_into(last);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The last line.
pub(super) fn summary(verdicts: &[(&'static str, Over, Verdict)]) -> String {
    let of = |wanted| verdicts.iter().filter(move |(.., verdict)| *verdict == wanted);
    let (held, skipped) = (of(Verdict::Held).count(), of(Verdict::Skipped).count());
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    let not_held: Vec<_> = of(Verdict::NotHeld).map(|(name, over, _)| format!("{name} over {}", over.name())).collect();
    match not_held.is_empty() {
        true => format!("\nheld {held} of {}{skipped}\n", verdicts.len()),
        false => format!("\nheld {held} of {}{skipped}; NOT HELD: {}\n", verdicts.len(), not_held.join(", ")),
    }
}

pub(super) fn json(row: &Row) -> Value {
    let healthy = row.seen.as_ref().map(|seen| {
        let [without, with] = seen.p99();
        json!({
            "verified": seen.verified,
            "faults": seen.faults,
            "p99_ms_without": without,
            "p99_ms_with": with,
            "longest_ms_with": seen.longest().as_secs_f64() * 1000.0,
        })
    });
    json!({
        "attack": row.name,
        "over": row.over.name(),
        "verdict": match row.verdict() {
            Verdict::Held => "held",
            Verdict::Skipped => "skipped",
            Verdict::NotHeld => "not held",
        },
        "failures": row.failures,
        "skipped": row.skipped,
        "sent": row.sent,
        "noted": row.noted,
        "accepted": row.stats.accepted,
        "active": row.stats.active,
        "closes": row.stats.closes,
        "frames_in": row.stats.frames_in,
        "bytes_in": row.stats.bytes_in,
        "frames_out": row.stats.frames_out,
        "bytes_out": row.stats.bytes_out,
        "memory_bytes": { "before": row.memory[0], "peak": row.memory[1], "after": row.memory[2] },
        "cpu_cores": row.cpu,
        "healthy": healthy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("longer-than-that", 7), ["longer-than-that"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
