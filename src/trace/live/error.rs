//! Why nothing could be recorded.

use std::error::Error;
use std::fmt;
use std::io;

use super::scenario::Scenario;

/// Why nothing could be recorded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LiveError {
    /// The system does not let this process have a namespace of its own.
    Namespace(io::Error),
    /// The user of the namespace cannot be made its owner.
    Owner {
        /// The file that could not be written.
        file: &'static str,
        /// The system's reason.
        error: io::Error,
    },
    /// The loopback interface cannot be made what it should be.
    Loopback {
        /// What was asked for.
        what: &'static str,
        /// The system's reason.
        error: io::Error,
    },
    /// Packets cannot be captured.
    Capture(io::Error),
    /// A scenario did not happen as it should.
    Scenario {
        /// The scenario.
        scenario: Scenario,
        /// What failed.
        error: io::Error,
    },
    /// There is something else in the capture: not a namespace of our own?
    Connections {
        /// The scenario.
        scenario: Scenario,
        /// TCP connections in the capture.
        count: usize,
    },
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiveError::Namespace(error) if error.kind() == io::ErrorKind::InvalidInput => f.write_str(
                "no network namespace of our own: the process has other threads already, or the kernel has none",
            ),
            LiveError::Namespace(_) => f.write_str(
                "no network namespace of our own: user namespaces are not allowed here, by AppArmor, a container, or \
                 user.max_user_namespaces",
            ),
            LiveError::Owner { file, .. } => write!(f, "no network namespace of our own: {file} cannot be written"),
            LiveError::Loopback { what, .. } => write!(f, "the loopback interface of the namespace cannot have {what}"),
            LiveError::Capture(_) => f.write_str("packets cannot be captured, by a socket of the kind AF_PACKET"),
            LiveError::Scenario { scenario, .. } => write!(f, "the scenario {scenario} did not happen as it should"),
            LiveError::Connections { scenario, count } => {
                write!(f, "the capture of the scenario {scenario} has {count} connections, not 1")
            }
        }
    }
}

impl Error for LiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LiveError::Namespace(error) | LiveError::Capture(error) => Some(error),
            LiveError::Owner { error, .. } | LiveError::Loopback { error, .. } | LiveError::Scenario { error, .. } => {
                Some(error)
            }
            LiveError::Connections { .. } => None,
        }
    }
}
