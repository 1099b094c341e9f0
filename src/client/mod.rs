//! The client, over TCP or a Unix socket, with TLS or without.

mod config;
mod error;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod without_tls;

use std::fmt;
use std::future::Future;
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use async_io::Timer;
#[cfg(unix)]
use async_net::unix::UnixStream;
use async_net::{AsyncToSocketAddrs, TcpStream};
use futures_lite::future;
use futures_lite::io::AsyncReadExt;

pub use self::config::{ClientConfig, ExpectedGreeting};
pub use self::error::{CallError, ConnectError, RecvError};
pub use self::stream::ClientStream;
#[cfg(feature = "tls")]
pub use self::tls::TlsStream;
#[cfg(not(feature = "tls"))]
pub use self::without_tls::TlsStream;
use crate::adapters::{FramedRead, FramedWrite, ReadError, WriteError};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Envelope, Format, Frame, Header};
use crate::peer::PeerName;

/// How the text of a refusal begins: [`CloseReason::Refused`](crate::CloseReason::Refused) as text.
const REFUSED: &[u8] = b"refused: ";

/// The most bytes of a refusal's text.
const LONGEST_REFUSAL: usize = 1024;

/// A client that sends and receives frames of a [`Format`], or of any other [`Header`], over TCP or a Unix socket.
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
///
/// It consists of a [`FramedRead`] and a [`FramedWrite`]; [`split`](Client::split) returns them. It runs on any
/// executor: under smol, or under tokio, over TCP and TLS.
///
/// Dropping it closes the socket and loses what was [`enqueue`](Client::enqueue)d and not flushed. Over TCP the server
/// sees the end of the stream, or a reset if received bytes were not read. Over TLS no `close_notify` is sent, so the
/// server sees a stream that was cut off: use [`finish`](Client::finish).
pub struct Client<H: Header = Format> {
    peer: PeerName,
    reader: FramedRead<ClientStream, H>,
    writer: FramedWrite<ClientStream, H>,
    call_timeout: Option<Duration>,
    recv_timeout: Option<Duration>,
    greeting: Vec<u8>,
    frames_in: u64,
    /// Calls that have begun and have no reply yet.
    outstanding: u64,
}

impl<H: Header + Clone> Client<H> {
    /// Connects over TCP, and receives the greeting if the configuration expects one.
    ///
    /// # A server that refuses
    /// If a greeting is expected and the server ends its stream before it, the error is [`ConnectError::Refused`].
    ///
    /// A server may also send its reason instead of the greeting. A greeting frame counts as a refusal if it begins
    /// with `refused: `, has at most 1 KiB, and the server ends its stream right after it; `connect` waits for that
    /// end. With an unframed greeting of at least nine bytes (the length of `refused: `), a text that begins with
    /// `refused: ` counts as a refusal: everything up to the end, at most 1 KiB. Anything else is the
    /// [`greeting`](Client::greeting).
    ///
    /// If no greeting is expected, the first [`recv`](Client::recv) shows a refusal: as the end of the stream, or as a
    /// frame and then the end.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel-safety
    /// Dropping the future closes the socket.
    pub async fn connect(addr: impl AsyncToSocketAddrs, config: ClientConfig<H>) -> Result<Client<H>, ConnectError> {
        Client::open(tcp(addr), config).await
    }

    /// [`connect`](Client::connect) to a Unix socket. On Unix only. `Server::bind_unix` has an example.
    ///
    /// # Errors
    /// As [`connect`](Client::connect).
    ///
    /// # Cancel-safety
    /// As [`connect`](Client::connect).
    #[cfg(unix)]
    pub async fn connect_unix(path: impl AsRef<Path>, config: ClientConfig<H>) -> Result<Client<H>, ConnectError> {
        Client::open(unix(path.as_ref()), config).await
    }

    async fn open(
        socket: impl Future<Output = Result<(ClientStream, PeerName), ConnectError>>,
        config: ClientConfig<H>,
    ) -> Result<Client<H>, ConnectError> {
        let ClientConfig { format, greeting, connect_timeout, call_timeout, recv_timeout } = config;
        let greeted = async {
            let (stream, peer) = socket.await?;
            let mut client = Client {
                peer,
                reader: FramedRead::new(stream.clone(), format.clone()),
                writer: FramedWrite::new(stream, format),
                call_timeout,
                recv_timeout,
                greeting: Vec::new(),
                frames_in: 0,
                outstanding: 0,
            };
            match greeting {
                ExpectedGreeting::Frame => client.take_greeting().await?,
                ExpectedGreeting::Raw(len) => client.take_raw_greeting(len).await?,
                ExpectedGreeting::None => {}
            }
            Ok(client)
        };
        let late = |timeout| Err(ConnectError::TimedOut { timeout });
        within(Some(connect_timeout), greeted).await.unwrap_or_else(late)
    }
}

impl<H: Header> Client<H> {
    async fn take_greeting(&mut self) -> Result<(), ConnectError> {
        let frame = self.next_frame().await.map_err(ConnectError::Greeting)?;
        let Some(frame) = frame else { return Err(refused(&[])) };
        let greeting = frame.payload().to_vec();
        if greeting.starts_with(REFUSED) && greeting.len() <= LONGEST_REFUSAL && self.ends_here().await {
            return Err(refused(&greeting));
        }
        self.greeting = greeting;
        Ok(())
    }

    /// Whether the stream ends after the last frame, or breaks. If more bytes come instead, they are kept.
    async fn ends_here(&mut self) -> bool {
        self.reader.decoder().buffered() == 0 && matches!(self.reader.fill().await, Ok(0) | Err(_))
    }

    /// Reads an unframed greeting, without the decoder.
    async fn take_raw_greeting(&mut self, len: usize) -> Result<(), ConnectError> {
        let mut stream = self.reader.get_ref().clone();
        let greeting = &mut self.greeting;
        let read = (&mut stream).take(len as u64).read_to_end(greeting).await;
        read.map_err(|error| ConnectError::Greeting(error.into()))?;
        if greeting.starts_with(REFUSED) {
            let left = LONGEST_REFUSAL.saturating_sub(greeting.len());
            // If the rest does not come, what has come says enough.
            _ = stream.take(left as u64).read_to_end(greeting).await;
            return Err(refused(greeting));
        }
        if greeting.len() < len { Err(refused(greeting)) } else { Ok(()) }
    }

    /// The payload of the greeting; empty if none was expected.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// The server: its address, or the path of its socket.
    pub fn peer(&self) -> &PeerName {
        &self.peer
    }

    /// Sends a frame. It has no timeout: it waits while the server does not read. [`recv`](Client::recv) receives the
    /// reply, if there is one; see [`call`](Client::call) before you use both `send` and `call`.
    ///
    /// # Errors
    /// [`WriteError`].
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::send`]: the frame is neither lost nor torn.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.writer.send(payload).await
    }

    /// [`send`](Client::send) with a prefix, or with an [`Envelope`] of prefix and trailer, for a format with bytes
    /// before its length field or after the payload.
    ///
    /// ```
    /// use unstick::framing::{Endian, Format, Layout};
    /// use unstick::{Client, ClientConfig};
    /// # use std::{io::Read, net::TcpListener};
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let addr = listener.local_addr()?;
    /// // A byte of type, two bytes of length.
    /// let format = Format::with_default_limit(Layout::fixed(2, Endian::Big).offset(1))?;
    /// let mut client = Client::connect(addr, ClientConfig::default().format(format)).await?;
    /// client.send_with(b"\x07", b"hello").await?;
    /// # let mut received = [0; 8];
    /// # listener.accept()?.0.read_exact(&mut received)?;
    /// # assert_eq!(&received, b"\x07\0\x05hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`send`](Client::send).
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::send`]: the frame is neither lost nor torn.
    pub async fn send_with<'a>(&mut self, envelope: impl Into<Envelope<'a>>, payload: &[u8]) -> Result<(), WriteError> {
        let envelope: Envelope<'a> = envelope.into();
        self.writer.feed_with(envelope, payload).await?;
        Ok(self.writer.flush().await?)
    }

    /// Queues a frame for the next [`flush`](Client::flush), so that one write carries many frames (pipelining). If the
    /// server replies, limit the number of frames in flight, or [`split`](Client::split) the client and read at the
    /// same time: a server stops reading from a client that does not read its replies.
    ///
    /// # Errors
    /// [`WriteError::Encode`]: nothing was queued.
    pub fn enqueue(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        Ok(self.writer.enqueue(payload)?)
    }

    /// Writes the whole queue.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// Receives the next frame; `None` if the server ended its stream at a frame's end. The timeout is
    /// [`ClientConfig::recv_timeout`]; none by default.
    ///
    /// # Errors
    /// [`RecvError::Read`], as for [`FramedRead::next_frame`]. [`RecvError::TimedOut`]: nothing is lost, and the next
    /// call continues.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<Frame<'_>>, RecvError> {
        self.recv_in(self.recv_timeout).await
    }

    /// [`recv`](Client::recv) with this timeout. With [`Duration::ZERO`] it returns a frame only if it has already
    /// arrived.
    ///
    /// # Errors
    /// As [`recv`](Client::recv).
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn recv_within(&mut self, timeout: Duration) -> Result<Option<Frame<'_>>, RecvError> {
        self.recv_in(Some(timeout)).await
    }

    async fn recv_in(&mut self, timeout: Option<Duration>) -> Result<Option<Frame<'_>>, RecvError> {
        let received = within(timeout, self.next_frame()).await;
        Ok(received.map_err(|timeout| RecvError::TimedOut { timeout })??)
    }

    /// Sends a frame, and receives the next one as its reply. The timeout for both together is
    /// [`ClientConfig::call_timeout`]; 10 s by default.
    ///
    /// It is for a server that replies to each frame with exactly one frame, in order, and that pushes nothing: a frame
    /// does not say whether it is a reply. If the server pushes, use [`send`](Client::send) and [`recv`](Client::recv),
    /// and tell replies from pushes by the payload.
    ///
    /// Do not mix it with [`send`](Client::send) or [`enqueue`](Client::enqueue) while their replies are outstanding:
    /// only calls are counted, so a call would return the reply to an earlier `send`. Receive those replies first.
    ///
    /// # Late replies
    /// If a call timed out, or its future was dropped, its reply may still come. It is never mistaken for the reply to
    /// another call: until it has come, further calls fail with [`CallError::Outstanding`] and send nothing. The
    /// simplest remedy is a new connection. Otherwise receive the late reply: each frame that [`recv`](Client::recv)
    /// returns counts as one.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel-safety
    /// If the future is dropped after its first poll, the request is neither lost nor torn, and its reply may still
    /// come: see above.
    pub async fn call(&mut self, payload: &[u8]) -> Result<Frame<'_>, CallError> {
        self.call_in(self.call_timeout, payload).await
    }

    /// [`call`](Client::call) with this timeout.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel-safety
    /// As [`call`](Client::call).
    pub async fn call_within(&mut self, payload: &[u8], timeout: Duration) -> Result<Frame<'_>, CallError> {
        self.call_in(Some(timeout), payload).await
    }

    async fn call_in(&mut self, timeout: Option<Duration>, payload: &[u8]) -> Result<Frame<'_>, CallError> {
        if self.outstanding > 0 {
            return Err(CallError::Outstanding { replies: self.outstanding });
        }
        let called = within(timeout, self.exchange(payload)).await;
        called.map_err(|timeout| CallError::TimedOut { timeout })?
    }

    async fn exchange(&mut self, payload: &[u8]) -> Result<Frame<'_>, CallError> {
        // From here on, this future may be dropped after the request was sent.
        self.outstanding += 1;
        if let Err(error) = self.send(payload).await {
            // After other errors part of the request may be sent, and a flush sends the rest.
            let unsent = matches!(error, WriteError::Encode(_) | WriteError::Overflow { .. });
            self.outstanding -= u64::from(unsent);
            return Err(error.into());
        }
        self.next_frame().await?.ok_or(CallError::Closed)
    }

    /// Reads and counts the next frame.
    async fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let next = self.reader.next_frame().await;
        match &next {
            Ok(Some(_)) => {
                self.frames_in += 1;
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            // No more replies can come.
            Ok(None) | Err(ReadError::Decode(_)) => self.outstanding = 0,
            Err(ReadError::Io(_)) => {}
        }
        next
    }

    /// Ends our stream (FIN); reading stays open (half-close).
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn close(&mut self) -> io::Result<()> {
        self.writer.close().await
    }

    /// Ends our stream, reads the server's to its end, and returns how the connection ended. Frames that still come are
    /// counted and discarded; to receive them, use [`close`](Client::close) and [`recv`](Client::recv). It has no
    /// timeout: it waits until the server ends its stream.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection.
    pub async fn finish(mut self) -> Closed {
        let reason = match self.read_to_end().await {
            Ok(()) => CloseReason::Clean,
            Err(error) => error.into(),
        };
        Closed { traffic: self.traffic(), peer: self.peer, reason }
    }

    /// If closing fails, the connection has ended already: the rest is read all the same, and the read says why it
    /// ended.
    async fn read_to_end(&mut self) -> Result<(), ReadError> {
        let closed = self.close().await;
        while self.next_frame().await?.is_some() {}
        Ok(closed?)
    }

    /// The reading and the writing half, for two tasks. Closing the writing half leaves the reading half open. They
    /// have no timeouts.
    pub fn split(self) -> (FramedRead<ClientStream, H>, FramedWrite<ClientStream, H>) {
        (self.reader, self.writer)
    }

    /// Frames and bytes so far, without the bytes of an unframed greeting.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            frames_in: self.frames_in,
            bytes_in: self.reader.bytes(),
            frames_out: self.writer.frames(),
            bytes_out: self.writer.bytes(),
        }
    }
}

/// Shows lengths and counts, no bytes that were sent or received.
impl<H: Header> fmt::Debug for Client<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &format_args!("{}", self.peer))
            .field("greeting_len", &self.greeting.len())
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

/// Connects over TCP.
async fn tcp(addr: impl AsyncToSocketAddrs) -> Result<(ClientStream, PeerName), ConnectError> {
    let connected = async {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.into();
        Ok((ClientStream::Tcp(stream), peer))
    };
    connected.await.map_err(ConnectError::Io)
}

/// Connects to a Unix socket.
#[cfg(unix)]
async fn unix(path: &Path) -> Result<(ClientStream, PeerName), ConnectError> {
    let stream = UnixStream::connect(path).await.map_err(ConnectError::Io)?;
    Ok((ClientStream::Unix(stream), PeerName::Unix { path: Some(path.to_owned()), credentials: None }))
}

/// The output of the future, or the timeout if that passes first.
async fn within<T>(timeout: Option<Duration>, future: impl Future<Output = T>) -> Result<T, Duration> {
    let Some(timeout) = timeout else { return Ok(future.await) };
    let in_time = async { Ok(future.await) };
    let late = async {
        Timer::after(timeout).await;
        Err(timeout)
    };
    future::or(in_time, late).await
}

fn refused(text: &[u8]) -> ConnectError {
    ConnectError::Refused { text: String::from_utf8_lossy(text).into_owned() }
}
