//! From values to positions on an axis, and where its ticks are.

/// What an axis spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Scale {
    /// Equal distances are equal differences.
    Linear { from: f64, to: f64 },
    /// Equal distances are equal ratios. `from` is above 0.
    Log { from: f64, to: f64 },
    /// Quantiles: each further nine, 0.9, 0.99, 0.999, is as far from the one before. `to` is the number of nines at
    /// the end.
    Nines { to: f64 },
}

impl Scale {
    /// From 0 to a round number that is not below `greatest`.
    pub(in super::super) fn from_zero(greatest: f64) -> Scale {
        let greatest = if greatest > 0.0 && greatest.is_finite() { greatest } else { 1.0 };
        let step = round_step(greatest / 4.0);
        Scale::Linear { from: 0.0, to: (greatest / step).ceil() * step }
    }

    /// From 0 to this.
    pub(in super::super) fn up_to(end: f64) -> Scale {
        Scale::Linear { from: 0.0, to: if end > 0.0 && end.is_finite() { end } else { 1.0 } }
    }

    /// All of these values that are above 0, between round numbers, and half a decade at least; values of 0 are at its
    /// begin.
    pub(in super::super) fn ratios(values: impl Iterator<Item = f64>) -> Scale {
        let values = values.filter(|value| *value > 0.0 && value.is_finite());
        let (least, greatest) =
            values.fold((f64::MAX, 0.0f64), |(least, greatest), value| (least.min(value), greatest.max(value)));
        if greatest == 0.0 {
            return Scale::Log { from: 1.0, to: 10.0 };
        }
        let (mut from, mut to) = (round_down(least), round_up(greatest));
        while to / from < 9.99 {
            (from, to) = (round_down(from * 0.99), round_up(to * 1.01));
        }
        Scale::Log { from, to }
    }

    /// Where a value is, from 0 to 1; at 0 what is no number.
    pub(in super::super) fn at(self, value: f64) -> f64 {
        let part = match self {
            Scale::Linear { from, to } => (value - from) / (to - from),
            Scale::Log { from, to } => (value.max(from) / from).ln() / (to / from).ln(),
            Scale::Nines { to } => -(1.0 - value).max(1e-15).log10() / to,
        };
        if part.is_finite() && !value.is_nan() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Its ticks in order, about `most` of them at most.
    pub(in super::super) fn ticks(self, most: usize) -> Vec<f64> {
        match self {
            Scale::Linear { from, to } => {
                let step = round_step((to - from) / most.max(1) as f64);
                let (first, last) = ((from / step).ceil() as i64, (to / step + 1e-9).floor() as i64);
                (first..=last).map(|number| number as f64 * step).collect()
            }
            Scale::Log { from, to } => log_ticks(from, to, most),
            Scale::Nines { to } => {
                let nines = (1..=to.floor() as i32).map(|nines| 1.0 - 10f64.powi(-nines));
                [0.0, 0.5].into_iter().chain(nines).collect()
            }
        }
    }
}

/// As many of each decade as there is room for: 1, 2 and 5, or 1 and 3, or 1; or those of some decades.
fn log_ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
    let of = |digits: &[f64], each: i32| -> Vec<f64> {
        let decades = decades.clone().filter(|decade| decade.rem_euclid(each) == 0);
        let ticks = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
        ticks.filter(|tick| *tick > from * 0.999 && *tick < to * 1.001).collect()
    };
    let candidates = [of(&[1.0, 2.0, 5.0], 1), of(&[1.0, 3.0], 1), of(&[1.0], 1), of(&[1.0], 2), of(&[1.0], 3)];
    let fits = candidates.iter().find(|ticks| ticks.len() <= most.max(2));
    fits.or(candidates.last()).cloned().unwrap_or_default()
}

/// The least of 1, 2 and 5 times a power of ten that is not below this.
fn round_step(step: f64) -> f64 {
    round_up(step * (1.0 - 1e-9))
}

fn round_up(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * unit).into_iter().find(|round| *round >= value).unwrap_or(10.0 * unit)
}

fn round_down(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].map(|digit| digit * unit).into_iter().find(|round| *round <= value).unwrap_or(unit / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(Scale::from_zero(9_300.0), Scale::Linear { from: 0.0, to: 10_000.0 });
        assert_eq!(Scale::from_zero(9_300.0).ticks(4), [0.0, 5_000.0, 10_000.0]);
        assert_eq!(Scale::up_to(12.5).ticks(8), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(Scale::from_zero(0.0).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(Scale::Log { from: 20.0, to: 500.0 }.ticks(6), [20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(Scale::Log { from: 1.0, to: 1e9 }.ticks(4), [1.0, 1e3, 1e6, 1e9]);
        assert_eq!(Scale::Nines { to: 3.2 }.ticks(9), [0.0, 0.5, 0.9, 0.99, 0.999]);
    }

    #[test]
    fn a_scale_of_ratios_has_all_values_and_half_a_decade() {
        assert_eq!(Scale::ratios([0.0, 130.0, 7_000.0].into_iter()), Scale::Log { from: 100.0, to: 10_000.0 });
        let Scale::Log { from, to } = Scale::ratios([100.0, 100.0].into_iter()) else { panic!() };
        assert!(from < 100.0 && to > 100.0 && to / from > 9.0, "{from} {to}");
        assert_eq!(Scale::ratios([f64::NAN, 0.0].into_iter()), Scale::Log { from: 1.0, to: 10.0 });
    }

    #[test]
    fn a_position_is_within_the_axis_whatever_the_value() {
        let log = Scale::Log { from: 1.0, to: 100.0 };
        assert!(near(log.at(10.0), 0.5) && near(log.at(0.0), 0.0) && near(log.at(1e9), 1.0));
        let nines = Scale::Nines { to: 4.0 };
        assert!(near(nines.at(0.0), 0.0) && near(nines.at(0.99), 0.5) && near(nines.at(1.0), 1.0));
        assert!([log, nines, Scale::up_to(0.0)].iter().all(|scale| scale.at(f64::NAN) == 0.0));
    }
}
