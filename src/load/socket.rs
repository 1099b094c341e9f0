//! A socket, TCP or Unix: its bytes in both directions, without waiting.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{Domain, SockAddr, Socket, Type};

/// How long a Unix socket's connect waits for a place in the server's backlog.
const BACKLOG_WAIT: Duration = Duration::from_secs(5);

/// One address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A socket that is being connected, or is.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes. `more` says that more may be there, and nothing will tell of it.
    Bytes { len: usize, more: bool },
    /// Nothing was there.
    Nothing,
    /// The end of the server's stream.
    End,
}

impl Stream {
    /// Begins to connect. One of TCP is connected once it is ready for writing and [`establish`](Stream::establish)
    /// says so.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn connect(address: &Address, local: Option<IpAddr>) -> io::Result<Stream> {
        match address {
            Address::Tcp(to) => {
                let socket = Socket::new(Domain::for_address(*to), Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.set_tcp_nodelay(true)?;
                if let Some(local) = local {
                    socket.bind(&SocketAddr::new(local, 0).into())?;
                }
                match socket.connect(&(*to).into()) {
                    Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
                    _ => Ok(Stream { socket }),
                }
            }
            Address::Unix(path) => connect_unix(path),
        }
    }

    /// Goes on with connecting, whenever the socket is ready; whether it is done.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn establish(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads once.
    ///
    /// # Errors
    /// Where the connection is broken.
    #[inline]
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<Received> {
        loop {
            match self.socket.read(space) {
                Ok(0) => return Ok(Received::End),
                // A short read has emptied the system's buffer.
                Ok(len) => return Ok(Received::Bytes { len, more: len == space.len() }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once as many bytes as there is space, which nobody looks at. A system that can throws them away: the space
    /// may be left as it is.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub(super) fn discard(&mut self, space: &mut [u8]) -> io::Result<Received> {
        let most = space.len();
        match rustix::net::recv(&self.socket, space, RecvFlags::TRUNC) {
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, len)) => Ok(Received::Bytes { len, more: len == most }),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes once; how much was taken. What is less than all says that there is no room.
    ///
    /// # Errors
    /// Where the connection is broken.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(bytes) {
                Ok(0) if !bytes.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends our stream, and reads on.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub(super) fn end(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Has the connection break off when it is closed: the server is told by a reset, and no port is left in use.
    pub(super) fn break_off(&self) {
        // Where that fails it ends all the same.
        _ = self.socket.set_linger(Some(Duration::ZERO));
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn connect_unix(path: &Path) -> io::Result<Stream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // It waits for a place in the backlog as for room to write.
    socket.set_write_timeout(Some(BACKLOG_WAIT))?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(true)?;
    Ok(Stream { socket })
}
