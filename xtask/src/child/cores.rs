//! Cores: the server is kept on the first one, the load on the last.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use, as it was started.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    pub(crate) all: Vec<usize>,
}

impl Cores {
    pub(crate) fn allowed() -> io::Result<Cores> {
        let allowed = sched_getaffinity(None)?;
        Ok(Cores { all: (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect() })
    }

    /// The first core.
    pub(crate) fn server(&self) -> &[usize] {
        &self.all[..1]
    }

    /// The first cores, one for each of so many threads of a server; `None` where none is left for the load.
    pub(crate) fn servers(&self, threads: usize) -> Option<&[usize]> {
        self.all.get(..threads).filter(|_| threads < self.all.len())
    }

    /// The last core: the server's too where there is but one.
    pub(crate) fn load(&self) -> &[usize] {
        &self.all[self.all.len() - 1..]
    }
}

/// Keeps this thread, and those that it starts from now on, on these cores.
pub(crate) fn stay_on(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_told_to() {
        let before = Cores::allowed().expect("the system says");
        stay_on(before.load()).expect("the core is ours");
        let now = Cores::allowed().expect("the system says");
        assert_eq!((now.all.as_slice(), now.servers(1)), (before.load(), None));
        stay_on(&before.all).expect("the cores are ours");
    }
}
