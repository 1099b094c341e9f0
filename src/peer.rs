//! The name of a connection's peer, for server and client.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The name of a connection's peer in reports.
///
/// Its `Display` is one line without control characters, whatever the peer calls itself: `127.0.0.1:4747`,
/// `unix:/run/echo`, `unix:(pid 7, uid 1000)`.
///
/// ```
/// use unstick::PeerName;
/// let addr = "127.0.0.1:4747".parse()?;
/// let peer = PeerName::from(addr);
/// assert_eq!((peer.to_string().as_str(), peer.as_socket()), ("127.0.0.1:4747", Some(addr)));
/// let unnamed = PeerName::Unix { path: None, credentials: None };
/// assert_eq!((unnamed.to_string().as_str(), unnamed.as_socket()), ("unix:(unnamed)", None));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerName {
    /// A TCP peer, by its address.
    Tcp(SocketAddr),
    /// A peer at a Unix socket.
    Unix {
        /// The path that its socket is bound to, if any: usually a server's is, and a client's is not.
        path: Option<PathBuf>,
        /// Its process, if the system tells.
        credentials: Option<Credentials>,
    },
    /// Any other peer, by the name that its transport gives it.
    Other(Arc<str>),
    /// A peer over TLS, once the handshake has ended. It is shown as below TLS; its certificate is in [`TlsPeer`].
    Tls(Arc<TlsPeer>),
}

/// A peer over TLS, as the handshake showed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsPeer {
    /// Its name below TLS: its address, say.
    pub name: PeerName,
    /// Its certificates as DER, its own first, as the rustls configuration verified them; empty if it showed none. For
    /// names in them there are crates, such as `x509-parser`.
    pub certificates: Vec<Vec<u8>>,
    /// The protocol that was agreed on by ALPN, if any.
    pub alpn: Option<Vec<u8>>,
}

/// The process at the other end of a Unix socket, as the system reports it: its identity when it connected or began to
/// listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process ID; `None` if the system does not tell, or the process is in another PID namespace.
    pub pid: Option<i32>,
    /// The effective user ID.
    pub uid: u32,
    /// The effective group ID.
    pub gid: u32,
}

impl PeerName {
    /// The address of a TCP peer, also over TLS; `None` for any other.
    pub fn as_socket(&self) -> Option<SocketAddr> {
        match self {
            PeerName::Tcp(addr) => Some(*addr),
            PeerName::Tls(peer) => peer.name.as_socket(),
            PeerName::Unix { .. } | PeerName::Other(_) => None,
        }
    }

    /// Its certificates and the protocol of ALPN; `None` if it is no peer over TLS.
    pub fn as_tls(&self) -> Option<&TlsPeer> {
        match self {
            PeerName::Tls(peer) => Some(peer),
            _ => None,
        }
    }
}

impl From<SocketAddr> for PeerName {
    fn from(addr: SocketAddr) -> PeerName {
        PeerName::Tcp(addr)
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Tcp(addr) => write!(f, "{addr}"),
            PeerName::Tls(peer) => peer.name.fmt(f),
            PeerName::Other(name) => in_one_line(f, name),
            PeerName::Unix { path: Some(path), credentials } => {
                f.write_str("unix:")?;
                in_one_line(f, &path.to_string_lossy())?;
                credentials.map_or(Ok(()), |credentials| write!(f, " ({credentials})"))
            }
            PeerName::Unix { path: None, credentials: Some(credentials) } => write!(f, "unix:({credentials})"),
            PeerName::Unix { path: None, credentials: None } => f.write_str("unix:(unnamed)"),
        }
    }
}

/// Process and user, as in `pid 7, uid 1000`.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.map_or(Ok(()), |pid| write!(f, "pid {pid}, "))?;
        write!(f, "uid {}", self.uid)
    }
}

/// A peer may choose its name, and must not be able to write lines into a log.
fn in_one_line(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    name.chars().try_for_each(|char| match char.is_control() {
        true => write!(f, "{}", char.escape_default()),
        false => f.write_char(char),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_by_what_is_known_of_it() {
        let credentials = Credentials { pid: Some(7), uid: 1000, gid: 100 };
        let unix = |path: Option<&str>, credentials| PeerName::Unix { path: path.map(PathBuf::from), credentials };
        for (peer, shown) in [
            (PeerName::Tcp(([127, 0, 0, 1], 4747).into()), "127.0.0.1:4747"),
            (unix(Some("/run/你好"), None), "unix:/run/你好"),
            (unix(Some("/run/echo"), Some(credentials)), "unix:/run/echo (pid 7, uid 1000)"),
            (unix(None, Some(credentials)), "unix:(pid 7, uid 1000)"),
            (unix(None, Some(Credentials { pid: None, ..credentials })), "unix:(uid 1000)"),
            (unix(None, None), "unix:(unnamed)"),
            (PeerName::Other("CN=alice".into()), "CN=alice"),
        ] {
            assert_eq!(peer.to_string(), shown);
        }
    }

    #[test]
    fn no_peer_writes_a_line_of_its_own() {
        let name = "/a\n127.0.0.1:1 closed: clean\u{1b}[2J";
        let shown = "/a\\n127.0.0.1:1 closed: clean\\u{1b}[2J";
        assert_eq!(PeerName::Other(name.into()).to_string(), shown);
        let unix = PeerName::Unix { path: Some(name.into()), credentials: None };
        assert_eq!(unix.to_string(), format!("unix:{shown}"));
    }
}
