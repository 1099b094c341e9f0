//! The errors of a client: why it did not connect, received no frame, or got no reply.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::adapters::{ReadError, WriteError};
use crate::handshake::HandshakeError;

/// Why a client did not connect.
///
/// It converts into an [`io::Error`]: [`Io`](ConnectError::Io) into the error in it. Any other variant is wrapped, with
/// the kind [`TimedOut`](io::ErrorKind::TimedOut), that of the [`HandshakeError`] or the [`ReadError`], or
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused).
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name did not resolve, or the operating system could not connect.
    Io(io::Error),
    /// The connection or the greeting took longer than the timeout.
    TimedOut {
        /// [`ClientConfig::connect_timeout`](crate::ClientConfig::connect_timeout).
        timeout: Duration,
    },
    /// The TLS handshake failed.
    Handshake(HandshakeError),
    /// The greeting cannot be decoded, or the connection failed before the whole greeting arrived.
    Greeting(ReadError),
    /// The server accepted the connection, and ended its stream instead of sending a greeting: usually because it is
    /// full. See [`Client::connect`](crate::Client::connect).
    Refused {
        /// The text that it sent before the end; empty if none. Bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
    },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Io(_) => f.write_str("cannot connect"),
            ConnectError::TimedOut { timeout } => write!(f, "no connection, or no greeting, within {timeout:?}"),
            ConnectError::Handshake(_) => f.write_str("cannot connect over TLS"),
            ConnectError::Greeting(_) => f.write_str("no greeting"),
            ConnectError::Refused { text } if text.is_empty() => {
                f.write_str("no greeting: the server closed the connection before it")
            }
            ConnectError::Refused { text } => {
                write!(f, "no greeting: the server closed the connection, and said: {}", text.escape_debug())
            }
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Io(error) => Some(error),
            ConnectError::Handshake(error) => Some(error),
            ConnectError::Greeting(error) => Some(error),
            ConnectError::TimedOut { .. } | ConnectError::Refused { .. } => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match error {
            ConnectError::Io(error) => return error,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::Handshake(ref error) => error.io_kind(),
            ConnectError::Greeting(ref error) => error.io_kind(),
            ConnectError::Refused { .. } => io::ErrorKind::ConnectionRefused,
        };
        io::Error::new(kind, error)
    }
}

/// Why a client received no frame.
///
/// It converts into an [`io::Error`]: that of the [`ReadError`], or this error wrapped, with the kind
/// [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// No frame could be read.
    Read(ReadError),
    /// No whole frame arrived in time. The bytes that did arrive are kept, and the next call continues with them.
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Read(_) => f.write_str("no frame was received"),
            RecvError::TimedOut { timeout } => write!(f, "no whole frame within {timeout:?}"),
        }
    }
}

impl Error for RecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RecvError::Read(error) => Some(error),
            RecvError::TimedOut { .. } => None,
        }
    }
}

impl From<ReadError> for RecvError {
    fn from(error: ReadError) -> RecvError {
        RecvError::Read(error)
    }
}

impl From<RecvError> for io::Error {
    fn from(error: RecvError) -> io::Error {
        match error {
            RecvError::Read(error) => error.into(),
            RecvError::TimedOut { .. } => io::Error::new(io::ErrorKind::TimedOut, error),
        }
    }
}

/// Why a call got no reply.
///
/// # Which are worth a retry
/// Retry on a new connection, as this one has failed or waits for a late reply.
/// - [`Outstanding`](CallError::Outstanding): always, as nothing was sent.
/// - [`Closed`](CallError::Closed), [`TimedOut`](CallError::TimedOut), and [`Send`](CallError::Send) or
///   [`Recv`](CallError::Recv) with an I/O error: if it does no harm that the server handles the request twice, as it
///   may have handled it already.
/// - `Send` with an [`EncodeError`](crate::framing::EncodeError) and `Recv` with a
///   [`DecodeError`](crate::framing::DecodeError): no. The format or the request is wrong.
///
/// # As an I/O error
/// It converts into an [`io::Error`] that wraps it, of this kind:
/// - [`Send`](CallError::Send): that of the [`WriteError`];
/// - [`Recv`](CallError::Recv): that of the [`ReadError`];
/// - [`Closed`](CallError::Closed): [`UnexpectedEof`](io::ErrorKind::UnexpectedEof);
/// - [`TimedOut`](CallError::TimedOut): [`TimedOut`](io::ErrorKind::TimedOut);
/// - [`Outstanding`](CallError::Outstanding): [`ResourceBusy`](io::ErrorKind::ResourceBusy).
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The request was not sent.
    Send(WriteError),
    /// The reply was not received.
    Recv(ReadError),
    /// The server ended its stream without a reply. Often the format of the server is another one: see the server's
    /// report of this connection, such as the line that `unstick serve` prints.
    Closed,
    /// The reply did not come in time. It may still come: see [`Client::call`](crate::Client::call).
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// Nothing was sent, because replies to earlier calls may still come, and the first of them would be mistaken for
    /// the reply to this call.
    Outstanding {
        /// How many replies may still come.
        replies: u64,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Send(_) => f.write_str("the request was not sent"),
            CallError::Recv(_) => f.write_str("no reply"),
            CallError::Closed => f.write_str("no reply: the server closed the connection"),
            CallError::TimedOut { timeout } => write!(f, "no reply within {timeout:?}"),
            CallError::Outstanding { replies } => {
                let (what, them) = match replies {
                    1 => ("reply to an earlier call", "it"),
                    _ => ("replies to earlier calls", "them"),
                };
                write!(
                    f,
                    "the request was not sent: {replies} {what} may still come: reconnect, or `recv` {them} first"
                )
            }
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::Send(error) => Some(error),
            CallError::Recv(error) => Some(error),
            CallError::Closed | CallError::TimedOut { .. } | CallError::Outstanding { .. } => None,
        }
    }
}

impl From<WriteError> for CallError {
    fn from(error: WriteError) -> CallError {
        CallError::Send(error)
    }
}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> CallError {
        CallError::Recv(error)
    }
}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> io::Error {
        let kind = match &error {
            CallError::Send(error) => error.io_kind(),
            CallError::Recv(error) => error.io_kind(),
            CallError::Closed => io::ErrorKind::UnexpectedEof,
            CallError::TimedOut { .. } => io::ErrorKind::TimedOut,
            CallError::Outstanding { .. } => io::ErrorKind::ResourceBusy,
        };
        io::Error::new(kind, error)
    }
}
