//! What a worker thread does its I/O with: a [`Reactor`] runs the thread's tasks, and makes two halves of a socket.
//!
//! On Linux that is an epoll of the thread's own, in which a socket is registered once for its whole life; elsewhere it is
//! smol's reactor, which all threads share and which is told of every single wait. The interface is the same, so the choice
//! is made here and nowhere else. `--cfg unstick_portable` chooses smol's on Linux, too, to test it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;

#[cfg(all(target_os = "linux", not(unstick_portable)))]
mod epoll;
#[cfg(all(target_os = "linux", not(unstick_portable)))]
pub(super) use epoll::{Reactor, ReadHalf, WriteHalf};

#[cfg(any(not(target_os = "linux"), unstick_portable))]
mod portable;
#[cfg(any(not(target_os = "linux"), unstick_portable))]
pub(super) use portable::{Reactor, ReadHalf, WriteHalf};

/// Lets the system forget, when the socket is closed, what the peer has not taken; the peer sees RST. Where it cannot, the
/// connection ends in the system's own time.
fn break_off(stream: &TcpStream) {
    _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Ends our stream: the peer sees FIN, and reading stays open.
fn shutdown(stream: &TcpStream) -> Poll<io::Result<()>> {
    match stream.shutdown(Shutdown::Write) {
        // The peer has reset the connection: there is nothing left to end.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
        result => Poll::Ready(result),
    }
}
