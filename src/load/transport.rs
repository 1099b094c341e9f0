//! A connection's bytes, in both directions and without waiting: the only file that knows what carries them.

use std::io;

use super::socket::{Received, Stream};
use super::{Secured, Tls};

/// A connection that is being made, or is.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Stream),
    Tls(Box<Secured>),
}

impl Transport {
    /// Over a socket that is being connected.
    ///
    /// # Errors
    /// rustls's, of the configuration.
    pub(super) fn new(stream: Stream, tls: Option<&Tls>) -> io::Result<Transport> {
        match tls {
            None => Ok(Transport::Plain(stream)),
            Some(tls) => Secured::new(stream, tls).map(|secured| Transport::Tls(Box::new(secured))),
        }
    }

    /// Goes on with connecting, and with the handshake of TLS, whenever the socket is ready; whether it is done.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn establish(&mut self) -> io::Result<bool> {
        match self {
            Transport::Plain(stream) => stream.establish(),
            Transport::Tls(secured) => secured.establish(),
        }
    }

    /// Reads once. Over TLS it also goes on with what the socket did not take: so it is to be called whenever that is
    /// ready.
    ///
    /// # Errors
    /// Where the connection is broken.
    #[inline]
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<Received> {
        match self {
            Transport::Plain(stream) => stream.read(space),
            Transport::Tls(secured) => secured.read(space),
        }
    }

    /// Reads once what nobody looks at.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub(super) fn discard(&mut self, space: &mut [u8]) -> io::Result<Received> {
        match self {
            Transport::Plain(stream) => stream.discard(space),
            Transport::Tls(secured) => secured.read(space),
        }
    }

    /// Writes once; how much was taken. What is less than all says that there is no room.
    ///
    /// # Errors
    /// Where the connection is broken.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.write(bytes),
            Transport::Tls(secured) => secured.write(bytes),
        }
    }

    /// Ends our stream, and reads on.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.end(),
            Transport::Tls(secured) => secured.end(),
        }
    }

    /// Breaks the connection off: the server is told by a reset, and no port is left in use.
    pub(super) fn break_off(self) {
        match self {
            Transport::Plain(stream) => stream.break_off(),
            Transport::Tls(secured) => secured.break_off(),
        }
    }
}
