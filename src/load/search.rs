//! The greatest value at which something holds: upwards by steps, or downwards, then between, and once more to confirm
//! it.

/// Of what failed when it was to be confirmed, this part is tried next.
const BACK: f64 = 0.9;
/// How often a value is confirmed before it is said that there is none.
const CONFIRMATIONS: usize = 5;

/// Where a search for the greatest rate looks, in frames a second, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The rate that is tried first. By default 8,000.
    pub first: f64,
    /// The least rate that is tried. By default 100.
    pub least: f64,
    /// The greatest rate that is tried. By default 1e9.
    pub most: f64,
    /// From one rate to the next while the limit is not found, up or down: a factor above 1. By default 4.
    pub step: f64,
    /// The search ends where the least rate that failed is not more than so many times the greatest that did not. By
    /// default 1.05.
    pub precision: f64,
    /// A rate fails only where it failed so often in a row: one bad moment of the machine decides nothing. By default
    /// 2.
    pub tries: u32,
    /// The run that confirms what was found is so many times as long as the others. By default 3.
    pub confirm: u32,
}

impl Default for Search {
    fn default() -> Search {
        Search { first: 8_000.0, least: 100.0, most: 1e9, step: 4.0, precision: 1.05, tries: 2, confirm: 3 }
    }
}

/// What a value is tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    Search,
    Confirm,
}

impl Search {
    /// The greatest value that holds, confirmed; `None` where none does. `holds` tries one.
    pub(super) fn greatest<E>(&self, mut holds: impl FnMut(f64, Try) -> Result<bool, E>) -> Result<Option<f64>, E> {
        let Some(mut value) = self.between(&mut holds)? else { return Ok(None) };
        for _ in 0..CONFIRMATIONS {
            if holds(value, Try::Confirm)? {
                return Ok(Some(value));
            }
            value = three_digits(value * BACK).max(self.least);
        }
        Ok(None)
    }

    fn between<E>(&self, holds: &mut impl FnMut(f64, Try) -> Result<bool, E>) -> Result<Option<f64>, E> {
        let mut holds = |value| -> Result<bool, E> {
            for _ in 0..self.tries.max(1) {
                if holds(value, Try::Search)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let (mut low, mut high) = (None, None);
        let mut value = self.first.clamp(self.least, self.most);
        while low.is_none() || high.is_none() {
            if holds(value)? {
                low = Some(value);
                if value >= self.most {
                    return Ok(low);
                }
                value = (value * self.step).min(self.most);
            } else {
                high = Some(value);
                if value <= self.least {
                    return Ok(None);
                }
                value = (value / self.step).max(self.least);
            }
        }
        let (Some(mut low), Some(mut high)) = (low, high) else { return Ok(low) };
        while high / low > self.precision {
            // In the middle by ratio.
            let middle = three_digits((low * high).sqrt());
            if middle <= low || middle >= high {
                break;
            }
            if holds(middle)? { low = middle } else { high = middle }
        }
        Ok(Some(low))
    }
}

/// Rounded to three digits, as in 13,200.
fn three_digits(number: f64) -> f64 {
    let unit = 10f64.powf(number.log10().floor() - 2.0);
    (number / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where all up to `limit` holds, and how many values were tried.
    fn found(limit: f64, search: Search) -> (Option<f64>, usize) {
        let mut tried = 0;
        let found = search.greatest::<()>(|value, _| {
            tried += 1;
            assert!(value >= search.least && value <= search.most, "{value}");
            Ok(value <= limit)
        });
        (found.expect("nothing fails"), tried)
    }

    #[test]
    fn the_limit_is_found_from_below_and_from_above() {
        let rough = Search { precision: 1.2, ..Search::default() };
        for limit in [101.0, 600.0, 5_000.0, 8_000.0, 100_000.0, 3e6] {
            for (search, most) in [(Search::default(), 22), (rough, 18)] {
                let (found, tried) = found(limit, search);
                let found = found.expect("a value holds");
                assert!(found <= limit && found >= limit / search.precision / 1.01, "{found} of {limit}");
                assert!(tried <= most, "{tried} tried");
            }
        }
    }

    #[test]
    fn none_may_hold_and_all_may() {
        assert_eq!(found(99.0, Search::default()).0, None);
        let up_to = |most| Search { most, ..Search::default() };
        // The last is to confirm.
        assert_eq!(found(1e9, up_to(50_000.0)), (Some(50_000.0), 4));
        assert_eq!(found(1e9, up_to(3_000.0)), (Some(3_000.0), 2));
    }

    #[test]
    fn one_bad_moment_decides_nothing() {
        let mut tried = Vec::new();
        let search = Search { most: 50_000.0, ..Search::default() };
        let found = search.greatest::<()>(|value, _| {
            tried.push(value);
            Ok(tried.len() > 1)
        });
        assert_eq!(found, Ok(Some(50_000.0)));
        assert_eq!(tried, [8_000.0, 8_000.0, 32_000.0, 50_000.0, 50_000.0]);
    }

    /// What held by luck is not what is said.
    #[test]
    fn what_is_not_confirmed_is_not_found() {
        let search = Search { most: 100_000.0, ..Search::default() };
        let confirmed = search.greatest::<()>(|value, why| Ok(why == Try::Search || value <= 85_000.0));
        assert_eq!(confirmed, Ok(Some(81_000.0)));
        assert_eq!(search.greatest::<()>(|_, why| Ok(why == Try::Search)), Ok(None));
        assert_eq!(search.greatest(|_, _| Err("interrupted")), Err("interrupted"));
    }
}
