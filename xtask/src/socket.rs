//! The address of a server, and connections to it, over TCP or a Unix socket.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// What frames are sent over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Over {
    Tcp,
    Unix,
    /// TLS over TCP
    Tls,
}

impl Over {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Over::Tcp => "tcp",
            Over::Unix => "unix",
            Over::Tls => "tls",
        }
    }
}

/// The address of a server: `127.0.0.1:4747`, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Addr {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// TLS over TCP. To connect is to connect below it.
    Tls(SocketAddr),
}

impl Addr {
    /// Connects within this time, without a delay of small writes.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn connect(&self, within: Duration) -> io::Result<Socket> {
        let socket = |domain| Socket::new(domain, Type::STREAM, None);
        match self {
            Addr::Tcp(addr) | Addr::Tls(addr) => {
                let socket = socket(Domain::for_address(*addr))?;
                socket.connect_timeout(&(*addr).into(), within)?;
                socket.set_tcp_nodelay(true)?;
                Ok(socket)
            }
            Addr::Unix(path) => {
                let socket = socket(Domain::UNIX)?;
                // It waits for room in the backlog as for room to write.
                socket.set_write_timeout(Some(within))?;
                socket.connect(&SockAddr::unix(path)?)?;
                socket.set_write_timeout(None)?;
                Ok(socket)
            }
        }
    }
}

/// What is no address of TCP is a path.
impl FromStr for Addr {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Addr, Infallible> {
        if let Some(Ok(addr)) = text.strip_prefix("tls:").map(str::parse) {
            return Ok(Addr::Tls(addr));
        }
        Ok(text.parse().map_or_else(|_| Addr::Unix(text.into()), Addr::Tcp))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Tls(addr) => write!(f, "tls:{addr}"),
            Addr::Unix(path) => path.display().fmt(f),
        }
    }
}
