//! A stream socket: TCP or Unix, one type.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::time::Duration;

use socket2::SockRef;

/// A connected socket.
#[derive(Debug)]
pub(in crate::server) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Makes the same call on either kind.
macro_rules! either {
    ($stream:expr, $name:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($name) => $call,
            #[cfg(unix)]
            Stream::Unix($name) => $call,
        }
    };
}

impl Stream {
    pub(in crate::server) fn set_nonblocking(&self) -> io::Result<()> {
        either!(self, stream => stream.set_nonblocking(true))
    }

    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => (&mut &*stream).read(buf))
    }

    pub(in crate::server) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        either!(self, stream => (&mut &*stream).write(buf))
    }

    pub(super) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => (&mut &*stream).write_vectored(bufs))
    }

    /// The pending error of the socket, if there is one.
    pub(super) fn error(&self) -> Option<io::Error> {
        either!(self, stream => stream.take_error()).ok().flatten()
    }

    /// Ends our stream: the peer sees FIN, and reading stays open.
    pub(in crate::server) fn end(&self) -> io::Result<()> {
        match either!(self, stream => stream.shutdown(Shutdown::Write)) {
            // The peer has reset the connection: there is no stream to end.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Makes the system discard, when the socket is closed, what the peer has not read; over TCP the peer gets a RST.
    /// If that fails, the system closes the connection as usual.
    pub(super) fn break_off(&self) {
        _ = either!(self, stream => SockRef::from(stream).set_linger(Some(Duration::ZERO)));
    }
}

#[cfg(unix)]
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

#[cfg(windows)]
impl AsSocket for Stream {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        either!(self, stream => stream.as_socket())
    }
}
