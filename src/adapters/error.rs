//! The errors of every adapter: why no frame was read or written. And the errors of framing as [`io::Error`]s.

use std::error::Error;
use std::fmt;
use std::io;

use crate::framing::{DecodeError, DecodeErrorKind, EncodeError, Fault};

/// Why no frame could be read. Its [`source`](Error::source) says more.
///
/// It converts into an [`io::Error`]: an error of the reader into itself. Any other one is wrapped, with the kind
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ended inside a frame, and otherwise
/// [`InvalidData`](io::ErrorKind::InvalidData).
///
/// ```
/// use std::io;
/// use unstick::ReadError;
/// use unstick::framing::Format;
/// let truncated = Format::U8.frames(b"\x05hi").next().unwrap().unwrap_err();
/// let error = io::Error::from(ReadError::Decode(truncated.into()));
/// assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
/// assert!(matches!(error.downcast::<ReadError>(), Ok(ReadError::Decode(_))));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader failed.
    Io(io::Error),
    /// The stream cannot be decoded, or ended inside a frame.
    Decode(DecodeError),
}

impl ReadError {
    /// The kind of the I/O error that it converts into.
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            ReadError::Io(error) => error.kind(),
            ReadError::Decode(error) => io_kind(error),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadError::Io(_) => "the reader failed",
            ReadError::Decode(_) => "the stream cannot be read as frames",
        })
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReadError::Io(error) => Some(error),
            ReadError::Decode(error) => Some(error),
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> ReadError {
        ReadError::Decode(error)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Io(error) => error,
            ReadError::Decode(_) => io::Error::new(error.io_kind(), error),
        }
    }
}

/// Why a frame was not sent. Its [`source`](Error::source), if there is one, says more.
///
/// It converts into an [`io::Error`]: an error of the writer into itself. Any other one is wrapped, with the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the frame cannot be encoded, and
/// [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) if too many bytes are queued.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The frame cannot be encoded; nothing was queued.
    Encode(EncodeError),
    /// More bytes are queued than allowed.
    Overflow {
        /// Bytes that are queued.
        queued: usize,
        /// The limit, in bytes.
        max_queued: usize,
    },
    /// The writer failed; unwritten bytes stay queued.
    Io(io::Error),
}

impl WriteError {
    /// The kind of the I/O error that it converts into.
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            WriteError::Encode(_) => io::ErrorKind::InvalidInput,
            WriteError::Overflow { .. } => io::ErrorKind::QuotaExceeded,
            WriteError::Io(error) => error.kind(),
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Encode(_) => f.write_str("the frame cannot be encoded"),
            WriteError::Overflow { queued, max_queued } => {
                write!(f, "{queued} bytes are queued, over the limit of {max_queued}")
            }
            WriteError::Io(_) => f.write_str("the writer failed"),
        }
    }
}

impl Error for WriteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WriteError::Encode(error) => Some(error),
            WriteError::Overflow { .. } => None,
            WriteError::Io(error) => Some(error),
        }
    }
}

impl From<EncodeError> for WriteError {
    fn from(error: EncodeError) -> WriteError {
        WriteError::Encode(error)
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> WriteError {
        WriteError::Io(error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> io::Error {
        match error {
            WriteError::Io(error) => error,
            WriteError::Encode(_) | WriteError::Overflow { .. } => io::Error::new(error.io_kind(), error),
        }
    }
}

/// The error itself, of the kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ended inside a frame,
/// and otherwise [`InvalidData`](io::ErrorKind::InvalidData). With feature `std`.
impl From<Fault> for io::Error {
    fn from(error: Fault) -> io::Error {
        io::Error::new(io_kind(&error), error)
    }
}

/// The error itself, of the kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ended inside a frame,
/// and otherwise [`InvalidData`](io::ErrorKind::InvalidData). With feature `std`.
impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> io::Error {
        io::Error::new(io_kind(&error), error)
    }
}

/// The error itself, of the kind [`InvalidInput`](io::ErrorKind::InvalidInput). With feature `std`.
impl From<EncodeError> for io::Error {
    fn from(error: EncodeError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

fn io_kind(error: &Fault) -> io::ErrorKind {
    match error.kind() {
        DecodeErrorKind::Truncated { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    }
}
