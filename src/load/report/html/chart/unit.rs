//! What the numbers of an axis are, as text.

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// Nanoseconds.
    Time,
    /// Frames a second.
    Rate,
    /// A number of things.
    Count,
    /// Seconds of the run.
    Clock,
    /// A part of all frames, or of all connections: 0.5 is 50 %.
    Part,
    /// A part of a core.
    Core,
    /// Bytes, in MiB.
    Memory,
    /// A change: 0.1 is +10 %.
    Change,
}

impl Unit {
    /// A tick of an axis.
    pub(in super::super) fn tick(self, value: f64) -> String {
        match self {
            Unit::Time => scaled(value, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")]),
            Unit::Rate => scaled(value, &[(1e6, " M/s"), (1e3, " k/s"), (1.0, " /s")]),
            Unit::Count => scaled(value, &[(1e6, " M"), (1e3, " k"), (1.0, "")]),
            Unit::Clock if value >= 600.0 => format!("{} min", digits(value / 60.0)),
            Unit::Clock => format!("{} s", digits(value)),
            Unit::Part => format!("{} %", digits(100.0 * value)),
            Unit::Core => format!("{:.0} %", 100.0 * value),
            Unit::Memory => scaled(value, &[(1024.0, " GiB"), (1.0, " MiB")]),
            Unit::Change if value > 0.0 => format!("+{} %", digits(100.0 * value)),
            Unit::Change => format!("{} %", digits(100.0 * value).replace('-', "−")),
        }
    }
}

/// In the greatest unit that it has one of.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let fits = units.iter().find(|(factor, _)| value >= factor * 0.9999).or(units.last());
    fits.map_or(String::new(), |(factor, unit)| format!("{}{unit}", digits(value / factor)))
}

/// With as many decimals as it needs, up to four.
fn digits(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_units() {
        for (unit, value, text) in [
            (Unit::Time, 500.0, "500 ns"),
            (Unit::Time, 2e6, "2 ms"),
            (Unit::Time, 1e6, "1 ms"),
            (Unit::Time, 1e10, "10 s"),
            (Unit::Rate, 0.0, "0"),
            (Unit::Rate, 2_500.0, "2.5 k/s"),
            (Unit::Rate, 0.5, "0.5 /s"),
            (Unit::Clock, 900.0, "15 min"),
            (Unit::Part, 0.9999, "99.99 %"),
            (Unit::Core, 1.5, "150 %"),
            (Unit::Memory, 1536.0, "1.5 GiB"),
            (Unit::Change, 0.1, "+10 %"),
            (Unit::Change, -0.1, "−10 %"),
            (Unit::Change, 0.0, "0 %"),
        ] {
            assert_eq!(unit.tick(value), text);
        }
    }
}
