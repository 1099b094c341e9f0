//! Keeps the server and the load on cores of their own.

use std::error::Error;

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of this process, shared out: the last one for the load, the others for the server.
#[cfg(target_os = "linux")]
pub(crate) struct Cores {
    server: CpuSet,
    load: CpuSet,
}

#[cfg(target_os = "linux")]
impl Cores {
    /// # Errors
    /// Where there are not enough cores for the server's threads and one more.
    pub(crate) fn share_out(server_threads: usize) -> Result<Cores, Box<dyn Error>> {
        let allowed = sched_getaffinity(None)?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        if cores.len() <= server_threads {
            let have = cores.len();
            return Err(format!(
                "--pin with --threads {server_threads} needs a core for each and one for the load, and there are {have}"
            )
            .into());
        }
        let (mut server, mut load) = (CpuSet::new(), CpuSet::new());
        cores[..server_threads].iter().for_each(|core| server.set(*core));
        load.set(cores[cores.len() - 1]);
        Ok(Cores { server, load })
    }

    /// This thread goes to the server's cores, and so do the processes that it starts from now on.
    pub(crate) fn go_to_servers(&self) -> Result<(), Box<dyn Error>> {
        Ok(sched_setaffinity(None, &self.server)?)
    }

    /// This thread goes to the load's core.
    pub(crate) fn go_to_loads(&self) -> Result<(), Box<dyn Error>> {
        Ok(sched_setaffinity(None, &self.load)?)
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) struct Cores;

#[cfg(not(target_os = "linux"))]
impl Cores {
    pub(crate) fn share_out(_server_threads: usize) -> Result<Cores, Box<dyn Error>> {
        Err("--pin works on Linux only".into())
    }

    pub(crate) fn go_to_servers(&self) -> Result<(), Box<dyn Error>> {
        Ok(())
    }

    pub(crate) fn go_to_loads(&self) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_where_it_is_told() {
        let Ok(cores) = Cores::share_out(1) else {
            let allowed = sched_getaffinity(None).expect("the system says");
            assert_eq!(allowed.count(), 1, "only a single core cannot be shared out");
            return;
        };
        let before = sched_getaffinity(None).expect("the system says");
        cores.go_to_servers().expect("the cores are ours");
        let server = sched_getaffinity(None).expect("the system says");
        cores.go_to_loads().expect("the cores are ours");
        let load = sched_getaffinity(None).expect("the system says");
        assert_eq!((server.count(), load.count()), (1, 1));
        assert_ne!(server, load);
        assert_eq!(sched_setaffinity(None, &before), Ok(()));
    }

    #[test]
    fn more_threads_than_cores_are_refused() {
        let error = Cores::share_out(CpuSet::MAX_CPU).err().expect("nobody has that many cores").to_string();
        assert!(error.contains("needs a core for each"), "{error}");
    }
}
