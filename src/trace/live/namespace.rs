//! A network namespace of our own, of which an ordinary user may be the owner.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getgid, getuid};

use super::error::LiveError;
use super::loopback;

/// Moves this process into a network namespace of its own, in which there is a loopback interface and nothing else, with packets
/// of up to 1500 bytes. There is no way back. It needs no privileges, if the system allows user namespaces.
///
/// # Errors
/// [`LiveError::Namespace`] if the process has a second thread or the system does not allow it; [`LiveError::Owner`] and
/// [`LiveError::Loopback`] if the system allows only a part of it, as a kernel before 4.16 does.
pub fn enter_namespace() -> Result<(), LiveError> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|error| LiveError::Namespace(error.into()))?;
    // Root in there, so that the process may capture packets and change the interface.
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(file, text).map_err(|error| LiveError::Owner { file, error })?;
    }
    loopback::set_up()
}
