//! The statistics of few samples: medians, whether two groups differ, and by how much. The same samples give the same
//! numbers.
//!
//! Our own, as no kept crate has them: `statrs` 0.19.1 needs a newer Rust, has no exact p for samples of which some are
//! equal, and for groups of equal size a wrong one (1 for 1, 2, 3, 4, 5 beside 6, 7, 8, 9, 10).

/// How often the samples are drawn again to see how much their medians vary.
const DRAWS: usize = 10_000;
/// What is left out at each end of what was drawn: 95 % are within.
const TAIL: f64 = 0.025;
/// The quantiles of the normal distribution of what [`runs_needed`] promises: p of 0.01 at most, on two sides, in 80 %
/// of cases.
const Z_SIGNIFICANCE: f64 = 2.575_829;
const Z_POWER: f64 = 0.841_621;

/// The value in the middle; of the two in the middle the mean. `None` of no samples.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len.is_multiple_of(2) => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        _ => Some(sorted[middle]),
    }
}

/// The two-sided p of the test of Mann and Whitney (Wilcoxon's rank sum test), exact, with samples that are equal, too:
/// of all ways to draw as many as the smaller group has out of all samples, the part whose ranks add up to something as
/// far from their mean or farther. 1 where a group is empty.
///
/// The time is that of N² m² additions for N samples of which the smaller group has m.
pub(super) fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let (small, large) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let ranks = doubled_ranks(small, large);
    let observed: usize = ranks[..small.len()].iter().sum();
    let ways = ways_to_add_up(&ranks, small.len());
    let mean = small.len() * (ranks.len() + 1);
    let as_far = ways.iter().enumerate().filter(|(sum, _)| sum.abs_diff(mean) >= observed.abs_diff(mean));
    let (as_far, all): (f64, f64) = (as_far.map(|(_, ways)| ways).sum(), ways.iter().sum());
    (as_far / all).min(1.0)
}

/// The least p that groups of these lengths can have: that of groups that do not overlap, which are two of all ways to
/// choose the one out of both.
pub(super) fn least_p(one: usize, other: usize) -> f64 {
    let ways: f64 = (1..=one).map(|index| (other + index) as f64 / index as f64).product();
    (2.0 / ways).min(1.0)
}

/// The ranks of all samples among all, twice, so that the mean rank of equal ones is whole. Those of `first` come
/// first.
fn doubled_ranks(first: &[f64], second: &[f64]) -> Vec<usize> {
    let all = || first.iter().chain(second);
    all()
        .map(|sample| {
            let below = all().filter(|other| *other < sample).count();
            let equal = all().filter(|other| *other == sample).count();
            2 * below + equal + 1
        })
        .collect()
}

/// For each sum, how many ways there are to draw so many numbers that add up to it.
fn ways_to_add_up(numbers: &[usize], drawn: usize) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let greatest: usize = sorted[..drawn].iter().sum();
    let mut ways = vec![vec![0.0; greatest + 1]; drawn + 1];
    ways[0][0] = 1.0;
    for number in sorted {
        // From the most on down, so that no number is drawn twice.
        for count in (1..=drawn).rev() {
            let (fewer, this) = ways.split_at_mut(count);
            for (sum, before) in this[0].iter_mut().skip(number).zip(&fewer[count - 1]) {
                *sum += before;
            }
        }
    }
    ways.swap_remove(drawn)
}

/// How many samples a side would show with a p of 0.01 or less, four times of five, what these seem to show: Noether,
/// *Sample Size Determination for Some Common Nonparametric Tests*, JASA 82 (1987), for groups of one size. `None`
/// where they seem to show nothing.
pub(super) fn runs_needed(one: &[f64], other: &[f64]) -> Option<u32> {
    let pairs = || one.iter().flat_map(|one| other.iter().map(move |other| (one, other)));
    let above: f64 =
        pairs().map(|(one, other)| f64::from(u8::from(one > other)) + f64::from(u8::from(one == other)) / 2.0).sum();
    let apart = above / pairs().count() as f64 - 0.5;
    let needed = ((Z_SIGNIFICANCE + Z_POWER).powi(2) / (6.0 * apart * apart)).ceil();
    (needed.is_finite() && needed < f64::from(u32::MAX)).then_some(needed as u32)
}

/// The bounds within which 95 % of what `of` says are, for samples drawn again from both groups (the percentile
/// bootstrap), for the medians of the two.
pub(super) fn bootstrap<const N: usize>(
    one: &[f64],
    other: &[f64],
    of: impl Fn(f64, f64) -> [f64; N],
) -> [(f64, f64); N] {
    // Always the same draws: who compares the same runs twice gets the same bounds.
    let mut random = fastrand::Rng::with_seed(1);
    let mut again = |samples: &[f64]| -> f64 {
        let drawn: Vec<f64> = samples.iter().map(|_| samples[random.usize(..samples.len())]).collect();
        median(&drawn).unwrap_or(f64::NAN)
    };
    let draws: Vec<[f64; N]> = (0..DRAWS).map(|_| of(again(one), again(other))).collect();
    std::array::from_fn(|index| {
        let mut drawn: Vec<f64> = draws.iter().map(|draw| draw[index]).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let left_out = (DRAWS as f64 * TAIL) as usize;
        (drawn[left_out], drawn[DRAWS - 1 - left_out])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn about(is: f64, wanted: f64) {
        assert!((is - wanted).abs() < 5e-5, "{is}, not {wanted}");
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), Some(5.5));
    }

    /// R's `?wilcox.test`, after Hollander & Wolfe (1973), 69f: `wilcox.test(x, y, alternative = "greater")` has W = 35
    /// and p = 0.1272, so the two-sided p is 0.2544. scipy's `mannwhitneyu(males, females, method="exact")` has p =
    /// 0.1111.
    #[test]
    fn p_is_what_r_and_scipy_say() {
        let x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let y = [1.15, 0.88, 0.90, 0.74, 1.21];
        about(mann_whitney(&x, &y), 0.2544);
        about(mann_whitney(&y, &x), 0.2544);
        about(mann_whitney(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]), 0.1111);
    }

    #[test]
    fn groups_that_do_not_overlap_have_the_least_p() {
        for (one, other, ways) in
            [(1, 1, 2.0), (3, 3, 20.0), (4, 4, 70.0), (5, 5, 252.0), (2, 13, 105.0), (10, 10, 184_756.0)]
        {
            let samples: Vec<f64> = (0..one + other).map(|sample| sample as f64).collect();
            let (low, high) = samples.split_at(one);
            for p in [least_p(one, other), least_p(other, one), mann_whitney(low, high), mann_whitney(high, low)] {
                assert!((p * ways / 2.0 - 1.0).abs() < 1e-9, "{p} of {one} and {other}");
            }
        }
        assert_eq!((least_p(0, 5), mann_whitney(&[], &[1.0])), (1.0, 1.0));
    }

    /// Every way to choose, counted one by one.
    #[test]
    fn p_counts_ways_with_equal_samples_too() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (small, len) = (random.usize(1..5), random.usize(5..10));
            let samples: Vec<f64> = (0..len).map(|_| f64::from(random.u8(..4))).collect();
            let ranks = doubled_ranks(&samples, &[]);
            let sum =
                |mask: u32| (0..len).filter(|index| mask >> index & 1 == 1).map(|index| ranks[index]).sum::<usize>();
            let mean = small * (len + 1);
            let all: Vec<usize> =
                (0..1u32 << len).filter(|mask| mask.count_ones() as usize == small).map(sum).collect();
            let observed = sum((1 << small) - 1).abs_diff(mean);
            let as_far = all.iter().filter(|sum| sum.abs_diff(mean) >= observed).count();
            about(mann_whitney(&samples[..small], &samples[small..]), as_far as f64 / all.len() as f64);
        }
        assert_eq!(mann_whitney(&[1.0; 5], &[1.0; 5]), 1.0);
    }

    /// Noether's formula by hand: 3.41745² / (6 (p - ½)²).
    #[test]
    fn as_many_runs_are_needed_as_noether_says() {
        let five = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(runs_needed(&five, &five.map(|sample| sample + 10.0)), Some(8));
        // Of 25 pairs 10 are above and 5 equal: p is exactly ½.
        assert_eq!(runs_needed(&five, &five), None);
        // 15 above and 4 equal of 25: p - ½ = 0.18.
        assert_eq!(runs_needed(&five, &five.map(|sample| sample - 1.0)), Some(61));
    }

    #[test]
    fn bounds_hold_the_median_and_are_the_same_each_time() {
        let before = [10.0, 11.0, 12.0, 13.0, 14.0];
        let after = before.map(|sample| sample * 2.0);
        let bounds = || bootstrap(&before, &after, |before, after| [after - before, after / before]);
        let [(low, high), (least, greatest)] = bounds();
        assert!((6.0..12.0).contains(&low) && high > 12.0 && high <= 18.0, "{low} {high}");
        assert!(least < 2.0 && 2.0 < greatest && least > 1.0, "{least} {greatest}");
        assert_eq!(bounds(), bounds());
        assert_eq!(bootstrap(&[3.0], &[4.0], |before, after| [after - before]), [(1.0, 1.0)]);
    }
}
