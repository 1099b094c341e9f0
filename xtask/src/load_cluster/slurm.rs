//! A cluster of Slurm with one node, this machine: its three daemons, in a folder of its own, for as long as it is needed.

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::Missing;

const INSTALL: &str = "apt-get install slurm-wlm (its daemons need not run: RUNLEVEL=1 apt-get … starts none)";
/// What the node may take to be ready, and a daemon to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is missing here for a cluster.
pub(super) fn missing() -> Option<Missing> {
    let is_there = |name: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        folders.any(|folder| folder.join(name).is_file())
    };
    let programs = ["slurmctld", "slurmd", "srun", "sbatch", "sinfo", "scancel", "munged", "setpriv"];
    let missing: Vec<&str> = programs.iter().filter(|name| !is_there(name)).copied().collect();
    if !missing.is_empty() {
        return Some(Missing { what: format!("{} are missing", missing.join(", ")), install: INSTALL });
    }
    let is_root = geteuid().is_root();
    (!is_root).then(|| Missing { what: "Slurm's daemons need root".into(), install: "run this as root" })
}

/// A running cluster. Dropped, its daemons are killed.
pub(super) struct Cluster {
    configuration: String,
    /// In the order in which they are stopped.
    daemons: Vec<(&'static str, Child)>,
}

impl Cluster {
    /// Starts a cluster whose files are in this folder.
    ///
    /// # Errors
    /// Where a daemon cannot be run, or the node is not ready in time, with what the daemons said.
    pub(super) fn start(folder: &Path) -> Result<Cluster, Box<dyn Error>> {
        let folder = folder.join("slurm");
        for name in ["state", "spool", "munge"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let configuration = folder.join("slurm.conf");
        fs::write(&configuration, configure(&folder)?)?;
        let configuration = configuration.to_str().ok_or("the folder's name is no text")?.to_owned();
        let mut cluster = Cluster { configuration, daemons: Vec::new() };
        cluster.start_munge(&folder.join("munge"))?;
        for (name, flags) in [("slurmctld", ["-D", "-c"].as_slice()), ("slurmd", &["-D"])] {
            let mut daemon = daemon(name, &[], &folder)?;
            daemon.args(flags).env("SLURM_CONF", &cluster.configuration);
            cluster.spawn(name, daemon)?;
        }
        cluster.await_node().map_err(|error| format!("{error}\n{}", logs(&folder)))?;
        Ok(cluster)
    }

    /// The path of its slurm.conf.
    pub(super) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Stops all daemons, the last one first.
    ///
    /// # Errors
    /// Where one of them ended before that.
    pub(super) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        for (name, daemon) in &mut self.daemons {
            if let Some(status) = daemon.try_wait()? {
                return Err(format!("{name} had ended already, with {status}").into());
            }
        }
        Ok(())
    }

    /// Munge runs as its own user, or it would not.
    fn start_munge(&mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let user =
            fs::metadata("/etc/munge").map_err(|error| format!("/etc/munge, which munge's user owns: {error}"))?;
        let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&user), std::os::unix::fs::MetadataExt::gid(&user));
        let key = folder.join("key");
        let random = fs::File::open("/dev/urandom")?;
        std::io::copy(&mut std::io::Read::take(random, 128), &mut fs::File::create(&key)?)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400))?;
        chown(&key, Some(uid), Some(gid))?;
        chown(folder, Some(uid), Some(gid))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        // A checkout may be where others can write, which munge would not stand.
        let flags = ["--foreground", "--force"].map(String::from);
        let user = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()];
        let mut munged = daemon("munged", &user, folder)?;
        munged.args(flags);
        for (flag, file) in
            [("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed"), ("log-file", "log")]
        {
            munged.arg(format!("--{flag}={}", folder.join(file).display()));
        }
        self.spawn("munged", munged)?;
        let begin = Instant::now();
        while !folder.join("socket").exists() {
            if begin.elapsed() > PATIENCE {
                return Err(format!("munged does not listen\n{}", logs(folder)).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, mut daemon: Command) -> Result<(), Box<dyn Error>> {
        let child = daemon.spawn().map_err(|error| format!("running {name}: {error}"))?;
        self.daemons.insert(0, (name, child));
        Ok(())
    }

    /// Until the node takes jobs.
    fn await_node(&mut self) -> Result<(), Box<dyn Error>> {
        let begin = Instant::now();
        loop {
            let mut sinfo = Command::new("sinfo");
            sinfo.args(["--noheader", "--format", "%T"]).env("SLURM_CONF", &self.configuration);
            let state = sinfo.output()?;
            if state.status.success() && String::from_utf8_lossy(&state.stdout).trim() == "idle" {
                return Ok(());
            }
            for (name, daemon) in &mut self.daemons {
                if let Some(status) = daemon.try_wait()? {
                    return Err(format!("{name} ended with {status}").into());
                }
            }
            if begin.elapsed() > PATIENCE {
                let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
                return Err(format!("the node is not ready after {PATIENCE:?}: {state}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What still runs would outlive the daemons.
        let mut cancel = Command::new("scancel");
        cancel.args(["--user", "root"]).env("SLURM_CONF", &self.configuration);
        _ = cancel.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        for (_, daemon) in &mut self.daemons {
            _ = kill_process(Pid::from_child(daemon), Signal::TERM);
            let begin = Instant::now();
            while begin.elapsed() < PATIENCE && matches!(daemon.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
            _ = daemon.kill();
            _ = daemon.wait();
        }
    }
}

/// A daemon whose output goes into a file of its name. It ends with us, and may run as another user.
fn daemon(name: &str, user: &[String], folder: &Path) -> Result<Command, Box<dyn Error>> {
    let output = fs::File::create(folder.join(format!("{name}.txt")))?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).args(user).arg(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::env::split_paths(&path).chain(["/usr/sbin".into()]))?;
    command.env("PATH", path).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// The last of what the daemons said.
fn logs(folder: &Path) -> String {
    let texts = ["slurmctld.txt", "slurmd.txt", "munged.txt", "log"].map(|name| {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    });
    texts.concat()
}

/// A cluster of this machine alone, with as many processors as tasks.
fn configure(folder: &Path) -> Result<String, Box<dyn Error>> {
    let host = Command::new("hostname").arg("-s").output()?;
    let host = String::from_utf8(host.stdout)?.trim().to_owned();
    let (controller, node) = free_ports()?;
    let folder = folder.display();
    Ok(format!(
        "ClusterName=load
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"
    ))
}

/// Two ports that are free now.
fn free_ports() -> Result<(u16, u16), Box<dyn Error>> {
    let [one, other] = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
