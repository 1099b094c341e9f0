//! A client that speaks frames over TCP.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_io::Timer;
use async_net::{AsyncToSocketAddrs, TcpStream};
use futures_lite::future;
use futures_lite::io::AsyncReadExt;

use crate::adapters::{FramedRead, FramedWrite, ReadError, WriteError};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Format, Frame};

/// What a client does unless told otherwise: the seed's format, a greeting frame, ten seconds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The format, in both directions. [`Format::U32_LE`] with 1 MiB by default. With bytes before the length field
    /// or behind the payload [`send`](Client::send), [`enqueue`](Client::enqueue) and [`call`](Client::call) fail with
    /// [`EncodeError::Prefix`](crate::framing::EncodeError::Prefix) or
    /// [`EncodeError::Trailer`](crate::framing::EncodeError::Trailer): there [`split`](Client::split), and
    /// [`FramedWrite::feed_with`].
    pub format: Format,
    /// What the server says first. [`ExpectedGreeting::Frame`] by default.
    pub greeting: ExpectedGreeting,
    /// How long connecting may take, resolving the name and the greeting included. 10 s by default.
    pub connect_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            format: Format::U32_LE,
            greeting: ExpectedGreeting::Frame,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl ClientConfig {
    /// The same with another format.
    #[must_use]
    pub fn format(self, format: Format) -> ClientConfig {
        ClientConfig { format, ..self }
    }

    /// The same with another greeting awaited.
    #[must_use]
    pub fn greeting(self, greeting: ExpectedGreeting) -> ClientConfig {
        ClientConfig { greeting, ..self }
    }

    /// The same with another timeout for connecting.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> ClientConfig {
        ClientConfig { connect_timeout, ..self }
    }
}

/// The greeting that a client waits for when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedGreeting {
    /// A frame like any other: what our server sends by default.
    Frame,
    /// So many bytes without framing. An unframed greeting has no end of its own, so its length must be known: the
    /// seed's has [`TUTORIAL_GREETING`](crate::TUTORIAL_GREETING)`.len()` bytes.
    Raw(usize),
    /// Nothing.
    None,
}

/// A client that speaks frames over TCP.
///
/// ```no_run
/// use unstick::{Client, ClientConfig};
/// # smol::block_on(async {
/// let mut client = Client::connect("127.0.0.1:4747", ClientConfig::default()).await?;
/// let reply = client.call("你好".as_bytes()).await?;
/// println!("{}", reply.text()?);
/// let closed = client.finish().await; // half-close, read to the end
/// println!("{closed}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Client {
    peer: SocketAddr,
    reader: FramedRead<TcpStream>,
    writer: FramedWrite<TcpStream>,
    greeting: Vec<u8>,
    frames_in: u64,
}

impl Client {
    /// Connects, and takes the greeting.
    ///
    /// A server of ours that is full says so in its first frame and ends its stream: connecting then succeeds, and that text,
    /// which begins with `refused: `, is the [`greeting`](Client::greeting), or the first frame received where no greeting is
    /// awaited.
    ///
    /// # Errors
    /// [`ConnectError`]: refused, not in time, or no greeting.
    ///
    /// # Cancel-safety
    /// Dropping the future closes what was opened.
    pub async fn connect(addr: impl AsyncToSocketAddrs, config: ClientConfig) -> Result<Client, ConnectError> {
        let timeout = config.connect_timeout;
        let connected = Client::connect_and_greet(addr, config);
        let timed_out = async {
            Timer::after(timeout).await;
            Err(ConnectError::TimedOut { timeout })
        };
        future::or(connected, timed_out).await
    }

    async fn connect_and_greet(addr: impl AsyncToSocketAddrs, config: ClientConfig) -> Result<Client, ConnectError> {
        let mut stream = TcpStream::connect(addr).await.map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        let peer = stream.peer_addr().map_err(ConnectError::Io)?;
        let mut greeting = Vec::new();
        if let ExpectedGreeting::Raw(len) = config.greeting {
            greeting.resize(len, 0);
            stream.read_exact(&mut greeting).await.map_err(|error| ConnectError::Greeting(error.into()))?;
        }
        let mut client = Client {
            peer,
            reader: FramedRead::new(stream.clone(), config.format),
            writer: FramedWrite::new(stream, config.format),
            greeting,
            frames_in: 0,
        };
        if let ExpectedGreeting::Frame = config.greeting {
            let frame = client.recv().await.map_err(ConnectError::Greeting)?;
            client.greeting = frame.ok_or(ConnectError::NoGreeting)?.payload().to_vec();
        }
        Ok(client)
    }

    /// The greeting, without its header.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// The server's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`WriteError`].
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::send`]: the frame is neither lost nor torn.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.writer.send(payload).await
    }

    /// Queues a frame for the next [`flush`](Client::flush), so that many cost one write (pipelining). Against a server
    /// that answers, bound what is in flight, or [`split`](Client::split): a server whose replies are not read stops
    /// reading.
    ///
    /// # Errors
    /// [`WriteError::Encode`], and nothing is queued.
    pub fn enqueue(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        Ok(self.writer.enqueue(payload)?)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// The next frame; `None` where the server ended its stream at a frame's end.
    ///
    /// # Errors
    /// As [`FramedRead::next_frame`].
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let frame = self.reader.next_frame().await?;
        self.frames_in += u64::from(frame.is_some());
        Ok(frame)
    }

    /// Sends a frame and waits for the next one: the reply, where nothing else is in flight.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel-safety
    /// Dropping the future may leave its reply to come: the next [`recv`](Client::recv) or `call` then returns that one. Where
    /// a `call` was given up, drop the client.
    pub async fn call(&mut self, payload: &[u8]) -> Result<Frame<'_>, CallError> {
        self.send(payload).await?;
        self.recv().await?.ok_or(CallError::Closed)
    }

    /// Ends our stream (FIN) and leaves reading open (half-close).
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn close(&mut self) -> io::Result<()> {
        self.writer.close().await
    }

    /// Closes, reads to the end, and says how the connection ended. The frames that still come are counted only: to have
    /// them, [`close`](Client::close) and [`recv`](Client::recv). It waits for as long as the server does not end its stream.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection.
    pub async fn finish(mut self) -> Closed {
        let reason = match self.read_to_end().await {
            Ok(()) => CloseReason::Clean,
            Err(error) => error.into(),
        };
        Closed { peer: self.peer.into(), reason, traffic: self.traffic() }
    }

    /// Where closing fails the connection is gone already: what still came is read all the same, and the read says why.
    async fn read_to_end(&mut self) -> Result<(), ReadError> {
        let closed = self.close().await;
        while self.recv().await?.is_some() {}
        Ok(closed?)
    }

    /// Two halves that can live in two tasks. Closing the writing one leaves the other open.
    pub fn split(self) -> (FramedRead<TcpStream>, FramedWrite<TcpStream>) {
        (self.reader, self.writer)
    }

    /// What passed so far. Of an unframed greeting the bytes are not counted.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            frames_in: self.frames_in,
            bytes_in: self.reader.bytes(),
            frames_out: self.writer.frames(),
            bytes_out: self.writer.bytes(),
        }
    }
}

/// Lengths and counts, and no byte that was sent or received.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.peer)
            .field("greeting_len", &self.greeting.len())
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

/// Why no connection came about. Its [`source`](Error::source), where there is one, says more.
///
/// As an [`io::Error`], that of [`Io`](ConnectError::Io) is what it was; for any other, this error is in it, of the kind
/// [`TimedOut`](io::ErrorKind::TimedOut), that of the [`ReadError`], or [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for
/// want of a greeting.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name did not resolve, or the connection was refused.
    Io(io::Error),
    /// Not connected and greeted in time.
    TimedOut {
        /// The time there was.
        timeout: Duration,
    },
    /// The greeting did not come whole.
    Greeting(ReadError),
    /// The server ended its stream before a greeting.
    NoGreeting,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Io(_) => f.write_str("cannot connect"),
            ConnectError::TimedOut { timeout } => write!(f, "not connected and greeted within {timeout:?}"),
            ConnectError::Greeting(_) => f.write_str("no greeting"),
            ConnectError::NoGreeting => f.write_str("no greeting: the server closed the connection before it"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Io(error) => Some(error),
            ConnectError::Greeting(error) => Some(error),
            ConnectError::TimedOut { .. } | ConnectError::NoGreeting => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match error {
            ConnectError::Io(error) => return error,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::Greeting(ref error) => error.io_kind(),
            ConnectError::NoGreeting => io::ErrorKind::UnexpectedEof,
        };
        io::Error::new(kind, error)
    }
}

/// Why a call has no reply. Its [`source`](Error::source), where there is one, says more.
///
/// As an [`io::Error`], this error is in it, of the kind that the [`WriteError`] or [`ReadError`] makes, and
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the server ended its stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The request was not sent.
    Send(WriteError),
    /// The reply was not received.
    Recv(ReadError),
    /// The server ended its stream without a reply.
    Closed,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallError::Send(_) => "the request was not sent",
            CallError::Recv(_) => "no reply",
            CallError::Closed => "no reply: the server closed the connection",
        })
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::Send(error) => Some(error),
            CallError::Recv(error) => Some(error),
            CallError::Closed => None,
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
        };
        io::Error::new(kind, error)
    }
}
