//! What a run has to show: `p99<5ms`, `rate>=0.99`, `errors=0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PlanError;
use super::show::duration;
use super::times::Times;

/// What a run has to show. As text: a measure, a relation (`<`, `<=`, `=`, `>=`, `>`), and a value.
///
/// The measures are `p50`, `p90`, `p99`, `p99.9`, `p99.99`, `min`, `max` and `mean` of the response time, and of the
/// service time with `service.` before them, all with a unit (`ns`, `us`, `ms`, `s`); `rate`, the part of the frames
/// due that was sent in time; `errors`, the frames that were wrong or lost and the connections that failed; `fairness`,
/// Jain's index over the connections.
///
/// Where runs are compared with those of a baseline, the value may be what the baseline had, `p99<=baseline*1.1`: the
/// median of the runs against the median of the baseline's.
///
/// ```
/// use unstick::load::Expectation;
/// let expectation: Expectation = "p99<5ms".parse()?;
/// assert_eq!(expectation.to_string(), "p99<5ms");
/// assert!("p98<5ms".parse::<Expectation>().is_err());
/// # Ok::<(), unstick::load::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Expectation {
    text: String,
    measure: Measure,
    relation: Relation,
    bound: Bound,
}

/// What it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// In nanoseconds where it is a time.
    Value(f64),
    /// What the baseline had, so many times.
    Baseline(f64),
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    Response(Statistic),
    Service(Statistic),
    Rate,
    Errors,
    Fairness,
}

/// What is asked of many times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    Quantile(f64),
    Min,
    Max,
    Mean,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// The longer signs first, as the shorter ones begin them.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Less),
    (">", Relation::More),
    ("=", Relation::Equal),
];

impl Expectation {
    /// What it is about.
    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    /// Whether it is held against a baseline, and so is nothing that one run alone can show.
    pub fn needs_baseline(&self) -> bool {
        matches!(self.bound, Bound::Baseline(_))
    }

    /// What is missed by what was measured, in words; `None` where it is met. What was not measured is missed.
    pub(super) fn missed(&self, measured: Option<f64>) -> Option<String> {
        self.missed_beside(measured, None)
    }

    /// The same beside what a baseline had.
    pub(super) fn missed_beside(&self, measured: Option<f64>, baseline: Option<f64>) -> Option<String> {
        let bound = match self.bound {
            Bound::Value(value) => Some(value),
            Bound::Baseline(factor) => baseline.map(|had| had * factor),
        };
        let beside = match (self.bound, baseline) {
            (Bound::Baseline(_), Some(had)) => format!(", and {} in the baseline", self.show(had)),
            _ => String::new(),
        };
        match (measured, bound) {
            (None, _) => Some(format!("{self} was expected, and it was not measured")),
            (_, None) => Some(format!("{self} was expected, and the baseline has not measured it")),
            (Some(was), Some(bound)) if self.relation.holds(was, bound) => None,
            (Some(was), _) => Some(format!("{self} was expected, and it was {}{beside}", self.show(was))),
        }
    }

    fn show(&self, was: f64) -> String {
        match self.measure {
            Measure::Response(_) | Measure::Service(_) => duration(was as u64),
            Measure::Errors => (was as u64).to_string(),
            Measure::Rate | Measure::Fairness => format!("{was:.4}"),
        }
    }

    /// Whether it is about the rate that was asked for.
    pub(super) fn is_about_rate(&self) -> bool {
        self.measure == Measure::Rate
    }
}

impl Measure {
    fn parse(text: &str) -> Option<Measure> {
        match text {
            "rate" => Some(Measure::Rate),
            "errors" => Some(Measure::Errors),
            "fairness" => Some(Measure::Fairness),
            _ => match text.strip_prefix("service.") {
                Some(statistic) => Statistic::parse(statistic).map(Measure::Service),
                None => Statistic::parse(text).map(Measure::Response),
            },
        }
    }

    /// The value of this text.
    fn value(self, text: &str) -> Option<f64> {
        match self {
            Measure::Response(_) | Measure::Service(_) => nanoseconds(text),
            _ => text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0),
        }
    }
}

impl Statistic {
    /// In nanoseconds; `None` where there is no time.
    pub(super) fn of(self, times: &Times) -> Option<f64> {
        let nanoseconds = match self {
            Statistic::Quantile(quantile) => times.quantile(quantile),
            Statistic::Min => times.min(),
            Statistic::Max => times.max(),
            Statistic::Mean => times.mean(),
        };
        nanoseconds.map(|nanoseconds| nanoseconds as f64)
    }

    fn parse(text: &str) -> Option<Statistic> {
        match text {
            "p50" => Some(Statistic::Quantile(0.5)),
            "p90" => Some(Statistic::Quantile(0.9)),
            "p99" => Some(Statistic::Quantile(0.99)),
            "p99.9" => Some(Statistic::Quantile(0.999)),
            "p99.99" => Some(Statistic::Quantile(0.9999)),
            "min" => Some(Statistic::Min),
            "max" => Some(Statistic::Max),
            "mean" => Some(Statistic::Mean),
            _ => None,
        }
    }
}

impl Relation {
    fn holds(self, was: f64, value: f64) -> bool {
        match self {
            Relation::Less => was < value,
            Relation::AtMost => was <= value,
            Relation::Equal => was == value,
            Relation::AtLeast => was >= value,
            Relation::More => was > value,
        }
    }
}

/// A time with its unit.
fn nanoseconds(text: &str) -> Option<f64> {
    let units = [("ns", 1.0), ("µs", 1e3), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number: f64 = number.trim_end().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * unit)
}

/// What stands behind `baseline`: nothing, or a factor.
fn factor(text: &str) -> Option<f64> {
    let Some(number) = text.trim().strip_prefix('*') else { return text.trim().is_empty().then_some(1.0) };
    number.trim().parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
}

impl FromStr for Expectation {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Expectation, PlanError> {
        let wrong = |why: &str| PlanError::Expectation { text: text.into(), why: why.into() };
        let split = RELATIONS.iter().find_map(|(sign, relation)| {
            let (measure, value) = text.split_once(sign)?;
            Some((measure.trim(), *relation, value.trim()))
        });
        let (measure, relation, value) =
            split.ok_or_else(|| wrong("write it as in p99<5ms, rate>=0.99 or errors=0"))?;
        let measure = Measure::parse(measure).ok_or_else(|| {
            wrong("the measures are p50, p90, p99, p99.9, p99.99, min, max, mean, each also as service.p99; rate, errors, fairness")
        })?;
        let bound = match value.strip_prefix("baseline") {
            Some(rest) => {
                let factor =
                    factor(rest).ok_or_else(|| wrong("write baseline, or baseline*1.1 for a tenth above it"))?;
                Bound::Baseline(factor)
            }
            None => Bound::Value(measure.value(value).ok_or_else(|| match measure {
                Measure::Response(_) | Measure::Service(_) => {
                    wrong("write a time with its unit, as in 5ms, 200us or 1.5s, or baseline*1.1")
                }
                _ => wrong("write a number of 0 or more behind the sign, or baseline*1.1"),
            })?),
        };
        Ok(Expectation { text: text.into(), measure, relation, bound })
    }
}

/// The text that it was made of.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> String {
        expectation.text
    }
}

impl TryFrom<String> for Expectation {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Expectation, PlanError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read_with_their_units() {
        for (text, measure, relation, value) in [
            ("p99<5ms", Measure::Response(Statistic::Quantile(0.99)), Relation::Less, 5e6),
            ("service.max <= 1.5s", Measure::Service(Statistic::Max), Relation::AtMost, 1.5e9),
            ("rate>=0.99", Measure::Rate, Relation::AtLeast, 0.99),
            ("errors=0", Measure::Errors, Relation::Equal, 0.0),
            ("p99.9>10us", Measure::Response(Statistic::Quantile(0.999)), Relation::More, 1e4),
        ] {
            let expectation: Expectation = text.parse().expect(text);
            let read = (expectation.measure, expectation.relation, expectation.bound);
            assert_eq!(read, (measure, relation, Bound::Value(value)));
            assert_eq!(expectation.to_string(), text);
        }
        for wrong in ["", "p99", "p98<5ms", "p99<5", "p99<-5ms", "errors=x", "rate>=nan", "service.rate>1"] {
            assert!(wrong.parse::<Expectation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_baseline_is_a_value_with_a_factor() {
        let of = |text: &str| text.parse::<Expectation>().expect(text);
        assert!(of("p99<=baseline*1.1").needs_baseline() && !of("p99<5ms").needs_baseline());
        let (p99, errors) = (of("p99 <= baseline * 1.1"), of("errors<=baseline"));
        assert_eq!(p99.missed_beside(Some(1.1e6), Some(1e6)), None);
        let missed = p99.missed_beside(Some(1.2e6), Some(1e6)).expect("it is missed");
        assert_eq!(missed, "p99 <= baseline * 1.1 was expected, and it was 1.20 ms, and 1.00 ms in the baseline");
        assert_eq!(errors.missed_beside(Some(0.0), Some(0.0)), None);
        assert!(errors.missed_beside(Some(0.0), None).is_some() && errors.missed_beside(None, Some(0.0)).is_some());
        for wrong in ["p99<baseline*", "p99<baseline*0", "p99<baseline*-1", "p99<baseline+1", "p99<baselines"] {
            assert!(wrong.parse::<Expectation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn relations_are_what_they_say() {
        for (relation, holds) in [
            (Relation::Less, [true, false, false]),
            (Relation::AtMost, [true, true, false]),
            (Relation::Equal, [false, true, false]),
            (Relation::AtLeast, [false, true, true]),
            (Relation::More, [false, false, true]),
        ] {
            assert_eq!([1.0, 2.0, 3.0].map(|was| relation.holds(was, 2.0)), holds, "{relation:?}");
        }
    }
}
