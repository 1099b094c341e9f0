//! The greatest rate of an open loop that this machine, server and generator together, keeps up with.

/// The first rate that is tried, in frames a second, and the least.
const FIRST: f64 = 8_000.0;
const LEAST: f64 = 500.0;
/// From one rate to the next while the limit is not found, up or down.
const STEP: f64 = 4.0;
/// How often what is between a rate that is healthy and one that is not is halved.
const HALVINGS: usize = 3;

/// Searches upwards by steps, or downwards, and then between; at most `most`. `is_healthy` measures a rate. `None` where no rate is
/// healthy.
pub(super) fn greatest<E>(most: f64, mut is_healthy: impl FnMut(f64) -> Result<bool, E>) -> Result<Option<f64>, E> {
    let mut rate = FIRST.min(most);
    let (mut healthy, mut ill) = (None, None);
    while healthy.is_none() || ill.is_none() {
        if is_healthy(rate)? {
            healthy = Some(rate);
            if rate >= most {
                return Ok(healthy);
            }
            rate = (rate * STEP).min(most);
        } else {
            ill = Some(rate);
            if rate <= LEAST {
                break;
            }
            rate = (rate / STEP).max(LEAST);
        }
    }
    let (Some(mut low), Some(mut high)) = (healthy, ill) else { return Ok(healthy) };
    for _ in 0..HALVINGS {
        // In the middle by ratio, to two digits.
        let middle = two_digits((low * high).sqrt());
        if is_healthy(middle)? { low = middle } else { high = middle }
    }
    Ok(Some(low))
}

/// Rounded to two digits, as in 13,000.
fn two_digits(number: f64) -> f64 {
    let unit = 10f64.powf(number.log10().floor() - 1.0);
    (number / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where all up to `limit` is healthy, and how many rates were tried.
    fn found(limit: f64, most: f64) -> (Option<f64>, usize) {
        let mut tried = 0;
        let found = greatest::<()>(most, |rate| {
            tried += 1;
            Ok(rate <= limit)
        });
        (found.expect("nothing fails"), tried)
    }

    #[test]
    fn the_limit_is_found_from_below_and_from_above() {
        for limit in [600.0, 5_000.0, 8_000.0, 100_000.0, 3e6] {
            let (found, tried) = found(limit, 1e9);
            let found = found.expect("a rate is healthy");
            assert!(found <= limit && found > limit / 1.3, "{found} of {limit}");
            assert!(tried <= 12, "{tried} tried");
        }
    }

    #[test]
    fn no_rate_may_be_healthy_and_all_may_be() {
        assert_eq!(found(100.0, 1e9).0, None);
        assert_eq!(found(1e9, 50_000.0), (Some(50_000.0), 3));
        assert_eq!(found(1e9, 3_000.0), (Some(3_000.0), 1));
    }
}
