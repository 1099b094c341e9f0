//! The stream below TLS: a socket, or a user's transport. It is one type, so that the code of a connection over TLS is
//! compiled once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::server::transport::{Socket, Transport};

/// The stream below TLS.
pub(in crate::server) enum Below {
    Socket(Socket),
    Other(Box<dyn Transport + Send>),
}

impl From<Socket> for Below {
    fn from(socket: Socket) -> Below {
        Below::Socket(socket)
    }
}

impl From<Box<dyn Transport + Send>> for Below {
    fn from(other: Box<dyn Transport + Send>) -> Below {
        Below::Other(other)
    }
}

/// Makes the same call on either kind.
macro_rules! either {
    ($below:expr, $name:ident => $call:expr) => {
        match $below {
            Below::Socket($name) => $call,
            Below::Other($name) => $call,
        }
    };
}

impl AsyncRead for Below {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Below {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_close(cx))
    }
}

impl Transport for Below {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        either!(self, stream => stream.poll_broken(cx))
    }

    fn break_off(&mut self) {
        either!(self, stream => stream.break_off());
    }
}
