//! A client that speaks frames, over TCP or a Unix socket.

mod config;
mod error;
mod stream;

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
use crate::adapters::{FramedRead, FramedWrite, ReadError, WriteError};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Envelope, Format, Frame, Header};
use crate::peer::PeerName;

/// How the text begins that a full server says instead of a greeting, as
/// [`CloseReason::Refused`](crate::CloseReason::Refused) shows itself.
const REFUSED: &[u8] = b"refused: ";

/// Bytes of the longest text that is taken for a refusal.
const LONGEST_REFUSAL: usize = 1024;

/// A client that speaks frames, over TCP or a Unix socket, of a [`Format`] or any other [`Header`].
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
/// Beneath it are a [`FramedRead`] and a [`FramedWrite`], which [`split`](Client::split) gives.
pub struct Client<H: Header = Format> {
    peer: PeerName,
    reader: FramedRead<ClientStream, H>,
    writer: FramedWrite<ClientStream, H>,
    call_timeout: Option<Duration>,
    recv_timeout: Option<Duration>,
    greeting: Vec<u8>,
    frames_in: u64,
    /// Replies to calls that have begun.
    outstanding: u64,
}

impl<H: Header + Clone> Client<H> {
    /// Connects over TCP, and takes the greeting, where one is expected.
    ///
    /// Where a greeting is expected and the server ends its stream instead, that is [`ConnectError::Refused`], with what it
    /// said before. It may have said why in a greeting's place, and a client cannot know a text that it has never seen: so a
    /// greeting frame is a refusal where it begins with `refused: `, has 1 KiB at most, and the end of the stream is directly
    /// behind it, for which connecting then waits. An unframed greeting is one where its length is nine bytes or more and it
    /// begins so; the text is all that still comes, up to 1 KiB. Any other text is the [`greeting`](Client::greeting), and then
    /// it is the first [`recv`](Client::recv) that says that the stream has ended; and so it is where no greeting is expected,
    /// behind the frame that says why, if there is one.
    ///
    /// # Errors
    /// [`ConnectError`]: not connected, not in time, no greeting, or refused.
    ///
    /// # Cancel-safety
    /// Dropping the future closes what was opened.
    pub async fn connect(addr: impl AsyncToSocketAddrs, config: ClientConfig<H>) -> Result<Client<H>, ConnectError> {
        let socket = async {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            let peer = stream.peer_addr()?.into();
            Ok((ClientStream::Tcp(stream), peer))
        };
        Client::open(socket, config).await
    }

    /// Connects to a Unix socket, and is in all else as [`connect`](Client::connect). On Unix only.
    ///
    /// # Errors
    /// [`ConnectError`]: not connected, not in time, no greeting, or refused.
    ///
    /// # Cancel-safety
    /// Dropping the future closes what was opened.
    #[cfg(unix)]
    pub async fn connect_unix(path: impl AsRef<Path>, config: ClientConfig<H>) -> Result<Client<H>, ConnectError> {
        let path = path.as_ref().to_owned();
        let socket = async {
            let stream = UnixStream::connect(&path).await?;
            Ok((ClientStream::Unix(stream), PeerName::Unix { path: Some(path), credentials: None }))
        };
        Client::open(socket, config).await
    }

    async fn open(
        socket: impl Future<Output = io::Result<(ClientStream, PeerName)>>,
        config: ClientConfig<H>,
    ) -> Result<Client<H>, ConnectError> {
        let ClientConfig { format, greeting, connect_timeout, call_timeout, recv_timeout } = config;
        let greeted = async {
            let (stream, peer) = socket.await.map_err(ConnectError::Io)?;
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

    /// Whether the stream ends behind the last frame, or breaks. What comes instead is kept.
    async fn ends_here(&mut self) -> bool {
        self.reader.decoder().buffered() == 0 && matches!(self.reader.fill().await, Ok(0) | Err(_))
    }

    /// Reads the greeting past the decoder.
    async fn take_raw_greeting(&mut self, len: usize) -> Result<(), ConnectError> {
        let mut stream = self.reader.get_ref().clone();
        let greeting = &mut self.greeting;
        let read = (&mut stream).take(len as u64).read_to_end(greeting).await;
        read.map_err(|error| ConnectError::Greeting(error.into()))?;
        if greeting.starts_with(REFUSED) {
            let left = LONGEST_REFUSAL.saturating_sub(greeting.len());
            // What has come says enough where the rest of it does not.
            _ = stream.take(left as u64).read_to_end(greeting).await;
            return Err(refused(greeting));
        }
        if greeting.len() < len { Err(refused(greeting)) } else { Ok(()) }
    }

    /// The greeting, without its header. Empty where none was expected.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// The server: its address, or the path that it was reached by.
    pub fn peer(&self) -> &PeerName {
        &self.peer
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`WriteError`]. It has no timeout: while the server reads nothing it waits.
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::send`]: the frame is neither lost nor torn.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        self.writer.send(payload).await
    }

    /// Sends a frame with what travels around its payload, for a format that has bytes before its length field or behind the
    /// payload: a prefix, or an [`Envelope`] of prefix and trailer.
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

    /// The next frame; `None` where the server ended its stream at a frame's end. It waits for as long as
    /// [`ClientConfig::recv_timeout`] says, by default for ever.
    ///
    /// # Errors
    /// [`RecvError::Read`], as [`FramedRead::next_frame`]; [`RecvError::TimedOut`], and another call goes on where this one was.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<Frame<'_>>, RecvError> {
        self.recv_in(self.recv_timeout).await
    }

    /// [`recv`](Client::recv) with a timeout of its own. Where a frame has come already, it is given also for
    /// [`Duration::ZERO`].
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

    /// Sends a frame and waits for the next one, which is the reply where nothing else is in flight. Both together may take as
    /// long as [`ClientConfig::call_timeout`] says, by default 10 s.
    ///
    /// For a server that answers each frame with one, in order, and says nothing unasked. Only the protocol tells what a server
    /// pushes from a reply: where it pushes, [`send`](Client::send) and [`recv`](Client::recv), and look at what came.
    ///
    /// A call that timed out, or whose future was dropped, leaves its reply to come. That one is never taken for the reply to
    /// another call: until it has come, each further call is [`CallError::Outstanding`] and sends nothing. Connect anew, mostly.
    /// Or receive it: each frame that [`recv`](Client::recv) gives counts as one such reply, and calls go on behind the last.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel-safety
    /// The request is neither lost nor torn, and its reply may still come: see above.
    pub async fn call(&mut self, payload: &[u8]) -> Result<Frame<'_>, CallError> {
        self.call_in(self.call_timeout, payload).await
    }

    /// [`call`](Client::call) with a timeout of its own.
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
        // From here on this future may be dropped, and the request be on its way.
        self.outstanding += 1;
        if let Err(error) = self.send(payload).await {
            // What failed otherwise may be on its way in part, and a flush sends the rest.
            let unsent = matches!(error, WriteError::Encode(_) | WriteError::Overflow { .. });
            self.outstanding -= u64::from(unsent);
            return Err(error.into());
        }
        self.next_frame().await?.ok_or(CallError::Closed)
    }

    /// The next frame, which is counted.
    async fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let next = self.reader.next_frame().await;
        match &next {
            Ok(Some(_)) => {
                self.frames_in += 1;
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            // No reply comes any more.
            Ok(None) | Err(ReadError::Decode(_)) => self.outstanding = 0,
            Err(ReadError::Io(_)) => {}
        }
        next
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
    /// them, [`close`](Client::close) and [`recv`](Client::recv). It has no timeout, and waits for as long as the server does
    /// not end its stream.
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

    /// Where closing fails the connection is gone already: what still came is read all the same, and the read says why.
    async fn read_to_end(&mut self) -> Result<(), ReadError> {
        let closed = self.close().await;
        while self.next_frame().await?.is_some() {}
        Ok(closed?)
    }

    /// Two halves that can live in two tasks. Closing the writing one leaves the other open. They know no timeout.
    pub fn split(self) -> (FramedRead<ClientStream, H>, FramedWrite<ClientStream, H>) {
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
impl<H: Header> fmt::Debug for Client<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &format_args!("{}", self.peer))
            .field("greeting_len", &self.greeting.len())
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

/// What the future gives, or the timeout, where it passed before. The future is asked first.
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
