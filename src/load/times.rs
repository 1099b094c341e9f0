//! Many times, in nanoseconds: how many, their sum, the least, the greatest, and how they are spread. They add up
//! exactly.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits to which a histogram tells times apart.
const DIGITS: u8 = 3;
/// The longest time that is told apart: an hour. What is longer counts as that, but for the greatest and the sum.
const LONGEST: u64 = 3_600_000_000_000;

/// How a histogram tells times apart: histograms of the same geometry add up exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Geometry {
    /// Digits that count.
    pub digits: u8,
    /// The longest time that is told apart from longer ones, in nanoseconds.
    pub longest_ns: u64,
}

impl Geometry {
    /// That of every histogram here.
    pub(super) const OURS: Geometry = Geometry { digits: DIGITS, longest_ns: LONGEST };
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} digits, up to {} ns", self.digits, self.longest_ns)
    }
}

/// Many times, in nanoseconds, to three digits; count, sum, least and greatest are exact.
///
/// ```
/// use unstick::load::Times;
/// let mut times = Times::default();
/// times.add(1_000, 99);
/// times.add(5_000_000, 1);
/// assert_eq!((times.count(), times.max(), times.mean()), (100, Some(5_000_000), Some(50_990)));
/// assert_eq!(times.quantile(0.5), Some(1_000));
/// assert_eq!(Times::default().quantile(0.5), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// The greatest time of each bucket of the histogram that has some, with how many it has.
    buckets: BTreeMap<u64, u64>,
}

impl Times {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The least, exactly.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest, exactly.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The mean, rounded down.
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    /// The time that this part of all times does not exceed: 0.99 for the 99th percentile. Never above the greatest.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let found = self.histogram().value_at_quantile(quantile);
        (self.count > 0).then(|| found.clamp(self.min, self.max))
    }

    /// Adds so many times of this length.
    pub fn add(&mut self, nanoseconds: u64, count: u64) {
        if count > 0 {
            self.summarize(nanoseconds, count);
            *self.buckets.entry(bucket(nanoseconds)).or_default() += count;
        }
    }

    /// Adds all of another; counts and the sum stop at the greatest number.
    pub fn add_all(&mut self, other: &Times) {
        if other.count == 0 {
            return;
        }
        (self.min, self.max) = match self.count {
            0 => (other.min, other.max),
            _ => (self.min.min(other.min), self.max.max(other.max)),
        };
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        for (value, count) in &other.buckets {
            let all = self.buckets.entry(*value).or_default();
            *all = all.saturating_add(*count);
        }
    }

    /// The greatest time of each bucket that has some, with how many it has, in order.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(value, count)| (*value, *count))
    }

    fn summarize(&mut self, nanoseconds: u64, count: u64) {
        (self.min, self.max) = match self.count {
            0 => (nanoseconds, nanoseconds),
            _ => (self.min.min(nanoseconds), self.max.max(nanoseconds)),
        };
        self.count += count;
        self.sum = self.sum.saturating_add(nanoseconds.saturating_mul(count));
    }

    /// As a histogram, of which least and greatest are to three digits.
    pub(super) fn histogram(&self) -> Histogram<u64> {
        let mut histogram = empty();
        for (value, count) in self.buckets() {
            histogram.saturating_record_n(value, count);
        }
        histogram
    }
}

/// The greatest time of the bucket that this one is in.
fn bucket(nanoseconds: u64) -> u64 {
    // What `Histogram::highest_equivalent` says, without a histogram: so many of the leading bits count.
    let nanoseconds = nanoseconds.min(LONGEST);
    let kept = 64 - nanoseconds.leading_zeros();
    let dropped = kept.saturating_sub(11);
    nanoseconds | ((1 << dropped) - 1)
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("an hour in nanoseconds to three digits")
}

/// Times that are recorded now, at the speed of a histogram in an array.
#[derive(Debug)]
pub(super) struct Recorder {
    histogram: Histogram<u64>,
    times: Times,
}

impl Recorder {
    pub(super) fn new() -> Recorder {
        Recorder { histogram: empty(), times: Times::default() }
    }

    #[inline]
    pub(super) fn add(&mut self, nanoseconds: u64, count: u64) {
        self.times.summarize(nanoseconds, count);
        self.histogram.saturating_record_n(nanoseconds.min(LONGEST), count);
    }

    /// What was recorded since this was last called.
    pub(super) fn take(&mut self) -> Times {
        let mut times = std::mem::take(&mut self.times);
        if times.count > 0 {
            let recorded = self.histogram.iter_recorded();
            times.buckets = recorded.map(|step| (bucket(step.value_iterated_to()), step.count_at_value())).collect();
            self.histogram.reset();
        }
        times
    }
}

/// As JSON: what is shown, and what is needed to add up. Where there is no time, there is no percentile either.
#[derive(Deserialize, Serialize)]
struct File {
    count: u64,
    sum: u64,
    min: Option<u64>,
    max: Option<u64>,
    mean: Option<u64>,
    #[serde(default)]
    p50: Option<u64>,
    #[serde(default)]
    p90: Option<u64>,
    #[serde(default)]
    p99: Option<u64>,
    #[serde(default, rename = "p99.9")]
    p99_9: Option<u64>,
    #[serde(default, rename = "p99.99")]
    p99_99: Option<u64>,
    /// Pairs of a time and how many there are of up to that, above the pair before.
    histogram: Vec<(u64, u64)>,
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let histogram = self.histogram();
        let at = |quantile| (self.count > 0).then(|| histogram.value_at_quantile(quantile).clamp(self.min, self.max));
        let file = File {
            count: self.count,
            sum: self.sum,
            min: self.min(),
            max: self.max(),
            mean: self.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            histogram: self.buckets().collect(),
        };
        file.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Times, D::Error> {
        let File { count, sum, min, max, histogram, .. } = File::deserialize(from)?;
        let buckets: BTreeMap<u64, u64> = histogram.iter().copied().collect();
        if let Some((value, _)) = histogram.iter().find(|(value, _)| bucket(*value) != *value) {
            return Err(D::Error::custom(format!("a histogram of other buckets: {value} ends none of ours")));
        }
        if let Some((value, _)) = histogram.iter().find(|(_, count)| *count == 0) {
            return Err(D::Error::custom(format!("the histogram has the bucket {value} without a time in it")));
        }
        let counted = histogram.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
        if counted != Some(count) || buckets.len() != histogram.len() {
            return Err(D::Error::custom(format!("the histogram has {counted:?} times, and count is {count}")));
        }
        let ends = [buckets.first_key_value(), buckets.last_key_value()].map(|end| end.map(|(value, _)| *value));
        if [min, max].map(|time| time.map(bucket)) != ends || min > max {
            return Err(D::Error::custom(format!(
                "min {min:?} and max {max:?} are not in the histogram's first and last bucket"
            )));
        }
        Ok(Times { count, sum, min: min.unwrap_or(0), max: max.unwrap_or(0), buckets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_the_histograms() {
        let histogram = empty();
        let mut random = fastrand::Rng::with_seed(1);
        let some = (0..10_000).map(|_| random.u64(..LONGEST) >> random.u32(..42));
        for value in some.chain([0, 1, 2047, 2048, 2049, 4095, 4096, LONGEST]) {
            assert_eq!(bucket(value), histogram.highest_equivalent(value), "{value}");
        }
    }

    #[test]
    fn recorded_or_added_it_is_the_same_and_parts_add_up() {
        let mut random = fastrand::Rng::with_seed(2);
        let (mut recorder, mut added, mut parts) = (Recorder::new(), Times::default(), vec![Times::default(); 3]);
        for _ in 0..10_000 {
            let (value, count) = (random.u64(..LONGEST * 2) >> random.u32(..42), random.u64(1..4));
            recorder.add(value, count);
            added.add(value, count);
            parts[random.usize(..3)].add(value, count);
        }
        let mut all = Times::default();
        parts.iter().for_each(|part| all.add_all(part));
        // Not `assert_eq`, which would show thousands of buckets.
        assert!(all == added, "parts add up");
        assert!(recorder.take() == added, "recorded is as added");
        assert!(recorder.take() == Times::default(), "it is empty now");
        let text = serde_json::to_string(&added).expect("JSON");
        assert!(serde_json::from_str::<Times>(&text).expect("it is read back") == added, "read back");
    }

    #[test]
    fn no_quantile_is_above_the_greatest_nor_below_a_lower_one() {
        for longest in [0, 1, 999, 1_000_001, 123_456_789, 59_999_999_999, 2 * LONGEST] {
            let mut times = Times::default();
            times.add(longest, 5);
            let quantiles = [0.0, 0.5, 0.9, 0.99, 1.0].map(|quantile| times.quantile(quantile).expect("some"));
            assert!(quantiles.is_sorted() && quantiles[4] <= longest, "{quantiles:?} of {longest}");
            assert_eq!((times.min(), times.max()), (Some(longest), Some(longest)));
        }
        let none = Times::default();
        assert_eq!((none.quantile(0.5), none.min(), none.max(), none.mean()), (None, None, None, None));
    }

    #[test]
    fn a_histogram_of_other_buckets_is_refused() {
        let read = |rest: &str, histogram: &str| {
            let text = format!(r#"{{"count":1,"sum":5000,{rest},"histogram":{histogram}}}"#);
            serde_json::from_str::<Times>(&text).map(drop).map_err(|error| error.to_string())
        };
        let ends = r#""min":5000,"max":5000"#;
        assert_eq!(read(ends, "[[5003,1]]"), Ok(()));
        for (ends, histogram, why) in [
            (ends, "[[5000,1]]", "5000 ends none of ours"),
            (ends, "[[5003,2]]", "count is 1"),
            (ends, "[[5003,1],[5007,0]]", "without a time in it"),
            (ends, "[[5007,1]]", "are not in the histogram's first and last bucket"),
            (r#""min":5001,"max":5000"#, "[[5003,1]]", "are not in the histogram's first and last bucket"),
            (r#""min":null,"max":null"#, "[[5003,1]]", "are not in the histogram's first and last bucket"),
        ] {
            let error = read(ends, histogram).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
