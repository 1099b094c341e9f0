//! Cores: the server is kept on the first one, the load on the last.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use, as it was started.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    pub(super) all: Vec<usize>,
}

impl Cores {
    pub(super) fn allowed() -> io::Result<Cores> {
        let allowed = sched_getaffinity(None)?;
        Ok(Cores { all: (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect() })
    }

    pub(super) fn server(&self) -> &[usize] {
        &self.all[..1]
    }

    /// The last core: the server's too where there is but one.
    pub(super) fn load(&self) -> &[usize] {
        &self.all[self.all.len() - 1..]
    }
}

/// Keeps this thread, and those that it starts from now on, on these cores.
pub(super) fn stay_on(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}
