//! Values that runs have in turn: `rate=10k..200k*1.5`, `connections=1..1000*2`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PlanError;

/// Values of one sweep, at most.
const MOST: usize = 1000;

/// In what the runs of a curve differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Swept {
    /// The rate that is asked for, in frames a second.
    Rate,
    /// The number of connections.
    Connections,
}

/// Values that runs have in turn, as text: what differs, the first and the last value, and a factor, or a summand, from
/// one to the next. Numbers may end in `k` or `M`. The last value is always one of them.
///
/// ```
/// use unstick::load::{Sweep, Swept};
/// let sweep: Sweep = "rate=10k..50k*2".parse()?;
/// assert_eq!((sweep.swept(), sweep.values()), (Swept::Rate, vec![10e3, 20e3, 40e3, 50e3]));
/// let sweep: Sweep = "connections=100..300+100".parse()?;
/// assert_eq!(sweep.values(), [100.0, 200.0, 300.0]);
/// assert!("rate=10k..50k".parse::<Sweep>().is_err());
/// # Ok::<(), unstick::load::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    text: String,
    swept: Swept,
    first: f64,
    last: f64,
    step: Step,
}

/// From one value to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Times(f64),
    Plus(f64),
}

impl Sweep {
    /// In what the runs differ.
    pub fn swept(&self) -> Swept {
        self.swept
    }

    /// The values, from the least to the greatest. Numbers of connections are whole.
    pub fn values(&self) -> Vec<f64> {
        let mut values = Vec::new();
        let mut value = self.first;
        // One too many is enough to see that there are too many.
        while value < self.last && values.len() <= MOST {
            values.push(if self.swept == Swept::Connections { value.round() } else { value });
            value = match self.step {
                Step::Times(factor) => value * factor,
                Step::Plus(summand) => value + summand,
            };
        }
        values.push(self.last);
        values.dedup();
        values
    }
}

impl FromStr for Sweep {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Sweep, PlanError> {
        let wrong = |why: &str| PlanError::Sweep { text: text.into(), why: why.into() };
        let how = "write it as in rate=10k..200k*1.5 or connections=100..1000+100";
        let (what, range) = text.split_once('=').ok_or_else(|| wrong(how))?;
        let swept = match what.trim() {
            "rate" => Swept::Rate,
            "connections" => Swept::Connections,
            _ => return Err(wrong("rate and connections can be swept")),
        };
        let (first, rest) = range.split_once("..").ok_or_else(|| wrong(how))?;
        let at = rest.find(['*', '+']).ok_or_else(|| wrong(how))?;
        let (last, step) = rest.split_at(at);
        let number = |text: &str| number(text).ok_or_else(|| wrong(how));
        let (first, last) = (number(first)?, number(last)?);
        let step = match step.split_at(1) {
            ("*", factor) => Step::Times(number(factor)?),
            (_, summand) => Step::Plus(number(summand)?),
        };
        if first >= last {
            return Err(wrong("the first value is not below the last"));
        }
        if matches!(step, Step::Times(factor) if factor <= 1.0) {
            return Err(wrong("a factor has to be above 1"));
        }
        let is_whole = |number: f64| number.fract() == 0.0;
        if swept == Swept::Connections && !(is_whole(first) && is_whole(last)) {
            return Err(wrong("connections are whole numbers"));
        }
        let sweep = Sweep { text: text.into(), swept, first, last, step };
        match sweep.values().len() {
            number if number > MOST => Err(wrong(&format!("that is more than {MOST} runs"))),
            _ => Ok(sweep),
        }
    }
}

/// A number above 0 of a text such as 1000, 10k or 1.5M.
///
/// ```
/// use unstick::load::number;
/// assert_eq!((number("1.5M"), number("0"), number("2G")), (Some(1.5e6), None, None));
/// ```
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, unit) = match (text.strip_suffix(['k', 'K']), text.strip_suffix(['m', 'M'])) {
        (Some(number), _) => (number, 1e3),
        (_, Some(number)) => (number, 1e6),
        _ => (text, 1.0),
    };
    let number: f64 = number.trim_end().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number * unit)
}

/// The text that it was made of.
impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_from_the_first_to_the_last() {
        for (text, values) in [
            ("connections=1..10*2", &[1.0, 2.0, 4.0, 8.0, 10.0][..]),
            ("connections=1..4*1.3", &[1.0, 2.0, 3.0, 4.0]),
            ("connections = 1 .. 8 * 2", &[1.0, 2.0, 4.0, 8.0]),
            ("rate=0.5..2+1", &[0.5, 1.5, 2.0]),
            ("rate=1k..1.5M*1500", &[1e3, 1.5e6]),
        ] {
            let sweep: Sweep = text.parse().expect(text);
            assert_eq!(sweep.values(), values, "{text}");
            assert_eq!(sweep.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_sweep_is_told_why() {
        for (text, why) in [
            ("10k..20k*2", "write it as in"),
            ("payload=1..9*2", "rate and connections can be swept"),
            ("rate=10k..20k", "write it as in"),
            ("rate=10k*2", "write it as in"),
            ("rate=20k..10k*2", "the first value is not below the last"),
            ("rate=10k..20k*1", "a factor has to be above 1"),
            ("rate=10k..20k*0.5", "a factor has to be above 1"),
            ("rate=0..20k+5k", "write it as in"),
            ("rate=-5..20k+5k", "write it as in"),
            ("rate=nan..20k+5k", "write it as in"),
            ("connections=1.5..9*2", "connections are whole numbers"),
            ("rate=1..1M+1", "that is more than 1000 runs"),
        ] {
            let error = text.parse::<Sweep>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("sweep {text:?}: {why}")), "{error}");
        }
    }
}
