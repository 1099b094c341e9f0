//! A server that lies: it echoes frames of `u32le`, and at one frame of each connection it does something else.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The frame of each connection at which it lies.
pub(crate) const AT: u64 = 100;

/// What it does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing: it is honest.
    None,
    /// One bit of the payload is another one.
    FlippedBit,
    /// Two replies are swapped.
    SwappedPair,
    /// A reply is left out.
    Lost,
    /// A reply comes twice.
    Doubled,
    /// A frame ends in its middle, and with it the stream.
    Cut,
    /// A frame that nobody sent comes after all are answered.
    Surplus,
    /// The connection breaks off.
    Reset,
    /// Nothing is answered from there on.
    Silence,
    /// All is answered, and the stream does not end.
    NoEnd,
    /// All is answered, and the socket's stream ends; if it is over TLS, TLS's does not.
    NoNotify,
}

/// What a conversation is over.
trait Peer: Read + Write {
    fn socket(&self) -> &TcpStream;

    /// Ends our stream.
    fn end(&mut self);
}

impl Peer for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn end(&mut self) {
        _ = self.shutdown(Shutdown::Write);
    }
}

impl Peer for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn end(&mut self) {
        self.conn.send_close_notify();
        _ = self.flush();
        self.sock.end();
    }
}

/// Listens on the loopback for as long as the test runs.
pub(crate) fn liar(lie: Lie) -> SocketAddr {
    serve(move |stream| converse(stream, lie))
}

/// The same over TLS.
pub(crate) fn liar_over_tls(lie: Lie, config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |socket| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        converse(StreamOwned::new(session, socket), lie);
    })
}

/// An echo server that stalls: in every period of `every` it answers nothing for `stall`.
pub(crate) fn staller(every: Duration, stall: Duration) -> SocketAddr {
    let begin = Instant::now();
    serve(move |mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            let phase = Duration::from_nanos((begin.elapsed().as_nanos() % every.as_nanos()) as u64);
            // The stall is at the end of each period.
            if phase > every - stall {
                thread::sleep(every - phase);
            }
            if stream.write_all(&frame(&payload)).is_err() {
                return;
            }
        }
    })
}

/// Has each connection served on a thread of its own.
pub(crate) fn serve(converse: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, converse) = (stream.unwrap(), converse.clone());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || converse(stream));
        }
    });
    addr
}

fn converse(mut stream: impl Peer, lie: Lie) {
    let mut held = Vec::new();
    for number in 0.. {
        let Some(payload) = read_frame(&mut stream) else {
            if lie == Lie::Surplus && number > AT {
                _ = stream.write_all(&frame(b"nobody asked"));
            }
            if lie == Lie::NoEnd && number > AT {
                // A load that is over hangs up.
                _ = stream.socket().set_read_timeout(None);
                thread::sleep(Duration::from_secs(60));
            }
            if lie != Lie::NoNotify {
                stream.end();
            }
            return;
        };
        let mut reply = frame(&payload);
        match lie {
            Lie::FlippedBit if number == AT => *reply.last_mut().unwrap() ^= 0x10,
            Lie::SwappedPair if number == AT => held = std::mem::take(&mut reply),
            Lie::SwappedPair if number == AT + 1 => reply.append(&mut held),
            Lie::Lost if number == AT => reply.clear(),
            Lie::Doubled if number == AT => reply.extend(frame(&payload)),
            Lie::Cut if number == AT => {
                _ = stream.write_all(&reply[..reply.len() / 2]);
                stream.end();
                _ = std::io::copy(&mut stream, &mut std::io::sink());
                return;
            }
            Lie::Reset if number == AT => {
                return socket2::SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO)).unwrap();
            }
            Lie::Silence if number >= AT => reply.clear(),
            _ => {}
        }
        // The load hangs up at the first fault.
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

/// A frame as it is on the wire.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_le_bytes()[..], payload].concat()
}

/// The payload of the next frame; `None` where there is none.
pub(crate) fn read_frame(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; u32::from_le_bytes(header) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}
