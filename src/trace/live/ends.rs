//! Both ends of a connection, each of which writes down what its reads return.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::io::{AsyncRead, AsyncWrite};
use smol::Async;
use socket2::{Domain, SockRef, Socket, Type};

use super::scenario::Scenario;
use super::script;
use crate::adapters::FrameReader;
use crate::framing::{Encoder, Format};
use crate::server::{Transport, serve_connection};

/// After so long something is wrong, and a thread that waits for the other end goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What reads returned, in bytes; shared with what reads.
type Reads = Rc<RefCell<Vec<u64>>>;

/// A server that listens.
pub(super) struct Listening(TcpListener);

impl Listening {
    pub(super) fn at(port: u16) -> io::Result<Listening> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(Listening)
    }

    /// Serves one connection as this crate's server does, and gives the lengths of its reads. `accepted` gets the connection's
    /// socket.
    pub(super) fn serve_one(self, scenario: Scenario, accepted: &Sender<TcpStream>) -> io::Result<Vec<u64>> {
        let (stream, peer) = self.0.accept()?;
        // Its receiver has given up if it is not there.
        _ = accepted.send(stream.try_clone()?);
        stream.set_nodelay(true)?;
        let reads = Reads::default();
        let transport = Recorded { stream: Async::new(stream)?, reads: Rc::clone(&reads) };
        smol::block_on(serve_connection(peer, transport, script::config(scenario), |peer| {
            script::handler(scenario, peer)
        }))?;
        Ok(reads.take())
    }
}

/// A socket of the server.
struct Recorded {
    stream: Async<TcpStream>,
    reads: Reads,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(len @ 1..)) = read {
            self.reads.borrow_mut().push(len as u64);
        }
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

impl Transport for Recorded {
    fn break_off(&mut self) {
        // If it cannot be set, the connection ends without a reset.
        _ = SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
    }
}

/// A socket that is read by blocking.
struct Blocking {
    stream: TcpStream,
    reads: Reads,
}

impl Read for Blocking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buf)?;
        if len > 0 {
            self.reads.borrow_mut().push(len as u64);
        }
        Ok(len)
    }
}

/// The client. Each of its writes is one call of the system.
pub(super) struct Caller {
    frames: FrameReader<Blocking>,
    reads: Reads,
}

impl Caller {
    /// Connects. `window` is the memory that the system may use for what was not read yet: about twice the first window.
    pub(super) fn connect(scenario: Scenario, window: Option<usize>) -> io::Result<Caller> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(window) = window {
            socket.set_recv_buffer_size(window)?;
        }
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, scenario.port())).into())?;
        let stream = TcpStream::from(socket);
        // The tutorial leaves the system its choice, which puts small writes together (Nagle).
        stream.set_nodelay(scenario != Scenario::Tutorial)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reads = Reads::default();
        let frames = FrameReader::new(Blocking { stream, reads: Rc::clone(&reads) }, Format::U32_LE);
        Ok(Caller { frames, reads })
    }

    fn stream(&self) -> &TcpStream {
        &self.frames.get_ref().stream
    }

    /// Writes frames with one call.
    pub(super) fn send(&self, payloads: &[&[u8]]) -> io::Result<()> {
        self.write(&frames(payloads)?)
    }

    /// Writes bytes with one call.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.stream().write_all(bytes)
    }

    /// Reads so many frames.
    pub(super) fn receive(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.frames.next_frame()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        Ok(())
    }

    /// Reads so many bytes that are not frames.
    pub(super) fn receive_unframed(&mut self, len: usize) -> io::Result<()> {
        self.frames.get_mut().read_exact(&mut vec![0; len])
    }

    /// Ends our stream, and goes on reading.
    pub(super) fn end(&self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Write)
    }

    /// Reads until the server has ended its stream, too; gives the lengths of all reads.
    pub(super) fn finish(mut self) -> io::Result<Vec<u64>> {
        while self.frames.next_frame()?.is_some() {}
        Ok(self.reads.take())
    }

    /// Breaks the connection off with a reset; gives the lengths of all reads.
    pub(super) fn break_off(self) -> io::Result<Vec<u64>> {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO))?;
        Ok(self.reads.take())
    }
}

/// The bytes of these frames.
pub(super) fn frames(payloads: &[&[u8]]) -> io::Result<Vec<u8>> {
    let (mut wire, encoder) = (Vec::new(), Encoder::new(Format::U32_LE));
    payloads.iter().try_for_each(|payload| encoder.encode(payload, &mut wire))?;
    Ok(wire)
}
