//! Why a TLS handshake failed, for server and client.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::framing::Diagnosis;

/// Why a TLS handshake failed. Its [`source`](Error::source), if there is one, says more.
///
/// It converts into an [`io::Error`] that wraps it, of this kind:
/// - [`TimedOut`](HandshakeError::TimedOut) and [`Crowded`](HandshakeError::Crowded):
///   [`TimedOut`](io::ErrorKind::TimedOut);
/// - [`Ended`](HandshakeError::Ended): [`UnexpectedEof`](io::ErrorKind::UnexpectedEof);
/// - [`NotTls`](HandshakeError::NotTls) and [`Tls`](HandshakeError::Tls): [`InvalidData`](io::ErrorKind::InvalidData);
/// - [`Io`](HandshakeError::Io): that of the connection's error.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The handshake took longer than the timeout.
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The server ended this handshake to let another one begin: it had taken a second or more, others waited, and as
    /// many as are allowed at a time had begun.
    Crowded {
        /// How many are allowed at a time.
        max_handshakes: usize,
    },
    /// The peer ended its stream during the handshake.
    Ended,
    /// The peer does not speak TLS.
    NotTls {
        /// Its first bytes, up to eight.
        first: Vec<u8>,
        /// The protocol that they look like, if it is a known one.
        diagnosis: Option<Diagnosis>,
        /// Whether they may be the header of a frame sent without TLS.
        is_frame: bool,
    },
    /// TLS's own error, a `rustls::Error`: a certificate is missing, expired or of an unknown authority, there is no
    /// common version, or the peer rejected our certificate. In TLS 1.3, `connect_tls` succeeds before the server has
    /// checked the client's certificate. If the server rejects it, the first `recv` fails.
    Tls(Box<dyn Error + Send + Sync>),
    /// The connection failed.
    Io(io::Error),
}

impl HandshakeError {
    /// The kind of the [`io::Error`] that it converts into.
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            HandshakeError::TimedOut { .. } | HandshakeError::Crowded { .. } => io::ErrorKind::TimedOut,
            HandshakeError::Ended => io::ErrorKind::UnexpectedEof,
            HandshakeError::NotTls { .. } | HandshakeError::Tls(_) => io::ErrorKind::InvalidData,
            HandshakeError::Io(error) => error.kind(),
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::TimedOut { timeout } => write!(f, "no TLS handshake within {timeout:?}"),
            HandshakeError::Crowded { max_handshakes } => {
                write!(
                    f,
                    "no TLS handshake within a second, while others wait and {max_handshakes} are allowed at a time"
                )
            }
            HandshakeError::Ended => {
                f.write_str("the peer ended its stream during the TLS handshake (does it speak TLS?)")
            }
            HandshakeError::NotTls { first, diagnosis, is_frame } => {
                f.write_str("the peer does not speak TLS: its first bytes are")?;
                first.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
                match (diagnosis, is_frame) {
                    (Some(diagnosis), _) => write!(f, " ({diagnosis})"),
                    (None, true) => f.write_str(" (looks like a frame without TLS)"),
                    (None, false) => Ok(()),
                }
            }
            HandshakeError::Tls(_) => f.write_str("the TLS handshake failed"),
            HandshakeError::Io(_) => f.write_str("the connection failed during the TLS handshake"),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            HandshakeError::Tls(error) => Some(&**error),
            HandshakeError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> io::Error {
        io::Error::new(error.io_kind(), error)
    }
}
