//! The flags by which several processes make one load, and what the environment says of them.

use clap::Args;
use unstick::load::{Plan, Shard};

use crate::exit::{Failure, log};

/// The number of a process among those of a job, and how many there are: of Kubernetes and of Slurm.
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
const SLURM: (&str, &str) = ("SLURM_PROCID", "SLURM_NTASKS");

/// One load by many processes, on any machines.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Many machines")]
pub(super) struct Shards {
    /// Make part I of N of the load, with I from 0 on; see docs/load.md
    ///
    /// All other flags are of the whole load, but for --threads and
    /// --local-address. auto/N takes I from JOB_COMPLETION_INDEX (Kubernetes) or
    /// SLURM_PROCID. With --start-at and without this, I and N are SLURM_PROCID
    /// and SLURM_NTASKS, if they are set; without either, the load is whole,
    /// whatever the environment says.
    #[arg(long, value_name = "I/N", value_parser = parse_part, requires = "start_at", hide_short_help = true)]
    shard: Option<Which>,

    /// Begin to measure at this time: seconds since 1970, also 1767225600.5
    ///
    /// The warm-up is before it, and connecting before that. Exit code 11 if
    /// the connections are not there in time.
    #[arg(long, value_name = "UNIX", hide_short_help = true)]
    #[arg(conflicts_with_all = ["find_knee", "sweep", "runs", "baseline"])]
    start_at: Option<f64>,

    /// What all shards of one load have in common, and no other load has
    ///
    /// By default it is made of the flags, --seed and --start-at.
    #[arg(long, value_name = "TEXT", requires = "start_at", hide_short_help = true)]
    run_id: Option<String>,
}

/// Which part of a load is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Given(Shard),
    /// The environment says which of so many.
    Auto {
        of: u32,
    },
}

impl Shards {
    /// Puts them into a plan.
    pub(super) fn complete(&self, plan: &mut Plan) -> Result<(), Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        plan.shard = choose(self.shard, self.start_at.is_some(), variable)?;
        plan.start_at = self.start_at;
        plan.run_id = self.run_id.clone();
        Ok(())
    }
}

/// The part of the load that is meant, with these variables of the environment.
fn choose(
    asked: Option<Which>,
    has_start: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Shard>, Failure> {
    let number = |name: &str| -> Result<Option<u32>, Failure> {
        let Some(text) = variable(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::usage(format_args!("{name} is {text:?}, and no number")))
    };
    let shard = |number, of| Shard::new(number, of).map(Some).map_err(Failure::usage);
    match (asked, has_start) {
        (Some(Which::Given(shard)), _) => Ok(Some(shard)),
        (Some(Which::Auto { of }), _) => match number(KUBERNETES)?.or(number(SLURM.0)?) {
            Some(index) => shard(index, of),
            None => Err(Failure::usage(format_args!("--shard auto/{of}: neither {KUBERNETES} nor {} is set", SLURM.0))),
        },
        (None, true) => match (number(SLURM.0)?, number(SLURM.1)?, number(KUBERNETES)?) {
            (Some(index), Some(of), _) => shard(index, of),
            // Kubernetes does not say how many there are.
            (.., Some(index)) => {
                Err(Failure::usage(format_args!("{KUBERNETES} is {index}: say of how many, as in --shard auto/4")))
            }
            _ => Ok(None),
        },
        (None, false) => {
            let tasks = variable(SLURM.1).filter(|tasks| tasks != "1").map(|tasks| format!("{} is {tasks}", SLURM.1));
            if let Some(several) = tasks.or(variable(KUBERNETES).map(|index| format!("{KUBERNETES} is {index}"))) {
                log(format_args!("unstick: {several}, but this is a load of its own; --start-at makes one of all"));
            }
            Ok(None)
        }
    }
}

fn parse_part(text: &str) -> Result<Which, String> {
    if let Some(of) = text.strip_prefix("auto/") {
        let of = of.parse().ok().filter(|of| *of > 0).ok_or("write auto/N, with N from 1 on")?;
        return Ok(Which::Auto { of });
    }
    text.parse().map(Which::Given).map_err(|error: unstick::load::PlanError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen with these variables, as text, or what is wrong.
    fn chosen(asked: Option<&str>, has_start: bool, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| variables.iter().find(|(is, _)| *is == name).map(|(_, value)| (*value).to_owned());
        let asked = asked.map(parse_part).transpose()?;
        let chosen = choose(asked, has_start, variable);
        chosen.map(|shard| shard.map(|shard| shard.to_string())).map_err(|failure| failure.text.unwrap_or_default())
    }

    #[test]
    fn the_environment_is_asked_only_where_a_start_is_shared() {
        let slurm = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")];
        let kubernetes = [("JOB_COMPLETION_INDEX", "1")];
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(chosen(Some("0/3"), true, &slurm), some("0/3"));
        assert_eq!(chosen(None, true, &slurm), some("2/4"));
        assert_eq!(chosen(None, false, &slurm), Ok(None));
        assert_eq!(chosen(Some("auto/5"), true, &slurm), some("2/5"));
        assert_eq!(chosen(Some("auto/5"), true, &kubernetes), some("1/5"));
        assert_eq!(chosen(None, false, &kubernetes), Ok(None));
        assert_eq!(chosen(None, true, &[]), Ok(None));
    }

    #[test]
    fn what_the_environment_leaves_open_is_asked_for() {
        for (asked, variables, why) in [
            (None, &[("JOB_COMPLETION_INDEX", "1")][..], "JOB_COMPLETION_INDEX is 1: say of how many"),
            (None, &[("SLURM_PROCID", "x"), ("SLURM_NTASKS", "4")], "SLURM_PROCID is \"x\", and no number"),
            (None, &[("SLURM_PROCID", "4"), ("SLURM_NTASKS", "4")], "\"4/4\""),
            (Some("auto/4"), &[], "neither JOB_COMPLETION_INDEX nor SLURM_PROCID is set"),
            (Some("auto/0"), &[], "write auto/N"),
            (Some("4/4"), &[], "the number is not below how many there are"),
            (Some("4"), &[], "write it as in 0/4"),
        ] {
            let error = chosen(asked, true, variables).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
