//! How long each payload is: a pure function of run, connection and sequence, so that who receives it computes it, too.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PlanError;

/// The lengths of the payloads, in bytes.
///
/// As text: `64`, `uniform:16..4KiB` (both ends included), or `list:64=0.9,64KiB=0.1` (lengths with their shares).
///
/// ```
/// use unstick::load::Sizes;
/// let sizes: Sizes = "uniform:16..4KiB".parse()?;
/// assert_eq!(sizes, Sizes::Uniform { least: 16, greatest: 4096 });
/// assert!("list:64=0.9,1KiB=0.2".parse::<Sizes>().is_err()); // the shares add up to more than 1
/// # Ok::<(), unstick::load::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(into = "String", try_from = "String")]
pub enum Sizes {
    /// All of one length.
    Fixed(usize),
    /// Any length from `least` to `greatest`, all equally likely.
    Uniform {
        /// The least length.
        least: usize,
        /// The greatest length, itself included.
        greatest: usize,
    },
    /// Lengths with their shares, which add up to 1.
    List(Vec<(usize, f64)>),
}

impl Sizes {
    /// The longest that there can be.
    pub fn greatest(&self) -> usize {
        match self {
            Sizes::Fixed(len) => *len,
            Sizes::Uniform { greatest, .. } => *greatest,
            Sizes::List(list) => list.iter().map(|(len, _)| *len).max().unwrap_or(0),
        }
    }

    /// The shortest that there can be.
    pub fn least(&self) -> usize {
        match self {
            Sizes::Fixed(len) => *len,
            Sizes::Uniform { least, .. } => *least,
            Sizes::List(list) => list.iter().map(|(len, _)| *len).min().unwrap_or(0),
        }
    }

    /// The length of a frame's payload.
    #[inline]
    pub(super) fn len(&self, run: u64, connection: u64, sequence: u64) -> usize {
        match self {
            Sizes::Fixed(len) => *len,
            Sizes::Uniform { least, greatest } => {
                let lengths = (greatest - least) as u128 + 1;
                // The upper half of the product is below `lengths`, and evenly so.
                least + ((u128::from(mixed(run, connection, sequence)) * lengths) >> 64) as usize
            }
            Sizes::List(list) => of_list(list, mixed(run, connection, sequence)),
        }
    }
}

fn of_list(list: &[(usize, f64)], chance: u64) -> usize {
    // 53 bits: what a float holds exactly.
    let mut left = (chance >> 11) as f64 / (1u64 << 53) as f64;
    for (len, share) in list {
        if left < *share {
            return *len;
        }
        left -= share;
    }
    // The shares add up to a little less than 1, as floats do.
    list.last().map_or(0, |(len, _)| *len)
}

/// Bits that look random, of these three numbers alone: splitmix64's way.
fn mixed(run: u64, connection: u64, sequence: u64) -> u64 {
    let mut z = run.wrapping_add(connection.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 32)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl FromStr for Sizes {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Sizes, PlanError> {
        let wrong = |why: &str| PlanError::Payload { text: text.into(), why: why.into() };
        if let Some(range) = text.strip_prefix("uniform:") {
            let (least, greatest) = range.split_once("..").ok_or_else(|| wrong("write uniform:16..4KiB"))?;
            let (least, greatest) = (length(least).map_err(wrong)?, length(greatest).map_err(wrong)?);
            return match least <= greatest {
                true => Ok(Sizes::Uniform { least, greatest }),
                false => Err(wrong("the least is above the greatest")),
            };
        }
        match text.strip_prefix("list:") {
            Some(list) => list_of(list).map(Sizes::List).map_err(|why| wrong(&why)),
            None => length(text).map(Sizes::Fixed).map_err(wrong),
        }
    }
}

fn list_of(text: &str) -> Result<Vec<(usize, f64)>, String> {
    let mut list = Vec::new();
    for entry in text.split(',') {
        let (len, share) = entry.split_once('=').ok_or("write list:64=0.9,64KiB=0.1")?;
        let share: f64 = share.parse().map_err(|_| format!("a share is a number, and {share:?} is none"))?;
        if !(share > 0.0 && share <= 1.0) {
            return Err(format!("a share is above 0 and at most 1, and {share} is not"));
        }
        list.push((length(len)?, share));
    }
    let sum: f64 = list.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-6 { Err(format!("the shares add up to {sum} and not to 1")) } else { Ok(list) }
}

/// A number of bytes, with a unit or without.
fn length(text: &str) -> Result<usize, &'static str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1usize,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => 0,
    };
    let number = number.parse::<usize>().ok().filter(|_| factor > 0).and_then(|number| number.checked_mul(factor));
    number.ok_or("write a number of bytes, as in 64, 16KiB or 1MiB, or uniform:16..4KiB, or list:64=0.9,64KiB=0.1")
}

/// The text that parses to these sizes.
impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sizes::Fixed(len) => write!(f, "{len}"),
            Sizes::Uniform { least, greatest } => write!(f, "uniform:{least}..{greatest}"),
            Sizes::List(list) => {
                for (index, (len, share)) in list.iter().enumerate() {
                    write!(f, "{}{len}={share}", if index == 0 { "list:" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl From<Sizes> for String {
    fn from(sizes: Sizes) -> String {
        sizes.to_string()
    }
}

impl TryFrom<String> for Sizes {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Sizes, PlanError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_shown_again() {
        for text in ["64", "0", "uniform:16..4096", "list:64=0.9,65536=0.1"] {
            let sizes: Sizes = text.parse().expect(text);
            assert_eq!(sizes.to_string(), text);
        }
        let sizes: Sizes = "list:1KiB=0.25,2MB=0.75".parse().expect("units");
        assert_eq!((sizes.least(), sizes.greatest()), (1024, 2_000_000));
        for wrong in
            ["", "x", "-1", "1.5KiB", "uniform:5", "uniform:5..4", "list:", "list:5", "list:5=0.5", "list:5=-1"]
        {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_within_their_bounds_and_reach_them_evenly() {
        let sizes = Sizes::Uniform { least: 3, greatest: 6 };
        let mut counts = [0; 7];
        for sequence in 0..4000 {
            counts[sizes.len(1, 2, sequence)] += 1;
        }
        assert_eq!(counts[..3], [0, 0, 0]);
        assert!(counts[3..].iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(Sizes::Uniform { least: 9, greatest: 9 }.len(1, 2, 3), 9);
    }

    #[test]
    fn a_list_gives_each_its_share() {
        let sizes: Sizes = "list:64=0.9,65536=0.1".parse().expect("a list");
        let long = (0..10_000).filter(|sequence| sizes.len(7, 0, *sequence) == 65536).count();
        assert!((900..1100).contains(&long), "{long} of 10,000");
    }

    #[test]
    fn run_and_connection_make_other_lengths() {
        let sizes = Sizes::Uniform { least: 0, greatest: 1 << 20 };
        let of = |run, connection| (0..100).map(|sequence| sizes.len(run, connection, sequence)).collect::<Vec<_>>();
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }
}
